# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Objects for the tests of network policy: the cluster of the Kubernetes end-to-end suite and short forms of policies.

The cluster is that of kubernetes v1.34 test/e2e/network/netpol: namespaces x, y and z with the Pods a, b and c each,
which serve ports 80 and 81 by names like serve-80-tcp.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.podnet.cni.plugins.module_utils._network_policy.cluster import Cluster
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.evaluate import Evaluator
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.parse import Inventory, Source, inventory
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.profile import Profile

NAMESPACES = ("x", "y", "z")
PODS = ("a", "b", "c")
ALL = [f"{namespace}/{name}" for namespace in NAMESPACES for name in PODS]


def namespace(name: str, **labels: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"ns": name, **labels}}}


def pod(label: str, ip: str = "", labels: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    """A Pod; C(ports) are (name, number, protocol), C(phase) and C(host_ip) go to its status."""
    space, name = label.split("/")
    ports = [
        {"name": name, "containerPort": number, "protocol": protocol}
        for name, number, protocol in spec.pop("ports", ())
    ]
    status = {"phase": spec.pop("phase", "Running"), "podIPs": [{"ip": each} for each in ip.split(",") if each]}
    host_ip = spec.pop("host_ip", "")
    if host_ip:
        status["hostIP"] = host_ip
    image = spec.pop("image", "example.com/web:1")
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": space, "labels": labels or {}},
        "spec": {"containers": [{"name": "main", "image": image, "ports": ports}], **spec},
        "status": status,
    }


def node(name: str, number: int, backend: str = "vxlan") -> dict[str, Any]:
    """A Node as flannel leaves it, with the pod subnet 10.244.<number>.0/24."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {"kubernetes.io/os": "linux", "kubernetes.io/hostname": name},
            "annotations": {"flannel.alpha.coreos.com/backend-type": backend} if backend else {},
        },
        "spec": {"podCIDRs": [f"10.244.{number}.0/24"]},
        "status": {"addresses": [{"type": "InternalIP", "address": f"198.18.0.{number}"}]},
    }


def policy(label: str, **spec: Any) -> dict[str, Any]:
    """A NetworkPolicy from its spec; C(types) is policyTypes, C(pods) the matchLabels of podSelector."""
    space, name = label.split("/")
    types, pods = spec.pop("types", None), spec.pop("pods", None)
    spec.setdefault("podSelector", {"matchLabels": pods} if pods else {})
    if types:
        spec["policyTypes"] = types
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": space},
        "spec": spec,
    }


ADMIN_VERSIONS = {
    "ClusterNetworkPolicy": "v1alpha2",
    "AdminNetworkPolicy": "v1alpha1",
    "BaselineAdminNetworkPolicy": "v1alpha1",
}


def admin_policy(kind: str, name: str = "p", **spec: Any) -> dict[str, Any]:
    """A policy of policy.networking.k8s.io. It selects all Pods of all namespaces, in tier Admin with priority 5."""
    spec.setdefault("subject", {"namespaces": {}})
    if kind != "BaselineAdminNetworkPolicy":
        spec.setdefault("priority", 5)
    else:
        name = "default"
    if kind == "ClusterNetworkPolicy":
        spec.setdefault("tier", "Admin")
    return {
        "apiVersion": f"policy.networking.k8s.io/{ADMIN_VERSIONS[kind]}",
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    }


def address(label: str) -> str:
    space, name = label.split("/")
    return f"198.18.{NAMESPACES.index(space)}.{PODS.index(name) + 1}"


def end_to_end(**changes: dict[str, str]) -> list[dict[str, Any]]:
    """The suite's cluster; C(changes) are further labels by namespace, or by Pod as C(x_a)."""
    ports = [
        (f"serve-{number}-{protocol.lower()}", number, protocol)
        for number in (80, 81)
        for protocol in ("TCP", "UDP", "SCTP")
    ]
    objects = [namespace(name, **changes.get(name, {})) for name in NAMESPACES]
    for label in ALL:
        labels = {"pod": label[-1], **changes.get(label.replace("/", "_"), {})}
        objects.append(pod(label, address(label), labels, ports=ports))
    return objects


def read(*objects: dict[str, Any]) -> Inventory:
    sources = []
    for item in objects:
        group = item["apiVersion"].rpartition("/")[0]
        sources.append(Source(group, item["kind"], item, "test"))
    return inventory(sources)


def evaluator(*objects: dict[str, Any], version: str = "v1.1.1") -> Evaluator:
    found = read(*objects)
    assert found.unreadable == []
    return Evaluator(Cluster(found), Profile.parse(version))


def allowed(judge: Evaluator, source: str, target: str, port: int = 80, protocol: str = "TCP") -> bool:
    """The verdict on one connection, which all address families have to share."""
    verdicts = {each.allowed for each in judge.verdicts(judge.end(source, ""), judge.end(target, ""), protocol, port)}
    assert len(verdicts) == 1, f"{source} to {target}: {verdicts}"
    return verdicts.pop()
