# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which annotations are inherited, by whom and how: the configuration that policy, server, modules and role share.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn import catalogue, lint
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn.catalogue import ANY_PROVIDER, Annotation

DEFAULT = "default"
ENFORCE = "enforce"
DEFAULT_PREFIX = "podnet.cni"
ENABLED = "enabled"
SYSTEM_NAMESPACES = ("kube-system", "kube-public", "kube-node-lease")
OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")

_LABEL_KEY = re.compile(r"(?:[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
_PREFIX = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*")


@dataclass(frozen=True)
class Requirement:
    """One condition on labels, as in a Kubernetes label selector."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether labels meet the condition; NotIn and DoesNotExist hold for a missing label."""
        present = self.key in labels
        if self.operator == "Exists":
            return present
        if self.operator == "DoesNotExist":
            return not present
        inside = present and labels[self.key] in self.values
        return inside if self.operator == "In" else not inside


@dataclass(frozen=True)
class Selector:
    """Conditions that hold together; none of them selects everything."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether labels meet every condition."""
        return all(requirement.matches(labels) for requirement in self.requirements)

    def to_dict(self) -> dict[str, Any]:
        """As a Kubernetes label selector."""
        if not self.requirements:
            return {}
        entries = []
        for item in self.requirements:
            entry: dict[str, Any] = {"key": item.key, "operator": item.operator}
            if item.values:
                entry["values"] = list(item.values)
            entries.append(entry)
        return {"matchExpressions": entries}


@dataclass(frozen=True)
class Rule:
    """One annotation on the list. C(provider) is C(*) for all providers that no other rule of the name mentions."""

    annotation: Annotation
    provider: str
    mode: str
    default: str | None
    pods: Selector
    namespaces: Selector

    @property
    def key(self) -> str:
        """The annotation key; with C(*) a pattern for people."""
        return catalogue.key_of(self.annotation.name, self.provider)


@dataclass(frozen=True)
class Config:
    """The whole configuration. C(namespaces) selects who takes part, C(excluded) names who never does."""

    prefix: str
    rules: tuple[Rule, ...]
    namespaces: Selector
    excluded: tuple[str, ...]

    @property
    def opt_out_key(self) -> str:
        """Pod annotation that, set to false, keeps values of mode default away."""
        return f"{self.prefix}/inherit"

    @property
    def record_key(self) -> str:
        """Pod annotation that records what was inherited."""
        return f"{self.prefix}/inherited"

    def rule_for(self, key: str) -> Rule | None:
        """The rule of a key: the one that names its provider, else the one for all providers."""
        parts = catalogue.split_key(key)
        if parts is None:
            return None
        found = None
        for rule in self.rules:
            if rule.annotation.name == parts[1]:
                if rule.provider == parts[0]:
                    return rule
                if rule.provider == ANY_PROVIDER:
                    found = rule
        return found

    def takes_part(self, name: str, labels: Mapping[str, str]) -> bool:
        """Whether pods of a namespace inherit at all."""
        return name not in self.excluded and self.namespaces.matches(labels)

    def to_dict(self) -> dict[str, Any]:
        """What parse() reads, with every default filled in."""
        return {
            "prefix": self.prefix,
            "namespace_selector": self.namespaces.to_dict(),
            "excluded_namespaces": list(self.excluded),
            "annotations": [
                {
                    "annotation": rule.annotation.name,
                    "provider": rule.provider,
                    "mode": rule.mode,
                    "default": rule.default,
                    "pod_selector": rule.pods.to_dict(),
                    "namespace_selector": rule.namespaces.to_dict(),
                }
                for rule in self.rules
            ],
        }


def label_key(prefix: str = DEFAULT_PREFIX) -> str:
    """The namespace label that opts in, with the value C(enabled)."""
    return f"{prefix}/kube-ovn-inheritance"


def parse(document: Any) -> Config:
    """Read a configuration: prefix, annotations, namespace_selector, excluded_namespaces. Raises InputError."""
    _only(document, ("prefix", "annotations", "namespace_selector", "excluded_namespaces"), "the configuration")
    prefix = check_prefix(document.get("prefix") or DEFAULT_PREFIX)
    selector = document.get("namespace_selector")
    if selector is None:
        selector = {"matchLabels": {label_key(prefix): ENABLED}}
    entries = document.get("annotations")
    if not isinstance(entries, list) or not entries:
        raise InputError("annotations is empty: name at least one annotation that pods inherit.")
    rules = tuple(_rule(entry, f"annotations[{index}]") for index, entry in enumerate(entries))
    keys = [rule.key for rule in rules]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise InputError(f"annotations names {twice[0]} twice: keep one entry.")
    excluded = document.get("excluded_namespaces")
    if excluded is None:
        excluded = list(SYSTEM_NAMESPACES)
    if not isinstance(excluded, list) or not all(isinstance(name, str) and name for name in excluded):
        raise InputError(f"excluded_namespaces is {excluded!r}: give a list of names.")
    return Config(prefix, rules, parse_selector(selector, "namespace_selector"), tuple(excluded))


def check_prefix(prefix: Any) -> str:
    """The prefix of our own annotations. Raises InputError when it is no DNS name."""
    if not isinstance(prefix, str) or not _PREFIX.fullmatch(prefix) or len(prefix) > 253:
        raise InputError(f"prefix {prefix!r} is no DNS name: annotations need one like {DEFAULT_PREFIX}.")
    if prefix == "kubernetes.io" or prefix.endswith(".kubernetes.io"):
        raise InputError(f"prefix {prefix!r} belongs to Kubernetes and Kube-OVN: use a name of your own.")
    return prefix


def _rule(entry: Any, where: str) -> Rule:
    if isinstance(entry, str):
        entry = {"annotation": entry}
    _only(entry, ("annotation", "provider", "mode", "default", "pod_selector", "namespace_selector"), where)
    name = entry.get("annotation")
    if not isinstance(name, str):
        raise InputError(f"{where}.annotation is {name!r}: give the name of an annotation, like routes.")
    provider = entry.get("provider") or catalogue.PRIMARY_PROVIDER
    if "/" in name:
        parts = catalogue.split_key(catalogue.resolve(name))
        if parts is not None:
            provider, name = parts
    annotation = catalogue.require(name)
    if provider != ANY_PROVIDER:
        catalogue.check_provider(str(provider))
    mode = entry.get("mode") or DEFAULT
    if mode not in (DEFAULT, ENFORCE):
        raise InputError(f"{where}.mode is {mode!r}: use {DEFAULT} or {ENFORCE}.")
    default = entry.get("default")
    if default is not None:
        if provider == ANY_PROVIDER:
            raise InputError(f"{where}: a cluster-wide default needs one provider, not all of them.")
        default = catalogue.render(annotation, default, f"{where}.default")
        errors = [
            item for item in lint.lint_value(catalogue.key_of(name, provider), default) if item.severity == lint.ERROR
        ]
        if errors:
            raise InputError(f"{where}.default: {errors[0]}")
    return Rule(
        annotation,
        provider,
        mode,
        default or None,
        parse_selector(entry.get("pod_selector") or {}, f"{where}.pod_selector"),
        parse_selector(entry.get("namespace_selector") or {}, f"{where}.namespace_selector"),
    )


def parse_selector(selector: Any, where: str) -> Selector:
    """Read a Kubernetes label selector. Raises InputError naming C(where)."""
    _only(selector, ("matchLabels", "matchExpressions"), where)
    found = []
    labels = selector.get("matchLabels") or {}
    if not isinstance(labels, Mapping):
        raise InputError(f"{where}.matchLabels is {labels!r}: give a dictionary.")
    for key, value in sorted(labels.items()):
        found.append(_requirement(key, "In", [value], f"{where}.matchLabels"))
    expressions = selector.get("matchExpressions") or []
    if not isinstance(expressions, list):
        raise InputError(f"{where}.matchExpressions is {expressions!r}: give a list.")
    for index, item in enumerate(expressions):
        place = f"{where}.matchExpressions[{index}]"
        _only(item, ("key", "operator", "values"), place)
        found.append(_requirement(item.get("key"), item.get("operator"), item.get("values") or [], place))
    return Selector(tuple(found))


def _requirement(key: Any, operator: Any, values: Any, where: str) -> Requirement:
    if not isinstance(key, str) or not _LABEL_KEY.fullmatch(key):
        raise InputError(f"{where}: {key!r} is no label key.")
    if operator not in OPERATORS:
        raise InputError(f"{where}: operator {operator!r} is none of {', '.join(OPERATORS)}.")
    if not isinstance(values, list) or bool(values) != (operator in ("In", "NotIn")):
        raise InputError(f"{where}: In and NotIn need a list of values, Exists and DoesNotExist take none.")
    for value in values:
        if not isinstance(value, str) or not _LABEL_VALUE.fullmatch(value) or len(value) > 63:
            raise InputError(f"{where}: {value!r} is no label value. Quote numbers and booleans.")
    return Requirement(key, operator, tuple(values))


def _only(document: Any, known: tuple[str, ...], where: str) -> None:
    if not isinstance(document, Mapping):
        raise InputError(f"{where} is {document!r}: give a dictionary.")
    unknown = sorted(str(key) for key in document if key not in known)
    if unknown:
        raise InputError(f"{where} has the unknown key {unknown[0]!r}. Known are {', '.join(known)}.")
