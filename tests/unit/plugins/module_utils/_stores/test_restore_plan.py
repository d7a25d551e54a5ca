# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What stands against leases that are to be put into a store: all of it is named, and nothing is decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import Lease
from ansible_collections.podnet.cni.plugins.module_utils._stores.base import Entry, Listing
from ansible_collections.podnet.cni.plugins.module_utils._stores.restore_plan import conflicts, is_same, lacking


def lease(number: int, *, address: int = 0, mac: int = 0, length: int = 24, name: str = "", **more: Any) -> Lease:
    made = Lease(
        IPv4Network((0x0AF40000 | number << 8, length)),
        public_ip=IPv4Address(0xC6120000 | (address or number)),
        backend_type="vxlan",
        backend_data={"VNI": 1, "VtepMAC": f"02:00:00:00:00:{mac or number:02x}"},
        name=name,
    )
    return replace(made, **more)


def listing(*leases: Lease, blocked: Sequence[Lease] = ()) -> Listing:
    entries = [Entry(f"k{number}", "", each, 1) for number, each in enumerate(leases)]
    return Listing(tuple(entries), (), 1, tuple(Entry("b", "", each, 1) for each in blocked))


def fits(_lease: Lease) -> str:
    return ""


def found(wanted: Sequence[Lease], stands: Listing, *, named: bool = False) -> list[str]:
    return conflicts(lacking(wanted, stands), stands, fits, named=named)


def test_what_stands_is_not_written_again() -> None:
    renewed = lease(1, ttl=80000)
    assert lacking([lease(1), lease(2)], listing(renewed)) == [lease(2)]
    assert lacking([lease(1, name="a")], listing(lease(1))) == []
    assert lacking([lease(1, name="a")], listing(lease(1, name="b"))) == [lease(1, name="a")]
    assert is_same(lease(1, ttl=3), lease(1))
    assert not is_same(lease(1), lease(1, mac=9))


def test_nothing_stands_against_leases_of_other_hosts() -> None:
    assert found([lease(1), lease(2)], listing(lease(3), lease(2))) == []


def test_each_conflict_with_the_store_is_named() -> None:
    told = found(
        [lease(1), lease(2), lease(3), lease(4), lease(5)],
        listing(
            lease(1, address=9, mac=91), lease(20, address=2, mac=92), lease(30, address=93, mac=3), lease(4, mac=94)
        ),
    )
    assert told == [
        "lease 10.244.1.0/24 of public IP 198.18.0.1: in the store, lease 10.244.1.0/24 of public IP 198.18.0.9 has "
        "the same subnet",
        "lease 10.244.2.0/24 of public IP 198.18.0.2: in the store, lease 10.244.20.0/24 of public IP 198.18.0.2 names "
        "the same public IP 198.18.0.2",
        "lease 10.244.3.0/24 of public IP 198.18.0.3: in the store, lease 10.244.30.0/24 of public IP 198.18.0.93 has "
        "the same VTEP MAC 02:00:00:00:00:03",
        "lease 10.244.4.0/24 of public IP 198.18.0.4: the store holds it with vxlan {'VNI': 1, 'VtepMAC': "
        "'02:00:00:00:00:5e'}, not vxlan {'VNI': 1, 'VtepMAC': '02:00:00:00:00:04'}",
    ]


def test_leases_of_other_sizes_overlap() -> None:
    assert "overlaps it" in found([lease(4)], listing(lease(4, address=9, mac=9, length=22)))[0]
    assert "overlaps it" in found([lease(4, length=22)], listing(lease(5, address=9, mac=9)))[0]
    six = IPv6Network("fd00:18:0:7::/64")
    told = found([lease(1, ipv6_subnet=six)], listing(lease(2, ipv6_subnet=IPv6Network("fd00:18::/56"))))
    assert "overlaps it" in told[0]


def test_conflicts_among_the_leases_themselves() -> None:
    told = found([lease(1, name="a"), lease(1, address=2, mac=1, name="b")], listing())
    assert told == [
        "lease 10.244.1.0/24 of public IP 198.18.0.2 (b): lease 10.244.1.0/24 of public IP 198.18.0.1 (a) has the same "
        "subnet and has the same VTEP MAC 02:00:00:00:00:01"
    ]
    keys = [lease(number, backend_type="wireguard", backend_data={"PublicKey": "k", "Port": 1}) for number in (1, 2)]
    assert "has the same public key k" in found(keys, listing())[0]
    sixes = [lease(number, public_ipv6=IPv6Address("fd00::7")) for number in (1, 2)]
    assert "names the same public IP fd00::7" in found(sixes, listing())[0]


def test_a_subnet_that_an_unreadable_value_holds_is_taken() -> None:
    blocked = Lease(IPv4Network("10.244.1.0/24"))
    assert "of nobody (no public IP) has the same subnet" in found([lease(1)], listing(blocked=[blocked]))[0]


def test_a_lease_that_does_not_fit_is_named() -> None:
    told = conflicts([lease(1), lease(2)], listing(), lambda one: "too far" if one == lease(2) else "", named=False)
    assert told == ["lease 10.244.2.0/24 of public IP 198.18.0.2: too far"]


def test_nodes_of_a_cluster() -> None:
    waiting = [Lease(IPv4Network("10.244.1.0/24"), name="one"), Lease(IPv4Network("10.244.7.0/24"), name="two")]
    told = found(
        [lease(1, name="one"), lease(2, name="two"), lease(3), lease(4, name="four"), lease(5, name="four")],
        listing(blocked=waiting),
        named=True,
    )
    assert told == [
        "lease 10.244.2.0/24 of public IP 198.18.0.2 (two): the podCIDR of Node two is 10.244.7.0/24, which cannot "
        "change",
        "lease 10.244.3.0/24 of public IP 198.18.0.3: the name of its node is not known; give hosts, each with name "
        "and public_ip",
        "lease 10.244.5.0/24 of public IP 198.18.0.5 (four): lease 10.244.4.0/24 of public IP 198.18.0.4 (four) is of "
        "the same node",
    ]


NUMBERS = st.integers(1, 6)
LEASES = st.lists(
    st.builds(
        lambda number, address, mac, length: lease(number << (24 - length), address=address, mac=mac, length=length),
        *(NUMBERS, NUMBERS, NUMBERS, st.sampled_from([22, 23, 24])),
    ),
    max_size=5,
    unique_by=lambda one: one.subnet,
)


def contradict(one: Lease, other: Lease) -> bool:
    assert one.subnet is not None and other.subnet is not None
    return (
        one.subnet.overlaps(other.subnet)
        or one.public_ip == other.public_ip
        or one.backend_data["VtepMAC"] == other.backend_data["VtepMAC"]
    )


@given(LEASES, LEASES)
def test_leases_are_written_where_nothing_contradicts_them_and_only_there(
    wanted: list[Lease], there: list[Lease]
) -> None:
    stands = listing(*there)
    missing = lacking(wanted, stands)
    clash = any(
        contradict(one, other) for place, one in enumerate(missing) for other in [*missing[place + 1 :], *there]
    )
    assert bool(found(wanted, stands)) == clash
