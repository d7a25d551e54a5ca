# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which leases become peers, and which are refused by name."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._dataplane import peers
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.peers import Checked
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import Lease, from_dict
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._dataplane._nodes import config, key, lease


def read(*leases: Lease, backend: str = "vxlan", ipv6: bool = False) -> Checked:
    network = config(backend, ipv6=ipv6)
    return peers.read_peers(network, peers.read_own(network, lease(1, backend, ipv6=ipv6)), leases)


def mac(text: str) -> dict[str, Any]:
    return {"VNI": 1, "VtepMAC": text}


def wireguard(number: int) -> dict[str, Any]:
    return {"PublicKey": base64.b64encode(key(number)).decode(), "Port": 51820}


REFUSED = {
    "outside": ({"subnet": "10.6.2.0/24"}, "10.6.2.0/24 is not a subnet of the network 10.5.0.0/16"),
    "whole network": ({"subnet": "10.5.0.0/16"}, "10.5.0.0/16 is not a subnet of the network"),
    "wider": ({"subnet": "10.4.0.0/15"}, "10.4.0.0/15 is not a subnet of the network"),
    "own subnet": ({"subnet": "10.5.1.0/24"}, "this is the node itself"),
    "own public IP": ({"public_ip": "198.18.0.1"}, "this is the node itself"),
    "inside own": ({"subnet": "10.5.1.128/25"}, "subnet 10.5.1.128/25 overlaps that of this node's own lease"),
    "around own": ({"subnet": "10.5.0.0/23"}, "overlaps"),
    "no public IP": ({"public_ip": None}, "it has no public IPv4 address"),
    "multicast IP": ({"public_ip": "224.0.0.9"}, "public IP 224.0.0.9 is a multicast or reserved address"),
    "broadcast IP": ({"public_ip": "255.255.255.255"}, "is a multicast or reserved address"),
    "loopback IP": ({"public_ip": "127.0.0.1"}, "is not an address of a host on a network"),
    "no IP": ({"public_ip": "0.1.2.3"}, "is not an address of a host on a network"),
    "IP in the overlay": ({"public_ip": "10.5.9.9"}, "lies inside the overlay's own network"),
    "no MAC": ({"backend_data": None}, "backend_data has no VtepMAC"),
    "empty MAC": ({"backend_data": mac("")}, "backend_data has no VtepMAC"),
    "multicast MAC": ({"backend_data": mac("01:00:5e:00:00:01")}, "MAC address 01:00:5e:00:00:01 is a multicast"),
    "zero MAC": ({"backend_data": mac("00:00:00:00:00:00")}, "MAC address 00:00:00:00:00:00 is all zero"),
    "no MAC at all": ({"backend_data": mac("nonsense")}, "'nonsense' is not a MAC address"),
    "our MAC": ({"backend_data": mac("02:00:00:04:00:01")}, "VTEP MAC 02:00:00:04:00:01 is also that of this node"),
    "IPv6 only": ({"subnet": None, "ipv6_subnet": "fd00:10:5:2::/64"}, "it has no subnet in a family of the network"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused_by_name(what: str) -> None:
    changes, reason = REFUSED[what]
    with pytest.raises(InputError) as caught:
        read(lease(3), lease(2, **changes))
    assert reason in str(caught.value)
    # Where two leases overlap, either may be the one that is named.
    assert "node-2" in str(caught.value) or what == "around own"
    assert "peers[1]" in str(caught.value) or what == "around own"


@pytest.mark.parametrize("what", REFUSED)
def test_foreign_one_is_passed_over_by_name(what: str) -> None:
    changes, reason = REFUSED[what]
    network = config()
    own = peers.read_own(network, lease(1))
    checked = peers.read_peers(network, own, [lease(3)], [lease(4), lease(2, **changes), lease(5)], "the store")
    assert [peer.name for peer in checked.peers] == ["node-3", "node-4", "node-5"]
    (warning,) = checked.warnings
    assert warning.startswith("1 foreign peers are passed over: the store[1] (node-2, ")
    assert reason in warning


def test_foreign_one_yields_to_a_peer_and_to_an_earlier_foreign_one() -> None:
    network = config()
    foreign = [lease(4, subnet="10.5.2.128/25"), lease(5, backend_data=mac("02:00:00:04:00:02")), lease(6)]
    foreign += [lease(7, subnet="10.5.6.0/24"), lease(8, backend_data=mac("02:00:00:04:00:06"))]
    checked = peers.read_peers(network, peers.read_own(network, lease(1)), [lease(2)], foreign)
    assert [peer.name for peer in checked.peers] == ["node-2", "node-6"]
    (warning,) = checked.warnings
    assert "foreign_peers[0] (node-4, 10.5.2.128/25): subnet 10.5.2.128/25 overlaps that of peers[0] (node-2" in warning
    assert "foreign_peers[3] (node-7" in warning


def test_half_of_a_foreign_one_that_is_passed_over_claims_nothing() -> None:
    network = config(ipv6=True)
    own = peers.read_own(network, lease(1, ipv6=True))
    foreign = [lease(2, ipv6=True, ipv6_subnet="fd00:10:5:1::/64"), lease(3, ipv6=True, subnet="10.5.2.0/24")]
    assert [peer.name for peer in peers.read_peers(network, own, [], foreign).peers] == ["node-3"]


REFUSED_IPV6 = {
    "mapped public IP": ({"public_ipv6": "::ffff:198.18.0.2"}, "is an IPv4-mapped IPv6 address"),
    "mapped subnet": ({"ipv6_subnet": "::ffff:10.5.2.0/120"}, "is an IPv4-mapped IPv6 subnet"),
    "multicast public IP": ({"public_ipv6": "ff02::1"}, "is a multicast or reserved address"),
    "loopback public IP": ({"public_ipv6": "::1"}, "is not an address of a host on a network"),
    "outside": ({"ipv6_subnet": "fd00:10:6::/64"}, "fd00:10:6::/64 is not a subnet of the network fd00:10:5::/48"),
    "no public IP": ({"public_ipv6": None}, "it has no public IPv6 address"),
    "no MAC": ({"backend_v6_data": None}, "backend_v6_data has no VtepMAC"),
    "own subnet": ({"ipv6_subnet": "fd00:10:5:1::/64"}, "this is the node itself"),
}


@pytest.mark.parametrize("what", REFUSED_IPV6)
def test_refused_by_name_ipv6(what: str) -> None:
    changes, reason = REFUSED_IPV6[what]
    with pytest.raises(InputError, match=r"peers\[0\] \(node-2, 10\.5\.2\.0/24\)") as caught:
        read(lease(2, ipv6=True, **changes), ipv6=True)
    assert reason in str(caught.value)


def test_two_peers_with_one_subnet() -> None:
    with pytest.raises(InputError) as caught:
        read(lease(2), lease(3), lease(4, subnet="10.5.2.0/24"))
    assert "subnet 10.5.2.0/24 is given twice: it is also that of" in str(caught.value)
    assert "peers[0] (node-2" in str(caught.value)
    assert "peers[2] (node-4" in str(caught.value)


def test_a_long_prefix_deep_inside_another() -> None:
    with pytest.raises(InputError, match=r"overlaps that of peers\[0\] \(node-2, 10\.5\.128\.0/18\)"):
        read(lease(2, subnet="10.5.128.0/18"), lease(3), lease(4, subnet="10.5.180.0/24"))


def test_two_peers_with_one_mac() -> None:
    with pytest.raises(InputError, match=r"peers\[1\].*02:00:00:04:00:02 is also that of peers\[0\]"):
        read(lease(2), lease(3, backend_data=mac("02:00:00:04:00:02")))


@pytest.mark.parametrize(
    ("found", "refusal"),
    [
        (
            [lease(2, "wireguard"), lease(3, "wireguard", backend_data=wireguard(2))],
            r"peers\[1\] .*key .* is also that of peers\[0\] ",
        ),
        ([lease(3, "wireguard", backend_data=wireguard(1))], r"peers\[0\] .*key .* is also that of this node's own"),
    ],
    ids=["two peers", "a peer and this node"],
)
def test_two_nodes_with_one_wireguard_key(found: list[Lease], refusal: str) -> None:
    """The kernel would keep one of them: what was sent to the other would be lost without a word."""
    with pytest.raises(InputError, match=refusal):
        read(*found, backend="wireguard")


def test_one_wireguard_key_for_both_families_of_a_node() -> None:
    found = [lease(2, "wireguard", ipv6=True), lease(3, "wireguard", ipv6=True)]
    assert len(read(*found, backend="wireguard", ipv6=True).peers) == 2


def test_one_node_may_hold_two_leases() -> None:
    checked = read(lease(2), lease(3, public_ip="198.18.0.2", backend_data=mac("02:00:00:04:00:02")))
    assert len(checked.peers) == 2


def test_peers_of_another_backend_are_ignored() -> None:
    others = [lease(number, "host-gw") for number in range(3, 10)]
    checked = read(lease(2), *others)
    assert [peer.name for peer in checked.peers] == ["node-2"]
    assert checked.warnings == [
        "7 peers are ignored because their backend is not vxlan: node-3 (host-gw), node-4 (host-gw), "
        "node-5 (host-gw), node-6 (host-gw), node-7 (host-gw), ..."
    ]


def test_a_peer_may_lack_a_family() -> None:
    (peer,) = read(lease(2), ipv6=True).peers
    assert peer.ipv4 is not None
    assert peer.ipv6 is None


def test_alloc_needs_no_address() -> None:
    assert len(read(lease(2, "alloc", public_ip=None), backend="alloc").peers) == 1


WIREGUARD = {
    "no data": (None, "backend_data has no PublicKey"),
    "no key": ({"Port": 51820}, "backend_data has no PublicKey"),
    "a short key": ({"PublicKey": "c2hvcnQ="}, "is not a wireguard key"),
    "no base64": ({"PublicKey": "???"}, "is not a wireguard key"),
    "no text": ({"PublicKey": 7}, "is not a wireguard key"),
    "a port too high": ({"PublicKey": base64.b64encode(key(2)).decode(), "Port": 70000}, "Port 70000 must be a number"),
}


@pytest.mark.parametrize("what", WIREGUARD)
def test_wireguard_data(what: str) -> None:
    data, reason = WIREGUARD[what]
    with pytest.raises(InputError, match=r"peers\[0\] \(node-2") as caught:
        read(lease(2, "wireguard", backend_data=data), backend="wireguard")
    assert reason in str(caught.value)


def test_own_lease_of_another_backend() -> None:
    with pytest.raises(InputError, match=r"lease \(node-1, 10.5.1.0/24\): its backend is 'host-gw'"):
        peers.read_own(config(), lease(1, "host-gw"))


def test_own_lease_that_lacks_a_family() -> None:
    with pytest.raises(InputError, match="the network has IPv6, the lease has no IPv6 subnet"):
        peers.read_own(config(ipv6=True), lease(1))


ODD = [
    "10.5.7.0/24", "10.5.7.0/024", "10.5.7.1/24", "10.5.7.0", "10.5.07.0/24", "10.5.7.0/33", "10.5.7.0/-1", "", None, 7,
    "::ffff:10.5.7.0/120", "fd00:10:5:7::/64", "fd00:10:5:7::1/64", "FD00:10:5:7::/64", "fd00:10:5:7::%eth0/64", "/24",
    "198.18.0.7", "198.18.0.007", "fd00:18::7", "::ffff:198.18.0.7", "fe80::1%eth0", " 198.18.0.7", "10.5.7.0/ 24",
]  # fmt: skip


@pytest.mark.parametrize("field", ["subnet", "ipv6_subnet", "public_ip", "public_ipv6"])
@pytest.mark.parametrize("value", ODD)
def test_a_lease_is_read_as_its_codec_reads_it(field: str, value: object) -> None:
    """Which reads thousands in a fraction of the time, and differs in nothing else."""
    data = {"name": "node-7", "backend_type": "vxlan", "backend_data": {}, field: value}
    try:
        expected = peers.pack(from_dict(data, "peers[3]"))
    except InputError as error:
        with pytest.raises(InputError) as caught:
            peers.read(data, "peers[3]")
        assert str(caught.value) == str(error)
    else:
        assert peers.read(data, "peers[3]") == expected
