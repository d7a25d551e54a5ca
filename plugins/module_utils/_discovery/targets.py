# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which nodes DaemonSets are meant for: two that share none can be parts of one installation.

Private to podnet.cni: may change in any release.

Older manifests of flannel have a DaemonSet for each architecture, told apart by node affinity or node selector
(flannel v0.11.0 Documentation/kube-flannel.yml); so do those with one for Windows.
"""

from __future__ import annotations

from typing import Any, Iterator, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._kube import fields

Obj = Mapping[str, Any]
_BETA = "beta."


def installations(daemonsets: Sequence[Obj]) -> list[list[Obj]]:
    """DaemonSets of one plugin and namespace, split into those that may run side by side on the same nodes.

    A DaemonSet that runs nowhere is not an installation of its own beside one that does.
    """
    groups: list[list[Obj]] = []
    for item in daemonsets:
        home = next((group for group in groups if all(apart(item, other) for other in group)), None)
        if home is None and groups and _runs_nowhere(item):
            home = groups[0]
        if home is None:
            groups.append([item])
        else:
            home.append(item)
    return groups


def _runs_nowhere(daemonset: Obj) -> bool:
    status = daemonset.get("status") or {}
    return not status.get("desiredNumberScheduled")


def apart(one: Obj, other: Obj) -> bool:
    return all(
        any(key in there and not values & there[key] for key, values in here.items())
        for here in terms(one)
        for there in terms(other)
    )


def terms(daemonset: Obj) -> Iterator[dict[str, frozenset[str]]]:
    """The values that node labels need to have, once for each alternative of the affinity."""
    pod = fields.mapping(daemonset, "spec", "template", "spec")
    selected = {_key(key): frozenset((str(value),)) for key, value in (pod.get("nodeSelector") or {}).items()}
    affinity = fields.mapping(pod, "affinity", "nodeAffinity")
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    for term in required.get("nodeSelectorTerms") or [{}]:
        found = dict(selected)
        for rule in term.get("matchExpressions") or []:
            if rule.get("operator") == "In":
                key, values = _key(rule["key"]), frozenset(map(str, rule.get("values") or []))
                found[key] = found[key] & values if key in found else values
        yield found


def _key(label: str) -> str:
    return label[len(_BETA) :] if label.startswith(_BETA) else label
