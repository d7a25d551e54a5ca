# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the Nodes say about the network, whichever plugin it is. Private to podnet.cni: may change in any release."""

from __future__ import annotations

import json
from typing import Any, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._discovery import objects
from ansible_collections.podnet.cni.plugins.module_utils._discovery.objects import Obj
from ansible_collections.podnet.cni.plugins.module_utils._discovery.record import Record
from ansible_collections.podnet.cni.plugins.module_utils._discovery.snapshot import Snapshot
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields

MAX_SAMPLE = 20


def condition(node: Obj, kind: str) -> tuple[str, str]:
    """Status and reason of a Node condition; empty when the Node does not have it."""
    for item in fields.sequence(node, "status", "conditions"):
        if fields.text(item, "type") == kind:
            return fields.text(item, "status"), fields.text(item, "reason")
    return "", ""


def pod_cidrs(node: Obj) -> list[str]:
    """C(spec.podCIDRs), or C(spec.podCIDR) of clusters older than dual-stack."""
    given = [item for item in fields.sequence(node, "spec", "podCIDRs") if isinstance(item, str)]
    single = fields.text(node, "spec", "podCIDR")
    return given or ([single] if single else [])


def kubelet_version(node: Obj) -> str:
    return fields.text(node, "status", "nodeInfo", "kubeletVersion")


def sample_of(node: Obj) -> dict[str, Any]:
    """The record's view of one Node; the flannel fields are filled in by flannel's own code."""
    return {
        "name": objects.name(node),
        "os": fields.text(node, "status", "nodeInfo", "operatingSystem") or None,
        "arch": fields.text(node, "status", "nodeInfo", "architecture") or None,
        "kubelet_version": kubelet_version(node) or None,
        "pod_cidrs": pod_cidrs(node),
        "public_ip": None,
        "backend_type": None,
        "vni": None,
        "condition_reason": condition(node, "NetworkUnavailable")[1] or None,
    }


def summarise(record: Record, snapshot: Snapshot, prefixes: Sequence[str]) -> None:
    """Fill the numbers; the sample too, unless the recogniser has."""
    summary = record.nodes
    summary.total = snapshot.nodes_total
    summary.read = len(snapshot.nodes)
    for node in snapshot.nodes:
        summary.with_pod_cidr += bool(pod_cidrs(node))
        summary.ready += condition(node, "Ready")[0] == "True"
        summary.network_unavailable += condition(node, "NetworkUnavailable")[0] == "True"
        summary.annotated += any(key.startswith(tuple(prefixes)) for key in objects.notes(node)) if prefixes else 0
    if not summary.sample:
        summary.sample = [sample_of(node) for node in snapshot.nodes[:MAX_SAMPLE]]


def server_arguments(all_nodes: Sequence[Obj]) -> list[str]:
    """The command line of a k3s or rke2 server, from the first Node that carries one; empty when none does."""
    return server(all_nodes)[1]


def server(all_nodes: Sequence[Obj]) -> tuple[str, list[str]]:
    """The first Node that carries the command line of a k3s or rke2 server, and that line; empty when none does."""
    for node in all_nodes:
        notes = objects.notes(node)
        for key in ("k3s.io/node-args", "rke2.io/node-args"):
            try:
                words = json.loads(notes.get(key, "[]"))
            except ValueError:
                continue
            if isinstance(words, list) and words and words[0] == "server":
                return objects.name(node), [word for word in words if isinstance(word, str)]
    return "", []


def embeds_network(node: Obj) -> bool:
    """Whether the Node runs a Kubernetes whose servers may carry the network's settings in their arguments."""
    return any(mark in kubelet_version(node) for mark in ("+k3s", "+rke2"))


# Label of a Node -> the distribution whose tools set it.
_NODE_LABELS: Mapping[str, str] = {
    "minikube.k8s.io/name": "minikube",
    "kubernetes.azure.com/cluster": "aks",
    "eks.amazonaws.com/nodegroup": "eks",
    "cloud.google.com/gke-nodepool": "gke",
    "kops.k8s.io/instancegroup": "kops",
}
# Part of the kubelet's version -> the distribution that builds it.
_VERSION_MARKS: Mapping[str, str] = {"+k3s": "k3s", "+rke2": "rke2", "-eks-": "eks", "-gke.": "gke"}


def distribution(snapshot: Snapshot) -> str | None:
    """Whose Kubernetes this is, from the marks it leaves on Nodes and in the API; None when none is known."""
    if "config.openshift.io" in snapshot.groups:
        return "openshift"
    if "route.openshift.io" in snapshot.groups:
        # MicroShift serves Routes, but has no cluster operators and so none of their configuration.
        return "microshift"
    return next(filter(None, map(mark_of, snapshot.nodes)), None)


def mark_of(node: Obj) -> str | None:
    version = kubelet_version(node)
    marks = [name for mark, name in _VERSION_MARKS.items() if mark in version]
    marks += [name for label, name in _NODE_LABELS.items() if label in objects.labels(node)]
    if fields.text(node, "spec", "providerID").startswith("kind://"):
        marks.append("kind")
    if fields.text(node, "status", "nodeInfo", "osImage").startswith("Talos"):
        marks.append("talos")
    if any(key.startswith("rke.cattle.io/") for key in objects.notes(node)):
        marks.append("rke1")
    return marks[0] if marks else None
