# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Multus stands beside what carries the pods."""

from __future__ import annotations

from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery import fakes
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery.fakes import Cluster, cidrs, discovered


def test_multus_beside_flannel() -> None:
    image = "ghcr.io/k8snetworkplumbingwg/multus-cni:v4.2.0-thick"
    labels = {"tier": "node", "app": "multus", "name": "multus"}
    cluster = fakes.flannel_cluster().daemonsets(fakes.daemonset("kube-multus-ds", "kube-system", image, labels=labels))
    first, second = discovered(cluster)
    assert [(item["plugin"], item["role"]) for item in (first, second)] == [("flannel", "primary"), ("multus", "meta")]
    assert cidrs(second) == []
    assert first["health"]["state"] == "healthy"


def test_multus_alone_carries_nothing() -> None:
    labels = {"app": "multus"}
    cluster = Cluster().daemonsets(fakes.daemonset("m", "kube-system", "ghcr.io/x/multus-cni:v4", labels=labels))
    assert [item["plugin"] for item in discovered(cluster.nodes(fakes.node("a")))] == ["generic", "multus"]
