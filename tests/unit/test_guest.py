# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guest that runs what this machine's kernel makes skip: what it boots from, and how its results are counted."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

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
