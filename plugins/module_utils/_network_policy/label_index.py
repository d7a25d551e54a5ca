# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Things with labels, found by label selector without looking at all of them.

Private to podnet.cni: may change in any release. Pure: no input or output.
"""

from __future__ import annotations

from typing import Generic, Iterable, Mapping, TypeVar

from ansible_collections.podnet.cni.plugins.module_utils._kube.selectors import Selector

T = TypeVar("T")


class LabelIndex(Generic[T]):
    """Things with labels, found by selector. Add everything first, then look up."""

    def __init__(self) -> None:
        self._all: list[tuple[Mapping[str, str], T]] = []
        self._by_value: dict[tuple[str, str], list[tuple[Mapping[str, str], T]]] = {}
        self._by_key: dict[str, list[tuple[Mapping[str, str], T]]] = {}
        self._known: dict[Selector, list[T]] = {}

    def add(self, labels: Mapping[str, str], item: T) -> None:
        """Put a thing in."""
        entry = (labels, item)
        self._all.append(entry)
        for key, value in labels.items():
            self._by_value.setdefault((key, value), []).append(entry)
            self._by_key.setdefault(key, []).append(entry)

    def find(self, selector: Selector) -> list[T]:
        """All things that the selector matches; only those that share its rarest label are looked at."""
        known = self._known.get(selector)
        if known is None:
            known = [item for labels, item in self._candidates(selector) if selector.matches(labels)]
            self._known[selector] = known
        return known

    def _candidates(self, selector: Selector) -> Iterable[tuple[Mapping[str, str], T]]:
        best = self._all
        for requirement in selector.requirements:
            if requirement.operator == "In":
                found = [
                    entry for value in requirement.values for entry in self._by_value.get((requirement.key, value), ())
                ]
            elif requirement.operator == "Exists":
                found = self._by_key.get(requirement.key, [])
            else:
                continue
            if len(found) < len(best):
                best = found
        return best
