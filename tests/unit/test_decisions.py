# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decisions are data: no result key is the framework's own, and nothing is decided by the wording of a message."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
MODULES = sorted(path.stem for path in ROOT.glob("plugins/modules/*.py") if path.stem != "__init__")
PYTHON = sorted(ROOT.glob("plugins/**/*.py"))
TASKS = sorted(path for folder in ("roles", "playbooks") for path in (ROOT / folder).rglob("*.y*ml"))

# Keys that ansible-core gives a meaning of its own: executor/task_executor.py, executor/task_result.py,
# module_utils/common/arg_spec.py, plugins/strategy/__init__.py and plugins/action/async_status.py of 2.18 to 2.21.
RESERVED = {
    "add_group",
    "add_host",
    "ansible_facts",
    "ansible_job_id",
    "ansible_stats",
    "attempts",
    "deprecations",
    "exception",
    "failed",
    "finished",
    "include",
    "include_variables",
    "invocation",
    "item",
    "results",
    "retries",
    "skip_reason",
    "skipped",
    "skipped_reason",
    "started",
    "unreachable",
    "warnings",
}

WORDS = r"(?:reason|msg|message|problem|failure|text|problems|actions|reasons|warnings)"
SAYS = r"(?:startswith|endswith)"
PROSE_IN_PYTHON = (
    re.compile(rf"\.(?:reason|msg|message|problem|failure)\.{SAYS}\("),
    re.compile(r"[\"'] (?:not )?in (?:str\((?:error|exc)\)|[a-z_.]+\.(?:reason|msg|message|problem|failure)\b)"),
    re.compile(rf"\bany\([a-z_.]+\.{SAYS}\([^)]*\) for [a-z_]+ in [a-z_.]*(?:actions|reasons|problems|warnings)\b"),
)
PROSE_IN_TASKS = (
    re.compile(rf"\.{WORDS}\b[^\"}}|]*\|[^\"}}]*(?:select|reject)\( *'(?:match|search|regex|contains|in)'"),
    re.compile(rf"'[^']+' (?:not )?in [a-z_.]*\.{WORDS}\b"),
    re.compile(rf"\.{WORDS}\b[^\"}}|]*(?:is|is not) (?:search|match|regex)\b"),
    re.compile(rf"\.{WORDS}\b[^\"}}]*\| *regex_(?:search|findall)"),
)


def found(patterns: tuple[re.Pattern[str], ...], text: str) -> list[str]:
    return [match.group(0) for pattern in patterns for match in pattern.finditer(text)]


@pytest.mark.parametrize("name", MODULES)
def test_no_result_key_is_the_frameworks(name: str) -> None:
    module = importlib.import_module(f"ansible_collections.podnet.cni.plugins.modules.{name}")
    returned = yaml.safe_load(module.RETURN) or {}
    assert RESERVED & set(returned) == set()


@pytest.mark.parametrize("path", PYTHON, ids=lambda path: str(path.relative_to(ROOT)))
def test_code_decides_nothing_by_a_wording(path: Path) -> None:
    assert found(PROSE_IN_PYTHON, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", TASKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_tasks_decide_nothing_by_a_wording(path: Path) -> None:
    assert found(PROSE_IN_TASKS, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("patterns", "text"),
    [
        (PROSE_IN_PYTHON, 'if verdict.reason.startswith(("the old", "the pod")):'),
        (PROSE_IN_PYTHON, 'if judge(pod).reason.endswith("template"):'),
        (PROSE_IN_PYTHON, 'if "already exists" in str(error):'),
        (PROSE_IN_PYTHON, 'any(line.startswith("restart") for line in outcome.actions)'),
        (PROSE_IN_TASKS, "when: _rolled.actions | select('match', 'take over') | list | length > 0"),
        (PROSE_IN_TASKS, "when: \"'not found' in _result.msg\""),
        (PROSE_IN_TASKS, "until: _result.msg is search('ready')"),
    ],
)
def test_the_patterns_find_what_they_are_for(patterns: tuple[re.Pattern[str], ...], text: str) -> None:
    assert found(patterns, text)
