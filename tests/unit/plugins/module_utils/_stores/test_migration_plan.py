# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is written while hosts move between stores: planned from what is there, and stopped anywhere without harm."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import network_config
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import Lease
from ansible_collections.podnet.cni.plugins.module_utils._stores import migration_plan as plans
from ansible_collections.podnet.cni.plugins.module_utils._stores.base import Entry, Listing
from ansible_collections.podnet.cni.plugins.module_utils._stores.migration_plan import ETCD, KUBERNETES, Host

DAY = 86400


def lease(number: int, *, mac: int = 0, ttl: int | None = None, address: int = 0, name: str = "") -> Lease:
    return Lease(
        IPv4Network((0x0AF40000 | number << 8, 24)),
        public_ip=IPv4Address(0xC6120000 | (address or number)),
        backend_type="vxlan",
        backend_data={"VNI": 1, "VtepMAC": f"02:00:00:00:00:{mac or number:02x}"},
        ttl=ttl,
        name=name,
    )


def host(number: int, store: str = ETCD, **more: Any) -> Host:
    return Host(f"n{number}", lease(number).subnet, store=store, **more)


@dataclass
class World:
    """Both stores: leases in etcd by their subnets, Nodes with their podCIDR and their lease."""

    etcd: dict[Any, Lease]
    nodes: dict[str, tuple[Any, Lease | None]]

    @classmethod
    def of(cls, etcd: Sequence[Lease], nodes: Sequence[tuple[str, Any, Lease | None]]) -> World:
        return cls({one.subnet: one for one in etcd}, {name: (subnet, one) for name, subnet, one in nodes})

    @property
    def stores(self) -> plans.Stores:
        waiting = [(name, subnet) for name, (subnet, one) in self.nodes.items() if subnet is not None and one is None]
        return plans.Stores(
            Listing(tuple(Entry(str(key), "", one, 1) for key, one in self.etcd.items()), (), 1),
            Listing(
                tuple(Entry(name, "", one, 1) for name, (_subnet, one) in self.nodes.items() if one is not None),
                (),
                1,
                tuple(Entry(name, "", Lease(subnet, name=name), 1) for name, subnet in waiting),
            ),
            {name: (subnet, None) for name, (subnet, _lease) in self.nodes.items()},
        )

    def apply(self, operation: plans.Operation) -> None:
        one = operation.lease
        if operation.action == plans.SET_POD_CIDR:
            assert self.nodes[one.name] == (None, None), "a podCIDR is set once"
            self.nodes[one.name] = (one.subnet, None)
        elif operation.store == KUBERNETES:
            subnet, _before = self.nodes.setdefault(one.name, (one.subnet, None))
            assert subnet == one.subnet
            self.nodes[one.name] = (subnet, replace(one, ttl=None))
        else:
            self.etcd[one.subnet] = replace(one, ttl=None, name="")

    def copy(self) -> World:
        return World(dict(self.etcd), dict(self.nodes))


def fits(_lease: Lease) -> str:
    return ""


MISFIT: dict[str, Callable[[Lease], str]] = {ETCD: fits, KUBERNETES: fits}


def planned(world: World, hosts: Sequence[Host], to: str = KUBERNETES, **more: Any) -> plans.Plan:
    return plans.plan(hosts, world.stores, to, MISFIT, **more)


def texts(plan: plans.Plan) -> list[str]:
    assert plan.problems == []
    return [one.text for one in plan.operations]


@st.composite
def worlds(draw: st.DrawFn) -> tuple[World, list[Host], str]:
    """A network in the middle of a migration: some hosts here, some there, some copied, some changed since."""
    world, hosts = World({}, {}), []
    for number in range(1, draw(st.integers(1, 6)) + 1):
        store = draw(st.sampled_from([ETCD, KUBERNETES, ""]))
        name, subnet = f"n{number}", lease(number).subnet
        mirrored = draw(st.sampled_from(["missing", "same", "changed"]))
        right = lease(number, ttl=DAY if store == ETCD else None)
        stale = replace(lease(number, mac=100 + number), ttl=None)
        where = store or draw(st.sampled_from([ETCD, KUBERNETES]))
        copy = {"missing": None, "same": right, "changed": right if store == "" else stale}[mirrored]
        in_etcd, in_cluster = (right, copy) if where == ETCD else (copy, right)
        if in_etcd is not None:
            expires = store == ETCD or draw(st.booleans())
            world.etcd[subnet] = replace(in_etcd, ttl=DAY if expires else None)
        has = in_cluster is not None or draw(st.booleans())
        node = None if in_cluster is None else replace(in_cluster, ttl=None, name=name)
        world.nodes[name] = (subnet if has else None, node)
        hosts.append(Host(name, subnet, store=store))
    return world, hosts, draw(st.sampled_from([ETCD, KUBERNETES]))


@given(worlds(), st.data())
def test_any_prefix_of_the_operations_is_finished_by_the_next_run(
    start: tuple[World, list[Host], str], data: st.DataObject
) -> None:
    world, hosts, to = start
    operations = planned(world, hosts, to)
    assert operations.problems == []
    straight, broken = world.copy(), world.copy()
    for one in operations.operations:
        straight.apply(one)
    for one in operations.operations[: data.draw(st.integers(0, len(operations.operations)))]:
        broken.apply(one)
    again = planned(broken, hosts, to)
    assert again.problems == []
    for one in again.operations:
        broken.apply(one)
    if not plans.is_emptied(hosts, world.stores, to):
        assert broken == straight
    assert texts(planned(straight, hosts, to)) == []


@given(worlds())
def test_no_lease_is_lost_and_no_subnet_is_handed_out_twice(start: tuple[World, list[Host], str]) -> None:
    world, hosts, to = start
    done = world.copy()
    for one in planned(world, hosts, to).operations:
        done.apply(one)
        # At each moment, not only in the end.
        names = [name for name, (subnet, _lease) in done.nodes.items() if subnet is not None]
        assert len({done.nodes[name][0] for name in names}) == len(names)
        assert set(done.etcd) >= set(world.etcd)
    for each in hosts:
        right = world.stores.find(each.store or ETCD, each) or world.stores.find(KUBERNETES, each)
        assert right is not None
        for store in (ETCD, KUBERNETES):
            found = done.stores.find(store, each)
            if plans.is_emptied(hosts, world.stores, to):
                assert found == world.stores.find(store, each)
                continue
            assert found is not None
            assert replace(found, ttl=None) == replace(right, ttl=None), "subnet, public IP and MAC are kept"
            if store == ETCD and each.store == KUBERNETES:
                assert found.ttl is None, "nobody renews it"
            if each.store == store:
                assert found == world.stores.find(store, each), "what a flanneld wrote is left alone"


def test_from_etcd_to_nodes_of_every_kind() -> None:
    world = World.of(
        [lease(1, ttl=DAY), lease(2, ttl=DAY), lease(3)],
        [("n1", lease(1).subnet, None), ("n2", None, None)],
    )
    hosts = [host(1), host(2), host(3, "")]
    assert planned(world, hosts).problems == [
        "the cluster has no Node n3. Let its kubelet register one, correct the name, or let Nodes be made for hosts "
        "without a kubelet with create_nodes"
    ]
    plan = planned(world, hosts, create_nodes=True)
    assert texts(plan) == [
        "set podCIDR 10.244.2.0/24 of Node n2",
        "lease 10.244.1.0/24 of n1 to the cluster",
        "lease 10.244.2.0/24 of n2 to the cluster",
        "lease 10.244.3.0/24 of n3 to the cluster",
    ]
    assert [(one.action, one.store) for one in plan.operations[:2]] == [
        (plans.SET_POD_CIDR, KUBERNETES),
        (plans.WRITE, KUBERNETES),
    ]


def test_a_host_that_moved_is_kept_in_etcd_and_followed_there() -> None:
    world = World.of([lease(1, ttl=DAY)], [("n1", lease(1).subnet, lease(1, name="n1"))])
    assert texts(planned(world, [host(1, KUBERNETES)])) == [
        "lease 10.244.1.0/24 of n1 in etcd: keep it although nobody renews it"
    ]
    world.nodes["n1"] = (lease(1).subnet, lease(1, mac=9, name="n1"))
    (operation,) = planned(world, [host(1, KUBERNETES)]).operations
    assert (operation.action, operation.store) == (plans.WRITE, ETCD)
    world.apply(operation)
    assert world.etcd[lease(1).subnet] == lease(1, mac=9)


def test_once_the_old_store_is_empty_nothing_is_written_to_it() -> None:
    nodes = [(f"n{number}", lease(number).subnet, lease(number, name=f"n{number}")) for number in (1, 2)]
    hosts = [host(1, KUBERNETES), host(2, "")]
    assert texts(planned(World.of([], nodes), hosts)) == []
    assert len(planned(World.of([lease(1)], nodes), hosts).operations) == 1
    assert len(planned(World.of([], nodes), hosts, ETCD).operations) == 2, "on the way back it is the new one"


def test_a_pod_cidr_that_cannot_be_changed_is_told_with_the_ways_out() -> None:
    world = World.of([lease(1), lease(2)], [("n1", lease(9).subnet, None), ("n2", lease(2).subnet, None)])
    assert planned(world, [host(1), host(2)]).problems == [
        "Node n1 has podCIDR 10.244.9.0/24, and the host uses 10.244.1.0/24; a podCIDR cannot be changed. Delete the "
        "Node and let it register again, without a podCIDR, which is then set to 10.244.1.0/24; or lease the host "
        "10.244.9.0/24 in etcd beforehand (flannel_lease with subnet), and start its pods anew; or leave the host out"
    ]


def test_what_contradicts_is_named_and_not_decided() -> None:
    taken = World.of([lease(1)], [("n1", None, None), ("stray", lease(1).subnet, None)])
    assert "has the same subnet" in planned(taken, [host(1)]).problems[0]
    differ = World.of([lease(1)], [("n1", lease(1).subnet, lease(1, mac=9, name="n1"))])
    assert "has no agent, and its leases differ" in planned(differ, [host(1, "")]).problems[0]
    foreign = World.of([lease(1), lease(2)], [("n1", lease(1).subnet, None)])
    assert "etcd has lease 10.244.2.0/24" in planned(foreign, [host(1)]).problems[0]
    assert texts(planned(foreign, [host(1)], leave=[lease(2).subnet])) == ["lease 10.244.1.0/24 of n1 to the cluster"]
    moved = World.of([lease(1, address=7)], [("n1", lease(1).subnet, lease(1, name="n1"))])
    assert "has the same subnet" in planned(moved, [host(1, KUBERNETES)], ETCD).problems[0]


def test_a_host_whose_lease_nobody_knows() -> None:
    empty = World.of([], [("n1", lease(1).subnet, None)])
    assert "runs with etcd, which has no lease of 10.244.1.0/24" in planned(empty, [host(1)]).problems[0]
    assert "neither store has a lease" in planned(empty, [host(1, "")]).problems[0]
    other = World.of([], [("n1", lease(2).subnet, lease(2, name="n1"))])
    assert (
        "uses 10.244.1.0/24, and its lease in the cluster is 10.244.2.0/24"
        in (planned(other, [host(1, KUBERNETES)]).problems[0])
    )


@pytest.mark.parametrize(
    ("release", "to", "count"),
    [("v0.24.0/flanneld", KUBERNETES, 1), ("v0.24.0", ETCD, 0), ("v0.24.1", KUBERNETES, 0), ("", KUBERNETES, 0)],
)
def test_a_release_that_forgets_its_mac(release: str, to: str, count: int) -> None:
    world = World.of([lease(1)], [("n1", lease(1).subnet, None)])
    assert len(planned(world, [host(1, release=release)], to).problems) == count


def test_emptying_waits_for_the_last_host() -> None:
    world = World.of(
        [lease(1), lease(2), lease(3)],
        [(f"n{number}", lease(number).subnet, lease(number, name=f"n{number}")) for number in (1, 2)],
    )
    leases, against = plans.emptying([host(1, KUBERNETES), host(2, ETCD), host(3, "")], world.stores, KUBERNETES)
    assert [one.name for one in leases] == ["n1"]
    assert against == ["n2 still runs with etcd, and would lose its lease", "n3 has no lease in the cluster"]
    world.nodes["n1"] = (lease(1).subnet, lease(1, mac=9, name="n1"))
    assert plans.emptying([host(1, KUBERNETES)], world.stores, KUBERNETES) == (
        [],
        ["the lease of n1 in etcd is not the one in the cluster"],
    )


def test_network_configs_are_compared_without_showing_secrets() -> None:
    keys = ["A" * 43 + "=", "B" * 43 + "="]
    one, other = (
        network_config.parse({"Network": "10.244.0.0/16", "Backend": {"Type": "wireguard", "PSK": key}}) for key in keys
    )
    assert plans.config_problems(one, one) == []
    assert plans.config_problems(one, other) == ["Backend.PSK is not the same"]
    longer = network_config.parse({"Network": "10.244.0.0/16", "SubnetLen": 25, "Backend": {"Type": "vxlan"}})
    plain = network_config.parse({"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}})
    assert plans.config_problems(longer, plain) == [], "a cluster hands subnets out by rules of its own"


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ([], "hosts is empty"),
        ([{"name": "a"}], r"hosts\[0\] \(a\): it has no subnet"),
        ([{"name": "a", "subnet": "x"}], "subnet 'x' is not a subnet"),
        ([{"name": "a", "subnet": "fd00::/64"}], "is not of IPv4"),
        ([{"name": "a", "subnet": "10.1.1.0/24"}, {"name": "a", "subnet": "10.1.2.0/24"}], "have a both"),
        ([{"name": "a", "subnet": "10.1.1.0/24"}, {"name": "b", "subnet": "10.1.1.1/24"}], "have 10.1.1.0/24 both"),
    ],
)
def test_hosts_that_cannot_be_told_apart(items: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(InputError, match=words):
        plans.parse_hosts(items)


def test_hosts_are_read_as_subnet_files_have_them() -> None:
    (found,) = plans.parse_hosts([{"name": "a", "subnet": "10.244.1.1/24", "store": None, "release": None}])
    assert found == Host("a", lease(1).subnet)
