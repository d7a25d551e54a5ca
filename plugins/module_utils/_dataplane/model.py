# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node's kernel should hold for the overlay, as plain values.

Private to podnet.cni: may change in any release.

Addresses are packed bytes in network order (4 or 16 of them), MACs are 6 bytes, and links are known by
name: the kernel edge turns names into interface indexes. Nothing here is an object per address, because a
node of a large overlay holds tens of thousands of these and they are compared as sets.
"""

from __future__ import annotations

import base64
import socket
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Sequence

AF_INET = int(socket.AF_INET)
AF_INET6 = int(socket.AF_INET6)

# include/uapi/linux/rtnetlink.h of Linux: rtm_scope and rtm_protocol; and the metric that the kernel gives an
# IPv6 route which names none (IP6_RT_PRIO_USER of include/net/ip6_route.h).
SCOPE_UNIVERSE = 0
SCOPE_LINK = 253
PROTOCOL_KERNEL = 2
PROTOCOL_BOOT = 3
IPV6_DEFAULT_METRIC = 1024


class Link(NamedTuple):
    """A link of the overlay. Fields that the kind does not know keep their empty value.

    C(underlay) is the name of the link that carries the encapsulated packets, C(local) the packed source
    address of those packets, C(port) the UDP port (0 is the kernel's default), C(mac) is empty for links without
    one.
    """

    name: str
    kind: str
    mtu: int
    mac: bytes = b""
    underlay: str = ""
    local: bytes = b""
    vni: int = 0
    port: int = 0
    learning: bool = False
    gbp: bool = False


class Address(NamedTuple):
    """An address on a link, global scope."""

    link: str
    address: bytes
    prefixlen: int


class Route(NamedTuple):
    """A unicast route of the main table, protocol boot. C(gateway) is empty for a route without one."""

    destination: bytes
    prefixlen: int
    gateway: bytes
    link: str
    onlink: bool = False
    scope: int = SCOPE_UNIVERSE
    metric: int = 0
    tos: int = 0


class Neighbour(NamedTuple):
    """A PERMANENT neighbour (ARP or ND) entry on a link."""

    link: str
    address: bytes
    mac: bytes


class FdbEntry(NamedTuple):
    """A permanent C(self) entry of a vxlan link's forwarding database: frames to C(mac) go to C(destination)."""

    link: str
    mac: bytes
    destination: bytes


class Prefix(NamedTuple):
    """An address range; C(address) is packed, host bits are zero."""

    address: bytes
    length: int


class WireguardPeer(NamedTuple):
    """A peer of a wireguard link. Keys are 32 raw bytes; C(keepalive) is in seconds, 0 is off."""

    link: str
    public_key: bytes
    endpoint: bytes
    port: int
    allowed_ips: tuple[Prefix, ...]
    keepalive: int = 0


@dataclass(frozen=True)
class Former:
    """What an earlier run put into the kernel for a network that may have been another, and this run does not want.

    C(routes) are (destination, prefix length, gateway, link), C(neighbours) (link, address).
    """

    links: frozenset[str] = frozenset()
    addresses: frozenset[Address] = frozenset()
    routes: frozenset[tuple[bytes, int, bytes, str]] = frozenset()
    neighbours: frozenset[tuple[str, bytes]] = frozenset()


NO_FORMER = Former()


@dataclass(frozen=True)
class DataPlane:
    """Everything that one node's kernel should hold for the overlay.

    C(networks) are the overlay's ranges, one per enabled family: outside of them nothing is ever programmed
    or removed. C(mtu) is what pods get (FLANNEL_MTU), which is not always the MTU of a link. C(link_names) are
    the names that belong to this configuration even when the link is not wanted now (a family that was
    switched off). C(wireguard_public_key) is this node's own. C(own_subnets) are those of its lease, C(subnet_lengths)
    the prefix lengths of nodes' subnets, each after the octets of its family's addresses, and C(route_links)
    the links over which peers are routed without a device of ours: the underlay, and with DirectRouting whatever
    leads to a peer; None when they are not known. C(former) is what goes although it lies outside of the networks.
    """

    backend: str
    mtu: int
    networks: tuple[Prefix, ...]
    links: tuple[Link, ...] = ()
    addresses: tuple[Address, ...] = ()
    routes: list[Route] = field(default_factory=list)
    neighbours: list[Neighbour] = field(default_factory=list)
    fdb: list[FdbEntry] = field(default_factory=list)
    wireguard_peers: list[WireguardPeer] = field(default_factory=list)
    wireguard_public_key: bytes = b""
    preshared_key: bytes | None = field(default=None, repr=False)
    link_names: tuple[str, ...] = ()
    own_subnets: tuple[Prefix, ...] = ()
    subnet_lengths: frozenset[tuple[int, int]] = frozenset()
    route_links: frozenset[str] | None = None
    former: Former = NO_FORMER

    def largest(self, family: int) -> int:
        """The largest packet of C(family) (AF_INET or AF_INET6) that pods send to peers; 0 where it is not enabled."""
        if not any(family_of(network[0]) == family for network in self.networks):
            return 0
        own = {address.link for address in self.addresses if family_of(address.address) == family}
        return min(self.mtu, *(link.mtu for link in self.links if link.name in own)) if own else self.mtu

    def with_links(self, links: Sequence[Link], addresses: Sequence[Address]) -> DataPlane:
        """The same data plane with these links and addresses; the lists are shared with this one."""
        return replace(self, links=tuple(links), addresses=tuple(addresses))


def family_of(packed: bytes) -> int:
    """AF_INET for 4 bytes, AF_INET6 for 16."""
    return AF_INET if len(packed) == 4 else AF_INET6


def to_text(packed: bytes) -> str:
    """The canonical text of a packed address."""
    return socket.inet_ntop(family_of(packed), packed)


def mac_text(mac: bytes) -> str:
    """Six bytes as lower case, colon separated text."""
    return mac.hex(":")


def contains(prefix: Prefix, address: bytes) -> bool:
    """Whether the packed address lies in the prefix; addresses of the other family never do."""
    if len(prefix.address) != len(address):
        return False
    shift = 8 * len(address) - prefix.length
    return int.from_bytes(prefix.address, "big") >> shift == int.from_bytes(address, "big") >> shift


def route_text(route: Route) -> str:
    """The route as C(ip route) takes it, without the verb."""
    words = [f"{to_text(route.destination)}/{route.prefixlen}"]
    if route.gateway:
        words.append(f"via {to_text(route.gateway)}")
    words.append(f"dev {route.link}")
    if route.scope == SCOPE_LINK and len(route.destination) == 4:
        words.append("scope link")
    if route.metric and not (len(route.destination) == 16 and route.metric == IPV6_DEFAULT_METRIC):
        words.append(f"metric {route.metric}")
    if route.tos:
        words.append(f"tos {route.tos:#04x}")
    if route.onlink:
        words.append("onlink")
    return " ".join(words)


def neighbour_text(neighbour: Neighbour) -> str:
    """The neighbour as C(ip neigh) takes it, without the verb."""
    return f"{to_text(neighbour.address)} lladdr {mac_text(neighbour.mac)} dev {neighbour.link} nud permanent"


def fdb_text(entry: FdbEntry) -> str:
    """The forwarding entry as C(bridge fdb) takes it, without the verb."""
    return f"{mac_text(entry.mac)} dev {entry.link} dst {to_text(entry.destination)} self permanent"


def address_text(address: Address) -> str:
    """The address as C(ip address) takes it, without the verb."""
    return f"{to_text(address.address)}/{address.prefixlen} dev {address.link}"


def link_text(link: Link) -> str:
    """The link as C(ip link) takes it, without the verb: C(<name> address .. mtu .. type <kind> ..)."""
    words = [link.name]
    if link.mac:
        words.append(f"address {mac_text(link.mac)}")
    words.append(f"mtu {link.mtu} txqueuelen 0 type {link.kind}")
    if link.kind == "vxlan":
        words.append(f"id {link.vni}")
    if link.underlay:
        words.append(f"dev {link.underlay}")
    if link.local:
        words.append(f"local {to_text(link.local)}")
    if link.kind == "vxlan":
        words.append(f"dstport {link.port or 8472}")
        words.append("learning" if link.learning else "nolearning")
        if link.gbp:
            words.append("gbp")
    elif link.kind == "ipip":
        words.append("nopmtudisc")
    return " ".join(words)


def peer_text(peer: WireguardPeer) -> str:
    """The wireguard peer as C(wg) names its parts."""
    allowed = ",".join(f"{to_text(prefix.address)}/{prefix.length}" for prefix in peer.allowed_ips)
    host = to_text(peer.endpoint) if peer.endpoint else "(none)"
    return (
        f"{base64.b64encode(peer.public_key).decode()} dev {peer.link} "
        f"endpoint {f'[{host}]' if ':' in host else host}:{peer.port} allowed-ips {allowed or '(none)'}"
    )
