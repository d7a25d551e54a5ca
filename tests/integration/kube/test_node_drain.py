# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Node is drained as PodDisruptionBudgets allow, told what it waits for, and given back."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.podnet.cni.tests.integration import _kube
from ansible_collections.podnet.cni.tests.integration._warm import run_module

pytestmark = pytest.mark.kube

NODE = "/api/v1/nodes/drained"
PODS = "/api/v1/namespaces/default/pods"
BUDGET = "/apis/policy/v1/namespaces/default/poddisruptionbudgets/web"
MERGE = "application/merge-patch+json"


def pod(name: str, kind: str) -> dict[str, Any]:
    owner = {"apiVersion": "apps/v1", "kind": kind, "name": "web", "uid": "1", "controller": True}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "ownerReferences": [owner], "labels": {"app": kind}},
        "spec": {
            "nodeName": "drained",
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "c", "image": "x"}],
            "tolerations": [{"operator": "Exists"}],
        },
    }


def test_a_budget_is_waited_for(kube: _kube.KubeServer) -> None:
    """The disruption controller's counts, which the API server judges by, are written by hand."""

    def allow(number: int) -> None:
        status = {
            "observedGeneration": 1,
            "disruptionsAllowed": number,
            "currentHealthy": 1,
            "desiredHealthy": 1 - number,
            "expectedPods": 1,
        }
        kube.api("PATCH", f"{BUDGET}/status", {"status": status}, MERGE)

    def drain(**more: Any) -> dict[str, Any]:
        return run_module("kube_node_drain", {"kubeconfig": str(kube.admin), "name": "drained", **more})

    kube.apply(_kube.node("drained", ["10.44.9.0/24"]))
    for name, kind in (("guarded", "ReplicaSet"), ("free", "StatefulSet"), ("stays", "DaemonSet")):
        kube.api("POST", PODS, pod(name, kind))
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "ReplicaSet"}}},
    }
    kube.api("POST", BUDGET.rpartition("/")[0], budget)
    # Counted already, and healthy, as a pod under a budget is.
    ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    kube.api("PATCH", f"{PODS}/guarded/status", {"status": ready}, MERGE)
    allow(0)
    try:
        first = drain()
        assert set(first["left"]) == {"default/guarded", "default/free"}
        again = drain()
        why = "default/guarded: a PodDisruptionBudget does not allow it now"
        assert (again["left"], again["waits"]) == (["default/guarded"], [why])
        assert again["msg"] == f"Pods are still on drained: {why}"
        assert kube.api("GET", NODE)["spec"]["unschedulable"]
        allow(1)
        assert drain()["waits"] == []
        done = drain()
        assert (done["left"], done["changed"]) == ([], False) and "msg" not in done
        assert [each["metadata"]["name"] for each in kube.api("GET", PODS)["items"]] == ["stays"]
        assert drain(state="uncordoned")["changed"] and not drain(state="uncordoned")["changed"]
        assert "unschedulable" not in kube.api("GET", NODE)["spec"]
    finally:
        kube.api("DELETE", BUDGET)
        kube.api("DELETE", f"{PODS}/stays")
        kube.api("DELETE", NODE)
