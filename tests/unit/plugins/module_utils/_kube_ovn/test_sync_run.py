# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The edge of the sync against an API of the test's own: owners, budgets, restarts."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._kube import rollout
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import (
    Conflict,
    Forbidden,
    KubeError,
    NotFound,
    Unreachable,
)
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn import config, decision, sync_run
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn.sync import Drift, PodPlan

APPS = "/apis/apps/v1/namespaces/team"
BUDGETS = "/apis/policy/v1/namespaces/team/poddisruptionbudgets"
DRIFT = (Drift("ovn.kubernetes.io/routes", None, "[]", "sandbox"),)


class Items(NamedTuple):
    items: list[dict[str, Any]]


class FakeApi:
    """Objects by path; a patch is remembered and completes a rollout at once."""

    def __init__(self, objects: dict[str, Any]) -> None:
        self.objects = objects
        self.patches: list[tuple[str, Any]] = []
        self.problems: dict[str, Exception] = {}

    def get(self, path: str, query: Any = None) -> dict[str, Any]:
        if path not in self.objects:
            raise NotFound(path, status=404)
        return dict(self.objects[path])

    def list(self, path: str, query: Any = None) -> Items:
        return Items(self.objects.get(path, []))

    def patch(self, path: str, body: Any, kind: str = "merge") -> dict[str, Any]:
        if path in self.problems:
            raise self.problems[path]
        self.patches.append((path, body))
        return {}


def plan(name: str, owner: tuple[str, str], version: str = "apps/v1", **more: Any) -> PodPlan:
    return PodPlan("team", name, "u", "1", (version, *owner), {"app": "web"}, drift=DRIFT, **more)


def owned_by(name: str, kind: str, owner: str, version: str = "apps/v1") -> dict[str, Any]:
    reference = {"apiVersion": version, "kind": kind, "name": owner, "controller": True}
    return {"metadata": {"name": name, "ownerReferences": [reference]}}


def budget(allowed: int, app: str = "web", **status: int) -> dict[str, Any]:
    spec = {"selector": {"matchLabels": {"app": app}}}
    return {"metadata": {"name": f"keep-{app}"}, "spec": spec, "status": {"disruptionsAllowed": allowed, **status}}


def test_pods_are_gathered_by_the_workload_that_makes_them() -> None:
    api = FakeApi(
        {
            f"{APPS}/replicasets": [owned_by("web-1", "Deployment", "web"), {"metadata": {"name": "lone"}}],
            f"{APPS}/deployments/web": {"spec": {}},
            f"{APPS}/daemonsets/agent": {"spec": {"updateStrategy": {"type": "OnDelete"}}},
            f"{APPS}/statefulsets/store": {"spec": {"updateStrategy": {"type": "RollingUpdate"}}},
        }
    )
    found = sync_run.owners(
        api,
        [
            plan("web-1-b", ("ReplicaSet", "web-1")),
            plan("web-1-a", ("ReplicaSet", "web-1")),
            plan("lone-a", ("ReplicaSet", "lone")),
            plan("agent-a", ("DaemonSet", "agent")),
            plan("store-0", ("StatefulSet", "store")),
            plan("task", ("Job", "nightly"), "batch/v1"),
            plan("bare", ("", "")),
            plan("clone-0", ("StatefulSet", "store"), "apps.kruise.io/v1beta1"),
            plan("left-0", ("StatefulSet", "left")),
        ],
    )
    assert [(owner.kind, owner.name, owner.reason) for owner in found] == [
        ("DaemonSet", "agent", "its update strategy is OnDelete"),
        ("Deployment", "web", ""),
        ("Job", "nightly", "a Job of batch/v1 has no rolling restart that we know"),
        ("Pod", "bare", "a bare pod is not made again by anyone"),
        ("ReplicaSet", "lone", "a ReplicaSet of apps/v1 has no rolling restart that we know"),
        ("StatefulSet", "left", "it is gone"),
        ("StatefulSet", "store", "a StatefulSet of apps.kruise.io/v1beta1 has no rolling restart that we know"),
        ("StatefulSet", "store", ""),
    ]
    assert found[1].to_dict()["pods"] == ["web-1-a", "web-1-b"]


def test_a_budget_of_other_pods_does_not_hold_a_restart() -> None:
    owner = sync_run.Owner("team", "Deployment", "web", labels=[{"app": "web"}])
    assert sync_run.disruption_budget_left(FakeApi({BUDGETS: [budget(0, "db"), budget(1)]}), owner) == ""
    refusal = sync_run.disruption_budget_left(FakeApi({BUDGETS: [budget(1), budget(0)]}), owner)
    assert refusal == "PodDisruptionBudget keep-web allowed no disruption of 1 at once"
    no_selector = {"metadata": {"name": "none"}, "spec": {}, "status": {}}
    assert sync_run.disruption_budget_left(FakeApi({BUDGETS: [no_selector]}), owner) == ""


def test_a_budget_counts_every_pod_that_an_update_takes_away_at_once() -> None:
    owner = sync_run.Owner("team", "Deployment", "web", at_once=2, labels=[{"app": "web"}])
    assert sync_run.disruption_budget_left(FakeApi({BUDGETS: [budget(1)]}), owner)
    assert sync_run.disruption_budget_left(FakeApi({BUDGETS: [budget(2)]}), owner) == ""
    one = budget(0, expectedPods=8, desiredHealthy=7)
    assert "takes 2 pods away at once" in sync_run.never_allowed(FakeApi({BUDGETS: [one]}), owner)
    two = budget(0, expectedPods=8, desiredHealthy=6)
    assert sync_run.never_allowed(FakeApi({BUDGETS: [two, budget(0)]}), owner) == "", "a matter of waiting"


def test_nothing_is_restarted_while_a_budget_forbids_it() -> None:
    owner = sync_run.Owner("team", "Deployment", "web", labels=[{"app": "web"}])
    api = FakeApi({BUDGETS: [budget(0)]})
    assert "keep-web allowed no disruption" in sync_run.restart(api, owner, -1.0, lambda _seconds: None)
    assert api.patches == []


def test_a_rollout_that_does_not_end_is_reported() -> None:
    owner = sync_run.Owner("team", "Deployment", "web")
    api = FakeApi({f"{APPS}/deployments/web": {"kind": "Deployment", "metadata": {"generation": 1}}})
    assert "not complete" in sync_run.restart(api, owner, -1.0, lambda _seconds: None)
    ((path, body),) = api.patches
    assert path == owner.path
    assert sync_run.RESTARTED_AT in body["spec"]["template"]["metadata"]["annotations"]


def test_patches_are_spaced_and_a_changed_pod_is_left_for_later() -> None:
    pauses: list[float] = []
    api = FakeApi({})
    api.problems["/api/v1/namespaces/team/pods/b"] = Conflict("changed", status=409)
    plans = [plan(name, ("", ""), changes={"key": "value"}) for name in ("a", "b")]
    done = sync_run.apply_plans(api, [*plans, plan("c", ("", ""))], 4.0, pauses.append)
    assert done == (["team/b"], [])
    assert pauses == [0.25, 0.25]
    assert [path.rsplit("/", 1)[1] for path, _body in api.patches] == ["a"]


PODS = "/api/v1/namespaces/team/pods"


def test_a_pod_that_cannot_be_patched_holds_up_no_other() -> None:
    api = FakeApi({})
    api.problems[f"{PODS}/a"] = Forbidden("PATCH: 403 no.", status=403)
    plans = [plan(name, ("", ""), changes={"key": "value"}) for name in ("a", "b")]
    stale, failures = sync_run.apply_plans(api, plans, 1e9, lambda _seconds: None)
    assert (stale, failures) == ([], ["pod team/a: PATCH: 403 no"])
    assert [path for path, _body in api.patches] == [f"{PODS}/b"]
    api.problems[f"{PODS}/a"] = Unreachable("no answer")
    with pytest.raises(Unreachable):
        sync_run.apply_plans(api, plans, 1e9, lambda _seconds: None)


def test_the_message_names_the_first_failures() -> None:
    assert sync_run.summary(["a"]) == "a."
    assert sync_run.summary(list("abcdefg")) == "a; b; c; d; e; and 2 more."


ROUTES = "ovn.kubernetes.io/routes"
DOCUMENT = {"annotations": ["routes", "ingress_rate"], "namespace_selector": {}}
SPACE = {"metadata": {"name": "team", "annotations": {ROUTES: '[{"gw":"10.16.0.1"}]'}}}
DONE = {"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1, "observedGeneration": 1}


def deployments(names: str, routes: str | None = None) -> dict[str, Any]:
    """A team with Deployments of one pod each; its rollouts are complete at once."""
    objects: dict[str, Any] = {"/api/v1/namespaces/team": SPACE, PODS: [], f"{APPS}/replicasets": []}
    for name in names:
        item = owned_by(f"{name}-1-a", "ReplicaSet", f"{name}-1")
        item["metadata"]["annotations"] = {ROUTES: routes} if routes else {}
        objects[PODS].append({**item, "status": {"phase": "Running", "podIP": "10.16.0.9"}})
        objects[f"{APPS}/replicasets"].append(owned_by(f"{name}-1", "Deployment", name))
        metadata = {"name": name, "generation": 1}
        objects[f"{APPS}/deployments/{name}"] = {"kind": "Deployment", "metadata": metadata, "status": DONE}
    return objects


def options(**more: Any) -> dict[str, Any]:
    return {
        "config": DOCUMENT,
        "state": "present",
        "namespaces": ["team"],
        "restart": True,
        "restart_timeout": 1.0,
        "rate": 1e9,
        **more,
    }


def test_a_restart_whose_new_pods_do_not_inherit_is_the_last() -> None:
    api = FakeApi(deployments("ab"))
    result = sync_run.run(api, options(), False)
    assert [path for path, _body in api.patches] == [f"{APPS}/deployments/a"]
    (failure,) = result["failures"]
    assert f"Deployment team/a: new pods do not inherit {ROUTES}: is the role in place?" in failure
    assert "not touched" in failure


def test_an_owner_that_a_budget_never_lets_go_is_not_restarted() -> None:
    objects = deployments("a")
    objects[PODS][0]["metadata"]["labels"] = {"app": "web"}
    objects[BUDGETS] = [budget(0, expectedPods=1, desiredHealthy=1)]
    result = sync_run.run(FakeApi(objects), options(), False)
    assert (result["changed"], result["failures"]) == (False, [])
    assert "never allows more than 0" in result["owners"][0]["reason"]


def test_the_loop_goes_on_after_a_pod_that_cannot_be_patched() -> None:
    lines: list[tuple[Any, ...]] = []
    pods = [{"metadata": {"name": name, "resourceVersion": "1"}, "status": {"phase": "Pending"}} for name in ("a", "b")]
    api = FakeApi({PODS: pods})
    api.problems[f"{PODS}/a"] = KubeError("PATCH: 422 invalid", status=422)
    parsed = config.parse(DOCUMENT)
    loop = sync_run.Loop(api, parsed, 1e9, 1.0, lambda *line, **more: lines.append((*line, more)))
    loop.visit(decision.Namespace.from_object(SPACE), lambda _seconds: None)
    assert (loop.patched, loop.failed) == (1, 1)
    assert lines[0][:2] == ("warning", "sync failed")


def test_the_loop_tells_drifted_pods_from_held_ones() -> None:
    record = decision.write_record({"ovn.kubernetes.io/ingress_rate": decision.digest("1")})
    mine = {"podnet.cni/inherited": record, "ovn.kubernetes.io/ingress_rate": "1"}
    objects = deployments("a")
    objects[PODS].append({"metadata": {"name": "b", "annotations": {**mine, ROUTES: "[]"}}, "status": {"podIP": "x"}})
    bad = {**SPACE["metadata"]["annotations"], "ovn.kubernetes.io/ingress_rate": "1M"}
    loop = sync_run.Loop(FakeApi(objects), config.parse(DOCUMENT), 1e9, 1.0, lambda *_line, **_more: None)
    space = decision.Namespace("team", {}, bad)
    loop.visit(space, lambda _seconds: None)
    assert (loop.drifted, loop.held) == ({"team": 1}, {"team": 1})
    loop.forget("team")
    assert (loop.drifted, loop.held) == ({}, {})


@pytest.mark.parametrize(
    ("kind", "spec", "taken"),
    [
        ("Deployment", {"replicas": 8}, 2),
        ("Deployment", {"replicas": 3}, 0),
        ("Deployment", {"strategy": {"rollingUpdate": {"maxUnavailable": "10%", "maxSurge": 0}}}, 1),
        ("Deployment", {"replicas": 5, "strategy": {"type": "Recreate"}}, 5),
        ("Deployment", {"replicas": 2, "strategy": {"rollingUpdate": {"maxUnavailable": 7}}}, 2),
        ("StatefulSet", {"replicas": 5}, 1),
        ("StatefulSet", {"replicas": 5, "updateStrategy": {"rollingUpdate": {"maxUnavailable": "30%"}}}, 2),
        ("DaemonSet", {"updateStrategy": {"rollingUpdate": {"maxUnavailable": "25%"}}}, 3),
        ("DaemonSet", {"updateStrategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}}, 0),
    ],
)
def test_how_many_pods_an_update_takes_away(kind: str, spec: dict[str, Any], taken: int) -> None:
    status = {"desiredNumberScheduled": 9}
    assert rollout.taken_at_once({"kind": kind, "spec": spec, "status": status}) == taken
