# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host is asked before its lease, and how far a check run gets where something is not installed yet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._dataplane import kernel, prepare
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.prepare import Question
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.reconcile import Outcome
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.underlay import Underlay
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError, MissingError
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._dataplane._nodes import UNDERLAY, config


class FakeKernel:
    """A kernel that has every kind of link; in a check run it may lack pyroute2."""

    missing = ""

    def __init__(self, host: str, check: bool) -> None:
        self.host, self.check = host, check

    def __enter__(self) -> FakeKernel:
        return self

    def __exit__(self, *_exc: object) -> None:
        pass

    def check_kind(self, kind: str) -> None:
        pass

    def underlay(self, _public_ips: Sequence[bytes], _interface: str | None) -> Underlay:
        return UNDERLAY


def no_program(command: Sequence[str], _text: str | None) -> tuple[int, str, str]:
    raise FileNotFoundError(command[0])


def question(key_file: Path, restore_dir: str = "") -> Question:
    return Question(config("wireguard"), (), None, str(key_file), restore_dir, "", restore_dir != "", 5.0)


@pytest.fixture(autouse=True)
def _kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "Kernel", FakeKernel)
    monkeypatch.setattr(prepare, "check_capable", lambda _host: None)


def test_check_run_has_a_key_that_is_thrown_away(tmp_path: Path) -> None:
    """The lease is planned with it; without one the check run would end there."""
    path = tmp_path / "key"
    found = prepare.prepare("host", question(path), no_program, True)
    assert len(found.facts["public_key"]) == 44
    assert (found.actions, path.exists()) == ([f"write {path}"], False)
    made = prepare.prepare("host", question(path), no_program, False)
    assert path.exists()
    assert made.facts["public_key"] != found.facts["public_key"]
    assert prepare.prepare("host", question(path), no_program, True).facts["public_key"] == made.facts["public_key"]


def test_check_run_only_warns_of_a_missing_program(tmp_path: Path) -> None:
    asked = question(tmp_path / "key", "/etc/podnet-cni")
    warnings = prepare.prepare("host", asked, no_program, True).warnings
    assert warnings[0].startswith("host host: the program wg is missing")
    assert warnings[1].startswith("nft is not on PATH")
    with pytest.raises(MissingError, match="the program wg is missing"):
        prepare.prepare("host", asked, no_program, False)


def test_what_is_missing_is_said_once() -> None:
    outcome = Outcome()
    outcome.note_missing("")
    outcome.note_missing("host host: pyroute2 is missing")
    outcome.note_missing("host host: pyroute2 is missing")
    assert len(outcome.warnings) == 1


def test_only_what_is_not_installed_is_tolerated() -> None:
    def wrong() -> None:
        raise InputError("wrong")

    with pytest.raises(InputError, match="wrong"):
        Outcome().tolerate(True, wrong)


def test_kernel_without_pyroute2(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_host: str) -> None:
        raise MissingError("pyroute2 is missing")

    monkeypatch.setattr(kernel, "load_pyroute2", missing)
    with kernel.Kernel("host", check=True) as looked_at:
        assert looked_at.missing == "pyroute2 is missing"
        assert looked_at.overlay_links() == []
        looked_at.check_kind("vxlan")
        with pytest.raises(InputError, match="interface 'nosuch0' does not exist"):
            looked_at.underlay([], "nosuch0")
        assert looked_at.underlay([b"\x7f\x00\x00\x01"], "lo").mtu == 65536
    with pytest.raises(MissingError):
        kernel.Kernel("host")
