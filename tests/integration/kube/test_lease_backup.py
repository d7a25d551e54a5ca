# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Leases from an etcd to the Nodes of a real API server, and back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.tests.integration import _etcd, _kube
from ansible_collections.podnet.cni.tests.integration.etcd._lab import Lab
from ansible_collections.podnet.cni.tests.integration.kube._leases import CONFIG, NODES, PREFIX, Cluster, annotations

pytestmark = pytest.mark.kube
HOSTS = [{"name": name, "public_ip": f"198.18.0.{number}"} for number, name in enumerate(("one", "two", "three"), 1)]


@pytest.fixture
def cluster(kube: _kube.KubeServer) -> Iterator[Cluster]:
    yield Cluster(kube)
    kube.api("DELETE", NODES)


@pytest.fixture
def lab() -> Iterator[Lab]:
    """A network in an etcd, with a lease for each of the hosts."""
    with _etcd.running() as server:
        found = Lab(server, "/test/network")
        found.write_config(CONFIG)
        nodes = [{**host, "subnet": f"10.44.{number}.0/24"} for number, host in enumerate(HOSTS, 1)]
        assert found.module("flannel_lease", nodes=nodes)["changed"]
        yield found


def restore(cluster: Cluster, path: Path, **params: Any) -> dict[str, Any]:
    return cluster.module("flannel_lease_backup", path=str(path), state="restored", **params)


def test_to_nodes_and_back(cluster: Cluster, lab: Lab, tmp_path: Path) -> None:
    path = tmp_path / "leases.json"
    lab.module("flannel_lease_backup", path=str(path))
    cluster.kube.apply(*(_kube.node(name, [f"10.44.{number}.0/24"]) for number, name in ((1, "one"), (2, "two"))))
    nameless = restore(cluster, path)
    assert nameless["msg"].count("the name of its node is not known; give hosts") == 3
    missing = restore(cluster, path, hosts=HOSTS)
    assert "has no Node three" in missing["msg"]
    assert annotations(cluster.kube, "one") == {}
    wanted: dict[str, Any] = {"hosts": HOSTS, "create_nodes": True}
    planned = restore(cluster, path, check=True, diff=True, **wanted)
    assert planned["changed"], planned
    assert annotations(cluster.kube, "one") == {}
    done = restore(cluster, path, diff=True, **wanted)
    assert (done["actions"], done["diff"]) == (planned["actions"], planned["diff"])
    for (key, value), name in zip(sorted(lab.keys().items()), ("one", "two", "three")):
        data = json.dumps(json.loads(value)["BackendData"], separators=(",", ":"))
        assert annotations(cluster.kube, name)[PREFIX + "backend-data"] == data
        assert cluster.kube.api("GET", f"{NODES}/{name}")["spec"]["podCIDR"] == key.replace("-", "/")
    assert not restore(cluster, path, **wanted)["changed"]

    back = tmp_path / "back.json"
    assert cluster.module("flannel_lease_backup", path=str(back))["changed"]
    other = Lab(lab.etcd, "/back/network")
    assert other.module("flannel_lease_backup", path=str(back), state="restored")["changed"]
    assert other.keys() == lab.keys()


def test_what_a_cluster_cannot_hold_is_named(cluster: Cluster, lab: Lab, tmp_path: Path) -> None:
    path = tmp_path / "leases.json"
    lab.module("flannel_lease_backup", path=str(path), hosts=HOSTS)
    overwrite = {PREFIX + "public-ip-overwrite": "203.0.113.1"}
    cluster.kube.apply(
        _kube.node("one", ["10.44.9.0/24"]),
        _kube.node("two", ["10.44.2.0/24"], overwrite),
        _kube.node("stray", ["10.44.3.0/24"]),
    )
    told = restore(cluster, path, create_nodes=True)["msg"]
    assert "(one): the podCIDR of Node one is 10.44.9.0/24, which cannot change" in told
    assert "in the store, lease 10.44.3.0/24 of nobody (no public IP) (stray) has the same subnet" in told
    told = restore(cluster, path, create_nodes=True, exclude=["10.44.1.0/24", "10.44.3.0/24"])["msg"]
    assert "an annotation public-ip-overwrite" in told
    assert annotations(cluster.kube, "two") == overwrite
    lab.write_config({**CONFIG, "Backend": {"Type": "host-gw"}})
    lab.module("flannel_lease_backup", path=str(path), hosts=HOSTS, force=True)
    assert "Backend.Type is 'vxlan', not 'host-gw'" in restore(cluster, path)["msg"]
