# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Allocation follows flannel v0.28.9 (pkg/subnet/etcd/local_manager_test.go) and never hands out anything twice."""

from __future__ import annotations

import itertools
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError, InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import allocation, network_config
from ansible_collections.podnet.cni.plugins.module_utils._flannel.allocation import Request
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import Lease

CONFIG = network_config.parse(
    {"Network": "10.3.0.0/16", "SubnetMin": "10.3.1.0", "SubnetMax": "10.3.25.0", "Backend": {"Type": "vxlan"}}
)
DUAL = network_config.parse(
    {"Network": "10.3.0.0/16", "EnableIPv6": True, "IPv6Network": "fd00:3::/48", "Backend": {"Type": "vxlan"}}
)
EXISTING = [
    Lease(IPv4Network(f"10.3.{third}.0/24"), public_ip=IPv4Address(f"1.1.1.{last}"))
    for third, last in ((1, 1), (2, 1), (4, 1), (5, 2), (22, 3))
]


def request(number, **wishes):
    return Request(f"node-{number}", IPv4Address(f"198.18.0.{number}"), IPv6Address(f"fd00:18::{number}"), **wishes)


def subnets(decisions):
    return [str(decision.subnet) for decision in decisions]


def test_a_new_node_gets_a_free_subnet_inside_the_bounds():
    (decision,) = allocation.allocate(CONFIG, EXISTING, [request(9)])
    assert decision.reason == "allocated"
    assert CONFIG.subnet_min <= decision.subnet.network_address <= CONFIG.subnet_max
    assert all(not decision.subnet.overlaps(lease.subnet) for lease in EXISTING)


def test_the_lease_of_the_same_public_ip_is_reused():
    (decision,) = allocation.allocate(CONFIG, EXISTING, [Request("a", IPv4Address("1.1.1.1"))])
    assert (decision.reason, str(decision.subnet), decision.lease) == ("reused", "10.3.1.0/24", EXISTING[0])
    assert decision.obsolete == ()


def test_an_incompatible_lease_of_the_same_public_ip_has_to_go():
    old = Lease(IPv4Network("10.4.1.0/24"), public_ip=IPv4Address("198.18.0.9"))
    (decision,) = allocation.allocate(CONFIG, [*EXISTING, old], [request(9)])
    assert decision.reason == "allocated"
    assert decision.obsolete == (old,)
    assert decision.subnet.subnet_of(CONFIG.network)


@pytest.mark.parametrize(
    ("previous", "reason"),
    [
        ("10.3.6.0/24", "previous"),
        ("10.3.5.0/24", "allocated"),
        ("10.4.1.0/24", "allocated"),
        ("10.3.6.0/25", "allocated"),
    ],
)
def test_the_previous_subnet_is_taken_when_it_is_free_and_fits(previous, reason):
    (decision,) = allocation.allocate(CONFIG, EXISTING, [request(9, previous_subnet=IPv4Network(previous))])
    assert decision.reason == reason
    assert (str(decision.subnet) == previous) == (reason == "previous")


def test_a_lease_of_any_size_blocks_what_it_overlaps():
    half = Lease(IPv4Network("10.3.0.0/17"), public_ip=IPv4Address("1.1.1.9"))
    with pytest.raises(ConflictError, match=r"node-9: no free /24 subnet is left in 10\.3\.0\.0/16, which holds 25"):
        allocation.allocate(CONFIG, [half], [request(9)])
    small = Lease(IPv4Network("10.3.7.128/30"), public_ip=IPv4Address("1.1.1.9"))
    taken = allocation.allocate(CONFIG, [small], [request(number) for number in range(1, 25)])
    assert "10.3.7.0/24" not in subnets(taken)


def test_only_the_first_hundred_free_subnets_are_candidates():
    config = network_config.parse({"Network": "10.0.0.0/8", "Backend": {"Type": "vxlan"}})
    drawn = {allocation.allocate(config, [], [request(1)], seed=seed)[0].subnet for seed in range(300)}
    assert min(drawn) >= IPv4Network("10.0.1.0/24")
    assert max(drawn) <= IPv4Network("10.0.100.0/24")
    assert len(drawn) > 50


def test_a_seed_makes_the_draw_repeatable():
    nodes = [request(number) for number in range(1, 20)]
    once, again = (allocation.allocate(DUAL, [], nodes, seed=7) for _round in range(2))
    assert once == again
    assert subnets(allocation.allocate(DUAL, [], nodes, seed=8)) != subnets(once)


def test_by_name_does_not_depend_on_the_order():
    nodes = [request(number) for number in range(1, 9)]
    forth = {d.request.name: d.subnet for d in allocation.allocate(DUAL, [], nodes, choice="by_name")}
    back = {d.request.name: d.subnet for d in allocation.allocate(DUAL, [], nodes[::-1], choice="by_name")}
    assert forth == back


def test_pins_are_honoured_before_draws():
    nodes = [request(1), request(2, subnet=IPv4Network("10.3.1.0/24"))]
    config = network_config.parse(
        {"Network": "10.3.0.0/16", "SubnetMin": "10.3.1.0", "SubnetMax": "10.3.2.0", "Backend": {"Type": "vxlan"}}
    )
    decisions = allocation.allocate(config, [], nodes)
    assert subnets(decisions) == ["10.3.2.0/24", "10.3.1.0/24"]
    assert [decision.reason for decision in decisions] == ["allocated", "pinned"]


def test_a_pin_moves_a_node_and_drops_its_other_leases():
    own = Lease(IPv4Network("10.3.8.0/24"), public_ip=IPv4Address("198.18.0.9"))
    (decision,) = allocation.allocate(CONFIG, [own], [request(9, subnet=IPv4Network("10.3.9.0/24"))])
    assert (decision.reason, decision.obsolete) == ("pinned", (own,))
    (decision,) = allocation.allocate(CONFIG, [own], [request(9, subnet=IPv4Network("10.3.8.0/24"))])
    assert (decision.reason, decision.lease, decision.obsolete) == ("reused", own, ())


def test_an_ipv4_lease_keeps_its_subnet_when_the_network_becomes_dual_stack():
    own = Lease(IPv4Network("10.3.8.0/24"), public_ip=IPv4Address("198.18.0.9"))
    (decision,) = allocation.allocate(DUAL, [own], [request(9)])
    assert str(decision.subnet) == "10.3.8.0/24"
    assert decision.ipv6_subnet.subnet_of(DUAL.ipv6_network)
    assert decision.obsolete == (own,)


@pytest.mark.parametrize(
    ("nodes", "kind", "wrong"),
    [
        ([request(1), request(1)], InputError, "node-1: the node is listed twice"),
        ([request(1), replace(request(1), name="b")], InputError, "b: public IP 198.18.0.1 is also that of node-1"),
        ([Request("a")], InputError, "a: public_ip is missing"),
        ([Request("a", IPv4Address("10.3.4.5"))], InputError, "lies inside the pod network 10.3.0.0/16"),
        ([Request("a", IPv4Address("127.0.0.1"))], InputError, "127.0.0.1 is not an address that peers could send to"),
        ([request(1, subnet=IPv4Network("10.9.1.0/24"))], InputError, "pin a /24 from 10.3.1.0 to 10.3.25.0"),
        ([request(1, subnet=IPv4Network("10.3.1.0/25"))], InputError, "10.3.1.0/25 does not fit"),
        ([request(1, ipv6_subnet=IPv6Network("fd00::/64"))], InputError, "IPv6 disabled"),
        (
            [request(1, subnet=IPv4Network("10.3.5.0/24"))],
            ConflictError,
            "overlaps the lease 10.3.5.0/24 of public IP 1.1.1.2",
        ),
        (
            [request(1, subnet=IPv4Network("10.3.7.0/24")), request(2, subnet=IPv4Network("10.3.7.0/24"))],
            InputError,
            "node-1 and node-2: their pinned subnets 10.3.7.0/24 and 10.3.7.0/24 overlap",
        ),
    ],
)
def test_contradictions_are_refused_by_name(nodes, kind, wrong):
    with pytest.raises(kind) as error:
        allocation.allocate(CONFIG, EXISTING, nodes)
    assert wrong in str(error.value)


def test_the_range_can_be_used_up_to_the_last_subnet():
    nodes = [request(number) for number in range(1, 26)]
    assert len(set(subnets(allocation.allocate(CONFIG, [], nodes)))) == 25
    with pytest.raises(ConflictError, match="node-26"):
        allocation.allocate(CONFIG, [], [*nodes, request(26)])


def test_free_subnets_counts_what_is_left():
    assert allocation.capacity(CONFIG) == 25
    assert allocation.free_subnets(CONFIG, EXISTING) == 20
    assert allocation.free_subnets(CONFIG, [Lease(IPv4Network("0.0.0.0/0"))]) == 0
    wide = network_config.parse({"Network": "10.0.0.0/8", "SubnetLen": 28, "Backend": {"Type": "vxlan"}})
    covered = [
        Lease(IPv4Network("10.128.0.0/9")),
        Lease(IPv4Network("10.192.0.0/10")),
        Lease(IPv4Network("10.200.0.0/28")),
    ]
    assert allocation.free_subnets(wide, covered) == allocation.capacity(wide) - 2**19


@given(
    st.lists(st.tuples(st.integers(0, 255), st.integers(20, 30)), max_size=12),
    st.integers(1, 30),
    st.integers(0, 2**32),
    st.sampled_from(["random", "by_name"]),
)
def test_nothing_is_handed_out_twice(blocks, count, seed, choice):
    leases = [
        Lease(IPv4Network((f"10.3.{third}.0", length), strict=False), public_ip=IPv4Address(f"1.1.1.{number}"))
        for number, (third, length) in enumerate(blocks)
    ]
    try:
        decisions = allocation.allocate(
            DUAL, leases, [request(number) for number in range(1, count + 1)], seed=seed, choice=choice
        )
    except ConflictError:
        assert allocation.free_subnets(DUAL, leases) < count
        return
    held = [decision.subnet for decision in decisions]
    for one, other in itertools.combinations(held, 2):
        assert not one.overlaps(other)
    for one, lease in itertools.product(held, leases):
        assert not one.overlaps(lease.subnet)
    assert len({decision.ipv6_subnet for decision in decisions}) == count
