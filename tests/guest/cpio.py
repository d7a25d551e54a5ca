# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Archives that a kernel unpacks into memory when it boots (format "newc" of cpio, the kernel's
Documentation/driver-api/early-userspace/buffer-format.rst).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def archive(files: Mapping[str, tuple[bytes, int]]) -> bytes:
    """An archive of these files, given as content and mode; the directories above them come first."""
    directories = {parent for name in files for parent in Path(name).parents} - {Path(".")}
    entries = [(str(path), b"", 0o040755) for path in sorted(directories)]
    entries += [(name, content, 0o100000 | mode) for name, (content, mode) in files.items()]
    made = b"".join(_entry(number, *entry) for number, entry in enumerate(entries, 1))
    return made + _entry(0, "TRAILER!!!", b"", 0)


def _entry(number: int, name: str, content: bytes, mode: int) -> bytes:
    path = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(path), 0)
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + path
    return _padded(head) + _padded(content)


def _padded(text: bytes) -> bytes:
    return text + b"\0" * (-len(text) % 4)
