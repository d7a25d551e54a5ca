# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the packed messages make of a real kernel's tables, and what is read from them, beside pyroute2's reading."""

from __future__ import annotations

import os
import random
import socket
from typing import Any

import pytest
from pyroute2 import IPRoute

from ansible_collections.podnet.cni.plugins.module_utils._dataplane import link_message, rtnetlink
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.model import (
    AF_INET,
    AF_INET6,
    FdbEntry,
    Neighbour,
    Route,
    mac_text,
    to_text,
)
from ansible_collections.podnet.cni.tests.integration.dataplane._fork import on_a_new_host

AF_BRIDGE = 7

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")


VXLAN = (
    "link add flannel.1 type vxlan id 1 dev eth0 local 198.18.0.1 dstport 8472 nolearning\n"
    "link set flannel.1 up\nroute add 198.19.0.0/16 via 198.18.0.254\n"
)


def entries(count: int, seed: int) -> tuple[list[Route], list[Neighbour], list[FdbEntry]]:
    """Random entries of both families."""
    draw = random.Random(seed)
    routes, neighbours, fdb = [], [], []
    for number in range(count):
        mac = bytes([2]) + draw.randbytes(5)
        size = draw.choice([4, 16])
        head = b"\x0a\x05" if size == 4 else bytes.fromhex("fd0000100005")
        address = head + number.to_bytes(2, "big") + bytes(size - len(head) - 2)
        length = 32 if size == 4 else draw.choice([64, 80])
        routes.append(Route(address, length, address, "flannel.1", True, 0, 0 if size == 4 else 1024))
        neighbours.append(Neighbour("flannel.1", address, mac))
        fdb.append(FdbEntry("flannel.1", mac, b"\xc6\x12" + draw.randbytes(2)))
    return routes, neighbours, fdb


def read_by_pyroute2(index: int) -> dict[str, set[Any]]:
    """The tables as pyroute2 reads them, without the neighbours that the kernel learns for its own multicast."""
    with IPRoute() as ipr:
        routes = {
            (message.get_attr("RTA_DST"), message["dst_len"], message.get_attr("RTA_GATEWAY"), message["flags"] & 4)
            for family in (AF_INET, AF_INET6)
            for message in ipr.get_routes(family=family, table=254)
            if message.get_attr("RTA_OIF") == index and message["type"] == 1 and message.get_attr("RTA_GATEWAY")
        }
        neighbours = {
            (message.get_attr("NDA_DST"), message.get_attr("NDA_LLADDR"), message["state"])
            for family in (AF_INET, AF_INET6)
            for message in ipr.get_neighbours(family=family)
            if message["ifindex"] == index and message["state"] == 0x80
        }
        fdb = {
            (message.get_attr("NDA_LLADDR"), message.get_attr("NDA_DST"), message["state"])
            for message in ipr.get_neighbours(family=AF_BRIDGE)
            if message["ifindex"] == index
        }
    return {"routes": routes, "neighbours": neighbours, "fdb": fdb}


def read_by_us(connection: rtnetlink.Connection, index: int) -> dict[str, set[Any]]:
    """The same tables through the packed codec."""
    names = {index: "flannel.1"}
    return {
        "routes": {
            (to_text(item.route.destination), item.route.prefixlen, to_text(item.route.gateway), 4 * item.route.onlink)
            for family in (AF_INET, AF_INET6)
            for item in connection.routes(family, names, lambda _destination, _length: True)
            if item.route.link and item.route.gateway
        },
        "neighbours": {
            (to_text(item.address), mac_text(item.mac), item.state)
            for family in (AF_INET, AF_INET6)
            for item in connection.neighbours(family, index)
            if item.state == 0x80
        },
        "fdb": {(mac_text(item.mac), to_text(item.address), item.state) for item in connection.fdb(index)},
    }


def roundtrip(seed: int) -> None:
    """Set random entries, read them both ways, remove half of them, read again."""
    index = socket.if_nametoindex("flannel.1")
    routes, neighbours, fdb = entries(700, seed)
    with rtnetlink.Connection() as connection:
        sets = [rtnetlink.encode_fdb(entry, index) for entry in fdb]
        sets += [rtnetlink.encode_neighbour(entry, index) for entry in neighbours]
        sets += [rtnetlink.encode_route(entry, index) for entry in routes]
        assert connection.send(sets) == []
        ours = read_by_us(connection, index)
        assert ours == read_by_pyroute2(index)
        assert [len(ours[kind]) for kind in ("routes", "neighbours", "fdb")] == [700, 700, 700]
        removals = [rtnetlink.encode_route_deletion(entry, index) for entry in routes[::2]]
        removals += [rtnetlink.encode_neighbour_deletion(entry, index) for entry in neighbours[::2]]
        removals += [rtnetlink.encode_fdb_deletion(entry, index) for entry in fdb[::2]]
        assert connection.send(removals) == []
        left = read_by_us(connection, index)
        assert left == read_by_pyroute2(index)
        assert [len(left[kind]) for kind in ("routes", "neighbours", "fdb")] == [350, 350, 350]
        # Setting again what is there changes nothing, and removing again is refused entry by entry.
        assert connection.send([rtnetlink.encode_route(entry, index) for entry in routes[1::2]]) == []
        assert read_by_us(connection, index) == left
        failures = connection.send(removals)
        assert [failure.position for failure in failures] == list(range(len(removals)))
        assert {failure.text() for failure in failures} <= {"No such process", "No such file or directory"}


LINKS = """
link add flannel.7 mtu 1400 type vxlan id 7 dev eth0 local 198.18.0.1 dstport 4789 learning gbp
link add flannel-v6.1 type vxlan id 1 dev eth0 local fd00:18::1 dstport 8472 nolearning l2miss
link set flannel.7 up
link add flannel.9 type bridge
"""


def links_both_ways() -> None:
    """Each link as pyroute2 reads it, and as we do."""
    names = dict(socket.if_nameindex())
    with IPRoute() as ipr, rtnetlink.Connection() as connection:
        for message in ipr.get_links():
            index, name = message["index"], message.get_attr("IFLA_IFNAME")
            answer = connection.link(index)
            assert answer is not None
            seen = link_message.read(*answer, names)
            assert (seen.ifindex, seen.link.name, seen.link.mtu) == (index, name, message.get_attr("IFLA_MTU"))
            assert seen.up == bool(message["flags"] & 1)
            information = message.get_attr("IFLA_LINKINFO")
            assert seen.link.kind == ((information and information.get_attr("IFLA_INFO_KIND")) or "")
            data = information and information.get_attr("IFLA_INFO_DATA")
            if seen.link.kind == "vxlan":
                assert mac_text(seen.link.mac) == message.get_attr("IFLA_ADDRESS")
                assert seen.link.vni == data.get_attr("IFLA_VXLAN_ID")
                assert seen.link.port == data.get_attr("IFLA_VXLAN_PORT")
                local = data.get_attr("IFLA_VXLAN_LOCAL") or data.get_attr("IFLA_VXLAN_LOCAL6")
                assert to_text(seen.link.local) == local
                assert seen.link.learning == bool(data.get_attr("IFLA_VXLAN_LEARNING"))
                assert seen.link.underlay == "eth0"
        found = {}
        for index, name in names.items():
            answer = connection.link(index)
            if answer is not None and name.startswith("flannel"):
                found[name] = link_message.read(*answer, names)
        assert connection.link(max(names) + 7) is None
    assert {name: seen.strange for name, seen in found.items()} == {
        "flannel.7": "",
        "flannel-v6.1": "l2miss is on",
        "flannel.9": "",
    }
    assert (found["flannel.7"].link.gbp, found["flannel-v6.1"].link.gbp) == (True, False)


def test_links_are_read_as_pyroute2_reads_them() -> None:
    on_a_new_host(links_both_ways, LINKS)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_read_back_as_pyroute2_reads(seed: int) -> None:
    on_a_new_host(lambda: roundtrip(seed), VXLAN)


def lookups() -> None:
    """Which way packets would go: on-link, through a gateway, nowhere."""
    with rtnetlink.Connection() as connection:
        found = connection.lookup(
            [socket.inet_pton(AF_INET, text) for text in ("198.18.0.9", "198.19.0.9", "203.0.113.9")]
            + [socket.inet_pton(AF_INET6, text) for text in ("fd00:18::9", "2001:db8::9")]
        )
        index = socket.if_nametoindex("eth0")
        assert found == [(index, b""), (index, b"\xc6\x12\x00\xfe"), (0, b""), (index, b""), (0, b"")]
        many = [b"\xc6\x12\x00" + bytes([number % 256]) for number in range(1000)]
        answers = connection.lookup(many)
        assert len(answers) == 1000
        assert answers[9] == (index, b"")


def test_lookups() -> None:
    on_a_new_host(lookups, VXLAN)


def reasons() -> None:
    """The kernel's own words come with each refused entry, and the others are carried out."""
    index = socket.if_nametoindex("eth0")
    good = Route(b"\x0a\x05\x01\0", 24, b"\xc6\x12\x00\x09", "eth0")
    bad = Route(b"\x0a\x05\x02\0", 24, b"\xcb\0\x71\x09", "eth0")
    with rtnetlink.Connection() as connection:
        messages = [rtnetlink.encode_route(route, index) for route in (bad, good, bad)]
        failures = connection.send(messages)
        assert [failure.position for failure in failures] == [0, 2]
        assert {failure.text() for failure in failures} == {"Network is unreachable: Nexthop has invalid gateway"}
        (gone,) = connection.send([rtnetlink.encode_route(good._replace(gateway=b""), 9999)])
        assert gone.text().startswith("No such device")


def test_reasons() -> None:
    on_a_new_host(reasons, VXLAN)
