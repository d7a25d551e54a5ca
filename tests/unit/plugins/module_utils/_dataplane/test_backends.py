# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each backend wants the kernel to hold."""

from __future__ import annotations

import base64
from socket import AF_INET, AF_INET6
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._dataplane import backends, model, peers
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._dataplane._nodes import (
    UNDERLAY,
    build,
    config,
    key,
    lease,
)


def texts(plane: model.DataPlane) -> list[str]:
    """Every object of a data plane as iproute2 writes it."""
    return [
        *(f"link {model.link_text(link)}" for link in plane.links),
        *(f"address {model.address_text(address)}" for address in plane.addresses),
        *(f"route {model.route_text(route)}" for route in plane.routes),
        *(f"neighbour {model.neighbour_text(entry)}" for entry in plane.neighbours),
        *(f"fdb {model.fdb_text(entry)}" for entry in plane.fdb),
        *(f"peer {model.peer_text(peer)}" for peer in plane.wireguard_peers),
    ]


def test_vxlan() -> None:
    plane = build(config(), [2])
    assert texts(plane) == [
        "link flannel.1 address 02:00:00:04:00:01 mtu 1450 txqueuelen 0 type vxlan id 1 dev eth0 local 198.18.0.1 "
        "dstport 8472 nolearning",
        "address 10.5.1.0/32 dev flannel.1",
        "route 10.5.2.0/24 via 10.5.2.0 dev flannel.1 onlink",
        "neighbour 10.5.2.0 lladdr 02:00:00:04:00:02 dev flannel.1 nud permanent",
        "fdb 02:00:00:04:00:02 dev flannel.1 dst 198.18.0.2 self permanent",
    ]
    assert plane.mtu == 1450


def test_vxlan_dual_stack_with_all_options() -> None:
    plane = build(config(ipv6=True, VNI=7, Port=4789, MTU=1400, Learning=True, GBP=True), [2])
    assert texts(plane) == [
        "link flannel.7 address 02:00:00:04:00:01 mtu 1350 txqueuelen 0 type vxlan id 7 dev eth0 local 198.18.0.1 "
        "dstport 4789 learning gbp",
        "link flannel-v6.7 address 02:00:00:06:00:01 mtu 1350 txqueuelen 0 type vxlan id 7 dev eth0 local fd00:18::1 "
        "dstport 4789 learning gbp",
        "address 10.5.1.0/32 dev flannel.7",
        "address fd00:10:5:1::/128 dev flannel-v6.7",
        "route 10.5.2.0/24 via 10.5.2.0 dev flannel.7 onlink",
        "route fd00:10:5:2::/64 via fd00:10:5:2:: dev flannel-v6.7 onlink",
        "neighbour 10.5.2.0 lladdr 02:00:00:04:00:02 dev flannel.7 nud permanent",
        "neighbour fd00:10:5:2:: lladdr 02:00:00:06:00:02 dev flannel-v6.7 nud permanent",
        "fdb 02:00:00:04:00:02 dev flannel.7 dst 198.18.0.2 self permanent",
        "fdb 02:00:00:06:00:02 dev flannel-v6.7 dst fd00:18::2 self permanent",
    ]


@pytest.mark.parametrize(("mtu", "links", "pods"), [(0, [1450, 1430], 1450), (1400, [1350, 1350], 1350)])
def test_vxlan_mtu_is_what_the_kernel_grants(mtu: int, links: list[int], pods: int) -> None:
    plane = build(config(ipv6=True, MTU=mtu), [2])
    assert [link.mtu for link in plane.links] == links
    assert plane.mtu == pods
    assert [plane.largest(family) for family in (AF_INET, AF_INET6)] == links


def test_the_largest_packet_of_a_family_that_has_no_link_of_its_own_or_is_not_there() -> None:
    assert build(config(), [2]).largest(AF_INET6) == 0
    routed = build(config("host-gw", ipv6=True), [2])
    assert routed.largest(AF_INET) == routed.largest(AF_INET6) == routed.mtu


def test_vxlan_ipv6_only() -> None:
    plane = build(config(ipv4=False, ipv6=True), [2])
    assert [link.name for link in plane.links] == ["flannel-v6.1"]
    assert all(len(route.destination) == 16 for route in plane.routes)
    assert plane.link_names == ("flannel.1", "flannel-v6.1")


def test_vxlan_direct_routing() -> None:
    on_link = {b"\xc6\x12\x00\x02": "eth1"}
    plane = build(config(DirectRouting=True), [2, 3], on_link)
    assert texts(plane)[2:] == [
        "route 10.5.2.0/24 via 198.18.0.2 dev eth1",
        "route 10.5.3.0/24 via 10.5.3.0 dev flannel.1 onlink",
        "neighbour 10.5.3.0 lladdr 02:00:00:04:00:03 dev flannel.1 nud permanent",
        "fdb 02:00:00:04:00:03 dev flannel.1 dst 198.18.0.3 self permanent",
    ]
    assert backends.wants_route_lookups(config(DirectRouting=True))
    assert build(config(), [2, 3], on_link) == build(config(), [2, 3])
    assert not backends.wants_route_lookups(config("host-gw"))


def test_host_gw() -> None:
    assert texts(build(config("host-gw", ipv6=True), [2])) == [
        "route 10.5.2.0/24 via 198.18.0.2 dev eth0",
        "route fd00:10:5:2::/64 via fd00:18::2 dev eth0",
    ]
    assert build(config("host-gw"), []).mtu == 1500


def test_ipip() -> None:
    on_link = {b"\xc6\x12\x00\x02": "eth0"}
    plane = build(config("ipip"), [2, 3], on_link)
    assert texts(plane) == [
        "link flannel.ipip mtu 1480 txqueuelen 0 type ipip local 198.18.0.1 nopmtudisc",
        "address 10.5.1.0/32 dev flannel.ipip",
        "route 10.5.2.0/24 via 198.18.0.2 dev flannel.ipip onlink",
        "route 10.5.3.0/24 via 198.18.0.3 dev flannel.ipip onlink",
    ]
    assert texts(build(config("ipip", DirectRouting=True), [2, 3], on_link))[2:] == [
        "route 10.5.2.0/24 via 198.18.0.2 dev eth0 onlink",
        "route 10.5.3.0/24 via 198.18.0.3 dev flannel.ipip onlink",
    ]
    with pytest.raises(InputError, match="MTU 20 leaves nothing for ipip"):
        backends.build(
            config("ipip"), peers.read_own(config("ipip"), lease(1, "ipip")), [], UNDERLAY._replace(mtu=20), {}
        )


def test_alloc() -> None:
    plane = build(config("alloc"), [2])
    assert (texts(plane), plane.mtu) == ([], 1500)


def peer_words(number: int) -> str:
    return f"peer {base64.b64encode(key(number)).decode()}"


def test_wireguard_separate() -> None:
    plane = build(config("wireguard", ipv6=True, PersistentKeepaliveInterval=25), [2])
    assert texts(plane) == [
        "link flannel-wg mtu 1420 txqueuelen 0 type wireguard",
        "link flannel-wg-v6 mtu 1420 txqueuelen 0 type wireguard",
        "address 10.5.1.0/32 dev flannel-wg",
        "address fd00:10:5:1::/128 dev flannel-wg-v6",
        "route 10.5.0.0/16 dev flannel-wg scope link",
        "route fd00:10:5::/48 dev flannel-wg-v6",
        f"{peer_words(2)} dev flannel-wg endpoint 198.18.0.2:51820 allowed-ips 10.5.2.0/24",
        f"{peer_words(2)} dev flannel-wg-v6 endpoint [fd00:18::2]:51821 allowed-ips fd00:10:5:2::/64",
    ]
    assert [link.port for link in plane.links] == [51820, 51821]
    assert {peer.keepalive for peer in plane.wireguard_peers} == {25}
    assert plane.mtu == 1420


def test_wireguard_peer_without_a_port_listens_where_we_do() -> None:
    network = config("wireguard", ListenPort=4500)
    own = peers.read_own(network, lease(1, "wireguard"))
    other = lease(2, "wireguard", backend_data={"PublicKey": base64.b64encode(key(2)).decode()})
    plane = backends.build(network, own, peers.read_peers(network, own, [other]).peers, UNDERLAY, {})
    assert [peer.port for peer in plane.wireguard_peers] == [4500]


SINGLE = [
    # mode, our addresses, the peer's addresses, the endpoint that upstream's selectMode picks
    ("ipv4", ("198.18.0.1", "fd00:18::1"), ("198.18.0.2", "fd00:18::2"), "198.18.0.2:51820"),
    ("ipv6", ("198.18.0.1", "fd00:18::1"), ("198.18.0.2", "fd00:18::2"), "[fd00:18::2]:51821"),
    ("auto", ("198.18.0.1", "fd00:18::1"), ("198.18.0.2", "2001:db8::2"), "198.18.0.2:51820"),
    ("auto", ("10.9.0.1", "2001:db8::1"), ("192.168.0.2", "2001:db8::2"), "[2001:db8::2]:51821"),
    ("auto", ("10.9.0.1", "fd00:18::1"), ("172.16.0.2", "2001:db8::2"), "172.16.0.2:51820"),
    ("auto", ("10.9.0.1", "2001:db8::1"), ("172.31.9.2", "fd00:18::2"), "172.31.9.2:51820"),
    ("auto", ("10.9.0.1", "2001:db8::1"), ("172.32.9.2", "2001:db8::2"), "172.32.9.2:51820"),
]


@pytest.mark.parametrize(("mode", "ours", "theirs", "endpoint"), SINGLE)
def test_wireguard_single_tunnel(mode: str, ours: tuple[str, str], theirs: tuple[str, str], endpoint: str) -> None:
    network = config("wireguard", ipv6=True, Mode=mode)
    own = peers.read_own(network, lease(1, "wireguard", ipv6=True, public_ip=ours[0], public_ipv6=ours[1]))
    other = lease(2, "wireguard", ipv6=True, public_ip=theirs[0], public_ipv6=theirs[1])
    plane = backends.build(network, own, peers.read_peers(network, own, [other]).peers, UNDERLAY, {})
    assert texts(plane) == [
        "link flannel-wg mtu 1420 txqueuelen 0 type wireguard",
        "address 10.5.1.0/32 dev flannel-wg",
        "address fd00:10:5:1::/128 dev flannel-wg",
        "route 10.5.0.0/16 dev flannel-wg scope link",
        "route fd00:10:5::/48 dev flannel-wg",
        f"{peer_words(2)} dev flannel-wg endpoint {endpoint} allowed-ips 10.5.2.0/24,fd00:10:5:2::/64",
    ]


def test_wireguard_single_tunnel_needs_both_families() -> None:
    with pytest.raises(InputError, match="Mode 'auto' puts both families into one tunnel"):
        build(config("wireguard", Mode="auto"), [2])


def test_wireguard_preshared_key_is_not_shown() -> None:
    secret = base64.b64encode(b"s" * 32).decode()
    plane = build(config("wireguard", PSK=secret), [2])
    assert plane.preshared_key == b"s" * 32
    assert secret not in repr(plane)
    assert "ssss" not in repr(plane)


@pytest.mark.parametrize("backend", ["udp", "extension", "ipsec", "tencent-vpc"])
def test_backends_that_need_a_daemon(backend: str) -> None:
    options: dict[str, Any] = {"PSK": "x" * 96} if backend == "ipsec" else {}
    with pytest.raises(InputError, match=f"{backend}' needs a running flanneld; without one choose from alloc"):
        backends.check_supported(config(backend, **options))


def test_nothing_still_knows_what_is_ours() -> None:
    plane = backends.nothing(config(ipv6=True), None)
    assert texts(plane) == []
    assert plane.link_names == ("flannel.1", "flannel-v6.1")
    assert len(plane.networks) == 2
