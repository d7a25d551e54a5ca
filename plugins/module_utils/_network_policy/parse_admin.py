# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""AdminNetworkPolicy, BaselineAdminNetworkPolicy and ClusterNetworkPolicy as the model has them; no I/O.

Source: kubernetes-sigs/network-policy-api, apis/v1alpha1 and apis/v1alpha2 with the rules of their definitions
(v0.1.7 for v1alpha1, v0.2.0 for v1alpha2). A field that these do not know is one of a later release, and the object is
not read: what it means is not known.
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import re
from typing import Any, Mapping, NamedTuple

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._kube.selectors import parse as parse_selector
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.model import (
    ACCEPT,
    ADMIN,
    BASELINE,
    DIRECTIONS,
    EGRESS,
    INGRESS,
    PASS,
    REFUSE,
    TIERS,
    AdminPeer,
    AdminPolicy,
    AdminRule,
    Peer,
    PortItem,
)
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.parse_policy import (
    PROTOCOLS,
    is_port,
    listed,
    mapping,
    whole_block,
)


class _Kind(NamedTuple):
    """What the definition of a kind allows: its tier (empty: written in it), actions, and lengths of lists."""

    tier: str
    actions: Mapping[str, str]
    rules: int
    peers: int


_ALPHA_1 = {"Allow": ACCEPT, "Deny": REFUSE}
KINDS: Mapping[str, _Kind] = {
    "AdminNetworkPolicy": _Kind(ADMIN, {**_ALPHA_1, "Pass": PASS}, 100, 100),
    "BaselineAdminNetworkPolicy": _Kind(BASELINE, _ALPHA_1, 100, 100),
    "ClusterNetworkPolicy": _Kind("", {each: each for each in (ACCEPT, REFUSE, PASS)}, 25, 25),
}
_BASELINE_NAME = "default"
_HIGHEST = 1000
_MOST_NETWORKS = 25
_LONGEST_NAME = 100
_DOMAIN = re.compile(
    r"(\*\.)?([a-zA-Z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\.)+[a-zA-Z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\.?", re.ASCII
)
_PEERS = {INGRESS: "from", EGRESS: "to"}


def parse_admin_policy(item: Mapping[str, Any], kind: str) -> AdminPolicy:
    """The policy. Raises InputError naming the field that its definition refuses or does not know."""
    rule_of = KINDS[kind]
    name = mapping(item.get("metadata"), "metadata").get("name")
    if not isinstance(name, str) or not name:
        raise InputError("metadata.name is missing.")
    if kind == "BaselineAdminNetworkPolicy" and name != _BASELINE_NAME:
        raise InputError(f"metadata.name is {name!r}. There is one object of this kind, and it is named default.")
    spec = mapping(item.get("spec"), "spec")
    _only(spec, "spec", ("tier", "priority", "subject", *DIRECTIONS))
    tier = rule_of.tier or spec.get("tier")
    if tier not in TIERS:
        raise InputError(f"spec.tier is {tier!r}. Use Admin or Baseline.")
    priority = 0 if kind == "BaselineAdminNetworkPolicy" else spec.get("priority")
    if isinstance(priority, bool) or not isinstance(priority, int) or not 0 <= priority <= _HIGHEST:
        raise InputError(f"spec.priority is {priority!r}. Use a number from 0 to {_HIGHEST}; 0 comes first.")
    subject = mapping(spec.get("subject"), "spec.subject")
    _one(subject, "spec.subject", ("namespaces", "pods"))
    return AdminPolicy(
        kind=kind,
        name=name,
        tier=tier,
        priority=priority,
        subject=_pods(subject, "spec.subject"),
        rules={direction: _rules(spec, direction, kind) for direction in DIRECTIONS},
    )


def _rules(spec: Mapping[str, Any], direction: str, kind: str) -> tuple[AdminRule, ...]:
    entries = listed(spec.get(direction), f"spec.{direction}")
    most = KINDS[kind].rules
    if len(entries) > most:
        raise InputError(f"spec.{direction} has {len(entries)} rules. There can be {most}.")
    return tuple(_rule(entry, direction, kind, f"spec.{direction}[{number}]") for number, entry in enumerate(entries))


def _rule(entry: Any, direction: str, kind: str, where: str) -> AdminRule:
    rule = mapping(entry, where)
    key = _PEERS[direction]
    ports_key = "protocols" if kind == "ClusterNetworkPolicy" else "ports"
    _only(rule, where, ("name", "action", key, ports_key))
    name = rule.get("name") or ""
    if not isinstance(name, str) or len(name) > _LONGEST_NAME:
        raise InputError(f"{where}.name is not a text of up to {_LONGEST_NAME} characters.")
    actions = KINDS[kind].actions
    action = actions.get(str(rule.get("action")))
    if action is None:
        raise InputError(f"{where}.action is {rule.get('action')!r}. Use {', '.join(actions)}.")
    peers = _some(rule.get(key), f"{where}.{key}", KINDS[kind].peers)
    found = tuple(_peer(peer, direction, action, f"{where}.{key}[{number}]") for number, peer in enumerate(peers))
    ports: tuple[PortItem, ...] = ()
    if rule.get(ports_key) is not None:
        entries = _some(rule[ports_key], f"{where}.{ports_key}", KINDS[kind].peers)
        read = _protocol if ports_key == "protocols" else _port
        ports = tuple(read(port, f"{where}.{ports_key}[{number}]") for number, port in enumerate(entries))
    if any(port.name for port in ports) and any(peer.pods is None for peer in found):
        raise InputError(f"{where} names a port, but not all of its peers are Pods, and nothing else has named ports.")
    return AdminRule(name, action, found, ports)


def _peer(item: Any, direction: str, action: str, where: str) -> AdminPeer:
    peer = mapping(item, where)
    outside = ("nodes", "networks", "domainNames") if direction == EGRESS else ()
    key = _one(peer, where, ("namespaces", "pods", *outside))
    if key in ("namespaces", "pods"):
        return AdminPeer(pods=_pods(peer, where))
    if key == "nodes":
        return AdminPeer(nodes=parse_selector(peer["nodes"], f"{where}.nodes"))
    values = _some(peer[key], f"{where}.{key}", _MOST_NETWORKS)
    if key == "networks":
        return AdminPeer(
            blocks=tuple(whole_block(value, f"{where}.networks[{number}]") for number, value in enumerate(values))
        )
    if action != ACCEPT:
        raise InputError(f"{where}.domainNames stands in a rule that does not accept. Only such rules can have names.")
    for number, value in enumerate(values):
        if not isinstance(value, str) or _DOMAIN.fullmatch(value) is None:
            raise InputError(f"{where}.domainNames[{number}] is {value!r}, no name like example.com or *.example.com.")
    return AdminPeer(domains=tuple(values))


def _pods(entry: Mapping[str, Any], where: str) -> Peer:
    if entry.get("namespaces") is not None:
        return Peer(parse_selector(entry["namespaces"], f"{where}.namespaces"), None, None)
    pods = mapping(entry["pods"], f"{where}.pods")
    _only(pods, f"{where}.pods", ("namespaceSelector", "podSelector"))
    return Peer(
        parse_selector(pods.get("namespaceSelector"), f"{where}.pods.namespaceSelector"),
        parse_selector(pods.get("podSelector"), f"{where}.pods.podSelector"),
        None,
    )


def _port(item: Any, where: str) -> PortItem:
    """An item of C(ports) in v1alpha1."""
    entry = mapping(item, where)
    key = _one(entry, where, ("portNumber", "namedPort", "portRange"))
    if key == "namedPort":
        return _named(entry[key], f"{where}.namedPort")
    value = mapping(entry[key], f"{where}.{key}")
    protocol = value.get("protocol") or "TCP"
    if protocol not in PROTOCOLS:
        raise InputError(f"{where}.{key}.protocol is {protocol!r}. Use {', '.join(PROTOCOLS)}.")
    if key == "portNumber":
        return _numbers(protocol, value.get("port"), value.get("port"), f"{where}.portNumber")
    return _numbers(protocol, value.get("start"), value.get("end"), f"{where}.portRange")


def _protocol(item: Any, where: str) -> PortItem:
    """An item of C(protocols) in v1alpha2."""
    entry = mapping(item, where)
    key = _one(entry, where, ("tcp", "udp", "sctp", "destinationNamedPort"))
    if key == "destinationNamedPort":
        return _named(entry[key], f"{where}.{key}")
    value = mapping(entry[key], f"{where}.{key}")
    place = f"{where}.{key}.destinationPort"
    _one(value, f"{where}.{key}", ("destinationPort",))
    port = mapping(value["destinationPort"], place)
    if _one(port, place, ("number", "range")) == "number":
        return _numbers(key.upper(), port["number"], port["number"], place)
    ends = mapping(port["range"], f"{place}.range")
    if ends.get("start") == ends.get("end"):
        raise InputError(f"{place}.range starts where it ends. Use number.")
    return _numbers(key.upper(), ends.get("start"), ends.get("end"), f"{place}.range")


def _named(value: Any, where: str) -> PortItem:
    if not isinstance(value, str) or not value:
        raise InputError(f"{where} is {value!r}, no name of a port.")
    return PortItem("", value, 0, 0)


def _numbers(protocol: str, first: Any, last: Any, where: str) -> PortItem:
    if not is_port(first) or not is_port(last):
        raise InputError(f"{where}: ports are numbers from 1 to 65535.")
    if last < first:
        raise InputError(f"{where} ends at {last}, before its start {first}.")
    return PortItem(protocol, "", first, last)


def _some(value: Any, where: str, most: int) -> list[Any]:
    """A list that has to have entries, and not more than C(most)."""
    found = listed(value, where)
    if not 1 <= len(found) <= most:
        raise InputError(f"{where} has {len(found)} entries. Use 1 to {most}.")
    return found


def _only(entry: Mapping[str, Any], where: str, known: tuple[str, ...]) -> None:
    for key in entry:
        if key not in known:
            raise InputError(f"{where} has the field {key!r}, which is not known. There are {', '.join(known)}.")


def _one(entry: Mapping[str, Any], where: str, known: tuple[str, ...]) -> str:
    """The one field that is set."""
    _only(entry, where, known)
    given = [key for key in known if entry.get(key) is not None]
    if len(given) != 1:
        raise InputError(f"{where} has {len(given)} of the fields {', '.join(known)}. Use one.")
    return given[0]
