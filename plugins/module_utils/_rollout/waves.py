# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Divide nodes into waves: canaries first, then batches; no I/O. Private to podnet.cni: may change in any release."""

from __future__ import annotations

import re
from typing import Any, Collection, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._kube import selectors
from ansible_collections.podnet.cni.plugins.module_utils._kube.selectors import Selector

_BATCH = re.compile(r"([1-9][0-9]*)(%?)")
_ALLOWANCE = re.compile(r"([0-9]+)(%?)")


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


def parse_at_once(text: Any, total: int) -> int:
    """How many pods may be away at once, from a number or a percentage, rounded down, at least 1. Raises InputError."""
    matched = _BATCH.fullmatch(str(text).strip())
    if not matched or (matched.group(2) and int(matched.group(1)) > 100):
        raise InputError(f"max_unavailable: {text!r} is neither a number of nodes above 0 nor a percentage up to 100%.")
    return max(1, int(matched.group(1)) * total // 100 if matched.group(2) else int(matched.group(1)))


def chosen(waves: Sequence[Any], nodes: Collection[str]) -> tuple[list[list[str]], list[str]]:
    """Waves that somebody chose, without nodes that cannot be updated, and the names of those.

    A wave that is empty then stays, so that the others keep their numbers. Raises InputError for a value that is not
    a list of names, and for a node that is named twice.
    """
    named: list[str] = []
    for number, wave in enumerate(waves):
        if not isinstance(wave, list) or not all(isinstance(name, str) for name in wave):
            raise InputError(f"waves[{number}] is not a list of node names.")
        named += wave
    twice = sorted({name for name in named if named.count(name) > 1} if len(set(named)) < len(named) else ())
    if twice:
        raise InputError(f"waves: {twice[0]} is in two waves. Name each node once.")
    return [[name for name in wave if name in nodes] for wave in waves], [name for name in named if name not in nodes]


def canary_selector(text: str | None) -> Selector:
    """The selector of the canaries from its option. Raises InputError."""
    return selectors.from_text(text or "", "canary_selector")


def selected(nodes: Mapping[str, Mapping[str, str]], selector: Selector) -> list[str]:
    """The nodes that a selector of canaries selects, of C(nodes) with their labels; without a term it selects none."""
    found = [name for name, labels in nodes.items() if selector.requirements and selector.matches(labels)]
    return sorted(found, key=natural)


def divide(
    nodes: Mapping[str, Mapping[str, str]],
    canaries: Sequence[str],
    selector: Selector,
    batches: Sequence[tuple[int, bool]],
) -> list[list[str]]:
    """Waves of node names; every node is in exactly one wave and no wave is empty.

    C(nodes) maps a name to labels. The first wave holds the canaries. The sizes of the others are C(batches) in
    their order, the last of which repeats; percentages count all nodes and are rounded up.
    Raises InputError for a canary that is not a node of the DaemonSet, or a selector that selects none.
    """
    unknown = sorted(set(canaries) - set(nodes))
    if unknown:
        raise InputError(f"canary_nodes: {unknown[0]} runs no ready pod of the DaemonSet. Name a node that does.")
    chosen = selected(nodes, selector)
    if selector.requirements and not chosen:
        raise InputError(
            "canary_selector selects no node that runs a pod of the DaemonSet. Correct it or leave it out."
        )
    first = list(dict.fromkeys([*canaries, *chosen]))
    left = sorted(set(nodes) - set(first), key=natural)
    return [*([first] if first else []), *cut(left, counts(batches, len(nodes)))]


def counts(batches: Sequence[tuple[int, bool]], total: int) -> list[int]:
    """Sizes of batches as numbers of nodes; a percentage of all C(total) is rounded up."""
    return [-(-size * total // 100) if percent else size for size, percent in batches]


def cut(names: Sequence[str], sizes: Sequence[int]) -> list[list[str]]:
    """Batches of these sizes in their order, the last of which repeats; 0, or no size, takes all that are left."""
    found: list[list[str]] = []
    left = list(names)
    while left:
        size = sizes[min(len(found), len(sizes) - 1)] if sizes else 0
        found.append(left[: size or len(left)])
        left = left[size:] if size else []
    return found


def natural(name: str) -> list[tuple[int, int, str]]:
    """Sorts node-2 before node-10."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"([0-9]+)", name) if part]
