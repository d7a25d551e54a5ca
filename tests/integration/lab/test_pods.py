# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""cni_pod and pod_network_probe on lab hosts; the assertions are in pods.yml."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ansible_collections.podnet.cni.tests.integration import _warm


def test_pods_are_made_reached_repaired_and_removed(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("making namespaces needs root")
    for program in ("/usr/lib/cni/bridge", "/usr/lib/cni/portmap", "iptables"):
        if not shutil.which(program):
            pytest.skip(f"{program} is missing: install containernetworking-plugins and iptables")
    inventory = tmp_path / "lab.yml"
    lab = ["podnet.cni.lab", "-e", f"lab_name=test-pods-{os.getpid()}", "-e", f"lab_inventory_path={inventory}"]
    lab += ["-e", "lab_hosts=2", "-e", "lab_etcd=false"]

    def play(*arguments: str) -> subprocess.CompletedProcess[str]:
        return _warm.ansible("playbook", *arguments)

    made = play(*lab)
    try:
        assert made.returncode == 0, made.stdout + made.stderr
        tried = play("-i", str(inventory), str(Path(__file__).parent / "pods.yml"))
        assert tried.returncode == 0, tried.stdout + tried.stderr
    finally:
        removed = play(*lab, "-e", "lab_state=absent")
    assert removed.returncode == 0, removed.stdout + removed.stderr
