# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the demo twice from the tarball, in a lab of its own, and remove it: the second run must change nothing.

demo.py <directory of ansible-playbook>
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from stage import BUILD, STAGED
from tarball import build, install

NAME = "gate"
RECAP = re.compile(r"^(\S+)\s+: ok=\d+ +changed=(\d+) +unreachable=(\d+) +failed=(\d+)", re.MULTILINE)


def run(environment: dict[str, str], *arguments: str) -> str:
    """Run the demo and return what it printed; a failure is fatal."""
    command = [str(STAGED / "demo" / "run"), *arguments]
    done = subprocess.run(
        command, check=False, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    print(done.stdout, flush=True)
    done.check_returncode()
    return done.stdout


def main() -> int:
    """Run, run again, remove; returns the exit code."""
    programs = sys.argv[1]
    collections = BUILD / "demo-gate" / "collections"
    install(build(BUILD / "demo-gate" / "tarball"), collections)
    environment = {
        **os.environ,
        "DEMO_LAB": NAME,
        "PODNET_ANSIBLE": programs,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "ANSIBLE_COLLECTIONS_PATH": str(collections),
    }
    version = subprocess.run([f"{programs}/ansible", "--version"], check=True, capture_output=True, text=True).stdout
    run(environment, "--clean")
    try:
        run(environment)
        again = run(environment)
    finally:
        run(environment, "--clean")
    hosts = RECAP.findall(again)
    changed = sorted({name for name, *counts in hosts if any(int(count) for count in counts)})
    left = [str(path) for path in [Path("/run/podnet-lab") / NAME] if path.exists()]
    if changed or left or len({name for name, *_counts in hosts}) < 3:
        print(f"FAILED: the second run changed {changed}, --clean left {left}, hosts seen: {sorted(hosts)}")
        return 1
    summary = re.search(r"^\d+ of \d+ pairs .*$", again, re.MULTILINE)
    print(f"{version.splitlines()[0]}: {summary.group(0) if summary else 'no summary'}; the second run changed nothing")
    return 0 if summary else 1


if __name__ == "__main__":
    sys.exit(main())
