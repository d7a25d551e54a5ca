# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which nodes several DaemonSets are meant for: one for each architecture is one flannel, anything else is two.

Private to podnet.cni: may change in any release.

Older manifests have a DaemonSet for each architecture, told apart by node affinity or node selector (flannel v0.11.0
Documentation/kube-flannel.yml); the one for Windows is sigs.k8s.io/sig-windows-tools hostprocess/flannel.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any, Iterator, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError

Obj = Mapping[str, Any]
_BETA = "beta."
_OS = "kubernetes.io/os"
_ARCHITECTURE = "kubernetes.io/arch"


def of_windows(daemonset: Obj) -> bool:
    """Whether its pods run on Windows nodes only."""
    terms = list(_terms(daemonset))
    return all(term.get(_OS) == frozenset(("windows",)) for term in terms)


def of_some(daemonset: Obj) -> bool:
    """Whether its pods run on some architectures only, so that there may have been others beside it."""
    return any(_ARCHITECTURE in term for term in _terms(daemonset))


def check(daemonsets: Sequence[Obj]) -> None:
    """Raise ConflictError when two DaemonSets may put a pod on the same node."""
    for one, other in combinations(daemonsets, 2):
        if not _apart(one, other):
            names = " and ".join(f"{item['metadata']['namespace']}/{item['metadata']['name']}" for item in (one, other))
            raise ConflictError(
                f"The DaemonSets {names} both run flannel, and nothing in their node selectors and affinities keeps "
                "them off the same node, so they are not one flannel with a DaemonSet for each architecture. Delete "
                "the one that is not in use, then run again."
            )


def _apart(one: Obj, other: Obj) -> bool:
    return all(
        any(key in there and not values & there[key] for key, values in here.items())
        for here in _terms(one)
        for there in _terms(other)
    )


def _terms(daemonset: Obj) -> Iterator[dict[str, frozenset[str]]]:
    """The values that node labels need to have, once for each alternative of the affinity."""
    pod = ((daemonset.get("spec") or {}).get("template") or {}).get("spec") or {}
    selected = {_key(key): frozenset((str(value),)) for key, value in (pod.get("nodeSelector") or {}).items()}
    affinity = ((pod.get("affinity") or {}).get("nodeAffinity")) or {}
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
