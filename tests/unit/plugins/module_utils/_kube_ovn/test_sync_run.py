# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The edge of the sync against an API of the test's own: owners, budgets, restarts."""

from __future__ import annotations

from typing import Any, NamedTuple

from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import Conflict, NotFound
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn import sync_run
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


def plan(name: str, owner: tuple[str, str], **more: Any) -> PodPlan:
    return PodPlan("team", name, "u", "1", owner, {"app": "web"}, drift=DRIFT, **more)


def owned_by(name: str, kind: str, owner: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "ownerReferences": [{"kind": kind, "name": owner, "controller": True}]}}


def budget(allowed: int, app: str = "web") -> dict[str, Any]:
    spec = {"selector": {"matchLabels": {"app": app}}}
    return {"metadata": {"name": f"keep-{app}"}, "spec": spec, "status": {"disruptionsAllowed": allowed}}


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
            plan("task", ("Job", "nightly")),
            plan("bare", ("", "")),
        ],
    )
    assert [(owner.kind, owner.name, owner.reason) for owner in found] == [
        ("DaemonSet", "agent", "its update strategy is OnDelete"),
        ("Deployment", "web", ""),
        ("Job", "nightly", "a Job has no rolling restart"),
        ("Pod", "bare", "a bare pod is not made again by anyone"),
        ("ReplicaSet", "lone", "a ReplicaSet has no rolling restart"),
        ("StatefulSet", "store", ""),
    ]
    assert found[1].to_dict()["pods"] == ["web-1-a", "web-1-b"]


def test_a_budget_of_other_pods_does_not_hold_a_restart() -> None:
    owner = sync_run.Owner("team", "Deployment", "web", labels=[{"app": "web"}])
    assert sync_run.disruption_budget_left(FakeApi({BUDGETS: [budget(0, "db"), budget(1)]}), owner) == ""
    assert sync_run.disruption_budget_left(FakeApi({BUDGETS: [budget(1), budget(0)]}), owner) == "keep-web"


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
    stale = sync_run.apply_plans(api, [*plans, plan("c", ("", ""))], 4.0, pauses.append)
    assert stale == ["team/b"]
    assert pauses == [0.25, 0.25]
    assert [path.rsplit("/", 1)[1] for path, _body in api.patches] == ["a"]
