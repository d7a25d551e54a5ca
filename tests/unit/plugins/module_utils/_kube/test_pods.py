# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why a pod is not ready, as data and whole."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._kube import pods

URL = "https://registry.example/v2/" + "a" * 400 + "/manifests/v1"


def pod(state: dict[str, Any], last: dict[str, Any] | None = None, ready: str = "False") -> dict[str, Any]:
    each = {"name": "c", "state": state, "lastState": last or {}}
    return {"status": {"conditions": [{"type": "Ready", "status": ready}], "containerStatuses": [each]}}


def waits(reason: str, message: str = "m") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


@pytest.mark.parametrize(
    ("item", "kind", "says"),
    [
        (pod(waits("ErrImagePull", URL)), pods.PULL, URL),
        (pod(waits("ImagePullBackOff", URL)), pods.PULL, URL),
        (pod(waits("InvalidImageName")), pods.INVALID, "container c is in InvalidImageName: m"),
        (pod(waits("RunContainerError", "exec: not found")), pods.STARTING, "exec: not found"),
        (pod(waits("ContainerCreating")), pods.STARTING, "being created"),
        (
            pod(waits("CrashLoopBackOff"), {"terminated": {"exitCode": 2, "reason": "Error", "message": "no flag"}}),
            pods.CRASHING,
            "container c is in CrashLoopBackOff: m (it exited with 2: Error, no flag)",
        ),
        (pod({"terminated": {"exitCode": 1}}), pods.EXITED, "container c exited with 1: no reason"),
        ({"metadata": {"deletionTimestamp": "T"}}, pods.ENDING, "deleted since T"),
        ({"status": {"phase": "Failed", "reason": "Evicted", "message": "disk"}}, pods.FAILED, "failed: Evicted: disk"),
        (
            {"status": {"conditions": [{"type": "PodScheduled", "status": "False", "message": URL}]}},
            pods.UNSCHEDULED,
            URL,
        ),
        (
            {"status": {"conditions": [{"type": "Ready", "status": "False", "message": "x"}]}},
            pods.NOT_READY,
            "ready: x",
        ),
    ],
)
def test_kinds_of_problems(item: dict[str, Any], kind: str, says: str) -> None:
    found = pods.problem(item)
    assert found is not None
    assert found.kind == kind
    assert says in pods.text(item)


def test_a_pod_that_is_ready_has_none() -> None:
    assert pods.problem(pod({"running": {}}, {"terminated": {"exitCode": 1}}, "True")) is None


def test_how_a_container_ended() -> None:
    ended = {"terminated": {"exitCode": 2}}
    assert pods.last_exit(pod(waits("CrashLoopBackOff"), ended), "c") == {"exitCode": 2}
    assert pods.last_exit(pod(ended), "c") == {"exitCode": 2}
    assert pods.last_exit(pod({"running": {}}), "c") == {}
    assert pods.last_exit(pod(ended), "other") == {}


@pytest.mark.parametrize(
    ("status", "silent", "ready"), [("True", False, True), ("False", False, False), ("Unknown", True, False)]
)
def test_nodes(status: str, silent: bool, ready: bool) -> None:
    item = {"status": {"conditions": [{"type": "Ready", "status": status, "reason": "R", "message": "M"}]}}
    assert (pods.is_silent(item), pods.node_problem(item) == "") == (silent, ready)
    assert pods.is_silent(None)
    assert pods.node_problem({}) == "NotReady (its kubelet has not reported yet)"
