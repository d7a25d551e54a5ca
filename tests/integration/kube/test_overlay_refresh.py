# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host without an agent that follows its peers on the Nodes of a real API server, with the rights of the role."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

from ansible_collections.podnet.cni.tests.integration import _kube
from ansible_collections.podnet.cni.tests.integration._netns import Segment
from ansible_collections.podnet.cni.tests.integration.dataplane import _leases
from ansible_collections.podnet.cni.tests.integration.etcd._relay import Relay
from ansible_collections.podnet.cni.tests.integration.kube._leases import NODES, PREFIX, Cluster
from ansible_collections.podnet.cni.tests.integration.refresh._node import CONFIG, Node, listener

pytestmark = pytest.mark.kube
ROLE = Path(__file__).parents[3] / "roles" / "overlay"
CONFIG_MAP = "/api/v1/namespaces/kube-flannel/configmaps/kube-flannel-cfg"
MERGE = "application/merge-patch+json"
MAC = "02:00:00:04:00:{:02x}"
NEW_MAC = "02:aa:bb:cc:dd:02"


def account() -> list[dict[str, Any]]:
    """What the role makes in the cluster, but for the Secret, which only a controller manager would fill."""
    environment = jinja2.Environment(autoescape=jinja2.select_autoescape(default_for_string=False))
    environment.filters["to_json"] = json.dumps
    text = (ROLE / "templates" / "refresh-account.yaml.j2").read_text(encoding="utf-8")
    defaults = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text(encoding="utf-8"))
    made = environment.from_string(text).render(**defaults, _overlay_refresh_config_map="kube-flannel-cfg")
    return [item for item in yaml.safe_load(made)["items"] if item["kind"] != "Secret"]


class Nodes:
    """Leases of nodes, written as a flanneld would."""

    def __init__(self, kube: _kube.KubeServer) -> None:
        self.kube = kube

    def add(self, number: int) -> None:
        """The Node of node C(number)."""
        lease = _leases.lease(number)
        annotations = {
            PREFIX + "kube-subnet-manager": "true",
            PREFIX + "backend-type": "vxlan",
            PREFIX + "public-ip": lease["public_ip"],
            PREFIX + "backend-data": json.dumps(lease["backend_data"], separators=(",", ":")),
        }
        self.kube.apply(_kube.node(lease["name"], [lease["subnet"]], annotations))

    def annotate(self, number: int, **annotations: str) -> None:
        named = {PREFIX + name.replace("_", "-"): value for name, value in annotations.items()}
        self.kube.api("PATCH", f"{NODES}/node-{number}/status", {"metadata": {"annotations": named}}, MERGE)

    def new_mac(self) -> None:
        self.annotate(2, backend_data=json.dumps({"VNI": 1, "VtepMAC": NEW_MAC}, separators=(",", ":")))

    def delete(self, number: int) -> None:
        self.kube.api("DELETE", f"{NODES}/node-{number}")

    def config(self, value: Any) -> None:
        self.kube.api("PATCH", CONFIG_MAP, {"data": {"net-conf.json": json.dumps(value)}}, MERGE)


@pytest.fixture
def nodes(kube: _kube.KubeServer) -> Iterator[Nodes]:
    """The Nodes of three hosts, and one that no flanneld has, as that of a control plane."""
    Cluster(kube)
    found = Nodes(kube)
    found.config(CONFIG)
    for number in (1, 2, 3):
        found.add(number)
    kube.apply(_kube.node("control-plane", ["10.5.200.0/24"]), *account())
    yield found
    kube.api("DELETE", NODES)


@pytest.fixture
def node(nodes: Nodes, tmp_path: Path) -> Iterator[Node]:
    """Node 1, made with its peers 2 and 3, on a host that reaches the API server."""
    if os.geteuid():
        pytest.skip("network namespaces need root")
    store = {
        "store": "kubernetes",
        "kubeconfig": str(nodes.kube.token_kubeconfig("podnet-overlay-refresh", "kube-system")),
        "kube_namespace": "kube-flannel",
        "kube_config_map": "kube-flannel-cfg",
    }
    with Segment(1) as segment, Relay(nodes.kube.port, listener(segment.hosts[0], nodes.kube.port)):
        found = Node(segment.hosts[0], tmp_path, store)
        found.made(2, 3)
        yield found


def test_a_run_follows_the_nodes_and_the_next_has_nothing_to_do(node: Node, nodes: Nodes) -> None:
    nodes.new_mac()
    nodes.delete(3)
    nodes.add(4)
    code, said = node.refreshed()
    assert code == 0, said
    assert node.peers() == {"10.5.2.0/24": NEW_MAC, "10.5.4.0/24": MAC.format(4)}
    lines = said.splitlines()
    assert "remove route 10.5.3.0/24 via 10.5.3.0 dev flannel.1 onlink" in lines
    assert any(line.startswith("+ ") and NEW_MAC in line for line in lines), said
    assert NEW_MAC in (node.directory / "restore" / "ip.batch").read_text(), "a reboot brings back what is right now"
    before = node.holds()
    code, said = node.refreshed()
    assert (code, node.holds()) == (0, before)
    assert "2 peers are as their leases say" in said
    admin = {"store": "kubernetes", "kubeconfig": str(nodes.kube.admin), "lease": {"name": "node-1"}}
    found = node.host.module(check=True, module="flannel_dataplane", **node.made_with, **admin)
    assert found["actions"] == [], "the playbook agrees"
    token = json.loads(Path(node.settings["kubeconfig"]).read_text())["users"][0]["user"]["token"]
    assert token not in said


def test_a_config_of_the_inventory_takes_the_place_of_the_config_map(node: Node, nodes: Nodes) -> None:
    nodes.kube.api("DELETE", CONFIG_MAP)
    nodes.new_mac()
    code, said = node.refreshed()
    assert code == 1 and "has no net-conf.json in ConfigMap kube-flannel/kube-flannel-cfg" in said
    code, said = node.refreshed(kube_config_map=None)
    assert code == 0, said
    assert node.peers()["10.5.2.0/24"] == NEW_MAC


def test_with_a_client_certificate(node: Node, nodes: Nodes) -> None:
    nodes.new_mac()
    path = nodes.kube.certificate_kubeconfig("hosts", groups=("system:masters",))
    code, said = node.refreshed(kubeconfig=str(path))
    assert code == 0, said
    assert node.peers()["10.5.2.0/24"] == NEW_MAC


def test_what_a_cluster_cannot_tell_for_sure_changes_nothing(node: Node, nodes: Nodes) -> None:
    def refused(*reasons: str) -> None:
        code, said = node.refreshed()
        assert (code, node.holds()) == (1, before), said
        assert all(reason in said for reason in (*reasons, "nothing was changed")), said
        assert "Traceback" not in said

    before = node.holds()
    nodes.new_mac()
    nodes.annotate(3, backend_data="not JSON")
    refused("the lease node-3 cannot be read")
    nodes.add(3)
    nodes.annotate(3, public_ip="198.18.0.300")
    refused("the lease node-3 cannot be read")
    nodes.add(3)
    nodes.annotate(1, public_ip="198.18.0.9")
    refused("is that of 198.18.0.9 now")
    nodes.delete(1)
    refused("has no lease for 10.5.1.0/24, which is this node's subnet")
    nodes.delete(2)
    nodes.delete(3)
    refused("holds no lease")
    for number in (1, 2, 3):
        nodes.add(number)
    nodes.config({**CONFIG, "Backend": {"Type": "host-gw"}})
    refused("the network config has changed since podnet.cni.overlay ran here", "Backend.Type is 'host-gw'")
    nodes.config("x")
    refused("cannot be used")
    nodes.config({**CONFIG, "SubnetLen": 25})
    nodes.new_mac()
    assert node.refreshed()[0] == 0, "a cluster hands out subnets by rules of its own"
    assert node.peers()["10.5.2.0/24"] == NEW_MAC


def test_an_identity_that_cannot_read_changes_nothing(node: Node, nodes: Nodes, tmp_path: Path) -> None:
    nodes.new_mac()
    before = node.holds()
    kube = nodes.kube

    def refused(path: Path) -> str:
        code, said = node.refreshed(kubeconfig=str(path))
        assert (code, node.holds()) == (1, before)
        assert "; nothing was changed" in said and "Traceback" not in said
        return said

    said = refused(kube.limited_kubeconfig("nobody", []))
    assert "403" in said and "This program only reads: get and list of nodes are enough" in said
    said = refused(kube.write_kubeconfig("stale", {"token": "not-a-token"}))
    assert "401 Unauthorized. Renew the credentials" in said and "not-a-token" not in said
    said = refused(kube.certificate_kubeconfig("late", lifetime=datetime.timedelta(hours=-1)))
    assert "401 Unauthorized. The client certificate expired at 20" in said
    text = Path(node.settings["kubeconfig"]).read_text()
    away = tmp_path / "away"
    away.write_text(text.replace(str(kube.port), "1"))
    assert "cannot connect" in refused(away)
    foreign = tmp_path / "foreign"
    authority = kube.write_kubeconfig("foreign", {"token": "x"}, authority=_kube.Authority(tmp_path).certificate)
    foreign.write_text(authority.read_text())
    assert "refuses the server's certificate" in refused(foreign)
    assert "is not JSON" in refused(Path(__file__))
