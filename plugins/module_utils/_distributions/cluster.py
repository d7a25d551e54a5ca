# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Gather what the API shows of an owner: Nodes, charts and their configuration, and the objects of flannel.

What may not be read, or is not answered, is left out of the facts; C(reasons) says why, and which right is missing.
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Any, Callable, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._discovery import nodes, objects
from ansible_collections.podnet.cni.plugins.module_utils._discovery.objects import Obj
from ansible_collections.podnet.cni.plugins.module_utils._distributions import helm, redact
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import (
    Forbidden,
    InvalidAuth,
    KubeError,
    MissingLibrary,
    NotFound,
)

RIGHTS: Mapping[str, str] = {
    "nodes": "list nodes",
    "helm_charts": "list helmcharts (helm.cattle.io)",
    "helm_chart_configs": "list helmchartconfigs (helm.cattle.io)",
    "addons": "list addons (k3s.cattle.io)",
    "rancher_clusters": "list clusters (provisioning.cattle.io)",
    "daemonsets": "list daemonsets (apps) in kube-system",
    "pods": "list pods in kube-system",
    "config_maps": "get configmaps in kube-system and kube-flannel",
}
"""Name of a fact to the right it needs."""

CONFIG_MAPS = (
    "kube-system/kubeadm-config",
    "kube-system/kube-flannel-cfg",
    "kube-system/canal-config",
    "kube-system/rke2-canal-config",
    "kube-flannel/kube-flannel-cfg",
)
UNFINISHED = "podnet.cni/distribution-network"
"""Annotation of an object whose values are being changed: what it was before."""
_OWNER = "objectset.rio.cattle.io/"
_FLANNEL = "flannel.alpha.coreos.com/"
_DAEMONS = ("kube-flannel", "flanneld")
"""Containers that run flanneld, in charts and manifests."""


def gather(client: KubeClient) -> dict[str, Any]:
    """The facts about a cluster. Raises InvalidAuth and MissingLibrary, and KubeError when nothing answers."""
    client.get("/version")
    facts: dict[str, Any] = {"subject": "cluster"}
    reasons: dict[str, str] = {}

    def ask(name: str, question: Callable[[], Any]) -> None:
        try:
            facts[name] = question()
        except (InvalidAuth, MissingLibrary):
            raise
        except Forbidden as error:
            reasons[name] = f"the right to {RIGHTS[name]} is missing ({error})"
        except KubeError as error:
            reasons[name] = str(error)

    def listed(path: str) -> list[dict[str, Any]]:
        """Objects of a kind; none where the server does not know it."""
        try:
            return client.list(path).items
        except NotFound:
            return []

    ask("nodes", lambda: [describe_node(node) for node in listed("/api/v1/nodes")])
    ask("helm_charts", lambda: [_described(each) for each in listed(f"/apis/{helm.GROUP}/v1/helmcharts")])
    ask("helm_chart_configs", lambda: [_described(each) for each in listed(f"/apis/{helm.GROUP}/v1/helmchartconfigs")])
    ask("addons", lambda: [_addon(each) for each in listed("/apis/k3s.cattle.io/v1/addons")])
    ask("rancher_clusters", lambda: [_rancher(each) for each in listed("/apis/provisioning.cattle.io/v1/clusters")])
    ask("daemonsets", lambda: [_named(each) for each in listed("/apis/apps/v1/namespaces/kube-system/daemonsets")])
    ask("pods", lambda: list(filter(None, map(_pod, listed("/api/v1/namespaces/kube-system/pods")))))
    ask("config_maps", lambda: _config_maps(client))
    return {**facts, "reasons": reasons}


def describe_node(node: Obj) -> dict[str, Any]:
    """What is looked at of a Node."""
    notes, marks = objects.notes(node), objects.labels(node)
    return {
        "name": objects.name(node),
        "os": marks.get("kubernetes.io/os") or fields.text(node, "status", "nodeInfo", "operatingSystem") or "linux",
        "kubelet": nodes.kubelet_version(node),
        "distribution": nodes.mark_of(node) or "",
        "microk8s": "microk8s.io/cluster" in marks,
        "ready": nodes.condition(node, "Ready")[0],
        "node_args": redact.yaml(notes.get("k3s.io/node-args") or notes.get("rke2.io/node-args") or ""),
        "pod_cidrs": nodes.pod_cidrs(node),
        "flannel": {name[len(_FLANNEL) :]: value for name, value in notes.items() if name.startswith(_FLANNEL)},
    }


def _named(item: Obj) -> dict[str, Any]:
    return {"name": objects.name(item), "namespace": objects.namespace(item)}


def _described(item: Obj) -> dict[str, Any]:
    """A HelmChart or HelmChartConfig without the chart itself and without secrets."""
    spec = {key: value for key, value in fields.mapping(item, "spec").items() if key != "chartContent"}
    if isinstance(spec.get("valuesContent"), str):
        spec["valuesContent"] = redact.yaml(spec["valuesContent"])
    return {
        **_named(item),
        "annotations": {
            name: value
            for name, value in objects.notes(item).items()
            if name in (f"{_OWNER}owner-name", f"{_OWNER}owner-gvk", f"{helm.GROUP}/chart-url")
        },
        "unfinished": UNFINISHED in objects.notes(item),
        "spec": without_secrets(spec),
        "conditions": fields.mappings(item, "status", "conditions"),
        "job": fields.text(item, "status", "jobName"),
    }


def without_secrets(value: Any) -> Any:
    """The same value, with the values of secret keys masked, however deep."""
    if isinstance(value, Mapping):
        return {
            key: redact.MASK if redact.is_secret(str(key)) else without_secrets(each) for key, each in value.items()
        }
    if isinstance(value, list):
        return [without_secrets(each) for each in value]
    return redact.urls(value) if isinstance(value, str) else value


def _addon(item: Obj) -> dict[str, Any]:
    return {**_named(item), "source": fields.text(item, "spec", "source")}


def _rancher(item: Obj) -> dict[str, Any]:
    config = fields.mapping(item, "spec", "rkeConfig")
    kept = {
        name: config[name] for name in ("machineGlobalConfig", "chartValues", "machineSelectorConfig") if name in config
    }
    spec = {"kubernetesVersion": fields.text(item, "spec", "kubernetesVersion"), "rkeConfig": kept}
    unfinished = UNFINISHED in objects.notes(item)
    return {
        **_named(item),
        "unfinished": unfinished,
        "spec": without_secrets(spec),
        "ready": fields.at(item, "status", "ready"),
    }


def _pod(pod: Obj) -> dict[str, Any] | None:
    """A pod of flannel or Canal and why its daemon does not run; None for another pod."""
    for status in fields.mappings(pod, "status", "containerStatuses"):
        if status.get("name") in _DAEMONS:
            waiting = fields.text(status, "state", "waiting", "reason")
            ended = fields.mapping(status, "lastState", "terminated") or fields.mapping(status, "state", "terminated")
            return {
                "name": objects.name(pod),
                "node": fields.text(pod, "spec", "nodeName"),
                "ready": status.get("ready") is True,
                "restarts": fields.number(status, "restartCount"),
                "waiting": waiting,
                "message": fields.text(ended, "message"),
            }
    return None


def _config_maps(client: KubeClient) -> dict[str, Any]:
    found = {}
    for name in CONFIG_MAPS:
        namespace, _slash, own = name.partition("/")
        try:
            item = client.get(f"/api/v1/namespaces/{namespace}/configmaps/{own}")
        except NotFound:
            continue
        wanted = ("ClusterConfiguration", "net-conf.json")
        found[name] = {
            key: redact.yaml(fields.text(item, "data", key)) for key in wanted if fields.text(item, "data", key)
        }
    return found
