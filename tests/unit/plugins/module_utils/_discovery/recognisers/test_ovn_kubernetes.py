# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""OVN-Kubernetes in OpenShift and MicroShift; upstream's is in the acceptance matrix."""

from __future__ import annotations

from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery import fakes
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery.fakes import Cluster, cidrs, discovered

IMAGE = "quay.io/openshift/ovn@sha256:00"


def test_openshift() -> None:
    spec = {
        "clusterNetwork": [{"cidr": "10.128.0.0/14", "hostPrefix": 23}, {"cidr": "fd01::/48", "hostPrefix": 64}],
        "serviceNetwork": ["172.30.0.0/16", "fd02::/112"],
        "networkType": "OVNKubernetes",
    }
    network = {"metadata": {"name": "cluster"}, "spec": spec, "status": {**spec, "clusterNetworkMTU": 1400}}
    daemonset = fakes.daemonset("ovnkube-node", "openshift-ovn-kubernetes", IMAGE, container="ovnkube-controller")
    cluster = Cluster().daemonsets(daemonset).nodes(fakes.node("a")).custom("config.openshift.io", "networks", network)
    (record,) = discovered(cluster)
    assert (record["plugin"], record["distribution"], record["install_method"]) == (
        "ovn-kubernetes",
        "openshift",
        "operator",
    )
    assert cidrs(record) == ["10.128.0.0/14", "fd01::/48"]
    assert cidrs(record, "service") == ["172.30.0.0/16", "fd02::/112"]
    assert record["networking"]["mtu"] == 1400
    assert record["version_confidence"] == "none"
    assert len(cluster.requests) <= 8


MICROSHIFT = """
[default]
mtu="1350"
cluster-subnets=10.42.0.0/16
[kubernetes]
service-cidrs=10.43.0.0/16
"""


def microshift(text: str) -> Cluster:
    daemonset = fakes.daemonset("ovnkube-node", "openshift-ovn-kubernetes", IMAGE, container="ovn-controller")
    config = fakes.configmap("ovnkube-config", "openshift-ovn-kubernetes", **{"ovnkube.conf": text})
    groups = {"k8s.ovn.org": ["v1"], "route.openshift.io": ["v1"]}
    return Cluster(groups=groups).daemonsets(daemonset).configmaps(config).nodes(fakes.node("a"))


def test_microshift() -> None:
    (record,) = discovered(microshift(MICROSHIFT))
    assert (record["plugin"], record["distribution"]) == ("ovn-kubernetes", "microshift")
    assert (cidrs(record), cidrs(record, "service")) == (["10.42.0.0/16"], ["10.43.0.0/16"])
    assert record["networking"]["mtu"] == 1350


def test_broken_ini() -> None:
    (record,) = discovered(microshift("no section"))
    assert "not INI text" in record["config_error"]
    assert cidrs(record) == []
