# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Submariner is told of clusters, and what speaks against joining them."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._discovery import submariner, summary
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery import fakes
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery.fakes import Cluster, discovered

# https://submariner.io/operations/deployment/subctl/ and subctl cmd/subctl/join.go, deploybroker.go.
JOIN = {"--context", "--clusterid", "--clustercidr", "--servicecidr", "--cable-driver", "--natt", "--nattport"}
BROKER = {"--context", "--globalnet", "--globalnet-cidr-range", "--globalnet-cluster-size"}


def records(name: str, cluster: Cluster) -> list[dict[str, Any]]:
    found = [{**record, "cluster": name} for record in discovered(cluster)]
    return [*found, summary.summarise(found)]


def flannel(pods: str = "10.244.0.0/16", services: str = "10.96.0.0/12", **backend: Any) -> Cluster:
    config = {"Network": pods, "Backend": {"Type": "vxlan", **backend}}
    cluster = Cluster().daemonsets(fakes.flannel_daemonset())
    cluster.configmaps(fakes.flannel_configmap(net_conf=json.dumps(config)))
    return cluster.nodes(fakes.node("a"), fakes.node("b")).service_cidrs([services])


def healthy(pods: str = "10.244.0.0/16", services: str = "10.96.0.0/12") -> Cluster:
    cluster = fakes.flannel_cluster()
    config = {"Network": pods, "Backend": {"Type": "vxlan"}}
    cluster.collections["/api/v1", "configmaps"] = [fakes.flannel_configmap(net_conf=json.dumps(config))]
    for number, node in enumerate(cluster.collections["/api/v1", "nodes"]):
        own = f"{pods.rpartition('.0.0/')[0]}.{number}.0/24"
        node["spec"].update(podCIDR=own, podCIDRs=[own])
    cluster.collections["/apis/networking.k8s.io/v1", "servicecidrs"][0]["spec"]["cidrs"] = [services]
    return cluster


def plan(*clusters: Cluster, **options: Any) -> dict[str, Any]:
    names = ("east", "west", "north")
    found = [record for name, cluster in zip(names, clusters, strict=False) for record in records(name, cluster)]
    return submariner.plan(found, **options)


def test_two_clusters_of_their_own_ranges() -> None:
    found = plan(healthy(), healthy("10.42.0.0/16", "10.128.0.0/16"))
    assert (found["problems"], found["globalnet"], found["overlaps"]) == ([], False, [])
    assert found["commands"] == [
        "subctl deploy-broker --context east",
        "subctl join broker-info.subm --context east --clusterid east --clustercidr 10.244.0.0/16 "
        "--servicecidr 10.96.0.0/12 --cable-driver libreswan",
        "subctl join broker-info.subm --context west --clusterid west --clustercidr 10.42.0.0/16 "
        "--servicecidr 10.128.0.0/16 --cable-driver libreswan",
    ]
    notes = " ".join(found["clusters"][0]["notes"])
    for text in ("UDP 4800", "UDP 4500 (tunnel) and UDP 4490", "ESP", "flannel's own UDP 8472", "tcp-clamp-mss"):
        assert text in notes
    assert found["values"]["west"]["submariner"]["clusterCidr"] == "10.42.0.0/16"


def test_the_same_ranges_need_globalnet() -> None:
    found = plan(healthy(), healthy())
    assert (found["globalnet"], found["problems"]) == (True, [])
    assert len(found["overlaps"]) == 2
    assert "--globalnet --globalnet-cidr-range 242.0.0.0/8 --globalnet-cluster-size 65536" in found["commands"][0]
    assert found["values"]["east"]["broker"] == {"globalnet": True}
    refused = plan(healthy(), healthy(), globalnet="off")
    assert not refused["globalnet"] and "Globalnet is off" in refused["problems"][0]
    assert plan(healthy(), globalnet="on")["globalnet"]


def test_globalnet_needs_room_of_its_own() -> None:
    inside = plan(healthy("10.244.0.0/16"), healthy(), globalnet_range="10.0.0.0/8")["problems"]
    assert any("overlaps Globalnet's 10.0.0.0/8" in text for text in inside)
    small = plan(healthy(), healthy(), globalnet_range="242.0.0.0/16")["problems"]
    assert small == ["242.0.0.0/16 has no room for 2 clusters of 65536 addresses."]


@pytest.mark.parametrize("options", [{}, {"natt": False, "natt_port": 4501, "cable_driver": "wireguard"}])
def test_options_are_those_that_subctl_documents(options: dict[str, Any]) -> None:
    found = plan(healthy(), healthy(), **options)
    deploy, *joins = [
        {word.split("=")[0] for word in shlex.split(line) if word.startswith("--")} for line in found["commands"]
    ]
    assert deploy <= BROKER
    assert all(join <= JOIN for join in joins)
    if options:
        assert "--natt=false --nattport 4501" in found["commands"][1]
        assert "--cable-driver wireguard" in found["commands"][1]
        assert "ESP" not in " ".join(found["clusters"][0]["notes"])


@pytest.mark.parametrize(
    ("backend", "text"),
    [
        ({"Port": 4800}, "uses UDP 4800, which Submariner needs between nodes"),
        ({"Port": 4500}, "uses UDP 4500, which Submariner needs for its tunnels"),
        ({"Type": "wireguard", "ListenPort": 4490}, "uses UDP 4490, which Submariner needs to discover NAT"),
    ],
)
def test_flannel_on_a_port_of_submariner(backend: dict[str, Any], text: str) -> None:
    assert any(text in problem for problem in plan(flannel(**backend))["problems"])


def test_host_gw_is_told_of_spoofing_and_the_mtu_is_named() -> None:
    notes = " ".join(plan(flannel(Type="host-gw"))["clusters"][0]["notes"])
    assert "spoofing" in notes and "flannel's own" not in notes
    assert "pods have an MTU of 1400" in " ".join(plan(flannel(MTU=1400))["clusters"][0]["notes"])


def dual() -> Cluster:
    config = {
        "Network": "10.244.0.0/16",
        "IPv6Network": "fd00:18::/48",
        "EnableIPv6": True,
        "Backend": {"Type": "vxlan"},
    }
    cluster = flannel()
    cluster.collections["/api/v1", "configmaps"] = [fakes.flannel_configmap(net_conf=json.dumps(config))]
    return cluster


def test_one_range_of_ipv4_is_what_submariner_takes() -> None:
    found = plan(dual())["clusters"][0]
    assert found["cluster_cidr"] == "10.244.0.0/16"
    assert "fd00:18::/48 is not connected" in " ".join(found["notes"])
    only = {"EnableIPv4": False, "IPv6Network": "fd00:18::/48", "EnableIPv6": True, "Backend": {"Type": "vxlan"}}
    cluster = flannel()
    cluster.collections["/api/v1", "configmaps"] = [fakes.flannel_configmap(net_conf=json.dumps(only))]
    found = plan(cluster)
    assert "no pod range for --clustercidr: only fd00:18::/48 is known" in found["problems"][0]
    assert "--clustercidr" not in found["commands"][1]


def test_node_addresses_have_to_be_outside() -> None:
    found = plan(healthy("198.18.0.0/16", "10.96.0.0/12"))["problems"]
    assert any("the node address 198.18.0.1 is in the pod range of east" in text for text in found)


def test_a_cluster_of_which_little_is_known() -> None:
    blind = Cluster("v1.18.2").nodes(fakes.node("a"))
    blind.forbidden.append("daemonsets")
    problems = " ".join(plan(blind)["problems"])
    for text in ("was not read wholly", "what carries its pods is not known", "older than 1.19", "none is known"):
        assert text in problems
    other = fakes.daemonset(
        "kube-router", "kube-system", "docker.io/cloudnativelabs/kube-router:v2", labels={"k8s-app": "kube-router"}
    )
    notes = plan(Cluster("v1.20.1").daemonsets(other).nodes(fakes.node("a", pod_cidrs=["10.1.0.0/24"])))["clusters"][0][
        "notes"
    ]
    assert any("not tested with kube-router" in note for note in notes)
    assert any("service discovery needs Kubernetes 1.21" in note for note in notes)
    assert any("is of confidence low" in note for note in notes)


def test_cluster_ids_are_dns_labels() -> None:
    assert submariner.cluster_id("admin@East_1.example") == "admin-east-1-example"
    assert len(submariner.cluster_id("a" * 80)) == 63
    found = [record for name in ("a/b", "a_b") for record in records(name, healthy())]
    problems = submariner.plan(found)["problems"]
    assert "a/b, a_b get the same cluster ID: rename their contexts." in problems


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"globalnet": "maybe"}, "submariner_globalnet is maybe"),
        ({"cable_driver": "ipsec"}, "use one of libreswan"),
        ({"globalnet_range": "fd00::/8"}, "not an IPv4 network"),
        ({"globalnet_size": 0}, "submariner_globalnet_size is 0"),
        ({"natt_port": 70000}, "use 1 to 65535"),
        ({"broker": "south"}, "there are east"),
    ],
)
def test_bad_options(options: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=text):
        plan(healthy(), **options)


def test_records_without_a_summary() -> None:
    with pytest.raises(InputError, match="summary=true"):
        submariner.plan(records("east", healthy())[:1])
