# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Leases turned into what the backends need of a node, after every check that keeps a bad peer out of the kernel.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import base64
import binascii
import socket
from bisect import bisect_left, insort
from typing import Any, Callable, Mapping, NamedTuple, Sequence, Union

from ansible_collections.podnet.cni.plugins.module_utils._dataplane.model import (
    Prefix,
    contains,
    mac_text,
    to_text,
)
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import go_json
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import Lease, from_dict
from ansible_collections.podnet.cni.plugins.module_utils._flannel.network_config import NetworkConfig
from ansible_collections.podnet.cni.plugins.module_utils._flannel.vtep import read_data

Label = Callable[[], str]

_MAPPED = bytes(10) + b"\xff\xff"
_NAMES_SHOWN = 5


class Packed(NamedTuple):
    """A lease with packed addresses, b"" and None for what it has not.

    A node of a large network reads thousands, and an object for each address costs more than the rest of the work.
    """

    name: str
    subnet: Prefix | None
    ipv6_subnet: Prefix | None
    public_ip: bytes
    public_ipv6: bytes
    backend_type: str
    backend_data: Any
    backend_v6_data: Any


AnyLease = Union[Lease, Packed]


def pack(lease: AnyLease) -> Packed:
    """The lease with packed addresses."""
    if isinstance(lease, Packed):
        return lease
    subnets = [
        Prefix(subnet.network_address.packed, subnet.prefixlen) if subnet is not None else None
        for subnet in (lease.subnet, lease.ipv6_subnet)
    ]
    return Packed(
        lease.name,
        subnets[0],
        subnets[1],
        lease.public_ip.packed if lease.public_ip is not None else b"",
        lease.public_ipv6.packed if lease.public_ipv6 is not None else b"",
        lease.backend_type,
        lease.backend_data,
        lease.backend_v6_data,
    )


def read(data: Mapping[str, Any], where: str) -> Packed:
    """The lease in C(data), as from_dict of the lease's codec reads it, and with its errors."""
    try:
        return Packed(
            data.get("name") or "",
            _quick_prefix(data.get("subnet"), socket.AF_INET, 32),
            _quick_prefix(data.get("ipv6_subnet"), socket.AF_INET6, 128),
            _quick_address(data.get("public_ip"), socket.AF_INET),
            _quick_address(data.get("public_ipv6"), socket.AF_INET6),
            data.get("backend_type") or "",
            data.get("backend_data") or None,
            data.get("backend_v6_data") or None,
        )
    except (ValueError, TypeError, OSError, AttributeError):
        # Anything but the usual spelling is a matter of the codec, which knows Go's rules and the words for errors.
        return pack(from_dict(data, where))


def _quick_address(text: Any, family: int) -> bytes:
    if text in (None, ""):
        return b""
    packed = socket.inet_pton(family, text)
    if packed[:12] == _MAPPED:
        raise ValueError(text)
    return packed


def _quick_prefix(text: Any, family: int, bits: int) -> Prefix | None:
    if text in (None, ""):
        return None
    address, _slash, digits = text.partition("/")
    packed, length = _quick_address(address or "none", family), int(digits)
    hosts = bits - length
    if str(length) != digits or hosts < 0 or int.from_bytes(packed, "big") & ((1 << hosts) - 1):
        raise ValueError(text)
    return Prefix(packed, length)


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
    label = f"lease ({_who(pack(lease))})"
    if lease.backend_type != config.backend.type:
        raise InputError(
            f"{label}: its backend is {lease.backend_type!r} but the network's is {config.backend.type!r}; "
            "run flannel_lease for this node again"
        )
    node = _read_node(config, networks_of(config), pack(lease), lambda: label)
    for family, side in ((4, node.ipv4), (6, node.ipv6)):
        if family in networks_of(config) and side is None:
            raise InputError(
                f"{label}: the network has IPv{family}, the lease has no IPv{family} subnet; "
                "release the lease and let flannel_lease allocate a new one"
            )
    return node


def read_peers(
    config: NetworkConfig,
    own: Node,
    leases: Sequence[AnyLease],
    foreign: Sequence[AnyLease] = (),
    where: str = "foreign_peers",
) -> Checked:
    """The peers in C(leases) and in C(foreign), which must not hold this node's own lease.

    Peers of another backend are passed over with a warning, as flanneld does. Raises InputError, naming the peer
    by its place, for one of C(leases) that must never reach the kernel: a subnet outside the network, one that is
    given twice or overlaps another, the node itself, an address or a MAC that is not unicast, a MAC that two
    public IPs share, a wireguard key that two nodes share.

    One of C(foreign), which somebody else wrote, is passed over for such a thing with a warning that names it by its
    place in C(where), so that it costs this node no other peer. (flanneld skips one without a MAC, which Windows
    nodes publish while they start: flannel v0.28.9 pkg/backend/vxlan/vxlan_network.go.)
    """
    networks = networks_of(config)
    backend = config.backend.type
    peers: list[Node] = []
    ignored: list[str] = []
    unusable: list[str] = []
    claims = (_Claims(own.ipv4), _Claims(own.ipv6))
    for strict, place_of, items in ((True, "peers", leases), (False, where, foreign)):
        for place, item in enumerate(items):
            lease = pack(item)
            if lease.backend_type != backend:
                ignored.append(f"{_owner(lease)} ({lease.backend_type or 'none'})")
                continue
            label = _labeller(place_of, place, lease)
            try:
                node = _read_node(config, networks, lease, label)
                _claim(claims, node, label)
            except InputError as error:
                if strict:
                    raise
                unusable.append(str(error))
            else:
                peers.append(node)
    warnings = []
    if ignored:
        warnings.append(f"{len(ignored)} peers are ignored because their backend is not {backend}: {_some(ignored)}")
    if unusable:
        warnings.append(f"{len(unusable)} foreign peers are passed over: {_some(unusable, '. ')}")
    # In one order, whoever lists the leases: the files for the boot are compared as texts.
    peers.sort(key=_place)
    return Checked(peers, warnings)


def _place(node: Node) -> list[Prefix]:
    return [Prefix(b"", 0) if side is None else side.subnet for side in (node.ipv4, node.ipv6)]


def _some(texts: Sequence[str], separator: str = ", ") -> str:
    return separator.join(texts[:_NAMES_SHOWN]) + (f"{separator}..." if len(texts) > _NAMES_SHOWN else "")


def _labeller(where: str, place: int, lease: Packed) -> Label:
    return lambda: f"{where}[{place}] ({_who(lease)})"


def _owner(lease: Packed) -> str:
    return lease.name or next((to_text(one) for one in (lease.public_ip, lease.public_ipv6) if one), "None")


def _who(lease: Packed) -> str:
    subnet = lease.subnet or lease.ipv6_subnet
    return f"{_owner(lease)}, {_prefix_text(subnet) if subnet is not None else None}"


def _prefix_text(prefix: Prefix) -> str:
    return f"{to_text(prefix.address)}/{prefix.length}"


def _read_node(config: NetworkConfig, networks: Mapping[int, Prefix], lease: Packed, label: Label) -> Node:
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


def _read_side(backend: str, network: Prefix, half: tuple[Prefix, bytes, Any], label: Label) -> Side:
    prefix, packed, data = half
    family = 4 if len(prefix.address) == 4 else 6
    if prefix.address[:12] == _MAPPED:
        raise InputError(
            f"{label()}: {_prefix_text(prefix)} is an IPv4-mapped IPv6 subnet; write the IPv4 subnet itself"
        )
    if prefix.length <= network.length or not contains(network, prefix.address):
        raise InputError(
            f"{label()}: {_prefix_text(prefix)} is not a subnet of the network {_prefix_text(network)}; "
            "release this lease or correct the network config"
        )
    if backend == "alloc":
        return Side(prefix, packed)
    if not packed:
        raise InputError(f"{label()}: it has no public IPv{family} address, which its IPv{family} subnet needs")
    problem = _address_problem(packed) or (contains(network, packed) and "lies inside the overlay's own network")
    if problem:
        raise InputError(f"{label()}: public IP {to_text(packed)} {problem}; write the node's address on the underlay")
    if backend == "vxlan":
        return Side(prefix, packed, _read_mac(data, family, label))
    if backend == "wireguard":
        key, port = _read_key(data, family, label)
        return Side(prefix, packed, b"", key, port)
    return Side(prefix, packed)


def _address_problem(packed: bytes) -> str:
    if len(packed) == 16:
        mapped, multicast, hostless = packed[:12] == _MAPPED, packed[0] == 0xFF, packed[:12] == bytes(12)
    else:
        mapped, multicast, hostless = False, packed[0] >= 224, packed[0] in (0, 127)
    if mapped:
        return "is an IPv4-mapped IPv6 address"
    if multicast:
        return "is a multicast or reserved address"
    return "is not an address of a host on a network" if hostless else ""


def _read_mac(data: Any, family: int, label: Label) -> bytes:
    member = "backend_data" if family == 4 else "backend_v6_data"
    try:
        return read_data(data, member)
    except InputError as error:
        raise InputError(f"{label()}: {error}") from error


def _read_key(data: Any, family: int, label: Label) -> tuple[bytes, int]:
    member = "backend_data" if family == 4 else "backend_v6_data"
    text, port = go_json.member(data, "PublicKey"), go_json.member(data, "Port") or 0
    if not text:
        raise InputError(f"{label()}: {member} has no PublicKey; publish the key that flannel_dataplane_info returns")
    try:
        key = base64.b64decode(text, validate=True)
    except (TypeError, ValueError, binascii.Error):
        key = b""
    if len(key) != 32:
        raise InputError(f"{label()}: {member} PublicKey {text!r} is not a wireguard key (32 octets in base64)")
    if not isinstance(port, int) or not 0 <= port <= 65535:
        raise InputError(f"{label()}: {member} Port {port!r} must be a number from 0 to 65535")
    return key, port


class _Claims:
    """What the nodes of one family hold so far: no two may overlap or share a key, and each MAC has one public IP."""

    def __init__(self, mine: Side | None) -> None:
        self._mine = mine
        # First addresses in order; what is kept never overlaps, so the neighbours of a subnet tell whether it may.
        self._starts: list[int] = []
        self._holders: dict[int, tuple[int, Prefix, Label]] = {}
        self._macs: dict[bytes, tuple[bytes, Label]] = {}
        self._keys: dict[bytes, Label] = {}
        if mine is not None:
            self.add(mine, lambda: "this node's own lease")

    def check(self, half: Side, label: Label) -> None:
        """Raise InputError when this peer's half cannot be beside what is there."""
        mine = self._mine
        if mine is not None and (half.subnet == mine.subnet or (half.public_ip and half.public_ip == mine.public_ip)):
            raise InputError(f"{label()}: this is the node itself; leave its own lease out of the peers")
        first, last = _span(half.subnet)
        place = bisect_left(self._starts, first)
        for start in self._starts[max(place - 1, 0) : place + 1]:
            end, prefix, holder = self._holders[start]
            if start <= last and first <= end:
                verb = "is given twice: it is also that of" if prefix == half.subnet else "overlaps that of"
                text = _prefix_text(half.subnet)
                raise InputError(f"{label()}: subnet {text} {verb} {holder()}; release one of the two leases")
        key_owner = self._keys.get(half.public_key)
        if key_owner is not None:
            # The kernel knows a peer by its key, so the two would take the tunnel from each other.
            text = base64.b64encode(half.public_key).decode()
            raise InputError(
                f"{label()}: wireguard public key {text} is also that of {key_owner()}; release one of the two leases, "
                "or give one node a new key: remove its key file and run flannel_dataplane_prepare"
            )
        public_ip, owner = self._macs.get(half.mac, (half.public_ip, label))
        if public_ip != half.public_ip:
            raise InputError(
                f"{label()}: VTEP MAC {mac_text(half.mac)} is also that of {owner()}; "
                "release one of the two leases so that it gets another MAC"
            )

    def add(self, half: Side, label: Label) -> None:
        """Keep a half that C(check) had nothing against."""
        first, last = _span(half.subnet)
        insort(self._starts, first)
        self._holders[first] = (last, half.subnet, label)
        if half.mac:
            self._macs.setdefault(half.mac, (half.public_ip, label))
        if half.public_key:
            self._keys[half.public_key] = label


def _span(prefix: Prefix) -> tuple[int, int]:
    first = int.from_bytes(prefix.address, "big")
    return first, first + (1 << (8 * len(prefix.address) - prefix.length)) - 1


def _claim(claims: tuple[_Claims, _Claims], node: Node, label: Label) -> None:
    halves = [(claim, half) for claim, half in zip(claims, (node.ipv4, node.ipv6)) if half is not None]
    for claim, half in halves:
        claim.check(half, label)
    for claim, half in halves:
        claim.add(half, label)
