# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""OpenShift SDN."""

from __future__ import annotations

from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery import fakes
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery.fakes import Cluster, cidrs, discovered


def test_openshift_sdn() -> None:
    spec = {
        "clusterNetwork": [{"cidr": "10.128.0.0/14"}],
        "serviceNetwork": ["172.30.0.0/16"],
        "networkType": "OpenShiftSDN",
    }
    cluster = Cluster(groups={"network.openshift.io": ["v1"]}).nodes(fakes.node("a"))
    cluster.daemonsets(fakes.daemonset("sdn", "openshift-sdn", "quay.io/openshift/sdn@sha256:00", container="sdn"))
    cluster.custom("config.openshift.io", "networks", {"metadata": {"name": "cluster"}, "spec": spec})
    (record,) = discovered(cluster)
    assert (record["plugin"], record["role"]) == ("openshift-sdn", "primary")
    assert (cidrs(record), cidrs(record, "service")) == (["10.128.0.0/14"], ["172.30.0.0/16"])


def test_the_name_alone_elsewhere_is_nothing() -> None:
    cluster = Cluster(groups={"network.openshift.io": ["v1"]}).nodes(fakes.node("a"))
    cluster.daemonsets(fakes.daemonset("sdn", "storage", "example.com/sdn:1"))
    assert [item["plugin"] for item in discovered(cluster)] == ["generic"]
