# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of one node, read for a backup and put back from it. Private to podnet.cni: may change in any release."""

from __future__ import annotations

import glob
import os
import stat
from dataclasses import dataclass
from typing import Any, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._host import atomic_file

LIMIT = 1024 * 1024
"""Octets. What belongs to a pod network is far smaller; something larger is not configuration."""

_PATTERN = frozenset("*?[")


@dataclass(frozen=True)
class Change:
    """A file that is written or, where C(text) is None, removed; C(before) is what it was."""

    path: str
    before: atomic_file.FileState
    text: str | None = None
    mode: int = 0

    @property
    def action(self) -> str:
        """What is done, in words."""
        return f"{'remove' if self.text is None else 'restore'} {self.path}"

    def diff(self) -> dict[str, str]:
        """Before and after as Ansible shows them; what only its owner may read stays hidden."""
        return {
            "before_header": self.path,
            "after_header": self.path,
            "before": _shown(self.before.text, self.before.mode),
            "after": _shown(self.text, self.mode),
        }


def _shown(text: str | None, mode: int | None) -> str:
    if text is None:
        return ""
    mode = 0o644 if mode is None else mode
    return f"mode {mode:04o}\n" + (text if mode & 0o077 else "not shown: only its owner may read it\n")


def gather(paths: Sequence[str]) -> dict[str, Any]:
    """What is at the paths: C(files) maps a path to C(text) and C(mode) (octal), C(absent) lists paths without a file.

    A path may be a pattern of the shell; C(patterns) lists them, and no pattern is in C(absent). Raises InputError for
    a path that is not absolute, a file that is too large or no UTF-8 text, PodnetError for one that cannot be read.
    """
    files: dict[str, dict[str, str]] = {}
    absent = []
    for path in paths:
        _check(path)
        found = sorted(glob.glob(path)) if _PATTERN & set(path) else [path]
        for each in found:
            if os.path.isdir(each):
                continue
            state = _read(each)
            if state is None:
                absent.append(each)
            else:
                files[each] = state
    patterns = sorted({path for path in paths if _PATTERN & set(path)})
    return {"files": files, "absent": sorted(set(absent)), "patterns": patterns}


def _check(path: Any) -> None:
    if not isinstance(path, str) or not path.startswith("/") or "\0" in path or ".." in path.split("/"):
        raise InputError(f"{path!r} is not an absolute path of a file.")


def _read(path: str) -> dict[str, str] | None:
    try:
        size = os.stat(path).st_size
    except OSError:
        size = 0
    if size > LIMIT:
        raise InputError(f"{path} has {size} octets, more than the {LIMIT} of a file of the pod network. Leave it out.")
    state = atomic_file.observe(path)
    if state.text is None:
        return None
    if "\ufffd" in state.text:
        raise InputError(f"{path} is not UTF-8 text. Leave it out.")
    return {"text": state.text, "mode": f"{state.mode or 0o644:04o}"}


def plan(wanted: Mapping[str, Any]) -> list[Change]:
    """What makes the files what they were, in the order in which it is done. C(wanted) is what gather() gave.

    A file that fits one of its patterns and was not there is removed: a conflist of a new name would win over the old.
    Raises InputError when that is not a result of gather().
    """
    files, absent, patterns = (wanted.get(key) for key in ("files", "absent", "patterns"))
    if (
        not isinstance(files, Mapping)
        or not isinstance(absent, (list, tuple))
        or not isinstance(patterns, (list, tuple))
    ):
        raise InputError("files: give what a run without files returned, with its keys files, absent and patterns.")
    for path in [*files, *absent, *patterns]:
        _check(path)
    modes = {path: _mode(path, state) for path, state in files.items()}
    changes = []
    for path in sorted(files):
        state = atomic_file.observe(path)
        if (state.text, state.mode) != (files[path]["text"], modes[path]):
            changes.append(Change(path, state, files[path]["text"], modes[path]))
    fitting = {path for pattern in patterns for path in glob.glob(pattern)}
    new = {path for path in fitting if path not in files and not os.path.isdir(path)}
    for path in sorted({*absent, *new}):
        # Names of a new file last: a runtime that looks meanwhile must always find one configuration.
        if os.path.lexists(path):
            changes.append(Change(path, atomic_file.observe(path)))
    return changes


def apply(changes: Sequence[Change]) -> None:
    """Carry the changes out."""
    for each in changes:
        if each.text is None:
            atomic_file.remove(each.path)
        else:
            atomic_file.write(each.path, each.text, each.mode)


def _mode(path: str, state: Any) -> int:
    try:
        text, mode = state["text"], int(state["mode"], 8)
    except (KeyError, TypeError, ValueError):
        text, mode = None, 0
    if not isinstance(text, str) or mode != stat.S_IMODE(mode):
        raise InputError(f"files: {path} has no text and octal mode.")
    return mode
