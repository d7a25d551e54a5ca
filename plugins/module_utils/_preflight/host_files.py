# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of a host below a root directory, which is / outside of tests.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import glob
import os
from typing import Iterable


class Files:
    """Reads files; what is missing or may not be read is None or empty, never an error."""

    def __init__(self, root: str = "/") -> None:
        self.root = root

    def path(self, path: str) -> str:
        """Return where C(path), an absolute path of the host, lies here."""
        return os.path.join(self.root, path.lstrip("/"))

    def text(self, path: str) -> str | None:
        """Return the text of a file."""
        try:
            with open(self.path(path), encoding="utf-8", errors="replace") as stream:
                return stream.read()
        except OSError:
            return None

    def unreadable(self, path: str) -> str:
        """Return why something that is there cannot be read as a file; empty when it can, or when nothing is there."""
        try:
            with open(self.path(path), "rb") as stream:
                stream.read(1)
        except FileNotFoundError:
            return ""
        except OSError as error:
            return error.strerror or str(error)
        return ""

    def line(self, path: str) -> str | None:
        """Return the text of a file without the white space around it."""
        text = self.text(path)
        return None if text is None else text.strip()

    def names(self, path: str) -> list[str]:
        """Return the sorted names in a directory."""
        try:
            return sorted(os.listdir(self.path(path)))
        except OSError:
            return []

    def exists(self, path: str) -> bool:
        """Tell whether there is something under this path."""
        return os.path.exists(self.path(path))

    def first(self, paths: Iterable[str]) -> str | None:
        """Return the first of the paths under which there is something."""
        return next((path for path in paths if self.exists(path)), None)

    def executable(self, path: str) -> bool:
        """Tell whether it is a file that may be executed."""
        return os.path.isfile(self.path(path)) and os.access(self.path(path), os.X_OK)

    def matching(self, pattern: str) -> list[str]:
        """Return the paths that a shell pattern matches, sorted, as paths of the host."""
        skip = len(self.root.rstrip("/"))
        return sorted(found[skip:] for found in glob.glob(self.path(pattern)))

    def layered(self, folders: Iterable[str], ending: str) -> list[str]:
        """Return the paths of configuration files in the order of their names.

        C(folders) are in order of rank: a file hides those of the same name in later folders, as systemd and
        NetworkManager have it.
        """
        chosen: dict[str, str] = {}
        for folder in folders:
            for name in self.names(folder):
                if name.endswith(ending):
                    chosen.setdefault(name, f"{folder}/{name}")
        return [chosen[name] for name in sorted(chosen)]
