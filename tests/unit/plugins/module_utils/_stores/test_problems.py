# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What counts as a problem, and which leases a new config strands."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import network_config
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import Lease
from ansible_collections.podnet.cni.plugins.module_utils._stores import problems
from ansible_collections.podnet.cni.plugins.module_utils._stores.base import Entry, Listing

VXLAN = {"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}


def lease(subnet: str, address: str | None, **more: Any) -> Lease:
    return Lease(
        IPv4Network(subnet),
        public_ip=None if address is None else IPv4Address(address),
        **{"backend_type": "vxlan", **more},
    )


def found(*leases: Lease, config: dict[str, Any] | None = None, hosts: Any = None, within: int = 0) -> set[Any]:
    listing = Listing(tuple(Entry(str(one.subnet), "", one, 1) for one in leases), (), 1)
    parsed = None if config is None else network_config.parse(config)
    return {(one.kind, one.key) for one in problems.find_problems(listing, parsed, problems.parse_hosts(hosts), within)}


def test_nothing_wrong() -> None:
    good = lease("10.244.1.0/24", "198.18.0.1", backend_data={"VNI": 1, "VtepMAC": "02:00:00:00:00:01"}, ttl=50)
    assert found(good, config=VXLAN, hosts=["198.18.0.1"], within=50) == set()


def test_overlap_names_every_lease_inside_a_wider_one() -> None:
    leases = [
        lease("10.244.0.0/22", "198.18.0.1"),
        lease("10.244.1.0/24", "198.18.0.2"),
        lease("10.244.3.0/24", "198.18.0.3"),
        lease("10.244.4.0/24", "198.18.0.4"),
    ]
    assert found(*leases) == {("overlap", "10.244.1.0/24"), ("overlap", "10.244.3.0/24")}


@given(st.sets(st.tuples(st.integers(0, 15), st.integers(24, 28)), max_size=12))
def test_overlap_agrees_with_comparing_every_pair(blocks: set[tuple[int, int]]) -> None:
    leases = [
        lease(str(IPv4Network((0x0AF40000 + (number << (32 - length)), length))), f"198.18.0.{place}")
        for place, (number, length) in enumerate(sorted(blocks))
    ]
    reported = {key for kind, key in found(*leases) if kind == "overlap"}
    inner = set()
    for one in leases:
        for other in leases:
            if one is not other and one.subnet and other.subnet and one.subnet.subnet_of(other.subnet):
                inner.add(str(one.subnet))
    assert reported == inner


def test_blocked_subnets_overlap_too() -> None:
    blocked = Entry("10.244.1.0-24", "{", Lease(IPv4Network("10.244.1.0/24")), 1)
    good = Entry("10.244.0.0-22", "", lease("10.244.0.0/22", "198.18.0.1"), 1)
    listing = Listing((good,), (), 1, (blocked,))
    assert [one.kind for one in problems.find_problems(listing, None, None, 0)] == ["overlap"]


def test_shared_address_of_either_family_is_reported_once() -> None:
    both = {"public_ipv6": IPv6Address("fd00:18::1")}
    same = [lease("10.244.1.0/24", "198.18.0.1", **both), lease("10.244.2.0/24", "198.18.0.1", **both)]
    assert found(*same) == {("duplicate_public_ip", "198.18.0.1")}
    other = [lease("10.244.1.0/24", "198.18.0.1", **both), lease("10.244.2.0/24", "198.18.0.2", **both)]
    assert found(*other) == {("duplicate_public_ip", "fd00:18::1")}


def test_shared_mac_whatever_its_case_but_not_of_one_host() -> None:
    one = lease("10.244.1.0/24", "198.18.0.1", backend_data={"VtepMAC": "02:00:00:00:00:0A"})
    other = lease("10.244.2.0/24", "198.18.0.2", backend_data={"VtepMAC": "02:00:00:00:00:0a"})
    assert found(one, other) == {("duplicate_vtep_mac", "02:00:00:00:00:0a")}
    again = lease("10.244.2.0/24", "198.18.0.1", backend_data={"VtepMAC": "02:00:00:00:00:0a"})
    assert found(one, again) == {("duplicate_public_ip", "198.18.0.1")}


@pytest.mark.parametrize("hosts", [["198.18.0.1"], [{"name": "a", "public_ip": "198.18.0.1"}]])
def test_orphans_need_a_list_of_hosts(hosts: list[Any]) -> None:
    leases = [lease("10.244.1.0/24", "198.18.0.1"), lease("10.244.2.0/24", "198.18.0.2"), lease("10.244.3.0/24", None)]
    assert found(*leases, hosts=hosts) == {("orphan", "10.244.2.0/24"), ("orphan", "10.244.3.0/24")}
    assert found(*leases) == set()
    assert len(found(*leases, hosts=[])) == 3


def test_a_node_behind_nat_is_known_by_its_name() -> None:
    hosts = [{"name": "edge", "public_ip": "198.18.0.1"}]
    assert found(lease("10.244.1.0/24", "198.18.7.7", name="edge"), hosts=hosts) == set()
    assert found(lease("10.244.1.0/24", "198.18.7.7", name="gone"), hosts=hosts) == {("orphan", "10.244.1.0/24")}
    assert found(lease("10.244.1.0/24", "198.18.7.7"), hosts=["198.18.0.1"]) == {("orphan", "10.244.1.0/24")}


def test_host_is_known_by_either_address() -> None:
    one = Lease(None, IPv6Network("fd00:18:0:1::/64"), public_ipv6=IPv6Address("fd00:18:ffff::1"))
    assert found(one, hosts=[{"public_ipv6": "fd00:18:ffff::1"}]) == set()
    assert found(one, hosts=["198.18.0.1"]) == {("orphan", "fd00:18:0:1::/64")}


@pytest.mark.parametrize("hosts", [["x"], [{}], [{"name": "h", "public_ip": "1.2.3"}], [None]])
def test_bad_host(hosts: list[Any]) -> None:
    with pytest.raises(InputError, match=r"hosts\[0\]"):
        problems.parse_hosts(hosts)


@pytest.mark.parametrize(
    ("one", "part"),
    [
        (lease("10.244.1.0/24", "198.18.0.1"), ""),
        (lease("10.244.0.0/24", "198.18.0.1"), "not one that the network hands out"),
        (lease("10.244.2.0/23", "198.18.0.1"), "not one that the network hands out"),
        (lease("10.244.1.0/24", "198.18.0.1", backend_type="host-gw"), "its backend is host-gw"),
        (lease("10.244.1.0/24", "198.18.0.1", backend_type=""), "its backend is not named"),
        (lease("10.244.1.0/24", "198.18.0.1", backend_data={"VNI": 2}), "its VNI is 2"),
        (lease("10.244.1.0/24", "198.18.0.1", backend_data="odd"), ""),
    ],
)
def test_misfit(one: Lease, part: str) -> None:
    reason = problems.misfit(network_config.parse(VXLAN), one)
    assert part in reason
    assert bool(reason) == bool(part)


def test_config_strands_only_what_fitted_before() -> None:
    before = network_config.parse(VXLAN)
    after = network_config.parse({**VXLAN, "Network": "10.245.0.0/16"})
    leases = [
        lease("10.244.1.0/24", "198.18.0.1"),
        lease("10.9.0.0/24", "198.18.0.2"),
        lease("10.245.1.0/24", "198.18.0.3"),
    ]
    assert [one for one, _reason in problems.stranded(leases, before, after)] == leases[:1]
    assert [one for one, _reason in problems.stranded(leases, None, after)] == leases[:2]
    assert problems.stranded(leases, before, before) == []
