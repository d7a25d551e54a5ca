# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Existing pods: what to patch live, what needs a new sandbox and whose pods those are.

Private to podnet.cni: may change in any release.

Only keys that the record of a pod names, with the value it was recorded for, are ours. A key that somebody edited since
is given up and dropped from the record.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._kube import fields
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn import catalogue, decision, lint
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn.config import Config
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn.decision import Namespace

PROTECTION = "port_security"
"""The annotation whose loss makes a pod less protected."""

UNPROTECT_WORD = "unprotect"


@dataclass(frozen=True)
class Drift:
    """A value that a running pod cannot take over: C(have) and C(want) are None where there is no value."""

    key: str
    have: str | None
    want: str | None
    acts: str


@dataclass(frozen=True)
class PodPlan:
    """What to do about one pod.

    C(changes) maps an annotation to its new value, None to remove it; C(before) holds the old ones. C(drift) needs a
    new pod. C(held) maps keys that the pod keeps, although its namespace does not hand them out (any more), to the
    reason. C(owner) is (API version, kind, name) of the controlling owner, empty for a bare pod.
    """

    namespace: str
    name: str
    uid: str
    resource_version: str
    owner: tuple[str, str, str]
    labels: Mapping[str, str] = field(default_factory=dict)
    changes: Mapping[str, str | None] = field(default_factory=dict)
    before: Mapping[str, str] = field(default_factory=dict)
    drift: tuple[Drift, ...] = ()
    held: Mapping[str, str] = field(default_factory=dict)

    def patch(self) -> dict[str, Any]:
        """The JSON merge patch (RFC 7386), good for exactly this version of this pod."""
        metadata = {"uid": self.uid, "resourceVersion": self.resource_version, "annotations": dict(self.changes)}
        return {"metadata": metadata}

    def actions(self) -> list[str]:
        """The patch in words; the record is not worth mentioning."""
        return [
            f"{'remove' if value is None else 'set'} {key} {'from' if value is None else 'on'} pod "
            f"{self.namespace}/{self.name}"
            for key, value in sorted(self.changes.items())
            if catalogue.find(key) is not None
        ]


def waits_for_network(pod: Mapping[str, Any]) -> bool:
    """Whether CNI ADD has not succeeded yet, so that its next try reads what is written now.

    The condition is that of Kubernetes 1.29 (k8s.io/api core/v1 PodReadyToStartContainers).
    """
    status = pod.get("status") or {}
    if status.get("phase") != "Pending" or status.get("podIP") or status.get("podIPs"):
        return False
    conditions = {item.get("type"): item.get("status") for item in status.get("conditions") or []}
    return conditions.get("PodReadyToStartContainers") != "True"


def is_over(pod: Mapping[str, Any]) -> bool:
    """Whether a pod has ended or is about to."""
    metadata = pod.get("metadata") or {}
    return bool(metadata.get("deletionTimestamp")) or fields.at(pod, "status", "phase") in ("Succeeded", "Failed")


def owner_of(pod: Mapping[str, Any]) -> tuple[str, str, str]:
    """API version, kind and name of the controlling owner, empty for an object that has none."""
    for reference in fields.sequence(pod, "metadata", "ownerReferences"):
        if reference.get("controller"):
            return str(reference.get("apiVersion")), str(reference.get("kind")), str(reference.get("name"))
    return "", "", ""


def _why_kept(key: str, have: str | None, decided: decision.Decision, unprotect: bool) -> str:
    """Why a pod keeps an inherited value that its namespace does not hand out (any more), empty when it loses it.

    Neither a namespace that leaves nor a typing error in its value says that running pods shall lose what they have.
    """
    if decided.skipped:
        return f"{decided.skipped}; state=absent takes it away"
    if key in decided.unusable:
        return f"the namespace's value is unusable: {lint.why_unusable(key, decided.unusable[key])}"
    parts = catalogue.split_key(key)
    if parts is not None and parts[1] == PROTECTION and have == "true" and not unprotect:
        return f"port security goes only by the word {UNPROTECT_WORD}"
    return ""


def plan_pod(
    pod: Mapping[str, Any], namespace: Namespace, config: Config, *, unprotect: bool = False, withdraw: bool = False
) -> PodPlan | None:
    """What to do about one pod, None when there is nothing.

    C(unprotect) is the word that lets port security be taken from a pod whose namespace says nothing any more;
    C(withdraw) takes everything away that was inherited. A pod keeps what it has while its namespace takes no part, and
    a key while the namespace's value for it is unusable.
    """
    if is_over(pod):
        return None
    metadata = pod.get("metadata") or {}
    annotations = decision.annotations_of(pod)
    ours = decision.ours(annotations, config)
    decided = decision.Decision() if withdraw else decision.decide(pod, namespace, config, ours)
    wanted = decided.inherited
    waiting = waits_for_network(pod)
    entries = dict(ours)
    changes: dict[str, str | None] = {}
    drift: list[Drift] = []
    held: dict[str, str] = {}
    for key in sorted({*wanted, *ours}):
        have, want = annotations.get(key), wanted.get(key)
        annotation = catalogue.find(key)
        if have == want or annotation is None:
            continue
        kept = "" if want is not None else _why_kept(key, have, decided, unprotect)
        if kept:
            held[key] = kept
        elif annotation.acts == catalogue.LIVE or waiting or withdraw:
            changes[key] = want
            entries.pop(key, None)
            if want is not None:
                entries[key] = decision.digest(want)
        else:
            drift.append(Drift(key, have, want, annotation.acts))
    before = decision.read_record(annotations.get(config.record_key))
    if entries != before:
        changes[config.record_key] = decision.write_record(entries) if entries else None
    elif config.record_key in annotations and not entries:
        changes[config.record_key] = None
    if not changes and not drift and not held:
        return None
    return PodPlan(
        namespace.name,
        str(metadata.get("name")),
        str(metadata.get("uid")),
        str(metadata.get("resourceVersion")),
        owner_of(pod),
        decision.texts(metadata.get("labels")),
        changes,
        {key: annotations[key] for key in changes if key in annotations},
        tuple(drift),
        held,
    )
