# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Leases out of what hosts hold: each fact that is missing or contradicts another one is named."""

from __future__ import annotations

import copy
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError, InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import network_config
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import Lease
from ansible_collections.podnet.cni.plugins.module_utils._stores import recovery

CONFIG = network_config.parse({"Network": "10.5.0.0/16", "Backend": {"Type": "vxlan"}})
KEY = "RHVtbXlXaXJlR3VhcmRQdWJsaWNLZXlPZjMyT2N0ZXQ="


def mac(number: int) -> str:
    return f"02:00:00:00:00:{number:02x}"


def host(number: int, *peers: int) -> dict[str, Any]:
    """What a host with vxlan returns, with entries for some peers."""
    link = {"name": "flannel.1", "kind": "vxlan", "mac": mac(number), "vni": 1, "local": f"198.18.0.{number}"}
    dataplane = {
        "links": [{**link, "addresses": [f"10.5.{number}.0/32"]}],
        "routes": [{"dst": f"10.5.{n}.0/24", "gateway": f"10.5.{n}.0", "dev": "flannel.1"} for n in peers],
        "neighbours": [{"dev": "flannel.1", "dst": f"10.5.{n}.0", "lladdr": mac(n)} for n in peers],
        "fdb": [{"dev": "flannel.1", "mac": mac(n), "dst": f"198.18.0.{n}"} for n in peers],
        "wireguard_peers": [],
        "public_key": None,
        "subnet_file": {
            "FLANNEL_NETWORK": "10.5.0.0/16",
            "FLANNEL_SUBNET": f"10.5.{number}.1/24",
            "FLANNEL_MTU": "1450",
            "FLANNEL_IPMASQ": "true",
        },
    }
    return {"name": f"node-{number}", "dataplane": dataplane, "public_ip": None, "public_ipv6": None}


def lease(number: int) -> Lease:
    return Lease(
        IPv4Network((0x0A050000 | number << 8, 24)),
        public_ip=IPv4Address(0xC6120000 | number),
        backend_type="vxlan",
        backend_data={"VNI": 1, "VtepMAC": mac(number)},
        name=f"node-{number}",
    )


def test_hosts_give_back_their_leases() -> None:
    assert recovery.leases(CONFIG, [host(1, 2, 3), host(2, 1, 3), host(3, 1, 2)]) == (
        [lease(1), lease(2), lease(3)],
        [],
    )


def changed(path: str, value: Any) -> dict[str, Any]:
    """Host 1 with another value at a path of its data plane, None for a member that is missing."""
    found = copy.deepcopy(host(1, 2))
    place: Any = found["dataplane"]
    *way, last = path.split("/")
    for step in way:
        place = place[int(step) if step.isdigit() else step]
    place[last] = value
    return found


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        ("subnet_file", None, "it has no subnet file with FLANNEL_SUBNET, so nobody knows its subnet"),
        ("subnet_file/FLANNEL_SUBNET", "10.5.1.1", "FLANNEL_SUBNET '10.5.1.1' cannot be read: its prefix length is"),
        (
            "subnet_file/FLANNEL_SUBNET",
            "fd00::1/64",
            "FLANNEL_SUBNET 'fd00::1/64' cannot be read: it is an IPv6 prefix",
        ),
        ("subnet_file/FLANNEL_SUBNET", "10.5.8.1/24", "its link flannel.1 has the address 10.5.1.0 of another subnet"),
        (
            "subnet_file/FLANNEL_NETWORK",
            "10.9.0.0/16",
            "its subnet file is of the network 10.9.0.0/16, and the config of",
        ),
        ("links/0/name", "flannel.7", "it has no link flannel.1, so nobody knows its VTEP MAC"),
        ("links/0/mac", "01:00:00:00:00:01", "is a multicast address"),
        ("links/0/local", None, "public_ip is missing, and no link of backend vxlan tells it"),
        ("links/0/local", "198.18.0.77", "its public IP is 198.18.0.77, and its peers (node-2) reach 10.5.1.0/24 by"),
    ],
)
def test_each_host_that_does_not_tell_enough_is_named(path: str, value: Any, why: str) -> None:
    with pytest.raises(ConflictError) as caught:
        recovery.leases(CONFIG, [changed(path, value), host(2, 1)])
    assert "node-1: " in str(caught.value)
    assert why in str(caught.value)
    assert "nothing was written" in str(caught.value)
    assert "node-2: " not in str(caught.value)


def test_all_hosts_are_named_at_once() -> None:
    unreachable = {"name": "node-3", "dataplane": {}, "public_ip": None, "public_ipv6": None}
    with pytest.raises(ConflictError, match=r"because 2 facts .*node-1: it has no subnet file.*node-3: its data plane"):
        recovery.leases(CONFIG, [changed("subnet_file", None), host(2), unreachable])


def test_what_a_person_says_about_the_public_ip_wins() -> None:
    behind = {**changed("links/0/local", "192.168.0.1"), "public_ip": "198.18.0.1"}
    assert recovery.leases(CONFIG, [behind, host(2, 1)])[0] == [lease(1), lease(2)]


def test_a_peer_that_is_not_among_the_hosts_is_a_warning() -> None:
    found, warnings = recovery.leases(CONFIG, [host(1, 2, 9), host(2, 1, 9)])
    assert found == [lease(1), lease(2)]
    assert warnings == [
        "recover_from: there are routes to 10.5.9.0/24 on node-1, node-2, and none of the given hosts has that subnet. "
        "Its lease is not rebuilt; if its host still runs, give it in recover_from, too"
    ]


def test_routes_to_other_places_mean_nothing() -> None:
    item = host(1)
    item["dataplane"]["routes"] = [
        {"dst": "10.5.0.0/16", "gateway": "198.18.0.254", "dev": "eth0"},
        {"dst": "192.0.2.0/24", "gateway": "198.18.0.254", "dev": "eth0"},
        {"dst": "10.5.7.0/24", "gateway": None, "dev": "cni0"},
        {"dst": "nonsense", "gateway": "198.18.0.254", "dev": "eth0"},
    ]
    assert recovery.leases(CONFIG, [item]) == ([lease(1)], [])


def test_a_host_that_is_listed_twice() -> None:
    with pytest.raises(InputError, match="node-1 is listed twice"):
        recovery.leases(CONFIG, [host(1), host(1)])


def test_backends_without_a_link_that_tells_the_address() -> None:
    config = network_config.parse({"Network": "10.5.0.0/16", "Backend": {"Type": "host-gw"}})
    one, two = host(1), host(2)
    for item, other in ((one, 2), (two, 1)):
        item["dataplane"]["links"] = []
        route = {"dst": f"10.5.{other}.0/24", "gateway": f"198.18.0.{other}", "dev": "eth0"}
        item["dataplane"]["routes"] = [route]
    with pytest.raises(ConflictError, match="public_ip is missing, and no link of backend host-gw tells it"):
        recovery.leases(config, [one, two])
    one["public_ip"], two["public_ip"] = "198.18.0.1", "198.18.0.2"
    found, warnings = recovery.leases(config, [one, two])
    assert [(str(each.public_ip), each.backend_type, each.backend_data) for each in found] == [
        ("198.18.0.1", "host-gw", None),
        ("198.18.0.2", "host-gw", None),
    ]
    assert warnings == []


@pytest.mark.parametrize("where", ["link", "file", "nowhere"])
def test_wireguard(where: str) -> None:
    config = network_config.parse({"Network": "10.5.0.0/16", "Backend": {"Type": "wireguard"}})
    item = {**host(1), "public_ip": "198.18.0.1"}
    link = {"name": "flannel-wg", "kind": "wireguard", "addresses": ["10.5.1.0/32"], "port": 51820}
    item["dataplane"]["links"] = [{**link, "public_key": KEY} if where == "link" else link]
    item["dataplane"]["public_key"] = KEY if where == "file" else None
    item["dataplane"]["wireguard_peers"] = [{"dev": "flannel-wg", "public_key": "x", "allowed_ips": ["10.5.2.0/24"]}]
    if where == "nowhere":
        with pytest.raises(ConflictError, match="tells its wireguard public key"):
            recovery.leases(config, [item])
        return
    found, warnings = recovery.leases(config, [item])
    assert found[0].backend_data == {"PublicKey": KEY, "Port": 51820}
    assert "10.5.2.0/24" in warnings[0]


def test_both_families() -> None:
    config = network_config.parse(
        {"EnableIPv6": True, "Network": "10.5.0.0/16", "IPv6Network": "fd00:5::/48", "Backend": {"Type": "vxlan"}}
    )
    item = host(1)
    link = {"name": "flannel-v6.1", "kind": "vxlan", "mac": mac(0x61), "local": "fd00:18::1"}
    item["dataplane"]["links"].append({**link, "addresses": ["fd00:5:0:1::/128", "fe80::1/64"]})
    item["dataplane"]["subnet_file"].update(FLANNEL_IPV6_NETWORK="fd00:5::/48", FLANNEL_IPV6_SUBNET="fd00:5:0:1::1/64")
    found, _warnings = recovery.leases(config, [item])
    assert found[0].ipv6_subnet == IPv6Network("fd00:5:0:1::/64")
    assert found[0].public_ipv6 == IPv6Address("fd00:18::1")
    assert found[0].backend_v6_data == {"VNI": 1, "VtepMAC": mac(0x61)}


def test_the_data_of_an_extension_is_nowhere() -> None:
    config = network_config.parse({"Network": "10.5.0.0/16", "Backend": {"Type": "extension"}})
    with pytest.raises(InputError, match="restore a backup"):
        recovery.leases(config, [host(1)])
