# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pods moved away from a Node before its network is changed, and the Node given back afterwards.

One call looks, does what can be done now and ends: whoever drives it repeats it until nothing is left.
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient, update_with_retry
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import Expired, KubeError, NotFound

MARK = "podnet.cni/cordoned"
"""Annotation of a Node that was made unschedulable here, so that nobody else's is given back."""

Obj = Mapping[str, Any]


def drain(client: KubeClient, name: str, *, force: bool, check: bool) -> dict[str, Any]:
    """Make a Node unschedulable and ask for the eviction of its pods; C(left) names those that are still there.

    Pods of DaemonSets and of the kubelet itself stay. Raises PodnetError for pods that nobody makes anew and for pods
    with data of their own on the node, unless C(force) allows to lose them, before anything is changed.
    """
    path = f"/api/v1/nodes/{name}"
    pods = client.list("/api/v1/pods", {"fieldSelector": f"spec.nodeName={name}"}).items
    moving = [pod for pod in pods if moves(pod)]
    lost = sorted(f"{title(pod)} ({why})" for pod in moving for why in [is_lost(pod)] if why)
    if lost and not force:
        raise PodnetError(
            f"Node {name} is not drained: {', '.join(lost)}. Move them, or set force, with which they are lost."
        )
    left = [title(pod) for pod in moving]
    if check:
        return {"changed": not fields.at(client.get(path), "spec", "unschedulable"), "left": left, "waits": []}
    _node, changed = update_with_retry(client, path, cordoned)
    waits = []
    for pod in moving:
        if fields.text(pod, "metadata", "deletionTimestamp"):
            continue
        said = _evict(client, pod)
        waits += [said] if said else []
        changed = True
    return {"changed": changed, "left": left, "waits": waits, **_told(name, left, waits)}


def _told(name: str, left: Sequence[str], waits: Sequence[str]) -> dict[str, str]:
    """What to tell whoever waits in vain."""
    reasons = {each.partition(": ")[0]: each for each in waits}
    said = "; ".join(reasons.get(each, each) for each in left)
    return {"msg": f"Pods are still on {name}: {said}"} if left else {}


def uncordon(client: KubeClient, name: str, *, check: bool) -> dict[str, Any]:
    """Let pods on a Node again, where it was C(drain) that kept them away. A Node that is gone is left alone."""
    path = f"/api/v1/nodes/{name}"
    if check:
        return {"changed": MARK in fields.mapping(client.get(path), "metadata", "annotations"), "left": [], "waits": []}
    _node, changed = update_with_retry(client, path, released)
    return {"changed": changed, "left": [], "waits": []}


def cordoned(node: Obj) -> dict[str, Any] | None:
    """The patch that makes a Node unschedulable; None where it is so already. No I/O."""
    if fields.at(node, "spec", "unschedulable") is True:
        return None
    return {"metadata": {"annotations": {MARK: "true"}}, "spec": {"unschedulable": True}}


def released(node: Obj) -> dict[str, Any] | None:
    """The patch that takes C(cordoned) back; None where that was not ours. No I/O."""
    if MARK not in fields.mapping(node, "metadata", "annotations"):
        return None
    return {"metadata": {"annotations": {MARK: None}}, "spec": {"unschedulable": None}}


def moves(pod: Obj) -> bool:
    """Whether a pod leaves a Node that is drained: not one of a DaemonSet, of the kubelet, or ended. No I/O."""
    notes = fields.mapping(pod, "metadata", "annotations")
    kinds = [fields.text(owner, "kind") for owner in fields.mappings(pod, "metadata", "ownerReferences")]
    ended = fields.text(pod, "status", "phase") in ("Succeeded", "Failed")
    return "kubernetes.io/config.mirror" not in notes and "DaemonSet" not in kinds and not ended


def is_lost(pod: Obj) -> str:
    """Why something of a pod is lost when it leaves; empty for nothing. No I/O."""
    if not fields.sequence(pod, "metadata", "ownerReferences"):
        return "nobody makes it anew"
    if any("emptyDir" in volume for volume in fields.mappings(pod, "spec", "volumes")):
        return "it has data in an emptyDir"
    return ""


def title(pod: Obj) -> str:
    """A pod as people name it."""
    return f"{fields.text(pod, 'metadata', 'namespace')}/{fields.text(pod, 'metadata', 'name')}"


def _evict(client: KubeClient, pod: Obj) -> str:
    """Ask for the eviction of a pod; why it has to wait, empty where it does not."""
    metadata = {name: fields.text(pod, "metadata", name) for name in ("name", "namespace")}
    path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/eviction"
    try:
        client.create(path, {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata})
    except (NotFound, Expired):
        return ""
    except KubeError as error:
        if error.status != 429:
            raise
        return f"{title(pod)}: a PodDisruptionBudget does not allow it now"
    return ""
