# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kube-OVN beyond the acceptance matrix."""

from __future__ import annotations

from typing import Any

from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery import fakes
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery.fakes import Cluster, cidrs, discovered

IMAGE = "docker.io/kubeovn/kube-ovn:v1.15.0"


def kube_ovn(*subnets: dict[str, Any], **options: Any) -> Cluster:
    daemonset = fakes.daemonset("kube-ovn-cni", "kube-system", IMAGE, container="cni-server", **options)
    return Cluster("v1.30.0").daemonsets(daemonset).nodes(fakes.node("a")).custom("kubeovn.io", "subnets", *subnets)


def test_default_subnet_under_another_name() -> None:
    named = {"metadata": {"name": "pods"}, "spec": {"default": True, "cidrBlock": "10.17.0.0/16", "mtu": 1400}}
    other = {"metadata": {"name": "tenant"}, "spec": {"cidrBlock": "10.99.0.0/16"}}
    (record,) = discovered(kube_ovn(other, named))
    assert (cidrs(record), record["networking"]["mtu"]) == (["10.17.0.0/16"], 1400)


def test_service_range_from_the_flag() -> None:
    subnet = {"metadata": {"name": "ovn-default"}, "spec": {"cidrBlock": "10.16.0.0/16", "vlan": "v1"}}
    (record,) = discovered(kube_ovn(subnet, args=["--service-cluster-ip-range=10.98.0.0/16"]))
    assert cidrs(record, "service") == ["10.98.0.0/16"]
    assert record["networking"]["encapsulation"] == "none"


def test_non_primary_mode() -> None:
    cluster = kube_ovn(args=["--non-primary-cni-mode=true"]).daemonsets(fakes.flannel_daemonset())
    cluster.configmaps(fakes.flannel_configmap())
    assert [(item["plugin"], item["role"]) for item in discovered(cluster)] == [
        ("flannel", "primary"),
        ("kube-ovn", "secondary"),
    ]


def test_crds_of_a_removed_install_are_nothing() -> None:
    cluster = Cluster().nodes(fakes.node("a")).custom("kubeovn.io", "subnets")
    assert [item["plugin"] for item in discovered(cluster)] == ["generic"]
