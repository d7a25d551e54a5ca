# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A backup in a directory: JSON files, and a list of their checksums that is written last.

A directory without the list, or with a file that does not fit it, is not a backup: an interruption, a full disk and a
damaged file are all noticed before anything is restored from it. Only the owner may read it: a network config can hold
a preshared key. Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
from typing import Any, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError, PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._host import atomic_file

LIST = "backup.json"
VERSION = 1
DIRECTORY_MODE = 0o700
FILE_MODE = 0o600


def check_writable(path: str) -> None:
    """Raise InputError when nothing can be written at C(path); nothing is made."""
    place = os.path.abspath(path)
    while not os.path.lexists(place):
        place = os.path.dirname(place)
    if not os.path.isdir(place):
        raise InputError(f"path: {path} cannot be a directory, because {place} is a file. Give another path.")
    if not os.access(place, os.W_OK | os.X_OK):
        raise InputError(f"path: {path} cannot be written to: {place} is not writable. Give another path.")


def write(path: str, documents: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, Any]:
    """Write a backup; gives its list. C(documents) maps a relative name to what is written as JSON.

    Raises PodnetError with the path and the system's reason; the directory is not a backup then.
    """
    check_writable(path)
    listed: dict[str, Any] = {
        "version": VERSION,
        "created": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        **about,
        "files": {},
    }
    atomic_file.remove(os.path.join(path, LIST))
    for name in sorted(documents):
        text = json.dumps(documents[name], indent=1, sort_keys=True) + "\n"
        _put(path, name, text)
        listed["files"][name] = hashlib.sha256(text.encode()).hexdigest()
    _put(path, LIST, json.dumps(listed, indent=1, sort_keys=True) + "\n")
    return listed


def _put(path: str, name: str, text: str) -> None:
    atomic_file.write(os.path.join(path, name), text, FILE_MODE, DIRECTORY_MODE)


def exists(path: str) -> bool:
    """Whether there is a complete backup, or at least something that claims to be one."""
    return os.path.lexists(os.path.join(path, LIST))


def read(path: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """List and documents of a backup. Raises InputError, naming the file, for one that is not complete."""
    if not os.path.isdir(path):
        raise InputError(f"path: there is no directory {path}.")
    if not exists(path):
        raise InputError(
            f"the backup {path} is not complete: it has no {LIST}, which is written last. It was interrupted. Use "
            "another one."
        )
    listed = _parse(path, LIST, _text(path, LIST))
    if not isinstance(listed, dict) or listed.get("version") != VERSION or not isinstance(listed.get("files"), dict):
        raise InputError(f"the backup {path} cannot be read: {LIST} is not of version {VERSION}. Use another one.")
    documents = {}
    for name, checksum in listed["files"].items():
        text = _text(path, name)
        if hashlib.sha256(text.encode()).hexdigest() != checksum:
            raise InputError(f"the backup {path} is damaged: {name} does not fit its checksum. Use another one.")
        documents[name] = _parse(path, name, text)
    return listed, documents


def _text(path: str, name: str) -> str:
    if name.startswith("/") or ".." in name.split("/"):
        raise InputError(f"the backup {path} is damaged: {LIST} names {name!r}. Use another one.")
    try:
        text = atomic_file.observe(os.path.join(path, name)).text
    except PodnetError as error:
        raise InputError(f"the backup {path} cannot be read: {error}.") from None
    if text is None:
        raise InputError(f"the backup {path} is not complete: {name} is missing. Use another one.")
    return text


def _parse(path: str, name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise InputError(f"the backup {path} is damaged: {name} is not JSON. Use another one.") from None
