# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module canal_adopt: reads what a cluster has, lets adoption decide, and makes room for what is applied next.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import time
from typing import Any, Callable, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._canal import adoption
from ansible_collections.podnet.cni.plugins.module_utils._canal.settings import Place, place_from
from ansible_collections.podnet.cni.plugins.module_utils._discovery import cluster
from ansible_collections.podnet.cni.plugins.module_utils._discovery.record import to_dict
from ansible_collections.podnet.cni.plugins.module_utils._kube import objects
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import Forbidden, NotFound
from ansible_collections.podnet.cni.plugins.module_utils._manifests import adopt_run as room
from ansible_collections.podnet.cni.plugins.module_utils._manifests import adoption as manifests

_OPTIONS = ("namespace", "daemonset", "config_map", "service_account", "selector")


def run(
    client: KubeClient, params: Mapping[str, Any], check_mode: bool, sleep: Callable[[float], None] = time.sleep
) -> dict[str, Any]:
    """The result of the module. Raises ConflictError for a cluster that is to be left alone, InputError, KubeError."""
    wanted = adoption.Wanted(
        place=place_from({name: params[name] for name in _OPTIONS}),
        pod_labels=params["pod_labels"],
        network_config=params["network_config"],
        policy=params["adopt"],
        allow_network_change=params["allow_network_change"],
        purpose=params["purpose"],
    )
    found = observe(client, wanted.place)
    decision = adoption.decide(wanted, found, objects.FIELD_MANAGER)
    actions = []
    if params["prepare"]:
        make_room = room.Room(client, params["wait_timeout"], check_mode, sleep)
        place = manifests.Place(namespace=decision.place.namespace)
        actions = make_room(
            manifests.Found(daemonsets=found.daemonsets, configmap=found.config_map),
            manifests.Decision(
                decision.action,
                place,
                remove=[str(item["metadata"]["name"]) for item in found.daemonsets if decision.remove],
                orphan=decision.orphan,
                take_over=decision.take_over,
            ),
        )
    place_found = decision.place
    return {
        "changed": bool(actions),
        "actions": actions,
        "warnings": list(decision.warnings),
        "action": decision.action,
        "place": {
            "namespace": place_found.namespace,
            "daemonset": place_found.daemonset,
            "config_map": place_found.config_map,
            "service_account": place_found.service_account,
            "selector": dict(place_found.selector),
            "labels": dict(place_found.labels),
        },
        "network_name": decision.network_name,
        "replaced": [dict(item) for item in decision.replaced],
        "flannel": bool(found.flannels),
        "interruptions": list(decision.changes),
        "former_crds": former(client, params["crds"]),
    }


def observe(client: KubeClient, place: Place) -> adoption.Found:
    """What the cluster has, read without the API server's cache, because decisions to write depend on it."""
    records = cluster.discover(client, cluster.Scope(mode="full"))
    found: dict[str, list[dict[str, Any]]] = {"canal": [], "flannel": []}
    configs: dict[str, dict[str, Any]] = {}
    for record in records:
        if record.plugin not in found:
            continue
        for workload in record.workloads:
            path = f"/apis/apps/v1/namespaces/{workload.namespace}/daemonsets/{workload.name}"
            item = objects.find(client, path)
            found[record.plugin] += [item] if item else []
        for ref in record.config_refs:
            if record.plugin not in configs and ref.kind == "ConfigMap" and ref.found:
                item = objects.find(client, f"/api/v1/namespaces/{ref.namespace}/configmaps/{ref.name}")
                configs.update({record.plugin: item} if item else {})
    left = f"/api/v1/namespaces/{place.namespace}/configmaps/{place.config_map}"
    binding = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/flannel"
    return adoption.Found(
        records=[to_dict(record) for record in records],
        daemonsets=found["canal"],
        config_map=configs.get("canal"),
        nodes=client.list("/api/v1/nodes", {"labelSelector": "kubernetes.io/os!=windows"}).items,
        flannels=found["flannel"],
        flannel_config_map=configs.get("flannel"),
        flannel_binding=objects.find(client, binding) if found["flannel"] else None,
        left_config_map=objects.find(client, left),
    )


def former(client: KubeClient, kept: list[str]) -> list[dict[str, Any]]:
    """The CustomResourceDefinitions that the manifest lacks, each with how many objects there are of it."""
    found: list[dict[str, Any]] = []
    for name, version in adoption.former_crds(objects.served(client, adoption.GROUPS), kept):
        path = f"/apis/{version}/{name.partition('.')[0]}"
        try:
            page = client.get(path, {"limit": 1})
        except NotFound:
            continue
        except Forbidden:
            found.append(_former(name, None))
            continue
        more = int((page.get("metadata") or {}).get("remainingItemCount") or 0)
        found.append(_former(name, len(page.get("items") or []) + more))
    return found


def _former(name: str, count: int | None) -> dict[str, Any]:
    metadata = {"name": name}
    definition = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": metadata}
    return {"name": name, "objects": count, "definition": definition}
