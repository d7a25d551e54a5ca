# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the cluster's ranges are written when the network plugin does not say, in the order of trust.

Each source is a path to GET and a pure function over the answer. Nothing is ever created to find a range out, and the
ranges of single Nodes are never put together to one. Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Callable
from urllib.parse import urlencode

from ansible_collections.podnet.cni.plugins.module_utils._discovery import build, nodes, objects, openshift
from ansible_collections.podnet.cni.plugins.module_utils._discovery.objects import Obj
from ansible_collections.podnet.cni.plugins.module_utils._discovery.record import Record
from ansible_collections.podnet.cni.plugins.module_utils._discovery.snapshot import Snapshot, config_map_path
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields

PODS = "pod"
SERVICES = "service"
_CONTROL_PLANE = "component in (kube-apiserver,kube-controller-manager)"
KUBEADM = config_map_path("kube-system", "kubeadm-config")
_KUBE_PROXY = config_map_path("kube-system", "kube-proxy")
_CLOUD = ("cloud",)
_PAGE = 20


@dataclass(frozen=True)
class Source:
    """A place to look: C(path) gives what to GET (empty: nothing there), C(read) notes the ranges it holds.

    Without C(path) the snapshot already has it. C(as_pods) marks what exists only where the control plane
    runs as pods, which k3s does not. C(spare) is asked only while that is no more than the promised requests.
    """

    kinds: tuple[str, ...]
    path: Callable[[Snapshot], str] | None
    read: Callable[[Record, Snapshot, str, str], None]
    as_pods: bool = True
    spare: bool = False


def lacking(record: Record) -> list[str]:
    """The kinds of range that are still to be found; a default that was assumed counts as not found."""
    found = []
    networking = record.networking
    if networking.ipam not in _CLOUD and not any(item.confidence != "low" for item in networking.pod_cidrs):
        found.append(PODS)
    if not any(item.confidence == "high" for item in networking.service_cidrs):
        found.append(SERVICES)
    return found


def service_cidr_path(snapshot: Snapshot) -> str:
    """Path of the ServiceCIDR list, empty where the server has none.

    C(networking.k8s.io/v1) has had it since Kubernetes 1.33, v1beta1 since 1.31 and v1alpha1 since 1.27 (KEP-1880); the
    same group versions without it exist on older servers.
    """
    served = snapshot.groups.get("networking.k8s.io", ())
    minor = minor_version(snapshot.server_version)
    for version, since in (("v1", 33), ("v1beta1", 31), ("v1alpha1", 27)):
        if version in served and minor >= since:
            return f"/apis/networking.k8s.io/{version}/servicecidrs"
    return ""


def minor_version(server_version: str | None) -> int:
    """31 out of C(v1.31.2+k3s1); 0 when the text is none."""
    matched = re.match(r"v?1\.(\d+)", server_version or "")
    return int(matched.group(1)) if matched else 0


def _read_service_cidrs(record: Record, snapshot: Snapshot, path: str, _kind: str) -> None:
    ready = [item for item in snapshot.items(path) if _is_ready(item)]
    # The API server makes the one called kubernetes itself; its first range decides the primary family.
    ready.sort(key=lambda item: (objects.name(item) != "kubernetes", objects.name(item)))
    for item in ready:
        build.add_cidrs(record, SERVICES, fields.sequence(item, "spec", "cidrs"), f"ServiceCIDR {objects.name(item)}")


def _is_ready(item: Obj) -> bool:
    return nodes.condition(item, "Ready")[0] == "True"


def _openshift_path(snapshot: Snapshot) -> str:
    return openshift.network_path(snapshot) or ""


def _read_openshift(record: Record, snapshot: Snapshot, path: str, kind: str) -> None:
    """OpenShift's Network object has the ranges whatever the plugin is; C(status) is what is in use."""
    body = snapshot.body(path)
    part = "status" if fields.sequence(body, "status", "clusterNetwork") else "spec"
    if kind == PODS:
        for entry in fields.sequence(body, part, "clusterNetwork"):
            build.add_cidrs(record, PODS, fields.text(entry, "cidr"), f"Network cluster {part}.clusterNetwork")
    else:
        services = fields.sequence(body, part, "serviceNetwork")
        build.add_cidrs(record, SERVICES, services, f"Network cluster {part}.serviceNetwork")


def _read_control_plane(record: Record, snapshot: Snapshot, path: str, kind: str) -> None:
    confidence = "high" if path == control_plane_path(snapshot) else "medium"
    names = {PODS: ("cluster-cidr",), SERVICES: ("service-cluster-ip-range",)}[kind]
    # The API server is the one that hands out service addresses, so it is asked before the controller manager.
    pods = sorted(snapshot.items(path), key=lambda pod: objects.labels(pod).get("component", ""))
    for pod in pods:
        for container in fields.sequence(pod, "spec", "containers"):
            words = objects.arguments(container)
            for name in names:
                value = objects.flag(words, name)
                if value:
                    where = f"Pod {objects.namespace(pod)}/{objects.name(pod)} --{name}"
                    build.add_cidrs(record, kind, value, where, confidence)
                    return


def _read_kubeadm(record: Record, snapshot: Snapshot, path: str, kind: str) -> None:
    text = fields.text(snapshot.body(path), "data", "ClusterConfiguration")
    key = "podSubnet" if kind == PODS else "serviceSubnet"
    value = objects.yaml_value(text, key)
    if value:
        build.add_cidrs(record, kind, value, f"ConfigMap kube-system/kubeadm-config networking.{key}", "medium")


def _read_kube_proxy(record: Record, snapshot: Snapshot, path: str, kind: str) -> None:
    value = objects.yaml_value(fields.text(snapshot.body(path), "data", "config.conf"), "clusterCIDR")
    if value:
        build.add_cidrs(record, kind, value, "ConfigMap kube-system/kube-proxy clusterCIDR", "medium")


def _read_node_args(record: Record, snapshot: Snapshot, _path: str, kind: str) -> None:
    words = nodes.server_arguments([*snapshot.nodes, *snapshot.servers])
    name = "cluster-cidr" if kind == PODS else "service-cidr"
    given = ",".join(value for value in objects.flags(words, name) if value)
    if given:
        build.add_cidrs(record, kind, given, f"Node annotation node-args --{name}")


def control_plane_path(_snapshot: Snapshot) -> str:
    """Control plane pods of one namespace, by label: never all pods."""
    return "/api/v1/namespaces/kube-system/pods?" + urlencode({"labelSelector": _CONTROL_PLANE})


def _elsewhere_path(_snapshot: Snapshot) -> str:
    """The same in every namespace, where others have put their control plane or kube-proxy; a page is enough.

    Whoever may make a pod can label it so, hence the confidence that these get.
    """
    selector = "component in (kube-apiserver,kube-controller-manager,kube-proxy)"
    return "/api/v1/pods?" + urlencode({"labelSelector": selector, "limit": _PAGE})


def _proxy_path(_snapshot: Snapshot) -> str:
    """One pod of kube-proxy as kubeadm and most others label it, in whatever namespace."""
    return "/api/v1/pods?" + urlencode({"labelSelector": "k8s-app=kube-proxy", "limit": 1})


SOURCES: tuple[Source, ...] = (
    Source((SERVICES,), service_cidr_path, _read_service_cidrs, as_pods=False),
    Source((PODS, SERVICES), _openshift_path, _read_openshift, as_pods=False),
    Source((PODS, SERVICES), None, _read_node_args, as_pods=False),
    Source((PODS, SERVICES), control_plane_path, _read_control_plane),
    Source((PODS, SERVICES), lambda _snapshot: KUBEADM, _read_kubeadm),
    Source((PODS,), lambda _snapshot: _KUBE_PROXY, _read_kube_proxy),
    Source((PODS, SERVICES), _elsewhere_path, _read_control_plane, spare=True),
    Source((PODS,), _proxy_path, _read_control_plane, spare=True),
)


def from_single_node(record: Record, snapshot: Snapshot) -> None:
    """Where the cluster has exactly one Node, that Node's range, as a weak guess."""
    if snapshot.nodes_total == 1 and snapshot.nodes:
        node = snapshot.nodes[0]
        build.add_cidrs(record, PODS, nodes.pod_cidrs(node), f"Node {objects.name(node)} (the only one)", "low")
