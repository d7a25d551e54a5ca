# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Inheritable annotations of namespaces: wanted, observed, the difference, and its application.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Protocol

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import Conflict, NotFound
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn import catalogue, config, lint
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn.decision import Namespace

NAMESPACES = "/api/v1/namespaces"
ATTEMPTS = 5
FIRST_CLASS = ("routes", "port_security", "security_groups", "ingress_rate", "egress_rate")
"""Annotations that are options of the module by their own name."""


class Api(Protocol):
    """What we need of an API client."""

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """One object."""

    def patch(self, path: str, body: Any, kind: str = "merge") -> dict[str, Any]:
        """Patch an object."""


@dataclass(frozen=True)
class Wanted:
    """Annotations and labels by full key, None to remove."""

    annotations: Mapping[str, str | None]
    labels: Mapping[str, str | None]


@dataclass(frozen=True)
class Plan:
    """The difference for one namespace; C(version) is what it was computed for."""

    name: str
    version: str
    annotations: Mapping[str, str | None]
    labels: Mapping[str, str | None]
    before: Mapping[str, str]
    after: Mapping[str, str]
    findings: tuple[lint.Finding, ...]

    def __bool__(self) -> bool:
        return bool(self.annotations or self.labels)

    def actions(self) -> list[str]:
        """The difference in words."""
        lines = []
        for what, changes in (("annotation", self.annotations), ("label", self.labels)):
            for key, value in sorted(changes.items()):
                lines.append(f"{'remove' if value is None else 'set'} {what} {key} of namespace {self.name}")
        return lines

    def patch(self) -> dict[str, Any]:
        """The JSON merge patch (RFC 7386), good for exactly this version of the namespace."""
        metadata: dict[str, Any] = {"resourceVersion": self.version}
        if self.annotations:
            metadata["annotations"] = dict(self.annotations)
        if self.labels:
            metadata["labels"] = dict(self.labels)
        return {"metadata": metadata}


def wanted(params: Mapping[str, Any]) -> Wanted:
    """Read the module's parameters. Raises InputError."""
    provider = catalogue.check_provider(params["provider"])
    annotations: dict[str, str | None] = {}
    for name in FIRST_CLASS:
        if params.get(name) is not None:
            text = catalogue.render(catalogue.CATALOGUE[name], params[name], name)
            annotations[catalogue.key_of(name, provider)] = text
    given = [(key, value, "annotations") for key, value in (params.get("annotations") or {}).items()]
    given += [(key, None, "remove") for key in params.get("remove") or []]
    for key, value, option in given:
        full = catalogue.resolve(str(key), provider)
        if full in annotations:
            raise InputError(f"{option} names {full}, which another option sets or removes too: name it once.")
        annotation = catalogue.find(full)
        if option == "remove" or annotation is None:
            annotations[full] = None
        else:
            annotations[full] = catalogue.render(annotation, value, f"annotations[{key}]")
    labels: dict[str, str | None] = {}
    prefix = config.check_prefix(params.get("annotation_prefix") or config.DEFAULT_PREFIX)
    if params.get("inherit") is not None:
        labels[config.label_key(prefix)] = config.ENABLED if params["inherit"] else None
    if not annotations and not labels:
        raise InputError("There is nothing to do: give routes, port_security, annotations, remove or inherit.")
    return Wanted(annotations, labels)


def plan(item: Mapping[str, Any], want: Wanted) -> Plan:
    """The difference for one Namespace object. Raises InputError when a value that is to be set is wrong."""
    found = Namespace.from_object(item)
    after = dict(found.annotations)
    for key, value in want.annotations.items():
        after.pop(key, None)
        if value is not None:
            after[key] = value
    findings = lint.lint_namespace(after, only=[key for key, value in want.annotations.items() if value is not None])
    errors = [str(finding) for finding in findings if finding.severity == lint.ERROR]
    if errors:
        raise InputError(f"namespace {found.name}: {' '.join(errors)}")
    return Plan(
        found.name,
        fields.text(item, "metadata", "resourceVersion"),
        {key: value for key, value in want.annotations.items() if found.annotations.get(key) != value},
        {key: value for key, value in want.labels.items() if found.labels.get(key) != value},
        _shown(found.annotations, found.labels, want),
        _shown(after, {**found.labels, **want.labels}, want),
        tuple(findings),
    )


def _shown(annotations: Mapping[str, str], labels: Mapping[str, str | None], want: Wanted) -> dict[str, str]:
    """The keys that the module is about, as they are in a namespace."""
    shown = {key: annotations[key] for key in want.annotations if key in annotations}
    for key in want.labels:
        value = labels.get(key)
        if value is not None:
            shown[key] = value
    return dict(sorted(shown.items()))


def reconcile(api: Api, names: list[str], want: Wanted, check_mode: bool) -> list[Plan]:
    """Plan all namespaces before the first is touched, then patch those that differ. Raises InputError or KubeError."""
    if not names or len(set(names)) != len(names):
        raise InputError(f"namespaces is {names}: name at least one, and each once.")
    plans = [_plan(api, name, want) for name in names]
    return plans if check_mode else [_apply(api, each, want) for each in plans]


def _plan(api: Api, name: str, want: Wanted) -> Plan:
    try:
        return plan(api.get(f"{NAMESPACES}/{name}"), want)
    except NotFound:
        raise InputError(f"there is no namespace {name}: create it first, or correct the name.") from None


def _apply(api: Api, first: Plan, want: Wanted) -> Plan:
    """Patch a namespace; plan afresh when somebody, like Kube-OVN's controller, changed it meanwhile."""
    each = first
    for attempt in range(ATTEMPTS):
        try:
            if each:
                api.patch(f"{NAMESPACES}/{each.name}", each.patch(), "merge")
            return each
        except Conflict:
            if attempt + 1 == ATTEMPTS:
                raise
            each = _plan(api, first.name, want)
    return each
