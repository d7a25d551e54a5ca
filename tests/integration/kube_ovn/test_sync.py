# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module kube_ovn_inheritance_sync on a real API server; the tests play kubelet and deployment controller."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from ansible_collections.podnet.cni.tests.integration import _kube
from ansible_collections.podnet.cni.tests.integration.etcd._lab import run_module
from ansible_collections.podnet.cni.tests.integration.kube_ovn._cluster import (
    GATEWAY,
    ROUTES,
    SECURITY,
    annotate,
    annotations_of,
    apply,
    create,
    namespace,
    pod,
    remove,
    set_status,
    until,
)

pytestmark = pytest.mark.kube

RATE = "ovn.kubernetes.io/ingress_rate"
RESTARTED = "kubectl.kubernetes.io/restartedAt"
RULES = [
    {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "patch"]},
    {"apiGroups": ["apps"], "resources": ["replicasets", "deployments"], "verbs": ["get", "list", "patch"]},
    {"apiGroups": ["policy"], "resources": ["poddisruptionbudgets"], "verbs": ["list"]},
]


class Team:
    """A namespace with pods that run, and the module as a limited user."""

    def __init__(self, kube: _kube.KubeServer, name: str) -> None:
        self.kube = kube
        self.name = name
        self.path = f"/api/v1/namespaces/{name}"
        self.kubeconfig = str(kube.limited_kubeconfig("syncer", RULES))
        kube.apply(namespace(name))

    def pod(self, name: str, annotations: dict[str, str] | None = None, owner: dict[str, Any] | None = None) -> None:
        item = pod(name, annotations, {"app": "web"})
        if owner:
            item["metadata"]["ownerReferences"] = [{**owner, "controller": True}]
        create(self.kube, self.name, item)
        set_status(self.kube, f"{self.path}/pods/{name}", {"phase": "Running", "podIP": "10.16.0.9"})

    def sync(self, *, check: bool = False, **options: Any) -> dict[str, Any]:
        config = {"annotations": ["routes", "port_security", "ingress_rate"]}
        given = {"kubeconfig": self.kubeconfig, "config": config, "namespaces": [self.name], **options}
        return run_module("kube_ovn_inheritance_sync", given, check=check, diff=True)

    def deployment(self, name: str) -> dict[str, Any]:
        """A Deployment and its ReplicaSet; gives the owner reference for pods."""
        template = {"metadata": {"labels": {"app": "web"}}, "spec": pod("any")["spec"]}
        spec = {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": template}
        path = f"/apis/apps/v1/namespaces/{self.name}"
        above = self.kube.api("POST", f"{path}/deployments", {"metadata": {"name": name}, "spec": spec})
        reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name, "uid": above["metadata"]["uid"]}
        metadata = {"name": f"{name}-1", "ownerReferences": [{**reference, "controller": True}]}
        below = self.kube.api("POST", f"{path}/replicasets", {"metadata": metadata, "spec": spec})
        return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": f"{name}-1", "uid": below["metadata"]["uid"]}


def test_live_values_reach_running_pods(kube: _kube.KubeServer) -> None:
    team = Team(kube, "sync-live")
    team.pod("old")
    team.pod("own", {RATE: "9"})
    annotate(kube, team.path, {RATE: "1", SECURITY: "true", ROUTES: GATEWAY})
    planned = team.sync(check=True)
    assert planned["changed"], planned
    assert annotations_of(kube, team.name, "old") == {}
    done = team.sync()
    assert (done["actions"], done["diff"], done["owners"]) == (planned["actions"], planned["diff"], planned["owners"])
    assert annotations_of(kube, team.name, "old").items() >= {RATE: "1", SECURITY: "true"}.items()
    assert annotations_of(kube, team.name, "own")[RATE] == "9"
    assert [(owner["kind"], owner["name"], owner["restartable"]) for owner in done["owners"]] == [
        ("Pod", "old", False),
        ("Pod", "own", False),
    ]
    again = team.sync()
    assert not again["changed"]
    assert again["owners"] == done["owners"]

    annotate(kube, team.path, {RATE: None, SECURITY: None, ROUTES: None})
    held = team.sync()
    assert {entry["pod"] for entry in held["held"]} == {"old", "own"}
    assert RATE not in annotations_of(kube, team.name, "old")
    assert annotations_of(kube, team.name, "old")[SECURITY] == "true"
    assert team.sync(confirm="unprotect")["changed"]
    assert annotations_of(kube, team.name, "old") == {}
    assert annotations_of(kube, team.name, "own") == {RATE: "9"}


def test_withdrawing(kube: _kube.KubeServer) -> None:
    team = Team(kube, "sync-withdraw")
    annotate(kube, team.path, {RATE: "1"})
    team.pod("old", {SECURITY: "true"})
    assert team.sync()["changed"]
    assert team.sync(state="absent", namespaces=None)["changed"]
    assert annotations_of(kube, team.name, "old") == {SECURITY: "true"}
    assert not team.sync(state="absent")["changed"]


def test_restart_waits_for_budget_and_rollout(kube: _kube.KubeServer) -> None:
    team = Team(kube, "sync-restart")
    team.pod("web-1-a", owner=team.deployment("web"))
    annotate(kube, team.path, {ROUTES: GATEWAY})
    budget = {"metadata": {"name": "web"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}}
    budgets = f"/apis/policy/v1/namespaces/{team.name}/poddisruptionbudgets"
    kube.api("POST", budgets, budget)
    (owner,) = team.sync(check=True)["owners"]
    assert (owner["kind"], owner["name"], owner["restartable"]) == ("Deployment", "web", True)
    blocked = team.sync(restart=True, restart_timeout=1.5)
    assert "PodDisruptionBudget web allowed no disruption" in blocked["msg"]
    path = f"/apis/apps/v1/namespaces/{team.name}/deployments/web"

    def restarted() -> dict[str, Any] | None:
        item = kube.api("GET", path)
        return dict(item) if RESTARTED in item["spec"]["template"]["metadata"].get("annotations", {}) else None

    assert restarted() is None
    results: list[dict[str, Any]] = []
    thread = threading.Thread(target=lambda: results.append(team.sync(restart=True, restart_timeout=60)))
    thread.start()
    counts = {"currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 2, "observedGeneration": 1}
    set_status(kube, f"{budgets}/web", {"disruptionsAllowed": 1, **counts})
    item = until(restarted, "the restart")
    assert not results, "the module did not wait for the rollout"
    kube.api("DELETE", f"{team.path}/pods/web-1-a?gracePeriodSeconds=0")
    team.pod("web-2-a", {ROUTES: GATEWAY})
    done = {"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1, "readyReplicas": 1}
    set_status(kube, path, {"observedGeneration": item["metadata"]["generation"], **done})
    thread.join(60)
    assert results[0]["actions"] == ["restart Deployment sync-restart/web"]


def test_a_restart_without_inheritance_is_reported(kube: _kube.KubeServer) -> None:
    team = Team(kube, "sync-in-vain")
    team.pod("web-1-a", owner=team.deployment("web"))
    annotate(kube, team.path, {ROUTES: GATEWAY})
    path = f"/apis/apps/v1/namespaces/{team.name}/deployments/web"
    done = {"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1, "readyReplicas": 1}
    set_status(kube, path, {"observedGeneration": 99, **done})
    assert "is the role in place?" in team.sync(restart=True, restart_timeout=30)["msg"]


def test_a_pod_that_cannot_be_patched_holds_up_no_other(kube: _kube.KubeServer) -> None:
    team = Team(kube, "sync-refused")
    expression = "object.metadata.name != 'a' || request.operation != 'UPDATE'"
    team.pod("a")
    team.pod("b")
    for item in denying("sync-refused", expression):
        apply(kube, item)
    try:
        patch = {"metadata": {"labels": {"x": "y"}}}
        merge = "application/merge-patch+json"
        until(lambda: refused(kube, f"{team.path}/pods/a?dryRun=All", patch, merge), "the policy's taking effect")
        annotate(kube, team.path, {RATE: "1"})
        message = team.sync()["msg"]
    finally:
        remove(kube, denying("sync-refused", expression))
    assert "pod sync-refused/a: " in message
    assert RATE not in annotations_of(kube, team.name, "a")
    assert annotations_of(kube, team.name, "b")[RATE] == "1"


def denying(name: str, expression: str) -> list[dict[str, Any]]:
    """A policy that refuses pods of a namespace for which the expression is false."""
    kind, common = "ValidatingAdmissionPolicy", {"apiVersion": "admissionregistration.k8s.io/v1"}
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["UPDATE"]}
    selector = {"matchLabels": {"kubernetes.io/metadata.name": name}}
    constraints = {"resourceRules": [rule], "namespaceSelector": selector}
    spec = {"matchConstraints": constraints, "validations": [{"expression": expression}]}
    binding = {"policyName": name, "validationActions": ["Deny"]}
    return [
        {**common, "kind": kind, "metadata": {"name": name}, "spec": spec},
        {**common, "kind": f"{kind}Binding", "metadata": {"name": name}, "spec": binding},
    ]


def refused(kube: _kube.KubeServer, path: str, body: dict[str, Any], how: str) -> bool:
    """Whether the API server refuses a patch."""
    try:
        kube.api("PATCH", path, body, how)
    except RuntimeError:
        return True
    return False


def test_a_namespace_that_leaves_takes_nothing_away(kube: _kube.KubeServer) -> None:
    team = Team(kube, "sync-leaves")
    annotate(kube, team.path, {RATE: "1"})
    team.pod("old")
    assert team.sync()["changed"]
    label = {"metadata": {"labels": {"podnet.cni/kube-ovn-inheritance": None}}}
    kube.api("PATCH", team.path, label, "application/merge-patch+json")
    left = team.sync()
    assert not left["changed"]
    assert [(entry["pod"], entry["annotation"]) for entry in left["held"]] == [("old", RATE)]
    assert team.sync(state="absent")["changed"]
    assert annotations_of(kube, team.name, "old") == {}


def test_a_pod_stuck_on_bad_routes_gets_good_ones(kube: _kube.KubeServer) -> None:
    team = Team(kube, "sync-stuck")
    annotate(kube, team.path, {ROUTES: GATEWAY})
    create(kube, team.name, pod("stuck"))
    assert team.sync()["actions"] == [f"set {ROUTES} on pod sync-stuck/stuck"]


def test_bad_input_touches_nothing(kube: _kube.KubeServer) -> None:
    team = Team(kube, "sync-bad")
    assert "never inherited" in team.sync(config={"annotations": ["logical_switch"]})["msg"]
    assert "there is no namespace" in team.sync(namespaces=["sync-none"])["msg"]
    assert "above 0" in team.sync(rate=0)["msg"]
