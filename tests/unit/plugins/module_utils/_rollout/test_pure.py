# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Waves, gates, log lines, the wish and what is remembered."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError, InputError
from ansible_collections.podnet.cni.plugins.module_utils._kube import pods as kube_pods
from ansible_collections.podnet.cni.plugins.module_utils._kube.selectors import EVERYTHING as NO_SELECTOR
from ansible_collections.podnet.cni.plugins.module_utils._rollout import gates, logs, state, target, waves

BATCHES = st.lists(st.one_of(st.integers(1, 9).map(str), st.integers(1, 100).map(lambda n: f"{n}%")), min_size=1)
NAMES = st.lists(st.from_regex(r"n[0-9]{1,3}", fullmatch=True), unique=True, max_size=40)


@given(NAMES, BATCHES, st.data())
def test_every_node_is_in_exactly_one_wave(names: list[str], batches: list[str], data: st.DataObject) -> None:
    canaries = data.draw(st.lists(st.sampled_from(names), unique=True)) if names else []
    parsed = [waves.parse_batch(text) for text in batches]
    found = waves.divide({name: {} for name in names}, canaries, NO_SELECTOR, parsed)
    assert sorted(name for wave in found for name in wave) == sorted(names)
    assert all(found)
    if canaries:
        assert found[0] == canaries


def test_waves_grow_as_asked() -> None:
    nodes: dict[str, dict[str, str]] = {f"n{number}": {} for number in range(1, 21)}
    nodes["n7"] = {"pool": "canary"}
    batches = [waves.parse_batch(text) for text in ("1", "25%")]
    found = waves.divide(nodes, [], waves.canary_selector("pool=canary"), batches)
    assert [len(wave) for wave in found] == [1, 1, 5, 5, 5, 3]
    assert found[:3] == [["n7"], ["n1"], ["n2", "n3", "n4", "n5", "n6"]]


@pytest.mark.parametrize("text", ["0", "101%", "-1", "half", ""])
def test_bad_batch(text: str) -> None:
    with pytest.raises(InputError, match="batch"):
        waves.parse_batch(text)


@pytest.mark.parametrize(
    ("selector", "fits"),
    [("a=1", True), ("a==1", True), ("a=2", False), ("a!=2,b", True), ("b", True), ("c", False), ("", False)],
)
def test_selector(selector: str, fits: bool) -> None:
    assert waves.selected({"n1": {"a": "1", "b": ""}}, waves.canary_selector(selector)) == (["n1"] if fits else [])


def test_bad_canaries() -> None:
    with pytest.raises(InputError, match="n9"):
        waves.divide({"n1": {}}, ["n9"], NO_SELECTOR, [(1, False)])
    with pytest.raises(InputError, match="selects no node"):
        waves.divide({"n1": {}}, [], waves.canary_selector("a"), [(1, False)])
    with pytest.raises(InputError, match="a in"):
        waves.canary_selector("a in (b)")


def pod(ready: str = "True", revision: str = "new", **more: Any) -> dict[str, Any]:
    status = {
        "conditions": [{"type": "Ready", "status": ready}],
        "containerStatuses": [{"name": "flannel", "state": {"running": {"startedAt": "2026-01-01T00:00:10Z"}}}],
        **more,
    }
    return {"metadata": {"labels": {gates.HASH: revision}}, "status": status}


@pytest.mark.parametrize(
    ("item", "verdict", "reason"),
    [
        (None, gates.WAIT, "no pod"),
        ({"metadata": {"deletionTimestamp": "x"}}, gates.WAIT, "ending"),
        (pod(revision="old"), gates.WAIT, "older template"),
        (pod(ready="False"), gates.WAIT, "not ready"),
        (pod(phase="Failed", reason="Evicted"), gates.BROKEN, "Evicted"),
        (
            pod(
                ready="False",
                initContainerStatuses=[{"name": "i", "state": {"waiting": {"reason": "ErrImagePull", "message": "m"}}}],
            ),
            gates.WAIT,
            "container i is in ErrImagePull: m",
        ),
        (pod(), gates.OK, ""),
    ],
)
def test_pod_gate(item: Any, verdict: str, reason: str) -> None:
    found = gates.judge_pod("n1", item, "new")
    assert found.state == verdict
    assert reason in found.reason


def node(beat: str = "2026-01-01T00:00:10Z", reason: str = "FlannelIsUp", kind: str = "vxlan") -> dict[str, Any]:
    network = {"type": "NetworkUnavailable", "status": "False", "reason": reason, "lastHeartbeatTime": beat}
    notes = {"p/backend-type": kind, "p/kube-subnet-manager": "true"}
    return {"metadata": {"name": "n1", "annotations": notes}, "status": {"conditions": [network]}}


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (node(), ""),
        (node(beat="2026-01-01T00:00:09Z"), "earlier start"),
        (node(beat="soon"), "earlier start"),
        (node(reason="Other"), "FlannelIsUp"),
        (node(kind=""), "p/backend-type"),
    ],
)
def test_node_gate(item: dict[str, Any], reason: str) -> None:
    found = gates.judge_node(item, pod(), "flannel", "p")
    assert (found.state == gates.OK) is (reason == "")
    assert reason in found.reason


def test_node_gate_waits_for_the_container() -> None:
    assert "other does not run" in gates.judge_node(node(), pod(), "other", "p").reason


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("", gates.WAIT),
        ("I0101 Found network config - Backend type: vxlan\n", gates.WAIT),
        ("I0101 Found network config - Backend type: vxlan\nI0101 Running backend.\n", gates.OK),
        ("Found network config - Backend type: vxlan\nRunning backend.\nE Failed to write subnet file\n", gates.BROKEN),
    ],
)
def test_log_gate(text: str, verdict: str) -> None:
    assert gates.judge_log("n1", text, logs.HEALTHY, logs.BROKEN).state == verdict


def test_a_line_of_health_is_no_line_of_illness() -> None:
    for good in (*logs.HEALTHY, "Waiting for all goroutines to exit", "flannel is ready", "Wrote subnet file to "):
        assert logs.broken_line(good, logs.BROKEN) == ""


@given(
    st.lists(st.lists(st.text(max_size=8), max_size=4), max_size=4),
    st.floats(0, 2e9),
    st.dictionaries(st.text(), st.text()),
)
def test_state_survives(divided: list[list[str]], moment: float, config: dict[str, str]) -> None:
    kept = state.State("t", {"spec": {}}, {"type": "OnDelete"}, "cfg", config, waves=divided, started=moment)
    assert state.decode({"metadata": {"annotations": {state.ANNOTATION: state.encode(kept)}}}) == kept


def test_state_that_cannot_be_kept_or_read() -> None:
    with pytest.raises(InputError, match="bytes"):
        state.encode(state.State("t", {}, {}, waves=[["n" * 60] * 4000]))
    for text in ("{", "{}", '{"other": 1}'):
        with pytest.raises(ConflictError, match="delete the Lease"):
            state.decode({"metadata": {"annotations": {state.ANNOTATION: text}}})


def test_lease_runs_out() -> None:
    lease = {"spec": state.lease_spec("me", 60, 1000.5)}
    assert state.seconds_left(lease, 1010.5) == 50
    assert state.seconds_left(lease, 2000) == 0
    assert state.seconds_left({"spec": {**lease["spec"], "holderIdentity": None}}, 1001) == 0


def live(**annotations: str) -> dict[str, Any]:
    return {"spec": {"template": {"metadata": {"annotations": annotations}}}}


def test_only_a_config_that_differs_restarts_pods() -> None:
    params = {"template": {"spec": {"a": 1}}, "config_data": {"k": "v"}}
    assert target.template_patch(params, live(), False) == {"spec": {"a": 1}}
    noted = target.template_patch(params, live(), True)["metadata"]["annotations"]
    assert list(noted) == [target.CHECKSUM]
    assert target.template_patch(params, live(**noted), False)["metadata"]["annotations"] == noted
    assert params["template"] == {"spec": {"a": 1}}, "the option itself is not changed"


def test_config_before_names_what_changes() -> None:
    found = target.config_before({"data": {"same": "1", "old": "1"}}, {"same": "1", "old": "2", "new": "3"})
    assert found == {"old": "1", "new": None}


@pytest.mark.parametrize(
    ("text", "total", "allowed"), [("0", 100, 0), ("2", 10, 2), ("2%", 100, 2), ("2%", 49, 0), ("100%", 7, 7)]
)
def test_allowance(text: str, total: int, allowed: int) -> None:
    assert waves.parse_allowance(text, total) == allowed


@pytest.mark.parametrize("text", ["-1", "101%", "some", "", "1.5"])
def test_no_allowance(text: str) -> None:
    with pytest.raises(InputError, match="max_failed"):
        waves.parse_allowance(text, 10)


def test_chosen_waves_keep_their_numbers() -> None:
    assert waves.chosen([["a"], ["gone"], ["b", "ill"]], {"a", "b", "c"}) == ([["a"], [], ["b"]], ["gone", "ill"])
    for bad, says in (([["a"], ["b", "a"]], "a is in two waves"), (["a"], r"waves\[0\]"), ([["a", 1]], r"waves\[0\]")):
        with pytest.raises(InputError, match=says):
            waves.chosen(bad, {"a"})


@pytest.mark.parametrize(("status", "silent"), [("True", False), ("False", False), ("Unknown", True)])
def test_silent_node(status: str, silent: bool) -> None:
    node = {"status": {"conditions": [{"type": "Ready", "status": status}]}}
    assert kube_pods.is_silent(node) is silent
    assert kube_pods.is_silent(None) is True
