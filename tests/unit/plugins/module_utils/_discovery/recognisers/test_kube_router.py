# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""kube-router with its parts on and off."""

from __future__ import annotations

from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery import fakes
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery.fakes import Cluster, cidrs, discovered


def kube_router(*args: str) -> Cluster:
    image = "docker.io/cloudnativelabs/kube-router:v2.5.0"
    daemonset = fakes.daemonset("kube-router", "kube-system", image, labels={"k8s-app": "kube-router"}, args=list(args))
    return Cluster().daemonsets(daemonset).nodes(fakes.node("a", pod_cidrs=["10.1.0.0/24"]))


def test_router() -> None:
    (record,) = discovered(kube_router("--run-router=true", "--run-firewall=true"))
    assert (record["plugin"], record["role"], record["policy"]["provider"]) == ("kube-router", "primary", "kube-router")
    assert record["cni"]["conf_name"] == "10-kuberouter.conflist"
    assert record["networking"]["pod_cidrs"][0]["confidence"] == "low"
    assert cidrs(record) == ["10.1.0.0/24"]


def test_without_overlay_and_firewall() -> None:
    (record,) = discovered(kube_router("--enable-overlay=false", "--run-firewall=false"))
    assert (record["networking"]["encapsulation"], record["policy"]["provider"]) == ("none", "none")


def test_policy_only() -> None:
    records = discovered(kube_router("--run-router=false"))
    assert [(item["plugin"], item["role"]) for item in records] == [("generic", "primary"), ("kube-router", "policy")]
