# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The inventory plugin on a real API server, with the rights that the documentation ships."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.podnet.cni.tests.integration import _kube
from ansible_collections.podnet.cni.tests.integration.etcd.test_inventory import listed
from ansible_collections.podnet.cni.tests.integration.kube._leases import NODES, Cluster

pytestmark = pytest.mark.kube


def test_nodes_as_hosts(kube: _kube.KubeServer, tmp_path: Path) -> None:
    cluster = Cluster(kube)
    for number, ready in ((1, "True"), (2, "Unknown")):
        labels = {"topology.kubernetes.io/zone": f"eu-{number}"}
        name = f"node-{number}"
        kube.api(
            "POST",
            NODES,
            {
                "metadata": {"name": name, "labels": labels},
                "spec": {"podCIDR": f"10.44.{number}.0/24", "podCIDRs": [f"10.44.{number}.0/24"]},
            },
        )
        cluster.module("flannel_lease", nodes=[{"name": name, "public_ip": f"198.18.0.{number}"}])
        condition = {"type": "Ready", "status": ready, "reason": "Test", "message": "test"}
        kube.api(
            "PATCH",
            f"{NODES}/{name}/status",
            {"status": {"conditions": [condition]}},
            "application/strategic-merge-patch+json",
        )
    found, warnings = listed(
        tmp_path / "flannel.yaml", {"store": "kubernetes", "kubeconfig": str(cluster.kubeconfig), "group": "pods"}
    )
    hosts = found["_meta"]["hostvars"]
    assert sorted(hosts) == ["node-1", "node-2"], warnings
    assert hosts["node-1"]["ansible_host"] == "198.18.0.1"
    assert hosts["node-1"]["pod_network_lease"]["subnet"] == "10.44.1.0/24"
    assert found["pods_zone_eu_1"]["hosts"] == ["node-1"]
    assert found["pods_silent"]["hosts"] == ["node-2"]
    kube.api("DELETE", NODES)
