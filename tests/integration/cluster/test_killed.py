# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cluster whose making is killed half way, and whose programs are killed: nothing of it outlives its lab."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._lab import containers
from ansible_collections.podnet.cni.plugins.module_utils._lab.plan import lab_key
from ansible_collections.podnet.cni.tests.integration import _cluster

pytestmark = pytest.mark.cluster


@pytest.fixture(name="unmade")
def fixture_unmade() -> Iterator[_cluster.Cluster]:
    with _cluster.unmade(1) as cluster:
        yield cluster


def traces(name: str) -> list[str]:
    """What a lab of this name has on the machine: processes, mounts, control groups, files."""
    key = lab_key("/run/podnet-lab", name)
    found = [path for path in (f"/run/podnet-lab/{name}", f"/var/cache/podnet-lab/{key}") if Path(path).exists()]
    for hierarchy in containers.hierarchies():
        group = Path(hierarchy, containers.PARENT, key)
        found += [str(group)] if group.exists() else []
    found += [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if f"podnet-lab/{name}" in line]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            grouped = (process / "cgroup").read_text()
        except OSError:
            continue
        found += [str(process)] if f"/{key}/" in grouped else []
    return found


def kill_half_way(unmade: _cluster.Cluster) -> None:
    """Make the cluster, and kill the run when its first kubelet has been started."""
    command = [sys.executable, "-m", "ansible.cli.playbook", "podnet.cni.lab", "-e", unmade.lab_variables()]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True) as making:
        kubelet = Path("/run/podnet-lab", unmade.name, "kubernetes/processes/node1/kubelet.json")
        deadline = time.monotonic() + 240
        while not kubelet.exists() and making.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert kubelet.exists()
        os.killpg(making.pid, signal.SIGKILL)


def test_nothing_is_left_of_a_cluster_that_was_killed_while_it_was_made(unmade: _cluster.Cluster) -> None:
    kill_half_way(unmade)
    kubelet = Path("/run/podnet-lab", unmade.name, "kubernetes/processes/node1/kubelet.json")
    # the worst case: containers whose parents are gone, and a kubelet that nobody has on record
    os.kill(unmade.pid("node1", "containerd"), signal.SIGKILL)
    kubelet.unlink()
    assert traces(unmade.name)
    unmade.remove()
    assert traces(unmade.name) == []


def test_the_next_run_finishes_what_a_killed_one_began(unmade: _cluster.Cluster) -> None:
    kill_half_way(unmade)
    # a host that lost its processes, and keeps their mounts and control groups
    os.kill(unmade.pid("node1", "containerd"), signal.SIGKILL)
    unmade.lab().ok()
    assert set(unmade.ready()) == set(unmade.nodes)
    assert unmade.lab().ok().changed == 0
