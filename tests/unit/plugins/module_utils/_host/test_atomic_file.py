# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The file is the old one or the new one, and keeps what it had besides its text."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._host import atomic_file


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_gets_its_directories_and_mode_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "run" / "flannel" / "subnet.env"
    before = os.umask(0o077)
    try:
        atomic_file.write(str(path), "FLANNEL_MTU=1450\n")
    finally:
        os.umask(before)
    assert path.read_text() == "FLANNEL_MTU=1450\n"
    assert mode_of(path) == 0o644
    assert mode_of(path.parent) == 0o755


def test_an_existing_file_keeps_mode_and_owner(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o600)
    if os.geteuid() == 0:
        os.chown(path, 1, 2)
    owner = (path.stat().st_uid, path.stat().st_gid)
    atomic_file.write(str(path), "new")
    assert path.read_text() == "new"
    assert mode_of(path) == 0o600
    assert (path.stat().st_uid, path.stat().st_gid) == owner


def test_a_given_mode_wins(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o666)
    atomic_file.write(str(path), "new", mode=0o400)
    assert mode_of(path) == 0o400


def test_a_symbolic_link_stays_and_its_target_changes(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    atomic_file.write(str(link), "new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_the_data_is_synced_before_the_rename_and_the_directory_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    real_fsync, real_rename = os.fsync, os.rename

    def fsync(handle: int) -> None:
        events.append("directory" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        real_fsync(handle)

    def rename(source: str, target: str) -> None:
        events.append("rename")
        real_rename(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", rename)
    atomic_file.write(str(tmp_path / "file"), "text")
    assert events == ["file", "rename", "directory"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def full(*_args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(PodnetError, match=r"cannot write .*file: No space left on device"):
        atomic_file.write(str(path), "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_the_temporary_file_is_no_cni_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []
    real_rename = os.rename

    def rename(source: str, target: str) -> None:
        names.append(os.path.basename(source))
        real_rename(source, target)

    monkeypatch.setattr(os, "rename", rename)
    atomic_file.write(str(tmp_path / "10-flannel.conflist"), "{}")
    assert names[0].startswith(".10-flannel.conflist.")
    assert names[0].endswith(".tmp")


def test_observe_and_remove(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert atomic_file.observe(str(path)) == atomic_file.ABSENT
    assert not atomic_file.remove(str(path))
    path.write_bytes(b"a\r\n\xff")
    path.chmod(0o640)
    assert atomic_file.observe(str(path)) == atomic_file.FileState("a\r\n\ufffd", 0o640)
    assert atomic_file.remove(str(path))
    assert not path.exists()


def test_a_directory_in_the_way_is_named(tmp_path: Path) -> None:
    with pytest.raises(PodnetError, match=r"cannot read .*: Is a directory"):
        atomic_file.observe(str(tmp_path))
    with pytest.raises(PodnetError, match=r"cannot remove .*: Is a directory"):
        atomic_file.remove(str(tmp_path))


def test_bytes_come_back_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "archive"
    assert atomic_file.read_bytes(str(path)) == b""
    atomic_file.write(str(path), b"\x1f\x8b\x00\xff", 0o600)
    assert atomic_file.read_bytes(str(path)) == b"\x1f\x8b\x00\xff"
    assert path.stat().st_mode & 0o777 == 0o600


def test_bytes_of_a_directory_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(PodnetError, match="cannot read"):
        atomic_file.read_bytes(str(tmp_path))
