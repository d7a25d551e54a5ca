# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Label selectors, and an index that finds what a selector matches without trying everything.

Private to podnet.cni: may change in any release.

Semantics: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors. An empty selector
matches everything; NotIn and DoesNotExist also match what lacks the key.
"""

from __future__ import annotations

from typing import Any, Generic, Iterable, Mapping, NamedTuple, TypeVar

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError

T = TypeVar("T")

_WITH_VALUES = ("In", "NotIn")
_WITHOUT_VALUES = ("Exists", "DoesNotExist")


class Requirement(NamedTuple):
    """One condition on one label; C(values) is empty for Exists and DoesNotExist."""

    key: str
    operator: str
    values: frozenset[str]

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether the labels meet the condition."""
        if self.operator == "In":
            return labels.get(self.key) in self.values
        if self.operator == "NotIn":
            return labels.get(self.key) not in self.values
        return (self.key in labels) == (self.operator == "Exists")

    def __str__(self) -> str:
        if self.operator == "Exists":
            return self.key
        if self.operator == "DoesNotExist":
            return f"!{self.key}"
        if self.operator == "In" and len(self.values) == 1:
            return f"{self.key}={next(iter(self.values))}"
        word = "in" if self.operator == "In" else "notin"
        return f"{self.key} {word} ({','.join(sorted(self.values))})"


class Selector(NamedTuple):
    """Conditions that all have to be met. Selectors are equal whatever the order they were written in."""

    requirements: tuple[Requirement, ...]

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether the labels meet every condition."""
        return all(requirement.matches(labels) for requirement in self.requirements)

    def __str__(self) -> str:
        return ",".join(str(requirement) for requirement in self.requirements)


EVERYTHING = Selector(())


def parse_selector(value: Any, where: str) -> Selector:
    """A selector from an object's C(matchLabels) and C(matchExpressions); null and empty match everything.

    Raises InputError, which names C(where), for what the API server would refuse.
    """
    if value is None:
        return EVERYTHING
    if not isinstance(value, Mapping):
        raise InputError(f"{where} is no mapping.")
    found = set()
    for key, wanted in _mapping(value.get("matchLabels"), f"{where}.matchLabels").items():
        if not isinstance(wanted, str):
            raise InputError(f"{where}.matchLabels.{key} is {wanted!r}, not a text. Quote it.")
        found.add(Requirement(str(key), "In", frozenset((wanted,))))
    expressions = value.get("matchExpressions") or []
    if not isinstance(expressions, list):
        raise InputError(f"{where}.matchExpressions is no list.")
    for number, item in enumerate(expressions):
        found.add(_expression(item, f"{where}.matchExpressions[{number}]"))
    return Selector(tuple(sorted(found, key=lambda each: (each.key, each.operator, sorted(each.values)))))


def _mapping(value: Any, where: str) -> Mapping[Any, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InputError(f"{where} is no mapping.")
    return value


def _expression(item: Any, where: str) -> Requirement:
    entry = _mapping(item, where)
    key, operator, values = entry.get("key"), entry.get("operator"), entry.get("values") or []
    if not isinstance(key, str) or not key:
        raise InputError(f"{where} has no key.")
    if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
        raise InputError(f"{where}.values is no list of texts.")
    if operator in _WITH_VALUES and not values:
        raise InputError(f"{where}: operator {operator} needs values.")
    if operator in _WITHOUT_VALUES and values:
        raise InputError(f"{where}: operator {operator} takes no values.")
    if operator not in _WITH_VALUES + _WITHOUT_VALUES:
        raise InputError(f"{where}: there is no operator {operator!r}. Use In, NotIn, Exists or DoesNotExist.")
    return Requirement(key, str(operator), frozenset(values))


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
