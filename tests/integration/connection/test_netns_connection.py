# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The connection plugin on real namespaces, driven by ansible-playbook as a user drives it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

PLAYBOOK = Path(__file__).parent / "connection.yml"

SETUP = """
hostname {name}
mount -t sysfs sysfs /sys
mount -t tmpfs -o mode=0755 tmpfs /opt
ip link set lo up
ip link add only-{name} type veth peer name peer-{name}
"""


@pytest.fixture(name="state_dir", scope="module")
def fixture_state_dir() -> Iterator[Path]:
    """Two hosts, alpha and beta, made with nothing but util-linux; the directory that holds their pins."""
    if os.geteuid() != 0:
        pytest.skip("making namespaces needs root")
    state_dir = Path(f"/run/podnet-test-connection-{os.getpid()}")
    state_dir.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", state_dir], check=True)
    subprocess.run(["mount", "--make-private", state_dir], check=True)
    try:
        for name in ("alpha", "beta"):
            (state_dir / name).mkdir()
            flags = []
            for flag, kind in (("net", "net"), ("mount", "mnt"), ("uts", "uts")):
                (state_dir / name / kind).touch()
                flags.append(f"--{flag}={state_dir / name / kind}")
            subprocess.run(["unshare", *flags, "sh", "-ec", SETUP.format(name=name)], check=True)
        yield state_dir
    finally:
        subprocess.run(["umount", "-l", state_dir], check=True)
        state_dir.rmdir()


def play(state_dir: Path, folder: Path, **variables: object) -> subprocess.CompletedProcess[str]:
    """Run connection.yml, whose assertions are the test, on the hosts alpha, beta and the absent gamma."""
    inventory = {
        "all": {
            "hosts": {name: {} for name in ("alpha", "beta", "gamma")},
            "vars": {
                "ansible_connection": "podnet.cni.netns",
                "ansible_netns_state_dir": str(state_dir),
                # become users other than root cannot read an interpreter below /root
                "ansible_python_interpreter": "/usr/bin/python3",
                **variables,
            },
        }
    }
    (folder / "inventory.yml").write_text(yaml.safe_dump(inventory))
    return subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "-i", folder / "inventory.yml", PLAYBOOK],
        env={**os.environ, "ANSIBLE_LOCALHOST_WARNING": "false", "ANSIBLE_NOCOLOR": "true"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("pipelining", [False, True])
def test_a_host_behaves_as_a_host_of_its_own(state_dir: Path, tmp_path: Path, pipelining: bool) -> None:
    done = play(state_dir, tmp_path, ansible_pipelining=pipelining, scratch=str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    recap = {line.split()[0]: line for line in done.stdout.splitlines() if "unreachable=" in line}
    assert set(recap) == {"alpha", "beta", "gamma"}
    for line in recap.values():
        assert "failed=0" in line, done.stdout
