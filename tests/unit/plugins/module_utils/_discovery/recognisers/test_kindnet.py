# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""kindnet in both its variants."""

from __future__ import annotations

import pytest

from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery import fakes
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery.fakes import Cluster, cidrs, discovered

LABELS = {"tier": "node", "app": "kindnet", "k8s-app": "kindnet"}


@pytest.mark.parametrize(
    ("env", "expected"),
    [({"POD_SUBNET": "10.244.0.0/16,fd00:18:244::/56"}, ["10.244.0.0/16", "fd00:18:244::/56"]), ({}, [])],
)
def test_variants(env: dict[str, str], expected: list[str]) -> None:
    image = "docker.io/kindest/kindnetd:v20250214-acbabc1a"
    cluster = Cluster().daemonsets(
        fakes.daemonset("kindnet", "kube-system", image, labels=LABELS, container="kindnet-cni", env=env)
    )
    nodes = [fakes.node(name, pod_cidrs=[f"10.244.{index}.0/24"]) for index, name in enumerate("ab")]
    for node in nodes:
        node["spec"]["providerID"] = "kind://docker/kind/a"
    (record,) = discovered(cluster.nodes(*nodes).service_cidrs(["10.96.0.0/16"]))
    assert (record["plugin"], record["distribution"], record["install_method"]) == ("kindnet", "kind", "distro")
    assert cidrs(record) == expected, "the ranges of Nodes are never put together"
