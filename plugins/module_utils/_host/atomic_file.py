# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that are either the old ones or the new ones, also after a power cut.

Private to podnet.cni: may change in any release.

C(AnsibleModule.atomic_move) renames but does not fsync: after a crash the new name can hold an empty file, and an
empty conflist or subnet.env stops every pod of the node. So this module writes a temporary file in the same
directory, syncs it, renames it and syncs the directory.
"""

from __future__ import annotations

import os
import stat
import tempfile
from dataclasses import dataclass

from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError


@dataclass(frozen=True)
class FileState:
    """What is on disk: C(text) is None where there is no file; C(mode) holds the permission bits."""

    text: str | None
    mode: int | None = None


ABSENT = FileState(text=None)


def observe(path: str) -> FileState:
    """Return the file's text and mode; a missing file is not an error.

    Bytes that are not UTF-8 come back as replacement characters: such a file is never equal to one of ours.
    Raises PodnetError when the path cannot be read, for example because it is a directory.
    """
    try:
        with open(path, encoding="utf-8", errors="replace", newline="") as stream:
            mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
            return FileState(stream.read(), mode)
    except FileNotFoundError:
        return ABSENT
    except OSError as error:
        raise PodnetError(f"cannot read {path}: {error.strerror}") from error


def read_bytes(path: str) -> bytes:
    """Return the file's bytes, none where there is no file. Raises PodnetError when the path cannot be read."""
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise PodnetError(f"cannot read {path}: {error.strerror}") from error


def write(path: str, content: str | bytes, mode: int | None = None, directory_mode: int = 0o755) -> None:
    """Put C(content) at C(path) in one step, with missing directories made first.

    C(mode) given: the file gets exactly these bits, whatever the umask. Not given: an existing file keeps its mode,
    a new one gets 0644. Owner, group and SELinux label of an existing file are kept. A symbolic link stays one: its
    target is replaced. Raises PodnetError with the path and the system's reason.
    """
    target = os.path.realpath(path)
    directory = os.path.dirname(target)
    try:
        _make_directories(directory, directory_mode)
        _replace(target, directory, content.encode("utf-8") if isinstance(content, str) else content, mode)
    except OSError as error:
        raise PodnetError(f"cannot write {path}: {error.strerror}") from error


def remove(path: str) -> bool:
    """Delete the file and sync its directory; return whether there was one."""
    try:
        os.unlink(path)
        _sync_directory(os.path.dirname(os.path.abspath(path)))
    except FileNotFoundError:
        return False
    except OSError as error:
        raise PodnetError(f"cannot remove {path}: {error.strerror}") from error
    return True


def _make_directories(directory: str, mode: int) -> None:
    if os.path.isdir(directory):
        return
    parent = os.path.dirname(directory)
    if parent != directory:
        _make_directories(parent, mode)
    os.mkdir(directory)
    os.chmod(directory, mode)
    _sync_directory(parent)


def _replace(target: str, directory: str, content: bytes, mode: int | None) -> None:
    # The name starts with a dot and ends in .tmp, so no CNI runtime takes it for a network configuration.
    handle, temporary = tempfile.mkstemp(prefix=f".{os.path.basename(target)}.", suffix=".tmp", dir=directory)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            _take_over_attributes(target, stream.fileno(), mode)
            stream.flush()
            os.fsync(stream.fileno())
        os.rename(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise
    _sync_directory(directory)


def _take_over_attributes(target: str, handle: int, mode: int | None) -> None:
    try:
        old = os.stat(target)
    except FileNotFoundError:
        os.fchmod(handle, 0o644 if mode is None else mode)
        return
    os.fchown(handle, old.st_uid, old.st_gid)
    os.fchmod(handle, stat.S_IMODE(old.st_mode) if mode is None else mode)
    try:
        os.setxattr(handle, "security.selinux", os.getxattr(target, "security.selinux"))
    except OSError:
        # No SELinux, or a file system without labels: nothing to take over.
        return


def _sync_directory(directory: str) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
