# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make room in the cluster for the objects that are applied next.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import random
import time
from typing import Any, Callable, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._adoption import ownership
from ansible_collections.podnet.cni.plugins.module_utils._adoption.decision import Decision, Found
from ansible_collections.podnet.cni.plugins.module_utils._adoption.ownership import full_name
from ansible_collections.podnet.cni.plugins.module_utils._kube import objects
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import Conflict, NotFound, Unreachable

_PAUSE = 0.5
_ATTEMPTS = 5


def daemonset_path(namespace: str, name: str) -> str:
    """The path of a DaemonSet."""
    return f"/apis/apps/v1/namespaces/{namespace}/daemonsets/{name}"


def config_map_path(namespace: str, name: str) -> str:
    """The path of a ConfigMap."""
    return f"/api/v1/namespaces/{namespace}/configmaps/{name}"


class Room:
    """Removes what is in the way of what is applied next; gives what it did, in check mode what it would do."""

    def __init__(self, client: KubeClient, timeout: float, check_mode: bool, sleep: Callable[[float], None]) -> None:
        self._client = client
        self._timeout = timeout
        self._check_mode = check_mode
        self._sleep = sleep

    def __call__(self, found: Found, decision: Decision) -> list[str]:
        actions = []
        for item in found.daemonsets if decision.remove else ():
            actions.append(f"delete DaemonSet {full_name(item)}" + (", its pods run on" if decision.orphan else ""))
            if not self._check_mode:
                self._delete(item, decision.orphan)
        if not decision.take_over:
            return actions
        for item, path, kind in _kept(found, decision):
            actions.append(f"take over the fields of {kind} {full_name(item)}")
            if not self._check_mode:
                self._take_over(item, path)
        return actions

    @staticmethod
    def diff(found: Found, decision: Decision) -> dict[str, dict[str, Any]]:
        """Before and after as Ansible shows them: which objects there are, and who manages their fields."""
        before: dict[str, Any] = {}
        after: dict[str, Any] = {}
        for item in found.daemonsets if decision.remove else ():
            before[f"DaemonSet {full_name(item)}"] = {"managers": _managers(item["metadata"].get("managedFields"))}
        for item, _path, kind in _kept(found, decision) if decision.take_over else ():
            fields = item["metadata"].get("managedFields") or []
            before[f"{kind} {full_name(item)}"] = {"managers": _managers(fields)}
            owned = ownership.owned_fields(fields, objects.FIELD_MANAGER)
            after[f"{kind} {full_name(item)}"] = {"managers": _managers(owned)}
        return {"before": before, "after": after}

    def _take_over(self, item: Mapping[str, Any], path: str) -> None:
        """Raises Conflict when somebody else, like a controller, writes the object again and again."""
        for attempt in range(_ATTEMPTS):
            metadata = item["metadata"]
            fields = ownership.owned_fields(metadata.get("managedFields") or [], objects.FIELD_MANAGER)
            patch = [
                {"op": "replace", "path": "/metadata/managedFields", "value": fields},
                # Somebody who wrote in between makes this fail instead of losing their change.
                {"op": "replace", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]},
            ]
            try:
                self._client.patch(path, patch, "json")
                return
            except Conflict:
                if attempt + 1 == _ATTEMPTS:
                    raise
                self._sleep(random.uniform(0, 0.1 * 2**attempt))
                item = self._client.get(path)

    def _delete(self, item: Mapping[str, Any], orphan: bool) -> None:
        metadata = item["metadata"]
        path = daemonset_path(metadata["namespace"], metadata["name"])
        options = {
            "kind": "DeleteOptions",
            "apiVersion": "v1",
            "propagationPolicy": "Orphan" if orphan else "Background",
            "preconditions": {"uid": metadata["uid"]},
        }
        try:
            self._client.request("DELETE", path, body=options)
        except NotFound:
            return
        deadline = time.monotonic() + self._timeout
        while objects.find(self._client, path) is not None:
            if time.monotonic() > deadline:
                raise Unreachable(
                    f"DaemonSet {full_name(item)} is not gone after {self._timeout:g} s. Look at its finalizers and at "
                    "the controller-manager, then run again."
                )
            self._sleep(_PAUSE)


def _managers(fields: Any) -> list[str]:
    """Who wrote, and how: a name that applies and updates has two sets of fields."""
    return sorted({f"{entry.get('manager')} ({entry.get('operation')})" for entry in fields or []})


def _kept(found: Found, decision: Decision) -> list[tuple[Mapping[str, Any], str, str]]:
    """The objects that stay, with path and kind."""
    kept: list[tuple[Mapping[str, Any], str, str]] = []
    if not decision.remove:
        for item in found.daemonsets:
            path = daemonset_path(item["metadata"]["namespace"], item["metadata"]["name"])
            kept.append((item, path, "DaemonSet"))
    if found.config_map is not None and not decision.leftovers:
        metadata = found.config_map["metadata"]
        kept.append((found.config_map, config_map_path(metadata["namespace"], metadata["name"]), "ConfigMap"))
    return kept
