# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A NetworkPolicy object as the model has it, defaults filled in, checked as the API server would.

Private to podnet.cni: may change in any release.

Defaults and rules: kubernetes v1.34, v1/defaults.go and validation/validation.go of pkg/apis/networking.
A manifest on disk lacks the defaults that the API server stores.
"""

from __future__ import annotations

import ipaddress
from typing import Any, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._kube.selectors import parse as parse_selector
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.model import (
    DIRECTIONS,
    EGRESS,
    INGRESS,
    Block,
    Peer,
    Policy,
    PortItem,
    Rule,
)

PROTOCOLS = ("TCP", "UDP", "SCTP")
_PEERS = {INGRESS: "from", EGRESS: "to"}
_MANAGED_BY = "app.kubernetes.io/managed-by"


def parse_policy(item: Mapping[str, Any]) -> Policy:
    """The policy. Raises InputError naming the field that the API server would refuse."""
    metadata = mapping(item.get("metadata"), "metadata")
    name = metadata.get("name")
    if not isinstance(name, str) or not name:
        raise InputError("metadata.name is missing.")
    spec = mapping(item.get("spec"), "spec")
    rules: dict[str, tuple[Rule, ...]] = {}
    for direction in DIRECTIONS:
        entries = listed(spec.get(direction), f"spec.{direction}")
        rules[direction] = tuple(
            _rule(entry, direction, f"spec.{direction}[{number}]") for number, entry in enumerate(entries)
        )
    types = _types(spec, bool(rules[EGRESS]))
    labels = mapping(metadata.get("labels"), "metadata.labels")
    return Policy(
        namespace=str(metadata.get("namespace") or "default"),
        name=name,
        pods=parse_selector(spec.get("podSelector"), "spec.podSelector"),
        rules={direction: rules[direction] for direction in types},
        ignored=tuple(direction for direction in DIRECTIONS if direction not in types and rules[direction]),
        managed_by=str(labels.get(_MANAGED_BY) or ""),
    )


def mapping(value: Any, where: str) -> Mapping[str, Any]:
    """The value, an empty mapping for null. Raises InputError for anything else."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InputError(f"{where} is not a mapping.")
    return value


def listed(value: Any, where: str) -> list[Any]:
    """The value, an empty list for null. Raises InputError for anything else."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise InputError(f"{where} is not a list.")
    return value


def _types(spec: Mapping[str, Any], has_egress: bool) -> tuple[str, ...]:
    given = listed(spec.get("policyTypes"), "spec.policyTypes")
    for value in given:
        if value not in ("Ingress", "Egress"):
            raise InputError(f"spec.policyTypes has {value!r}. Use Ingress or Egress.")
    if given:
        return tuple(direction for direction in DIRECTIONS if direction.capitalize() in given)
    return DIRECTIONS if has_egress else (INGRESS,)


def _rule(entry: Any, direction: str, where: str) -> Rule:
    rule = mapping(entry, where)
    key = _PEERS[direction]
    peers = listed(rule.get(key), f"{where}.{key}")
    ports = listed(rule.get("ports"), f"{where}.ports")
    return Rule(
        tuple(_peer(item, f"{where}.{key}[{number}]") for number, item in enumerate(peers)),
        tuple(_port(item, f"{where}.ports[{number}]") for number, item in enumerate(ports)),
    )


def _peer(item: Any, where: str) -> Peer:
    peer = mapping(item, where)
    selectors = [peer.get(key) for key in ("namespaceSelector", "podSelector")]
    if peer.get("ipBlock") is not None:
        if selectors != [None, None]:
            raise InputError(f"{where}: ipBlock stands alone. Make another list item of the selectors.")
        return Peer(None, None, _block(peer["ipBlock"], f"{where}.ipBlock"))
    if selectors == [None, None]:
        raise InputError(f"{where} names no peer. Use podSelector, namespaceSelector or ipBlock.")
    parsed = [
        None if value is None else parse_selector(value, f"{where}.{key}")
        for key, value in zip(("namespaceSelector", "podSelector"), selectors)
    ]
    return Peer(parsed[0], parsed[1], None)


def _block(item: Any, where: str) -> Block:
    block = mapping(item, where)
    whole = network(block.get("cidr"), f"{where}.cidr")
    holes = []
    for number, value in enumerate(listed(block.get("except"), f"{where}.except")):
        hole = network(value, f"{where}.except[{number}]")
        if hole.version != whole.version or hole == whole or not _inside(hole, whole):
            raise InputError(f"{where}.except[{number}] is {value}, not a part of {whole}.")
        holes.append(hole)
    return Block(str(whole), tuple(str(hole) for hole in holes), whole.version, _without(whole, holes))


def whole_block(value: Any, where: str) -> Block:
    """A network without exceptions. Raises InputError for any other value."""
    found = network(value, where)
    return Block(str(found), (), found.version, _without(found, []))


def network(value: Any, where: str) -> Any:
    """The network that a text stands for, host bits cut off. Raises InputError for any other value."""
    try:
        if not isinstance(value, str) or "/" not in value:
            raise ValueError
        # The API server takes host bits and so does the agent; the network counts.
        return ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise InputError(f"{where} is {value!r}, no network. Write it like 10.0.0.0/8.") from None


def _inside(hole: Any, whole: Any) -> bool:
    return bool(whole.network_address <= hole.network_address and hole.broadcast_address <= whole.broadcast_address)


def _without(whole: Any, holes: list[Any]) -> tuple[tuple[int, int], ...]:
    """What the exceptions leave, as ranges of numbers in ascending order."""
    left = []
    start, end = int(whole.network_address), int(whole.broadcast_address)
    for hole in sorted(holes, key=lambda each: int(each.network_address)):
        first, last = int(hole.network_address), int(hole.broadcast_address)
        if first > start:
            left.append((start, first - 1))
        start = max(start, last + 1)
    if start <= end:
        left.append((start, end))
    return tuple(left)


def _port(item: Any, where: str) -> PortItem:
    entry = mapping(item, where)
    protocol = entry.get("protocol") or "TCP"
    if protocol not in PROTOCOLS:
        raise InputError(f"{where}.protocol is {protocol!r}. Use {', '.join(PROTOCOLS)}.")
    port, end = entry.get("port"), entry.get("endPort")
    if port is None:
        if end is not None:
            raise InputError(f"{where}: endPort needs port.")
        return PortItem(protocol, "", 1, 65535)
    if isinstance(port, str):
        if end is not None:
            raise InputError(f"{where}: endPort needs a number as port, not {port!r}.")
        if not any(character.isalpha() for character in port):
            raise InputError(f"{where}.port is the text {port!r}. Write a number without quotes.")
        return PortItem(protocol, port, 0, 0)
    if not is_port(port) or (end is not None and not is_port(end)):
        raise InputError(f"{where}: ports are numbers from 1 to 65535.")
    if end is not None and end < port:
        raise InputError(f"{where}: endPort {end} is below port {port}.")
    return PortItem(protocol, "", port, end or port)


def is_port(value: Any) -> bool:
    """Whether it is the number of a port."""
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 65535
