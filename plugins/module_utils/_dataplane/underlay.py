# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The link under the overlay: which one it is, and what the backends need to know of it.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Iterable, Mapping, NamedTuple, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._dataplane.model import DataPlane, contains, to_text
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError

# include/uapi/linux/if_addr.h of Linux: IFA_F_*.
_TEMPORARY = 0x01
_DADFAILED = 0x08
_DEPRECATED = 0x20
_TENTATIVE = 0x40
_PERMANENT = 0x80


class HostAddress(NamedTuple):
    """An address of this host, the name of the link that holds it, and its scope and IFA_F_* flags."""

    link: str
    address: bytes
    prefixlen: int
    scope: int = 0
    flags: int = _PERMANENT


class Underlay(NamedTuple):
    """The link that carries the overlay's packets: name, interface index, MTU and its addresses."""

    name: str
    ifindex: int
    mtu: int
    addresses: tuple[HostAddress, ...]


def choose(
    host: str,
    public_ips: Iterable[bytes],
    links: Mapping[str, int],
    addresses: Sequence[HostAddress],
    interface: str | None,
) -> str:
    """The name of the link that holds the node's public IPs; C(interface) only has to be confirmed.

    It is empty when there is neither a public IP nor an interface.

    C(links) are the host's links (name to index). Raises InputError, naming the host, for an interface that does not
    exist, that has no address, or that does not hold the public IP (flannel v0.28.9 looks the link up by public IP
    too, pkg/ipmatch/match.go).
    """
    if interface and interface not in links:
        raise InputError(
            f"host {host}: interface {interface!r} does not exist; it has {', '.join(sorted(links)) or 'none'}"
        )
    if interface and not any(address.link == interface for address in addresses):
        raise InputError(f"host {host}: interface {interface!r} has no address; give it one or name another")
    chosen = interface or ""
    for public_ip in public_ips:
        holders = [address.link for address in addresses if address.address == public_ip]
        text = to_text(public_ip)
        if not holders:
            nat = "use the host's own address" if interface else "name the interface (interface)"
            raise InputError(
                f"host {host}: the public IP {text} is on no interface of this host; correct the public IP in "
                f"the inventory (behind NAT, {nat})"
            )
        if chosen and chosen not in holders:
            raise InputError(
                f"host {host}: the public IP {text} is on interface {holders[0]!r}, not on {chosen!r}; correct "
                "the interface or the public IP"
            )
        chosen = chosen or holders[0]
    return chosen


def not_held(public_ips: Iterable[bytes], addresses: Sequence[HostAddress]) -> list[bytes]:
    """Those of the public IPs that are on no interface of this host, as behind NAT."""
    held = {address.address for address in addresses}
    return [public_ip for public_ip in public_ips if public_ip not in held]


def strays(addresses: Iterable[HostAddress], own_links: Iterable[str], plane: DataPlane) -> list[HostAddress]:
    """Addresses of the overlay on links that are not its own, outside of this node's subnets: its subnet has moved."""
    own = set(own_links)
    return [
        one
        for one in addresses
        if one.link not in own
        and any(contains(network, one.address) for network in plane.networks)
        and not any(contains(subnet, one.address) for subnet in plane.own_subnets)
    ]


def usable_address(underlay: Underlay, length: int) -> bytes:
    """The address of that many octets (4 or 16) by which peers can reach the link, b"" when it has none.

    The order of preference is that of flannel v0.28.9 pkg/ip/iface.go: global before link-local, permanent before
    dynamic, lasting before temporary; deprecated addresses and those that another host may hold are passed over.
    """
    unusable = _DADFAILED | _DEPRECATED | _TENTATIVE
    usable = [one for one in underlay.addresses if len(one.address) == length and not one.flags & unusable]
    best = sorted(usable, key=lambda one: (one.scope, not one.flags & _PERMANENT, one.flags & _TEMPORARY))
    return best[0].address if best else b""


def check_mtu(host: str, name: str, mtu: int) -> None:
    """Raise InputError for a link whose MTU cannot carry anything."""
    if mtu <= 0:
        raise InputError(f"host {host}: interface {name!r} has MTU {mtu}; set one, like 1500")
