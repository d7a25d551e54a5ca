# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Count what runs on each host: the tasks that send a module there, not those that the controller answers itself.

Beside that, what each task costs: the processor seconds of ansible-playbook and of all that it started.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: module_runs
type: aggregate
short_description: Count module runs per host
description:
  - Writes a JSON object of host names and their module runs, C(delegated) for those that one host runs for all, the
    number of changed results, the processor seconds of each task, and the first result of each module that ran on a
    host itself, to the file that E(MODULE_RUNS_FILE) names.
"""

ON_THE_CONTROLLER = frozenset(
    {"include_tasks", "include_role", "set_fact", "assert", "debug", "validate_argument_spec"}
)
DELEGATED = "delegated"


class CallbackModule(CallbackBase):
    """Aggregate callback; enabled by E(ANSIBLE_CALLBACKS_ENABLED)."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "module_runs"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.runs: Counter[str] = Counter()
        self.changed = 0
        self.results: dict[str, Any] = {}
        self.tasks: dict[str, float] = {}
        self.task = "before the first task"
        self.spent = 0.0

    def note(self, following: str) -> None:
        """Put what was spent since the last task began to that task's account."""
        now = sum(os.times()[:4])
        self.tasks[self.task] = self.tasks.get(self.task, 0.0) + now - self.spent
        self.task, self.spent = following, now

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """A task begins."""
        self.note(task.get_name())

    def v2_runner_on_ok(self, result: Any) -> None:
        """Count one result."""
        if result.task.action.rpartition(".")[2] in ON_THE_CONTROLLER:
            return
        where = DELEGATED if result.task.delegate_to else result.host.get_name()
        if where != DELEGATED:
            kept = {key: value for key, value in result.result.items() if key != "invocation" and key[:1] != "_"}
            self.results.setdefault(result.task.action.rpartition(".")[2], kept)
        self.runs[where] += 1
        self.changed += bool(result.result.get("changed"))

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Write the counts."""
        self.note("")
        counted = {"runs": self.runs, "changed": self.changed, "tasks": self.tasks, "results": self.results}
        Path(os.environ["MODULE_RUNS_FILE"]).write_text(json.dumps(counted))
