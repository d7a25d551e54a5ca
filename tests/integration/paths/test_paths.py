# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Playbooks that are run by their names, with paths as somebody types them: nothing is written into the collection."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from ansible_collections.podnet.cni.tests.integration import _warm

ROOT = Path(__file__).resolve().parents[3]


def play(directory: Path, *arguments: str, **variables: object) -> None:
    done = _warm.ansible("playbook", *arguments, "-e", json.dumps(variables), directory=directory)
    assert done.returncode == 0, done.stdout + done.stderr


def collection() -> dict[str, bytes]:
    """What the directory of the playbooks holds, in which modules of the controller run."""
    files = (path for path in (ROOT / "playbooks").rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {str(path): path.read_bytes() for path in files}


def test_options_are_left_out_and_paths_counted(tmp_path: Path) -> None:
    playbook = Path(__file__).with_name("counted.yml")
    play(tmp_path, str(playbook), started=str(tmp_path.resolve()), roles=str(ROOT / "roles"))
    assert (tmp_path / "sub" / "file").is_dir()


def test_files_are_written_and_read_where_ansible_was_started(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("making namespaces needs root")
    if not shutil.which("ip"):
        pytest.skip("ip is missing: install iproute2")
    before = collection()
    lab = {"lab_name": f"test-paths-{os.getpid()}", "lab_hosts": 1, "lab_etcd": False, "lab_inventory_path": "lab.yml"}
    try:
        play(tmp_path, "podnet.cni.lab", **lab)
        assert "node1" in (tmp_path / "lab.yml").read_text()
        play(
            tmp_path,
            *("-i", "lab.yml", "podnet.cni.report"),
            report_format="json",
            report_file="status.json",
            report_files={"html": "status.html"},
            doctor_bundle="network.tar.gz",
        )
    finally:
        play(tmp_path, "podnet.cni.lab", **lab, lab_state="absent")
    assert json.loads((tmp_path / "status.json").read_text())["hosts"]
    assert {path.name for path in tmp_path.iterdir()} == {"status.json", "status.html", "network.tar.gz"}
    assert collection() == before
