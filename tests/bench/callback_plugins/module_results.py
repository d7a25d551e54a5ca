# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keep the result of each module that ran on a host itself, the last one of each."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: module_results
type: aggregate
short_description: Record results of modules
description:
  - Writes a JSON object of modules and their results to the file that E(MODULE_RESULTS_FILE) names.
"""


class CallbackModule(CallbackBase):
    """Aggregate callback; enabled by E(ANSIBLE_CALLBACKS_ENABLED)."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "module_results"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.results: dict[str, Any] = {}

    def v2_runner_on_ok(self, result: Any) -> None:
        """Keep one result."""
        if not result.task.delegate_to:
            kept = {key: value for key, value in result.result.items() if key != "invocation" and key[:1] != "_"}
            self.results[result.task.action.rpartition(".")[2]] = kept

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Write them."""
        Path(os.environ["MODULE_RESULTS_FILE"]).write_text(json.dumps(self.results))
