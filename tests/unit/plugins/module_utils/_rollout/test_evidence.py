# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is kept of a node that did not get well, and for how long what mends itself is borne."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import Forbidden, KubeError
from ansible_collections.podnet.cni.plugins.module_utils._rollout import (
    driver,
    evidence,
    gates,
    logs,
    options,
    pods,
    state,
    waves,
)
from ansible_collections.podnet.cni.plugins.module_utils._rollout.cluster import Daemons, LogUnreadable
from ansible_collections.podnet.cni.plugins.module_utils._rollout.gates import BROKEN, OK, WAIT, Verdict

PARAMS = {
    **{name: spec.get("default") for name, spec in {**options.ARGUMENT_SPEC, **options.TOLD}.items()},
    "namespace": "n",
    "name": "agent",
}
POD = {
    "metadata": {"name": "agent-1", "uid": "u1", "labels": {gates.HASH: "new"}},
    "spec": {"containers": [{"name": "flannel"}]},
    "status": {
        "containerStatuses": [
            {
                "name": "flannel",
                "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
                "lastState": {"terminated": {"exitCode": 2, "reason": "Error"}},
            }
        ]
    },
}
DAEMONSET = {"metadata": {"name": "agent", "uid": "d1"}}
EVENTS = [{"type": "Warning", "reason": "BackOff", "count": 3, "message": "Back-off\nrestarting"}]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def step(clock: Any, **params: Any) -> driver.Step:
    made = driver.Step(None, {**PARAMS, **params}, lambda _words, _environment: "", clock)
    made.daemons.events = lambda item: EVENTS if item["metadata"]["uid"] == "u1" else []
    made.daemons.log = lambda _pod, _container, tail=0: (
        "flag provided but not defined: -no-such-flag\nUsage: flanneld\n"
    )
    made.daemons.delete_pod = lambda _pod: None
    return made


def test_all_that_is_known_is_kept_and_said() -> None:
    verdict = gates.judge_pod("n1", POD, "new")
    assert (verdict.state, verdict.container) == (BROKEN, "flannel")
    found = evidence.collect(step(Clock()).daemons, PARAMS, DAEMONSET, verdict, POD)
    assert (found["exit_code"], found["exit_reason"], found["pod"]) == (2, "Error", "agent-1")
    assert found["log"] == ["flag provided but not defined: -no-such-flag", "Usage: flanneld"]
    assert found["events"] == ["Warning BackOff (x3): Back-off restarting"]
    said = evidence.text([found])
    for part in ("n1: container flannel exited with 2 (Error)", "-no-such-flag | Usage", "Warning BackOff (x3)"):
        assert part in said
    assert evidence.text([]) == ""


def test_what_cannot_be_had_is_named() -> None:
    made = step(Clock())

    def refuse(*_arguments: Any, **_more: Any) -> Any:
        raise Forbidden("you may not", status=403)

    def unreachable(*_arguments: Any, **_more: Any) -> Any:
        raise LogUnreadable("dial tcp 198.18.0.1:10250: connect: no route to host", False)

    made.daemons.events, made.daemons.log = refuse, unreachable
    found = evidence.collect(made.daemons, PARAMS, DAEMONSET, gates.judge_pod("n1", POD, "new"), POD)
    assert found["unknown"] == ["log: dial tcp 198.18.0.1:10250: connect: no route to host", "events: you may not"]


def test_without_a_pod_the_events_of_the_daemonset_count() -> None:
    made = step(Clock())
    made.daemons.events = lambda item: [
        {"type": "Warning", "reason": "FailedCreate", "message": item["metadata"]["uid"]}
    ]
    found = evidence.collect(made.daemons, PARAMS, DAEMONSET, gates.judge_pod("n1", None, "new"), None)
    assert (found["events"], found["pod"], found["exit_code"]) == (["Warning FailedCreate: d1"], "", None)


def test_first_and_last_lines_of_a_log() -> None:
    lines = [f"line {number}" for number in range(100)]
    found = logs.excerpt("\n".join(lines))
    assert found == [*lines[: logs.HEAD], "...", *lines[-logs.TAIL :]]
    assert logs.excerpt("a \nb") == ["a", "b"]
    assert logs.excerpt("\n".join(lines), "the\nend")[-2:] == ["the", "end"]


def pulling(node: str = "n1") -> dict[str, Any]:
    waits = {"reason": "ErrImagePull", "message": "no such host"}
    status = {"containerStatuses": [{"name": "flannel", "state": {"waiting": waits}}]}
    return {**POD, "metadata": {**POD["metadata"], "uid": f"u-{node}"}, "status": status}


def test_a_registry_is_borne_for_a_while_and_its_error_is_whole() -> None:
    clock = Clock()
    made, kept = step(clock), state.State("t", {}, {})
    verdict = gates.judge_pod("n1", pulling(), "new")
    assert (verdict.state, verdict.cause) == (WAIT, gates.PULL)
    for second, wanted in ((0, WAIT), (60, WAIT), (89, WAIT), (90, BROKEN)):
        clock.now = 1000.0 + second
        (found,) = made._bear(kept, [verdict], {"n1": pulling()})
        assert found.state == wanted, second
    assert found.reason == "for 90 s now: container flannel is in ErrImagePull: no such host"
    (fresh,) = made._bear(kept, [verdict], {"n1": pulling("other")})
    assert fresh.state == WAIT, "another pod has tries of its own"


@pytest.mark.parametrize(("refused", "first"), [(False, WAIT), (True, BROKEN)])
def test_a_log_that_cannot_be_read_is_an_error(refused: bool, first: str) -> None:
    clock = Clock()
    made, kept = step(clock), state.State("t", {}, {})
    ready = {**POD, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}

    def fail(*_arguments: Any, **_more: Any) -> Any:
        raise LogUnreadable("dial tcp: timeout", refused)

    made.daemons.log = fail
    params = {**PARAMS, "gates": ["logs"]}
    node = {"metadata": {"name": "n1"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    verdict = pods.judge(made.daemons, params, node, ready, "new")
    assert verdict == Verdict(
        "n1", first, "the log of flannel cannot be read: dial tcp: timeout", gates.UNREADABLE, "flannel"
    )
    made._bear(kept, [verdict], {"n1": ready})
    clock.now += driver.LOG_PATIENCE
    assert made._bear(kept, [verdict], {"n1": ready})[0].state == BROKEN


def test_logs_are_tried_before_anything_is_changed() -> None:
    made, kept = step(Clock()), state.State("t", {}, {}, waves=[["n1"], ["n2"]])
    asked = []

    def log(pod: Any, _container: str, tail: int = 0) -> str:
        asked.append(pod["metadata"]["name"])
        raise LogUnreadable("403.", True)

    made.daemons.log = log
    made.daemons.pods = lambda _live: {"n1": POD, "n2": POD}
    with pytest.raises(InputError, match=r"log of Pod n/agent-1 on n1 cannot be read: 403\. Nothing was changed"):
        made._try_logs({}, kept)
    assert asked == ["agent-1"], "only of the first wave"
    step(Clock(), gates=[])._try_logs({}, kept)


@pytest.mark.parametrize(("status", "raises"), [(400, False), (404, False), (500, True), (502, True)])
def test_which_answers_of_the_log_endpoint_are_errors(status: int, raises: bool) -> None:
    class Client:
        def request(self, *_arguments: Any, **_more: Any) -> Any:
            raise KubeError("dial tcp", status=status)

    daemons = Daemons(Client(), "n", "agent")
    if raises:
        with pytest.raises(LogUnreadable, match="dial tcp"):
            daemons.log(POD, "flannel")
    else:
        assert daemons.log(POD, "flannel") == ""


def older(count: int) -> list[Verdict]:
    return [Verdict(f"n{number}", WAIT, "older", gates.OLDER) for number in range(count)]


@pytest.mark.parametrize(
    ("at_once", "total", "verdicts", "restarted"),
    [
        ("10%", 100, older(68), 10),
        ("10%", 3, older(3), 1),
        ("2", 100, older(5), 2),
        ("2", 100, [*older(5), Verdict("x", WAIT, "not ready", gates.POD)], 1),
        ("2", 100, [*older(5), Verdict("x", OK)], 2),
        ("2", 100, [*older(5), Verdict("x", BROKEN, "crash", gates.POD)], 0),
    ],
)
def test_a_wave_restarts_so_many_at_once(at_once: str, total: int, verdicts: list[Verdict], restarted: int) -> None:
    clock = Clock()
    made = step(clock, max_unavailable=at_once)
    kept = state.State("t", {}, {}, waves=[[f"n{number}" for number in range(total)]])
    running = {verdict.node: POD for verdict in verdicts}
    found = made._restart(kept, verdicts, running)
    assert len(made.out.actions) == restarted
    assert sum(verdict.cause == gates.ENDING for verdict in found) == restarted
    assert (kept.wave_started == clock.now) is bool(restarted), "the time counts from the last restart"


@pytest.mark.parametrize("text", ["0", "101%", "all"])
def test_limits_that_are_none(text: str) -> None:
    with pytest.raises(InputError, match="max_unavailable"):
        waves.parse_at_once(text, 10)


def test_evidence_gives_way_where_the_lease_has_no_room() -> None:
    kept = state.State("t", {"a": "x" * 150_000}, {}, evidence=[{"node": "n1", "log": ["y" * 60_000], "events": []}])
    assert '"log":[]' in state.encode(kept)
    assert kept.evidence[0]["log"], "what this run says of it stays whole"
