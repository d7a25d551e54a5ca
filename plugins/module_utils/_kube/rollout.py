# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a workload's pods are all of its newest template and available, and what is missing.

Private to podnet.cni: may change in any release.

The rules are those of kubectl rollout status (k8s.io/kubectl pkg/polymorphichelpers/rollout_status.go).
"""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._kube import fields

KINDS = ("Deployment", "StatefulSet", "DaemonSet")


def rolled_out(item: Mapping[str, Any]) -> bool:
    """Whether the rollout of a Deployment, StatefulSet or DaemonSet object is complete."""
    return not missing(item)


def missing(item: Mapping[str, Any]) -> str:
    """What the rollout of a Deployment, StatefulSet or DaemonSet object lacks, empty when it is complete."""
    metadata, spec, status = item.get("metadata") or {}, item.get("spec") or {}, item.get("status") or {}

    def count(name: str) -> int:
        return int(status.get(name) or 0)

    if count("observedGeneration") < int(metadata.get("generation") or 0):
        return "its controller has not seen its newest version yet"
    if item.get("kind") == "DaemonSet":
        wanted, updated, good = count("desiredNumberScheduled"), "updatedNumberScheduled", "numberAvailable"
    else:
        replicas = spec.get("replicas")
        wanted, updated = 1 if replicas is None else int(replicas), "updatedReplicas"
        good = "readyReplicas" if item.get("kind") == "StatefulSet" else "availableReplicas"
    if count(updated) < wanted and not _on_delete(item):
        return f"{count(updated)} of {wanted} pods are of its newest template"
    if count(good) < wanted:
        return f"{count(good)} of {wanted} pods are {'ready' if good == 'readyReplicas' else 'available'}"
    if item.get("kind") != "DaemonSet" and count("replicas") > wanted:
        return f"{count('replicas') - wanted} old pods are still there"
    return ""


def taken_at_once(item: Mapping[str, Any]) -> int:
    """How many available pods a rolling update of a Deployment, StatefulSet or DaemonSet object may lack at a time.

    Rounding and defaults are those of k8s.io/api apps/v1 types.go: maxUnavailable of a Deployment is rounded down and
    25% by default, of the others rounded up and 1.
    """
    spec, status = item.get("spec") or {}, item.get("status") or {}
    replicas = spec.get("replicas")
    total = 1 if replicas is None else int(replicas)
    if item.get("kind") == "DaemonSet":
        total = int(status.get("desiredNumberScheduled") or 0)
    if item.get("kind") != "Deployment":
        given = fields.mapping(spec, "updateStrategy", "rollingUpdate")
        return min(total, _share(given.get("maxUnavailable", 1), total, up=True))
    strategy = spec.get("strategy") or {}
    if strategy.get("type") == "Recreate":
        return total
    given = strategy.get("rollingUpdate") or {}
    taken = _share(given.get("maxUnavailable", "25%"), total, up=False)
    # A Deployment that could neither take a pod away nor add one would stand still, so it takes one away.
    least = 0 if _share(given.get("maxSurge", "25%"), total, up=True) else 1
    return min(total, max(taken, least))


def _share(value: Any, total: int, *, up: bool) -> int:
    """A number of pods, or a percentage of all of them, as a number."""
    text = str(value)
    if not text.endswith("%"):
        return int(text)
    product = int(text[:-1]) * total
    return -(-product // 100) if up else product // 100


def outdated(item: Mapping[str, Any]) -> str:
    """What a DaemonSet leaves to its owner: pods of an older template under the update strategy OnDelete.

    Nobody but who deletes those pods replaces them (https://kubernetes.io/docs/tasks/manage-daemon/update-daemon-set/).
    """
    status = item.get("status") or {}
    wanted, updated = (int(status.get(name) or 0) for name in ("desiredNumberScheduled", "updatedNumberScheduled"))
    if item.get("kind") != "DaemonSet" or not _on_delete(item) or updated >= wanted:
        return ""
    return (
        f"{wanted - updated} of {wanted} pods are of an older template and stay so, because the update strategy is "
        "OnDelete. Restart them wave by wave with daemonset_rollout (role flannel: flannel_rollout)."
    )


def _on_delete(item: Mapping[str, Any]) -> bool:
    """Whether its controller never replaces a pod; for a DaemonSet and a StatefulSet."""
    return fields.at(item, "spec", "updateStrategy", "type") == "OnDelete"
