# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kinds of installation that are easily missed, or taken for something else."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._discovery.summary import summarise
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery import fakes
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery.fakes import Cluster, cidrs, discovered

CILIUM = "quay.io/cilium/cilium:v1.17.3"
MULTUS = "ghcr.io/k8snetworkplumbingwg/multus-cni:v4.2.1"


def roles(records: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(record["plugin"], record["role"]) for record in records]


# -- what was not looked for ----------------------------------------------------------------------


def test_the_label_of_rke2s_multus_is_known() -> None:
    cluster = fakes.flannel_cluster()
    cluster.daemonsets(fakes.daemonset("rke2-multus", "kube-system", MULTUS, labels={"app": "rke2-multus"}))
    assert roles(discovered(cluster)) == [("flannel", "primary"), ("multus", "meta")]


def test_with_a_primary_found_the_rest_is_not_looked_for_and_not_absent() -> None:
    cluster = fakes.flannel_cluster()
    cluster.daemonsets(fakes.daemonset("meta-plugin", "net", MULTUS))
    by_label = discovered(cluster)
    assert roles(by_label) == [("flannel", "primary")]
    assert by_label[0]["searched"] == "labels"
    assert "like a Multus of one's own" in summarise(by_label)["not_looked_for"][0]
    whole = discovered(cluster, mode="full")
    assert roles(whole) == [("flannel", "primary"), ("multus", "meta")]
    assert (whole[0]["searched"], summarise(whole)["not_looked_for"]) == ("all", [])
    assert discovered(cluster, mode="namespaces", namespaces=("kube-flannel",))[0]["searched"] == "namespaces"


# -- names and images in one request ----------------------------------------------------------------------


def unlabelled(**options: Any) -> Cluster:
    cluster = Cluster().nodes(fakes.flannel_node("a", 1)).service_cidrs(["10.96.0.0/12"])
    crowd = [fakes.daemonset(f"agent-{number}", "team", "example.com/agent:1") for number in range(40)]
    cluster.daemonsets(*crowd, fakes.daemonset("overlay", "net-y", fakes.IMAGE, configmap="odd", **options))
    return cluster.configmaps(fakes.flannel_configmap("net-y", name="odd"))


def test_flannel_without_labels_is_found_by_its_image() -> None:
    cluster = unlabelled()
    (record,) = discovered(cluster, sought="flannel", page_size=10)
    assert (record["plugin"], record["namespace"], cidrs(record)) == ("flannel", "net-y", ["10.244.0.0/16"])
    assert record["searched"] == "images"
    assert not [path for path in cluster.paths() if "limit=10" in path and "Selector" not in path]
    assert len(cluster.requests) <= 12


def of_node(cluster: Cluster, node: str) -> list[dict[str, Any]]:
    """A pod of each DaemonSet as its controller makes it on a node."""
    made = []
    for item in cluster.collections[("/apis/apps/v1", "daemonsets")]:
        name, template = item["metadata"]["name"], item["spec"]["template"]
        metadata = {**template["metadata"], "name": f"{name}-x", "namespace": item["metadata"]["namespace"]}
        metadata["ownerReferences"] = [{"kind": "DaemonSet", "name": name, "controller": True}]
        made.append({"metadata": metadata, "spec": {**template["spec"], "nodeName": node}})
    return made


def test_flannel_without_labels_is_found_by_the_pods_of_a_node() -> None:
    cluster = unlabelled()
    job = {"metadata": {"name": "job", "namespace": "team"}, "spec": {"containers": [], "nodeName": "a"}}
    cluster.pods(job, *of_node(cluster, "a"))
    (record,) = discovered(cluster, sought="flannel")
    assert (record["plugin"], record["namespace"], cidrs(record)) == ("flannel", "net-y", ["10.244.0.0/16"])
    assert record["searched"] == "node"
    assert "have no pod on the Node" in summarise([record])["not_looked_for"][0]
    assert "/apis/apps/v1/daemonsets?includeObject=None" not in cluster.paths()
    assert len(cluster.requests) <= 12


@pytest.mark.parametrize("hindrance", ["forbidden", "another node", "not ready"])
def test_where_pods_do_not_tell_the_table_does(hindrance: str) -> None:
    cluster = unlabelled()
    cluster.pods(*of_node(cluster, "b" if hindrance == "another node" else "a"))
    if hindrance == "forbidden":
        cluster.forbidden.append("^/api/v1/pods$")
    if hindrance == "not ready":
        cluster.collections[("/api/v1", "nodes")][0]["status"]["conditions"] = []
    (record,) = discovered(cluster, sought="flannel")
    assert (record["plugin"], record["searched"]) == ("flannel", "images")


def test_a_server_without_tables_answers_with_the_objects() -> None:
    cluster = unlabelled()
    cluster.tables = False
    (record,) = discovered(cluster)
    assert (record["plugin"], record["searched"]) == ("flannel", "all")


def test_what_only_its_arguments_tell_is_found_among_all() -> None:
    cluster = unlabelled(args=fakes.ARGS)
    cluster.collections[("/apis/apps/v1", "daemonsets")][-1]["spec"]["template"]["spec"]["containers"][0]["image"] = (
        "x/y:1"
    )
    (record,) = discovered(cluster)
    assert (record["plugin"], record["searched"]) == ("flannel", "all")


# -- ranges of cluster-level objects ----------------------------------------------------------------------


def openshift(part: str = "status") -> dict[str, Any]:
    ranges = {"clusterNetwork": [{"cidr": "10.128.0.0/14", "hostPrefix": 23}], "serviceNetwork": ["172.30.0.0/16"]}
    return {"metadata": {"name": "cluster"}, part: ranges}


@pytest.mark.parametrize("part", ["status", "spec"])
def test_openshifts_network_object_serves_every_plugin(part: str) -> None:
    cluster = Cluster("v1.30.0").nodes(fakes.node("a"), fakes.node("b"))
    cluster.daemonsets(fakes.daemonset("cilium", "cilium", CILIUM, labels={"k8s-app": "cilium"}))
    cluster.custom("config.openshift.io", "networks", openshift(part))
    (record,) = discovered(cluster)
    assert (cidrs(record), cidrs(record, "service")) == (["10.128.0.0/14"], ["172.30.0.0/16"])
    assert record["install_method"] == "manifest", "the plugin is its owner's, not OpenShift's"


# -- pairs of a vendor ----------------------------------------------------------------------


def azure(ipam: str) -> Cluster:
    cluster = (
        Cluster()
        .nodes(fakes.node("a"))
        .daemonsets(
            fakes.daemonset("cilium", "kube-system", CILIUM, labels={"k8s-app": "cilium"}),
            fakes.daemonset(
                "azure-cns", "kube-system", "mcr.microsoft.com/azure-cns:v1.6.21", labels={"app": "azure-cns"}
            ),
        )
    )
    return cluster.configmaps(fakes.configmap("cilium-config", "kube-system", ipam=ipam))


def test_azures_pair_is_one_network() -> None:
    first, second = discovered(azure("delegated-plugin"))
    assert roles([first, second]) == [("cilium", "primary"), ("azure-cni", "part")]
    assert "several_primaries" not in first["health"]["reasons"] + second["health"]["reasons"]
    assert first["networking"]["ipam"] == "cloud"


def test_two_networks_are_no_pair() -> None:
    found = discovered(azure("cluster-pool"))
    assert roles(found) == [("cilium", "primary"), ("azure-cni", "secondary")]
    assert "several_primaries" in found[0]["health"]["reasons"]


def test_kube_router_that_routes_for_cilium_is_a_part() -> None:
    cluster = (
        Cluster()
        .nodes(fakes.node("a"))
        .daemonsets(
            fakes.daemonset("cilium", "kube-system", CILIUM, labels={"k8s-app": "cilium"}),
            fakes.daemonset(
                "kube-router",
                "kube-system",
                "docker.io/cloudnativelabs/kube-router:v2.5.0",
                labels={"k8s-app": "kube-router"},
                args=["--run-router=true", "--run-firewall=false", "--enable-cni=false"],
            ),
        )
    )
    cluster.configmaps(fakes.configmap("cilium-config", "kube-system", ipam="kubernetes"))
    assert roles(discovered(cluster)) == [("cilium", "primary"), ("kube-router", "part")]


# -- traces ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plugin", "namespace", "name"),
    [
        ("flannel", "kube-flannel", "kube-flannel-cfg"),
        ("flannel", "kube-system", "kube-flannel-cfg"),
        ("canal", "kube-system", "canal-config"),
        ("calico", "kube-system", "calico-config"),
        ("cilium", "kube-system", "cilium-config"),
    ],
)
def test_a_configmap_alone_is_a_leftover(plugin: str, namespace: str, name: str) -> None:
    cluster = (
        Cluster().nodes(fakes.node("a")).configmaps(fakes.configmap(name, namespace, net__conf_json=fakes.NET_CONF))
    )
    first, second = discovered(cluster)
    assert roles([first, second]) == [("generic", "primary"), (plugin, "leftover")]
    assert (second["namespace"], second["stale_suspected"], second["confidence"]) == (namespace, True, "weak")
    assert second["config_refs"][0]["name"] == name
    assert cidrs(first) == [], "what is left over carries nothing"


def test_the_lookup_of_flannel_names_its_leftover() -> None:
    cluster = Cluster().nodes(fakes.node("a")).configmaps(fakes.flannel_configmap())
    assert roles(discovered(cluster, sought="flannel")) == [("flannel", "leftover")]
    cluster = Cluster().nodes(fakes.node("a")).configmaps(fakes.configmap("calico-config", "kube-system"))
    assert discovered(cluster, sought="flannel") == []


# -- two in one namespace ----------------------------------------------------------------------


def on(item: dict[str, Any], **labels: str) -> dict[str, Any]:
    item["spec"]["template"]["spec"]["nodeSelector"] = {
        key.replace("_", ".io/"): value for key, value in labels.items()
    }
    return item


def test_two_installations_in_one_namespace_are_two_records() -> None:
    cluster = fakes.flannel_cluster()
    cluster.daemonsets(fakes.flannel_daemonset("second-flannel", ready=1))
    first, second = discovered(cluster)
    assert roles([first, second]) == [("flannel", "primary"), ("flannel", "duplicate")]
    assert first["namespace"] == second["namespace"] == "kube-flannel"
    assert [record["workloads"][0]["name"] for record in (first, second)] == ["kube-flannel-ds", "second-flannel"]
    assert "second-flannel" in " ".join(first["warnings"])


def test_daemonsets_for_different_nodes_are_one() -> None:
    cluster = Cluster().nodes(fakes.flannel_node("a", 1)).configmaps(fakes.flannel_configmap())
    cluster.daemonsets(
        on(fakes.flannel_daemonset("amd64"), kubernetes_arch="amd64"),
        on(fakes.flannel_daemonset("arm64"), kubernetes_arch="arm64"),
    )
    (record,) = discovered(cluster)
    assert [workload["name"] for workload in record["workloads"]] == ["amd64", "arm64"]


# -- etcd ----------------------------------------------------------------------


@pytest.mark.parametrize("canal", [False, True])
@pytest.mark.parametrize("how", ["flag", "environment"])
def test_flannel_with_etcd_is_no_configuration_error(canal: bool, how: str) -> None:
    options: dict[str, Any] = {"args": ["--ip-masq"]}
    if how == "flag":
        options["args"].append("--etcd-endpoints=https://198.18.0.1:2379")
    else:
        options["env"] = {"FLANNELD_ETCD_ENDPOINTS": "https://198.18.0.1:2379"}
    if canal:
        options["others"] = [{"name": "calico-node", "image": "quay.io/calico/node:v2.6.2"}]
        options["labels"] = {"k8s-app": "canal"}
    name = "canal-config" if canal else "kube-flannel-cfg"
    cluster = Cluster("v1.20.0").nodes(fakes.node("a"), fakes.node("b"))
    cluster.daemonsets(fakes.flannel_daemonset("net", "kube-system", configmap=name, **options))
    cluster.configmaps(fakes.configmap(name, "kube-system", veth_mtu="1400"))
    (record,) = discovered(cluster)
    assert (record["plugin"], record["config_error"]) == ("canal" if canal else "flannel", None)
    assert any(warning.startswith("network_config_in_etcd") for warning in record["warnings"])
    assert record["health"]["state"] == "healthy"
    assert record["networking"]["ipam"] == "other"


# -- flanneld's own rules ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "ranges", "backend"),
    [
        # Keys are matched without case, the later of two wins, and numbers of options may be what Go takes.
        (
            '{"NETWORK": "10.9.0.0/16", "backend": {"TYPE": "VXLAN", "vni": 7}}',
            ["10.9.0.0/16"],
            {"type": "vxlan", "vni": 7},
        ),
        ('{"Network": "10.8.0.0/16", "Network": "10.9.0.1/16"}', ["10.9.0.0/16"], {"type": "udp"}),
    ],
)
def test_the_network_config_is_read_by_flannelds_rules(text: str, ranges: list[str], backend: dict[str, Any]) -> None:
    cluster = Cluster().nodes(fakes.node("a")).daemonsets(fakes.flannel_daemonset())
    (record,) = discovered(cluster.configmaps(fakes.flannel_configmap(net_conf=text)))
    assert (cidrs(record), record["config_error"]) == (ranges, None)
    assert record["networking"]["backend"] == backend
