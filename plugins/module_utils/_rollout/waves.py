# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Divide nodes into waves: canaries first, then batches; no I/O. Private to podnet.cni: may change in any release."""

from __future__ import annotations

import re
from typing import Any, Collection, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError

_BATCH = re.compile(r"([1-9][0-9]*)(%?)")
_ALLOWANCE = re.compile(r"([0-9]+)(%?)")
_TERM = re.compile(r"([A-Za-z0-9._/-]+)(?:(!?=)=?([A-Za-z0-9._-]*))?")


def parse_batch(text: Any) -> tuple[int, bool]:
    """A number of nodes or, as True, a percentage of all. Raises InputError."""
    matched = _BATCH.fullmatch(str(text).strip())
    if not matched or (matched.group(2) and int(matched.group(1)) > 100):
        raise InputError(f"batch: {text!r} is neither a number of nodes above 0 nor a percentage up to 100%.")
    return int(matched.group(1)), bool(matched.group(2))


def parse_allowance(text: Any, total: int) -> int:
    """How many of all nodes may fail, from a number or a percentage, rounded down. Raises InputError."""
    matched = _ALLOWANCE.fullmatch(str(text).strip())
    if not matched or (matched.group(2) and int(matched.group(1)) > 100):
        raise InputError(f"max_failed: {text!r} is neither a number of nodes nor a percentage up to 100%.")
    return int(matched.group(1)) * total // 100 if matched.group(2) else int(matched.group(1))


def chosen(waves: Sequence[Any], nodes: Collection[str]) -> tuple[list[list[str]], list[str]]:
    """Waves that somebody chose, without nodes that cannot be updated, and the names of those.

    A wave that is empty then stays, so that the others keep their numbers. Raises InputError for what is no list of
    names, and for a node that is named twice.
    """
    named: list[str] = []
    for number, wave in enumerate(waves):
        if not isinstance(wave, list) or not all(isinstance(name, str) for name in wave):
            raise InputError(f"waves[{number}] is no list of node names.")
        named += wave
    twice = sorted({name for name in named if named.count(name) > 1} if len(set(named)) < len(named) else ())
    if twice:
        raise InputError(f"waves: {twice[0]} is in two waves. Name each node once.")
    return [[name for name in wave if name in nodes] for wave in waves], [name for name in named if name not in nodes]


def parse_selector(text: str) -> list[tuple[str, str, str]]:
    """Terms of a label selector like C(a=b,c!=d,e): key, operator (C(=), C(!=) or empty) and value.

    Raises InputError.
    """
    terms = []
    for term in filter(None, (part.strip() for part in text.split(","))):
        matched = _TERM.fullmatch(term)
        if not matched:
            raise InputError(f"canary_selector: {term!r} cannot be read: give terms like key=value, key!=value or key.")
        terms.append((matched.group(1), matched.group(2) or "", matched.group(3) or ""))
    return terms


def selected(labels: Mapping[str, str], terms: Sequence[tuple[str, str, str]]) -> bool:
    """Whether labels fulfil all terms; a selector without terms selects nothing here."""

    def fulfils(key: str, operator: str, value: str) -> bool:
        if operator == "=":
            return labels.get(key) == value
        return labels.get(key) != value if operator == "!=" else key in labels

    return bool(terms) and all(fulfils(*term) for term in terms)


def divide(
    nodes: Mapping[str, Mapping[str, str]],
    canaries: Sequence[str],
    terms: Sequence[tuple[str, str, str]],
    batches: Sequence[tuple[int, bool]],
) -> list[list[str]]:
    """Waves of node names; every node is in exactly one wave and no wave is empty.

    C(nodes) maps a name to labels. The first wave holds the canaries. The sizes of the others are C(batches) in
    their order, the last of which repeats; percentages count all nodes and are rounded up.
    Raises InputError for a canary that is no node of the DaemonSet, or a selector that selects none.
    """
    unknown = sorted(set(canaries) - set(nodes))
    if unknown:
        raise InputError(f"canary_nodes: {unknown[0]} runs no ready pod of the DaemonSet. Name a node that does.")
    chosen = sorted((name for name, labels in nodes.items() if selected(labels, terms)), key=natural)
    if terms and not chosen:
        raise InputError("canary_selector selects no node that runs a pod of the DaemonSet. Mend it or leave it out.")
    first = list(dict.fromkeys([*canaries, *chosen]))
    waves = [first] if first else []
    left = sorted(set(nodes) - set(first), key=natural)
    for number in range(len(left)):
        if not left:
            break
        size, percent = batches[min(number, len(batches) - 1)]
        count = -(-size * len(nodes) // 100) if percent else size
        waves.append(left[:count])
        left = left[count:]
    return waves


def natural(name: str) -> list[tuple[int, int, str]]:
    """Sorts node-2 before node-10."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"([0-9]+)", name) if part]
