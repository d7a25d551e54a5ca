# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Masquerade and forward rules of a node: one nftables table per family.

Private to podnet.cni: may change in any release.

The rules mean what flanneld's iptables rules mean (flannel v0.28.9 pkg/trafficmngr/iptables/iptables.go). They
differ from flanneld's own nftables rules (pkg/trafficmngr/nftables/nftables.go) in two places: the mark is tested
under a mask, and only traffic to the node's own subnet is exempt from masquerading, not traffic to the whole network.

The table has a name of its own, because a flanneld that starts in iptables mode deletes C(flannel-ipv4) and
C(flannel-ipv6).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, Iterable, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._dataplane.firewall.leftovers import (
    Leftover,
    LegacyTable,
    find_in_legacy,
    find_in_nft,
    legacy_removal,
    nft_removal,
)
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import Lease
from ansible_collections.podnet.cni.plugins.module_utils._flannel.network_config import NetworkConfig
from ansible_collections.podnet.cni.plugins.module_utils._host.command import Run, checked

TABLE = "podnet_cni"
FAMILIES = ("ip", "ip6")
MULTICAST = {"ip": "224.0.0.0/4", "ip6": "ff00::/8"}
KUBE_PROXY_MARK = 0x4000
RANDOM = "masquerade fully-random"
SRCNAT = 100
FILTER = 0

MISSING = "install it (Debian and RHEL: package nftables) or leave the rules to others with firewall=none"
HINT = " (it needs CAP_NET_ADMIN and a kernel with nf_tables)"


@dataclass(frozen=True)
class Chain:
    """A base chain. C(rules) are rules in the canonical text of C(_rule_text): equal text means equal rule."""

    name: str
    type: str
    hook: str
    priority: int
    policy: str
    rules: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """An nftables table. C(other) holds what we never put there: flags, sets, maps, chains without a hook."""

    family: str
    chains: tuple[Chain, ...]
    other: tuple[str, ...] = ()


@dataclass(frozen=True)
class Observed:
    """What the kernel holds: our tables, whether it knows fully-random (None: it was not asked), leftovers.

    C(foreign_forward) says that others have chains in the forward hook, too.
    """

    tables: tuple[Table, ...]
    fully_random: bool | None = None
    leftovers: tuple[Leftover, ...] = ()
    legacy: tuple[LegacyTable, ...] = ()
    foreign_forward: bool = False


@dataclass(frozen=True)
class FirewallPlan:
    """What is to be done.

    C(actions) are plain sentences. C(script) is the nft script for our tables, one transaction. C(cleanups) are the
    (program, standard input) pairs that remove leftovers afterwards. C(leftovers) names what flanneld left behind,
    whether it is removed or not. C(ruleset) is the nft script that puts the wanted tables in place from any state,
    for the restore at boot; it is there even when nothing has to be done.
    """

    actions: tuple[str, ...]
    script: str
    cleanups: tuple[tuple[tuple[str, ...], str], ...]
    before: str
    after: str
    leftovers: tuple[str, ...]
    ruleset: str

    def __bool__(self) -> bool:
        return bool(self.actions)


def desired(config: NetworkConfig, lease: Lease, ip_masq: bool) -> tuple[Table, ...]:
    """Return the tables that a node with this network config and this lease should hold.

    C(lease) is the node's own. A family gets a table when the network has it and
    the node has a subnet in it. Without C(ip_masq) there is no C(postrtg) chain.
    """
    tables = []
    for family, network, subnet in (
        ("ip", config.network, lease.subnet),
        ("ip6", config.ipv6_network, lease.ipv6_subnet),
    ):
        if network is not None and subnet is not None:
            tables.append(_table(family, str(network), str(subnet), ip_masq))
    return tuple(tables)


def _table(family: str, network: str, subnet: str, ip_masq: bool) -> Table:
    forward = Chain(
        "forward",
        "filter",
        "forward",
        FILTER,
        "accept",
        (f"{family} saddr {network} accept", f"{family} daddr {network} accept"),
    )
    if not ip_masq:
        return Table(family, (forward,))
    rules = (
        f"meta mark & {KUBE_PROXY_MARK:#x} == {KUBE_PROXY_MARK:#x} return",
        f"{family} saddr {subnet} {family} daddr {network} return",
        f"{family} saddr {network} {family} daddr {subnet} return",
        f"{family} saddr != {network} {family} daddr {subnet} return",
        f"{family} saddr {network} {family} daddr != {MULTICAST[family]} {RANDOM}",
        f"{family} saddr != {network} {family} daddr {network} {RANDOM}",
    )
    return Table(family, (Chain("postrtg", "nat", "postrouting", SRCNAT, "accept", rules), forward))


def render(tables: Iterable[Table]) -> str:
    """Return the tables as text: for C(diff), for C(nft -f) and for the file that is replayed at boot."""
    return "".join(_render_table(table) for table in tables)


def _render_table(table: Table) -> str:
    lines = [f"table {table.family} {TABLE} {{"]
    for chain in table.chains:
        lines.append(f"\tchain {chain.name} {{")
        lines.append(f"\t\ttype {chain.type} hook {chain.hook} priority {chain.priority}; policy {chain.policy};")
        lines.extend(f"\t\t{rule}" for rule in chain.rules)
        lines.append("\t}")
    lines.extend(f"\t# {other}" for other in table.other)
    lines.append("}")
    return "\n".join(lines) + "\n"


def replacement(tables: Iterable[Table]) -> str:
    """Return an nft script that puts exactly these tables in place, whatever is there, in one transaction.

    A table is created before it is deleted, so that the deletion never fails.
    """
    return "".join(f"{_deletion(table.family)}{_render_table(table)}" for table in tables)


def _deletion(family: str) -> str:
    return f"add table {family} {TABLE}\ndelete table {family} {TABLE}\n"


def observe(run: Run, want: Sequence[Table] = (), proc_net: str = "/proc/net") -> Observed:
    """Read the kernel's side. Two commands when all is well and one family is in use, three with both.

    The names of all chains come first and cost little; the rules are read of our own tables only, since the rules of
    a large cluster's kube-proxy take seconds to list. C(want) decides whether the kernel has to be asked for
    fully-random. Raises InputError when nft is missing, PodnetError when nft fails.
    """
    objects = _nft_json(run, "list tables; list chains")
    ours = {entry["family"] for kind, entry in objects if kind == "table" and entry["name"] == TABLE}
    tables = tuple(_read_table(run, family) for family in FAMILIES if family in ours)
    fully_random = None
    if tables != tuple(want) and any(RANDOM in rule for rule in _rules(want)):
        fully_random = _probe_fully_random(run)
    chains = [entry for kind, entry in objects if kind == "chain"]
    names = [(entry["family"], entry["name"]) for kind, entry in objects if kind == "table"]
    leftovers = find_in_nft(names, chains, lambda command: _nft_json(run, command))
    foreign = any(entry.get("hook") == "forward" and entry.get("table") != TABLE for entry in chains)
    return Observed(tables, fully_random, leftovers, find_in_legacy(run, proc_net), foreign)


def plan(want: Sequence[Table], observed: Observed, remove_leftovers: bool = False) -> FirewallPlan:
    """Compare and say what is to be done; pure.

    C(want) empty removes our tables. C(remove_leftovers) also removes what flanneld left behind, jumps first.
    """
    if observed.fully_random is False:
        want = [_without_random(table) for table in want]
    actions: list[str] = []
    script = ""
    have = {table.family: table for table in observed.tables}
    wanted = {table.family: table for table in want}
    for family in FAMILIES:
        old, new = have.get(family), wanted.get(family)
        if old == new:
            continue
        name = f"nftables table {family} {TABLE}"
        if new is None:
            actions.append(f"remove {name}")
            script += _deletion(family)
        else:
            actions.append(f"{'add' if old is None else 'repair'} {name}")
            script += replacement([new])
    found = [leftover.describe() for leftover in observed.leftovers]
    found += [table.describe() for table in observed.legacy]
    cleanups: list[tuple[tuple[str, ...], str]] = []
    if remove_leftovers:
        actions.extend(f"remove {name}" for name in found)
        if observed.leftovers:
            cleanups.append((("nft", "-f", "-"), nft_removal(observed.leftovers)))
        cleanups.extend(((program, "--noflush"), text) for program, text in legacy_removal(observed.legacy))
    return FirewallPlan(
        actions=tuple(actions),
        script=script,
        cleanups=tuple(cleanups),
        before=render(observed.tables) + _leftover_text("left behind by flanneld", found),
        after=render(want)
        + _leftover_text("stays until remove_firewall_leftovers is set", [] if remove_leftovers else found),
        leftovers=tuple(found),
        ruleset=replacement(want),
    )


def apply(run: Run, firewall_plan: FirewallPlan) -> None:
    """Carry the plan out: our tables in one transaction, so that there is no moment without rules, then leftovers.

    Raises PodnetError with the command and its first line of complaint.
    """
    if firewall_plan.script:
        checked(run, ["nft", "-f", "-"], firewall_plan.script, missing=MISSING, hint=HINT)
    for command, text in firewall_plan.cleanups:
        checked(run, command, text, missing=MISSING, hint=HINT)


def _leftover_text(words: str, names: Sequence[str]) -> str:
    return "".join(f"# {words}: {name}\n" for name in names)


def _rules(tables: Iterable[Table]) -> list[str]:
    return [rule for table in tables for chain in table.chains for rule in chain.rules]


def _without_random(table: Table) -> Table:
    chains = tuple(
        replace(chain, rules=tuple(rule.replace(RANDOM, "masquerade") for rule in chain.rules))
        for chain in table.chains
    )
    return replace(table, chains=chains)


def _probe_fully_random(run: Run) -> bool:
    """Ask the kernel by a dry run whether it can draw the masqueraded port at random."""
    probe = (
        f"add table ip {TABLE}_probe\n"
        f"add chain ip {TABLE}_probe probe {{ type nat hook postrouting priority {SRCNAT}; }}\n"
        f"add rule ip {TABLE}_probe probe {RANDOM}\n"
    )
    return run(["nft", "--check", "-f", "-"], probe)[0] == 0


def _nft_json(run: Run, command: str) -> list[tuple[str, Mapping[str, Any]]]:
    """Run a listing and return its objects as (kind, fields); nft prints one JSON document per command."""
    text = checked(run, ["nft", "-j", command], missing=MISSING, hint=HINT).strip()
    objects = []
    while text:
        document, end = json.JSONDecoder().raw_decode(text)
        text = text[end:].lstrip()
        for entry in document["nftables"]:
            objects.extend(entry.items())
    return objects


def _read_table(run: Run, family: str) -> Table:
    try:
        return _parse_table(family, _nft_json(run, f"list table {family} {TABLE}"))
    except json.JSONDecodeError:
        # nft 1.0.6 prints garbage for a table with flags. Ours has none, so this one is to be replaced.
        return Table(family, (), ("a table that nft cannot print",))


def _parse_table(family: str, objects: Sequence[tuple[str, Mapping[str, Any]]]) -> Table:
    rules: list[tuple[str, str]] = []
    chains = []
    other = []
    for kind, entry in objects:
        if kind == "rule":
            rules.append((entry["chain"], _rule_text(family, entry["expr"])))
        elif kind == "chain" and "hook" in entry:
            chains.append(entry)
        elif kind == "table" and entry.get("flags"):
            other.append(f"flags {_text(entry['flags'])}")
        elif kind not in ("metainfo", "table"):
            other.append(f"{kind} {entry['name']}")
    parsed = [
        Chain(
            entry["name"],
            entry["type"],
            entry["hook"],
            entry["prio"],
            entry.get("policy", "accept"),
            tuple(text for chain, text in rules if chain == entry["name"]),
        )
        for entry in chains
    ]
    # The order of the chains in a table means nothing; the order of the rules in a chain does.
    parsed.sort(key=lambda chain: chain.name, reverse=True)
    return Table(family, tuple(parsed), tuple(other))


def _rule_text(family: str, expressions: Sequence[Mapping[str, Any]]) -> str:
    """Return the canonical text of a rule.

    Counters change nothing about a rule's meaning and are left out; the order of its matches neither, so they are
    sorted. What we do not use ourselves comes back as JSON and therefore never equals a rule of ours.
    """
    matches = []
    verdict = ""
    for expression in expressions:
        ((kind, value),) = expression.items()
        if kind == "match":
            matches.append(_match_text(family, value))
        elif kind in ("accept", "return") and value is None:
            verdict = kind
        elif kind == "masquerade":
            flags = (value or {}).get("flags", [])
            verdict = " ".join([kind, *sorted([flags] if isinstance(flags, str) else flags)])
        elif kind != "counter":
            matches.append(_text(expression))
    return " ".join([*sorted(matches, reverse=True), verdict])


def _match_text(family: str, match: Mapping[str, Any]) -> str:
    left, right, operator = match["left"], match["right"], match["op"]
    negation = {"==": "", "!=": "!= "}.get(operator)
    field = left.get("payload", {}) if isinstance(left, dict) else {}
    if (
        negation is not None
        and field.get("protocol") == family
        and field.get("field") in ("saddr", "daddr")
        and _address(right)
    ):
        return f"{family} {field['field']} {negation}{_address(right)}"
    if operator == "==" and isinstance(left, dict) and list(left) == ["&"] and isinstance(right, int):
        mark, mask = left["&"]
        if mark == {"meta": {"key": "mark"}} and isinstance(mask, int):
            return f"meta mark & {mask:#x} == {right:#x}"
    return _text(match)


def _address(value: Any) -> str:
    if isinstance(value, dict) and list(value) == ["prefix"]:
        return f"{value['prefix']['addr']}/{value['prefix']['len']}"
    return value if isinstance(value, str) else ""


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
