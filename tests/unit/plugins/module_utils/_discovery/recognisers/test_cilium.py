# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Cilium in its routing modes and spellings."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery import fakes
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery.fakes import Cluster, cidrs, discovered


def cluster_with(data: dict[str, str]) -> Cluster:
    labels = {"k8s-app": "cilium", "app.kubernetes.io/managed-by": "Helm"}
    cluster = Cluster().daemonsets(
        fakes.daemonset("cilium", "kube-system", "quay.io/cilium/cilium:v1.17.3", labels=labels)
    )
    return cluster.configmaps(fakes.configmap("cilium-config", "kube-system", **data)).nodes(fakes.node("a"))


@pytest.mark.parametrize(
    ("data", "encapsulation"),
    [
        ({"routing-mode": "tunnel", "tunnel-protocol": "geneve"}, "geneve"),
        ({"routing-mode": "native"}, "none"),
        ({"tunnel": "vxlan"}, "vxlan"),
        ({"tunnel": "disabled"}, "none"),
        ({}, "vxlan"),
    ],
)
def test_encapsulation(data: dict[str, str], encapsulation: str) -> None:
    (record,) = discovered(cluster_with(data))
    assert record["networking"]["encapsulation"] == encapsulation
    assert (record["role"], record["install_method"]) == ("primary", "helm")


def test_cluster_pool_of_both_families() -> None:
    data = {"ipam": "cluster-pool", "cluster-pool-ipv4-cidr": "10.0.0.0/8", "cluster-pool-ipv6-cidr": "fd00:18::/104"}
    (record,) = discovered(cluster_with(data | {"enable-ipv6": "true", "mtu": "1450"}))
    assert cidrs(record) == ["10.0.0.0/8", "fd00:18::/104"]
    assert (record["networking"]["mtu"], record["networking"]["ipam"]) == (1450, "cluster-pool")


@pytest.mark.parametrize(("ipam", "expected"), [("eni", "cloud"), ("kubernetes", "node-podcidr"), ("other", "other")])
def test_ipam(ipam: str, expected: str) -> None:
    assert discovered(cluster_with({"ipam": ipam}))[0]["networking"]["ipam"] == expected


def test_cloud_addresses_are_not_looked_for_elsewhere() -> None:
    cluster = cluster_with({"ipam": "eni"})
    pod: dict[str, Any] = {"containers": [{"command": ["x", "--cluster-cidr=10.1.0.0/16"]}]}
    labels = {"component": "kube-controller-manager"}
    cluster.pods({"metadata": {"name": "m", "namespace": "kube-system", "labels": labels}, "spec": pod})
    assert cidrs(discovered(cluster)[0]) == []


@pytest.mark.parametrize(
    ("mode", "role", "conf_name", "warned"),
    [
        ("none", "primary", "05-cilium.conflist", False),
        ("portmap", "primary", "05-cilium.conflist", False),
        ("aws-cni", "chained", None, False),
        ("azure", "chained", None, False),
        ("flannel", "chained", None, False),
        ("generic-veth", "chained", None, False),
        ("of-tomorrow", "primary", "05-cilium.conflist", True),
    ],
)
def test_chaining_is_read_by_its_meaning(mode: str, role: str, conf_name: str | None, warned: bool) -> None:
    record = next(item for item in discovered(cluster_with({"cni-chaining-mode": mode})) if item["plugin"] == "cilium")
    assert (record["role"], record["cni"]["conf_name"]) == (role, conf_name)
    assert any("cni-chaining-mode" in text for text in record["warnings"]) is warned
