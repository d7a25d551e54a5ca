# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Amazon VPC CNI."""

from __future__ import annotations

from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery import fakes
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery.fakes import Cluster, cidrs, discovered


def test_aws_node() -> None:
    image = "602401143452.dkr.ecr.eu-west-1.amazonaws.com/amazon-k8s-cni:v1.19.2-eksbuild.1"
    env = {"AWS_VPC_ENI_MTU": "9001", "ENABLE_PREFIX_DELEGATION": "true"}
    daemonset = fakes.daemonset(
        "aws-node", "kube-system", image, labels={"k8s-app": "aws-node"}, container="aws-node", env=env
    )
    cluster = Cluster("v1.33.1-eks-abc").daemonsets(daemonset).service_cidrs(["172.20.0.0/16"])
    (record,) = discovered(cluster.nodes(fakes.node("a", version="v1.33.1-eks-abc")))
    assert (record["plugin"], record["distribution"], record["install_method"]) == ("aws-vpc-cni", "eks", "distro")
    assert (record["version"], record["version_build"]) == ("v1.19.2", "eksbuild.1")
    networking = record["networking"]
    assert (cidrs(record), networking["ipam"], networking["mtu"]) == ([], "cloud", 9001)
    assert networking["backend"]["prefix_delegation"] is True
    assert not any("pods" in path for path in cluster.paths()), "the VPC's ranges are not in the API"
