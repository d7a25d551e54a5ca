# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why a workload is not rolled out: its pods, their nodes, events, and the control plane.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Collection, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._kube import fields, pods, rollout, selectors
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import Forbidden, NotFound
from ansible_collections.podnet.cni.plugins.module_utils._kube.times import parse_time

HASH = "controller-revision-hash"
STALE = 60.0
"""Seconds without a renewal. A leader renews every 2 s by default (kubernetes v1.36 component-base config/v1alpha1)."""

_NODES_ASKED = 10
"""So many Nodes are asked for by name; for more of them one list of all is cheaper."""

Obj = Mapping[str, Any]


@dataclass(frozen=True)
class Cause:
    """What is wrong with an object. C(node) is the node it is on, empty for none."""

    object: str
    problem: str
    node: str = ""


@dataclass(frozen=True)
class Shortage:
    """Why a workload lacks pods. C(excused) names the nodes that lack them, when they are all that is lacking.

    C(remedy) says what helps where waiting does not, because such nodes keep others from having theirs.
    """

    causes: tuple[Cause, ...] = ()
    excused: tuple[str, ...] = ()
    remedy: str = ""


def leader(client: KubeClient, component: str) -> str:
    """Why a component of the control plane may not be at work; empty when it is, or when that cannot be read.

    C(component) is kube-controller-manager or kube-scheduler, which hold a Lease of that name in kube-system.
    """
    path = f"/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/{component}"
    try:
        spec = client.get(path).get("spec") or {}
    except Forbidden:
        return ""
    except NotFound:
        return f"there is no Lease kube-system/{component}: it never ran here, or runs without leader election"
    renewed = parse_time(spec.get("renewTime"))
    age = time.time() - renewed.timestamp() if renewed is not None else None
    if age is not None and age < STALE:
        return ""
    ago = f"{age:.0f} s ago" if age is not None else "never"
    holder = spec.get("holderIdentity") or "nobody"
    return f"its Lease kube-system/{component} was renewed {ago} (by {holder}): it does not run"


def shortage(client: KubeClient, workload: Obj, left_out: Collection[str] = ()) -> Shortage:
    """Why a Deployment, StatefulSet or DaemonSet object lacks pods.

    For a DaemonSet, nodes that do not report any more, and those of C(left_out), are excused: their pods can neither
    start nor end. Where these keep the controller from replacing any other pod, there is a C(remedy) and no excuse.
    What may not be read is not among the causes. Raises KubeError.
    """
    metadata, status = workload["metadata"], workload.get("status") or {}
    unseen = int(status.get("observedGeneration") or 0) < int(metadata.get("generation") or 0)
    try:
        found = _pods(client, workload)
    except Forbidden:
        return Shortage()
    is_daemonset = workload.get("kind") == "DaemonSet"
    old = _outdated(client, workload, found) if is_daemonset else set()
    lacking = [(pod, _why(pod, old)) for pod in found]
    lacking = [(pod, text) for pod, text in lacking if text]
    nodes = _nodes(client, [_node_of(pod) for pod, _text in lacking])
    causes, silent, older = [], set(left_out), set()
    for pod, text in lacking:
        name = _node_of(pod)
        if not pods.text(pod):
            older.add(name)
        place, more = (f" on {name}" if name else ""), ""
        if name in nodes:
            node = nodes[name]
            said = pods.node_problem(node) if node is not None else "gone"
            more = f"; its Node is {said}" if said else ""
            if pods.is_silent(node):
                silent.add(name)
        causes.append(Cause(f"Pod {metadata['namespace']}/{pod['metadata']['name']}{place}", f"{text}{more}", name))
    waiting = [cause for cause in causes if cause.node not in silent]
    if unseen:
        return Shortage((*causes, *_absent(client, "kube-controller-manager")))
    if is_daemonset:
        wanted = int(status.get("desiredNumberScheduled") or 0)
        good = len({_node_of(pod) for pod in found} - {cause.node for cause in causes} - silent - {""})
        silent |= _silent_without_pod(client, workload, found) if good + len(silent) < wanted and not waiting else set()
        if not waiting and good + len(silent) >= wanted:
            return Shortage(tuple(causes), tuple(sorted(silent)))
        remedy = _standstill(workload, silent - set(left_out)) if {cause.node for cause in waiting} <= older else ""
        if remedy:
            return Shortage(tuple(cause for cause in causes if cause.node in silent), remedy=remedy)
    if len(found) < _wanted(workload):
        causes += _not_created(client, workload)
    if any(not _node_of(pod) and not pods.condition(pod, "PodScheduled") for pod, _text in lacking):
        causes += _absent(client, "kube-scheduler")
    return Shortage(tuple(causes))


def _standstill(workload: Obj, silent: Collection[str]) -> str:
    """What helps a DaemonSet whose controller takes no further pod away; empty where it continues.

    The pods of silent nodes count among those that may be away at once (kubernetes v1.36
    pkg/controller/daemon/update.go, rollingUpdate).
    """
    at_once = rollout.taken_at_once(workload)
    if not 0 < at_once <= len(silent):
        return ""
    names = ", ".join(sorted(silent))
    return (
        f"No other pod is replaced meanwhile, because {at_once} may be away at once. Bring {names} back or delete the "
        "Node, let more be away at once (updateStrategy.rollingUpdate.maxUnavailable), or update wave by wave."
    )


def events(client: KubeClient, namespace: str, uid: str) -> list[dict[str, Any]]:
    """The events of an object, the oldest first. Raises Forbidden for who may not list them."""
    query = {"fieldSelector": f"involvedObject.uid={uid}"}
    found = client.list(f"/api/v1/namespaces/{namespace}/events", query).items
    return sorted(found, key=lambda item: str(item.get("lastTimestamp") or item.get("eventTime") or ""))


def _pods(client: KubeClient, workload: Obj) -> list[dict[str, Any]]:
    namespace, terms = workload["metadata"]["namespace"], _selector(workload)
    return client.list(f"/api/v1/namespaces/{namespace}/pods", {"labelSelector": terms}).items if terms else []


def _selector(workload: Obj) -> str:
    return str(selectors.parse(fields.at(workload, "spec", "selector"), "spec.selector"))


def _outdated(client: KubeClient, workload: Obj, found: Sequence[Obj]) -> set[str]:
    """The hashes of older templates, of a DaemonSet whose controller replaces their pods."""
    hashes = {_hash(pod) for pod in found}
    updated = fields.number(workload, "status", "updatedNumberScheduled")
    on_delete = (fields.at(workload["spec"], "updateStrategy", "type")) == "OnDelete"
    if on_delete or updated >= fields.number(workload, "status", "desiredNumberScheduled"):
        return set()
    path = f"/apis/apps/v1/namespaces/{workload['metadata']['namespace']}/controllerrevisions"
    try:
        revisions = client.list(path, {"labelSelector": _selector(workload)}).items
    except Forbidden:
        return set()
    newest = max(revisions, key=lambda item: int(item.get("revision") or 0), default=None)
    return hashes - {_hash(newest)} if newest is not None else set()


def _hash(item: Obj) -> str:
    return fields.text(item["metadata"], "labels", HASH)


def _why(pod: Obj, old: Collection[str]) -> str:
    return pods.text(pod) or ("it is of an older template" if old and _hash(pod) in old else "")


def _node_of(pod: Obj) -> str:
    return fields.text(pod, "spec", "nodeName")


def _nodes(client: KubeClient, names: Sequence[str]) -> dict[str, Obj | None]:
    """Nodes by name, None for one that is gone; none where they may not be read."""
    wanted = sorted(set(names) - {""})
    try:
        if len(wanted) > _NODES_ASKED:
            every = {item["metadata"]["name"]: item for item in client.list("/api/v1/nodes").items}
            return {name: every.get(name) for name in wanted}
        return {name: _node(client, name) for name in wanted}
    except Forbidden:
        return {}


def _node(client: KubeClient, name: str) -> Obj | None:
    try:
        return client.get(f"/api/v1/nodes/{name}")
    except NotFound:
        return None


def _silent_without_pod(client: KubeClient, workload: Obj, found: Sequence[Obj]) -> set[str]:
    """Nodes that do not report any more, that a DaemonSet selects, and that have none of its pods."""
    wanted = selectors.from_labels(fields.mapping(workload, "spec", "template", "spec", "nodeSelector"))
    there = {_node_of(pod) for pod in found}
    try:
        nodes = client.list("/api/v1/nodes").items
    except Forbidden:
        return set()
    return {
        str(node["metadata"]["name"])
        for node in nodes
        if pods.is_silent(node)
        and node["metadata"]["name"] not in there
        and wanted.matches(fields.mapping(node, "metadata", "labels"))
    }


def _wanted(workload: Obj) -> int:
    if workload.get("kind") == "DaemonSet":
        return fields.number(workload, "status", "desiredNumberScheduled")
    replicas = fields.at(workload, "spec", "replicas")
    return 1 if replicas is None else int(replicas)


def _not_created(client: KubeClient, workload: Obj) -> list[Cause]:
    """Why its controller makes no pods, as its newest event says it; that it does not run, where there is none."""
    metadata = workload["metadata"]
    try:
        said = [
            each for each in events(client, metadata["namespace"], metadata["uid"]) if each.get("type") == "Warning"
        ]
    except Forbidden:
        said = []
    if said:
        return [
            Cause(f"{workload.get('kind')} {metadata['namespace']}/{metadata['name']}", str(said[-1].get("message")))
        ]
    return _absent(client, "kube-controller-manager")


def _absent(client: KubeClient, component: str) -> list[Cause]:
    text = leader(client, component)
    return [Cause(component, text)] if text else []
