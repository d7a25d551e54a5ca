# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The action plugins that repeat a module: rollouts, and waiting for a cluster."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible.plugins.action import ActionBase

from ansible_collections.podnet.cni.plugins.action import daemonset_rollout as action
from ansible_collections.podnet.cni.plugins.action import kube_apply, kube_wait
from ansible_collections.podnet.cni.plugins.plugin_utils import _steps

MORE = {"done": False}


def progress(done: int, text: str = "waiting") -> dict[str, Any]:
    return {"phase": "update", "wave": 1, "waves": 2, "done": done, "total": 3, "text": text, "elapsed": 7}


def told(asked: dict[str, Any]) -> dict[str, Any]:
    """What a step was told beside the options of the task."""
    return dict(asked.get("_task") or {})


class Played:
    """An action whose module gives answers from a list, and what it printed, slept and asked for."""

    PLUGIN: type[Any] = action.ActionModule

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        answers: list[dict[str, Any]],
        variables: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self.asked: list[dict[str, Any]] = []
        self.shown: list[str] = []
        self.slept: list[float] = []
        self.clock = 0.0
        left = iter(answers)

        def execute(**given: Any) -> dict[str, Any]:
            self.asked.append(dict(given["module_args"]))
            return dict(next(left))

        plugin = object.__new__(self.PLUGIN)
        plugin._task = SimpleNamespace(args=options)
        plugin._templar = SimpleNamespace(template=lambda value: value)
        monkeypatch.setattr(ActionBase, "run", lambda *_arguments: {})
        monkeypatch.setattr(plugin, "_execute_module", execute, raising=False)
        monkeypatch.setattr(_steps.display, "display", self.shown.append)
        monkeypatch.setattr(_steps.time, "sleep", self.sleep)
        monkeypatch.setattr(_steps.time, "monotonic", lambda: self.clock)
        self.result = plugin.run(None, variables or {})

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock += seconds


def test_steps_are_added_up_and_shown_once(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [
        {"changed": True, "actions": ["a"], "diff": {"before": "1"}, "progress": progress(0), **MORE},
        {"changed": False, "actions": [], "progress": progress(0), **MORE},
        {"changed": True, "actions": ["b"], "progress": progress(1), **MORE},
        {"changed": False, "actions": [], "done": True, "progress": progress(3)},
    ]
    played = Played(monkeypatch, answers, poll="0.5")
    assert played.result["actions"] == ["a", "b"]
    assert (played.result["changed"], played.result["diff"]) == (True, {"before": "1"})
    assert played.shown == [
        "daemonset_rollout: wave 1/2, 0/3 nodes: waiting, 7 s",
        "daemonset_rollout: wave 1/2, 1/3 nodes: waiting, 7 s",
    ]
    assert played.slept == [0.5] * 3
    assert len({asked["_task"]["holder"] for asked in played.asked}) == 1


def test_a_silent_server_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    silent = {"failed": True, "retriable": True, "msg": "no answer."}
    answers = [{"changed": True, "actions": ["a"], **MORE}, silent, silent, {"done": True}]
    assert Played(monkeypatch, answers).result["actions"] == ["a"]


def test_but_not_for_ever_and_not_before_anything_was_done(monkeypatch: pytest.MonkeyPatch) -> None:
    silent = {"failed": True, "retriable": True, "msg": "no answer."}
    played = Played(monkeypatch, [{"changed": True, **MORE}, *[silent] * 9], poll=5, lease_seconds=20)
    assert played.result["failed"] and len(played.asked) == 6
    assert played.result["changed"]
    assert len(Played(monkeypatch, [silent]).asked) == 1


def test_a_part_of_more_waits_from_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """The API server may restart between two waves, and in the step that begins one."""
    silent = {"failed": True, "retriable": True, "msg": "no answer."}
    told = {"_upgrade_told": {"undertaking": "/srv/upgrade", "holder": "me"}}
    played = Played(monkeypatch, [silent, silent, {"done": True}], told)
    assert {asked["_task"]["holder"] for asked in played.asked} == {"me"}
    assert not played.result.get("failed")


def test_rollback_is_called_by_its_name() -> None:
    plugin = object.__new__(action.ActionModule)
    assert plugin.describe({**progress(2), "phase": "rollback"}) == "rollback, 2/3 nodes: waiting"
    assert plugin.describe({}) == ""


class Waited(Played):
    """The same with kube_wait."""

    PLUGIN = kube_wait.ActionModule


def lacking(*names: str) -> dict[str, Any]:
    missing = [{"object": f"Node {name}", "problem": "no podCIDR"} for name in names]
    return {"changed": False, "done": not names, "missing": missing, "progress": {"text": " ".join(names)}}


def test_waiting_ends_when_nothing_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    waited = Waited(monkeypatch, [lacking("a", "b"), lacking("a", "b"), lacking("b"), lacking()], poll=3)
    assert waited.result == {"changed": False, "done": True, "missing": []}
    assert waited.shown == ["kube_wait: a b, 0 s", "kube_wait: b, 6 s"]
    assert waited.slept == [3.0] * 3


def test_when_the_time_is_up_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"n{number}" for number in range(7)]
    waited = Waited(monkeypatch, [lacking(*names)] * 9, poll=4, timeout=10)
    assert waited.slept == [4.0, 4.0, 2.0], "the last pause ends with the limit"
    assert waited.result["failed"]
    assert waited.result["msg"].startswith("after 10 s: Node n0: no podCIDR; Node n1: no podCIDR;")
    assert waited.result["msg"].endswith("Node n4: no podCIDR; and 2 more.")
    assert len(waited.result["missing"]) == 7


def test_when_the_time_is_up_it_asks_for_the_pods(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [lacking("a"), lacking("a"), lacking("a", "b")]
    waited = Waited(monkeypatch, answers, timeout=2, rollouts=[{"namespace": "n", "name": "d"}])
    assert [told(each).get("explain") for each in waited.asked] == [None, True, True]
    assert waited.result["msg"] == "after 2 s: Node a: no podCIDR; Node b: no podCIDR."


def test_what_was_explained_is_not_said_again_without_its_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    bare, whole = lacking("a"), {**lacking("a"), "progress": {"text": "a; because of b"}}
    waited = Waited(monkeypatch, [bare, whole, bare, bare, whole, lacking()], poll=1)
    assert [told(each).get("explain") for each in waited.asked] == [None, True, True, True, True, True]
    assert waited.shown == ["kube_wait: a, 0 s", "kube_wait: a; because of b, 1 s"]


def test_the_module_looks_on_its_own_while_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten minutes are 285 starts of a module otherwise, which cost 97 s of a processor."""
    waited = Waited(monkeypatch, [lacking("a")] * 4 + [lacking()], poll=2, timeout=35)
    assert [told(each).get("patience") for each in waited.asked] == [None, None, 30.0, 29.0, 27.0]


def test_what_is_still_missing_is_said_every_quarter_of_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = {**lacking("a"), "progress": {"text": "a; because of b"}}
    waited = Waited(monkeypatch, [lacking("a"), whole, *[lacking("a")] * 14, lacking()], poll=3)
    assert waited.shown == [
        "kube_wait: a, 0 s",
        "kube_wait: a; because of b, 3 s",
        "kube_wait: still a; because of b, 18 s",
        "kube_wait: still a; because of b, 33 s",
    ]


def test_a_failing_look_is_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    waited = Waited(monkeypatch, [{"failed": True, "msg": "timeout is -1"}], timeout="nonsense")
    assert waited.result["msg"] == "timeout is -1"


class Applied(Played):
    """The same with kube_apply."""

    PLUGIN = kube_apply.ActionModule


def applied(name: str, action: str) -> dict[str, str]:
    return {"api_version": "v1", "kind": "ConfigMap", "namespace": "a", "name": name, "action": action}


def test_what_several_runs_did_is_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    first = {
        "changed": True,
        "done": False,
        "actions": ["create b"],
        "objects": [applied("b", "create")],
        "diff": [{"after": 1}],
        "progress": {"text": "waiting for b", "resume": {"b": 5.5}},
    }
    second = {
        "changed": True,
        "done": True,
        "actions": ["create c"],
        "objects": [applied("b", "none"), applied("c", "create")],
        "diff": [{"after": 2}],
    }
    played = Applied(monkeypatch, [first, second])
    assert played.result == {
        "changed": True,
        "done": True,
        "actions": ["create b", "create c"],
        "objects": [applied("b", "create"), applied("c", "create")],
        "diff": [{"after": 1}, {"after": 2}],
    }
    assert played.shown == ["kube_apply: waiting for b, 0 s"]
    assert [told(each).get("resume") for each in played.asked] == [None, {"b": 5.5}]
    assert {told(each)["patience"] for each in played.asked} == {kube_apply.PATIENCE}


def test_time_between_two_runs_counts_as_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = [{"done": False, "progress": {"text": "b", "resume": {"b": waited}}} for waited in (5.0, 5.5, 9.0)]
    played = Applied(monkeypatch, [*waits, {"done": True}])
    assert [told(each).get("resume") for each in played.asked] == [
        None,
        {"b": 5.0},
        {"b": 5.0 + kube_apply.ActionModule.POLL},
        {"b": 9.0},
    ]


def test_a_namespace_that_went_with_its_contents_is_told_still() -> None:
    assert kube_apply.merged([applied("b", "delete")], []) == [applied("b", "delete")]


def test_tasks_of_a_host_in_one_run_go_on_with_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [
        Played(monkeypatch, [{"done": True}], {"inventory_hostname": host}, until_wave=number)
        for host, number in (("a", 1), ("a", 2), ("b", 1))
    ]
    first, second, other = [told(run.asked[0])["holder"] for run in runs]
    assert first == second != other
    assert all("holder" not in run.asked[0] for run in runs)
