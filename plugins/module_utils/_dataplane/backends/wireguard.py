# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backend wireguard: a device per family or one for both; a wireguard peer per node, one route per network.

Private to podnet.cni: may change in any release.

Source: flannel v0.28.9 pkg/backend/wireguard/{wireguard,wireguard_network,device}.go.
"""

from __future__ import annotations

import base64
from typing import Any, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._dataplane.model import (
    IPV6_DEFAULT_METRIC,
    SCOPE_LINK,
    SCOPE_UNIVERSE,
    Address,
    DataPlane,
    Link,
    Prefix,
    Route,
    WireguardPeer,
    contains,
)
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.peers import Node, Side, networks_of
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.underlay import Underlay
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import overhead
from ansible_collections.podnet.cni.plugins.module_utils._flannel.network_config import NetworkConfig

LINK = "flannel-wg"
LINK_V6 = "flannel-wg-v6"
_PRIVATE = (Prefix(b"\x0a\0\0\0", 8), Prefix(b"\xac\x10\0\0", 12), Prefix(b"\xc0\xa8\0\0", 16))


def link_names(_config: NetworkConfig) -> tuple[str, ...]:
    """The names of this network's devices."""
    return (LINK, LINK_V6)


def build(
    config: NetworkConfig, own: Node, peers: Sequence[Node], underlay: Underlay, _on_link: Mapping[bytes, str]
) -> DataPlane:
    """What the kernel of node C(own) should hold; see C(backends.build)."""
    options = config.backend.options
    outer = options["MTU"] or underlay.mtu
    mtu = outer - overhead.RESERVED["wireguard"]
    if mtu <= 0:
        raise InputError(f"network config: Backend.MTU {outer} leaves nothing for wireguard; raise it")
    separate = options["Mode"] == "separate"
    networks = networks_of(config)
    if not separate and len(networks) < 2:
        raise InputError(
            f"network config: Backend.Mode {options['Mode']!r} puts both families into one tunnel, but the network has "
            "one; write Mode: separate, or enable both families"
        )
    plane = DataPlane(
        config.backend.type,
        mtu,
        tuple(networks.values()),
        link_names=link_names(config),
        preshared_key=base64.b64decode(options["PSK"]) if options["PSK"] else None,
    )
    links: list[Link] = []
    addresses: list[Address] = []
    for family, mine in ((4, own.ipv4), (6, own.ipv6)):
        if mine is None:
            continue
        name = LINK_V6 if family == 6 and separate else LINK
        if all(link.name != name for link in links):
            port = options["ListenPortV6" if name == LINK_V6 else "ListenPort"]
            links.append(Link(name, "wireguard", mtu, port=port))
        addresses.append(Address(name, mine.subnet.address, 8 * len(mine.subnet.address)))
        metric, scope = (0, SCOPE_LINK) if family == 4 else (IPV6_DEFAULT_METRIC, SCOPE_UNIVERSE)
        plane.routes.append(Route(*networks[family], b"", name, False, scope, metric))
    for peer in peers:
        plane.wireguard_peers.extend(_separate(peer, own, options) if separate else _single(peer, own, options))
    return plane.with_links(links, addresses)


def _separate(peer: Node, own: Node, options: Mapping[str, Any]) -> list[WireguardPeer]:
    found = []
    for name, side, mine, port in (
        (LINK, peer.ipv4, own.ipv4, options["ListenPort"]),
        (LINK_V6, peer.ipv6, own.ipv6, options["ListenPortV6"]),
    ):
        if side is not None and mine is not None:
            found.append(
                WireguardPeer(
                    name,
                    side.public_key,
                    side.public_ip,
                    side.port or port,
                    (side.subnet,),
                    options["PersistentKeepaliveInterval"],
                )
            )
    return found


def _single(peer: Node, own: Node, options: Mapping[str, Any]) -> list[WireguardPeer]:
    sides = [side for side in (peer.ipv4, peer.ipv6) if side is not None]
    endpoint = _endpoint(peer, own, options["Mode"])
    if endpoint is None:
        return []
    return [
        WireguardPeer(
            LINK,
            # Upstream takes the key from the IPv6 data whenever there is one.
            sides[-1].public_key,
            endpoint.public_ip,
            # A peer that advertises no port is taken to listen where this node's only device does.
            endpoint.port or options["ListenPort"],
            tuple(side.subnet for side in sides),
            options["PersistentKeepaliveInterval"],
        )
    ]


def _endpoint(peer: Node, own: Node, mode: str) -> Side | None:
    return peer.ipv4 if endpoint_family(_public_ips(peer), _public_ips(own), mode) == 4 else peer.ipv6


def _public_ips(node: Node) -> dict[int, bytes]:
    return {family: side.public_ip for family, side in ((4, node.ipv4), (6, node.ipv6)) if side is not None}


def endpoint_family(peer: Mapping[int, bytes], own: Mapping[int, bytes], mode: str) -> int:
    """The family of the address that a peer's one tunnel for both families leads to, by the public IPs of both nodes.

    The peer may have none of that family.
    """
    if mode == "ipv4" or 6 not in peer:
        return 4
    if mode == "ipv6" or 4 not in peer:
        return 6
    if 4 in own and not _is_private(peer[4]):
        return 4
    return 6 if 6 in own and not _is_private(peer[6]) and not _is_private(own[6]) else 4


def _is_private(address: bytes) -> bool:
    if len(address) == 16:
        return address[0] & 0xFE == 0xFC
    return any(contains(prefix, address) for prefix in _PRIVATE)
