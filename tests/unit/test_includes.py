# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is included in a loop is included by all hosts alike."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted([*ROOT.glob("roles/*/tasks/*.yml"), *ROOT.glob("playbooks/*.yml")])
INCLUDES = {f"ansible.builtin.include_{what}" for what in ("tasks", "role")}
NESTED = ("block", "rescue", "always", "tasks", "pre_tasks", "post_tasks")


def looped(tasks: Any) -> Iterator[dict[str, Any]]:
    """The tasks that include something in a loop, wherever they stand."""
    for task in tasks or []:
        if INCLUDES & task.keys() and "loop" in task:
            yield task
        for key in NESTED:
            yield from looped(task.get(key))


def own_choice(task: dict[str, Any]) -> bool:
    """Whether each host has items of its own: its name beside the loop's variable in a condition."""
    conditions = task.get("when", [])
    conditions = conditions if isinstance(conditions, list) else [conditions]
    item = task.get("loop_control", {}).get("loop_var", "item")
    return any("inventory_hostname" in str(each) and item in str(each) for each in conditions)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_order_of_a_loop_of_includes_is_not_that_in_which_hosts_answer(path: Path) -> None:
    """Ansible runs included files in the order of the first host that answers to have them. Where hosts have items of
    their own, that is any order."""
    tasks = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert [task.get("name") for task in looped(tasks) if own_choice(task)] == []
