# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Repeat the module daemonset_rollout until the rollout is over, and show how far it is."""

from __future__ import annotations

import os
import socket
import uuid
from typing import Any, Mapping

from ansible_collections.podnet.cni.plugins.plugin_utils._steps import StepsAction, seconds


class ActionModule(StepsAction):
    """The module takes one step and never waits; waiting and talking happen here."""

    MODULE = "daemonset_rollout"
    POLL = 5.0

    def prepare(self, arguments: dict[str, Any]) -> None:
        """A name for this run, so that its steps are told apart from those of another."""
        arguments.setdefault("holder", f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}")

    def patience(self, arguments: Mapping[str, Any]) -> float:
        """As long as nobody else may take over."""
        return seconds(arguments.get("lease_seconds"), 120.0)

    def has_begun(self, arguments: Mapping[str, Any]) -> bool:
        """A wave of an upgrade is not its beginning, and an upgrade has asked the cluster before it begins."""
        return bool(arguments.get("undertaking"))

    def describe(self, progress: Mapping[str, Any]) -> str:
        """One line about the state of a rollout."""
        if not progress.get("waves"):
            return ""
        where = f"wave {progress['wave']}/{progress['waves']}" if progress["phase"] == "update" else "rollback"
        return f"{where}, {progress['done']}/{progress['total']} nodes: {progress['text']}"
