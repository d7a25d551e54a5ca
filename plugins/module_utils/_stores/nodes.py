# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the nodes of an inventory to what their leases shall say.

Private to podnet.cni: may change in any release. Pure: no input or output.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, replace
from typing import Any, Callable, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import addresses, vtep
from ansible_collections.podnet.cni.plugins.module_utils._flannel.allocation import Decision, Request
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import Lease
from ansible_collections.podnet.cni.plugins.module_utils._flannel.network_config import NetworkConfig

# Backends whose leases name no backend (flannel v0.28.9 pkg/backend/{alloc,udp,tencentvpc}).
UNNAMED_BACKENDS = frozenset({"alloc", "udp", "tencent-vpc"})
_WIREGUARD_KEY_LENGTH = 32
_EXAMPLES = {
    (4, False): "198.18.0.7",
    (4, True): "10.244.7.0/24",
    (6, False): "fd00:198:18::7",
    (6, True): "fd00:10:244:7::/64",
}
_MAC_OPTIONS = ("vtep_mac", "vtep_mac_v6")
_KEY_OPTIONS = ("wireguard_public_key", "wireguard_public_key_v6")


@dataclass(frozen=True)
class Node:
    """A checked node: what it asks for and the backend data that is its own (texts, empty when not given)."""

    request: Request
    where: str
    vtep_mac: str = ""
    vtep_mac_v6: str = ""
    wireguard_public_key: str = ""
    wireguard_public_key_v6: str = ""


def backend_type(config: NetworkConfig) -> str:
    """Return the BackendType that leases of this network carry, empty for backends that write none."""
    return "" if config.backend.type in UNNAMED_BACKENDS else config.backend.type


def parse_nodes(items: Sequence[Mapping[str, Any]]) -> list[Node]:
    """Return the checked nodes; InputError names the node, the option, its value and the remedy."""
    nodes = [_parse_node(item, index) for index, item in enumerate(items)]
    for option in _MAC_OPTIONS:
        _check_unique(nodes, option)
    _check_names(nodes)
    return nodes


def check_backend(config: NetworkConfig, nodes: Sequence[Node]) -> None:
    """Raise InputError for a node that lacks what the network's backend needs, or gives what it has no use for."""
    kind = config.backend.type
    for node in nodes:
        if kind == "wireguard" and not node.wireguard_public_key:
            raise InputError(
                f"{node.where}: wireguard_public_key is missing, but the network's backend is wireguard; give what "
                f"`wg pubkey` prints on that node"
            )
        for options, owner in ((_MAC_OPTIONS, "vxlan"), (_KEY_OPTIONS, "wireguard")):
            for option in options:
                if getattr(node, option) and kind != owner:
                    raise InputError(
                        f"{node.where}: {option} is for backend {owner}, but the network's backend is {kind}; "
                        f"leave it out"
                    )


def want(config: NetworkConfig, nodes: Sequence[Node]) -> Callable[[Decision, Lease | None], Lease]:
    """Return the function that says what the lease of one of C(nodes) shall be.

    It takes what was decided and the lease the node has, if any. A VTEP MAC that was not given stays what it is in
    that lease; without one it is derived from the node's name.
    """
    by_name = {node.request.name: node for node in nodes}
    kind = backend_type(config)

    def wanted(decision: Decision, existing: Lease | None) -> Lease:
        request = decision.request
        node = by_name[request.name]
        data, v6_data = _backend_data(config, node, existing)
        return Lease(
            subnet=decision.subnet,
            ipv6_subnet=decision.ipv6_subnet,
            public_ip=request.public_ip,
            public_ipv6=request.public_ipv6 if config.enable_ipv6 else None,
            backend_type=kind,
            backend_data=data if config.enable_ipv4 else None,
            backend_v6_data=v6_data if config.enable_ipv6 else None,
        )

    return wanted


def matcher(nodes: Sequence[Node]) -> Callable[[Lease], bool]:
    """Return the test for leases of C(nodes): by public IP, or by subnet for a node that gives no public IP."""
    addresses = set()
    subnets = set()
    for node in nodes:
        request = node.request
        own = {request.public_ip, request.public_ipv6} - {None}
        addresses |= own
        if not own:
            subnets |= {request.subnet, request.ipv6_subnet} - {None}
        if not own and request.subnet is None and request.ipv6_subnet is None:
            raise InputError(f"{node.where}: public_ip or subnet is missing; one of them tells which lease to release")

    def matches(lease: Lease) -> bool:
        return (
            lease.public_ip in addresses
            or (lease.public_ip is None and lease.public_ipv6 in addresses)
            or lease.subnet in subnets
            or (lease.subnet is None and lease.ipv6_subnet in subnets)
        )

    return matches


def with_names(leases: Sequence[Lease], nodes: Sequence[Node]) -> list[Lease]:
    """Return C(leases) with the node's name where C(nodes) tell it."""
    names: dict[Any, str] = {}
    for node in nodes:
        request = node.request
        for identity in (request.subnet, request.ipv6_subnet, request.public_ipv6, request.public_ip):
            names[identity] = request.name
    names.pop(None, None)
    return [
        replace(lease, name=names.get(lease.public_ip or lease.public_ipv6) or names.get(lease.subnet) or lease.name)
        for lease in leases
    ]


def _backend_data(config: NetworkConfig, node: Node, existing: Lease | None) -> tuple[Any, Any]:
    options = config.backend.options
    same = existing if existing is not None and existing.backend_type == config.backend.type else None
    if config.backend.type == "vxlan":
        return (
            _vxlan_data(node, 4, options["VNI"], node.vtep_mac, same.backend_data if same else None),
            _vxlan_data(node, 6, options["VNI"], node.vtep_mac_v6, same.backend_v6_data if same else None),
        )
    if config.backend.type == "wireguard":
        key = node.wireguard_public_key
        # flanneld advertises ListenPortV6 in IPv6 data whatever the mode (pkg/backend/wireguard/wireguard.go).
        return (
            {"PublicKey": key, "Port": options["ListenPort"]},
            {"PublicKey": node.wireguard_public_key_v6 or key, "Port": options["ListenPortV6"]},
        )
    # What an extension's start command printed belongs to the node; nobody else can tell it.
    return (same.backend_data, same.backend_v6_data) if same else (None, None)


def _vxlan_data(node: Node, family: int, vni: int, given: str, stored: Any) -> dict[str, Any]:
    mac = given or vtep.published_mac(stored) or vtep.derive_mac(node.request.name, vni, family)
    return {"VNI": vni, "VtepMAC": mac}


def _parse_node(item: Mapping[str, Any], index: int) -> Node:
    name = (item.get("name") or "").strip()
    where = f"nodes[{index}] ({name})" if name else f"nodes[{index}]"
    if not name:
        raise InputError(f"{where}: name is empty; give the node's inventory name")
    request = Request(
        name=name,
        public_ip=_convert(item, "public_ip", addresses.parse_ip, where),
        public_ipv6=_convert(item, "public_ipv6", addresses.parse_ip, where),
        subnet=_convert(item, "subnet", addresses.parse_subnet, where),
        ipv6_subnet=_convert(item, "ipv6_subnet", addresses.parse_subnet, where),
        # As subnet.env has it: the address of the node's bridge with the prefix length.
        previous_subnet=_convert(item, "previous_subnet", addresses.parse_cidr, where),
        previous_ipv6_subnet=_convert(item, "previous_ipv6_subnet", addresses.parse_cidr, where),
    )
    return Node(
        request,
        where,
        vtep_mac=_mac(item, "vtep_mac", where),
        vtep_mac_v6=_mac(item, "vtep_mac_v6", where),
        wireguard_public_key=_wireguard_key(item, "wireguard_public_key", where),
        wireguard_public_key_v6=_wireguard_key(item, "wireguard_public_key_v6", where),
    )


def _convert(item: Mapping[str, Any], option: str, read: Callable[[object], Any], where: str) -> Any:
    text = item.get(option)
    if not text:
        return None
    family = 6 if "ipv6" in option else 4
    noun = "subnet in CIDR notation" if "subnet" in option else "address"
    try:
        value = read(text)
        if value.version != family:
            raise ValueError(f"it is of IPv{value.version}")
    except ValueError as error:
        example = _EXAMPLES[family, "subnet" in option]
        raise InputError(
            f"{where}: {option} {text!r} is not an IPv{family} {noun}: {error}; write one like {example}"
        ) from error
    return value


def _mac(item: Mapping[str, Any], option: str, where: str) -> str:
    text = item.get(option)
    if not text:
        return ""
    return vtep.mac_text(vtep.parse_mac(text, f"{where}: {option}"))


def _wireguard_key(item: Mapping[str, Any], option: str, where: str) -> str:
    text = item.get(option)
    if not text:
        return ""
    try:
        length = len(base64.b64decode(text, validate=True))
    except (ValueError, binascii.Error):
        length = 0
    if length != _WIREGUARD_KEY_LENGTH:
        raise InputError(
            f"{where}: {option} {text!r} is not a public key: give {_WIREGUARD_KEY_LENGTH} octets in base64, as "
            f"`wg pubkey` prints them"
        )
    return str(text)


def _check_unique(nodes: Sequence[Node], option: str) -> None:
    seen: dict[str, Node] = {}
    for node in nodes:
        value = getattr(node, option)
        if value and value in seen:
            raise InputError(
                f"{node.where}: {option} {value} is also that of {seen[value].where}; give each node its own, or leave "
                f"it out"
            )
        seen[value] = node


def _check_names(nodes: Sequence[Node]) -> None:
    seen: dict[str, Node] = {}
    for node in nodes:
        other = seen.setdefault(node.request.name, node)
        if other is not node:
            raise InputError(f"{node.where}: the same name as {other.where}; list each node once")
