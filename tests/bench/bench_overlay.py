# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Time the playbook podnet.cni.overlay on lab hosts: first run and re-run, with the module runs each host saw.

Run as root: python tests/bench/bench_overlay.py [HOSTS ...]        (default: 3 10 30)
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
NETWORK = {"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}


def playbook(name: str, work: Path, *arguments: str) -> tuple[float, dict]:
    """Run a playbook of the collection; return (wall seconds, what the callback counted)."""
    counts = work / "counts.json"
    environment = {
        **os.environ,
        "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback_plugins"),
        "ANSIBLE_CALLBACKS_ENABLED": "module_runs",
        "ANSIBLE_FORKS": "10",
        "ANSIBLE_PIPELINING": "true",
        "MODULE_RUNS_FILE": str(counts),
    }
    start = time.perf_counter()
    command = [str(Path(sys.executable).parent / "ansible-playbook"), f"podnet.cni.{name}", *arguments]
    done = subprocess.run(command, env=environment, cwd=work, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name}: {done.stdout}\n{done.stderr}")
    return time.perf_counter() - start, json.loads(counts.read_text())


def measure(hosts: int, work: Path) -> None:
    """Make a lab of so many hosts, run the playbook twice on it, and remove it."""
    inventory = work / "inventory.yml"
    lab = [
        "-e",
        json.dumps({"lab_name": f"bench{os.getpid()}", "lab_hosts": hosts, "lab_inventory_path": str(inventory)}),
    ]
    overlay = ["-i", str(inventory), "-e", json.dumps({"overlay_network_config": NETWORK})]
    playbook("lab", work, *lab)
    try:
        for run in ("first run", "re-run"):
            seconds, counted = playbook("overlay", work, *overlay)
            once = counted["runs"].pop("delegated", 0)
            nodes = counted["runs"].values()
            print(
                f"{hosts:>5}  {run:<9}  {seconds:>7.1f}  {max(nodes):>9}  {once:>6}  {counted['changed']:>7}",
                flush=True,
            )
    finally:
        playbook("lab", work, *lab, "-e", "lab_state=absent")


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hosts", nargs="*", type=int, default=[3, 10, 30])
    print("hosts  run        wall s  runs/host  once  changed")
    with tempfile.TemporaryDirectory() as work:
        for hosts in parser.parse_args().hosts:
            measure(hosts, Path(work))


if __name__ == "__main__":
    main()
