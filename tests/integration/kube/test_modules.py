# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lease modules as Ansible runs them, with the leases on the Nodes of a real API server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.podnet.cni.plugins.module_utils._flannel.vtep import derive_mac
from ansible_collections.podnet.cni.tests.integration import _kube
from ansible_collections.podnet.cni.tests.integration.kube._leases import NODES, PREFIX, Cluster, annotations

pytestmark = pytest.mark.kube


@pytest.fixture
def cluster(kube: _kube.KubeServer) -> Iterator[Cluster]:
    yield Cluster(kube)
    kube.api("DELETE", NODES)


def test_check_write_again_release(cluster: Cluster) -> None:
    cluster.kube.apply(_kube.node("one", ["10.44.1.0/24"]))
    nodes = [
        {"name": "one", "public_ip": "198.18.0.1"},
        {"name": "edge", "public_ip": "198.18.0.9", "subnet": "10.44.240.0/24"},
    ]
    wanted: dict[str, Any] = {"nodes": nodes, "create_nodes": True}
    planned = cluster.module("flannel_lease", check=True, diff=True, **wanted)
    assert planned["changed"], planned
    assert annotations(cluster.kube, "one") == {}
    done = cluster.module("flannel_lease", diff=True, **wanted)
    assert (done["leases"], done["actions"], done["diff"]) == (planned["leases"], planned["actions"], planned["diff"])
    assert done["actions"] == ["lease 10.44.1.0/24 to one: assigned", "lease 10.44.240.0/24 to edge: created"]
    mac = derive_mac("edge", 1)
    assert annotations(cluster.kube, "edge")[PREFIX + "backend-data"] == f'{{"VNI":1,"VtepMAC":"{mac}"}}'
    assert not cluster.module("flannel_lease", **wanted)["changed"]

    info = cluster.module("flannel_lease_info", hosts=["198.18.0.1", "198.18.0.9"])
    assert info["problems"] == []
    assert sorted(info["leases"], key=str) == sorted(done["leases"], key=str)
    assert (info["capacity"], info["network_config"]["Network"]) == (None, "10.44.0.0/16")

    gone = {"nodes": [{"name": "edge"}], "state": "absent"}
    assert cluster.module("flannel_lease", check=True, **gone)["changed"]
    assert cluster.module("flannel_lease", **gone)["leases"] == [done["leases"][1]]
    assert [node["metadata"]["name"] for node in cluster.kube.api("GET", NODES)["items"]] == ["one"]
    assert not cluster.module("flannel_lease", **gone)["changed"]


def test_an_unassigned_external_host_in_check_mode(cluster: Cluster) -> None:
    nodes = [{"name": "edge", "public_ip": "198.18.0.9"}]
    planned = cluster.module("flannel_lease", check=True, nodes=nodes, create_nodes=True)
    assert planned["actions"] == [
        "lease 10.44.80.0/24 to edge: created; the cluster chooses its subnet, and this one is an example"
    ]
    assert cluster.kube.api("GET", NODES)["items"] == []


def test_a_stored_mac_is_kept(cluster: Cluster) -> None:
    stored = '{"VNI":1,"VtepMAC":"b6:20:f3:27:16:83"}'
    found = {
        PREFIX + "kube-subnet-manager": "true",
        PREFIX + "backend-type": "vxlan",
        PREFIX + "backend-data": stored,
        PREFIX + "public-ip": "198.18.0.1",
    }
    cluster.kube.apply(_kube.node("one", ["10.44.1.0/24"], found))
    done = cluster.module("flannel_lease", nodes=[{"name": "one", "public_ip": "198.18.0.2"}])
    assert done["actions"] == ["update lease 10.44.1.0/24 of one: attributes changed"]
    assert annotations(cluster.kube, "one")[PREFIX + "backend-data"] == stored
    assert annotations(cluster.kube, "one")[PREFIX + "public-ip"] == "198.18.0.2"


def test_info_reports_what_flannel_would_stumble_over(cluster: Cluster) -> None:
    managed = {PREFIX + "kube-subnet-manager": "true"}
    data = {PREFIX + "backend-type": "vxlan", PREFIX + "backend-data": '{"VNI":1,"VtepMAC":"02:00:00:00:00:01"}'}
    cluster.kube.apply(
        _kube.node("half", ["10.44.1.0/24"], managed),
        _kube.node("outside", ["10.99.1.0/24"], {**managed, **data, PREFIX + "public-ip": "198.18.0.2"}),
        _kube.node("udp", ["10.44.3.0/24"], {**managed, PREFIX + "public-ip": "198.18.0.3"}),
    )
    info = cluster.module("flannel_lease_info")
    assert [(problem["kind"], problem["key"]) for problem in info["problems"]] == [
        ("unreadable_node", "half"),
        ("misfit", "10.99.1.0/24"),
        ("misfit", "10.44.3.0/24"),
    ]


def test_a_missing_config_is_a_problem_for_info_and_a_failure_for_lease(cluster: Cluster) -> None:
    admin = str(cluster.kube.admin)
    info = cluster.module("flannel_lease_info", kubeconfig=admin, kube_namespace="elsewhere")
    assert [problem["kind"] for problem in info["problems"]] == ["no_network_config"]
    wanted: dict[str, Any] = {"kube_namespace": "elsewhere", "nodes": [{"name": "one"}]}
    done = cluster.module("flannel_lease", kubeconfig=admin, **wanted)
    assert done["failed"]
    assert "elsewhere/kube-flannel-cfg" in done["msg"]
    assert "is forbidden" in cluster.module("flannel_lease", **wanted)["msg"], "not allowed is not the same as missing"


def test_k3s_has_no_config_map(cluster: Cluster) -> None:
    cluster.kube.apply(_kube.node("one", ["10.42.1.0/24"]))
    config = {"Network": "10.42.0.0/16", "Backend": {"Type": "host-gw"}}
    nodes = [{"name": "one", "public_ip": "198.18.0.1"}]
    done = cluster.module("flannel_lease", kube_namespace="elsewhere", network_config=config, nodes=nodes)
    assert done["leases"][0]["backend_type"] == "host-gw"
    assert annotations(cluster.kube, "one")[PREFIX + "backend-data"] == "null"


def test_a_ttl_is_refused(cluster: Cluster) -> None:
    cluster.kube.apply(_kube.node("one", ["10.44.1.0/24"]))
    done = cluster.module("flannel_lease", ttl=60, nodes=[{"name": "one", "public_ip": "198.18.0.1"}])
    assert "do not expire" in done["msg"]


def test_errors_name_the_context_and_hide_the_token(cluster: Cluster, tmp_path: Path) -> None:
    content = yaml.safe_load(cluster.kubeconfig.read_text())
    secret = content["users"][0]["user"]["token"]
    done = cluster.module("flannel_lease_info", kubeconfig=content, kube_namespace="elsewhere")
    text = json.dumps(done)
    assert secret not in text
    assert "podnet-leases" in json.dumps(done["invocation"]), "what is no secret stays readable"
    missing = cluster.module("flannel_lease_info", kubeconfig=str(tmp_path / "nothing"))
    assert str(tmp_path / "nothing") in missing["msg"]
