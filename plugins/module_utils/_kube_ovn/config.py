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
from ansible_collections.podnet.cni.plugins.module_utils._kube import selectors
from ansible_collections.podnet.cni.plugins.module_utils._kube.selectors import Selector
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn import catalogue, lint
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn.catalogue import ANY_PROVIDER, Annotation

DEFAULT = "default"
ENFORCE = "enforce"
DEFAULT_PREFIX = "podnet.cni"
ENABLED = "enabled"
SYSTEM_NAMESPACES = ("kube-system", "kube-public", "kube-node-lease")

_LABEL_KEY = re.compile(r"(?:[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
_PREFIX = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*")


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
    """The prefix of our own annotations. Raises InputError when it is not a DNS name."""
    if not isinstance(prefix, str) or not _PREFIX.fullmatch(prefix) or len(prefix) > 253:
        raise InputError(f"prefix {prefix!r} is not a DNS name: annotations need one like {DEFAULT_PREFIX}.")
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
    found = selectors.parse(selector, where)
    for requirement in found.requirements:
        if not _LABEL_KEY.fullmatch(requirement.key):
            raise InputError(f"{where}: {requirement.key!r} is not a label key.")
        for value in requirement.values:
            if not _LABEL_VALUE.fullmatch(value) or len(value) > 63:
                raise InputError(f"{where}: {value!r} is not a label value.")
    return found


def _only(document: Any, known: tuple[str, ...], where: str) -> None:
    if not isinstance(document, Mapping):
        raise InputError(f"{where} is {document!r}: give a dictionary.")
    unknown = sorted(str(key) for key in document if key not in known)
    if unknown:
        raise InputError(f"{where} has the unknown key {unknown[0]!r}. Known are {', '.join(known)}.")
