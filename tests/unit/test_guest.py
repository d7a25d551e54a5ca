# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guest that runs what this machine's kernel makes skip: what it boots from, and how its results are counted."""

from __future__ import annotations

import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._errors import MissingError
from ansible_collections.podnet.cni.plugins.module_utils._lab import guest_boot, guest_kernel
from ansible_collections.podnet.cni.tests.gate import skips

DEPENDENCIES = """\
kernel/drivers/net/wireguard/wireguard.ko: kernel/net/ipv6/ip6_udp_tunnel.ko kernel/net/ipv4/udp_tunnel.ko
kernel/net/ipv6/ip6_udp_tunnel.ko:
kernel/net/ipv4/udp_tunnel.ko:
kernel/net/ipv4/ip_tunnel.ko.xz: kernel/net/ipv4/tunnel4.ko
kernel/net/ipv4/tunnel4.ko:
kernel/net/sched/sch-netem.ko:
"""


def test_modules_come_after_what_they_need_and_once() -> None:
    order = guest_boot.closure(DEPENDENCIES, ("ip_tunnel", "wireguard", "ip_tunnel", "sch_netem"))
    assert len(order) == len(set(order)) == 6
    assert order.index("kernel/net/ipv4/tunnel4.ko") < order.index("kernel/net/ipv4/ip_tunnel.ko.xz")
    assert order.index("kernel/net/ipv4/udp_tunnel.ko") < order.index("kernel/drivers/net/wireguard/wireguard.ko")


def test_a_module_that_is_built_in_is_not_loaded() -> None:
    assert guest_boot.closure(DEPENDENCIES, ("tun", "tunnel4")) == ["kernel/net/ipv4/tunnel4.ko"]


def test_the_archive_is_one_that_others_read(tmp_path: Path) -> None:
    if shutil.which("busybox") is None:
        pytest.skip("busybox is not installed")
    made = guest_boot.archive({"init": (b"#!/bin/sh\n", 0o755), "modules/a/b.ko": (b"12345", 0o644)})
    subprocess.run(["busybox", "cpio", "-i", "-d"], input=made, cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "init").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "modules" / "a" / "b.ko").read_bytes() == b"12345"


@pytest.mark.parametrize("lacks", ["qemu-system-x86_64", "busybox", "apt-get"])
def test_what_a_guest_lacks_is_named(monkeypatch: pytest.MonkeyPatch, lacks: str) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, **_more: None if name == lacks else f"/bin/{name}")
    with pytest.raises(MissingError, match=lacks):
        guest_kernel.kernel()


def test_sources_without_a_kernel_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, **_more: f"/bin/{name}")
    monkeypatch.setattr(subprocess, "run", lambda *_args, **_more: subprocess.CompletedProcess([], 0, "", ""))
    with pytest.raises(MissingError, match="linux-image-amd64"):
        guest_kernel.kernel()


class Apt:
    """The programs of apt on a machine with the sources of one release, and another kernel in any other suite."""

    def __init__(self, release: str) -> None:
        self.release = release
        self.kernels = {"own": "linux-image-6-stable", "other": "linux-image-9-other"}
        self.sources: list[str] = []

    def run(self, command: list[str], **more: Any) -> subprocess.CompletedProcess[str]:
        option = next((each for each in command if each.startswith("-oDir::Etc::sourcelist=")), "")
        if option:
            self.sources.append(Path(option.partition("=")[2]).read_text())
        image = self.kernels.get("other" if option else "own")
        said = {
            "indextargets": f"{self.release}-security apt.example/security\n{self.release} apt.example/debian\n",
            "depends": f"linux-image-amd64\n  Depends: {image}\n" if image else "",
            "policy": "Candidate: 1\n",
        }
        if "download" in command:
            Path(more["cwd"], f"{command[-1].partition('=')[0]}.deb").touch()
        if command[0] == "dpkg" and "linux-image" in command[2]:
            boot = Path(command[3], "boot")
            boot.mkdir(parents=True)
            (boot / f"vmlinuz-{Path(command[2]).stem[len('linux-image-') :]}").touch()
        text = next((text for word, text in said.items() if word in command), "")
        return subprocess.CompletedProcess(command, 0, text, "")


@pytest.fixture
def apt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Apt:
    made = Apt("bookworm")
    monkeypatch.setattr(shutil, "which", lambda name, **_more: f"/bin/{name}")
    monkeypatch.setattr(subprocess, "run", made.run)
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: {"VERSION_CODENAME": "bookworm"})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(guest_kernel.SUITE, raising=False)
    return made


@pytest.mark.parametrize(("given", "suite"), [("backports", "bookworm-backports"), ("bullseye", "bullseye")])
def test_the_kernel_is_that_of_the_release_or_of_another_suite(
    apt: Apt, monkeypatch: pytest.MonkeyPatch, given: str, suite: str
) -> None:
    assert guest_kernel.kernel().release == "6-stable"
    assert apt.sources == []
    monkeypatch.setenv(guest_kernel.SUITE, given)
    assert guest_kernel.kernel().release == "9-other"
    assert set(apt.sources) == {f"deb apt.example/debian {suite} main\n"}
    monkeypatch.setenv(guest_kernel.SUITE, "")
    assert guest_kernel.kernel().release == "6-stable"


def test_a_suite_that_the_archive_has_not_is_named(apt: Apt, monkeypatch: pytest.MonkeyPatch) -> None:
    del apt.kernels["other"]
    monkeypatch.setenv(guest_kernel.SUITE, "buzz")
    with pytest.raises(MissingError, match=f"{guest_kernel.SUITE}=buzz leads to none"):
        guest_kernel.kernel()


def test_a_suite_beside_a_release_that_no_source_has(apt: Apt, monkeypatch: pytest.MonkeyPatch) -> None:
    apt.release = "other"
    monkeypatch.setenv(guest_kernel.SUITE, "backports")
    with pytest.raises(MissingError, match=guest_kernel.SUITE):
        guest_kernel.kernel()


SKIPPED = [
    ("integration.test_a.test_one", "this kernel has no wireguard"),
    ("integration.test_a.test_two[ipip]", "this kernel has no ipip"),
    ("integration.test_b.test_three", "etcd is not installed"),
]


def test_what_ran_in_the_guest_is_not_skipped() -> None:
    assert skips.remaining(SKIPPED, {"integration.test_a.test_one", "integration.test_b.test_three"}) == SKIPPED[1:]


def test_what_both_kernels_lack_has_to_be_permitted() -> None:
    assert skips.unexpected(SKIPPED[1:]) == ["integration.test_a.test_two[ipip]: this kernel has no ipip"]
    assert skips.unexpected(SKIPPED[1:], [r"test_two\[.*: this kernel has no ipip$"]) == []


def test_a_program_that_ci_lacks_is_told() -> None:
    assert skips.absent(SKIPPED) == ["integration.test_b.test_three: etcd is not installed"]
