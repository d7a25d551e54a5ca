# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role flannel when the cluster gets in its way: it says what happened, and the next run finishes the work."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ansible_collections.podnet.cni.tests.integration import _kube
from ansible_collections.podnet.cni.tests.integration.flannel_role.conftest import Cluster
from ansible_collections.podnet.cni.tests.integration.flannel_role.test_cluster import installed

pytestmark = pytest.mark.kube

EVERYTHING_BUT_BINDINGS = [
    {"apiGroups": [""], "resources": ["*"], "verbs": ["*"]},
    {"apiGroups": ["apps"], "resources": ["*"], "verbs": ["*"]},
    {"apiGroups": ["apiextensions.k8s.io", "networking.k8s.io"], "resources": ["*"], "verbs": ["get", "list"]},
    {
        "apiGroups": ["rbac.authorization.k8s.io"],
        "resources": ["clusterroles"],
        "verbs": ["get", "list", "create", "patch", "escalate"],
    },
]
ABSENT_WEBHOOK: dict[str, Any] = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "ValidatingWebhookConfiguration",
    "metadata": {"name": "gone"},
    "webhooks": [
        {
            "name": "gone.example.com",
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "failurePolicy": "Fail",
            "clientConfig": {"url": "https://127.0.0.1:1/validate"},
            "rules": [
                {"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["daemonsets"], "operations": ["CREATE"]}
            ],
        }
    ],
}


def assert_finished(cluster: Cluster) -> None:
    """The next run ends well, and the one after it has nothing to do."""
    assert cluster.run().code == 0
    assert cluster.daemonset() is not None
    mark = cluster.server.audit_mark()
    assert cluster.run().changed == 0
    assert cluster.writes(mark) == []


def test_a_server_that_dies_during_the_first_write(cluster: Cluster) -> None:
    mark = cluster.server.audit_mark()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(cluster.run)
        while not cluster.writes(mark) and not running.done():
            time.sleep(0.01)
        cluster.server.stop_apiserver(kill=True)
        cluster.server.start_apiserver()
        outcome = running.result()
    assert outcome.code == 0 or outcome.failed_with(cluster.server.url)
    assert_finished(cluster)


def test_a_webhook_that_does_not_answer_stops_everything(cluster: Cluster) -> None:
    # In a namespace that is yet to be made nothing could be tried beforehand.
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-flannel"}}
    cluster.server.apply(namespace, ABSENT_WEBHOOK)
    mark = cluster.server.audit_mark()
    assert cluster.run().failed_with("gone.example.com")
    assert cluster.writes(mark) == [], "an object that is refused is found out before any is written"
    cluster.server.api("DELETE", "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/gone")
    assert_finished(cluster)


def test_a_daemonset_that_cannot_be_made_anew_is_not_deleted(cluster: Cluster) -> None:
    expressions = [{"key": "generation", "operator": "In", "values": ["old"]}]
    items = installed("kube-system", selector={"name": "old"}, labels={"generation": "old"}, expressions=expressions)
    cluster.server.apply(*items, ABSENT_WEBHOOK)
    before = cluster.daemonset("kube-system")
    assert before is not None
    assert cluster.run().failed_with("gone.example.com")
    after = cluster.daemonset("kube-system")
    assert after is not None
    assert after["metadata"]["uid"] == before["metadata"]["uid"]


@pytest.mark.parametrize("pods", [True, False])
def test_a_run_that_is_cut_off_after_the_deletion_is_finished_in_the_same_place(cluster: Cluster, pods: bool) -> None:
    cluster.server.apply(*installed("kube-system", name="our-flannel"))
    assert cluster.run().code == 0
    old = cluster.daemonset("kube-system", "our-flannel")
    assert old is not None
    if pods:
        template = old["spec"]["template"]
        metadata = {"generateName": "our-flannel-", "labels": template["metadata"]["labels"]}
        left = {"metadata": metadata, "spec": {**template["spec"], "nodeName": "n1"}}
        cluster.server.api("POST", "/api/v1/namespaces/kube-system/pods", left)
    cluster.server.api("DELETE", "/apis/apps/v1/namespaces/kube-system/daemonsets/our-flannel")
    done = cluster.run()
    assert done.code == 0, done.output
    assert "has lost its DaemonSet" in " ".join(done.output.split())
    listed = cluster.server.api("GET", "/apis/apps/v1/daemonsets")["items"]
    name = "our-flannel" if pods else "kube-flannel-ds"
    assert [(item["metadata"]["namespace"], item["metadata"]["name"]) for item in listed] == [("kube-system", name)]
    assert cluster.get("/api/v1/namespaces/kube-flannel") is None
    assert cluster.run().changed == 0


def test_a_user_without_the_right_to_one_object(cluster: Cluster) -> None:
    limited = cluster.server.limited_kubeconfig("installer", EVERYTHING_BUT_BINDINGS)
    outcome = cluster.run(kubeconfig=str(limited))
    assert outcome.failed_with("clusterrolebindings")
    assert cluster.daemonset() is None, "the bindings come before the pods"
    assert_finished(cluster)


def test_a_daemonset_that_never_becomes_ready(cluster: Cluster) -> None:
    # No controller runs here, so nothing ever starts its pods. A cluster without nodes lacks no podCIDR.
    outcome = cluster.run(wait=True, wait_timeout=2)
    assert outcome.failed_with("after 2 s: DaemonSet kube-flannel/kube-flannel-ds: its controller has not seen")
    assert_finished(cluster)


def test_pod_cidrs_that_are_missing_or_outside(cluster: Cluster) -> None:
    node = _kube.node("late")
    node["metadata"]["labels"] = {"kubernetes.io/os": "linux"}
    cluster.server.api("POST", "/api/v1/nodes", node)
    outcome = cluster.run(wait_pod_cidrs=True, wait_timeout=1)
    assert outcome.failed_with("after 1 s: Node late: it has no podCIDR of IPv4 yet")
    assert cluster.daemonset() is None, "the DaemonSet comes after the podCIDRs"
    assert cluster.run(wait_pod_cidrs=True, wait_timeout=1, check=True).code == 0
    spec = {"podCIDR": "10.9.1.0/24", "podCIDRs": ["10.9.1.0/24"]}
    cluster.server.api("PATCH", "/api/v1/nodes/late", {"spec": spec}, "application/merge-patch+json")
    outcome = cluster.run(wait_pod_cidrs=True)
    assert outcome.failed_with("Node late: its podCIDR 10.9.1.0/24 is not inside 10.244.0.0/16")
    assert cluster.run(wait_pod_cidrs=True, pod_cidr="10.9.0.0/16").changed == 1


def test_two_runs_at_once(cluster: Cluster) -> None:
    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(lambda _run: cluster.run(), range(2)))
    assert [outcome.code for outcome in outcomes] == [0, 0], [outcome.output for outcome in outcomes]
    listed = cluster.server.api("GET", "/apis/apps/v1/daemonsets")["items"]
    assert [item["metadata"]["name"] for item in listed] == ["kube-flannel-ds"]
    assert_finished(cluster)
