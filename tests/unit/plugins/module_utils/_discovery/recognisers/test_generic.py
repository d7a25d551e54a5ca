# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The answer where no plugin is known, and where its ranges come from."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery import fakes
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery.fakes import Cluster, cidrs, discovered


def pod(component: str, *command: str) -> dict[str, Any]:
    metadata = {"name": component, "namespace": "kube-system", "labels": {"component": component}}
    return {"metadata": metadata, "spec": {"containers": [{"name": "c", "command": list(command)}]}}


def old(*nodes: dict[str, Any]) -> Cluster:
    """A cluster before the ServiceCIDR API."""
    return Cluster("v1.28.4").nodes(*(nodes or (fakes.node("a"), fakes.node("b"))))


def test_nothing_known() -> None:
    (record,) = discovered(old())
    assert (record["plugin"], record["role"], record["health"]["state"]) == ("generic", "primary", "unknown")
    assert (cidrs(record), cidrs(record, "service")) == ([], [])


def test_flags_win_over_kubeadm() -> None:
    cluster = old().pods(
        pod("kube-apiserver", "kube-apiserver", "--service-cluster-ip-range=10.1.0.0/16"),
        pod("kube-controller-manager", "x", "--cluster-cidr=10.2.0.0/16", "--service-cluster-ip-range=10.9.0.0/16"),
    )
    cluster.configmaps(
        fakes.configmap("kubeadm-config", "kube-system", ClusterConfiguration="podSubnet: 10.3.0.0/16\n")
    )
    (record,) = discovered(cluster)
    assert (cidrs(record), cidrs(record, "service")) == (["10.2.0.0/16"], ["10.1.0.0/16"])


def test_flag_in_a_shell_line() -> None:
    cluster = old().pods(pod("kube-controller-manager", "/bin/sh", "-c", "exec kcm --cluster-cidr 10.2.0.0/16 2>&1"))
    assert cidrs(discovered(cluster)[0]) == ["10.2.0.0/16"]


def test_pods_of_other_namespaces_count_where_kube_system_has_none() -> None:
    """Some control planes live elsewhere; but anybody can call a pod so."""
    other = pod(
        "kube-controller-manager", "x", "--cluster-cidr=10.66.0.0/16", "--service-cluster-ip-range=10.67.0.0/16"
    )
    other["metadata"]["namespace"] = "tenant"
    (record,) = discovered(old().pods(other))
    assert (cidrs(record), cidrs(record, "service")) == (["10.66.0.0/16"], ["10.67.0.0/16"])
    assert record["networking"]["pod_cidrs"][0]["confidence"] == "medium"
    assert "tenant" in record["networking"]["pod_cidrs"][0]["source"]
    ours = pod("kube-controller-manager", "x", "--cluster-cidr=10.2.0.0/16")
    assert cidrs(discovered(old().pods(other, ours))[0]) == ["10.2.0.0/16"]


@pytest.mark.parametrize("labels", [{"k8s-app": "kube-proxy"}, {"component": "kube-proxy"}])
def test_flags_of_kube_proxy(labels: dict[str, str]) -> None:
    proxy = pod("kube-proxy", "kube-proxy", "--cluster-cidr", "10.68.0.0/16")
    proxy["metadata"].update(namespace="net", labels=labels)
    cluster = old().pods(proxy, {**proxy, "metadata": {**proxy["metadata"], "name": "second"}})
    assert cidrs(discovered(cluster)[0]) == ["10.68.0.0/16"]


def test_rights_for_pods_of_all_namespaces_are_not_needed() -> None:
    cluster = old().pods(pod("kube-controller-manager", "x", "--cluster-cidr=10.2.0.0/16"))
    cluster.forbidden.append("^/api/v1/pods$")
    (record,) = discovered(cluster)
    assert (cidrs(record), record["scope"]) == (["10.2.0.0/16"], "cluster")


def test_kubeadm() -> None:
    text = "networking:\n  podSubnet: 10.3.0.0/16,fd00:18:3::/56\n  serviceSubnet: 10.4.0.0/16\n"
    (record,) = discovered(
        old().configmaps(fakes.configmap("kubeadm-config", "kube-system", ClusterConfiguration=text))
    )
    assert (cidrs(record), cidrs(record, "service")) == (["10.3.0.0/16", "fd00:18:3::/56"], ["10.4.0.0/16"])
    assert record["networking"]["pod_cidrs"][0]["confidence"] == "medium"


def test_kube_proxy() -> None:
    config = fakes.configmap(
        "kube-proxy", "kube-system", **{"config.conf": 'bindAddress: 0.0.0.0\nclusterCIDR: "10.5.0.0/16"\n'}
    )
    assert cidrs(discovered(old().configmaps(config))[0]) == ["10.5.0.0/16"]


def test_rke2_arguments() -> None:
    notes = {"rke2.io/node-args": '["server", "--cluster-cidr", "10.6.0.0/16", "--service-cidr", "10.7.0.0/16"]'}
    (record,) = discovered(old(fakes.node("a", annotations=notes, version="v1.28.4+rke2r1")))
    assert (cidrs(record), cidrs(record, "service")) == (["10.6.0.0/16"], ["10.7.0.0/16"])


def test_one_node_is_a_guess_and_several_are_none() -> None:
    (record,) = discovered(old(fakes.node("a", pod_cidrs=["10.8.0.0/24"])))
    assert [(item["cidr"], item["confidence"]) for item in record["networking"]["pod_cidrs"]] == [
        ("10.8.0.0/24", "low")
    ]
    nodes = [fakes.node(name, pod_cidrs=[f"10.8.{index}.0/24"]) for index, name in enumerate("ab")]
    assert cidrs(discovered(old(*nodes))[0]) == []


def test_service_cidrs_that_are_not_ready_do_not_count() -> None:
    cluster = Cluster("v1.33.0").nodes(fakes.node("a")).service_cidrs(["10.96.0.0/12"], ready="False")
    assert cidrs(discovered(cluster)[0], "service") == []


@pytest.mark.parametrize("forbidden", ["/pods", "configmaps/kubeadm-config"])
def test_what_may_not_be_read_is_said(forbidden: str) -> None:
    cluster = old()
    cluster.forbidden = [forbidden]
    (record,) = discovered(cluster)
    assert record["scope"] == "partial"
    assert any(forbidden.rsplit("/", 1)[-1] in warning for warning in record["warnings"])


def test_forbidden_groups_and_version() -> None:
    cluster = old()
    cluster.forbidden = ["^/apis$", "^/version$"]
    (record,) = discovered(cluster)
    assert (record["server_version"], record["scope"], record["plugin"]) == (None, "partial", "unknown")


def test_who_may_write_cni_configurations_is_named() -> None:
    cluster = old()
    for name, path in (("new-cni", "/etc/cni/net.d/"), ("old", "/opt/cni"), ("logger", "/var/log"), ("root", "/")):
        daemonset = fakes.daemonset(name, "net", "example.org/x:1")
        daemonset["spec"]["template"]["spec"]["volumes"] = [{"name": "v", "hostPath": {"path": path}}]
        cluster.daemonsets(daemonset)
    (record,) = discovered(cluster)
    assert [item["ref"] for item in record["evidence"] if item["source"] == "DaemonSet"] == ["net/new-cni", "net/old"]
