# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kernel modules that node_prepare loads with the real modprobe, and that systemd loads again at boot."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.tests.integration._kernel import needs
from ansible_collections.podnet.cni.tests.integration._warm import run_module

pytestmark = needs("kernel modules")

WANTED = ["dummy", "ip_vs"]
AT_BOOT = Path("/usr/lib/systemd/systemd-modules-load")


def loaded() -> set[str]:
    lines = Path("/proc/modules").read_text(encoding="ascii").splitlines()
    return {line.split()[0] for line in lines} & set(WANTED)


@pytest.fixture
def options(tmp_path: Path) -> dict[str, Any]:
    """For a kernel in which none of the modules is loaded."""
    subprocess.run(["modprobe", "-r", *WANTED], check=True)
    assert loaded() == set()
    return {"kernel_modules": WANTED, "modules_file": str(tmp_path / "podnet-cni.conf"), "sysctl_file": ""}


def test_modules_are_loaded_once_and_again_at_boot(options: dict[str, Any]) -> None:
    foreseen = run_module("node_prepare", options, check=True, diff=True)
    assert foreseen["changed"]
    assert all(f"module {name}\n" in foreseen["diff"]["after"] for name in WANTED)
    assert loaded() == set()

    assert run_module("node_prepare", options)["changed"]
    assert loaded() == set(WANTED)
    subprocess.run(["unshare", "--net", "ip", "link", "add", "d0", "type", "dummy"], check=True)
    assert not run_module("node_prepare", options)["changed"]

    if not AT_BOOT.exists():
        pytest.skip("systemd is not installed")
    subprocess.run(["modprobe", "-r", *WANTED], check=True)
    subprocess.run([AT_BOOT, options["modules_file"]], check=True)
    assert loaded() == set(WANTED)


def test_a_module_that_does_not_exist_is_named_and_no_file_written(options: dict[str, Any]) -> None:
    refused = run_module("node_prepare", {**options, "kernel_modules": ["dummy", "no_such_module"]})
    assert refused["failed"]
    assert "no_such_module" in refused["msg"]
    assert "extra kernel modules" in refused["msg"]
    assert not Path(options["modules_file"]).exists()


def test_from_a_container_that_may_load_none_a_warning_names_them(options: dict[str, Any]) -> None:
    found = run_module("node_prepare", options, via=["setpriv", "--bounding-set=-sys_module"])
    assert loaded() == set()
    assert "kernel modules dummy, ip_vs cannot be loaded from here" in str(found["warnings"])
