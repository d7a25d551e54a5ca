# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The connection plugin without any namespace: its options, its command line, its errors."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleConnectionFailure, AnsibleError, AnsibleFileNotFound
from ansible.playbook.play_context import PlayContext
from ansible.plugins.connection import local

from ansible_collections.podnet.cni.plugins.connection import netns


@pytest.fixture(name="pins")
def fixture_pins(tmp_path: Path) -> Path:
    """Three files that look like pins; each is a link to a namespace of this process."""
    host = tmp_path / "node1"
    host.mkdir()
    for kind in netns.KINDS:
        (host / kind).symlink_to(f"/proc/self/ns/{kind}")
    return host


@pytest.fixture(name="connection")
def fixture_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> netns.Connection:
    options = {"netns_state_dir": str(tmp_path), "netns_name": "node1"}
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(netns.Connection, "get_option", lambda _self, option, hostvars=None: options[option])
    return netns.Connection(PlayContext(), os.devnull)


def test_documents_every_option_that_the_local_connection_reads() -> None:
    ours = yaml.safe_load(netns.DOCUMENTATION)
    theirs = yaml.safe_load(local.DOCUMENTATION)
    assert set(theirs.get("options", {})) <= set(ours["options"])
    assert "ansible.builtin.connection_pipelining" in ours["extends_documentation_fragment"]


def test_enters_the_network_the_mount_and_the_uts_namespace() -> None:
    assert netns.nsenter_argv("/run/lab/node 1") == [
        "nsenter",
        "--net=/run/lab/node 1/net",
        "--mount=/run/lab/node 1/mnt",
        "--uts=/run/lab/node 1/uts",
        "--",
    ]


def test_a_pin_is_a_file_of_the_namespace_file_system(pins: Path) -> None:
    assert netns.missing_pin(str(pins)) is None


@pytest.mark.parametrize("kind", netns.KINDS)
def test_names_the_pin_that_does_not_exist(pins: Path, kind: str) -> None:
    (pins / kind).unlink()
    assert netns.missing_pin(str(pins)) == str(pins / kind)


@pytest.mark.parametrize("kind", netns.KINDS)
def test_a_plain_file_left_over_after_a_reboot_is_no_pin(pins: Path, kind: str) -> None:
    (pins / kind).unlink()
    (pins / kind).touch()
    assert netns.missing_pin(str(pins)) == str(pins / kind)


def test_an_absent_host_is_unreachable_and_the_message_says_how_to_make_it(connection: netns.Connection) -> None:
    for attempt in (
        lambda: connection.exec_command("true"),
        lambda: connection.put_file("/etc/hosts", "/nowhere/x"),
        lambda: connection.fetch_file("/etc/hosts", "/nowhere/x"),
    ):
        with pytest.raises(AnsibleConnectionFailure, match=r"node1/net is not a namespace.*podnet\.cni\.lab"):
            attempt()


def test_a_controller_that_is_not_root_is_told_so(
    connection: netns.Connection, pins: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(AnsibleConnectionFailure, match=r"user id 1000.*as root"):
        connection.exec_command("true")


def test_a_controller_without_nsenter_is_told_what_to_install(
    connection: netns.Connection, pins: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(AnsibleConnectionFailure, match="Install util-linux"):
        connection.exec_command("true")


@pytest.mark.parametrize("command", ["true", "echo 'a b' \"$HOME\" && sleep 0", "printf '%s' \"it's\"\n"])
def test_the_command_reaches_the_shell_of_the_host_unchanged(
    connection: netns.Connection, pins: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    seen: list[str] = []

    def run(_self: Any, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        seen.append(cmd)
        return 0, b"", b""

    monkeypatch.setattr(local.Connection, "exec_command", run)
    connection.exec_command(command)
    words = shlex.split(seen[0])
    assert words[0] == "exec"
    assert words[1:6] == netns.nsenter_argv(str(pins))
    assert words[6:] == ["/bin/sh", "-c", command]


@pytest.mark.parametrize(
    ("result", "unreachable"),
    [
        ((1, b"", b"nsenter: cannot open /run/x/net: No such file or directory\n"), True),
        ((1, b"", b"nsenter: reassociate to namespace 'ns/net' failed: Operation not permitted\n"), True),
        ((1, b"", b"some program: nsenter: cannot open x\n"), False),
        ((1, b"output", b"nsenter: cannot open /run/x/net: No such file or directory\n"), False),
        ((0, b"", b"nsenter: cannot open /run/x/net: No such file or directory\n"), False),
        ((127, b"", b"nsenter: failed to execute nothere: No such file or directory\n"), False),
    ],
)
def test_only_a_failure_to_enter_is_unreachable(
    connection: netns.Connection,
    pins: Path,
    monkeypatch: pytest.MonkeyPatch,
    result: tuple[int, bytes, bytes],
    unreachable: bool,
) -> None:
    monkeypatch.setattr(local.Connection, "exec_command", lambda *_args, **_kwargs: result)
    if unreachable:
        with pytest.raises(AnsibleConnectionFailure, match="Cannot enter the namespaces"):
            connection.exec_command("true")
    else:
        assert connection.exec_command("true") == result


def test_a_source_that_does_not_exist_is_named(connection: netns.Connection, pins: Path, tmp_path: Path) -> None:
    with pytest.raises(AnsibleFileNotFound, match="absent"):
        connection.put_file(str(tmp_path / "absent"), "/nowhere/x")


def test_a_target_that_cannot_be_written_is_named(
    connection: netns.Connection, pins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "source").write_text("x")
    monkeypatch.setattr(
        subprocess, "run", lambda *args, **_kwargs: subprocess.CompletedProcess(args, 1, b"", b"sh: No space left\n")
    )
    with pytest.raises(AnsibleError, match="Cannot write /full/x on the host node1: sh: No space left"):
        connection.put_file(str(tmp_path / "source"), "/full/x")


def test_a_target_on_the_controller_that_cannot_be_opened_is_named(
    connection: netns.Connection, pins: Path, tmp_path: Path
) -> None:
    with pytest.raises(AnsibleError, match=r"absent/x on the controller: No such file or directory"):
        connection.fetch_file("/etc/hosts", str(tmp_path / "absent" / "x"))
