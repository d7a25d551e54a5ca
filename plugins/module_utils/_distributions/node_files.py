# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of a change of the network on one node: written all or not at all, and put back from what is kept beside them.

What was there before is kept on the node until the change has ended, since it may hold secrets.
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import json
import os
from typing import Any, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._distributions import redact
from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError, PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._host import atomic_file
from ansible_collections.podnet.cni.plugins.module_utils._host.atomic_file import FileState

STATE = "/etc/podnet-cni/distribution-network.json"
"""What files were before a change that has not ended."""

MODE = 0o600


def write(
    files: Sequence[Mapping[str, Any]], secrets: Mapping[str, str], *, begun: bool, check: bool, state: str = STATE
) -> list[dict[str, Any]]:
    """Write files, each with C(path), C(text) and C(before); returns what differed, as Ansible shows it.

    C(secrets) are put in the place of their names. C(before) is what a reader saw, without secrets, null for no file:
    what is there now has to be that, or the wanted text already. C(begun) notes that a change is under way although no
    file differs. Raises ConflictError for a file that somebody else has changed, and PodnetError where one cannot be
    written; then all are what they were.
    """
    wanted: list[tuple[str, str, FileState]] = []
    for each in files:
        text = str(each["text"])
        for name, secret in secrets.items():
            text = text.replace(name, secret)
        now = atomic_file.observe(each["path"])
        if now.text == text:
            continue
        seen = None if now.text is None else redact.yaml(now.text)
        if seen != each["before"]:
            raise ConflictError(
                f"{each['path']} was changed by somebody else since it was read. Nothing is written: look at it, and "
                "run this again."
            )
        wanted.append((each["path"], text, now))
    if check or not (wanted or begun):
        return [_diff(path, now.text, text) for path, text, now in wanted]
    _keep({path: now for path, _text, now in wanted}, state)
    done: list[tuple[str, FileState]] = []
    try:
        for path, text, now in wanted:
            atomic_file.write(path, text, MODE if now.mode is None else None)
            done.append((path, now))
    except PodnetError:
        for path, now in done:
            _put(path, now)
        raise
    return [_diff(path, now.text, text) for path, text, now in wanted]


def restore(*, check: bool, state: str = STATE) -> list[dict[str, Any]]:
    """Put back what was there before the change that has not ended. Raises PodnetError."""
    found = []
    everything = _kept(state)
    for path, kept in everything.get("files", {}).items():
        before = FileState(kept["text"], kept["mode"])
        now = atomic_file.observe(path)
        if now.text != before.text:
            found.append(_diff(path, now.text, before.text))
            if not check:
                _put(path, before)
    if everything and not check:
        _save({**everything, "restarted": 0}, state)
    return found


def settle(*, check: bool, state: str = STATE) -> bool:
    """Forget what was there before: the change has ended. Whether there was something to forget."""
    there = os.path.exists(state)
    if there and not check:
        atomic_file.remove(state)
    return there


def restarted(state: str = STATE) -> float | None:
    """When the service was restarted with the files of the change, 0 for not yet; None where no change is under way."""
    return float(_kept(state).get("restarted") or 0) if os.path.exists(state) else None


def note_restart(when: float, state: str = STATE) -> None:
    """Note that the service was restarted with the files of the change."""
    _save({**_kept(state), "restarted": when}, state)


def _keep(files: Mapping[str, FileState], state: str) -> None:
    kept = _kept(state)
    found = {path: {"text": now.text, "mode": now.mode} for path, now in files.items()}
    # What an earlier try has kept is the state before it, which is the one to go back to.
    made = {"files": {**found, **kept.get("files", {})}, "restarted": 0 if files else kept.get("restarted", 0)}
    _save(made, state)


def _save(kept: Mapping[str, Any], state: str) -> None:
    atomic_file.write(state, json.dumps(kept), MODE, 0o700)


def _kept(state: str) -> dict[str, Any]:
    text = atomic_file.observe(state).text
    if text is None:
        return {}
    try:
        found = json.loads(text)
    except ValueError as error:
        raise PodnetError(f"{state} is not JSON ({error}): remove it, and put the files back by hand.") from error
    return dict(found)


def _put(path: str, before: FileState) -> None:
    if before.text is None:
        atomic_file.remove(path)
    else:
        atomic_file.write(path, before.text, before.mode)


def _diff(path: str, before: str | None, after: str | None) -> dict[str, Any]:
    hidden = [redact.yaml(each or "") for each in (before, after)]
    return {"before_header": path, "after_header": path, "before": hidden[0], "after": hidden[1]}
