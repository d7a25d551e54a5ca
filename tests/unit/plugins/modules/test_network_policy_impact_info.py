# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The impact module as a process, on files: a report, a refusal, and no need for a cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._network_policy import cases

MODULE = Path(__file__).parents[4] / "plugins" / "modules" / "network_policy_impact_info.py"


def run(**params: Any) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(MODULE)],
        check=False,
        text=True,
        capture_output=True,
        input=json.dumps({"ANSIBLE_MODULE_ARGS": params}),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stdout, done.stderr
    return dict(json.loads(done.stdout))


def test_a_report_from_files(tmp_path: Path) -> None:
    path = tmp_path / "all.json"
    objects = [*cases.end_to_end(), cases.policy("x/deny"), cases.policy("x/bad", policyTypes=["None"])]
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    result = run(
        src=[str(path)],
        host="https://127.0.0.1:1",
        flows=[{"from": "y/a", "to": "x/b", "port": 80}, {"from": "x/b", "to": "y/a", "port": 80}],
        _ansible_check_mode=True,
    )
    assert result["changed"] is False
    assert [(row["verdict"], row["policy"]) for row in result["verdicts"]] == [("deny", "x/deny"), ("allow", None)]
    assert result["isolated_pods"][0]["pods"] == ["a", "b", "c"]
    assert [row["source"] for row in result["unreadable"]] == [f"{path}: NetworkPolicy x/bad"]


@pytest.mark.parametrize(
    ("params", "part"),
    [
        ({"src": ["/nonexistent/policies"]}, "no file and no directory /nonexistent/policies"),
        ({"sidecar_version": "newest"}, "sidecar_version is 'newest'"),
        ({"flows": [{"from": "x/a"}]}, "missing required arguments: to"),
        ({"flows": [{"from": "x/a", "to": "x/b", "protocol": "GRE"}]}, "SCTP"),
    ],
)
def test_bad_input(params: dict[str, Any], part: str) -> None:
    result = run(host="https://127.0.0.1:1", **params)
    assert result["failed"]
    assert part in result["msg"]
