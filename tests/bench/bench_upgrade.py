# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the playbook upgrade costs: a plan and a whole upgrade of many simulated nodes.

Requests are counted by the API server's audit log. The pods start after a set time, all of a wave at once; their sum is
what an upgrade node by node would wait at least. Memory is the largest process of the run.

Run with the root of ansible_collections on PYTHONPATH: python tests/bench/bench_upgrade.py [NODES ...]
(default: 100 500). It needs kube-apiserver, as the tests marked kube do, and starts one of its own on loopback.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from ansible_collections.podnet.cni.tests.integration import _kube
from ansible_collections.podnet.cni.tests.integration.rollout._agents import Agents
from ansible_collections.podnet.cni.tests.integration.upgrade.conftest import AFTER, environment, install

START = 2.0
"""Seconds that a pod takes to start."""


def play(server: _kube.KubeServer, directory: Path, **variables: Any) -> tuple[float, int, str]:
    """Run the playbook; give seconds, requests and the last lines of its output."""
    given = {
        "flannel_kubeconfig": str(server.admin),
        "flannel_image_tag": AFTER,
        "flannel_wait": False,
        "upgrade_directory": str(directory / "upgrades"),
        "upgrade_preflight": False,
        "upgrade_soak": 5,
        "upgrade_poll": 1,
        "upgrade_lease_seconds": 600,
        "ansible_python_interpreter": sys.executable,
        **variables,
    }
    empty = directory / "hosts"
    empty.mkdir(exist_ok=True)
    mark = server.audit_mark()
    start = time.perf_counter()
    done = subprocess.run(
        [
            *(sys.executable, "-m", "ansible", "playbook", "-i", str(empty)),
            *("-e", json.dumps(given), "podnet.cni.upgrade"),
        ],
        env=environment(),
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    ours = [event for event in server.audit(mark) if str(event.get("userAgent", "")).startswith("podnet.cni")]
    return seconds, len(ours), done.stdout


def measure(count: int) -> None:
    """Plan and upgrade so many nodes."""
    with tempfile.TemporaryDirectory() as work, _kube.running() as server:
        directory = Path(work)
        install(server, directory)
        nodes = [f"node-{number}" for number in range(1, count + 1)]
        agents = Agents(server, "kube-flannel", nodes, name="kube-flannel-ds", pause=0.5)
        with agents:
            agents.settle(600)
            agents.delay = START
            for name, variables in (("plan", {"upgrade_plan_only": True}), ("upgrade", {}), ("again", {})):
                seconds, requests, _said = play(server, directory, **variables)
                memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
                waited = count * START if name == "upgrade" else 0
                print(
                    f"{count:>5}  {name:<7}  {seconds:>7.1f}  {waited:>14.0f}  {requests:>8}  "
                    f"{requests / count:>13.2f}  {memory:>9}",
                    flush=True,
                )
            if set(agents.images().values()) != {f"ghcr.io/flannel-io/flannel:{AFTER}"}:
                raise SystemExit("not every node was upgraded")


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nodes", nargs="*", type=int, default=[100, 500])
    print("nodes  run       wall s  pod starts sum  requests  requests/node  memory MB")
    for count in parser.parse_args().nodes:
        measure(count)


if __name__ == "__main__":
    main()
