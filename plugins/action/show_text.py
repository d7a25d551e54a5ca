# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Show text on the controller, folded to the width of a terminal."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.podnet.cni.plugins.plugin_utils import _text_table

display = Display()


class ActionModule(ActionBase):
    """Runs on the controller alone: no host is asked."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Show the lines and return them."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _checked, options = self.validate_argument_spec(
            argument_spec={"text": {"type": "str", "required": True}, "width": {"type": "int", "default": 100}}
        )
        lines = _text_table.fold(options["text"], options["width"])
        if lines:
            display.display("\n".join(lines))
        result.update(changed=False, lines=lines)
        return result
