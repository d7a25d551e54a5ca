# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node's kernel holds, in the same terms as what it should hold.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from ansible_collections.podnet.cni.plugins.module_utils._dataplane.model import (
    PROTOCOL_BOOT,
    Address,
    Link,
    Route,
    WireguardPeer,
)

# include/uapi/linux/neighbour.h of Linux.
NUD_PERMANENT = 0x80


class ObservedLink(NamedTuple):
    """A link as the kernel holds it; C(strange) says what about it no overlay link has (l2miss, a remote), or ""."""

    link: Link
    ifindex: int
    up: bool
    accepts_ra: bool = False
    strange: str = ""


class ObservedRoute(NamedTuple):
    """A unicast route of the main table as the kernel holds it.

    C(exact) is false when it carries something that a Route cannot say: a preferred source, metrics like an MTU, or
    several next hops. Of those of an IPv4 route the first stands for it, of IPv6 each is a route, as for deletion.
    """

    route: Route
    protocol: int = PROTOCOL_BOOT
    exact: bool = True


class ObservedNeighbour(NamedTuple):
    """A neighbour or FDB entry as the kernel holds it; C(plain) is false for an entry with its own port or VNI."""

    mac: bytes
    address: bytes
    state: int = NUD_PERMANENT
    plain: bool = True


class WireguardState(NamedTuple):
    """What a wireguard device holds: its public key, its port and its peers.

    C(wrong_psk) are the keys of peers whose preshared key is not ours, C(in_session) those of peers that answered
    lately: their endpoint is where they answered from.
    """

    public_key: bytes
    port: int
    peers: tuple[WireguardPeer, ...] = ()
    wrong_psk: frozenset[bytes] = frozenset()
    in_session: frozenset[bytes] = frozenset()


@dataclass
class Observed:
    """What a kernel holds: links with flannel's names, their addresses and entries, routes inside the networks."""

    links: dict[str, ObservedLink] = field(default_factory=dict)
    addresses: list[Address] = field(default_factory=list)
    routes: list[ObservedRoute] = field(default_factory=list)
    neighbours: dict[str, list[ObservedNeighbour]] = field(default_factory=dict)
    fdb: dict[str, list[ObservedNeighbour]] = field(default_factory=dict)
    wireguard: dict[str, WireguardState] = field(default_factory=dict)
