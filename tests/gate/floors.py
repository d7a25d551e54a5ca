# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use the collection with only what requirements.txt and requirements-node.txt declare, each at its floor.

floors.py <directory of the environment's programs> [<options for pytest>]

Imports every file that a controller or a node loads, has ansible-doc show every plugin and role, has ansible-playbook
read every playbook, and runs the unit tests of the code that calls the libraries. pytest and what it wants are lent by
the environment that runs this; nothing else of it is seen.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from stage import BUILD, ROOT, STAGED
from tarball import expected_documents

DECLARED = ("requirements.txt", "requirements-node.txt")
FLOOR = re.compile(r"^([\w-]+)>=([\d.]+)$", re.MULTILINE)
LENT = (
    "pytest",
    "_pytest",
    "py.py",
    "pluggy",
    "iniconfig",
    "pytest_mock",
    "hypothesis",
    "_hypothesis_globals.py",
    "sortedcontainers",
    "pygments",
)
TESTS = [f"tests/unit/plugins/module_utils/{name}" for name in ("_stores", "_kube", "_dataplane")]
TESTS += ["tests/unit/plugins/connection", "tests/unit/plugins/inventory", "tests/unit/plugins/lookup"]
SHOW_VERSIONS = "import importlib.metadata as it, sys; print(*(it.version(name) for name in sys.argv[1:]))"
IMPORT_ALL = "import importlib, sys; [importlib.import_module(name) for name in sys.argv[1:]]"
LOAD_SOURCE = "import runpy, sys; runpy.run_path(sys.argv[1])"


def floors() -> dict[str, str]:
    """The oldest release that each declared library may have."""
    return dict(FLOOR.findall("".join((ROOT / name).read_text(encoding="utf-8") for name in DECLARED)))


def call(environment: dict[str, str], *command: str) -> str:
    """Run in the staged tree; returns what was printed, a failure is fatal."""
    done = subprocess.run(
        command, check=False, cwd=STAGED, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        print(done.stdout)
        sys.exit(f"FAILED: {' '.join(command)[:300]}")
    return done.stdout


def lend(directory: Path) -> Path:
    """Links to the test tools of this environment, so that nothing else of it is importable."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    for name in LENT:
        (directory / name).symlink_to(Path(sysconfig.get_path("purelib")) / name)
    return directory


def main() -> int:
    """Do all of it; returns the exit code."""
    programs = Path(sys.argv[1])
    python = str(programs / "python")
    plain = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(BUILD)}

    wanted = floors()
    found = dict(zip(wanted, call(plain, python, "-c", SHOW_VERSIONS, *wanted).split(), strict=True))
    if found != wanted:
        sys.exit(f"FAILED: constraints-floors.txt installs {found}, the declared floors are {wanted}")

    files = sorted(path.relative_to(STAGED.parents[2]) for path in (STAGED / "plugins").rglob("*.py"))
    names = [".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in files]
    call(plain, python, "-c", IMPORT_ALL, *names)
    sources = sorted(str(path) for path in STAGED.glob("extensions/eda/plugins/*/*.py"))
    for source in sources:
        call(plain, python, "-c", LOAD_SOURCE, source)
    print(f"{len(names)} files and {len(sources)} event sources imported")

    documents = expected_documents(STAGED)
    for kind in sorted({kind for kind, _name in documents}):
        wanted_names = sorted(name for each, name in documents if each == kind)
        shown = json.loads(call(plain, str(programs / "ansible-doc"), "--json", "-t", kind, *wanted_names))
        if set(shown) != set(wanted_names):
            sys.exit(f"FAILED: ansible-doc -t {kind} shows nothing of {sorted(set(wanted_names) - set(shown))}")
    print(f"{len(documents)} plugins and roles documented")

    playbooks = sorted(str(path) for path in STAGED.glob("playbooks/*.yml"))
    call(plain, str(programs / "ansible-playbook"), "--syntax-check", "-i", "localhost,", *playbooks)
    print(f"{len(playbooks)} playbooks read")

    lent = lend(BUILD / "floors-pytest")
    tests = {**plain, "PYTHONPATH": f"{BUILD}:{lent}"}
    cache = f"cache_dir={BUILD / 'cache' / 'floors'}"
    print(call(tests, python, "-m", "pytest", "-q", "-p", "pytest_mock", "-o", cache, *sys.argv[2:], *TESTS))
    print("passed with " + ", ".join(f"{name} {version}" for name, version in found.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
