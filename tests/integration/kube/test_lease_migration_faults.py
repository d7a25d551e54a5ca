# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A migration that is disturbed: by changes while hosts move, by others, by stores that are away, by its own end."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest import mock

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._stores import migration
from ansible_collections.podnet.cni.plugins.module_utils._stores.etcd_client import EtcdClient
from ansible_collections.podnet.cni.tests.integration import _etcd, _kube
from ansible_collections.podnet.cni.tests.integration.kube._leases import NODES, PREFIX, annotations
from ansible_collections.podnet.cni.tests.integration.kube._migration import NAMES, Network

pytestmark = pytest.mark.kube
MAC = "02:00:00:00:00:{}"


def eventually(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def reboot(network: Network, name: str, mac: str) -> None:
    """The flanneld of a host comes back with another MAC, in the store that it uses."""
    if network.stores[name] == "kubernetes":
        data = {PREFIX + "backend-data": json.dumps({"VNI": 1, "VtepMAC": mac}, separators=(",", ":"))}
        body = {"metadata": {"annotations": data}}
        network.kube.api("PATCH", f"{NODES}/{name}/status", body, "application/strategic-merge-patch+json")
        return
    key = f"10.44.{NAMES.index(name) + 1}.0-24"
    value = json.loads(network.lab.keys()[key])
    value["BackendData"]["VtepMAC"] = mac
    network.lab.etcd.put(f"{network.lab.prefix}/subnets/{key}", json.dumps(value, separators=(",", ":")))


def in_etcd(network: Network, name: str) -> str:
    return str(json.loads(network.lab.keys()[f"10.44.{NAMES.index(name) + 1}.0-24"])["BackendData"]["VtepMAC"])


def test_what_changes_while_a_wave_is_switched_is_carried_over(network: Network) -> None:
    network.add_nodes(1, 2, 3)
    network.migrate(unlock=False)
    network.stores["two"] = "kubernetes"
    network.migrate(unlock=False)
    with ThreadPoolExecutor(1) as threads:
        bridge = threads.submit(network.migrate, state="bridged", moving=["three"], interval=0.3)
        eventually(lambda: bool(network.lab.etcd.get("/test/network/migration-bridge")))
        before = network.mac("three")
        for name, mac in zip(NAMES, ("71", "72", "73")):
            reboot(network, name, MAC.format(mac))
        eventually(lambda: network.mac("one") == MAC.format("71") and in_etcd(network, "two") == MAC.format("72"))
        assert network.mac("three") == before, "nobody knows which of its leases is right"
        assert not bridge.done()
        # The next wave.
        network.stores["three"] = "etcd"
        mirrored = network.migrate(unlock=False)
        assert mirrored["actions"] == ["lease 10.44.3.0/24 of three to the cluster"]
        done = bridge.result(timeout=20)
    assert done["actions"] == ["lease 10.44.1.0/24 of one to the cluster", "lease 10.44.2.0/24 of two to etcd"]
    assert not network.migrate()["changed"]
    assert network.lab.etcd.get("/test/network/migration") == {}, "neither lock nor bridge is left"


def test_a_bridge_belongs_to_a_migration_and_ends_with_it(network: Network) -> None:
    network.add_nodes(1, 2, 3)
    refused = network.migrate(state="bridged")
    assert "/test/network/migration is held by nobody, and not by a test" in refused["msg"]
    network.migrate(lock="another", unlock=False)
    assert "is held by another" in network.migrate(state="bridged")["msg"]
    # Its controller was killed: nobody prolongs the lock.
    network.migrate(lock="another", unlock=False, lock_seconds=3)
    done = network.migrate(state="bridged", lock="another", interval=0.3)
    assert (done["changed"], done["actions"]) == (False, [])
    assert network.lab.etcd.get("/test/network/migration") == {}
    # What a bridge that was killed has left ends by itself, and is waited for.
    handle = network.lab.etcd.ctl("lease", "grant", "3").split()[1]
    network.lab.etcd.ctl("put", f"--lease={handle}", "--", "/test/network/migration-bridge", "1")
    started = time.monotonic()
    assert network.migrate()["hosts"]
    assert time.monotonic() - started > 1
    assert network.lab.etcd.get("/test/network/migration") == {}


def test_a_node_that_is_deleted_in_the_middle(network: Network) -> None:
    network.add_nodes(1, 2, 3)
    network.migrate(unlock=False)
    network.stores["one"] = "kubernetes"
    network.migrate(unlock=False)
    before = network.lab.keys()
    # Its host has not moved yet. Its kubelet registers it again, where nobody hands out podCIDRs.
    network.kube.api("DELETE", f"{NODES}/two")
    (problem,) = network.migrate(unlock=False)["problems"]
    assert "the cluster has no Node two" in problem
    network.kube.apply(_kube.node("two"))
    again = network.migrate(unlock=False)
    assert again["actions"] == ["set podCIDR 10.44.2.0/24 of Node two", "lease 10.44.2.0/24 of two to the cluster"]
    assert network.mac("two") == in_etcd(network, "two")
    # That of a host that has moved is its flanneld's to write. Nothing is guessed, and etcd keeps the lease.
    network.kube.api("DELETE", f"{NODES}/one")
    (problem,) = network.migrate()["problems"]
    assert "one runs with the cluster, which has no lease of 10.44.1.0/24 for it" in problem
    assert network.lab.keys() == before
    network.stores["one"] = "etcd"
    network.add_nodes(1)
    assert network.migrate("etcd")["changed"], "the way back is open, once its flanneld uses etcd"


def test_two_that_start_at_the_same_moment(network: Network) -> None:
    network.add_nodes(1, 2, 3)
    with ThreadPoolExecutor(4) as threads:
        runs = [threads.submit(network.migrate, lock=f"number {each}", unlock=False) for each in range(4)]
        results = [run.result() for run in runs]
    refused = [result["msg"] for result in results if result.get("failed")]
    assert len(refused) == 3
    assert all("another migration of these leases" in text for text in refused)
    (holder,) = network.lab.etcd.get("/test/network/migration").values()
    assert holder.startswith("number ")


def test_a_store_that_is_away_is_named_and_the_lock_given_back(network: Network) -> None:
    network.add_nodes(1, 2, 3)
    away = network.kube.directory / "away"
    away.write_text(network.cluster.kubeconfig.read_text().replace(str(network.kube.port), "1"))
    before = network.lab.keys()
    failed = network.migrate(kubeconfig=str(away))
    assert "cannot connect" in failed["msg"] and "127.0.0.1:1" in failed["msg"]
    assert network.lab.etcd.get("/test/network/migration") == {}
    network.lab.etcd.kill()
    failed = network.migrate(etcd_timeout=2)
    assert "etcd is unreachable" in failed["msg"]
    network.lab.etcd.start()
    assert network.lab.keys() == before and annotations(network.kube, "one") == {}
    assert network.migrate()["changed"]


def test_without_a_quorum_nothing_is_begun(kube: _kube.KubeServer) -> None:
    with _etcd.three() as members:
        network = Network.fresh(kube, members[2])
        network.add_nodes(1, 2, 3)
        for member in members[:2]:
            member.kill()
        failed = network.migrate(etcd_timeout=2)
        assert f"etcd is unreachable: {members[2].url}: " in failed["msg"]
        assert annotations(network.kube, "one") == {}
        members[0].launch()
        members[0].await_health()
        assert network.migrate()["changed"], "two of three are enough"
    kube.api("DELETE", NODES)


def until_killed(params: dict[str, Any], writes: int) -> None:
    """Run the module's work in this process, and end it behind so many writes, in whichever store."""
    left = itertools.count(writes - 1, -1)
    call, request = EtcdClient.call, KubeClient.request

    def called(self: EtcdClient, path: str, body: dict[str, Any], *, write: bool = False) -> dict[str, Any]:
        answer = call(self, path, body, write=write)
        if write and next(left) <= 0:
            os._exit(9)
        return answer

    def requested(self: KubeClient, method: str, path: str, **more: Any) -> Any:
        answer = request(self, method, path, **more)
        if method != "GET" and next(left) <= 0:
            os._exit(9)
        return answer

    with mock.patch.object(EtcdClient, "call", called), mock.patch.object(KubeClient, "request", requested):
        migration.run(params, print, check_mode=False, diff=False)
    os._exit(0)


@pytest.mark.parametrize("to", ["kubernetes", "etcd"])
def test_a_controller_that_is_killed_behind_any_write(network: Network, to: str) -> None:
    network.add_nodes(1, 2)
    network.kube.apply(_kube.node("three"))
    if to == "etcd":
        network.migrate()
        network.stores = dict.fromkeys(NAMES, "kubernetes")
        network.migrate()
        network.migrate(state="emptied")
    macs = {name: in_etcd(network, name) if to == "kubernetes" else network.mac(name) for name in NAMES}
    writes = 0
    while True:
        writes += 1
        # Each run is another one's, as after a restart, and the lock is taken from the one that is no more.
        params = network.options(to, lock=f"run {writes}", force_lock=True)
        process = multiprocessing.get_context("fork").Process(target=until_killed, args=(params, writes))
        process.start()
        process.join(60)
        if process.exitcode != 9:
            break
        for name, mac in macs.items():
            source = in_etcd(network, name) if to == "kubernetes" else network.mac(name)
            assert source == mac, "the store that hosts use is left alone"
    assert process.exitcode == 0
    assert writes >= 3, "it was killed behind the lock, and behind the leases"
    assert not network.migrate(to)["changed"]
    assert {name: network.mac(name) for name in NAMES} == {name: in_etcd(network, name) for name in NAMES} == macs
    assert [network.pod_cidr(name) for name in NAMES] == [f"10.44.{number}.0/24" for number in (1, 2, 3)]
    assert network.lab.etcd.get("/test/network/migration") == {}
