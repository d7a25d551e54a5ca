# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook distribution on lab hosts with the owners' files in their places, and on a real API server."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.tests.integration import _kube
from ansible_collections.podnet.cni.tests.integration.distribution._hosts import IPSET, K3S, Hosts
from ansible_collections.podnet.cni.tests.integration.distribution.conftest import add_node, chart_config, item, serve

pytestmark = pytest.mark.kube


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    if os.geteuid() != 0:
        pytest.skip("making namespaces needs root")
    _kube.require()
    with _kube.running() as server:
        serve(server)
        made = Hosts(tmp_path, server)
        try:
            made.lab()
            yield made
        finally:
            made.lab(lab_state="absent")


def faults(document: dict[str, Any]) -> dict[str, set[str]]:
    """What failed or is unknown, with its subjects."""
    found: dict[str, set[str]] = {}
    for each in document["findings"]:
        if each["status"] in ("failed", "unknown"):
            found.setdefault(each["id"].partition(".")[2], set()).add(each["subject"])
    return found


def ids(document: dict[str, Any]) -> set[str]:
    """The checks that have a finding."""
    return {each["id"] for each in document["findings"]}


def args(*words: str) -> str:
    return json.dumps(words)


def test_faults_by_name_then_a_healthy_set_without_finding(hosts: Hosts) -> None:
    link = next(name for name in hosts.inside("node1", "ls", "/sys/class/net").split() if name != "lo")
    shared = "cluster-cidr: 10.42.0.0/16\ntoken: do-not-tell\n"
    network = {"Network": "10.42.0.0/16", "EnableNFTables": True, "Backend": {"Type": "vxlan", "MTU": 8950}}
    own = {"etc/rancher/flannel.json": json.dumps(network)}
    dropin = {"etc/rancher/k3s/config.yaml.d/60-network.yaml": "flannel-backend: host-gw\n"}
    hosts.k3s("node1", "k3s server", f"{shared}flannel-conf: /etc/rancher/flannel.json\nflannel_iface: {link}\n", own)
    hosts.k3s("node2", "k3s server", f"{shared}flannel-backend: vxlan\n", dropin)
    hosts.k3s("node3", "k3s agent", "flannel-backend: vxlan\nflannel-iface: eth77\nnode-label:\n\t- a\n")
    hosts.inside("node1", "rm", f"/{IPSET}")
    hosts.inside("node2", "ip", "link", "add", "flannel.1", "type", "bridge")
    hosts.inside("node2", "ip", "link", "add", "flannel-wg", "type", "bridge")
    add_node(hosts.server, "node1", K3S, args("server", "--cluster-cidr", "10.42.0.0/16"))
    add_node(hosts.server, "node2", K3S, args("server"), "host-gw")
    add_node(hosts.server, "node3", K3S, args("agent"))
    hosts.server.apply(
        chart_config("flannel:\n  mtu: 8950\n"), item("HelmChart", "rke2-canal", "helm.cattle.io/v1", spec={})
    )

    code, document, shown = hosts.audit()
    assert code == 2
    assert faults(document) == {
        "shared_keys": {"cluster"},
        "flannel_conf_differs": {"cluster"},
        "backend_types": {"cluster"},
        "mtu_pair": {"HelmChartConfig kube-system/rke2-canal"},
        "failure_policy": {"HelmChart kube-system/rke2-canal"},
        "key_names": {"node1"},
        "no_effect": {"node1"},
        "ipset": {"node1"},
        "restart": {"node1", "node2"},
        "devices": {"node2"},
        "files": {"node3"},
    }
    assert "do-not-tell" not in shown + json.dumps(document)
    assert "/etc/rancher/k3s/config.yaml:4: a tab indents this line" in shown
    assert "host-gw on node2; vxlan on node1" in shown
    decided = {(each["subject"], each["name"]): each for each in document["settings"]}
    assert decided["node2", "flannel-backend"]["place"] == "/etc/rancher/k3s/config.yaml.d/60-network.yaml:1"

    # What the files of k3s say is among the findings of preflight, by the same checks.
    judged = hosts.preflight(preflight_measure=False, preflight_checks_skip=["distribution.files"])
    seen = {name for name, _subjects in faults(judged).items() if "distribution." + name in ids(judged)}
    assert seen == {"shared_keys", "flannel_conf_differs", "key_names", "no_effect", "ipset", "devices"}

    # The agent's file once it can be read; checks can be left out, and what is only a warning fails no play.
    hosts.k3s("node3", "k3s agent", "flannel-backend: vxlan\nflannel-iface: eth77\n")
    skip = [f"distribution.{name}" for name in ("shared_keys", "flannel_conf_differs", "key_names", "ipset", "devices")]
    code, document, _shown = hosts.audit(
        "--limit", "node1,node3,localhost", cluster=False, distribution_checks_skip=skip
    )
    assert (code, faults(document)) == (2, {"key_place": {"node3"}, "interface": {"node3"}, "no_effect": {"node1"}})
    skip.append("distribution.interface")
    assert hosts.audit("--limit", "node3,localhost", cluster=False, distribution_checks_skip=skip)[0] == 0
    assert hosts.audit(cluster=False, distribution_fail_at="never")[0] == 0

    for name, command in (("node1", "k3s server"), ("node2", "k3s server"), ("node3", "k3s agent")):
        server = f"{shared}flannel-backend: wireguard-native\n" if "server" in command else ""
        hosts.k3s(name, command, f"{server}flannel-iface: {link}\r\n")
        words = ["--cluster-cidr=10.42.0.0/16", "--flannel-backend", "wireguard-native"] if server else []
        hosts.server.api("DELETE", f"/api/v1/nodes/{name}")
        add_node(hosts.server, name, K3S, args(command.split()[1], *words, "--flannel-iface", link), "wireguard")
    hosts.inside("node2", "ip", "link", "del", "flannel.1")
    hosts.server.apply(
        chart_config("flannel: {mtu: 8950}\ncalico: {vethuMTU: 8900}\n"),
        item("HelmChart", "rke2-canal", "helm.cattle.io/v1", spec={"failurePolicy": "retry"}),
    )
    code, document, shown = hosts.audit(distribution_upgrade_to="v1.37.1+k3s1")
    assert (code, faults(document)) == (0, {}), shown
    assert [each["id"] for each in document["upgrade"]["changes"]] == ["cni-conf"]
    assert "k3s v1.36.2+k3s1 -> v1.37.1+k3s1: what that changes for the network" in shown
    assert {each["running"] for each in document["settings"] if each["name"] == "flannel-backend"} == {
        "wireguard-native"
    }


def test_rancher_on_kubernetes_1_32_2_without_br_netfilter(hosts: Hosts) -> None:
    """The machines before there is a cluster, and the cluster that waits for its network."""
    for name in ("node1", "node2"):
        hosts.inside(name, "mount", "-t", "tmpfs", "none", "/proc/sys/net/bridge")
    code, document, shown = hosts.audit(cluster=False)
    assert (code, faults(document)) == (2, {"br_netfilter": {"node1", "node2"}})
    assert "https://github.com/rancher/rancher/issues/49246" in shown and "modprobe br_netfilter" in shown

    add_node(hosts.server, "node1", "v1.32.2+rke2r1", args("server", "--cni", "canal"))
    spec = {"nodeName": "node1", "containers": [{"name": "kube-flannel", "image": "flannel"}]}
    hosts.server.api("POST", "/api/v1/namespaces/kube-system/pods", item("Pod", "rke2-canal-x", spec=spec))
    ended = {"exitCode": 1, "message": "Failed to check br_netfilter: stat /proc/sys/net/bridge: no such file"}
    state = {
        "name": "kube-flannel",
        "ready": False,
        "restartCount": 9,
        "image": "",
        "imageID": "",
        "lastState": {"terminated": ended},
    }
    state["state"] = {"waiting": {"reason": "CrashLoopBackOff"}}
    path = "/api/v1/namespaces/kube-system/pods/rke2-canal-x/status"
    hosts.server.api("PATCH", path, {"status": {"containerStatuses": [state]}}, "application/merge-patch+json")
    code, document, shown = hosts.audit()
    pod = "Pod kube-system/rke2-canal-x"
    assert (code, faults(document)) == (2, {"br_netfilter": {"node1", "node2"}, "network_waits": {pod}})
    [waits] = [each for each in document["findings"] if each["subject"] == pod]
    assert "br_netfilter is missing on node1:" in waits["remedy"]
    assert "CrashLoopBackOff on node1, 9 restarts: Failed to check br_netfilter" in waits["seen"]

    for name in ("node1", "node2"):
        hosts.inside(name, "umount", "/proc/sys/net/bridge")
    hosts.server.api("DELETE", "/api/v1/namespaces/kube-system/pods/rke2-canal-x?gracePeriodSeconds=0")
    code, document, _shown = hosts.audit()
    assert (code, faults(document)) == (0, {})


def test_a_host_that_does_not_answer_is_unknown(hosts: Hosts) -> None:
    ghost = hosts.path / "ghost.yml"
    address = {"ansible_host": "127.0.0.1", "ansible_port": 1, "ansible_connection": "ssh"}
    ghost.write_text(json.dumps({"all": {"hosts": {"ghost": address}}}))
    code, document, _shown = hosts.audit("-i", str(ghost), cluster=False, distribution_hosts="all:!localhost")
    assert code == 4
    assert faults(document) == {"host_read": {"ghost"}}
