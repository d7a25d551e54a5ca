# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""flannel on three real nodes: taken over, judged, upgraded, broken, removed, installed.

The tests build on one another: one cluster serves all, in this order.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.tests.integration._cluster import Cluster, Run
from ansible_collections.podnet.cni.tests.integration.cluster import _workload
from ansible_collections.podnet.cni.tests.integration.cluster._admission import DEPLOYMENT, ENGINE, Admissions, servers
from ansible_collections.podnet.cni.tests.integration.cluster._workload import Ping
from ansible_collections.podnet.cni.tests.tools import cache

pytestmark = pytest.mark.cluster

OLD = {"flannel_image_tag": "v0.27.4", "flannel_cni_image_tag": "v1.8.0-flannel1"}
# Pods that are ready a second after their start: the tests wait for many.
QUICK = {"flannel_readiness_probe": {"initialDelaySeconds": 1, "periodSeconds": 1}}
WAVES = {
    **QUICK,
    "flannel_rollout": True,
    "flannel_rollout_canary_nodes": ["node1"],
    "flannel_rollout_batch": ["100%"],
    "flannel_rollout_soak": 1,
}
ARGUMENTS = ["--ip-masq", "--kube-subnet-mgr"]
# A run that waits for what cannot come takes longer than any other, on the busiest machine.
PATIENT = {"flannel_wait_timeout": 1800}
PREFIX = "flannel.alpha.coreos.com/"


def nodes(cluster: Cluster) -> dict[str, dict[str, Any]]:
    """The Node objects by name."""
    return {node["metadata"]["name"]: node for node in cluster.get("nodes")["items"]}


def images(cluster: Cluster) -> dict[str, str]:
    """The image of flanneld on each node."""
    return {name: pod["spec"]["containers"][0]["image"] for name, pod in cluster.flannel().items()}


def uids(cluster: Cluster) -> dict[str, str]:
    """What tells flannel's pods apart, by node."""
    return {name: pod["metadata"]["uid"] for name, pod in cluster.flannel().items()}


def daemonset(cluster: Cluster) -> dict[str, Any]:
    """flannel's DaemonSet."""
    return dict(cluster.get("daemonset", "kube-flannel-ds", "-n", "kube-flannel"))


def memory(amount: str) -> dict[str, Any]:
    """A value that every pod has to be made anew for, and that does nothing else."""
    return {"flannel_resources": {"requests": {"cpu": "100m", "memory": amount}}}


def unchanged(run: Run) -> None:
    """The run was well and changed nothing."""
    assert run.ok().changed == 0, run.text


def refused(run: Run) -> str:
    """The message of a run that has to fail, in one line."""
    assert run.code != 0, run.text
    return run.flat


def test_nodes_register_and_a_second_run_changes_nothing(cluster: Cluster) -> None:
    assert set(cluster.ready()) == set(cluster.nodes)
    # A Node registers first; its range comes with the controller manager's next look.
    cluster.await_(
        "a range for every node", lambda: all(each["spec"].get("podCIDR") for each in nodes(cluster).values())
    )
    unchanged(cluster.lab())


def test_the_settings_of_the_machine_are_left_alone(cluster: Cluster) -> None:
    """kubelet sets the kernel to reboot after an oops; in its host it finds that done."""
    assert cluster.inside("node1", "cat", "/proc/sys/kernel/panic_on_oops").strip() == "1"
    log = (cluster.kubeconfig.parent / "kubernetes/processes/node1/kubelet.log").read_text()
    assert "Updating kernel flag" not in log
    assert not list(Path("/var/log").glob("pods/kube-*"))


def test_upstreams_own_manifest_is_taken_over(cluster: Cluster) -> None:
    cluster.kubectl("apply", "-f", str(cache.manifest(cache.flannel("0.27"))))
    cluster.await_ready()
    before = daemonset(cluster)["metadata"]["uid"]
    adopted = cluster.role("flannel", **OLD, **QUICK).ok()
    assert adopted.changed > 0
    after = daemonset(cluster)
    assert after["metadata"]["uid"] == before
    assert "readinessProbe" in after["spec"]["template"]["spec"]["containers"][0]
    assert set(images(cluster).values()) == {"ghcr.io/flannel-io/flannel:v0.27.4"}
    unchanged(cluster.role("flannel", **OLD, **QUICK))


def test_pods_reach_one_another_by_address_and_by_service(cluster: Cluster) -> None:
    cluster.apply(*_workload.echo())
    cluster.kubectl("rollout", "status", "daemonset/echo", "--timeout=120s")
    _workload.every_pair(cluster)
    there = _workload.pods(cluster)
    service = cluster.get("service", "echo")["spec"]["clusterIP"]
    assert _workload.ask(cluster, there["node1"], service, 80) in {pod["metadata"]["name"] for pod in there.values()}


def test_the_network_of_the_cluster_is_found(cluster: Cluster) -> None:
    message = "{{ query('podnet.cni.flannel', kubeconfig=flannel_kubeconfig) | to_json }}"
    text = cluster.play([{"ansible.builtin.debug": {"msg": message}}]).ok().text
    assert re.search(r"namespace\W+kube-flannel", text)
    assert re.search(r"version\W+v0\.27\.4", text)


def test_leases_are_what_the_nodes_hold(cluster: Cluster) -> None:
    kept = cluster.folder / "leases.json"
    tasks: list[dict[str, Any]] = [
        {
            "podnet.cni.flannel_lease_info": {"store": "kubernetes", "kubeconfig": "{{ flannel_kubeconfig }}"},
            "register": "found",
        },
        {"ansible.builtin.copy": {"dest": str(kept), "content": "{{ found | to_json }}", "mode": "0600"}},
    ]
    cluster.play(tasks).ok()
    leases = {lease["name"]: lease for lease in json.loads(kept.read_text())["leases"]}
    assert set(leases) == set(cluster.nodes)
    for name, node in nodes(cluster).items():
        link = json.loads(cluster.inside(name, "ip", "-j", "link", "show", "flannel.1"))[0]
        assert leases[name]["subnet"] == node["spec"]["podCIDR"]
        assert leases[name]["backend_data"]["VtepMAC"] == link["address"]


def test_preflight_finds_nothing_wrong_with_a_cluster_that_works(cluster: Cluster) -> None:
    kept = cluster.folder / "preflight.json"
    cluster.playbook(
        "preflight",
        preflight_hosts="kube_node",
        preflight_cluster=True,
        preflight_kubeconfig=str(cluster.kubeconfig),
        preflight_json=str(kept),
        preflight_fail_at="never",
    ).ok()
    found = json.loads(kept.read_text())["findings"]
    assert [each for each in found if each["severity"] == "error" and each["status"] in ("failed", "unknown")] == []
    assert not {"host.cgroup", "host.runtime_version"} & {each["id"] for each in found if each["status"] == "skipped"}


def test_doctor_has_the_pods_of_nodes_that_lost_something_made_anew_and_finds_nothing_then(cluster: Cluster) -> None:
    kept = cluster.folder / "status.json"
    before = uids(cluster)
    cluster.inside("node1", "ip", "route", "del", nodes(cluster)["node2"]["spec"]["podCIDR"])
    cluster.kubectl("annotate", "node", "node3", f"{PREFIX}backend-type-")
    run = cluster.playbook(
        "doctor",
        doctor_cluster=True,
        doctor_kubeconfig=str(cluster.kubeconfig),
        doctor_pods="never",
        doctor_repair=True,
        doctor_files={"json": str(kept)},
        # Of the machine that the nodes are on.
        doctor_checks_skip=["host.cgroup", "host.runtime_version"],
    ).ok()
    assert "dataplane.peers_missing on node1" in run.flat, run.text
    assert "cluster.programmed on node3" in run.flat, run.text
    made = json.loads(kept.read_text())
    found = {(each["id"], each["subject"]): each["seen"] for each in made["findings"] if each["status"] == "failed"}
    assert (found, made["verdict"]["state"]) == ({}, "well"), (found, made["verdict"])
    assert {host["runs"] for host in made["hosts"]} == {"pod"}
    after = uids(cluster)
    assert {name for name in after if after[name] != before[name]} == {"node1", "node3"}
    first, second = sorted((cluster.flannel()[name] for name in ("node1", "node3")), key=_made)
    assert next(each["lastTransitionTime"] for each in _ready(first)) <= _made(second), "one after the other"


def test_no_pod_misses_its_inheritance_while_servers_are_replaced_and_a_node_is_drained(cluster: Cluster) -> None:
    cluster.role("kube_ovn_inheritance", **ENGINE).ok()
    unchanged(cluster.role("kube_ovn_inheritance", **ENGINE))
    first = servers(cluster)
    assert len(first) == len(set(first.values())) == 2, first
    with Admissions(cluster) as update:
        cluster.kubectl("rollout", "restart", *DEPLOYMENT)
        cluster.kubectl("rollout", "status", *DEPLOYMENT, "--timeout=120s")
        second = servers(cluster)
    assert not set(first) & set(second)
    drained = next(iter(second.values()))
    with Admissions(cluster) as drain:
        cluster.kubectl("drain", drained, "--ignore-daemonsets", "--timeout=120s")
        cluster.kubectl("rollout", "status", *DEPLOYMENT, "--timeout=120s")
        cluster.kubectl("uncordon", drained)
    assert drained not in servers(cluster).values()
    for load in (update, drain):
        assert load.made > 50
        assert load.failed == []


def test_no_pod_misses_its_inheritance_while_the_ca_is_exchanged(cluster: Cluster) -> None:
    def authority() -> str:
        hook = cluster.get("mutatingwebhookconfiguration", "kube-ovn-inheritance")
        return str(hook["webhooks"][0]["clientConfig"]["caBundle"])

    before = authority()
    exchange = {**ENGINE, "kube_ovn_inheritance_ca_generation": 2, "kube_ovn_inheritance_ca_settle": 15}
    with Admissions(cluster) as load:
        for _step in range(3):
            assert cluster.role("kube_ovn_inheritance", **exchange).ok().changed > 0
            time.sleep(exchange["kube_ovn_inheritance_ca_settle"] + 1)
    unchanged(cluster.role("kube_ovn_inheritance", **exchange))
    assert before not in authority()
    assert load.made > 500
    assert load.failed == []
    cluster.role("kube_ovn_inheritance", "uninstall", **exchange).ok()


def test_upgrade_with_all_gates_costs_a_ping_no_more_than_the_restart_of_its_pods(cluster: Cluster) -> None:
    there = _workload.pods(cluster)
    target = _workload.address(there["node3"])
    with Ping(there["node1"], target) as alone:
        restart_pod(cluster, "node3")
    with Ping(there["node1"], target) as ping:
        said = cluster.playbook("upgrade", **upgrade_variables(cluster)).ok()
    assert "3 nodes were upgraded in 3 waves" in said.flat
    assert set(images(cluster).values()) == {"ghcr.io/flannel-io/flannel:v0.28.9"}
    assert daemonset(cluster)["spec"]["updateStrategy"]["type"] == "RollingUpdate"
    assert [lease["metadata"]["name"] for lease in cluster.get("leases", "-n", "kube-flannel")["items"]] == []
    assert ping.sent > alone.sent
    # Both ends of the way are restarted once.
    assert ping.lost <= 2 * alone.lost + 2, (
        f"{ping.lost} of {ping.sent} lost, the restart of one pod costs {alone.lost}"
    )
    unchanged(cluster.role("flannel", **QUICK))


def restart_pod(cluster: Cluster, node: str) -> None:
    """Delete flannel's pod of a node and wait until there is another that is ready."""
    before = cluster.flannel()[node]["metadata"]
    cluster.kubectl("delete", "pod", "-n", "kube-flannel", before["name"])
    cluster.await_("the pod anew", lambda: is_ready(cluster.flannel()[node]) and uids(cluster)[node] != before["uid"])


def is_ready(pod: dict[str, Any]) -> bool:
    """Whether a pod is ready."""
    return bool(_ready(pod))


def _ready(pod: dict[str, Any]) -> list[dict[str, Any]]:
    """The condition of a pod that is ready."""
    return [each for each in pod["status"]["conditions"] if (each["type"], each["status"]) == ("Ready", "True")]


def _made(pod: dict[str, Any]) -> str:
    return str(pod["metadata"]["creationTimestamp"])


def upgrade_variables(cluster: Cluster) -> dict[str, Any]:
    """Default gates, and little patience between the waves."""
    return {
        **QUICK,
        "upgrade_hosts": "kube_node",
        "flannel_kubeconfig": str(cluster.kubeconfig),
        "upgrade_directory": str(cluster.folder / "upgrade"),
        "upgrade_soak": 1,
        "upgrade_poll": 1,
    }


def test_an_upgrade_is_rolled_back_by_hand(cluster: Cluster) -> None:
    (backup,) = (cluster.folder / "upgrade").glob("flannel-*")
    cluster.playbook("rollback", upgrade_backup=str(backup), **upgrade_variables(cluster)).ok()
    assert set(images(cluster).values()) == {"ghcr.io/flannel-io/flannel:v0.27.4"}
    _workload.every_pair(cluster)
    cluster.role("flannel", **WAVES).ok()
    assert set(images(cluster).values()) == {"ghcr.io/flannel-io/flannel:v0.28.9"}


@pytest.fixture(name="nftables")
def fixture_nftables() -> dict[str, Any]:
    """The variables that the cluster has from then on."""
    # flanneld leaves a link's port as it is where its config names none, on the way back of a rollout too.
    return {**WAVES, "flannel_enable_nftables": True, "flannel_backend_port": 8472}


def test_one_value_changed_goes_out_in_waves(cluster: Cluster, nftables: dict[str, Any]) -> None:
    before = uids(cluster)
    rolled = cluster.role("flannel", **nftables).ok()
    assert rolled.changed > 0
    assert not set(uids(cluster).values()) & set(before.values())
    for node in cluster.nodes:
        assert "flannel-ipv4" in cluster.inside(node, "nft", "list", "tables")
    _workload.every_pair(cluster)
    unchanged(cluster.role("flannel", **nftables))


def test_a_flag_that_flanneld_does_not_know(cluster: Cluster, nftables: dict[str, Any]) -> None:
    before = uids(cluster)
    said = refused(cluster.role("flannel", **nftables, flannel_args=[*ARGUMENTS, "--no-such-flag"]))
    assert "flag provided but not defined: -no-such-flag" in said
    # Its usage text ends the program, with 0 (flannel v0.28.9 main.go).
    assert "exited with 0 (Completed)" in said
    assert "rolled back, and all pods are ready again" in said
    after = uids(cluster)
    assert {name for name in after if after[name] != before[name]} == {"node1"}
    # The way back is an update, so its fields are nobody's who applies; the next run takes them and restarts nothing.
    assert cluster.role("flannel", **nftables).ok().changed == 2
    assert uids(cluster) == after
    unchanged(cluster.role("flannel", **nftables))


def test_an_image_that_is_not_there(cluster: Cluster, nftables: dict[str, Any]) -> None:
    said = refused(cluster.role("flannel", **nftables, flannel_image_tag="v9.9.9"))
    assert "ghcr.io/flannel-io/flannel:v9.9.9" in said
    assert "for 90 s now" in said
    assert "rolled back, and all pods are ready again" in said
    assert set(images(cluster).values()) == {"ghcr.io/flannel-io/flannel:v0.28.9"}


def test_a_pod_that_starts_and_cannot_program_its_node(cluster: Cluster, nftables: dict[str, Any]) -> None:
    """Something else has the port that the tunnel is to have."""
    pins = cluster.kubeconfig.parent / "hosts/node1"
    script = "import socket, time; s = socket.socket(2, 2); s.bind(('', 8473)); print(flush=True); time.sleep(600)"
    command = ["nsenter", f"--net={pins / 'net'}", "python3", "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        try:
            moved = {**nftables, "flannel_backend_port": 8473, "flannel_allow_network_change": True}
            said = refused(cluster.role("flannel", **moved))
        finally:
            holder.kill()
    assert "address already in use" in said
    assert "ConfigMap and pod template were rolled back, and all pods are ready again" in said
    (link,) = json.loads(cluster.inside("node1", "ip", "-j", "-d", "link", "show", "flannel.1"))
    assert link["linkinfo"]["info_data"]["port"] == 8472
    _workload.every_pair(cluster)


def test_a_node_that_is_not_ready_is_left_out_and_named(cluster: Cluster, nftables: dict[str, Any]) -> None:
    os.kill(cluster.pid("node3", "kubelet"), signal.SIGKILL)
    cluster.await_("node3 silent", lambda: cluster.ready()["node3"] == "Unknown")
    before = uids(cluster)
    begin = time.monotonic()
    rolled = cluster.role("flannel", **nftables, **PATIENT, **memory("60Mi")).ok()
    again = cluster.role("flannel", **nftables, **PATIENT, **memory("60Mi"))
    unchanged(again)
    assert time.monotonic() - begin < PATIENT["flannel_wait_timeout"], "it has waited for the node"
    assert "left out because they are not ready or gone: node3" in rolled.flat
    assert "is not awaited on node3" in again.flat
    assert "its Node is NotReady" in again.flat
    after = uids(cluster)
    assert {name for name in after if after[name] != before[name]} == {"node1", "node2"}


def test_without_waves_a_node_that_is_not_ready_is_named_and_not_waited_for(
    cluster: Cluster, nftables: dict[str, Any]
) -> None:
    """The controller replaces one pod at a time, and node3's is the one."""
    begin = time.monotonic()
    said = refused(cluster.role("flannel", **{**nftables, **PATIENT, "flannel_rollout": False}, **memory("70Mi")))
    assert "node3" in said
    assert "NotReady" in said
    assert time.monotonic() - begin < PATIENT["flannel_wait_timeout"], "it has waited for the node"
    cluster.role("flannel", **nftables, **memory("60Mi")).ok()


def test_a_node_comes_back_from_a_reboot(cluster: Cluster, nftables: dict[str, Any]) -> None:
    cluster.reboot("node3")
    cluster.await_ready()
    cluster.await_("all pods", lambda: all(is_ready(pod) for pod in all_pods(cluster)) and len(all_pods(cluster)) == 6)
    assert set(images(cluster)) == set(cluster.nodes)
    _workload.every_pair(cluster)
    unchanged(cluster.role("flannel", **nftables, **memory("60Mi")))


def all_pods(cluster: Cluster) -> list[dict[str, Any]]:
    """flannel's pods and those of the tests."""
    return [*cluster.flannel().values(), *_workload.pods(cluster).values()]


def test_the_api_server_restarts_in_the_middle(cluster: Cluster, nftables: dict[str, Any]) -> None:
    done: list[Run] = []
    rollout = threading.Thread(target=lambda: done.append(cluster.role("flannel", **nftables, **memory("50Mi"))))
    rollout.start()
    cluster.await_("the rollout", lambda: bool(cluster.get("leases", "-n", "kube-flannel")["items"]))
    os.kill(cluster.pid("control1", "kube-apiserver"), signal.SIGKILL)
    cluster.lab().ok()
    rollout.join()
    done[0].ok()
    unchanged(cluster.role("flannel", **nftables, **memory("50Mi")))


def test_the_policy_sidecar_is_refused_where_the_kernel_cannot_enforce(
    cluster: Cluster, nftables: dict[str, Any]
) -> None:
    rules = "add table ip t; add chain ip t c { type filter hook input priority 0; }; add rule ip t c queue num 7"
    probe = ["unshare", "--net", "nft", "-f", "-"]
    can = subprocess.run(probe, input=rules, text=True, capture_output=True, check=False).returncode == 0
    asked = {
        "flannel_netpol_enabled": True,
        "flannel_netpol_hosts": cluster.nodes,
        "flannel_netpol_image_tag": "v0.8.0",
    }
    generation = daemonset(cluster)["metadata"]["generation"]
    run = cluster.role("flannel", **nftables, **asked)
    if can:
        assert "Try what is open and what is closed" in run.ok().text
        cluster.role("flannel", **nftables, flannel_netpol_enabled=False).ok()
        return
    assert "queue" in refused(run)
    assert daemonset(cluster)["metadata"]["generation"] == generation


def test_the_sidecar_goes_on_and_off_where_that_is_accepted(cluster: Cluster, nftables: dict[str, Any]) -> None:
    asked = {
        "flannel_netpol_enabled": True,
        "flannel_netpol_hosts": cluster.nodes,
        "flannel_netpol_image_tag": "v0.8.0",
    }
    cluster.role("flannel", **nftables, **asked, flannel_netpol_unenforced="accept").ok()
    assert {len(pod["spec"]["containers"]) for pod in cluster.flannel().values()} == {2}
    cluster.role("flannel", **nftables, flannel_netpol_enabled=False).ok()
    assert {len(pod["spec"]["containers"]) for pod in cluster.flannel().values()} == {1}
    _workload.every_pair(cluster)


def test_uninstall_leaves_nothing_on_the_nodes(cluster: Cluster) -> None:
    cluster.kubectl("delete", "daemonset/echo", "service/echo", "--wait")
    cluster.await_("the pods gone", lambda: not cluster.pods("app=echo"))
    cluster.playbook("flannel_uninstall", flannel_hosts="kube_node", flannel_kubeconfig=str(cluster.kubeconfig)).ok()
    assert "kube-flannel" not in {each["metadata"]["name"] for each in cluster.get("namespaces")["items"]}
    for name, node in nodes(cluster).items():
        assert not [key for key in node["metadata"]["annotations"] if key.startswith(PREFIX)]
        assert "NetworkUnavailable" not in {each["type"] for each in node["status"]["conditions"]}
        left = cluster.inside(name, "sh", "-c", LEFT)
        assert left.split() == [], left
    cluster.await_("no node ready", lambda: set(cluster.ready().values()) == {"False"})


LEFT = """
ls -d /run/flannel /etc/cni/net.d/*flannel* /opt/cni/bin/flannel /sys/class/net/flannel* /sys/class/net/cni* 2>/dev/null
(nft list ruleset; iptables-save; ip6tables-save) | grep -i flannel
ip route | grep 10.244
true
"""


def test_flannel_from_nothing_makes_the_nodes_ready_and_a_second_run_changes_nothing(cluster: Cluster) -> None:
    cluster.role("flannel", **QUICK).ok()
    cluster.await_ready()
    unchanged(cluster.role("flannel", **QUICK))
    cluster.apply(*_workload.echo())
    cluster.kubectl("rollout", "status", "daemonset/echo", "--timeout=120s")
    _workload.every_pair(cluster)
