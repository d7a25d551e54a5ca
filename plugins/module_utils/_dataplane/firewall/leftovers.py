# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Firewall rules that a flanneld left behind on a node, and the scripts that remove them.

Private to podnet.cni: may change in any release.

flanneld removes nothing when it stops, and when it changes from iptables to nftables mode it looks for C(FLANNEL-FWD)
in the wrong table and leaves both jumps (flannel v0.28.9 pkg/trafficmngr/iptables/iptables.go, CleanUp). The rules
can be in three places per family: iptables on nf_tables, iptables-legacy, and tables of flanneld's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Iterable, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._host.command import Run

CHAINS = ("FLANNEL-POSTRTG", "FLANNEL-FWD")
TABLES = (("ip", "flannel-ipv4"), ("ip6", "flannel-ipv6"))
# iptables table -> the hook whose base chain flanneld appends its jump to
HOOKS = {"nat": "postrouting", "filter": "forward"}
# kernel's list of legacy tables -> programs that can list them, the exact one first
LEGACY = (
    ("ip_tables_names", ("iptables-legacy-save", "iptables-save")),
    ("ip6_tables_names", ("ip6tables-legacy-save", "ip6tables-save")),
)


@dataclass(frozen=True)
class Leftover:
    """One thing left behind in nf_tables: a table of flanneld's own (no chain) or a chain with its jumps.

    C(jumps) are (chain, rule handle) pairs.
    """

    family: str
    table: str
    chain: str = ""
    jumps: tuple[tuple[str, int], ...] = ()

    def describe(self) -> str:
        """Return the place in words."""
        if not self.chain:
            return f"nftables table {self.family} {self.table}"
        program = "iptables-nft" if self.family == "ip" else "ip6tables-nft"
        return f"{program} chain {self.chain} in table {self.table}, jumps to it: {len(self.jumps)}"


@dataclass(frozen=True)
class LegacyTable:
    """flanneld's part of one iptables-legacy table: its chains, and the jumps to them as iptables-save prints them."""

    program: str
    table: str
    chains: tuple[str, ...]
    jumps: tuple[str, ...]

    def describe(self) -> str:
        """Return the place in words."""
        program = self.program.replace("-save", "")
        return f"{program} chains {', '.join(self.chains)} in table {self.table}, jumps to them: {len(self.jumps)}"


def find_in_nft(
    tables: Iterable[tuple[str, str]],
    chains: Sequence[Mapping[str, Any]],
    list_objects: Callable[[str], Sequence[tuple[str, Mapping[str, Any]]]],
) -> tuple[Leftover, ...]:
    """Return what is left in nf_tables, of all tables (family, name) and chains (as C(nft -j) prints them).

    Only where there is something is C(list_objects) called (an nft listing command in, (kind, fields) pairs out), to
    find the jumps.
    """
    present = set(tables)
    found = [Leftover(family, table) for family, table in TABLES if (family, table) in present]
    for chain in chains:
        family, table, name = chain["family"], chain["table"], chain["name"]
        if family in ("ip", "ip6") and name in CHAINS:
            jumps: list[tuple[str, int]] = []
            for base in chains:
                if (base["family"], base["table"], base.get("hook")) == (family, table, HOOKS.get(table)):
                    rules = list_objects(f"list chain {family} {table} {base['name']}")
                    jumps.extend((base["name"], rule["handle"]) for rule in _jumps(rules, name))
            found.append(Leftover(family, table, name, tuple(jumps)))
    return tuple(found)


def _jumps(objects: Sequence[tuple[str, Mapping[str, Any]]], target: str) -> list[Mapping[str, Any]]:
    verdicts = [{"jump": {"target": target}}, {"goto": {"target": target}}]
    return [rule for kind, rule in objects if kind == "rule" and any(part in verdicts for part in rule["expr"])]


def nft_removal(leftovers: Iterable[Leftover]) -> str:
    """Return the nft script that removes them: all jumps, then the chains, then flanneld's own tables."""
    jumps: list[str] = []
    chains: list[str] = []
    tables: list[str] = []
    for leftover in leftovers:
        place = f"{leftover.family} {leftover.table}"
        if not leftover.chain:
            tables.append(f"delete table {place}\n")
            continue
        jumps.extend(f"delete rule {place} {chain} handle {handle}\n" for chain, handle in leftover.jumps)
        chains.append(f"flush chain {place} {leftover.chain}\ndelete chain {place} {leftover.chain}\n")
    return "".join(jumps + chains + tables)


def find_in_legacy(run: Run, proc_net: str) -> tuple[LegacyTable, ...]:
    """Return what is left in iptables-legacy, both families.

    No program is started while the kernel holds no legacy table, and none is started that would create one.
    """
    found: list[LegacyTable] = []
    for names, programs in LEGACY:
        if not _has_tables(f"{proc_net}/{names}"):
            continue
        for program in programs:
            try:
                code, out, _err = run([program], None)
            except FileNotFoundError:
                continue
            # A plain iptables-save may be the one on nf_tables: what it prints has been found already.
            if code == 0 and "(nf_tables)" not in out:
                found.extend(parse_save(program, out))
            break
    return tuple(found)


def _has_tables(path: str) -> bool:
    try:
        with open(path, encoding="ascii") as stream:
            return bool(stream.read().strip())
    except FileNotFoundError:
        return False


def parse_save(program: str, text: str) -> tuple[LegacyTable, ...]:
    """Return flanneld's part of what iptables-legacy-save printed."""
    chains: dict[str, list[str]] = {}
    jumps: dict[str, list[str]] = {}
    table = ""
    for line in text.splitlines():
        words = line.split()
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith(":") and words[0][1:] in CHAINS:
            chains.setdefault(table, []).append(words[0][1:])
        elif line.startswith("-A ") and words[-2] in ("-j", "-g") and words[-1] in CHAINS:
            jumps.setdefault(table, []).append(line)
    return tuple(LegacyTable(program, name, tuple(found), tuple(jumps.get(name, ()))) for name, found in chains.items())


def legacy_removal(tables: Iterable[LegacyTable]) -> tuple[tuple[str, str], ...]:
    """Return (iptables-restore program, its standard input) for each family: jumps first, then the chains."""
    scripts: dict[str, str] = {}
    for table in tables:
        lines = [f"*{table.table}"]
        lines.extend(f"-D {jump[len('-A ') :]}" for jump in table.jumps)
        lines.extend(f"-F {chain}" for chain in table.chains)
        lines.extend(f"-X {chain}" for chain in table.chains)
        lines.append("COMMIT")
        program = table.program.replace("-save", "-restore")
        scripts[program] = scripts.get(program, "") + "\n".join(lines) + "\n"
    return tuple(scripts.items())
