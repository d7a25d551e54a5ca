# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of a node, read and put back."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.module_utils._backup import files
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError

NAMES = st.sampled_from(["a.conf", "b.conflist", "c.json", "d.txt"])
TREE = st.dictionaries(NAMES, st.tuples(st.text(alphabet="ab{}\n", max_size=9), st.sampled_from([0o600, 0o644])))


def fill(directory: Path, tree: dict[str, tuple[str, int]]) -> None:
    for each in directory.iterdir():
        each.unlink()
    for name, (text, mode) in tree.items():
        (directory / name).write_text(text)
        (directory / name).chmod(mode)


def look(directory: Path) -> dict[str, tuple[str, int]]:
    return {each.name: (each.read_text(), each.stat().st_mode & 0o777) for each in directory.iterdir()}


@given(
    before=TREE, after=TREE, paths=st.sampled_from([["a.conf", "b.conflist", "c.json", "d.txt"], ["*"], ["a*", "?.*"]])
)
def test_what_was_read_is_put_back(
    tmp_path_factory: pytest.TempPathFactory,
    before: dict[str, tuple[str, int]],
    after: dict[str, tuple[str, int]],
    paths: list[str],
) -> None:
    directory = tmp_path_factory.mktemp("node")
    fill(directory, before)
    kept = files.gather([str(directory / name) for name in paths])
    fill(directory, after)
    planned = files.plan(kept)
    assert look(directory) == after, "a plan changes nothing"
    files.apply(planned)
    assert look(directory) == before
    assert files.plan(kept) == []


def test_patterns_take_what_fits(tmp_path: Path) -> None:
    fill(tmp_path, {"10-flannel.conflist": ("{}", 0o644), "calico-kubeconfig": ("token", 0o600)})
    (tmp_path / "multus.d").mkdir()
    found = files.gather([f"{tmp_path}/*.conf*", f"{tmp_path}/*.d", f"{tmp_path}/subnet.env"])
    assert list(found["files"]) == [f"{tmp_path}/10-flannel.conflist"]
    assert found["absent"] == [f"{tmp_path}/subnet.env"]
    assert found["patterns"] == [f"{tmp_path}/*.conf*", f"{tmp_path}/*.d"]


def test_a_file_of_a_new_name_is_removed_after_the_old_one_is_back(tmp_path: Path) -> None:
    """A release that writes another file name, like 05-flannel.conflist, would win over the old one for good."""
    (tmp_path / "multus.d").mkdir()
    fill_name = tmp_path / "10-flannel.conflist"
    fill_name.write_text("{}")
    kept = files.gather([f"{tmp_path}/*"])
    fill_name.rename(tmp_path / "05-flannel.conflist")
    changes = files.plan(kept)
    assert [each.action for each in changes] == [f"restore {fill_name}", f"remove {tmp_path}/05-flannel.conflist"]
    files.apply(changes)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["10-flannel.conflist", "multus.d"]


def test_the_difference_is_shown_but_not_of_what_only_its_owner_may_read(tmp_path: Path) -> None:
    fill(tmp_path, {"subnet.env": ("MTU=1450\n", 0o644), "calico-kubeconfig": ("token", 0o600)})
    kept = files.gather([f"{tmp_path}/*"])
    fill(tmp_path, {"subnet.env": ("MTU=1400\n", 0o644), "calico-kubeconfig": ("other", 0o600)})
    secret, plain = (each.diff() for each in files.plan(kept))
    assert (plain["before"], plain["after"]) == ("mode 0644\nMTU=1400\n", "mode 0644\nMTU=1450\n")
    assert "token" not in str(secret)
    assert "other" not in str(secret)


@pytest.mark.parametrize("path", ["relative", "", "/etc/../shadow", 7])
def test_a_path_that_is_none_is_refused(path: str) -> None:
    with pytest.raises(InputError, match="not an absolute path"):
        files.gather([path])


def test_what_is_no_configuration_is_refused(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"x" * (files.LIMIT + 1))
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="large has 1048577 octets"):
        files.gather([str(tmp_path / "large")])
    with pytest.raises(InputError, match="binary is not UTF-8 text"):
        files.gather([str(tmp_path / "binary")])


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"files": {}, "absent": "x", "patterns": []},
        {"files": {}, "absent": [], "patterns": ["*.conf"]},
        {"files": {}, "absent": []},
        {"files": {"/a": {"text": "x"}}, "absent": [], "patterns": []},
        {"files": {"/a": {"text": "x", "mode": "9"}}, "absent": [], "patterns": []},
        {"files": {"/a": {"text": None, "mode": "0644"}}, "absent": [], "patterns": []},
        {"files": {"a": {"text": "x", "mode": "0644"}}, "absent": [], "patterns": []},
    ],
)
def test_what_gather_never_gave_is_refused(wanted: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(InputError):
        files.plan(wanted)
