# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make the program that refreshes a node's peers from this collection's utilities, and copy it to the node."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.podnet.cni.plugins.module_utils._refresh import archive

MODE = "0755"


class ActionModule(ActionBase):
    """Makes the file anew on the controller for every host, which takes less time than to ask the host for its own."""

    TRANSFERS_FILES = True
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what the action C(copy) does with the file."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _checked, options = self.validate_argument_spec(argument_spec={"dest": {"type": "path", "required": True}})
        with tempfile.TemporaryDirectory(prefix="podnet-cni-") as directory:
            source = Path(directory, archive.FILE_NAME)
            source.write_bytes(archive.build(Path(archive.__file__).parents[1]))
            task = self._task.copy()
            task.args = {"src": str(source), "dest": options["dest"], "mode": MODE}
            copy = self._shared_loader_obj.action_loader.get(
                "ansible.legacy.copy",
                task=task,
                connection=self._connection,
                play_context=self._play_context,
                loader=self._loader,
                templar=self._templar,
                shared_loader_obj=self._shared_loader_obj,
            )
            result.update(copy.run(task_vars=task_vars))
        return result
