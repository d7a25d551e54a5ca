# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run every ansible-test sanity test without containers, and fail when one did not really run.

ansible-test makes an environment per test and would download pip's bootstrap script for it. A script that asks the
interpreter's own ensurepip is put where the download would be kept; everything lives in a home of its own under .build.
Each of these passes quietly otherwise, so each is an error here: a test that was skipped, a test that never started, a
missing shellcheck, an ignore file.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

from ansible_test._internal.python_requirements import get_venv_packages
from stage import BUILD, STAGED

HOME = BUILD / "home"
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
GET_PIP = """\
import subprocess, sys
# In a process of its own: ensurepip hides pip's configuration from the process it runs in.
subprocess.check_call([sys.executable, "-m", "ensurepip", "--default-pip"])
# --no-setuptools and --no-wheel are for the script this one stands in for.
arguments = [each for each in sys.argv[1:] if not each.startswith("--no-")]
sys.exit(subprocess.call([sys.executable, "-m", "pip", "install", *arguments]))
"""


def seed_pip(home: Path) -> None:
    """Put the bootstrap script where this ansible-test looks for it, and pip's own configuration where pip does."""
    version = get_venv_packages(SimpleNamespace(version=PYTHON))["pip"].replace(".", "_")
    script = home / ".ansible" / "test" / "cache" / f"get_pip_{version}.py"
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(GET_PIP, encoding="utf-8")
    for name in (".config/pip", ".pip"):
        ours, theirs = home / name, Path.home() / name
        if theirs.exists() and not ours.exists():
            ours.parent.mkdir(parents=True, exist_ok=True)
            ours.symlink_to(theirs)


def find_ignores(tree: Path) -> list[str]:
    """Lines of sanity ignore files that are not comments."""
    return [
        f"{path.name}: {line}"
        for path in sorted((tree / "tests" / "sanity").glob("ignore-*.txt"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.strip() and not line.lstrip().startswith("#")
    ]


def main() -> int:
    """Run the tests and judge the output; returns the exit code."""
    seed_pip(HOME)
    command = ["ansible-test", "sanity", "--color", "no"]
    environment = {**os.environ, "HOME": str(HOME)}
    listing = subprocess.run(
        [*command, "--list-tests"], cwd=STAGED, env=environment, check=True, capture_output=True, text=True
    )
    wanted = set(re.findall(r"^[a-z][a-z0-9-]+$", listing.stdout, re.MULTILINE))
    done = subprocess.run(
        [*command, "--local", "--python", PYTHON],
        cwd=STAGED,
        env=environment,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    print(done.stdout)
    ran = set(re.findall(r'^Running sanity test "([^"]+)"', done.stdout, re.MULTILINE))
    problems = [f"did not run: {name}" for name in sorted(wanted - ran)]
    problems += re.findall(
        r"^.*(?:WARNING: (?:Skipping|Required program).*|tests? skipped.*)$", done.stdout, re.MULTILINE
    )
    problems += [f"ignored: {line}" for line in find_ignores(STAGED)]
    for problem in problems:
        print(f"SANITY: {problem}")
    print(
        f"{len(ran)} of {len(wanted)} sanity tests ran on Python {PYTHON}, none ignored" if not problems else "FAILED"
    )
    return 1 if problems or done.returncode or not wanted else 0


if __name__ == "__main__":
    sys.exit(main())
