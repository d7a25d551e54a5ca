# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measure playbooks on lab hosts: the overlay's first run and re-run, others after it, and each host's module runs.

Run as root: python tests/bench/bench_overlay.py [--tasks] [--also PLAYBOOK] [HOSTS ...]        (default: 3 10 30)

Processor seconds are those of ansible-playbook and all that it started, hosts included: other work on the machine does
not count. "MB" is the largest process so far. With --tasks each task's share follows. PYTHONDONTWRITEBYTECODE has to
be unset, as on the machines of users.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
NETWORK = {"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}


def playbook(name: str, work: Path, *arguments: str, **more: str) -> tuple[float, float, dict]:
    """Run a playbook of the collection, or a file; return (wall seconds, processor seconds, what the callback counted).

    C(more) are further variables of the environment.
    """
    counts = work / "counts.json"
    environment = {
        **os.environ,
        "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback_plugins"),
        "ANSIBLE_CALLBACKS_ENABLED": "module_runs",
        "ANSIBLE_FORKS": "10",
        "ANSIBLE_PIPELINING": "true",
        "MODULE_RUNS_FILE": str(counts),
        **more,
    }
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    book = name if name.endswith(".yml") else f"podnet.cni.{name}"
    command = [str(Path(sys.executable).parent / "ansible-playbook"), book, *arguments]
    done = subprocess.run(command, env=environment, cwd=work, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name}: {done.stdout}\n{done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - start, spent, json.loads(counts.read_text())


def measure(hosts: int, work: Path, also: list[str], tasks: bool) -> None:
    """Make a lab of so many hosts, run the overlay twice and the others once on it, and remove it."""
    inventory = work / "inventory.yml"
    lab = [
        "-e",
        json.dumps({"lab_name": f"bench{os.getpid()}", "lab_hosts": hosts, "lab_inventory_path": str(inventory)}),
    ]
    overlay = ["-i", str(inventory), "-e", json.dumps({"overlay_network_config": NETWORK})]
    playbook("lab", work, *lab)
    try:
        for run, name in (("first run", "overlay"), ("re-run", "overlay"), *((name, name) for name in also)):
            seconds, spent, counted = playbook(name, work, *overlay)
            once = counted["runs"].pop("delegated", 0)
            nodes = counted["runs"].values()
            largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
            print(
                f"{hosts:>5}  {run:<10}  {seconds:>7.1f}  {spent:>7.1f}  {spent / hosts:>10.2f}  {max(nodes):>9}  "
                f"{once:>4}  {counted['changed']:>7}  {largest:>4}",
                flush=True,
            )
            for task, share in counted["tasks"].items() if tasks else ():
                print(f"{'':>25} {share:>9.2f}  {share / hosts:>10.2f}  {task}", flush=True)
    finally:
        playbook("lab", work, *lab, "-e", "lab_state=absent")


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", action="store_true", help="print each task's share, too")
    parser.add_argument("--also", action="append", default=[], help="a playbook to run on the same hosts afterwards")
    parser.add_argument("hosts", nargs="*", type=int, default=[3, 10, 30])
    options = parser.parse_args()
    print("hosts  run         wall s    CPU s  CPU s/host  runs/host  once  changed    MB")
    with tempfile.TemporaryDirectory() as work:
        for hosts in options.hosts:
            measure(hosts, Path(work), options.also, options.tasks)


if __name__ == "__main__":
    main()
