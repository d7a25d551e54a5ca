# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Note which tasks of this collection's rescue sections ran."""

from __future__ import annotations

import os
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: rescues
type: notification
short_description: Note rescues that ran
description:
  - Adds a line with path and line of each task of a rescue section that starts to the file in E(PODNET_RESCUES).
"""


class CallbackModule(CallbackBase):
    """Notification callback; enabled by E(ANSIBLE_CALLBACKS_ENABLED)."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "rescues"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """A task begins."""
        path = task.get_path()
        rescue = getattr(task._parent, "rescue", None) or ()
        if path and any(each.get_path() == path for each in rescue):
            with open(os.environ["PODNET_RESCUES"], "a", encoding="utf-8") as file:
                file.write(f"{path}\n")
