# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Label selectors: read from objects, asked about labels, written as query parameters.

Private to podnet.cni: may change in any release. Pure: no input or output.

Semantics: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors. An empty selector
matches everything; NotIn and DoesNotExist also match what lacks the key.
"""

from __future__ import annotations

import re
from typing import Any, Mapping, NamedTuple

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError

_WITH_VALUES = ("In", "NotIn")
_WITHOUT_VALUES = ("Exists", "DoesNotExist")
_TERM = re.compile(r"([A-Za-z0-9._/-]+)(?:(!?=)=?([A-Za-z0-9._-]*))?")


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
        """As the query parameter C(labelSelector) takes it."""
        return ",".join(str(requirement) for requirement in self.requirements)

    def to_dict(self) -> dict[str, Any]:
        """As an object of the API has it."""
        entries = [
            {"key": each.key, "operator": each.operator, **({"values": sorted(each.values)} if each.values else {})}
            for each in self.requirements
        ]
        return {"matchExpressions": entries} if entries else {}


EVERYTHING = Selector(())


def parse(value: Any, where: str) -> Selector:
    """A selector from an object's C(matchLabels) and C(matchExpressions); null and empty match everything.

    Raises InputError, which names C(where), for what the API server would refuse.
    """
    if value is None:
        return EVERYTHING
    if not isinstance(value, Mapping):
        raise InputError(f"{where} is not a mapping.")
    found = set()
    for key, wanted in _mapping(value.get("matchLabels"), f"{where}.matchLabels").items():
        if wanted is not None and not isinstance(wanted, str):
            raise InputError(f"{where}.matchLabels.{key} is {wanted!r}, not a text. Quote it.")
        # Null is the empty text to the API server.
        found.add(Requirement(str(key), "In", frozenset((wanted or "",))))
    expressions = value.get("matchExpressions") or []
    if not isinstance(expressions, list):
        raise InputError(f"{where}.matchExpressions is not a list.")
    for number, item in enumerate(expressions):
        found.add(_expression(item, f"{where}.matchExpressions[{number}]"))
    return Selector(tuple(sorted(found, key=lambda each: (each.key, each.operator, sorted(each.values)))))


def _mapping(value: Any, where: str) -> Mapping[Any, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InputError(f"{where} is not a mapping.")
    return value


def _expression(item: Any, where: str) -> Requirement:
    entry = _mapping(item, where)
    key, operator, values = entry.get("key"), entry.get("operator"), entry.get("values") or []
    if not isinstance(key, str) or not key:
        raise InputError(f"{where} has no key.")
    if not isinstance(values, list) or not all(each is None or isinstance(each, str) for each in values):
        raise InputError(f"{where}.values is not a list of texts.")
    if operator in _WITH_VALUES and not values:
        raise InputError(f"{where}: operator {operator} needs values.")
    if operator in _WITHOUT_VALUES and values:
        raise InputError(f"{where}: operator {operator} takes no values.")
    if operator not in _WITH_VALUES + _WITHOUT_VALUES:
        raise InputError(f"{where}: there is no operator {operator!r}. Use In, NotIn, Exists or DoesNotExist.")
    return Requirement(key, str(operator), frozenset(each or "" for each in values))


def from_labels(labels: Mapping[str, str]) -> Selector:
    """The selector for things with all of these labels."""
    return Selector(tuple(Requirement(key, "In", frozenset((value,))) for key, value in sorted(labels.items())))


def from_text(text: str, where: str) -> Selector:
    """A selector from terms like C(a=b,c!=d,e), as people type it; an empty text matches everything.

    Raises InputError, which names C(where).
    """
    found = []
    for term in filter(None, (part.strip() for part in text.split(","))):
        matched = _TERM.fullmatch(term)
        if not matched:
            raise InputError(f"{where}: {term!r} cannot be read: give terms like key=value, key!=value or key.")
        key, operator, value = matched.groups()
        name = {"=": "In", "!=": "NotIn", None: "Exists"}[operator]
        found.append(Requirement(key, name, frozenset((value,) if operator else ())))
    return Selector(tuple(found))


def matches(selector: Any, labels: Mapping[str, str]) -> bool:
    """Whether an object's selector matches; one that the API server would refuse matches nothing."""
    try:
        return parse(selector, "selector").matches(labels)
    except InputError:
        return False
