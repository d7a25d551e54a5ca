# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role canal on a real API server: what it applies and in which order, what it takes over, what it refuses."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.podnet.cni.tests.integration import _kube
from ansible_collections.podnet.cni.tests.integration.canal.conftest import Cluster, containers
from ansible_collections.podnet.cni.tests.unit import _canal_manifest as builder

pytestmark = pytest.mark.kube
ADMIN_POLICIES = "adminnetworkpolicies.policy.networking.k8s.io"
BASELINE_POLICIES = "baselineadminnetworkpolicies.policy.networking.k8s.io"


def first(writes: list[str], text: str) -> int:
    return next(number for number, each in enumerate(writes) if text in each)


def last(writes: list[str], text: str) -> int:
    return max(number for number, each in enumerate(writes) if text in each)


def test_from_an_empty_cluster_and_back(cluster: Cluster) -> None:
    mark = cluster.server.audit_mark()
    assert cluster.run(check=True).changed == 2
    assert cluster.writes(mark) == []

    mark = cluster.server.audit_mark()
    wanted = {"pod_cidr_v6": "fd00:244::/48", "flannel_version": "0.28.9"}
    assert cluster.run(**wanted).changed == 2
    writes = cluster.writes(mark)
    order = [
        last(writes, "/customresourcedefinitions/"),
        first(writes, "/clusterroles/"),
        last(writes, "/clusterrolebindings/"),
        first(writes, "/configmaps/canal-config"),
        first(writes, "/daemonsets/canal"),
    ]
    assert order == sorted(order), writes
    requests = [f"{each['verb']} {each['requestURI'].split('?')[0]}" for each in cluster.server.audit(mark)]
    daemonset = len(requests) - 1 - requests[::-1].index("patch /apis/apps/v1/namespaces/kube-system/daemonsets/canal")
    for item in builder.crds(32):
        names = item["spec"]["names"]
        version = item["spec"]["versions"][0]["name"]
        listed = f"list /apis/{item['spec']['group']}/{version}/{names['plural']}"
        assert requests.index(listed) < daemonset, "the kind can be listed before the DaemonSet is there"

    mark = cluster.server.audit_mark()
    assert cluster.run(**wanted).changed == 0
    assert cluster.writes(mark) == [], "a run that changes nothing writes nothing"

    assert cluster.run("uninstall").changed == 1
    assert cluster.daemonset() is None
    assert cluster.role("flannel") is None
    assert cluster.crd("ippools.crd.projectcalico.org") is not None, "its objects are not ours"
    assert cluster.run("uninstall").changed == 0
    assert cluster.run("uninstall", uninstall_crds=True).changed == 1
    assert cluster.crd("ippools.crd.projectcalico.org") is None


def test_settings_reach_a_running_installation(cluster: Cluster) -> None:
    assert cluster.run().changed == 2
    before = cluster.daemonset()
    outcome = cluster.run(flannel_version="0.28.9", health_port=8085, interface="eth1", masquerade=False, mtu=1400)
    assert outcome.changed == 2
    assert outcome.said("load it first"), "br_netfilter is needed from now on"
    after = cluster.daemonset()
    assert before is not None
    assert after is not None
    flannel = containers(after)["kube-flannel"]
    assert flannel["image"] == "ghcr.io/flannel-io/flannel:v0.28.9"
    assert flannel["command"] == ["/opt/bin/flanneld", "--kube-subnet-mgr", "--healthz-port=8085"]
    assert flannel["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert cluster.config()["canal_iface"] == "eth1"
    assert cluster.config()["veth_mtu"] == "1400"
    assert after["metadata"]["generation"] > before["metadata"]["generation"]

    assert cluster.run(backend="host-gw").failed_with("backend vxlan -> host-gw")
    assert cluster.run(pod_cidr="10.9.0.0/16").failed_with("flanneld exits on every node whose podCIDR")
    assert json.loads(cluster.config()["net-conf.json"])["Backend"] == {"Type": "vxlan"}

    # Hosts that are not all of the cluster's nodes: refused before a node or the cluster is changed.
    for name in ("node-1", "node-2"):
        cluster.server.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
    mark = cluster.server.audit_mark()
    assert cluster.migrate("elsewhere").failed_with("The files of node-1, node-2 of the cluster's 2 nodes are not")
    limited = cluster.migrate("node-1,node-2", "--limit", "localhost,node-1")
    assert limited.failed_with("The files of node-2 of the cluster's 2 nodes are not changed")
    assert cluster.migrate("node-1,node-2", "--limit", "node-1").failed_with("The cluster was not asked")
    nobody = cluster.migrate("node-1,node-2", "-e", "canal_node_hosts=nobody", to="canal")
    assert nobody.failed_with("canal_node_hosts (nobody) matches no host")
    assert cluster.writes(mark) == []


def elsewhere(items: list[Any], namespace: str, selector: dict[str, str]) -> list[Any]:
    """A manifest as somebody else applied it: another namespace, other names and more in the pods."""
    moved = json.loads(
        json.dumps(items).replace('"kube-system"', f'"{namespace}"').replace("canal-config", "net-config")
    )
    daemonset = builder.find(moved, "DaemonSet")
    daemonset["metadata"]["name"] = "net"
    daemonset["spec"]["selector"] = {"matchLabels": selector}
    template = daemonset["spec"]["template"]
    template["metadata"]["labels"] = {"k8s-app": "canal", **selector}
    template["spec"]["containers"].append({"name": "old-helper", "image": "example.com/helper:1"})
    return [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}, *moved]


def test_canal_of_another_installer_is_upgraded_where_it_is(cluster: Cluster) -> None:
    cluster.server.apply(*elsewhere(builder.manifest("3.28.5", "0.24.3"), "nets", {"name": "net"}))
    before = cluster.daemonset("nets", "net")
    assert cluster.run(adopt="never").failed_with("DaemonSet nets/net, which this role did not make")
    assert cluster.run().changed == 3
    after = cluster.daemonset("nets", "net")
    assert before is not None
    assert after is not None
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["spec"]["selector"] == before["spec"]["selector"]
    assert sorted(containers(after)) == ["calico-node", "ebpf-bootstrap", "install-cni", "kube-flannel"]
    assert containers(after)["calico-node"]["image"] == "quay.io/calico/node:v3.32.1"
    assert cluster.daemonset() is None
    assert "old-helper" not in json.dumps(after)
    mark = cluster.server.audit_mark()
    assert cluster.run().changed == 0
    assert cluster.writes(mark) == []
    assert cluster.run("uninstall").changed == 1
    assert cluster.daemonset("nets", "net") is None


def test_a_selector_that_cannot_be_kept(cluster: Cluster) -> None:
    items = builder.manifest("3.28.5")
    daemonset = builder.find(items, "DaemonSet")
    expression = {"key": "k8s-app", "operator": "In", "values": ["canal-old"]}
    daemonset["spec"]["selector"] = {"matchExpressions": [expression]}
    daemonset["spec"]["template"]["metadata"]["labels"] = {"k8s-app": "canal-old"}
    cluster.server.apply(*items)
    before = cluster.daemonset()
    mark = cluster.server.audit_mark()
    assert cluster.run(check=True).code == 0
    assert cluster.writes(mark) == []
    assert cluster.run().changed == 3
    after = cluster.daemonset()
    assert before is not None
    assert after is not None
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert after["spec"]["selector"] == {"matchLabels": {"k8s-app": "canal"}}
    assert cluster.run().changed == 0


def damaged(items: list[Any]) -> str:
    return builder.text(items).replace("kind: ClusterRoleBinding\n", "kind: [ClusterRoleBinding\n", 1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (damaged, "is not YAML at line"),
        (lambda _items: builder.text(builder.manifest("3.99.0")), "calico 3.99.0 is not in the matrix"),
    ],
)
def test_a_manifest_that_is_refused_changes_nothing(
    cluster: Cluster, make: Callable[[list[Any]], str], message: str
) -> None:
    cluster.manifest.write_text(make(builder.manifest()))
    mark = cluster.server.audit_mark()
    assert cluster.run().failed_with(message)
    assert cluster.server.audit(mark, "admin") == [], "the cluster was not even asked"


def test_a_manifest_without_its_definitions_is_refused_in_check_mode_as_in_the_real_run(cluster: Cluster) -> None:
    items = builder.manifest()
    definitions = [item for item in items if item["kind"] == "CustomResourceDefinition"]
    mark = cluster.server.audit_mark()
    for lost, check in ((definitions, False), (definitions, True), (definitions[:2], True)):
        cluster.offer([item for item in items if item not in lost])
        assert cluster.run(check=check).failed_with("canal_manifest is not whole: its pods need ")
    assert cluster.writes(mark) == []


def test_an_object_that_the_server_refuses_changes_nothing(cluster: Cluster) -> None:
    items = builder.manifest()
    builder.find(items, "ClusterRole", "calico-node")["rules"][0]["verbs"] = []
    cluster.offer(items)
    mark = cluster.server.audit_mark()
    assert cluster.run().failed_with("clusterroles/calico-node")
    assert cluster.writes(mark) == []


def test_networks_of_others_are_left_alone(cluster: Cluster) -> None:
    container = {"name": "cilium-agent", "image": "quay.io/cilium/cilium:v1.16.0"}
    labels = {"k8s-app": "cilium"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    cilium = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "cilium", "namespace": "kube-system", "labels": labels},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }
    cluster.server.apply(cilium)
    status = {
        "status": {"desiredNumberScheduled": 1, "numberReady": 1, "currentNumberScheduled": 1, "numberMisscheduled": 0}
    }
    path = "/apis/apps/v1/namespaces/kube-system/daemonsets/cilium"
    cluster.server.api("PATCH", f"{path}/status", status, "application/merge-patch+json")
    mark = cluster.server.audit_mark()
    assert cluster.run().failed_with("cilium in namespace kube-system carries the pods of this cluster")
    assert cluster.writes(mark) == []


def test_rke2_keeps_its_canal(cluster: Cluster) -> None:
    items = builder.manifest("3.31.7")
    daemonset = builder.find(items, "DaemonSet")
    daemonset["metadata"].update(name="rke2-canal", annotations={"meta.helm.sh/release-name": "rke2-canal"})
    cluster.server.apply(*items)
    mark = cluster.server.audit_mark()
    assert cluster.run().failed_with("Set its values with a HelmChartConfig called rke2-canal in kube-system")
    assert cluster.run("uninstall").failed_with("belongs to RKE2")
    assert cluster.writes(mark) == []


def test_nodes_outside_of_the_range(cluster: Cluster) -> None:
    node = _kube.node("n1")
    node["spec"] = {"podCIDR": "10.8.3.0/24", "podCIDRs": ["10.8.3.0/24"]}
    cluster.server.apply(node)
    mark = cluster.server.audit_mark()
    assert cluster.run().failed_with("Node n1 has podCIDR 10.8.3.0/24, which is not in 10.244.0.0/16")
    assert cluster.writes(mark) == []


def test_nodes_without_a_range_are_waited_for(cluster: Cluster) -> None:
    cluster.server.apply(_kube.node("n1"))
    outcome = cluster.run(wait=True, wait_timeout=3)
    assert outcome.failed_with("Node n1")
    assert cluster.daemonset() is None, "flanneld would end on that node"
    assert cluster.config()


def test_definitions_of_other_releases(cluster: Cluster) -> None:
    cluster.offer(builder.manifest("3.31.7"))
    assert cluster.run().changed == 2
    policy = {
        "apiVersion": "policy.networking.k8s.io/v1alpha1",
        "kind": "AdminNetworkPolicy",
        "metadata": {"name": "mine"},
        "spec": {},
    }
    cluster.server.api("POST", "/apis/policy.networking.k8s.io/v1alpha1/adminnetworkpolicies", policy)
    cluster.offer(builder.manifest("3.32.1"))
    outcome = cluster.run()
    assert outcome.changed == 2
    assert outcome.said(f"{ADMIN_POLICIES} is of another release of Calico and no longer used (1 objects of it)")
    assert cluster.crd(ADMIN_POLICIES) is not None
    assert cluster.crd(BASELINE_POLICIES) is not None

    assert cluster.run(former_crds="remove_unused").changed == 1
    assert cluster.crd(BASELINE_POLICIES) is None
    assert cluster.crd(ADMIN_POLICIES) is not None, "it has an object"
    assert cluster.run(former_crds="remove_unused").changed == 0

    assert cluster.run(former_crds="remove").changed == 1
    assert cluster.crd(ADMIN_POLICIES) is None


def test_canal_twice(cluster: Cluster) -> None:
    items = builder.manifest()
    second = copy.deepcopy(builder.find(items, "DaemonSet"))
    second["metadata"]["name"] = "canal-two"
    cluster.server.apply(*items, second)
    assert cluster.run().failed_with("Canal is installed more than once: kube-system/canal, kube-system/canal-two")
