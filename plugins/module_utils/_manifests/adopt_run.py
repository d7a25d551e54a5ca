# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module flannel_adopt: reads what a cluster has, lets adoption decide, and makes room for what is applied next.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import time
from typing import Any, Callable, Mapping

from ansible_collections.podnet.cni.plugins.module_utils import _network_config
from ansible_collections.podnet.cni.plugins.module_utils._discovery import shipped
from ansible_collections.podnet.cni.plugins.module_utils._discovery.record import to_dict
from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError
from ansible_collections.podnet.cni.plugins.module_utils._kube import objects
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import NotFound, Unreachable
from ansible_collections.podnet.cni.plugins.module_utils._manifests import adoption

_PAUSE = 0.5


def run(
    client: KubeClient, params: Mapping[str, Any], check_mode: bool, sleep: Callable[[float], None] = time.sleep
) -> dict[str, Any]:
    """The result of the module. Raises ConflictError for a cluster that is to be left alone, InputError, KubeError."""
    _network_config.parse(params["network_config"], check_ranges=False)
    wanted = adoption.Wanted(
        place=adoption.Place(namespace=params["namespace"]),
        network_config=params["network_config"],
        method=params["install_method"],
        policy=params["adopt"],
        allow_network_change=params["allow_network_change"],
    )
    _refuse_windows(client, wanted)
    found = observe(client)
    decision = adoption.decide(wanted, found, objects.FIELD_MANAGER)
    actions = []
    if params["prepare"]:
        make_room = Room(client, params["wait_timeout"], check_mode, sleep)
        actions = make_room(found, decision)
    return {
        "changed": bool(actions),
        "actions": actions,
        "warnings": list(decision.warnings),
        **adoption.to_dict(decision),
    }


def observe(client: KubeClient) -> adoption.Found:
    """What the cluster has, read without the API server's cache, because decisions to write depend on it."""
    records = shipped.discover(client)
    daemonsets, configmap = [], None
    for record in records:
        if record.plugin != "flannel":
            continue
        for workload in record.workloads:
            item = objects.find(client, _daemonset_path(workload.namespace, workload.name))
            daemonsets += [item] if item else []
        for ref in record.config_refs:
            if configmap is None and ref.kind == "ConfigMap" and ref.found:
                configmap = objects.find(client, _configmap_path(str(ref.namespace), ref.name))
    return adoption.Found([to_dict(record) for record in records], daemonsets, configmap)


def _refuse_windows(client: KubeClient, wanted: adoption.Wanted) -> None:
    page = client.get("/api/v1/nodes", {"labelSelector": "kubernetes.io/os=windows", "limit": 1})
    if not page.get("items"):
        return
    config = _network_config.parse(wanted.network_config, check_ranges=False)
    problems = _network_config.mixed_cluster_problems(config)
    if problems:
        name = page["items"][0]["metadata"]["name"]
        raise ConflictError(f"Node {name} runs Windows, which cannot share this network. " + " ".join(problems))


class Room:
    """Makes room for what is applied next; gives what it did, in check mode what it would do."""

    def __init__(self, client: KubeClient, timeout: float, check_mode: bool, sleep: Callable[[float], None]) -> None:
        self._client = client
        self._timeout = timeout
        self._check_mode = check_mode
        self._sleep = sleep

    def __call__(self, found: adoption.Found, decision: adoption.Decision) -> list[str]:
        actions = []
        for item in found.daemonsets if decision.remove else ():
            actions.append(f"delete DaemonSet {_name(item)}" + (", its pods go on" if decision.orphan else ""))
            if not self._check_mode:
                self._delete(item, decision.orphan)
        if not decision.take_over:
            return actions
        for item, path, kind in _kept(found, decision):
            actions.append(f"take over the fields of {kind} {_name(item)}")
            if not self._check_mode:
                self._take_over(item, path)
        return actions

    def _take_over(self, item: Mapping[str, Any], path: str) -> None:
        metadata = item["metadata"]
        fields = adoption.owned_fields(metadata.get("managedFields") or [], objects.FIELD_MANAGER)
        patch = [
            {"op": "replace", "path": "/metadata/managedFields", "value": fields},
            # Somebody who wrote in between makes this fail instead of losing their change.
            {"op": "replace", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]},
        ]
        self._client.patch(path, patch, "json")

    def _delete(self, item: Mapping[str, Any], orphan: bool) -> None:
        metadata = item["metadata"]
        path = _daemonset_path(metadata["namespace"], metadata["name"])
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
                    f"DaemonSet {_name(item)} is not gone after {self._timeout:g} s. Look at its finalizers and at the "
                    "controller-manager, then run again."
                )
            self._sleep(_PAUSE)


def _kept(found: adoption.Found, decision: adoption.Decision) -> list[tuple[Mapping[str, Any], str, str]]:
    """The objects that stay, with path and kind."""
    kept: list[tuple[Mapping[str, Any], str, str]] = []
    if not decision.remove:
        for item in found.daemonsets:
            path = _daemonset_path(item["metadata"]["namespace"], item["metadata"]["name"])
            kept.append((item, path, "DaemonSet"))
    if found.configmap is not None and not decision.leftovers:
        metadata = found.configmap["metadata"]
        kept.append((found.configmap, _configmap_path(metadata["namespace"], metadata["name"]), "ConfigMap"))
    return kept


def _name(item: Mapping[str, Any]) -> str:
    return f"{item['metadata']['namespace']}/{item['metadata']['name']}"


def _daemonset_path(namespace: str, name: str) -> str:
    return f"/apis/apps/v1/namespaces/{namespace}/daemonsets/{name}"


def _configmap_path(namespace: str, name: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps/{name}"
