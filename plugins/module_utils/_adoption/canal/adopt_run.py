# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module canal_adopt: reads what a cluster has, lets adoption decide, and removes what is in the way.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import time
from typing import Any, Callable, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._adoption.canal import adoption
from ansible_collections.podnet.cni.plugins.module_utils._adoption.place import Place
from ansible_collections.podnet.cni.plugins.module_utils._adoption.place import from_dict as place_from
from ansible_collections.podnet.cni.plugins.module_utils._adoption.place import to_dict as place_to_dict
from ansible_collections.podnet.cni.plugins.module_utils._adoption.room import Room, config_map_path, daemonset_path
from ansible_collections.podnet.cni.plugins.module_utils._discovery import cluster, recognisers
from ansible_collections.podnet.cni.plugins.module_utils._discovery.record import to_dict
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields, objects
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import Forbidden, NotFound

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
        allow_unknown_network=params["allow_unknown_network"],
        purpose=params["purpose"],
        node_names=params["node_names"],
        allow_missing_nodes=params["allow_missing_nodes"],
    )
    served = objects.served(client, adoption.GROUPS)
    if params["purpose"] in ("install", "from_flannel"):
        adoption.refuse_missing_crds(adoption.missing_crds(served, params["crds"], params["needed_crds"]))
    found = observe(client, wanted.place)
    decision = adoption.decide(wanted, found, objects.FIELD_MANAGER)
    actions: list[str] = []
    diff: dict[str, Any] = {}
    if params["prepare"]:
        make_room = Room(client, params["wait_timeout"], check_mode, sleep)
        actions, diff = make_room(found, decision), make_room.diff(found, decision)
    return {
        "changed": bool(actions),
        "actions": actions,
        "diff": diff,
        "warnings": list(decision.warnings),
        "action": decision.action,
        "place": place_to_dict(decision.place),
        "network_name": decision.network_name,
        "replaced": [dict(item) for item in decision.replaced],
        "flannel": bool(found.flannels),
        "interruptions": list(decision.changes),
        "former_crds": former(client, served, params["crds"]),
    }


def observe(client: KubeClient, place: Place) -> adoption.CanalFound:
    """What the cluster has, read without the API server's cache, because decisions to write depend on it."""
    records = cluster.discover(client, cluster.Scope(mode="full"), recognisers.load_all())
    found: dict[str, list[dict[str, Any]]] = {"canal": [], "flannel": []}
    configs: dict[str, dict[str, Any]] = {}
    for record in records:
        if record.plugin not in found:
            continue
        for workload in record.workloads:
            item = objects.find(client, daemonset_path(workload.namespace, workload.name))
            found[record.plugin] += [item] if item else []
        for ref in record.config_refs:
            if record.plugin not in configs and ref.kind == "ConfigMap" and ref.found:
                item = objects.find(client, config_map_path(str(ref.namespace), ref.name))
                configs.update({record.plugin: item} if item else {})
    left = config_map_path(place.namespace, place.config_map)
    binding = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/flannel"
    return adoption.CanalFound(
        records=[to_dict(record) for record in records],
        daemonsets=found["canal"],
        config_map=configs.get("canal"),
        nodes=client.list("/api/v1/nodes", {"labelSelector": "kubernetes.io/os!=windows"}).items,
        flannels=found["flannel"],
        flannel_config_map=configs.get("flannel"),
        flannel_binding=objects.find(client, binding) if found["flannel"] else None,
        left_config_map=objects.find(client, left),
    )


def former(client: KubeClient, served: Mapping[str, Sequence[str]], kept: list[str]) -> list[dict[str, Any]]:
    """The CustomResourceDefinitions that the manifest lacks, each with how many objects there are of it."""
    found: list[dict[str, Any]] = []
    for name, version in adoption.former_crds(served, kept):
        path = f"/apis/{version}/{name.partition('.')[0]}"
        try:
            page = client.get(path, {"limit": 1})
        except NotFound:
            continue
        except Forbidden:
            found.append(_former(name, None))
            continue
        more = fields.number(page, "metadata", "remainingItemCount")
        found.append(_former(name, len(page.get("items") or []) + more))
    return found


def _former(name: str, count: int | None) -> dict[str, Any]:
    metadata = {"name": name}
    definition = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": metadata}
    return {"name": name, "objects": count, "definition": definition}
