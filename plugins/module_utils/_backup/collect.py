# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read from a cluster what is kept of it. Private to podnet.cni: may change in any release.

No Secret is read. The number of requests does not grow with the number of nodes, apart from pages of 500.
"""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._backup import objects
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import Forbidden, NotFound
from ansible_collections.podnet.cni.plugins.module_utils._kube.objects import find, served

RBAC = "/apis/rbac.authorization.k8s.io/v1"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def identity(client: KubeClient) -> str:
    """The uid of the namespace kube-system tells one cluster from another; empty where it may not be read."""
    try:
        return str(client.get("/api/v1/namespaces/kube-system")["metadata"].get("uid") or "")
    except (Forbidden, NotFound):
        return ""


def collect(client: KubeClient, params: Mapping[str, Any]) -> dict[str, Any]:
    """The documents of a backup by their names. Raises InputError for a DaemonSet that is not there, KubeError."""
    found: dict[str, Any] = {}
    for place in params["daemonsets"]:
        _daemonset(client, place["namespace"], place["name"], found)
    for group in params["custom_resource_groups"]:
        _custom(client, group, found)
    if params["annotation_prefixes"]:
        nodes = client.list("/api/v1/nodes", metadata_only=True).items
        found["nodes/annotations.json"] = objects.node_notes(nodes, params["annotation_prefixes"])
    return found


def _keep(found: dict[str, Any], item: Mapping[str, Any] | None, version: str, kind: str) -> None:
    """Items of a list do not say what they are."""
    if item is not None:
        whole = {"apiVersion": version, "kind": kind, **objects.kept(item)}
        found[objects.file_name(whole)] = whole


def _daemonset(client: KubeClient, namespace: str, name: str, found: dict[str, Any]) -> None:
    daemonset = find(client, f"/apis/apps/v1/namespaces/{namespace}/daemonsets/{name}")
    if daemonset is None:
        raise InputError(f"daemonsets: there is no DaemonSet {namespace}/{name}.")
    core = f"/api/v1/namespaces/{namespace}"
    account = objects.account(daemonset)
    _keep(found, daemonset, "apps/v1", "DaemonSet")
    _keep(found, find(client, core), "v1", "Namespace")
    _keep(found, find(client, f"{core}/serviceaccounts/{account}"), "v1", "ServiceAccount")
    for each in objects.config_maps(daemonset):
        _keep(found, find(client, f"{core}/configmaps/{each}"), "v1", "ConfigMap")
    for path, prefix, kinds in (
        (RBAC, "cluster", ("ClusterRoleBinding", "ClusterRole")),
        (f"{RBAC}/namespaces/{namespace}", "", ("RoleBinding", "Role")),
    ):
        listed = client.list(f"{path}/{prefix}rolebindings").items
        for binding in objects.bindings(listed, namespace, account):
            _keep(found, binding, "rbac.authorization.k8s.io/v1", kinds[0])
            role = binding["roleRef"]
            base = RBAC if role["kind"] == "ClusterRole" else path
            plural = f"{str(role['kind']).lower()}s"
            _keep(found, find(client, f"{base}/{plural}/{role['name']}"), "rbac.authorization.k8s.io/v1", role["kind"])


def _custom(client: KubeClient, group: str, found: dict[str, Any]) -> None:
    definitions = [item for item in client.list(CRDS).items if item["spec"]["group"] == group]
    for item in definitions:
        _keep(found, item, "apiextensions.k8s.io/v1", "CustomResourceDefinition")
    for version, plurals in _preferred(served(client, [group])).items():
        for plural in plurals:
            if plural in objects.RUNTIME:
                continue
            for item in client.list(f"/apis/{version}/{plural}").items:
                _keep(found, item, version, item["kind"])


def _preferred(versions: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Each resource under the first version that serves it: objects are kept once."""
    seen: set[str] = set()
    found = {}
    for version, plurals in versions.items():
        found[version] = [plural for plural in plurals if plural not in seen]
        seen.update(plurals)
    return found
