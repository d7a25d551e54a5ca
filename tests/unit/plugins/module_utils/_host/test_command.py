# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Programs started without a module."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._errors import MissingError
from ansible_collections.podnet.cni.plugins.module_utils._host.command import checked, plain_runner


def test_a_program_gets_its_input_and_gives_its_output_and_exit_code() -> None:
    assert plain_runner()(["sh", "-c", "cat; echo bad >&2; exit 3"], "text") == (3, "text", "bad\n")
    assert plain_runner()(["sh", "-c", "cat; echo $LC_ALL"], None) == (0, "C\n", "")


def test_what_a_program_prints_is_no_matter_of_encoding() -> None:
    code, out, _err = plain_runner()(["printf", "a\\377"], None)
    assert (code, out.encode("utf-8", "surrogateescape")) == (0, b"a\xff")


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(FileNotFoundError, match="no-such-program"):
        plain_runner()(["no-such-program"], None)


def test_a_program_of_busybox_that_refuses_is_named_with_the_remedy() -> None:
    usage = "BusyBox v1.35.0 (Debian 1:1.35.0-4) multi-call binary.\n\nUsage: ip [OPTIONS] address|route\n"
    with pytest.raises(
        MissingError, match=r"^ip is that of busybox, which cannot do ip -d -j addr show: install iproute2$"
    ):
        checked(lambda _command, _text: (1, "", usage), ["ip", "-d", "-j", "addr", "show"], missing="install iproute2")


def test_programs_of_the_system_are_found_without_its_directories_on_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    code, _out, _err = plain_runner()(["ldconfig", "--version"], None)
    assert code == 0
