# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The gate that reads logs looks at every container that it is told of."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._rollout import driver, logs, pods
from ansible_collections.podnet.cni.plugins.module_utils._rollout.gates import BROKEN, OK, WAIT

GOOD = "\n".join(logs.HEALTHY)
POLICY = {"container": "policy", "healthy": ["rules are in place"], "broken": ["cannot reach the datastore"]}
POD = {
    "metadata": {"name": "agent-1", "labels": {"controller-revision-hash": "new"}},
    "spec": {"containers": [{"name": "flannel"}, {"name": "policy"}]},
    "status": {"conditions": [{"type": "Ready", "status": "True"}]},
}


def judge(texts: dict[str, str], **changes: Any) -> Any:
    params = {
        "namespace": "n",
        "name": "agent",
        "holder": "h",
        "lease_seconds": 120,
        "command": [],
        "command_timeout": 60,
        "gates": ["logs"],
        "container": None,
        "log_healthy": list(logs.HEALTHY),
        "log_broken": list(logs.BROKEN),
        "log_others": [POLICY],
        **changes,
    }
    step = driver.Step(None, params, lambda _words, _environment: "")  # the log is the only thing it asks for
    step.daemons.log = lambda _pod, container: texts[container]
    return pods.judge(step.daemons, params, {"metadata": {"name": "n1"}}, POD, "new")


@pytest.mark.parametrize(
    ("flannel", "policy", "state", "reason"),
    [
        (GOOD, "rules are in place", OK, ""),
        (GOOD, "starting", WAIT, "the log does not say 'rules are in place' yet"),
        (GOOD, "rules are in place\ncannot reach the datastore: 403", BROKEN, "cannot reach the datastore: 403"),
        ("starting", "cannot reach the datastore", BROKEN, "cannot reach the datastore"),
        ("starting", "rules are in place", WAIT, "Found network config"),
        ("Failed to check br_netfilter: no", "rules are in place", BROKEN, "br_netfilter"),
    ],
)
def test_the_worst_log_counts(flannel: str, policy: str, state: str, reason: str) -> None:
    verdict = judge({"flannel": flannel, "policy": policy})
    assert verdict.state == state
    assert reason in verdict.reason


def test_without_the_gate_no_log_is_read() -> None:
    assert judge({}, gates=[]).state == OK
