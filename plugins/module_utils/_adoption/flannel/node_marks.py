# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What flanneld wrote to Node objects, taken back after flannel was removed.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Collection, Iterator, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._kube import pods
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import NotFound

WRITTEN = ("backend-data", "backend-type", "backend-v6-data", "kube-subnet-manager", "public-ip", "public-ipv6")
"""Annotations that flanneld writes; others with its prefix are an administrator's (flannel v0.28.9 pkg/subnet/kube)."""

CONDITION = "NetworkUnavailable"
REASONS = ("FlannelIsUp", "FlannelIsDown")
REMOVED = "FlannelIsRemoved"


@dataclass(frozen=True)
class Change:
    """What is to be done to a Node: annotations to remove, and the condition as a strategic merge patch has it."""

    name: str
    annotations: tuple[str, ...]
    condition: Mapping[str, Any] | None
    actions: tuple[str, ...]


def plan(nodes: list[dict[str, Any]], cleaned: Collection[str], prefix: str) -> Iterator[Change]:
    """The Nodes that differ.

    Where flannel's CNI configuration is gone (C(cleaned)) the condition goes: the kubelet itself says that there is no
    network. Elsewhere pods would be started and fail, so there the condition becomes True, which keeps pods away until
    another network says otherwise. A condition that another network wrote is left alone.
    """
    for node in nodes:
        name = str(node["metadata"]["name"])
        held = node["metadata"].get("annotations") or {}
        gone = tuple(f"{prefix}/{key}" for key in WRITTEN if f"{prefix}/{key}" in held)
        now = pods.condition(node, CONDITION)
        condition: dict[str, Any] | None = None
        said = [f"remove {len(gone)} annotations of Node {name}"] if gone else []
        if name in cleaned and now.get("reason") in (*REASONS, REMOVED):
            condition = {"type": CONDITION, "$patch": "delete"}
            said.append(f"remove condition {CONDITION} of Node {name}")
        elif name not in cleaned and now.get("reason") in REASONS:
            message = "flannel was removed from the cluster; its CNI configuration is still on this node"
            condition = {"type": CONDITION, "status": "True", "reason": REMOVED, "message": message}
            said.append(f"set condition {CONDITION} of Node {name} to True")
        if said:
            yield Change(name, gone, condition, tuple(said))


def apply(client: KubeClient, change: Change) -> None:
    """Write one Node; nothing when it is gone meanwhile. Raises KubeError."""
    path = f"/api/v1/nodes/{change.name}"
    try:
        if change.annotations:
            client.patch(path, {"metadata": {"annotations": dict.fromkeys(change.annotations)}}, "merge")
        if change.condition:
            client.patch(f"{path}/status", {"status": {"conditions": [dict(change.condition)]}}, "strategic")
    except NotFound:
        return


def shown(node: Mapping[str, Any], change: Change) -> dict[str, Any]:
    """Before and after as Ansible shows them: the annotations that go, and the condition if that changes."""
    held = node["metadata"].get("annotations") or {}
    before: dict[str, Any] = {"annotations": {key: held[key] for key in change.annotations}}
    after: dict[str, Any] = {"annotations": {}}
    if change.condition:
        now = pods.condition(node, CONDITION)
        before["condition"] = {key: now.get(key) for key in ("type", "status", "reason")}
        if "status" in change.condition:
            after["condition"] = {key: change.condition[key] for key in ("type", "status", "reason")}
    header = f"Node {change.name}"
    return {"before_header": header, "after_header": header, "before": before, "after": after}


def run(client: KubeClient, cleaned: Collection[str], prefix: str, check: bool) -> dict[str, Any]:
    """The module flannel_node_marks. Raises KubeError."""
    nodes = client.list("/api/v1/nodes").items
    by_name = {str(node["metadata"]["name"]): node for node in nodes}
    changes = list(plan(nodes, cleaned, prefix))
    for change in changes:
        if not check:
            apply(client, change)
    actions = [action for change in changes for action in change.actions]
    return {
        "changed": bool(actions),
        "actions": actions,
        "diff": [shown(by_name[change.name], change) for change in changes],
        "uncleaned": sorted(
            str(node["metadata"]["name"])
            for node in nodes
            if node["metadata"]["name"] not in cleaned and _had_flannel(node, prefix)
        ),
    }


def _had_flannel(node: Mapping[str, Any], prefix: str) -> bool:
    held = node["metadata"].get("annotations") or {}
    return f"{prefix}/kube-subnet-manager" in held or pods.condition(node, CONDITION).get("reason") in (
        *REASONS,
        REMOVED,
    )
