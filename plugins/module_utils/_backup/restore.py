# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write to a cluster what a backup holds. Private to podnet.cni: may change in any release.

Accounts and rights first, then ConfigMaps, then custom resources. A DaemonSet that is there, and the ConfigMap with its
network config, are left to a rollout, which restarts the pods in waves. CustomResourceDefinitions are never written: a
definition of an older release can make stored objects unreadable.
"""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._backup import objects
from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError
from ansible_collections.podnet.cni.plugins.module_utils._kube import hiding
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import NotFound
from ansible_collections.podnet.cni.plugins.module_utils._kube.objects import Resources, find, identify

_ORDER = (
    "Namespace",
    "ServiceAccount",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "ConfigMap",
)
_NEVER = ("CustomResourceDefinition",)


class Restore:
    """Puts documents of a backup back; C(actions) and C(diff) say what was done, or would be done."""

    def __init__(self, client: KubeClient, documents: Mapping[str, Any], *, dry_run: bool) -> None:
        self.client = client
        self.dry_run = dry_run
        self.actions: list[str] = []
        self.diff: list[dict[str, Any]] = []
        self.rollouts: list[dict[str, Any]] = []
        self.items = [item for name, item in documents.items() if name.startswith("objects/")]
        self.notes: dict[str, dict[str, str]] = documents.get("nodes/annotations.json") or {}
        self._resources = Resources(client)

    def run(self) -> None:
        """Restore everything. Raises ConflictError before the first write when that cannot work, KubeError."""
        daemonsets = [item for item in self.items if item["kind"] == "DaemonSet"]
        absent = [item for item in daemonsets if not self._is_there(item)]
        left = self._left_to_rollouts([item for item in daemonsets if item not in absent])
        rank = {kind: number for number, kind in enumerate(_ORDER)}
        for item in sorted(self.items, key=lambda item: rank.get(item["kind"], len(rank))):
            if item["kind"] not in ("DaemonSet", *_NEVER) and item not in left:
                self._put(item)
        if self.notes:
            self._annotate()
        for item in absent:
            self._put(item)

    def _path(self, item: Mapping[str, Any]) -> str | None:
        return self._resources.path(identify([item])[0][0])

    def _is_there(self, item: Mapping[str, Any]) -> bool:
        live = find(self.client, str(self._path(item)))
        if live is not None and live["spec"]["selector"] != item["spec"]["selector"]:
            name = f"{item['metadata']['namespace']}/{item['metadata']['name']}"
            raise ConflictError(
                f"DaemonSet {name} has another selector than in the backup, and a selector cannot be changed. Delete "
                "the DaemonSet, then run this again; the pods start anew."
            )
        return live is not None

    def _left_to_rollouts(self, daemonsets: list[Any]) -> list[Any]:
        left = []
        for item in daemonsets:
            namespace = item["metadata"]["namespace"]
            here = [each for each in self.items if each["metadata"].get("namespace") == namespace]
            config = objects.network_config_map(objects.config_maps(item), here)
            left += [config] if config is not None else []
            self.rollouts.append(
                {
                    "namespace": namespace,
                    "name": item["metadata"]["name"],
                    "template": item["spec"]["template"],
                    "config_map": config["metadata"]["name"] if config is not None else "",
                }
            )
        return left

    def _put(self, item: Mapping[str, Any]) -> None:
        path = self._path(item)
        what = str(identify([item])[0][0])
        if path is None:
            raise ConflictError(f"{what} cannot be restored: the server does not serve its kind any more.")
        live = find(self.client, path)
        if live is not None and objects.kept(live) == objects.kept(item):
            return
        self.actions.append(f"restore {what}")
        self._show(what, hiding.masked(objects.kept(live)) if live else {}, hiding.masked(objects.kept(item)))
        if self.dry_run:
            return
        if live is None:
            self.client.create(path.rsplit("/", 1)[0], item)
            return
        body = {**item, "metadata": {**item["metadata"], "resourceVersion": live["metadata"]["resourceVersion"]}}
        self.client.request("PUT", path, body=body)

    def _show(self, what: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        self.diff.append({"before_header": what, "after_header": what, "before": before, "after": after})

    def _annotate(self) -> None:
        nodes = self.client.list("/api/v1/nodes", metadata_only=True).items
        for name, notes in sorted(objects.missing(self.notes, nodes).items()):
            self.actions.append(f"restore {len(notes)} annotations of Node {name}")
            self._show(f"Node {name}", {}, {"metadata": {"annotations": dict(notes)}})
            if not self.dry_run:
                try:
                    self.client.patch(f"/api/v1/nodes/{name}", {"metadata": {"annotations": notes}})
                except NotFound:
                    self.actions[-1] = f"leave out Node {name}, which is gone"
