# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Values of a network merged into the object that owns them, and taken back: a HelmChartConfig, or Rancher's cluster.

What was there before is kept in an annotation of the object itself, which whoever may read the object may read, until
the change has ended. Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._distributions import cluster, helm, redact, values_text
from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import Conflict, NotFound

ATTEMPTS = 5
"""So often a write is tried again that somebody else's came before."""

Values = Mapping[values_text.Path, Any]


@dataclass(frozen=True)
class Target:
    """An object with values. C(kind) is HelmChartConfig or Cluster."""

    kind: str
    namespace: str
    name: str

    @property
    def collection(self) -> str:
        """Where objects of its kind are."""
        group = "provisioning.cattle.io/v1" if self.kind == "Cluster" else f"{helm.GROUP}/v1"
        plural = "clusters" if self.kind == "Cluster" else "helmchartconfigs"
        return f"/apis/{group}/namespaces/{self.namespace}/{plural}"

    @property
    def path(self) -> str:
        """Where it is."""
        return f"{self.collection}/{self.name}"

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"

    def spec_with(self, spec: Mapping[str, Any], values: Values) -> dict[str, Any]:
        """The spec with these values. Raises InputError."""
        if self.kind == "Cluster":
            return values_text.structured_with(spec, values)
        return values_text.spec_with(spec, values, f"{self} valuesContent")

    def undone(
        self, now: Mapping[str, Any], made: Mapping[str, Any], former: Mapping[str, Any], paths: Any
    ) -> dict[str, Any]:
        """The spec that takes a change back, and keeps what others wrote meanwhile. Raises InputError."""
        if self.kind == "Cluster":
            return values_text.structured_undone(now, former, paths)
        return values_text.undone(now, made, former, paths)

    def seen(self, spec: Mapping[str, Any]) -> Mapping[str, Any]:
        """The values in a spec."""
        return spec if self.kind == "Cluster" else helm.of_object(spec, str(self)).values


def merge(client: KubeClient, target: Target, values: Values, seen: Values, *, check: bool) -> dict[str, Any]:
    """Merge values into an object, which is made where it is not there and is a HelmChartConfig.

    C(seen) are the values that a plan was made from, None for none. Writes by the version that was read, and reads
    again when somebody else was faster: what others change stays. Raises ConflictError where they changed one of these
    values, or keep writing, and KubeError.
    """
    for conflicts in range(ATTEMPTS):
        now = _read(client, target)
        spec = fields.mapping(now, "spec")
        _refuse_others(target, target.seen(spec), values, seen)
        made = target.spec_with(spec, values)
        result = {"changed": made != spec, "conflicts": conflicts, "diff": _diff(target, spec, made)}
        if made == spec or check:
            return result
        kept = _kept(now) or {"former": None if now is None else spec, "paths": []}
        paths = [*kept["paths"], *(list(path) for path in values if list(path) not in kept["paths"])]
        notes = {cluster.UNFINISHED: json.dumps({**kept, "made": made, "paths": paths})}
        try:
            if now is None:
                client.create(target.collection, _new(target, notes, made))
            else:
                client.patch(target.path, _patch(now, notes, delta(spec, made)))
        except Conflict:
            continue
        return result
    raise ConflictError(f"{target} was changed by somebody else {ATTEMPTS} times in a row. Run this again later.")


def restore(client: KubeClient, target: Target, *, check: bool) -> dict[str, Any]:
    """Take back what C(merge) did, of a change that has not ended. Raises ConflictError and KubeError."""
    for conflicts in range(ATTEMPTS):
        now = _read(client, target)
        kept = _kept(now)
        if now is None or kept is None:
            return {"changed": False, "conflicts": conflicts, "diff": {}}
        spec = fields.mapping(now, "spec")
        paths = [tuple(path) for path in kept["paths"]]
        gone = kept["former"] is None and spec == kept["made"]
        former = {} if gone else target.undone(spec, kept["made"], kept["former"] or {}, paths)
        result = {"changed": True, "conflicts": conflicts, "diff": _diff(target, spec, former)}
        if check:
            return result
        try:
            if gone:
                client.delete(target.path, resource_version=fields.text(now, "metadata", "resourceVersion"))
            else:
                client.patch(target.path, _patch(now, {cluster.UNFINISHED: None}, delta(spec, former)))
        except Conflict:
            continue
        return result
    raise ConflictError(f"{target} was changed by somebody else {ATTEMPTS} times in a row. Run this again later.")


def settle(client: KubeClient, target: Target, *, check: bool) -> dict[str, Any]:
    """Forget what was there before: the change has ended. Raises KubeError."""
    now = _read(client, target)
    there = _kept(now) is not None
    if there and not check:
        client.patch(target.path, {"metadata": {"annotations": {cluster.UNFINISHED: None}}})
    return {"changed": there, "conflicts": 0, "diff": {}}


def delta(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """The merge patch from one mapping to another (RFC 7396); no I/O."""
    found: dict[str, Any] = {key: None for key in before if key not in after}
    for key, value in after.items():
        if key not in before:
            found[key] = value
        elif isinstance(value, Mapping) and isinstance(before[key], Mapping):
            below = delta(before[key], value)
            if below:
                found[key] = below
        elif value != before[key]:
            found[key] = value
    return found


def _read(client: KubeClient, target: Target) -> dict[str, Any] | None:
    try:
        return client.get(target.path)
    except NotFound:
        if target.kind == "Cluster":
            raise
        return None


def _refuse_others(target: Target, now: Mapping[str, Any], values: Values, seen: Values) -> None:
    for path, value in values.items():
        there = _value(now, path)
        if path in seen and there not in (seen[path], value):
            raise ConflictError(
                f"{target}: somebody set {'.'.join(path)} to {there!r} since it was read as {seen[path]!r}. Nothing is "
                "written: agree on one value, and run this again."
            )


def _value(values: Mapping[str, Any], path: values_text.Path) -> Any:
    return fields.at(values, *path)


def _kept(now: Mapping[str, Any] | None) -> dict[str, Any] | None:
    text = fields.text(now, "metadata", "annotations", cluster.UNFINISHED)
    return dict(json.loads(text)) if text else None


def _new(target: Target, notes: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": f"{helm.GROUP}/v1",
        "kind": target.kind,
        "metadata": {"name": target.name, "namespace": target.namespace, "annotations": dict(notes)},
        "spec": deepcopy(dict(spec)),
    }


def _patch(now: Mapping[str, Any], notes: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[str, Any]:
    version = fields.text(now, "metadata", "resourceVersion")
    return {"metadata": {"resourceVersion": version, "annotations": dict(notes)}, "spec": dict(spec)}


def _diff(target: Target, before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    texts = [_shown(each) for each in (before, after)]
    return {"before_header": str(target), "after_header": str(target), "before": texts[0], "after": texts[1]}


def _shown(spec: Mapping[str, Any]) -> str:
    """A spec for people, without secrets."""
    rest = {key: value for key, value in spec.items() if key != "valuesContent"}
    content = redact.yaml(fields.text(spec, "valuesContent"))
    shown = json.dumps(cluster.without_secrets(rest), indent=2, sort_keys=True) + "\n" if rest else ""
    return content + shown
