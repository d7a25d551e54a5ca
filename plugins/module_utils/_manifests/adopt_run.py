# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module flannel_adopt: reads what a cluster has, lets adoption decide, and makes room for what is applied next.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import random
import time
from typing import Any, Callable, Mapping

from ansible_collections.podnet.cni.plugins.module_utils import _network_config
from ansible_collections.podnet.cni.plugins.module_utils._discovery import flannel_nodes, shipped
from ansible_collections.podnet.cni.plugins.module_utils._discovery.recognisers import flannel
from ansible_collections.podnet.cni.plugins.module_utils._discovery.record import to_dict
from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError
from ansible_collections.podnet.cni.plugins.module_utils._kube import objects
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import Conflict, Forbidden, NotFound, Unreachable
from ansible_collections.podnet.cni.plugins.module_utils._manifests import adoption, architectures
from ansible_collections.podnet.cni.plugins.module_utils._rollout import lock

_PAUSE = 0.5
_ATTEMPTS = 5
_SOME_NODES = 50


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
        network_policy=params["network_policy"],
    )
    found = observe(client, params["namespace"])
    if params["purpose"] == "remove":
        allowed = params["allow_foreign"]
        decision = adoption.decide_removal(wanted, found, objects.FIELD_MANAGER, allow_foreign=allowed)
    else:
        _refuse_windows(client, wanted)
        decision = adoption.decide(wanted, found, objects.FIELD_MANAGER)
    for item in found.daemonsets if params["rollout"] != "ignore" else ():
        lock.check(
            client, item["metadata"]["namespace"], item["metadata"]["name"], goes_on=params["rollout"] == "resume"
        )
    actions = []
    if params["prepare"]:
        make_room = Room(client, params["wait_timeout"], check_mode, sleep)
        actions = make_room(found, decision)
    return {
        "changed": bool(actions),
        "actions": actions,
        "warnings": list(decision.warnings),
        "rules": _rules(client),
        **adoption.to_dict(decision),
    }


def _rules(client: KubeClient) -> list[Any]:
    """What flannel's pods may do now, as far as that can be read."""
    role = _readable(client, "/apis/rbac.authorization.k8s.io/v1/clusterroles/flannel") or {}
    return list(role.get("rules") or [])


def observe(client: KubeClient, namespace: str) -> adoption.Found:
    """What the cluster has, read without the API server's cache, because decisions to write depend on it.

    C(namespace) is that of a new installation.
    """
    records = shipped.discover(client)
    daemonsets, configmap = [], None
    flannels = [record for record in records if record.plugin == "flannel"]
    for record in flannels:
        for workload in record.workloads:
            item = objects.find(client, _daemonset_path(workload.namespace, workload.name))
            daemonsets += [item] if item else []
        for ref in record.config_refs:
            if configmap is None and ref.kind == "ConfigMap" and ref.found:
                configmap = objects.find(client, _configmap_path(str(ref.namespace), ref.name))
    lost = all(map(architectures.of_windows, daemonsets))
    return adoption.Found(
        [to_dict(record) for record in records],
        daemonsets,
        configmap,
        remains=_remains(client, namespace) if lost or any(map(architectures.of_some, daemonsets)) else None,
        announced=_announced(client) if lost and flannels else (),
        all_seen=_sees_all(client),
    )


def _sees_all(client: KubeClient) -> bool:
    try:
        client.get("/apis/apps/v1/daemonsets", {"limit": 1})
    except Forbidden:
        return False
    return True


def _announced(client: KubeClient) -> tuple[str, ...]:
    """The backends that flanneld has written to its Nodes; a page of them tells enough."""
    nodes = client.get("/api/v1/nodes", {"limit": _SOME_NODES}).get("items") or []
    notes = [
        (node["metadata"].get("annotations") or {}) for node in flannel_nodes.annotated(nodes, flannel_nodes.PREFIX)
    ]
    return tuple(sorted({str(each.get(f"{flannel_nodes.PREFIX}backend-type") or "") for each in notes}))


def _remains(client: KubeClient, new_namespace: str) -> adoption.Remains | None:
    """What is left of a flannel whose DaemonSet is gone: a run that deleted it and did not get to making the new one.

    Pods that stay for a new DaemonSet carry the label that it selects by. Without pods the binding tells where the
    objects went, if flannel's ConfigMap is there too.
    """
    pods = _ownerless(client)
    binding = _readable(client, "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/flannel") or {}
    subject: Mapping[str, Any] = next(iter(binding.get("subjects") or []), {})
    namespace, account = str(subject.get("namespace") or ""), str(subject.get("name") or "")
    if pods:
        inside = [pod for pod in pods if pod["metadata"]["namespace"] == new_namespace]
        first = (inside or pods)[0]
        namespace = str(first["metadata"]["namespace"])
        account = str((first.get("spec") or {}).get("serviceAccountName") or account)
    configmap = _left_configmap(client, namespace) if namespace else None
    return adoption.Remains(namespace, account, configmap, pods) if pods or configmap else None


def _ownerless(client: KubeClient) -> list[dict[str, Any]]:
    """The pods that run flanneld and belong to nothing, the oldest first."""
    label = ",".join(f"{key}={value}" for key, value in adoption.SELECTOR["matchLabels"].items())
    try:
        pods = client.list("/api/v1/pods", {"labelSelector": label}).items
    except Forbidden:
        return []
    found = [
        pod
        for pod in pods
        if not pod["metadata"].get("ownerReferences")
        and not pod["metadata"].get("deletionTimestamp")
        and (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")
        and any(flannel.is_flanneld(container) for container in pod["spec"].get("containers") or [])
    ]
    return sorted(found, key=lambda pod: str(pod["metadata"].get("creationTimestamp")))


def _left_configmap(client: KubeClient, namespace: str) -> dict[str, Any] | None:
    try:
        found = client.list(f"/api/v1/namespaces/{namespace}/configmaps", {"labelSelector": "app=flannel"}).items
    except (Forbidden, NotFound):
        return None
    return next((item for item in found if "net-conf.json" in (item.get("data") or {})), None)


def _readable(client: KubeClient, path: str) -> dict[str, Any] | None:
    """An object, None when it is not there or may not be read."""
    try:
        return objects.find(client, path)
    except Forbidden:
        return None


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
        """Raises Conflict when somebody else, like a controller, writes the object again and again."""
        for attempt in range(_ATTEMPTS):
            metadata = item["metadata"]
            fields = adoption.owned_fields(metadata.get("managedFields") or [], objects.FIELD_MANAGER)
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
