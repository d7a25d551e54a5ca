# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Values of the charts that k3s and RKE2 install: HelmChart, HelmChartConfig, and what their controller makes of them.

The controller hands Helm the values of the HelmChart, then those of the HelmChartConfig, and C(spec.set) last, which
wins over all (https://github.com/k3s-io/helm-controller, doc/helmchart.md). Helm merges mappings key by key; everything
else, lists too, replaces what was there, and null takes a default away.
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Iterator, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._distributions import yaml_text
from ansible_collections.podnet.cni.plugins.module_utils._distributions.model import Place, Problem
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields

GROUP = "helm.cattle.io"
MANAGED_MANIFEST = "managed-chart-config.yaml"
"""The file in which Rancher hands a server its values; https://github.com/rancher/rancher, pkg/capr/planner."""


@dataclass(frozen=True)
class Values:
    """Values with the problems that their texts had."""

    values: Mapping[str, Any]
    problems: tuple[Problem, ...] = ()


def deep_merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """C(base) with C(over) on top: mappings are merged key by key, anything else is replaced. Neither is changed."""
    made = deepcopy(dict(base))
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(made.get(key), Mapping):
            made[key] = deep_merge(made[key], value)
        else:
            made[key] = deepcopy(value)
    return made


def of_object(spec: Mapping[str, Any], where: str) -> Values:
    """The values in the spec of a HelmChart or HelmChartConfig: C(valuesContent), with C(values) on top of it."""
    document = yaml_text.load(fields.text(spec, "valuesContent"), where)
    return Values(deep_merge(document.mapping, fields.mapping(spec, "values")), document.problems)


def effective(chart: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """The values that Helm gets on top of the chart's own, from the specs of both objects; either may be empty."""
    values = deep_merge(of_object(chart, "").values, of_object(config, "").values)
    for name, value in fields.mapping(chart, "set").items():
        nested: Any = value
        for key in reversed(name.split(".")):
            nested = {key: nested}
        values = deep_merge(values, nested)
    return values


def flat(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Values by their dotted names, in order; a list is one value, an empty mapping none."""
    for key, value in values.items():
        name = f"{above}.{key}" if above else str(key)
        if isinstance(value, Mapping):
            yield from flat(value, name)
        else:
            yield name, value


def title(item: Mapping[str, Any], kind: str) -> str:
    """An object as people name it."""
    return f"{kind} {fields.text(item, 'namespace')}/{fields.text(item, 'name')}"


def source_file(item: Mapping[str, Any], addons: list[Mapping[str, Any]]) -> str:
    """The file on a server that a server applied this object from; empty for one that was made through the API.

    The annotation C(objectset.rio.cattle.io/owner-name) names the Addon, whose C(spec.source) is the path.
    """
    owner = fields.text(item, "annotations", "objectset.rio.cattle.io/owner-name")
    if not owner:
        return ""
    found = [fields.text(addon, "source") for addon in addons if fields.text(addon, "name") == owner]
    return found[0] if found else f"{owner}.yaml"


def is_of_rancher(item: Mapping[str, Any], addons: list[Mapping[str, Any]]) -> bool:
    """Whether Rancher wrote a HelmChartConfig: it puts the id of its cluster among the values."""
    values = of_object(fields.mapping(item, "spec"), "").values
    return bool(fields.text(values, "global", "cattle", "clusterId")) or "/manifests/rancher/" in source_file(
        item, addons
    )


def configs_in(text: str, path: str) -> tuple[list[dict[str, Any]], list[Problem]]:
    """The HelmChartConfigs in a manifest of a server, in the shape of the facts of a cluster, and its problems."""
    found: list[dict[str, Any]] = []
    problems: list[Problem] = []
    for line, part in documents(text):
        document = yaml_text.load(part, path)
        problems += [
            Problem(each.kind, Place(path, each.place.line + line), each.text, each.remedy)
            for each in document.problems
        ]
        item = document.mapping
        if item.get("kind") == "HelmChartConfig":
            found.append(
                {
                    "name": fields.text(item, "metadata", "name"),
                    "namespace": fields.text(item, "metadata", "namespace") or "default",
                    "spec": fields.mapping(item, "spec"),
                    "file": path,
                }
            )
    return found, problems


def documents(text: str) -> Iterator[tuple[int, str]]:
    """The documents of a manifest, each with the number of lines before it."""
    part: list[str] = []
    before = 0
    for number, line in enumerate(text.split("\n"), 1):
        if line.rstrip() == "---" or line.startswith("--- "):
            yield before, "\n".join(part)
            part, before = [], number
        else:
            part.append(line)
    yield before, "\n".join(part)
