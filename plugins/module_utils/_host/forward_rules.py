# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the firewall of a host does to a packet: to one between pods in the forward hook, to one of a backend elsewhere.

Private to podnet.cni: may change in any release.

Rules are read as nft's JSON (libnftables-json(5)). A packet that one base chain drops is gone, whatever the others
say, so each is judged by itself. What an expression means for the packet is yes, no, or not known; so is the verdict.
"""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass
from typing import Any, Callable, Iterator, Mapping, Sequence, Union

from ansible_collections.podnet.cni.plugins.module_utils._host.command import Run, checked

ACCEPT, DROP = "accept", "drop"
MOST_CHAINS = 200
"""So many chains are read at most; beyond it the verdict is not known."""
_NFT_FAMILIES = {4: ("inet", "ip", "netdev"), 6: ("inet", "ip6", "netdev")}


@dataclass(frozen=True)
class Packet:
    """The first packet of a connection from a pod to a pod: links it comes from and leaves by, and the pods' range."""

    iifname: str
    oifname: str
    range: Any

    protocol = ""
    dport = 0

    @property
    def family(self) -> int:
        """4 or 6."""
        return int(self.range.version)

    def address(self, _field: str) -> Any:
        """Where it comes from (C(saddr)) and goes to (C(daddr)), as a network."""
        return self.range


@dataclass(frozen=True)
class Datagram:
    """A packet of a backend that arrives from another host (its link is C(iifname)) or leaves for one (C(oifname))."""

    iifname: str
    oifname: str
    saddr: Any
    daddr: Any
    dport: int
    protocol = "udp"

    @property
    def family(self) -> int:
        """4 or 6."""
        return int(self.daddr.version)

    def address(self, field: str) -> Any:
        """Where it comes from (C(saddr)) and goes to (C(daddr)), as a network."""
        return self.saddr if field == "saddr" else self.daddr


AnyPacket = Union[Packet, Datagram]


def read(run: Run, hooks: Sequence[str] = ("forward",)) -> list[dict[str, Any]]:
    """Return the chains of these hooks and those that they lead to, as nft has them.

    Each has C(family), C(table), C(name), C(hook) (empty for a chain without one), C(policy) and C(rules), each a
    list of expressions, and C(handles), the number of each rule. Raises PodnetError where nft cannot be asked.
    """
    answer = json.loads(checked(run, ["nft", "-j", "list", "chains"], missing="install nftables"))
    listed = [item["chain"] for item in answer.get("nftables") or [] if "chain" in item]
    waiting = [_key(chain) for chain in listed if chain.get("hook") in hooks]
    by_key = {_key(chain): chain for chain in listed}
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    while waiting and len(found) < MOST_CHAINS:
        key = waiting.pop(0)
        if key in found or key not in by_key:
            continue
        chain = by_key[key]
        text = checked(run, ["nft", "-j", "list", "chain", *key], missing="install nftables")
        items = json.loads(text).get("nftables") or []
        listing = [item["rule"] for item in items if "rule" in item]
        rules = [rule.get("expr") or [] for rule in listing]
        found[key] = {
            "family": key[0],
            "table": key[1],
            "name": key[2],
            "hook": chain.get("hook") or "",
            "policy": chain.get("policy") or "",
            "dev": chain.get("dev") or "",
            "rules": rules,
            "handles": [rule.get("handle") for rule in listing],
        }
        waiting += [(key[0], key[1], target) for rule in rules for target in _targets(rule)]
    return list(found.values())


def _key(chain: Mapping[str, Any]) -> tuple[str, str, str]:
    return str(chain.get("family")), str(chain.get("table")), str(chain.get("name"))


def _targets(rule: Sequence[Any]) -> Iterator[str]:
    for expression in rule:
        for verdict in ("jump", "goto"):
            if isinstance(expression, Mapping) and isinstance(expression.get(verdict), Mapping):
                yield str(expression[verdict].get("target"))


@dataclass(frozen=True)
class Judged:
    """What a base chain may do to the packet: C(outcomes) has accept, drop or both where it is not known.

    C(by) are the rules that may drop it, each with the key of its chain and its handle, None for a policy.
    """

    chain: str
    outcomes: frozenset[str]
    by: tuple[tuple[tuple[str, str, str], int | None], ...] = ()


def judge(chains: Sequence[Mapping[str, Any]], packet: AnyPacket, hooks: Sequence[str] = ("forward",)) -> list[Judged]:
    """Return what each base chain of these hooks and the packet's family does."""
    index = {_key(chain): chain for chain in chains}
    found = []
    for chain in chains:
        # kube-proxy's own table judges packets to Services by the addresses of these, which no pod has.
        if chain.get("table") == "kube-proxy":
            continue
        if chain.get("dev") and not {packet.iifname, packet.oifname}.intersection(_listed(chain["dev"])):
            continue
        if chain.get("hook") in hooks and chain.get("family") in _NFT_FAMILIES[packet.family]:
            walk = _Walk(index, packet)
            outcomes = walk.chain(chain, 0)
            if "continue" in outcomes:
                outcomes = (outcomes - {"continue"}) | {DROP if chain.get("policy") == DROP else ACCEPT}
                if chain.get("policy") == DROP:
                    walk.blamed.append((_key(chain), None))
            found.append(Judged(" ".join(_key(chain)), frozenset(outcomes), tuple(walk.blamed)))
    return found


def _listed(value: Any) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else [str(value)]


_VERDICTS = ("accept", "drop", "reject", "return", "continue", "jump", "goto")
_UDP = 17
_HARMLESS = ("counter", "log", "limit", "comment", "mangle", "notrack", "meta", "ct helper", "flow")
"""Statements that let the packet continue. limit is one of them: the first packet is within it."""
_ANYTHING = frozenset((ACCEPT, DROP, "continue"))


class _Walk:
    """The way of one packet through chains."""

    def __init__(self, index: Mapping[Any, Mapping[str, Any]], packet: AnyPacket) -> None:
        self._index = index
        self._packet = packet
        self.blamed: list[tuple[tuple[str, str, str], int | None]] = []

    def chain(self, chain: Mapping[str, Any], depth: int) -> set[str]:
        """The outcomes of a chain; continue stands for its end, where the caller continues."""
        possible: set[str] = set()
        rules = chain.get("rules") or []
        for rule, handle in zip(rules, chain.get("handles") or [None] * len(rules)):
            matches, verdicts = self._rule(rule, chain, depth)
            if matches is False or verdicts == {"continue"}:
                continue
            if DROP in verdicts and not any(True for _target in _targets(rule)):
                self.blamed.append((_key(chain), handle))
            possible |= verdicts - {"continue"}
            if matches and "continue" not in verdicts:
                return {("continue" if each == "return" else each) for each in possible}
        return {("continue" if each == "return" else each) for each in possible} | {"continue"}

    def _rule(self, rule: Sequence[Any], chain: Mapping[str, Any], depth: int) -> tuple[bool | None, set[str]]:
        """Whether the rule matches, None for not known, and what it then does."""
        matches: bool | None = True
        verdicts = {"continue"}
        for expression in rule:
            name, value = (
                next(iter(expression.items())) if isinstance(expression, Mapping) and expression else ("", None)
            )
            if name == "match":
                answer = _match(value, self._packet)
                if answer is False:
                    return False, verdicts
                matches = matches if answer else None
            elif name == "xt" and isinstance(value, Mapping) and value.get("type") == "match":
                matches = matches if value.get("name") == "comment" else None
            elif name == "xt" and isinstance(value, Mapping) and value.get("name") == "REJECT":
                verdicts = {DROP}
            elif name in _VERDICTS:
                verdicts = self._verdict(name, value, chain, depth)
            elif name not in _HARMLESS:
                return None, set(_ANYTHING)
        return matches, verdicts

    def _verdict(self, name: str, value: Any, chain: Mapping[str, Any], depth: int) -> set[str]:
        if name == "reject":
            return {DROP}
        if name not in ("jump", "goto"):
            return {name}
        target = self._index.get((chain.get("family"), chain.get("table"), str((value or {}).get("target"))))
        if target is None or depth > MOST_CHAINS:
            return set(_ANYTHING)
        outcomes = self.chain(target, depth + 1)
        if name == "goto" and "continue" in outcomes:
            # What a goto comes back from ends the chain that it left.
            outcomes = (outcomes - {"continue"}) | {"return"}
        return outcomes


def _match(value: Any, packet: AnyPacket) -> bool | None:
    if not isinstance(value, Mapping):
        return None
    answer = _compare(value.get("left"), value.get("right"), packet)
    operator = value.get("op")
    if operator == "!=":
        return None if answer is None else not answer
    return answer if operator in ("==", "in") else None


def _compare(left: Any, right: Any, packet: AnyPacket) -> bool | None:
    """Whether the packet's field is the value, or one of a set's."""
    if not isinstance(left, Mapping):
        return None
    members = right.get("set") if isinstance(right, Mapping) and "set" in right else right
    if isinstance(members, list):
        answers = [_compare(left, each, packet) for each in members]
        return True if True in answers else (None if None in answers else False)
    name, field = next(iter(left.items()))
    if name in _FIELDS and isinstance(field, Mapping):
        return _FIELDS[name](field, right, packet)
    if name == "&" and isinstance(field, list) and field and isinstance(field[0], Mapping) and "meta" in field[0]:
        # A pod's packet bears no mark before kube-proxy or a policy agent gives it one.
        return right == 0 if field[0]["meta"].get("key") == "mark" else None
    return None


def _meta(field: Mapping[str, Any], right: Any, packet: AnyPacket) -> bool | None:
    key = str(field.get("key"))
    if key in ("iifname", "oifname", "iif", "oif"):
        link = packet.iifname if key.startswith("i") else packet.oifname
        wanted = str(right)
        return link.startswith(wanted[:-1]) if wanted.endswith("*") else link == wanted
    if key == "nfproto":
        return right == ("ipv4" if packet.family == 4 else "ipv6")
    if key == "protocol":
        return right == ("ip" if packet.family == 4 else "ip6")
    if key == "l4proto" and packet.protocol:
        return right in (packet.protocol, _UDP)
    return right == 0 if key == "mark" else None


def _conntrack(field: Mapping[str, Any], right: Any, _packet: AnyPacket) -> bool | None:
    key = field.get("key")
    if key == "state":
        return right == "new"
    if key == "status":
        return False if right in ("dnat", "snat", "assured", "confirmed", "seen-reply") else None
    return None


def _payload(field: Mapping[str, Any], right: Any, packet: AnyPacket) -> bool | None:
    protocol, name = field.get("protocol"), field.get("field")
    if protocol not in ("ip", "ip6"):
        return _transport(str(protocol), name, right, packet)
    if protocol != ("ip" if packet.family == 4 else "ip6"):
        return False
    if packet.protocol and name in ("protocol", "nexthdr"):
        return right in (packet.protocol, _UDP)
    wanted, own = _network(right), packet.address(str(name))
    if wanted is None or name not in ("saddr", "daddr"):
        return None
    if own.version != wanted.version or not own.overlaps(wanted):
        return False
    return True if own.subnet_of(wanted) else None


def _transport(protocol: str, name: Any, right: Any, packet: AnyPacket) -> bool | None:
    if not packet.protocol or protocol not in ("udp", "th", "tcp", "sctp", "dccp", "udplite", "icmp", "icmpv6"):
        return None
    if protocol not in (packet.protocol, "th"):
        return False
    return _port(right, packet.dport) if name == "dport" else None


def _port(right: Any, port: int) -> bool | None:
    if isinstance(right, Mapping) and isinstance(right.get("range"), list) and len(right["range"]) == 2:
        low, high = right["range"]
        return low <= port <= high if isinstance(low, int) and isinstance(high, int) else None
    return right == port if isinstance(right, int) else None


def _network(right: Any) -> Any:
    try:
        if isinstance(right, Mapping) and isinstance(right.get("prefix"), Mapping):
            prefix = right["prefix"]
            return ipaddress.ip_network(f"{prefix['addr']}/{prefix['len']}", strict=False)
        return ipaddress.ip_network(right) if isinstance(right, str) else None
    except (ValueError, KeyError):
        return None


_FIELDS: Mapping[str, Callable[[Mapping[str, Any], Any, AnyPacket], bool | None]] = {
    "meta": _meta,
    "ct": _conntrack,
    "payload": _payload,
}
