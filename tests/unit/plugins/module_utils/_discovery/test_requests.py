# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many requests each plugin takes where it is hard: before ServiceCIDRs, with a control plane that is not seen."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._discovery import cluster as reading
from ansible_collections.podnet.cni.plugins.module_utils._discovery import recognisers
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery import fakes
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery.fakes import Cluster, discovered

SYSTEM = "kube-system"
CALICO = "quay.io/calico/node:v3.30.1"


def labelled(name: str, image: str, key: str, value: str, **options: Any) -> Cluster:
    daemonset = fakes.daemonset(name, SYSTEM, image, labels={key: value}, **options)
    return Cluster("v1.30.0").daemonsets(daemonset)


def calico() -> Cluster:
    cluster = labelled("calico-node", CALICO, "k8s-app", "calico-node")
    cluster.custom("crd.projectcalico.org", "ippools", {"metadata": {"name": "p"}, "spec": {"cidr": "192.168.0.0/16"}})
    return cluster.configmaps(fakes.configmap("calico-config", SYSTEM, calico_backend="bird"))


def canal() -> Cluster:
    sidecar = {"name": "calico-node", "image": CALICO}
    cluster = labelled("canal", fakes.IMAGE, "k8s-app", "canal", others=[sidecar], configmap="canal-config")
    cluster.configmaps(fakes.configmap("canal-config", SYSTEM, net__conf_json=fakes.NET_CONF))
    return cluster.custom("crd.projectcalico.org", "ippools")


def cilium(name: str = "cilium") -> Cluster:
    cluster = labelled(name, "quay.io/cilium/cilium:v1.17.3", "k8s-app", "cilium")
    return cluster.configmaps(fakes.configmap("cilium-config", SYSTEM, ipam="kubernetes"))


def antrea() -> Cluster:
    cluster = labelled("antrea-agent", "antrea/antrea-agent-ubuntu:v2.3.0", "app", "antrea", container="antrea-agent")
    return cluster.configmaps(fakes.configmap("antrea-config", SYSTEM, **{"antrea-agent.conf": "mtu: 1400"}))


def named(name: str, image: str, group: str, namespace: str = SYSTEM, container: str = "main") -> Cluster:
    return Cluster("v1.30.0", {group: ["v1"]}).daemonsets(fakes.daemonset(name, namespace, image, container=container))


def kube_ovn() -> Cluster:
    cluster = named("kube-ovn-cni", "kubeovn/kube-ovn:v1.15.0", "kubeovn.io", container="cni-server")
    subnet = {"metadata": {"name": "ovn-default"}, "spec": {"cidrBlock": "10.16.0.0/16"}}
    return cluster.add("/apis/kubeovn.io/v1", "subnets", subnet)


def ovn_kubernetes() -> Cluster:
    image, config = "ghcr.io/ovn-kubernetes/ovn-kube-ubuntu:master", {"net_cidr": "10.128.0.0/14/23"}
    cluster = named("ovnkube-node", image, "k8s.ovn.org", "ovn-kubernetes", container="ovnkube-controller")
    return cluster.configmaps(fakes.configmap("ovn-config", "ovn-kubernetes", **config))


def openshift_sdn() -> Cluster:
    spec = {"clusterNetwork": [{"cidr": "10.128.0.0/14"}], "serviceNetwork": ["172.30.0.0/16"]}
    cluster = named("sdn", "example.com/sdn:v1", "network.openshift.io", "openshift-sdn")
    return cluster.custom("config.openshift.io", "networks", {"metadata": {"name": "cluster"}, "spec": spec})


def weave() -> Cluster:
    cluster = labelled("weave-net", "docker.io/weaveworks/weave-kube:2.8.1", "name", "weave-net")
    return cluster.nodes(fakes.node("b", reason="WeaveIsUp"))


CLUSTERS = {
    "flannel": lambda: fakes.flannel_cluster(version="v1.30.0"),
    "canal": canal,
    "calico": calico,
    "cilium": cilium,
    "gke-dataplane-v2": lambda: cilium("anetd"),
    "antrea": antrea,
    "kube-ovn": kube_ovn,
    "ovn-kubernetes": ovn_kubernetes,
    "openshift-sdn": openshift_sdn,
    "kube-router": lambda: labelled(
        "kube-router", "docker.io/cloudnativelabs/kube-router:v2", "k8s-app", "kube-router"
    ),
    "weave": weave,
    "kindnet": lambda: labelled("kindnet", "docker.io/kindest/kindnetd:v1", "app", "kindnet"),
    "aws-vpc-cni": lambda: labelled("aws-node", "example.com/amazon-k8s-cni:v1.19.0", "k8s-app", "aws-node"),
    "azure-cni": lambda: labelled("azure-cns", "example.com/azure-cns:v1.6.21", "app", "azure-cns"),
}


def test_every_recogniser_of_a_primary_is_here() -> None:
    assert {item.plugin for item in recognisers.load_all()} - {"generic", "multus"} == set(CLUSTERS)


@pytest.mark.parametrize("plugin", CLUSTERS)
def test_no_more_requests_than_are_promised(plugin: str) -> None:
    cluster = CLUSTERS[plugin]().nodes(fakes.node("a"), fakes.node("c"))
    cluster.collections.pop(("/apis/networking.k8s.io/v1", "servicecidrs"), None)
    (record,) = discovered(cluster)
    assert (record["plugin"], record["role"]) == (plugin, "primary")
    assert record["api_calls"] == len(cluster.requests) <= reading.REQUESTS


def test_kubeadm_is_asked_where_that_is_not_too_many() -> None:
    text = "networking:\n  serviceSubnet: 10.4.0.0/16\n"
    cluster = CLUSTERS["kindnet"]().nodes(fakes.node("a"), fakes.node("c"))
    cluster.configmaps(fakes.configmap("kubeadm-config", SYSTEM, ClusterConfiguration=text))
    (record,) = discovered(cluster)
    assert fakes.cidrs(record, "service") == ["10.4.0.0/16"]
