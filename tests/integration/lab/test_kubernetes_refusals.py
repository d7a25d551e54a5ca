# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What netns_kubernetes refuses before anything is made: each with the value and the remedy."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._lab import kubernetes as model
from ansible_collections.podnet.cni.tests.integration import _warm

LAB = f"refused-{os.getpid()}"


@pytest.fixture(name="programs")
def fixture_programs(tmp_path: Path) -> Path:
    """A directory in which every program is found; nothing is started here."""
    if os.geteuid() != 0:
        pytest.skip("making nodes needs root")
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in (*model.PROGRAMS, *model.CNI_PLUGINS):
        (folder / name).write_text("#!/bin/sh\nexit 1\n")
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture(name="pause")
def fixture_pause(tmp_path: Path) -> Path:
    """An archive that says that it has a pause image."""
    (tmp_path / "manifest.json").write_text('[{"Config": "00.json", "RepoTags": ["registry.k8s.io/pause:3.10"]}]')
    archive = tmp_path / "pause.tar"
    subprocess.run(["tar", "-cf", archive, "-C", tmp_path, "manifest.json"], check=True)
    return archive


def look(programs: Path, *archives: Path, check: bool = True, nodes: int = 1, **cluster: Any) -> dict[str, Any]:
    """Run the module for a lab that does not exist."""
    asked = {"programs": [str(programs)], "images": [str(path) for path in archives], **cluster}
    names = [f"node{number}" for number in range(nodes)]
    options = {"lab": LAB, "control_plane": "control1", "nodes": names, "cluster": asked}
    result = _warm.run_module("netns_kubernetes", options, check=check)
    assert not Path("/run/podnet-lab", LAB).exists()
    return result


def test_a_check_run_before_the_hosts_are_made_says_what_would_be_made(programs: Path, pause: Path) -> None:
    result = look(programs, pause, endpoint="127.0.0.42:16999")
    assert result["changed"] is True, result
    assert result["actions"] == ["make a Kubernetes cluster of node0"]
    assert "has no host control1, node0" in look(programs, pause, check=False, endpoint="127.0.0.42:16999")["msg"]


def test_a_port_that_is_taken_is_refused(programs: Path, pause: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        endpoint = f"127.0.0.1:{taken.getsockname()[1]}"
        message = look(programs, pause, endpoint=endpoint)["msg"]
    assert f"endpoint is {endpoint}, which cannot be used: Address already in use" in message
    assert "another port" in message


def test_more_nodes_than_the_memory_holds_are_refused(programs: Path, pause: Path) -> None:
    message = look(programs, pause, nodes=5000, endpoint="127.0.0.42:16999")["msg"]
    assert "5000 nodes need about" in message
    assert "Ask for fewer nodes" in message


def test_a_missing_program_is_named_with_where_to_get_it(programs: Path, pause: Path) -> None:
    (programs / "kubelet").unlink()
    (programs / "kube-proxy").unlink()
    if shutil.which("kubelet"):
        pytest.skip("this machine has a kubelet on PATH")
    message = look(programs, pause)["msg"]
    assert "kubelet, kube-proxy cannot be found in" in message
    assert str(programs) in message


def test_a_file_that_is_no_archive_of_images_is_refused(programs: Path, pause: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("images")
    message = look(programs, pause, tmp_path / "notes.txt")["msg"]
    assert "notes.txt is not an archive of images" in message
    assert "docker save" in message


def test_images_without_a_pause_image_are_refused(programs: Path) -> None:
    assert "without it no pod starts" in look(programs)["msg"]
