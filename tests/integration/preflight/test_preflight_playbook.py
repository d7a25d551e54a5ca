# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook preflight against this machine, which it does not change: when it fails, what it writes and refuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.tests.integration import _plain, _warm
from ansible_collections.podnet.cni.tests.integration._as_typed import as_typed

COLLECTIONS = next(path for path in sys.path if os.path.isdir(f"{path}/ansible_collections/podnet/cni"))
CONFIG = {"Network": "198.19.0.0/16", "Backend": {"Type": "vxlan"}}
# No machine takes CNI configurations from there, so that what is found does not depend on this one.
INVALID = "00-invalid.conflist"


@pytest.fixture
def play(tmp_path: Path) -> Any:
    if os.geteuid() != 0:
        pytest.skip("much of a host is told to root only")
    configurations = tmp_path / "net.d"
    configurations.mkdir()
    (configurations / INVALID).write_text("{")

    def run(*options: str, **variables: Any) -> subprocess.CompletedProcess[str]:
        settings = {
            "ansible_python_interpreter": _warm.interpreter(),
            "preflight_network_config": CONFIG,
            "preflight_cni_conf_dir": str(configurations),
            **variables,
        }
        done = _warm.ansible(
            "playbook",
            *(
                "-i",
                "localhost,",
                "-c",
                "local",
                "-e",
                json.dumps(as_typed("preflight", settings)),
                *options,
                "podnet.cni.preflight",
            ),
            environment={
                **os.environ,
                "ANSIBLE_COLLECTIONS_PATH": COLLECTIONS,
                "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
                "ANSIBLE_NOCOLOR": "1",
                "ANSIBLE_HOME": str(tmp_path / "ansible"),
            },
        )
        # Errors are Ansible's own text.
        assert done.returncode or _plain.faults(done.stdout) == []
        return done

    return run


def test_findings_are_written_and_fail_the_play(play: Any, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    done = play("--check", preflight_json=str(report))
    assert done.returncode == 2
    assert "move it out of the directory" in " ".join(done.stdout.split())
    document = json.loads(report.read_text())
    found = [one for one in document["findings"] if one["id"] == "host.conflist" and one["status"] == "failed"]
    assert [one["seen"].split()[0] for one in found] == [INVALID]
    assert document["hosts"]["localhost"]["cni"]["files"][0]["file"] == INVALID
    assert document["cluster"] is None
    assert report.stat().st_mode & 0o777 == 0o600
    assert "changed=0" in done.stdout


def test_never_is_never(play: Any) -> None:
    # As texts, which is what the command line makes of them.
    switches = ("preflight_measure=false", "preflight_cluster=false", "preflight_show_all=true", "preflight_nodes=3")
    done = play(*(word for switch in switches for word in ("-e", switch)), preflight_fail_at="never")
    assert done.returncode == 0, done.stdout
    assert "host.conflist" in done.stdout
    assert "ok       host.clock" in done.stdout
    assert "Ask the other hosts" not in done.stdout


def test_a_host_that_does_not_answer_is_not_left_out(play: Any, tmp_path: Path) -> None:
    inventory = tmp_path / "two.yml"
    inventory.write_text(
        "all: {hosts: {localhost: {}, away: {ansible_connection: ssh, ansible_host: 127.0.0.1, ansible_port: 1}}}"
    )
    report = tmp_path / "report.json"
    done = play("-i", str(inventory), preflight_json=str(report), preflight_measure="false")
    assert done.returncode != 0
    document = json.loads(report.read_text())
    found = {one["subject"]: one["status"] for one in document["findings"] if one["id"] == "host.answers"}
    assert found == {"localhost": "ok", "away": "failed"}
    assert [one["id"] for one in document["findings"] if one["subject"] == "away"] == ["host.answers"]
    assert "host.answers" in done.stdout.partition("Not well:")[2], "the play ends with it"


def test_nobody_is_not_success(play: Any) -> None:
    done = play(preflight_hosts="nobody")
    assert done.returncode != 0
    assert "preflight_hosts (nobody) matches no host" in " ".join(done.stdout.split())


def test_a_check_that_does_not_exist_is_named(play: Any) -> None:
    done = play(preflight_checks_skip=["host.nothing"])
    assert done.returncode == 2
    assert "there is no check 'host.nothing'" in done.stdout + done.stderr


def test_a_network_config_that_is_none_is_named(play: Any) -> None:
    done = play(preflight_network_config={"Network": "198.19.0.0/16", "Backend": {"Type": "vxlan", "VNI": "one"}})
    assert done.returncode == 2
    assert "VNI" in done.stdout + done.stderr
