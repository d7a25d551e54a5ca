# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""GKE Dataplane V2."""

from __future__ import annotations

from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery import fakes
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery.fakes import Cluster, cidrs, discovered


def test_anetd() -> None:
    agent = fakes.daemonset(
        "anetd", "kube-system", "gke.gcr.io/cilium/cilium:v1.15.6-gke.1", labels={"k8s-app": "cilium"}
    )
    cluster = Cluster("v1.33.1-gke.100").daemonsets(agent).service_cidrs(["34.118.224.0/20"])
    cluster.nodes(fakes.node("a", version="v1.33.1-gke.100", pod_cidrs=["10.4.0.0/24"]))
    (record,) = discovered(cluster)
    assert (record["plugin"], record["distribution"], record["install_method"]) == ("gke-dataplane-v2", "gke", "distro")
    assert (cidrs(record), record["networking"]["ipam"]) == ([], "cloud")
    assert (record["version"], record["version_build"]) == ("v1.15.6", "gke.1")
