# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Azure CNI."""

from __future__ import annotations

from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery import fakes
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery.fakes import Cluster, cidrs, discovered


def test_azure_cns() -> None:
    image = "mcr.microsoft.com/containernetworking/azure-cns:v1.6.21"
    cluster = Cluster().daemonsets(fakes.daemonset("azure-cns", "kube-system", image, labels={"app": "azure-cns"}))
    cluster.nodes(fakes.node("a", labels={"kubernetes.azure.com/cluster": "c"})).service_cidrs(["10.0.0.0/16"])
    (record,) = discovered(cluster)
    assert (record["plugin"], record["distribution"], record["install_method"]) == ("azure-cni", "aks", "distro")
    assert (cidrs(record), cidrs(record, "service")) == ([], ["10.0.0.0/16"])
