# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Guests of a lab: when a host is one, what is refused by name, what is said of one that hangs, and its units."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError, MissingError, PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._lab import guest_kernel, guests, plan
from ansible_collections.podnet.cni.plugins.module_utils._lab.guest_units import GuestUnits
from ansible_collections.podnet.cni.plugins.module_utils._lab.plan import Process

NETWORKS = plan.parse_networks([("underlay_cidr", "198.18.0.0/24")])


def host(name: str, **more: Any) -> dict[str, Any]:
    """A host as the module's options have it."""
    return {"name": name, "offset": None, "processes": [], "containers": False, "guest": False, **more}


def lab(*hosts: dict[str, Any], memory: int = 1024) -> plan.Lab:
    """The lab of these hosts."""
    return plan.desired(hosts, NETWORKS, 1500, default_route=True, guest_memory=memory)


def kinds(want: plan.Lab, have: plan.Lab) -> list[str]:
    """The operations, as text."""
    return [str(each) for each in plan.plan(want, have)]


def found(want: plan.Lab, **changes: Any) -> plan.Lab:
    """The lab as it was made, but for the changes of the host b."""
    seen = want.hosts["b"]
    assert seen is not None
    return plan.Lab(want.underlay, {**want.hosts, "b": plan.Host(**{**vars(seen), **changes})}, {})


def test_a_host_is_a_guest_where_that_is_asked_for() -> None:
    want = lab(host("a"), host("b", guest=True))
    assert [(each["name"], each["guest"]) for each in plan.host_records(want)] == [("a", False), ("b", True)]
    assert kinds(want, found(want)) == []


def test_a_guest_that_is_off_is_switched_on_and_keeps_its_disk() -> None:
    want = lab(host("a"), host("b", guest=True))
    down = {"addresses": (), "gateways": (), "hosts_file": "", "mtu": 0, "down": "it is off"}
    assert kinds(want, found(want, **down)) == ["switch on b: it is off", "write /etc/hosts in b"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"guest": 0}, "it is of namespaces instead of a guest with 1024 MiB"),
        ({"guest": 2048}, "it is a guest with 2048 MiB instead of a guest with 1024 MiB"),
        ({"containers": True, "down": "it is off"}, "it can run containers"),
    ],
)
def test_a_guest_of_another_kind_is_made_anew(changes: dict[str, Any], why: str) -> None:
    want = lab(host("a"), host("b", guest=True))
    made = kinds(want, found(want, **changes))
    assert made == [f"remove host b: {why}", "create host b", "write /etc/hosts in b"]


def test_what_a_guest_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match="guest_memory is 128"):
        lab(host("b", guest=True), memory=128)
    process = {"name": "web", "argv": ["true"], "environment": {}, "ready_url": ""}
    with pytest.raises(InputError, match="b is a guest"):
        lab(host("b", guest=True, processes=[process]))


class Machines:
    """Stands for the processes of qemu."""

    def __init__(self, *, ends: bool) -> None:
        self.ends = ends
        self.stopped: list[str] = []

    def start(self, *_args: Any) -> None:
        """Start it, as far as this goes."""

    def running(self, _name: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
        return () if self.ends else (("qemu", ()),)

    def stop_all(self, name: str) -> None:
        self.stopped.append(name)

    def log_tail(self, _host: str, _name: str) -> str:
        return "qemu-system-x86_64: Could not access KVM"


def deaf(_command: Sequence[str], _text: str | None) -> tuple[int, str, str]:
    """ssh to a guest that does not answer."""
    return 255, "", "Connection refused"


@pytest.fixture(name="booted")
def fixture_booted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> guests.Guests:
    made = guests.Guests(str(tmp_path), str(tmp_path), "/nowhere", "underlay", deaf)
    folder = tmp_path / "guests" / "b"
    folder.mkdir(parents=True)
    (folder / "console.log").write_text("guest: no disk\nreboot: Power down\n")
    (folder / "initrd").write_bytes(b"")
    monkeypatch.setattr(guest_kernel, "kernel", lambda: guest_kernel.Kernel(tmp_path))
    monkeypatch.setattr(guests.Guests, "_image", lambda *_args: b"")
    monkeypatch.setattr(guests.Guests, "_qemu", lambda *_args: ("sleep", "60"))
    monkeypatch.setattr(guests, "BOOT_SECONDS", 0.2)
    monkeypatch.setattr(guests, "POLL_SECONDS", 0.05)
    return made


@pytest.mark.parametrize(
    ("ends", "said"),
    [(False, "did not answer within 0 s and was ended"), (True, "ended before it answered .*Could not access KVM")],
)
def test_a_guest_that_does_not_come_up_is_ended_and_its_console_shown(
    booted: guests.Guests, monkeypatch: pytest.MonkeyPatch, ends: bool, said: str
) -> None:
    machines = Machines(ends=ends)
    monkeypatch.setattr(booted, "machines", machines)
    want = lab(host("b", guest=True)).hosts["b"]
    assert want is not None
    with pytest.raises(PodnetError, match=f"The guest b {said}") as error:
        booted.boot([want])
    assert "console.log: guest: no disk | reboot: Power down" in str(error.value)
    # once before the start, and once more where it hangs
    assert len(machines.stopped) == 1 + (not ends)


@pytest.mark.parametrize(
    ("lacks", "package"),
    [("qemu-system-x86_64", "qemu-system-x86"), ("mkfs.ext4", "e2fsprogs"), ("busybox", "busybox-static")],
)
def test_what_a_guest_lacks_is_named_with_its_package(
    monkeypatch: pytest.MonkeyPatch, lacks: str, package: str
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, **_more: None if name == lacks else f"/bin/{name}")
    made = guests.Guests("/nowhere", "/nowhere", "/nowhere", "underlay", deaf)
    with pytest.raises(MissingError, match=f"needs {lacks}.*apt-get install {package}"):
        made.check([], 4096)


def test_guests_that_the_memory_does_not_hold_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, **_more: f"/bin/{name}")
    monkeypatch.setattr(os.path, "exists", lambda _path: True)
    made = guests.Guests("/nowhere", "/nowhere", "/nowhere", "underlay", deaf)
    both = [each for each in lab(host("b", guest=True), host("c", guest=True)).hosts.values() if each is not None]
    made.check(both, 2048)
    with pytest.raises(MissingError, match="b, c take 2048 MiB of memory, and 2047 MiB are available"):
        made.check(both, 2047)


class Guest:
    """A guest that keeps what its shell is given, and answers."""

    def __init__(self, answer: str = "", code: int = 0) -> None:
        self.answer = answer
        self.code = code
        self.given: list[str | None] = []

    def units(self) -> GuestUnits:
        """The units of this guest."""
        return GuestUnits(self._run, lambda _host, command: list(command))

    def _run(self, _command: Sequence[str], text: str | None) -> tuple[int, str, str]:
        self.given.append(text)
        return self.code, self.answer, "Permission denied"


def test_a_process_of_a_guest_is_a_unit_that_comes_back_at_boot() -> None:
    guest = Guest()
    argv = ("/opt/bin/kubelet", "--node-ip=198.18.0.11", '--say=a "b" $c 5%')
    process = Process("kubelet", argv, (("PATH", "/opt/bin:/bin"),), revision="cafe")
    guest.units().start("b", process, "containerd")
    (unit,) = guest.given
    assert unit is not None
    lines = unit.splitlines()
    assert lines[0].endswith("revision cafe")
    assert r'ExecStart=/opt/bin/kubelet --node-ip=198.18.0.11 "--say=a \"b\" $$c 5%%"' in lines
    assert "Environment=PATH=/opt/bin:/bin" in lines
    assert {"After=containerd.service", "WantedBy=podnet-guest.target", "Restart=always"} <= set(lines)


def test_a_unit_that_systemd_starts_again_counts_as_running() -> None:
    guest = Guest("kubelet.service activating cafe\nkube-proxy.service failed beef\ncontainerd.service active f00d\n")
    assert guest.units().revisions("b") == {"kubelet": "cafe", "kube-proxy": None, "containerd": "f00d"}


def test_a_guest_that_refuses_is_named() -> None:
    with pytest.raises(PodnetError, match=r"The guest b does not do .*Permission denied"):
        Guest(code=255).units().revisions("b")
