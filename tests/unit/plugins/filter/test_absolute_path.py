# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Paths of the controller count from where ansible-playbook was started."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jinja2 import Undefined

from ansible_collections.podnet.cni.tests.unit._private_filters import private

absolute = private("absolute_path")
kubeconfig = private("absolute_kubeconfig")


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory in which ansible-playbook was started."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PWD", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("path", ["lab.yml", "./lab.yml", "../lab.yml", "sub/lab.yml", "sub/"])
def test_a_relative_path_counts_from_there(started: Path, path: str) -> None:
    assert absolute(path) == f"{started}/{path}"


@pytest.mark.parametrize(
    "given", ["", "/etc/x", "~/.kube/config", "~root/x", "$HOME/x", "${HOME}/x", None, 7, "__omit_place_holder__0123"]
)
def test_everything_else_stays(started: Path, given: Any) -> None:
    assert absolute(given) == given
    assert kubeconfig(given) == given


def test_what_is_undefined_or_omits_an_option_stays(started: Path) -> None:
    for given in (Undefined(name="flannel_kubeconfig"), object()):
        assert absolute(given) is given
        assert kubeconfig(given) is given


def test_each_of_a_list_is_counted(started: Path) -> None:
    assert absolute(["a", "/b", "~/c"]) == [f"{started}/a", "/b", "~/c"]


def test_each_of_several_kubeconfigs_is_counted(started: Path) -> None:
    assert kubeconfig("admin.conf") == f"{started}/admin.conf"
    assert kubeconfig("a.conf:~/b.conf:/c.conf:d.conf") == f"{started}/a.conf:~/b.conf:/c.conf:{started}/d.conf"
    assert absolute("10:00.html") == f"{started}/10:00.html"


def test_the_shells_name_of_the_directory_stays(started: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = started / "real"
    directory.mkdir()
    link = started / "link"
    link.symlink_to(directory)
    monkeypatch.chdir(link)
    monkeypatch.setenv("PWD", str(link))
    assert absolute("lab.yml") == f"{link}/lab.yml"


@pytest.mark.parametrize("named", ["/", ".", "", "/no/such/directory", None])
def test_a_wrong_name_of_the_directory_does_not_count(
    started: Path, monkeypatch: pytest.MonkeyPatch, named: str | None
) -> None:
    if named is None:
        monkeypatch.delenv("PWD")
    else:
        monkeypatch.setenv("PWD", named)
    assert absolute("lab.yml") == f"{started.resolve()}/lab.yml"
