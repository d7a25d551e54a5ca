# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What flannel_dataplane_info shows of each kind of link."""

from __future__ import annotations

from ansible_collections.podnet.cni.plugins.module_utils._dataplane.model import (
    Address,
    Link,
    Prefix,
    Route,
    WireguardPeer,
)
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.observed import (
    Observed,
    ObservedLink,
    ObservedNeighbour,
    ObservedRoute,
    WireguardState,
)
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.survey import describe

MAC = b"\2\0\0\4\0\2"
OBSERVED = Observed(
    links={
        "flannel.1": ObservedLink(
            Link("flannel.1", "vxlan", 1450, MAC, "eth0", b"\xc6\x12\0\1", 1, 8472, False, True), 5, True
        ),
        "flannel.ipip": ObservedLink(Link("flannel.ipip", "ipip", 1480, local=b"\xc6\x12\0\1"), 6, False),
        "flannel-wg": ObservedLink(Link("flannel-wg", "wireguard", 1420), 7, True),
    },
    addresses=[Address("flannel.1", b"\x0a\5\1\0", 32)],
    routes=[
        ObservedRoute(Route(b"\x0a\5\3\0", 24, b"\xc6\x12\0\3", "eth0")),
        ObservedRoute(Route(b"\x0a\5\2\0", 24, b"\x0a\5\2\0", "flannel.1", True)),
    ],
    neighbours={"flannel.1": [ObservedNeighbour(MAC, b"\x0a\5\2\0"), ObservedNeighbour(MAC, b"\x0a\5\7\0", 2)]},
    fdb={"flannel.1": [ObservedNeighbour(MAC, b"\xc6\x12\0\2"), ObservedNeighbour(MAC, b"", 0x80)]},
    wireguard={
        "flannel-wg": WireguardState(
            b"k" * 32, 51820, (WireguardPeer("flannel-wg", b"p" * 32, b"", 0, (Prefix(b"\x0a\5\2\0", 24),), 25),)
        )
    },
)


def test_describe() -> None:
    found = describe(OBSERVED, every_link=False)
    wireguard, vxlan, ipip = found["links"]
    assert vxlan == {
        "name": "flannel.1",
        "kind": "vxlan",
        "mtu": 1450,
        "up": True,
        "mac": "02:00:00:04:00:02",
        "addresses": ["10.5.1.0/32"],
        "vni": 1,
        "port": 8472,
        "underlay": "eth0",
        "learning": False,
        "gbp": True,
        "local": "198.18.0.1",
    }
    assert (ipip["local"], ipip["up"], ipip["mac"]) == ("198.18.0.1", False, None)
    assert (wireguard["port"], wireguard["public_key"]) == (51820, "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=")
    assert found["routes"] == [{"dst": "10.5.2.0/24", "gateway": "10.5.2.0", "dev": "flannel.1", "onlink": True}]
    assert found["neighbours"] == [{"dev": "flannel.1", "dst": "10.5.2.0", "lladdr": "02:00:00:04:00:02"}]
    assert found["fdb"] == [{"dev": "flannel.1", "mac": "02:00:00:04:00:02", "dst": "198.18.0.2"}]
    assert found["wireguard_peers"][0]["allowed_ips"] == ["10.5.2.0/24"]
    assert found["wireguard_peers"][0]["endpoint"] is None


def test_every_link() -> None:
    assert [route["dev"] for route in describe(OBSERVED, every_link=True)["routes"]] == ["flannel.1", "eth0"]
