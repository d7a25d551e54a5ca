# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""From flannel to Canal and back: in the cluster, and in the CNI directory of a node."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.tests.integration.canal.conftest import Cluster, Outcome, containers, play

pytestmark = pytest.mark.kube

FLANNEL = {"cniVersion": "0.3.1", "name": "cbr0", "plugins": [{"type": "flannel"}]}
CANAL = {"cniVersion": "0.3.1", "name": "cbr0", "plugins": [{"type": "calico"}]}
BINDING = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/flannel"
REFUSAL: dict[str, Any] = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "ValidatingWebhookConfiguration",
    "metadata": {"name": "gone"},
    "webhooks": [
        {
            "name": "gone.example.com",
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "failurePolicy": "Fail",
            "clientConfig": {"url": "https://127.0.0.1:1/validate"},
            "rules": [
                {"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["daemonsets"], "operations": ["CREATE"]}
            ],
        }
    ],
}


def network_name(cluster: Cluster) -> str:
    return str(json.loads(cluster.config()["cni_network_config"].replace("__CNI_MTU__", "0"))["name"])


def test_to_canal_and_back_with_interruptions(cluster: Cluster) -> None:
    assert cluster.flannel().code == 0
    assert cluster.run().failed_with("Canal can take its place")
    assert cluster.run("from_flannel", backend="host-gw").failed_with("backend vxlan -> host-gw")

    mark = cluster.server.audit_mark()
    assert cluster.run("from_flannel", check=True).code == 0
    assert cluster.writes(mark) == []

    cluster.server.apply(REFUSAL)
    assert cluster.run("from_flannel").failed_with("gone.example.com")
    assert cluster.daemonset() is None
    cluster.server.api("DELETE", cluster.server.path_of(REFUSAL))
    assert cluster.run("from_flannel").changed >= 1
    assert cluster.daemonset("kube-flannel", "kube-flannel-ds") is None
    assert cluster.get(BINDING) is None
    assert cluster.role("flannel") is not None, "Canal's account needs it"
    assert containers(cluster.daemonset())["kube-flannel"]
    assert network_name(cluster) == "cbr0", "addresses that pods have are not given out again"
    mark = cluster.server.audit_mark()
    assert cluster.run("from_flannel").changed == 0
    assert cluster.run().changed == 0
    assert cluster.writes(mark) == []

    other = {"flannel_vni": 7}
    mark = cluster.server.audit_mark()
    assert cluster.run("to_flannel", others=other).failed_with("VNI 1 -> 7")
    assert cluster.run("to_flannel", check=True).code == 0
    assert cluster.writes(mark) == []
    cluster.server.apply(REFUSAL)
    assert cluster.run("to_flannel").failed_with("gone.example.com")
    assert cluster.daemonset() is None
    cluster.server.api("DELETE", cluster.server.path_of(REFUSAL))
    # A node is Ready as long as its runtime has Canal's configuration.
    nodes = "/api/v1/nodes"
    cluster.server.api("POST", nodes, {"metadata": {"name": "node1"}})
    status = {"status": {"conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]}}
    cluster.server.api("PATCH", f"{nodes}/node1/status", status, "application/strategic-merge-patch+json")
    assert cluster.run("to_flannel").code == 0
    cluster.server.api("DELETE", f"{nodes}/node1")
    found = cluster.get("/api/v1/namespaces/kube-flannel/configmaps/kube-flannel-cfg")
    assert found is not None
    assert json.loads(found["data"]["cni-conf.json"])["name"] == "cbr0"
    assert cluster.daemonset("kube-flannel", "kube-flannel-ds") is not None

    assert cluster.run("uninstall").changed == 1
    assert cluster.role("calico-node") is None
    assert cluster.role("flannel") is not None, "flannel needs it"
    mark = cluster.server.audit_mark()
    assert cluster.run("to_flannel").changed == 0
    assert cluster.run("uninstall").changed == 0
    assert cluster.writes(mark) == []


def test_while_a_node_does_not_answer_the_cluster_stays_as_it_is(cluster: Cluster) -> None:
    assert cluster.flannel().code == 0
    away = {"ansible_connection": "{{ 'ssh' if inventory_hostname == 'node-2' else 'local' }}", "ansible_port": 1}
    mark = cluster.server.audit_mark()
    done = cluster.migrate("node-1,node-2", "-e", json.dumps({**away, "ansible_host": "127.0.0.1"}), to="canal")
    assert done.failed_with("node-2 failed or did not answer, so the cluster was not changed.")
    assert cluster.writes(mark) == []
    assert cluster.daemonset("kube-flannel", "kube-flannel-ds") is not None


class Node:
    """A CNI directory, and the entry point for nodes run on it."""

    def __init__(self, directory: Path) -> None:
        self.work = directory
        self.net_d = directory / "net.d"
        self.programs = directory / "bin"
        self.subnet_file = directory / "subnet.env"
        for each in (self.net_d, self.programs):
            each.mkdir()
        for name in ("flannel", "bridge", "host-local", "portmap"):
            (self.programs / name).write_text("#!/bin/sh\n")
            (self.programs / name).chmod(0o755)

    def write(self, name: str, content: Any) -> None:
        (self.net_d / name).write_text(content if isinstance(content, str) else json.dumps(content))

    def files(self) -> list[str]:
        return sorted(each.name for each in self.net_d.iterdir())

    def switch(self, network: str, *, check: bool = False, **variables: Any) -> Outcome:
        wanted = {
            "nodes_network": network,
            "cni_conf_dir": str(self.net_d),
            "plugin_dirs": [str(self.programs)],
            "nodes_subnet_file": str(self.subnet_file),
            "wait_timeout": 5,
            **variables,
        }
        variables = {f"canal_{name}": value for name, value in wanted.items()}
        return play(self.work, "podnet.cni.canal", variables, "nodes", check)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_node_goes_to_canal_when_canals_file_is_there_and_valid(node: Node) -> None:
    node.write("10-flannel.conflist", FLANNEL)
    node.write("10-canal.conflist", json.dumps(CANAL)[:40])
    outcome = node.switch("canal")
    assert outcome.code != 0
    assert node.files() == ["10-canal.conflist", "10-flannel.conflist"], "half a file is not a network"

    node.write("10-canal.conflist", CANAL)
    assert node.switch("canal", check=True).changed == 1
    assert node.files() == ["10-canal.conflist", "10-flannel.conflist"]
    assert node.switch("canal").changed == 1
    assert node.files() == ["10-canal.conflist"]
    assert node.switch("canal").changed == 0


def test_node_goes_to_flannel_when_flannel_can_serve_it(node: Node) -> None:
    node.write("10-canal.conflist", CANAL)
    node.write("calico-kubeconfig", "credentials")
    assert node.switch("flannel", nodes_final=False).changed == 0, "left for later"
    assert node.files() == ["10-canal.conflist", "calico-kubeconfig"]
    assert node.switch("flannel").failed_with("which the plugin flannel reads")

    node.subnet_file.write_text("FLANNEL_NETWORK=10.244.0.0/16\n")
    (node.programs / "flannel").unlink()
    assert node.switch("flannel").failed_with("CNI plugins flannel are not executable files")
    assert node.files() == ["10-canal.conflist", "calico-kubeconfig"]

    (node.programs / "flannel").write_text("#!/bin/sh\n")
    (node.programs / "flannel").chmod(0o755)
    assert node.switch("flannel", check=True).changed >= 1
    assert node.files() == ["10-canal.conflist", "calico-kubeconfig"]
    assert node.switch("flannel", nodes_final=False).changed == 1
    assert node.files() == ["10-flannel.conflist", "calico-kubeconfig"]
    assert json.loads((node.net_d / "10-flannel.conflist").read_text())["name"] == "cbr0"

    # Canal's pod was restarted meanwhile and wrote its file again.
    node.write("10-canal.conflist", CANAL)
    assert node.switch("flannel").changed == 2
    assert node.files() == ["10-flannel.conflist"]
    assert node.switch("flannel").changed == 0


def test_what_flannels_pod_wrote_is_kept(node: Node) -> None:
    node.subnet_file.write_text("FLANNEL_NETWORK=10.244.0.0/16\n")
    node.write("10-canal.conflist", CANAL)
    own = {**FLANNEL, "plugins": [{"type": "flannel", "delegate": {"mtu": 1400}}]}
    node.write("10-flannel.conflist", own)
    assert node.switch("flannel").changed == 1
    assert node.files() == ["10-flannel.conflist"]
    assert json.loads((node.net_d / "10-flannel.conflist").read_text()) == own
