# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small manifest in the shape of Canal's release manifest, made here: same objects, names and order, own schemas."""

from __future__ import annotations

import json
from typing import Any

import yaml

GROUP = "crd.projectcalico.org"
POLICY_GROUP = "policy.networking.k8s.io"
KINDS = {
    "ippools": "IPPool",
    "felixconfigurations": "FelixConfiguration",
    "clusterinformations": "ClusterInformation",
    "globalnetworkpolicies": "GlobalNetworkPolicy",
}
Obj = dict[str, Any]


def conflist(cni_version: str = "0.3.1") -> str:
    """What is in the ConfigMap: JSON but for the MTU's placeholder."""
    return (
        '{"name": "k8s-pod-network", "cniVersion": "' + cni_version + '", "plugins": [{"type": "calico", '
        '"nodename": "__KUBERNETES_NODE_NAME__", "mtu": __CNI_MTU__, '
        '"ipam": {"type": "host-local", "subnet": "usePodCidr"}, "policy": {"type": "k8s"}, '
        '"kubernetes": {"kubeconfig": "__KUBECONFIG_FILEPATH__"}}, '
        '{"type": "portmap", "snat": true, "capabilities": {"portMappings": true}}]}'
    )


def crd(plural: str, kind: str, group: str = GROUP, *, scope: str = "Cluster") -> Obj:
    """A CustomResourceDefinition that takes anything as its spec."""
    schema = {
        "type": "object",
        "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
    }
    version = "v1" if group == GROUP else "v1alpha1"
    annotations = {"api-approved.kubernetes.io": "https://example.com/made-for-tests"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}", "annotations": annotations if group != GROUP else {}},
        "spec": {
            "group": group,
            "names": {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower()},
            "scope": scope,
            "versions": [{"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }


def crds(minor: int) -> list[Obj]:
    """Some of a release's CustomResourceDefinitions, among them those that come and go."""
    found = [crd(plural, kind) for plural, kind in KINDS.items()]
    if minor >= 29:
        found.append(crd("tiers", "Tier"))
    if 29 <= minor <= 31:
        found.append(crd("adminnetworkpolicies", "AdminNetworkPolicy", POLICY_GROUP))
    if 30 <= minor <= 31:
        found.append(crd("baselineadminnetworkpolicies", "BaselineAdminNetworkPolicy", POLICY_GROUP))
    if minor >= 32:
        found.append(crd("clusternetworkpolicies", "ClusterNetworkPolicy", POLICY_GROUP))
    return found


def _account(name: str) -> Obj:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": "kube-system"}}


def _role(name: str, *rules: tuple[str, list[str], list[str]]) -> Obj:
    made = [{"apiGroups": [group], "resources": resources, "verbs": verbs} for group, resources, verbs in rules]
    metadata = {"name": name}
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": metadata, "rules": made}


def _binding(name: str, role: str, account: str) -> Obj:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": "kube-system"}],
    }


def _from_field(name: str, path: str) -> Obj:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def _from_config(name: str, key: str) -> Obj:
    return {"name": name, "valueFrom": {"configMapKeyRef": {"name": "canal-config", "key": key}}}


def daemonset(calico: str, registry: str, flannel: str, init: str) -> Obj:
    """The DaemonSet with both containers."""
    install = {
        "name": "install-cni",
        "image": f"{registry}/cni:v{calico}",
        "command": ["/opt/cni/bin/install"],
        "env": [
            _from_field("CALICO_CNI_SERVICE_ACCOUNT", "spec.serviceAccountName"),
            {"name": "CNI_CONF_NAME", "value": "10-canal.conflist"},
            _from_config("CNI_NETWORK_CONFIG", "cni_network_config"),
            _from_config("CNI_MTU", "veth_mtu"),
            {"name": "SLEEP", "value": "false"},
        ],
        "volumeMounts": [{"name": "cni-net-dir", "mountPath": "/host/etc/cni/net.d"}],
        "securityContext": {"privileged": True},
    }
    bpf = {"name": init, "image": f"{registry}/node:v{calico}", "command": ["calico-node", "-init", "-best-effort"]}
    node = {
        "name": "calico-node",
        "image": f"{registry}/node:v{calico}",
        "env": [
            {"name": "DATASTORE_TYPE", "value": "kubernetes"},
            {"name": "CALICO_NETWORKING_BACKEND", "value": "none"},
            {"name": "FELIX_IPV6SUPPORT", "value": "false"},
        ],
        "securityContext": {"privileged": True},
        "readinessProbe": {"httpGet": {"path": "/readiness", "port": 9099, "host": "localhost"}},
    }
    flanneld = {
        "name": "kube-flannel",
        "image": f"docker.io/flannel/flannel:v{flannel}",
        "command": ["/opt/bin/flanneld", "--ip-masq", "--kube-subnet-mgr"],
        "securityContext": {"privileged": True},
        "env": [
            _from_field("POD_NAME", "metadata.name"),
            _from_config("FLANNELD_IFACE", "canal_iface"),
            _from_config("FLANNELD_IP_MASQ", "masquerade"),
        ],
        "volumeMounts": [{"name": "flannel-cfg", "mountPath": "/etc/kube-flannel/"}],
    }
    pod = {
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "hostNetwork": True,
        "tolerations": [{"effect": "NoSchedule", "operator": "Exists"}, {"effect": "NoExecute", "operator": "Exists"}],
        "serviceAccountName": "canal",
        "terminationGracePeriodSeconds": 0,
        "initContainers": [install, bpf],
        "containers": [node, flanneld],
        "volumes": [
            {"name": "flannel-cfg", "configMap": {"name": "canal-config"}},
            {"name": "cni-net-dir", "hostPath": {"path": "/etc/cni/net.d"}},
        ],
    }
    labels = {"k8s-app": "canal"}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "canal", "namespace": "kube-system", "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def manifest(calico: str = "3.32.1", flannel: str = "0.24.4") -> list[Obj]:
    """The objects of a release, in the order of upstream's file."""
    minor = int(calico.split(".")[1])
    registry = "quay.io/calico" if minor >= 31 else "docker.io/calico"
    controllers = {"k8s-app": "calico-kube-controllers"}
    where = {"name": "calico-kube-controllers", "namespace": "kube-system"}
    crd_rules = (GROUP, list(KINDS), ["get", "list", "watch"])
    nodes = [("", ["pods"], ["get"]), ("", ["nodes"], ["list", "watch"]), ("", ["nodes/status"], ["patch"])]
    token = ("", ["serviceaccounts/token"], ["create"])
    made = [
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {**where, "labels": controllers},
            "spec": {"maxUnavailable": 1, "selector": {"matchLabels": controllers}},
        },
        *(_account(name) for name in ("calico-kube-controllers", "canal", "calico-cni-plugin")),
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "canal-config", "namespace": "kube-system"},
            "data": {
                "typha_service_name": "none",
                "canal_iface": "",
                "masquerade": "true",
                "veth_mtu": "0",
                "cni_network_config": conflist(),
                "net-conf.json": json.dumps({"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}),
            },
        },
        *crds(minor),
        _role("calico-kube-controllers", ("", ["nodes", "pods"], ["get", "list", "watch"]), crd_rules),
        _role("calico-node", token, ("", ["pods", "nodes", "namespaces"], ["get"]), crd_rules),
        _role("calico-cni-plugin", ("", ["pods", "nodes", "namespaces"], ["get"])),
        _role("flannel", *nodes),
        _binding("calico-kube-controllers", "calico-kube-controllers", "calico-kube-controllers"),
        _binding("canal-flannel", "flannel", "canal"),
        _binding("canal-calico", "calico-node", "canal"),
        _binding("calico-cni-plugin", "calico-cni-plugin", "calico-cni-plugin"),
        daemonset(calico, registry, flannel, "ebpf-bootstrap" if minor >= 31 else "mount-bpffs"),
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {**where, "labels": controllers},
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": controllers},
                "strategy": {"type": "Recreate"},
                "template": {
                    "metadata": {**where, "labels": controllers},
                    "spec": {
                        "serviceAccountName": "calico-kube-controllers",
                        "containers": [
                            {"name": "calico-kube-controllers", "image": f"{registry}/kube-controllers:v{calico}"}
                        ],
                    },
                },
            },
        },
    ]
    token_role = next(item for item in made if item["metadata"]["name"] == "calico-node")
    token_role["rules"][0]["resourceNames"] = ["canal", "calico-cni-plugin"]
    return made


def find(items: list[Obj], kind: str, name: str | None = None) -> Obj:
    """The first object of a kind, and name."""
    return next(item for item in items if item["kind"] == kind and name in (None, item["metadata"]["name"]))


def documents(items: list[Any]) -> list[Obj]:
    """Objects as the lookup gives them."""
    return [{"file": "canal.yaml", "line": 10 * number + 1, "object": item} for number, item in enumerate(items)]


def text(items: list[Any]) -> str:
    """The manifest as a file, with the comments and the empty document that upstream's has."""
    return "---\n# made for tests\n---\n" + "---\n".join(yaml.safe_dump(item, sort_keys=False) for item in items)
