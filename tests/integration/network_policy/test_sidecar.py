# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module flannel_network_policy on a real API server."""

from __future__ import annotations

import contextlib
import datetime
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.podnet.cni.tests.integration import _kube
from ansible_collections.podnet.cni.tests.integration.etcd._lab import run_module

pytestmark = pytest.mark.kube

NAMESPACE = "kube-flannel"
NAME = "kube-flannel-ds"
PATH = f"/apis/apps/v1/namespaces/{NAMESPACE}/daemonsets"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
ROLE = f"podnet-network-policy:{NAMESPACE}:{NAME}"


def daemonset(name: str = NAME, **spec: Any) -> dict[str, Any]:
    """A DaemonSet as the manifest has it, as far as the module looks."""
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"app": "flannel"}},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {
                    "hostNetwork": True,
                    "serviceAccountName": "flannel",
                    "containers": [
                        {
                            "name": "kube-flannel",
                            "image": "ghcr.io/flannel-io/flannel:v0.28.9",
                            "command": ["/opt/bin/flanneld"],
                            "args": ["--ip-masq", "--kube-subnet-mgr"],
                        }
                    ],
                    **spec,
                },
            },
        },
    }


@pytest.fixture
def flannel(kube: _kube.KubeServer) -> Iterator[_kube.KubeServer]:
    """The cluster with a flannel DaemonSet, and without anything of ours afterwards."""
    kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    kube.api("POST", PATH, daemonset())
    yield kube
    kube.api("DELETE", PATH)
    run(kube, state="absent")


def run(kube: _kube.KubeServer, check: bool = False, **options: Any) -> dict[str, Any]:
    options = {"kubeconfig": str(kube.admin), "unenforced": "accept", **options}
    return run_module("flannel_network_policy", options, check=check, diff=True)


def writes(kube: _kube.KubeServer, mark: int) -> list[str]:
    found = kube.audit(mark)
    return [
        f"{event['verb']} {event['requestURI']}" for event in found if event["verb"] not in ("get", "list", "watch")
    ]


def spec_of(kube: _kube.KubeServer, name: str = NAME) -> Any:
    return kube.api("GET", f"{PATH}/{name}")["spec"]


def sidecar(kube: _kube.KubeServer, name: str = NAME) -> dict[str, Any]:
    containers = spec_of(kube, name)["template"]["spec"]["containers"]
    return next(item for item in containers if item["name"] == "kube-network-policies")


def test_add_again_change_and_give_back(flannel: _kube.KubeServer) -> None:
    before = flannel.api("GET", f"{PATH}/{NAME}")
    mark = flannel.audit_mark()
    planned = run(flannel, check=True)
    assert planned["actions"] == [
        f"create ClusterRole {ROLE}",
        f"create ClusterRoleBinding {ROLE}",
        f"update DaemonSet {NAMESPACE}/{NAME}",
    ], planned
    assert writes(flannel, mark) == []
    assert run(flannel)["actions"] == planned["actions"]
    account = {"kind": "ServiceAccount", "name": "flannel", "namespace": NAMESPACE}
    assert flannel.api("GET", f"{RBAC}/clusterrolebindings/{ROLE}")["subjects"] == [account]
    assert sidecar(flannel)["image"].endswith(":v1.1.1")
    mark = flannel.audit_mark()
    assert not run(flannel)["changed"]
    assert writes(flannel, mark) == []
    changed = run(flannel, version="v0.7.0", resources={"limits": {"memory": "0.5Gi"}})
    assert changed["actions"] == [f"update DaemonSet {NAMESPACE}/{NAME}"]
    assert [mount["mountPath"] for mount in sidecar(flannel)["volumeMounts"]] == ["/lib/modules"]
    assert not run(flannel, version="v0.7.0", resources={"limits": {"memory": "512Mi"}})["changed"]
    assert "own node" in str(changed["warnings"])
    gone = run(flannel, state="absent")
    assert [line.split()[0] for line in gone["actions"]] == ["update", "delete", "delete"]
    after = flannel.api("GET", f"{PATH}/{NAME}")
    assert after["spec"] == before["spec"]
    # The value of the one annotation that the server itself adds counts the changes.
    assert list(after["metadata"]["annotations"]) == list(before["metadata"]["annotations"])
    assert not run(flannel, state="absent")["changed"]


def test_the_account_may_read_what_the_sidecar_reads(flannel: _kube.KubeServer) -> None:
    run(flannel)
    for group, resource in (("", "pods"), ("", "namespaces"), ("networking.k8s.io", "networkpolicies")):
        for verb in ("list", "watch"):
            review = {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SubjectAccessReview",
                "spec": {
                    "user": f"system:serviceaccount:{NAMESPACE}:flannel",
                    "resourceAttributes": {"group": group, "resource": resource, "verb": verb},
                },
            }
            answer = flannel.api("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
            assert answer["status"]["allowed"], (group, resource, verb)


@pytest.fixture
def nodes(kube: _kube.KubeServer) -> Iterator[list[str]]:
    names = ["node-1", "node-2"]
    for name in names:
        kube.api("POST", "/api/v1/nodes", {"metadata": {"name": name, "labels": {"kubernetes.io/os": "linux"}}})
    yield names
    for name in names:
        kube.api("DELETE", f"/api/v1/nodes/{name}")


def test_nothing_is_added_before_every_node_is_known_to_enforce(flannel: _kube.KubeServer, nodes: list[str]) -> None:
    good = {"can_enforce": "yes", "reasons": [], "hostname": "n1.example"}
    bad = {"can_enforce": "no", "reasons": ["the kernel lacks the nftables queue statement."], "hostname": "node-2"}
    mark = flannel.audit_mark()
    for check in (True, False):
        refused = run(flannel, check=check, unenforced="refuse", nodes={"node-1": good, "host-2": bad})["msg"]
        assert "node-2 cannot enforce network policies: the kernel lacks the nftables queue" in refused
        assert "node-1" not in refused
    assert "node-1, node-2 may or may not" in run(flannel, unenforced="refuse")["msg"]
    assert writes(flannel, mark) == []
    known = {"node-1": good, "node-2": {**good, "hostname": "node-2"}}
    added = run(flannel, unenforced="refuse", nodes=known)
    assert added["changed"] and [each["can_enforce"] for each in added["enforcement"]] == ["yes", "yes"]
    later = run(flannel, unenforced="refuse", nodes={"node-1": good, "host-2": bad})
    assert not later["changed"] and "node-2 cannot enforce" in str(later["warnings"]), "it is there already"
    assert not run(flannel, state="absent", unenforced="refuse").get("failed")


def test_flavours(flannel: _kube.KubeServer) -> None:
    refused = run(flannel, version="v1.1.1-npa-v1alpha2")["msg"]
    assert "waits for the kinds clusternetworkpolicies of policy.networking.k8s.io/v1alpha2" in refused
    assert "iptracker" in run(flannel, version="v1.1.1-iptracker")["msg"]
    plural = "clusternetworkpolicies"
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    names = {"plural": plural, "singular": "clusternetworkpolicy", "kind": "ClusterNetworkPolicy"}
    version = {"name": "v1alpha2", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.policy.networking.k8s.io",
            "annotations": {"api-approved.kubernetes.io": "https://github.com/kubernetes-sigs/network-policy-api"},
        },
        "spec": {"group": "policy.networking.k8s.io", "scope": "Cluster", "names": names, "versions": [version]},
    }
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    flannel.api("POST", definitions, definition)
    try:
        done = run(flannel, version="v1.1.1-npa-v1alpha2")
        for _attempt in range(50):
            if done.get("changed"):
                break
            time.sleep(0.2)
            done = run(flannel, version="v1.1.1-npa-v1alpha2")
        assert done["changed"], done
        rules = flannel.api("GET", f"{RBAC}/clusterroles/{ROLE}")["rules"]
        assert [plural] in [rule["resources"] for rule in rules] and "nodes" in rules[0]["resources"]
    finally:
        flannel.api("DELETE", f"{definitions}/{plural}.policy.networking.k8s.io")


def test_proof(kube: _kube.KubeServer, nodes: list[str]) -> None:
    """Pods on a server without kubelets: the test gives them their addresses."""
    namespace = "/api/v1/namespaces/podnet-policy-proof"
    options = {"kubeconfig": str(kube.admin), "nodes": nodes, "image": "example/idle:1", "wait_timeout": 20}
    kube.api("POST", "/api/v1/namespaces", {"metadata": {"name": "someones"}})
    assert "someone else's" in run_module("network_policy_proof", {**options, "namespace": "someones"})["msg"]
    kube.api("DELETE", "/api/v1/namespaces/someones")
    assert "no Node nobody" in run_module("network_policy_proof", {**options, "nodes": ["nobody"]})["msg"]
    result: dict[str, Any] = {}
    thread = threading.Thread(target=lambda: result.update(run_module("network_policy_proof", options)))
    thread.start()
    given: dict[str, str] = {}
    while thread.is_alive():
        with contextlib.suppress(RuntimeError, OSError):
            account = {"metadata": {"name": "default"}}
            kube.api("POST", f"{namespace}/serviceaccounts", account)
        with contextlib.suppress(RuntimeError, OSError):
            for pod in kube.api("GET", f"{namespace}/pods")["items"]:
                name = pod["metadata"]["name"]
                if name not in given:
                    given[name] = f"10.244.{name[-1]}.{10 + len(given)}"
                    status = {"status": {"podIP": given[name], "podIPs": [{"ip": given[name]}]}}
                    kube.api("PATCH", f"{namespace}/pods/{name}/status", status, "application/merge-patch+json")
        time.sleep(0.1)
    thread.join()
    assert "probes" in result, result
    first, second = result["probes"]
    assert (first["node"], first["source_address"]) == ("node-1", given["client-0"])
    assert [(each["address"], each["expect"]) for each in first["targets"]] == [
        (given["open-0"], "reachable"),
        (given["closed-0"], "unreachable"),
        (given["open-1"], "reachable"),
        (given["closed-1"], "unreachable"),
    ]
    assert second["targets"][2]["address"] == given["open-0"]
    policy = kube.api("GET", "/apis/networking.k8s.io/v1/namespaces/podnet-policy-proof/networkpolicies/deny")
    assert policy["spec"]["policyTypes"] == ["Ingress"]


def test_sidecar_of_someone_else(flannel: _kube.KubeServer) -> None:
    theirs = {"name": "kube-network-policies", "image": "theirs:v1"}
    item = daemonset("theirs")
    item["spec"]["template"]["spec"]["containers"].append(theirs)
    flannel.api("POST", PATH, item)
    target = {"namespace": NAMESPACE, "name": "theirs"}
    before = spec_of(flannel, "theirs")
    assert "adopt" in run(flannel, **target)["msg"]
    assert run(flannel, adopt=True, **target)["changed"]
    assert not run(flannel, **target)["changed"]
    run(flannel, state="absent", **target)
    assert spec_of(flannel, "theirs") == before
    assert "it stays" in str(run(flannel, state="absent", **target)["warnings"])


def test_refused_write_changes_nothing_and_says_so(flannel: _kube.KubeServer) -> None:
    rules = [
        {"apiGroups": ["apps"], "resources": ["daemonsets"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["nodes", "configmaps"], "verbs": ["get", "list"]},
        {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["*"], "verbs": ["*"]},
        {"apiGroups": [""], "resources": ["pods", "namespaces"], "verbs": ["list", "watch"]},
        {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": ["list", "watch"]},
    ]
    limited = flannel.limited_kubeconfig("policy-limited", rules)
    refused = run(flannel, kubeconfig=str(limited))
    assert "403" in refused["msg"] and "daemonsets" in refused["msg"], refused
    names = [item["metadata"]["name"] for item in flannel.api("GET", f"{RBAC}/clusterroles")["items"]]
    assert ROLE not in names, "every write is tried before the first"


def test_role_is_removed_when_the_daemonset_is_gone(flannel: _kube.KubeServer) -> None:
    run(flannel)
    flannel.api("DELETE", f"{PATH}/{NAME}")
    assert len(run(flannel, state="absent")["actions"]) == 2
    assert "no flannel DaemonSet" in run(flannel)["msg"]


def test_writers_in_between_lose_nothing(flannel: _kube.KubeServer) -> None:
    """Somebody who changes the object all the time makes the write start over, not overwrite."""
    stop = threading.Event()

    def disturb() -> None:
        count = 0
        while not stop.wait(0.02):
            count += 1
            patch = {"metadata": {"annotations": {"disturbance": str(count)}}}
            flannel.api("PATCH", f"{PATH}/{NAME}", patch, "application/merge-patch+json")

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        results = [run(flannel, verbosity=number) for number in range(3)]
    finally:
        stop.set()
        thread.join()
    for result in results:
        assert result.get("changed") or "409" in result["msg"], result
    result = run(flannel, verbosity=2)
    assert "failed" not in result
    assert "--v=2" in sidecar(flannel)["args"]


def test_server_that_restarts_meanwhile() -> None:
    """A run that the server's end interrupts says so; the next one finishes the work."""
    _kube.require()
    with _kube.running() as server:
        server.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        server.api("POST", PATH, daemonset())
        first = run(server)
        assert first["changed"]
        server.api("DELETE", f"{RBAC}/clusterroles/{ROLE}")
        server.stop_apiserver(kill=True)
        assert "cannot connect" in run(server)["msg"]
        server.start_apiserver()
        assert run(server)["actions"] == [f"create ClusterRole {ROLE}"]


def test_a_rollout_that_has_not_ended_keeps_the_module_out(flannel: _kube.KubeServer) -> None:
    leases = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
    metadata = {"name": f"podnet-rollout-{NAME}", "annotations": {"podnet.cni/rollout-state": "{}"}}
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    spec = {"holderIdentity": "ops:1", "leaseDurationSeconds": 600, "renewTime": now}
    flannel.api("POST", leases, {"metadata": metadata, "spec": spec})
    for check in (True, False):
        assert "is being rolled out by ops:1" in run(flannel, check=check)["msg"]
    released = {"spec": {"holderIdentity": None, "renewTime": None}}
    flannel.api("PATCH", f"{leases}/podnet-rollout-{NAME}", released, "application/merge-patch+json")
    assert "take it back with daemonset_rollout" in run(flannel, state="absent")["msg"]
    flannel.api("DELETE", f"{leases}/podnet-rollout-{NAME}")
    assert run(flannel)["changed"]
