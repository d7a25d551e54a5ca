# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the module C(distribution_node_info) gathered of a host, for those who read it; no I/O.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._distributions.model import Place, Problem
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields


class Host:
    """A host by its name in the inventory."""

    def __init__(self, name: str, facts: Mapping[str, Any]) -> None:
        self.name = name
        self.facts = facts
        self._files = {fields.text(each, "path"): each for each in fields.mappings(facts, "files")}

    @property
    def hostname(self) -> str:
        """The host's own name, as the kernel has it."""
        return fields.text(self.facts, "hostname")

    def text(self, path: str) -> str | None:
        """The text of a file, None for one that is not there or could not be read."""
        value = fields.at(self._files.get(path), "text")
        return value if isinstance(value, str) else None

    def missing(self, path: str) -> bool:
        """Whether a file was looked for in vain."""
        return path not in self._files

    def paths(self, below: str, ending: tuple[str, ...] = ("",)) -> list[str]:
        """Files that were read below a folder, by name."""
        return sorted(path for path in self._files if path.startswith(f"{below}/") and path.lower().endswith(ending))

    def unreadable(self) -> list[Problem]:
        """Files that are there and could not be read."""
        return [
            Problem("unreadable", Place(path), fields.text(file, "problem"), "Let root read it as a file of text.")
            for path, file in self._files.items()
            if fields.text(file, "problem")
        ]
