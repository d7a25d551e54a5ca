# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cluster's side of preflight on a real API server: each seeded fault is found, and none is invented."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.podnet.cni.plugins.module_utils._preflight.cluster_checks import CLUSTER_CHECKS
from ansible_collections.podnet.cni.plugins.module_utils._preflight.finding import Finding
from ansible_collections.podnet.cni.tests.integration import _kube
from ansible_collections.podnet.cni.tests.integration.etcd._lab import run_module
from ansible_collections.podnet.cni.tests.integration.kube.test_apply import item

pytestmark = pytest.mark.kube

Obj = dict[str, Any]
MERGE = "application/merge-patch+json"
ADMISSION = "admissionregistration.k8s.io/v1"
NET_CONF = {"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}
WANTED: Obj = {
    "plugin": "flannel",
    "flannel": "v0.28.9",
    "namespace": "kube-flannel",
    "health_port": 8081,
    "network_config": NET_CONF,
}
PREFIX = "flannel.alpha.coreos.com"
RIGHTS = Path(__file__).parents[3] / "docs" / "manifests" / "preflight-rbac.yaml"


class Cluster:
    """A cluster in which flannel runs well, as its objects show it."""

    def __init__(self, server: _kube.KubeServer) -> None:
        self.server = server
        labels = {"pod-security.kubernetes.io/enforce": "privileged"}
        space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-flannel", "labels": labels}}
        config = {"net-conf.json": json.dumps(NET_CONF), "cni-conf.json": "{}"}
        server.apply(space, item("ConfigMap", "kube-flannel-cfg", "kube-flannel", data=config))
        server.apply(item("ConfigMap", "kube-proxy", "kube-system", data={"config.conf": 'mode: ""\n'}))
        self.manager("--allocate-node-cidrs=true", "--cluster-cidr=10.244.0.0/16")
        for number in (1, 2, 3):
            self.node(number)
        self.daemonset()

    def node(self, number: int, **changes: Any) -> None:
        """A Node that flannel has announced; C(changes) are podCIDRs, os or annotations."""
        name = f"n{number}"
        annotations = {
            f"{PREFIX}/backend-type": "vxlan",
            f"{PREFIX}/public-ip": f"198.18.0.{number}",
            f"{PREFIX}/backend-data": json.dumps({"VNI": 1, "VtepMAC": f"0a:00:00:00:00:{number:02x}"}),
            f"{PREFIX}/kube-subnet-manager": "true",
            **changes.get("annotations", {}),
        }
        body = _kube.node(name, changes.get("pod_cidrs", [f"10.244.{number}.0/24"]), annotations)
        body["metadata"]["labels"] = {"kubernetes.io/os": changes.get("os", "linux")}
        self.server.api("POST", "/api/v1/nodes", body)
        status = {
            "addresses": [{"type": "InternalIP", "address": f"198.18.0.{number}"}],
            "nodeInfo": {"kubeletVersion": "v1.36.2", "operatingSystem": changes.get("os", "linux")},
            "conditions": [
                {"type": "Ready", "status": "True"},
                {"type": "NetworkUnavailable", "status": "False", "reason": "FlannelIsUp"},
            ],
        }
        self.server.api("PATCH", f"/api/v1/nodes/{name}/status", {"status": status}, MERGE)

    def manager(self, *flags: str) -> None:
        """The controller manager's static pod as the API server shows it."""
        container = {"name": "m", "image": "m", "command": ["kube-controller-manager", *flags]}
        pod = item("Pod", "kube-controller-manager-n1", "kube-system", spec={"containers": [container]})
        pod["metadata"]["labels"] = {"component": "kube-controller-manager"}
        self.server.api("POST", "/api/v1/namespaces/kube-system/pods", pod)

    def daemonset(self, name: str = "kube-flannel-ds", namespace: str = "kube-flannel", **pod: Any) -> None:
        """flannel's DaemonSet, or another one whose C(pod) has its spec."""
        container = {
            "name": "kube-flannel",
            "image": "ghcr.io/flannel-io/flannel:v0.28.9",
            "args": ["--ip-masq", "--kube-subnet-mgr"],
            "ports": [{"containerPort": 8081, "name": "healthz"}],
            "volumeMounts": [{"name": "flannel-cfg", "mountPath": "/etc/kube-flannel/"}],
        }
        volume = {"name": "flannel-cfg", "configMap": {"name": "kube-flannel-cfg"}}
        spec = {"hostNetwork": True, "containers": [container], "volumes": [volume], **pod}
        labels = {"app": "flannel" if not pod else name}
        template = {"metadata": {"labels": labels}, "spec": spec}
        body = item("DaemonSet", name, namespace, "apps/v1", spec={"selector": {"matchLabels": labels}})
        body["metadata"]["labels"] = labels
        body["spec"]["template"] = template
        path = f"/apis/apps/v1/namespaces/{namespace}/daemonsets"
        self.server.api("POST", path, body)
        counts = ("desiredNumberScheduled", "currentNumberScheduled", "updatedNumberScheduled", "numberReady")
        status = {**dict.fromkeys(counts, 3), "numberAvailable": 3, "numberMisscheduled": 0, "observedGeneration": 1}
        self.server.api("PATCH", f"{path}/{name}/status", {"status": status}, MERGE)

    def facts(self, kubeconfig: str = "") -> Obj:
        """What the module returns."""
        found = run_module("preflight_cluster_info", {"kubeconfig": kubeconfig or str(self.server.admin)})
        assert not found.get("failed"), found
        assert found["changed"] is False
        return dict(found["facts"])

    def findings(self, **wanted: Any) -> list[Finding]:
        facts = self.facts()
        return [finding for check in CLUSTER_CHECKS for finding in check(facts, {**WANTED, **wanted})]

    def faults(self, **wanted: Any) -> set[str]:
        """Checks that found something, without the prefix of their ids."""
        return {each.id.partition(".")[2] for each in self.findings(**wanted) if each.status in ("failed", "unknown")}


@pytest.fixture(scope="module")
def healthy() -> Iterator[Cluster]:
    _kube.require()
    with _kube.running() as server:
        yield Cluster(server)


def test_nothing_is_invented(healthy: Cluster) -> None:
    findings = healthy.findings()
    assert [each for each in findings if each.status not in ("ok", "skipped")] == []
    seen = {each.id: each for each in findings}
    assert seen["cluster.network"].seen == "flannel (primary)"
    assert "--cluster-cidr=10.244.0.0/16" in seen["cluster.allocate_node_cidrs"].seen
    assert seen["cluster.kube_proxy"].seen == "kube-proxy in mode iptables, EnableNFTables false"
    assert seen["cluster.public_ip"].status == seen["cluster.vtep_mac"].status == "ok"


def test_it_only_reads_and_with_few_requests(healthy: Cluster) -> None:
    mark = healthy.server.audit_mark()
    facts = healthy.facts()
    events = healthy.server.audit(mark, "admin")
    assert {event["verb"] for event in events} <= {"get", "list"}
    assert facts["requests"] == len(events) <= 22


def test_many_nodes_are_paged(own_kube: _kube.KubeServer) -> None:
    def facts() -> dict[str, Any]:
        return run_module("preflight_cluster_info", {"kubeconfig": str(own_kube.admin)})["facts"]

    own_kube.api("POST", "/api/v1/nodes", _kube.node("n0"))
    with_one = facts()["requests"]
    for number in range(1, 501):
        own_kube.api("POST", "/api/v1/nodes", _kube.node(f"n{number}"))
    found = facts()
    assert len(found["nodes"]) == 501
    assert found["requests"] <= with_one + 2, "one more page for the checks, and one for discovery"


def test_the_documented_rights_are_enough(healthy: Cluster) -> None:
    healthy.server.apply(*yaml.safe_load(RIGHTS.read_text())["items"])
    healthy.node(9, pod_cidrs=[])
    try:
        facts = healthy.facts(str(healthy.server.token_kubeconfig("podnet-preflight")))
    finally:
        healthy.server.api("DELETE", "/api/v1/nodes/n9")
    assert facts["reasons"] == {}
    assert facts["events"] == []
    assert [(each["plugin"], each["scope"], each["warnings"]) for each in facts["components"]] == [
        ("flannel", "cluster", [])
    ]


def test_missing_rights_are_named(healthy: Cluster) -> None:
    blind = healthy.server.limited_kubeconfig("preflight-blind", [])
    facts = healthy.facts(str(blind))
    assert "the right to list nodes is missing" in facts["reasons"]["nodes"]
    assert set(facts["reasons"]) >= {"nodes", "namespace", "webhooks", "policies", "kube_proxy", "host_ports"}
    findings = [finding for check in CLUSTER_CHECKS for finding in check(facts, WANTED)]
    assert [each for each in findings if each.status == "failed"] == []
    unknown = {each.id for each in findings if each.status == "unknown"}
    assert unknown >= {"cluster.gathered", "cluster.pod_cidr", "cluster.network", "cluster.webhooks"}


def test_a_server_that_does_not_answer(own_kube: _kube.KubeServer) -> None:
    own_kube.stop_apiserver()
    facts = run_module("preflight_cluster_info", {"kubeconfig": str(own_kube.admin)})["facts"]
    findings = [finding for check in CLUSTER_CHECKS for finding in check(facts, WANTED)]
    assert [(each.id, "cannot connect" in each.seen) for each in findings if each.status == "failed"] == [
        ("cluster.api", True)
    ]
    own_kube.start_apiserver()
    facts = run_module("preflight_cluster_info", {"kubeconfig": str(own_kube.admin)})["facts"]
    findings = [finding for check in CLUSTER_CHECKS for finding in check(facts, WANTED)]
    assert [each.status for each in findings if each.id == "cluster.api"] == ["ok"]


def webhook(name: str = "guard", **changes: Any) -> Obj:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    hook = {
        "name": "guard.example.org",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Fail",
        "clientConfig": {"service": {"namespace": "default", "name": "guard"}},
        "rules": [rule],
        **changes,
    }
    return item("ValidatingWebhookConfiguration", name, version=ADMISSION, webhooks=[hook])


def slices(*addresses: str) -> Obj:
    body = item("EndpointSlice", "guard-1", "default", "discovery.k8s.io/v1", addressType="IPv4")
    body["metadata"]["labels"] = {"kubernetes.io/service-name": "guard"}
    body["endpoints"] = [{"addresses": [each], "conditions": {"ready": True}} for each in addresses]
    return body


def policy_objects() -> list[Obj]:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    spec = {"matchConstraints": {"resourceRules": [rule]}, "validations": [{"expression": "true"}]}
    binding = {"policyName": "judge", "validationActions": ["Deny"]}
    return [
        item("ValidatingAdmissionPolicy", "judge", version=ADMISSION, spec=spec),
        item("ValidatingAdmissionPolicyBinding", "judge", version=ADMISSION, spec=binding),
    ]


def seeded(cluster: Cluster) -> None:
    """Faults of every kind at once."""
    server = cluster.server
    server.api("DELETE", "/api/v1/namespaces/kube-system/pods/kube-controller-manager-n1?gracePeriodSeconds=0")
    cluster.manager("--allocate-node-cidrs=false")
    cluster.node(4, pod_cidrs=[], annotations={f"{PREFIX}/backend-type": "host-gw"})
    cluster.node(5, pod_cidrs=["10.9.5.0/24"], annotations={f"{PREFIX}/public-ip": "198.18.0.1"})
    cluster.node(6, pod_cidrs=["10.244.1.128/25"])
    cluster.node(7, os="windows")
    same_mac = {f"{PREFIX}/backend-data": json.dumps({"VNI": 1, "VtepMAC": "0a:00:00:00:00:01"})}
    cluster.node(8, annotations=same_mac)
    unavailable = {"type": "NetworkUnavailable", "status": "True", "reason": "NoRouteCreated"}
    info = {"kubeletVersion": "v1.30.1"}
    status = {"conditions": [unavailable], "nodeInfo": info}
    server.api("PATCH", "/api/v1/nodes/n8/status", {"status": status}, MERGE)
    labels = {"pod-security.kubernetes.io/enforce": "baseline"}
    server.api("PATCH", "/api/v1/namespaces/kube-flannel", {"metadata": {"labels": labels}}, MERGE)
    proxy = {"data": {"config.conf": "mode: nftables\n"}}
    server.api("PATCH", "/api/v1/namespaces/kube-system/configmaps/kube-proxy", proxy, MERGE)
    taken = [{"name": "taken", "image": "t", "ports": [{"containerPort": 80, "hostPort": 8081}]}]
    cluster.daemonset("taker", "default", hostNetwork=False, containers=taken, volumes=[])
    cilium = [{"name": "cilium-agent", "image": "quay.io/cilium/cilium:v1.18.0"}]
    cluster.daemonset("cilium", "kube-system", containers=cilium, volumes=[])
    event = {
        "metadata": {"name": "full.1", "namespace": "default"},
        "involvedObject": {"kind": "Node", "name": "n4"},
        "reason": "CIDRNotAvailable",
        "message": "Node n4 status is now: CIDRNotAvailable",
        "type": "Normal",
    }
    server.api("POST", "/api/v1/namespaces/default/events", event)
    server.api("POST", f"/apis/{ADMISSION}/validatingwebhookconfigurations", webhook())
    policy, binding = policy_objects()
    server.api("POST", f"/apis/{ADMISSION}/validatingadmissionpolicies", policy)
    server.api("POST", f"/apis/{ADMISSION}/validatingadmissionpolicybindings", binding)


# What each remedy says, of all that an administrator does in repair().
REMEDIES = {
    "allocate_node_cidrs": "Set --allocate-node-cidrs=true",
    "pod_cidr": "Run the controller manager with --allocate-node-cidrs=true",
    "pod_cidr_range": "delete the Node and let it register again",
    "pod_cidr_unique": "delete one of the Nodes and let it register again",
    "public_ip": "Give flanneld the right interface (--iface), or the annotation public-ip-overwrite",
    "backend_type": "Restart flannel on the nodes that have not read the network config",
    "vtep_mac": "delete the link and restart flannel there",
    "network_unavailable": "its daemon clears the condition when it has started",
    "version_skew": "Finish the upgrade of Kubernetes",
    "windows": "Set them for all nodes",
    "pod_security": "Label the namespace with pod-security.kubernetes.io/enforce=privileged",
    "kube_proxy": "Set EnableNFTables",
    "health_port": "Choose another port",
    "network": "Keep cilium, or plan a migration",
    "webhooks": "Exclude the namespace by its label kubernetes.io/metadata.name in the webhook's namespaceSelector",
    "admission_policies": "Try it with a dry run: kube_apply in check mode",
}


def repair(cluster: Cluster) -> Obj:
    """Do what the findings say, and return what is wanted afterwards."""
    api = cluster.server.api
    # Nobody answers behind the webhook, so no pod comes up anywhere before it is out of the way.
    spaces = {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-flannel", "kube-system"]}
    hooks = webhook(namespaceSelector={"matchExpressions": [spaces]})["webhooks"]
    api("PATCH", f"/apis/{ADMISSION}/validatingwebhookconfigurations/guard", {"webhooks": hooks}, MERGE)
    api("DELETE", "/api/v1/namespaces/kube-system/pods/kube-controller-manager-n1?gracePeriodSeconds=0")
    cluster.manager("--allocate-node-cidrs=true", "--cluster-cidr=10.244.0.0/16")
    # Nodes that register again get a range, and flannel starts on them with an address and a MAC of their own.
    for number in (4, 5, 6, 8):
        api("DELETE", f"/api/v1/nodes/n{number}")
        cluster.node(number)
    labels = {"pod-security.kubernetes.io/enforce": "privileged"}
    api("PATCH", "/api/v1/namespaces/kube-flannel", {"metadata": {"labels": labels}}, MERGE)
    api("DELETE", "/apis/apps/v1/namespaces/kube-system/daemonsets/cilium")
    pod = item("Pod", "tried", "kube-flannel", spec={"containers": [{"name": "a", "image": "a"}], "hostNetwork": True})
    given = {"kubeconfig": str(cluster.server.admin), "definitions": [pod]}
    assert run_module("kube_apply", given, check=True)["changed"], "the policy lets it in"
    api("DELETE", f"/apis/{ADMISSION}/validatingadmissionpolicybindings/judge")
    backend = {"Type": "vxlan", "VNI": 4096, "Port": 4789}
    return {"health_port": 8082, "network_config": {**NET_CONF, "EnableNFTables": True, "Backend": backend}}


def test_every_seeded_fault_is_found_and_gone_after_its_remedy(own_kube: _kube.KubeServer) -> None:
    cluster = Cluster(own_kube)
    assert cluster.faults() == set()
    seeded(cluster)
    every = {check.id.partition(".")[2] for check in CLUSTER_CHECKS}
    tight = {"network_config": {**NET_CONF, "Network": "10.244.0.0/20"}, "nodes": 16}
    found = cluster.faults()
    assert every - found == {"gathered", "api", "network_overlap", "capacity", "versions"}
    assert "capacity" in cluster.faults(**tight)
    assert "versions" in cluster.faults(flannel="v0.20.0", network_config={**NET_CONF, "EnableNFTables": True})
    assert "network_overlap" in cluster.faults(network_config={**NET_CONF, "Network": "10.96.0.0/12"})
    texts = {each.id: each for each in cluster.findings() if each.status == "failed"}
    assert "which has no ready endpoint now" in texts["cluster.webhooks"].seen
    assert texts["cluster.webhooks"].severity == "error"
    assert set(REMEDIES) == found
    told = [(each.id, each.remedy) for each in cluster.findings()]
    for name, remedy in REMEDIES.items():
        assert any(remedy in text for each, text in told if each == f"cluster.{name}"), (name, told)
    assert cluster.faults(**repair(cluster)) == set()


@pytest.mark.parametrize(
    ("hook", "addresses", "expected"),
    [
        (webhook(), ["10.244.1.7"], ("failed", "warning")),
        (webhook(), ["198.18.0.1", "198.18.0.2"], ("ok", "warning")),
        (webhook(failurePolicy="Ignore"), [], ("ok", "warning")),
        (webhook(matchConditions=[{"name": "a", "expression": "true"}]), [], ("unknown", "warning")),
        (
            webhook(
                namespaceSelector={
                    "matchExpressions": [
                        {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-flannel"]}
                    ]
                }
            ),
            [],
            ("ok", "warning"),
        ),
        (webhook(objectSelector={"matchLabels": {"app": "other"}}), [], ("ok", "warning")),
    ],
)
def test_webhooks(healthy: Cluster, hook: Obj, addresses: list[str], expected: tuple[str, str]) -> None:
    api: Callable[..., Any] = healthy.server.api
    api("POST", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", slices(*addresses))
    api("POST", f"/apis/{ADMISSION}/validatingwebhookconfigurations", hook)
    try:
        (found,) = [each for each in healthy.findings() if each.id == "cluster.webhooks"]
        assert (found.status, found.severity) == expected, found
    finally:
        api("DELETE", f"/apis/{ADMISSION}/validatingwebhookconfigurations/guard")
        api("DELETE", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/guard-1")
