# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Leases turned into what the backends need of a node, after every check that keeps a bad peer out of the kernel.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, Callable, Mapping, NamedTuple, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._dataplane.model import (
    Prefix,
    contains,
    mac_text,
    to_text,
)
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._lease import Lease
from ansible_collections.podnet.cni.plugins.module_utils._network_config import NetworkConfig
from ansible_collections.podnet.cni.plugins.module_utils._vtep import parse_mac

_MAPPED = bytes(10) + b"\xff\xff"
_NAMES_SHOWN = 5


class Side(NamedTuple):
    """One family's half of a node: its subnet, its public IP, and what its backend publishes for that family."""

    subnet: Prefix
    public_ip: bytes
    mac: bytes = b""
    public_key: bytes = b""
    port: int = 0


class Node(NamedTuple):
    """A node of the overlay; a family that the network or the node lacks is None."""

    name: str
    ipv4: Side | None
    ipv6: Side | None


def public_ips(node: Node) -> list[bytes]:
    """The packed public IPs of the node, one per family that has one."""
    return [side.public_ip for side in (node.ipv4, node.ipv6) if side is not None and side.public_ip]


class Checked(NamedTuple):
    """Peers that may be programmed, and what the user should know about those that are not."""

    peers: list[Node]
    warnings: list[str]


def networks_of(config: NetworkConfig) -> dict[int, Prefix]:
    """The overlay's ranges of the enabled families, by family number 4 or 6."""
    found = {}
    if config.enable_ipv4 and config.network is not None:
        found[4] = Prefix(config.network.network_address.packed, config.network.prefixlen)
    if config.enable_ipv6 and config.ipv6_network is not None:
        found[6] = Prefix(config.ipv6_network.network_address.packed, config.ipv6_network.prefixlen)
    return found


def read_own(config: NetworkConfig, lease: Lease) -> Node:
    """The node that this data plane belongs to. Raises InputError for a lease that does not fit the config."""
    label = f"lease ({lease.name or lease.public_ip or lease.public_ipv6}, {lease.subnet or lease.ipv6_subnet})"
    if lease.backend_type != config.backend.type:
        raise InputError(
            f"{label}: its backend is {lease.backend_type!r} but the network's is {config.backend.type!r}; "
            "run flannel_lease for this node again"
        )
    node = _read_node(config, networks_of(config), lease, lambda: label)
    for family, side in ((4, node.ipv4), (6, node.ipv6)):
        if family in networks_of(config) and side is None:
            raise InputError(
                f"{label}: the network has IPv{family}, the lease has no IPv{family} subnet; "
                "release the lease and let flannel_lease allocate a new one"
            )
    return node


def read_peers(config: NetworkConfig, own: Node, leases: Sequence[Lease], where: str = "peers") -> Checked:
    """The peers in `leases`, which must not hold this node's own lease.

    Peers of another backend are passed over with a warning, as flanneld does. Raises InputError, naming the peer
    by its place in `where`, for one that must never reach the kernel: a subnet outside the network, one that is
    given twice or overlaps another, the node itself, an address or a MAC that is not unicast, a MAC that two
    public IPs share.
    """
    networks = networks_of(config)
    backend = config.backend.type
    peers: list[Node] = []
    labels: list[Callable[[], str]] = []
    ignored: list[str] = []
    for place, lease in enumerate(leases):
        label = _labeller(where, place, lease)
        if lease.backend_type != backend:
            ignored.append(f"{lease.name or lease.public_ip or lease.public_ipv6} ({lease.backend_type or 'none'})")
            continue
        peers.append(_read_node(config, networks, lease, label))
        labels.append(label)
    _check_together(own, peers, labels)
    warnings = []
    if ignored:
        shown = ", ".join(ignored[:_NAMES_SHOWN]) + (", ..." if len(ignored) > _NAMES_SHOWN else "")
        warnings.append(f"{len(ignored)} peers are ignored because their backend is not {backend}: {shown}")
    return Checked(peers, warnings)


def _labeller(where: str, place: int, lease: Lease) -> Callable[[], str]:
    return lambda: (
        f"{where}[{place}] ({lease.name or lease.public_ip or lease.public_ipv6}, {lease.subnet or lease.ipv6_subnet})"
    )


def _read_node(config: NetworkConfig, networks: Mapping[int, Prefix], lease: Lease, label: Callable[[], str]) -> Node:
    ipv4 = ipv6 = None
    if 4 in networks and lease.subnet is not None:
        ipv4 = _read_side(config.backend.type, networks[4], (lease.subnet, lease.public_ip, lease.backend_data), label)
    if 6 in networks and lease.ipv6_subnet is not None:
        ipv6 = _read_side(
            config.backend.type, networks[6], (lease.ipv6_subnet, lease.public_ipv6, lease.backend_v6_data), label
        )
    if ipv4 is None and ipv6 is None:
        raise InputError(
            f"{label()}: it has no subnet in a family of the network ({' and '.join(f'IPv{f}' for f in networks)})"
        )
    return Node(lease.name, ipv4, ipv6)


def _read_side(backend: str, network: Prefix, half: tuple[Any, Any, Any], label: Callable[[], str]) -> Side:
    subnet, public_ip, data = half
    prefix = Prefix(subnet.network_address.packed, subnet.prefixlen)
    family = 4 if len(prefix.address) == 4 else 6
    if prefix.address[:12] == _MAPPED:
        raise InputError(f"{label()}: {subnet} is an IPv4-mapped IPv6 subnet; write the IPv4 subnet itself")
    if prefix.length <= network.length or not contains(network, prefix.address):
        raise InputError(
            f"{label()}: {subnet} is no subnet of the network {to_text(network.address)}/{network.length}; "
            "release this lease or correct the network config"
        )
    if backend == "alloc":
        return Side(prefix, public_ip.packed if public_ip is not None else b"")
    if public_ip is None:
        raise InputError(f"{label()}: it has no public IPv{family} address, which its IPv{family} subnet needs")
    packed: bytes = public_ip.packed
    problem = _address_problem(packed) or (contains(network, packed) and "lies inside the overlay's own network")
    if problem:
        raise InputError(f"{label()}: public IP {public_ip} {problem}; write the node's address on the underlay")
    if backend == "vxlan":
        return Side(prefix, packed, _read_mac(data, family, label))
    if backend == "wireguard":
        key, port = _read_key(data, family, label)
        return Side(prefix, packed, b"", key, port)
    return Side(prefix, packed)


def _address_problem(packed: bytes) -> str:
    if len(packed) == 16:
        mapped, multicast, hostless = packed[:12] == _MAPPED, packed[0] == 0xFF, packed[:15] == bytes(15)
    else:
        mapped, multicast, hostless = False, packed[0] >= 224, packed[0] in (0, 127)
    if mapped:
        return "is an IPv4-mapped IPv6 address"
    if multicast:
        return "is a multicast or reserved address"
    return "is no address of a host on a network" if hostless else ""


def _read_mac(data: Any, family: int, label: Callable[[], str]) -> bytes:
    member = "backend_data" if family == 4 else "backend_v6_data"
    text = data.get("VtepMAC") if isinstance(data, Mapping) else None
    if not text:
        raise InputError(f"{label()}: {member} has no VtepMAC; run flannel_lease for that node again")
    try:
        return parse_mac(text, f"{member} VtepMAC")
    except InputError as error:
        raise InputError(f"{label()}: {error}") from error


def _read_key(data: Any, family: int, label: Callable[[], str]) -> tuple[bytes, int]:
    member = "backend_data" if family == 4 else "backend_v6_data"
    if not isinstance(data, Mapping) or not data.get("PublicKey"):
        raise InputError(f"{label()}: {member} has no PublicKey; publish the key that flannel_dataplane_info returns")
    text, port = data["PublicKey"], data.get("Port") or 0
    try:
        key = base64.b64decode(text, validate=True)
    except (TypeError, ValueError, binascii.Error):
        key = b""
    if len(key) != 32:
        raise InputError(f"{label()}: {member} PublicKey {text!r} is no wireguard key (32 octets in base64)")
    if not isinstance(port, int) or not 0 <= port <= 65535:
        raise InputError(f"{label()}: {member} Port {port!r} must be a number from 0 to 65535")
    return key, port


def _check_together(own: Node, peers: Sequence[Node], labels: Sequence[Callable[[], str]]) -> None:
    for side in ("ipv4", "ipv6"):
        mine: Side | None = getattr(own, side)
        halves = [(getattr(peer, side), label) for peer, label in zip(peers, labels)]
        present = [(half, label) for half, label in halves if half is not None]
        if mine is not None:
            _check_not_self(mine, present)
        _check_apart(mine, present)
        _check_macs(mine, present)


def _check_not_self(mine: Side, present: Sequence[tuple[Side, Callable[[], str]]]) -> None:
    for half, label in present:
        same = half.subnet == mine.subnet or (half.public_ip and half.public_ip == mine.public_ip)
        if same:
            raise InputError(f"{label()}: this is the node itself; leave its own lease out of the peers")


def _check_apart(mine: Side | None, present: Sequence[tuple[Side, Callable[[], str]]]) -> None:
    def text(prefix: Prefix) -> str:
        return f"{to_text(prefix.address)}/{prefix.length}"

    ordered = sorted(present, key=lambda item: item[0].subnet)
    reach, holder = -1, ""
    spans: list[tuple[Prefix, Callable[[], str]]] = [(half.subnet, label) for half, label in ordered]
    if mine is not None:
        spans = sorted([*spans, (mine.subnet, lambda: "this node's own lease")], key=lambda item: item[0])
    previous: tuple[Prefix, Callable[[], str]] | None = None
    for prefix, label in spans:
        first = int.from_bytes(prefix.address, "big")
        if first <= reach and previous is not None:
            holder = previous[1]()
            verb = "is given twice: it is also that of" if prefix == previous[0] else "overlaps that of"
            raise InputError(f"{label()}: subnet {text(prefix)} {verb} {holder}; release one of the two leases")
        reach = first + (1 << (8 * len(prefix.address) - prefix.length)) - 1
        previous = (prefix, label)


def _check_macs(mine: Side | None, present: Sequence[tuple[Side, Callable[[], str]]]) -> None:
    owners: dict[bytes, tuple[bytes, Callable[[], str]]] = {}
    if mine is not None and mine.mac:
        owners[mine.mac] = (mine.public_ip, lambda: "this node")
    for half, label in present:
        if not half.mac:
            continue
        public_ip, owner = owners.setdefault(half.mac, (half.public_ip, label))
        if public_ip != half.public_ip:
            raise InputError(
                f"{label()}: VTEP MAC {mac_text(half.mac)} is also that of {owner()}; "
                "release one of the two leases so that it gets another MAC"
            )
