# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Repeat the module daemonset_rollout until the rollout is over, and show how far it is."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any, Mapping

from ansible_collections.podnet.cni.plugins.plugin_utils._steps import StepsAction, seconds

TOLD_BY_ROLE = "_upgrade_told"
"""The variable of a task by which the role upgrade tells what no user does, as options.TOLD has it."""


class ActionModule(StepsAction):
    """The module takes one step and never waits; waiting and talking happen here."""

    MODULE = "daemonset_rollout"
    POLL = 5.0

    def prepare(self, told: dict[str, Any], task_vars: Mapping[str, Any]) -> None:
        """Name who does the rollout: this run of Ansible from one host, to be told apart from other runs.

        Tasks that follow each other have the same name, so one continues where another stopped after a wave.
        """
        if task_vars.get(TOLD_BY_ROLE):
            told.update(self._templar.template(task_vars[TOLD_BY_ROLE]))
        host = str(task_vars.get("inventory_hostname") or "")
        told.setdefault("holder", f"{socket.gethostname()}:{run_of_ansible()}:{host}")

    def patience(self, arguments: Mapping[str, Any]) -> float:
        """As long as nobody else may take over."""
        return seconds(arguments.get("lease_seconds"), 120.0)

    def has_begun(self, told: Mapping[str, Any]) -> bool:
        """A wave of an upgrade is not its beginning, and an upgrade has asked the cluster before it begins."""
        return bool(told.get("undertaking"))

    def describe(self, progress: Mapping[str, Any]) -> str:
        """One line about the state of a rollout."""
        if not progress.get("waves"):
            return ""
        where = f"wave {progress['wave']}/{progress['waves']}" if progress["phase"] == "update" else "rollback"
        return f"{where}, {progress['done']}/{progress['total']} nodes: {progress['text']}"


def run_of_ansible() -> str:
    """The process that has started the worker of this task, with its start, since numbers of processes are used again.

    The start is left out where the controller has no /proc (proc_pid_stat(5), field 22).
    """
    number = os.getppid()
    try:
        fields = Path(f"/proc/{number}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return str(number)
    return f"{number}-{fields[19]}"
