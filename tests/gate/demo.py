# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run a demo twice from the tarball, in a lab of its own, and remove it: the second run must change nothing.

demo.py <directory of ansible-playbook> [run-kubernetes]
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from stage import BUILD, STAGED
from tarball import build, install

# Which variable names the lab, and how the gate sets it. The API server has another address than the one for people.
LABS = {"run": ("DEMO_LAB", "gate"), "run-kubernetes": ("DEMO_KUBERNETES_LAB", "gate-kubernetes")}
SETTINGS = {"DEMO_NODES": "2", "DEMO_ENDPOINT": "127.0.0.1:16444"}
RECAP = re.compile(r"^(\S+)\s+: ok=\d+ +changed=(\d+) +unreachable=(\d+) +failed=(\d+)", re.MULTILINE)


def run(demo: str, environment: dict[str, str], *arguments: str) -> str:
    """Run the demo and return what it printed; a failure is fatal."""
    command = [str(STAGED / "demo" / demo), *arguments]
    done = subprocess.run(
        command, check=False, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    print(done.stdout, flush=True)
    done.check_returncode()
    return done.stdout


def lacking(demo: str) -> str:
    """Why the demo cannot run on this machine; empty where it can, and where all of its programs are required."""
    if demo != "run-kubernetes" or os.environ.get("PODNET_REQUIRE_KUBE", "") not in ("", "0"):
        return ""
    command = [sys.executable, str(STAGED / "tests" / "tools" / "lab.py")]
    made = subprocess.run(command, check=False, capture_output=True, text=True)
    return made.stderr.strip() if made.returncode else ""


def main() -> int:
    """Run, run again, remove; returns the exit code."""
    programs, demo = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "run"
    variable, name = LABS[demo]
    reason = lacking(demo)
    if reason:
        print(f"no cluster: {reason}")
        return 0
    collections = BUILD / f"demo-gate-{demo}" / "collections"
    install(build(BUILD / f"demo-gate-{demo}" / "tarball"), collections)
    environment = {
        **os.environ,
        **SETTINGS,
        variable: name,
        "PODNET_ANSIBLE": programs,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "ANSIBLE_COLLECTIONS_PATH": str(collections),
    }
    version = subprocess.run([f"{programs}/ansible", "--version"], check=True, capture_output=True, text=True).stdout
    run(demo, environment, "--clean")
    try:
        run(demo, environment)
        again = run(demo, environment)
        # The last that a user sees of the demo.
        ends = re.search(r"^WELL: .*\n(?:.+\n)*\nThe page: (.+)\n\Z", again, re.MULTILINE)
        has_page = demo != "run" or (ends is not None and Path(ends[1]).is_file())
    finally:
        run(demo, environment, "--clean")
    hosts = RECAP.findall(again)
    changed = sorted({name for name, *counts in hosts if any(int(count) for count in counts)})
    left = [str(path) for path in [Path("/run/podnet-lab") / name] if path.exists()]
    if changed or left or not has_page or len({name for name, *_counts in hosts}) < 3:
        print(
            f"FAILED: the second run changed {changed}, --clean left {left}, hosts seen: {sorted(hosts)}, "
            f"the verdict and the page come last: {has_page}"
        )
        return 1
    summary = re.search(r"^(?:WELL:|\d+ of \d+ pairs) .*$", again, re.MULTILINE)
    print(f"{version.splitlines()[0]}: {summary.group(0) if summary else 'no summary'}; the second run changed nothing")
    return 0 if summary else 1


if __name__ == "__main__":
    sys.exit(main())
