# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A backup on disk: complete, private, or refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.module_utils._backup import directory
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError, PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._host import atomic_file

DOCUMENTS = {"objects/configmap/a/b.json": {"data": {"k": "v"}}, "nodes/n1.files.json": {"files": {}, "absent": []}}


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    directory.write(str(tmp_path / "deep" / "one"), DOCUMENTS, {"cluster": "c"})
    return tmp_path / "deep" / "one"


def test_what_was_written_is_read(backup: Path) -> None:
    listed, documents = directory.read(str(backup))
    assert documents == DOCUMENTS
    assert (listed["cluster"], set(listed["files"])) == ("c", set(DOCUMENTS))


def test_nobody_else_may_read_it(backup: Path) -> None:
    modes = {each: each.stat().st_mode & 0o777 for each in [backup, *backup.rglob("*")]}
    assert {mode for each, mode in modes.items() if each.is_dir()} == {0o700}
    assert {mode for each, mode in modes.items() if each.is_file()} == {0o600}


@given(st.sampled_from(sorted(DOCUMENTS)), st.integers(0, 200), st.binary(min_size=1, max_size=3))
def test_any_damage_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, name: str, position: int, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("backup")
    directory.write(str(path), DOCUMENTS, {})
    before = (path / name).read_bytes()
    position %= len(before)
    after = before[:position] + content + before[position + len(content) :]
    (path / name).write_bytes(after)
    if after == before:
        assert directory.read(str(path))[1] == DOCUMENTS
    else:
        with pytest.raises(InputError, match=f"damaged: {name}"):
            directory.read(str(path))


def test_what_is_missing_is_named(backup: Path) -> None:
    (backup / "nodes/n1.files.json").unlink()
    with pytest.raises(InputError, match=r"not complete: nodes/n1.files.json is missing"):
        directory.read(str(backup))
    (backup / directory.LIST).unlink()
    with pytest.raises(InputError, match=r"it has no backup.json, which is written last"):
        directory.read(str(backup))
    with pytest.raises(InputError, match="there is no directory"):
        directory.read(str(backup / "none"))


@pytest.mark.parametrize("writes", [0, 1, 2])
def test_a_backup_that_is_interrupted_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: int) -> None:
    """At any write, also over an older backup."""
    directory.write(str(tmp_path), {"old.json": {}}, {})
    original, left = atomic_file.write, writes

    def write(*given: Any) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise PodnetError("no space left on device")
        original(*given)

    monkeypatch.setattr(atomic_file, "write", write)
    with pytest.raises(PodnetError, match="no space left"):
        directory.write(str(tmp_path), DOCUMENTS, {})
    with pytest.raises(InputError, match="not complete"):
        directory.read(str(tmp_path))


@pytest.mark.parametrize("listed", ["[]", "{}", '{"version": 2, "files": {}}', "no JSON"])
def test_a_list_of_another_kind_is_refused(backup: Path, listed: str) -> None:
    (backup / directory.LIST).write_text(listed)
    with pytest.raises(InputError, match=r"backup.json"):
        directory.read(str(backup))


@pytest.mark.parametrize("name", ["../outside.json", "/etc/passwd"])
def test_a_list_that_leads_outside_is_refused(backup: Path, name: str) -> None:
    (backup / directory.LIST).write_text(json.dumps({"version": 1, "files": {name: "0"}}))
    with pytest.raises(InputError, match="damaged"):
        directory.read(str(backup))


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot be a directory, because .*/file is a file"):
        directory.check_writable(str(tmp_path / "file" / "deep" / "deeper"))
    # A test that runs as root may write everywhere.
    monkeypatch.setattr(directory.os, "access", lambda *_given: False)
    with pytest.raises(InputError, match=r"cannot be written to: .* is not writable"):
        directory.check_writable(str(tmp_path / "new"))
