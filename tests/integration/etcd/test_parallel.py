# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Several controllers at once, and an etcd that dies under them: nothing is handed out twice, a rerun converges."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_network
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._stores.base import StoreError
from ansible_collections.podnet.cni.plugins.module_utils._stores.etcd_client import EtcdClient
from ansible_collections.podnet.cni.plugins.module_utils._stores.options import from_params
from ansible_collections.podnet.cni.tests.integration.etcd._lab import MODULES, VXLAN, Lab, environment, node

CONTROLLERS = 8
EACH = 400
# 4096 subnets for 3200 nodes, so that controllers want the same ones.
CROWDED = {**VXLAN, "Network": "10.16.0.0/12"}


def check_consistent(lab: Lab, addresses: set[str]) -> None:
    """Every address has one lease, and no two leases overlap."""
    keys = lab.keys()
    owners = Counter(json.loads(value)["PublicIP"] for value in keys.values())
    assert set(owners) == addresses
    assert set(owners.values()) == {1}
    networks = sorted(ip_network(key.replace("-", "/")) for key in keys)
    assert not any(one.overlaps(other) for one, other in zip(networks, networks[1:]))


@pytest.mark.parametrize("same_nodes", [False, True], ids=["disjoint", "identical"])
def test_eight_controllers_at_once(lab: Lab, same_nodes: bool) -> None:
    lab.write_config(CROWDED)
    sets = [
        [node(number + (0 if same_nodes else controller * EACH)) for number in range(EACH)]
        for controller in range(CONTROLLERS)
    ]
    with ThreadPoolExecutor(CONTROLLERS) as pool:
        results = list(pool.map(lambda nodes: lab.module("flannel_lease", nodes=nodes), sets))
    assert [result.get("msg") for result in results] == [None] * CONTROLLERS
    check_consistent(lab, {item["public_ip"] for nodes in sets for item in nodes})
    stored = lab.keys()
    for nodes, result in zip(sets, results):
        assert [lease["name"] for lease in result["leases"]] == [item["name"] for item in nodes]
        for lease in result["leases"]:
            value = json.loads(stored[lease["subnet"].replace("/", "-")])
            assert value["PublicIP"] == lease["public_ip"], "what a controller was told is what stands"


class Killer(EtcdClient):
    """Kills etcd right before, or while, a given write is under way."""

    def __init__(self, lab: Lab, at: int, *, delay: float | None) -> None:
        super().__init__(from_params({**lab.options, "etcd_timeout": 3.0}))
        self._etcd, self._at, self._delay = lab.etcd, at, delay
        self._timer: threading.Timer | None = None

    def call(self, path: str, body: dict[str, Any], *, write: bool = False) -> dict[str, Any]:
        if write:
            self._at -= 1
            if self._at == 0 and self._delay is None:
                self._etcd.kill()
            elif self._at == 0:
                self._timer = threading.Timer(self._delay or 0.0, self._etcd.kill)
                self._timer.start()
        return super().call(path, body, write=write)

    def wait(self) -> None:
        """Wait until etcd is dead."""
        if self._timer is not None:
            self._timer.join()


@pytest.mark.parametrize("delay", [None, 0.0, 0.003, 0.01])
def test_etcd_killed_in_the_middle_then_rerun(own_lab: Lab, delay: float | None) -> None:
    lab = own_lab
    lab.write_config(CROWDED)
    nodes = [node(number) for number in range(1500)]
    client = Killer(lab, 5, delay=delay)
    with pytest.raises(StoreError, match=r"etcd.*of 1500 leases were written"):
        lab.acquire(nodes, lab.store(client))
    client.wait()
    lab.etcd.start()
    before = lab.keys()
    assert 4 * 126 <= len(before) < 1500
    rerun = lab.module("flannel_lease", nodes=nodes)
    assert rerun["changed"]
    check_consistent(lab, {item["public_ip"] for item in nodes})
    after = lab.keys()
    assert {key: after[key] for key in before} == before, "what was handed out stays"
    assert not lab.module("flannel_lease", nodes=nodes)["changed"]


def test_module_run_survives_etcd_being_killed_and_started(own_lab: Lab) -> None:
    """A whole module process; etcd dies once the first leases stand. The module fails and names the endpoint."""
    lab = own_lab
    lab.write_config({**VXLAN, "Network": "10.0.0.0/8"})
    nodes = [node(number) for number in range(5000)]
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(lab.module, "flannel_lease", nodes=nodes, etcd_timeout=3)
        revision = lab.etcd.revision()
        while lab.etcd.revision() < revision + 5 and not running.done():
            time.sleep(0.01)
        lab.etcd.kill()
        result = running.result()
    lab.etcd.start()
    if result.get("failed"):
        assert lab.etcd.url in result["msg"]
    assert "failed" not in lab.module("flannel_lease", nodes=nodes)
    check_consistent(lab, {item["public_ip"] for item in nodes})


def test_two_controllers_of_which_one_is_killed(lab: Lab) -> None:
    """SIGKILL of a controller leaves whole leases only; the other one, and a rerun, work with them."""
    lab.write_config({**VXLAN, "Network": "10.0.0.0/8"})
    nodes = [node(number) for number in range(3000)]
    arguments = json.dumps({"ANSIBLE_MODULE_ARGS": {**lab.options, "nodes": nodes}})
    victim = subprocess.Popen(
        [sys.executable, str(MODULES / "flannel_lease.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment(),
    )
    assert victim.stdin is not None
    victim.stdin.write(arguments)
    victim.stdin.close()
    while not lab.keys() and victim.poll() is None:
        time.sleep(0.01)
    victim.kill()
    victim.wait()
    assert 0 < len(lab.keys()) <= 3000
    lab.module("flannel_lease", nodes=nodes[1500:])
    lab.module("flannel_lease", nodes=nodes)
    check_consistent(lab, {item["public_ip"] for item in nodes})


def test_two_plays_at_once_with_different_configs(lab: Lab) -> None:
    """Whoever comes second is refused by what the other one wrote; leases stand in one config, and nothing is lost."""
    plays = {4096: [node(1), node(2)], 5000: [node(3), node(4)]}

    def config(vni: int) -> dict[str, Any]:
        return {**VXLAN, "Backend": {"Type": "vxlan", "VNI": vni}}

    def play(vni: int, begin: threading.Barrier) -> list[dict[str, Any]]:
        """Write the config and lease, as the role overlay does; it ends where a module fails."""
        begin.wait(60)
        done = [lab.module("flannel_network", network_config=config(vni))]
        if not done[0].get("failed"):
            done.append(lab.module("flannel_lease", nodes=plays[vni], network_config=config(vni)))
        return done

    for _round in range(3):
        lab.etcd.ctl("del", "--prefix", lab.prefix)
        begin = threading.Barrier(len(plays))
        with ThreadPoolExecutor(len(plays)) as pool:
            results = dict(zip(plays, pool.map(play, plays, [begin] * len(plays))))
        stored = json.loads(lab.etcd.get(f"{lab.prefix}/config")[f"{lab.prefix}/config"])["Backend"]["VNI"]
        failed = {vni: done[-1] for vni, done in results.items() if done[-1].get("failed")}
        assert failed.keys() == plays.keys() - {stored}, results
        (told,) = failed.values()
        assert "VNI" in told["msg"], told["msg"]
        check_consistent(lab, {item["public_ip"] for item in plays[stored]})
        # The second one, started again, is refused as well: leases stand that another network would strand.
        (second,) = failed
        again = play(second, threading.Barrier(1))
        assert again[-1]["failed"], again
        check_consistent(lab, {item["public_ip"] for item in plays[stored]})


def test_a_play_whose_config_was_replaced_before_it_leased(lab: Lab) -> None:
    first, second = ({**VXLAN, "Backend": {"Type": "vxlan", "VNI": vni}} for vni in (4096, 5000))
    assert lab.module("flannel_network", network_config=first)["changed"]
    assert lab.module("flannel_network", network_config=second)["changed"], "no lease stands yet"
    told = lab.module("flannel_lease", nodes=[node(1)], network_config=first)
    assert told["failed"]
    assert "the network config is not the one of this play (Backend is {" in told["msg"], told["msg"]
    assert "'VNI': 5000" in told["msg"]
    assert lab.keys() == {}
    assert lab.module("flannel_lease", nodes=[node(1)], network_config=second)["changed"]
