# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Leases of hosts that move between a real etcd and the Nodes of a real API server."""

from __future__ import annotations

import json

import pytest

from ansible_collections.podnet.cni.tests.integration import _etcd, _kube
from ansible_collections.podnet.cni.tests.integration.etcd._lab import Lab
from ansible_collections.podnet.cni.tests.integration.kube._leases import CONFIG, NODES, PREFIX, annotations
from ansible_collections.podnet.cni.tests.integration.kube._migration import NAMES, Network

pytestmark = pytest.mark.kube


def test_there_and_back_host_by_host(network: Network) -> None:
    network.add_nodes(1, 2)
    network.kube.apply(_kube.node("three"))
    before = network.lab.keys()
    planned = network.migrate(check=True, diff=True)
    assert planned["changed"]
    assert annotations(network.kube, "one") == {}
    assert network.lab.etcd.get("/test/network/migration") == {}
    done = network.migrate(diff=True)
    assert (done["actions"], done["diff"]) == (planned["actions"], planned["diff"])
    assert done["actions"][0] == "set podCIDR 10.44.3.0/24 of Node three"
    assert network.pod_cidr("three") == "10.44.3.0/24"
    assert network.lab.keys() == before, "what flannelds wrote is left alone"
    for (_key, value), name in zip(sorted(before.items()), NAMES):
        assert network.mac(name) == json.loads(value)["BackendData"]["VtepMAC"]
    assert not network.migrate()["changed"]

    # The first host has moved. Then it comes back from a reboot with another MAC.
    network.stores["one"] = "kubernetes"
    kept = network.migrate()
    assert kept["actions"] == ["lease 10.44.1.0/24 of one in etcd: keep it although nobody renews it"]
    assert len(network.ends()) == 2
    data = {PREFIX + "backend-data": '{"VNI":1,"VtepMAC":"02:00:00:00:00:77"}'}
    body = {"metadata": {"annotations": data}}
    network.kube.api("PATCH", f"{NODES}/one/status", body, "application/strategic-merge-patch+json")
    followed = network.migrate()
    assert followed["actions"] == ["lease 10.44.1.0/24 of one to etcd"]
    assert "02:00:00:00:00:77" in network.lab.keys()["10.44.1.0-24"]
    assert followed["hosts"][0]["etcd"]["backend_data"] == followed["hosts"][0]["kubernetes"]["backend_data"]

    # Nothing is emptied before the last one has left.
    refused = network.migrate(state="emptied")
    assert refused["problems"] == [f"{name} still runs with etcd, and would lose its lease" for name in NAMES[1:]]
    network.stores = dict.fromkeys(NAMES, "kubernetes")
    assert len(network.migrate()["actions"]) == 2
    assert network.ends() == []
    assert network.migrate(state="emptied", check=True)["changed"]
    assert len(network.lab.keys()) == 3
    emptied = network.migrate(state="emptied")
    assert "release lease 10.44.1.0/24 of one in etcd" in emptied["actions"]
    assert network.lab.keys() == {}
    assert not network.migrate(state="emptied")["changed"]
    assert not network.migrate()["changed"], "what was emptied is not filled again"

    back = network.migrate("etcd")
    assert len(back["actions"]) == 3
    assert sorted(network.lab.keys()) == sorted(before)
    network.stores = dict.fromkeys(NAMES, "etcd")
    assert network.migrate("etcd", state="emptied")["changed"]
    assert annotations(network.kube, "two") == {}
    assert network.pod_cidr("three") == "10.44.3.0/24"
    assert not network.migrate("etcd")["changed"]


def test_everything_that_stands_against_it_is_told_at_once_and_nothing_is_written(network: Network) -> None:
    network.kube.apply(
        _kube.node("one", ["10.44.9.0/24"]), _kube.node("three"), _kube.node("stray", ["10.44.3.128/25"])
    )
    revision = network.lab.etcd.get("/test/network/subnets")
    told = network.migrate()
    assert len(told["problems"]) == 3, told
    assert "Node one has podCIDR 10.44.9.0/24" in told["problems"][0]
    assert "has no Node two" in told["problems"][1]
    assert "lease 10.44.3.128/25 of nobody (no public IP) (stray) overlaps it" in told["problems"][2]
    assert annotations(network.kube, "one") == {}
    assert network.pod_cidr("three") is None
    assert network.lab.etcd.get("/test/network/subnets") == revision
    assert network.lab.etcd.get("/test/network/migration") == {}, "a refusal gives the lock back"
    assert network.migrate(check=True)["problems"] == told["problems"]


def test_another_network_config_and_an_address_that_the_cluster_overwrites(network: Network) -> None:
    network.add_nodes(1, 2)
    network.kube.apply(_kube.node("three", ["10.44.3.0/24"], {PREFIX + "public-ip-overwrite": "203.0.113.1"}))
    assert "an annotation public-ip-overwrite" in network.migrate()["msg"]
    assert annotations(network.kube, "one") == {}, "it is found before the first is written"
    network.lab.write_config({**CONFIG, "Backend": {"Type": "vxlan", "VNI": 7}})
    (problem,) = network.migrate()["problems"]
    assert "Backend.VNI is 7, not 1" in problem
    network.lab.write_config({**CONFIG, "Backend": {"Type": "host-gw"}})
    (problem,) = network.migrate(network_config=CONFIG)["problems"]
    assert "is not that of network_config" in problem


def test_a_run_that_was_killed_in_the_middle_is_finished(network: Network) -> None:
    network.add_nodes(1, 2)
    network.kube.apply(_kube.node("three"))
    finished = network.migrate(check=True)["actions"]
    # As it is after a podCIDR and one of three leases.
    spec = {"spec": {"podCIDR": "10.44.3.0/24", "podCIDRs": ["10.44.3.0/24"]}}
    network.kube.api("PATCH", f"{NODES}/three", spec, "application/strategic-merge-patch+json")
    lease = network.cluster.module(
        "flannel_lease_info", **network.lab.options, store="etcd", hosts=[{"name": "one", "public_ip": "198.18.0.1"}]
    )["leases"][0]
    mac = lease["backend_data"]["VtepMAC"]
    node = {"name": "one", "public_ip": "198.18.0.1", "vtep_mac": mac}
    assert network.cluster.module("flannel_lease", nodes=[node])["changed"]
    rest = network.migrate()["actions"]
    assert rest == [text for text in finished if "podCIDR" not in text and "of one " not in text]
    assert not network.migrate()["changed"]


def test_hosts_without_a_kubelet_and_a_lease_that_is_left_behind(network: Network) -> None:
    del network.stores["three"]
    (problem,) = network.migrate(create_nodes=True)["problems"]
    assert "etcd has lease 10.44.3.0/24" in problem
    assert network.migrate(create_nodes=True, leave=["10.44.3.0/24"])["changed"]
    assert network.pod_cidr("two") == "10.44.2.0/24"
    network.stores = dict.fromkeys(network.stores, "kubernetes")
    assert network.migrate(leave=["10.44.3.0/24"])["changed"]
    assert network.migrate(state="emptied")["changed"]
    assert list(network.lab.keys()) == ["10.44.3.0-24"]
    network.stores = dict.fromkeys(network.stores, "etcd")


def test_a_cluster_that_never_had_an_etcd(network: Network) -> None:
    network.add_nodes(1, 2, 3)
    assert network.migrate()["changed"]
    network.stores = dict.fromkeys(NAMES, "kubernetes")
    other = Lab(network.lab.etcd, "/new/network")
    network.lab = other
    missing = network.migrate()
    assert "no network config under /new/network/config" in missing["msg"]
    planned = network.migrate("etcd", check=True)
    assert planned["actions"][0] == "write /new/network/config"
    assert other.etcd.get("/new/network/config") == {}
    assert network.migrate("etcd")["actions"] == planned["actions"]
    assert len(other.keys()) == 3
    assert not network.migrate("etcd")["changed"]


def test_two_at_once_are_refused(network: Network) -> None:
    network.add_nodes(1, 2, 3)
    assert network.migrate(lock="one of them", unlock=False)["changed"]
    refused = network.migrate("etcd", lock="the other")
    assert "another migration of these leases runs (one of them)" in refused["msg"]
    assert not network.migrate(lock="one of them", unlock=False)["changed"], "it is prolonged by whom it belongs to"
    assert network.migrate("etcd", lock="the other", check=True)["actions"] == [], "looking is allowed"
    taken = network.migrate("etcd", lock="the other", unlock=False, force_lock=True)
    assert not taken["changed"], taken
    assert "(the other)" in network.migrate(lock="one of them")["msg"], "whose lock was taken notices"
    assert not network.migrate("etcd", lock="the other")["changed"]
    assert network.lab.etcd.get("/test/network/migration") == {}
    assert "say who migrates" in network.migrate(lock="")["msg"]
    assert network.migrate(lock="short", unlock=False, lock_seconds=1)["hosts"]
    assert network.lab.etcd.get("/test/network/migration") != {}


@pytest.mark.parametrize(
    ("backend", "ipv6"), [("vxlan", True), ("host-gw", False), ("host-gw", True), ("wireguard", False), ("ipip", False)]
)
def test_networks_of_other_kinds_keep_all_that_their_leases_say(
    kube: _kube.KubeServer, backend: str, ipv6: bool
) -> None:
    with _etcd.running() as server:
        network = Network.fresh(kube, server, backend, ipv6=ipv6)
        network.add_nodes(1, 2)
        kube.apply(_kube.node("three"))
        before = network.lab.keys()
        assert len(before) == 3 and ("&fd00:44:0:1::-64" in min(before)) is ipv6
        assert network.migrate()["changed"]
        value = json.loads(before[min(before)])
        found = annotations(kube, "one")
        assert found[PREFIX + "backend-type"] == backend
        assert json.loads(found[PREFIX + "backend-data"]) == value.get("BackendData")
        assert found[PREFIX + "public-ip"] == value["PublicIP"]
        if ipv6:
            assert json.loads(found[PREFIX + "backend-v6-data"]) == value.get("BackendV6Data")
            assert found[PREFIX + "public-ipv6"] == "fd00:18::1"
        spec = kube.api("GET", f"{NODES}/three")["spec"]
        assert spec["podCIDRs"] == ["10.44.3.0/24", *(["fd00:44:0:3::/64"] if ipv6 else [])]
        network.stores = dict.fromkeys(NAMES, "kubernetes")
        network.migrate()
        assert network.migrate(state="emptied")["changed"]
        assert network.lab.keys() == {}
        assert network.migrate("etcd")["changed"]
        assert network.lab.keys() == before, "byte for byte what flannelds wrote"
    kube.api("DELETE", NODES)
