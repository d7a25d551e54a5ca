# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The oldest that a node may have: Python 3.8 with the oldest pyroute2 that requirements-node.txt allows."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import ansible

from ansible_collections.podnet.cni.tests.gate.pythons import find
from ansible_collections.podnet.cni.tests.integration._netns import Host
from ansible_collections.podnet.cni.tests.integration._warm import MODULES

ROOT = Path(__file__).resolve().parents[2]
COLLECTIONS = next(Path(path) for path in sys.path if os.path.isdir(f"{path}/ansible_collections/podnet/cni"))
VERSION = (3, 8)


class Missing(Exception):
    """There is no such Python; the text says what helps."""


def floor() -> str:
    """The oldest pyroute2 that a node may have, as pip names it."""
    found = re.search(r"^pyroute2>=([\d.]+)$", (ROOT / "requirements-node.txt").read_text("utf-8"), re.MULTILINE)
    assert found
    return f"pyroute2=={found[1]}"


def interpreter() -> Path:
    """The Python of an environment that is made once in the user's cache. Raises Missing."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "podnet.cni"
    name = "python{}.{}".format(*VERSION)
    place = cache / f"{name}-{floor()}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{place.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "made").exists():
            _make(name, place)
    return place / "bin" / "python"


def _make(name: str, place: Path) -> None:
    base = find(VERSION, VERSION).get(VERSION)
    if base is None:
        raise Missing(f"{name} is missing: install it, or let pyenv do it")
    shutil.rmtree(place, ignore_errors=True)
    for command in (
        [base, "-m", "venv", str(place)],
        [str(place / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check", "-q", floor()],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Missing(f"{floor()} cannot be installed for {name}: {(done.stderr.splitlines() or [''])[-1]}")
    (place / "made").touch()


class OldPython:
    """Runs modules with it; of this environment they see ansible-core and the collection alone."""

    def __init__(self, directory: Path) -> None:
        self.path = interpreter()
        (directory / "ansible").symlink_to(Path(ansible.__file__).parent)
        (directory / "ansible_collections").symlink_to(COLLECTIONS / "ansible_collections")
        self.environment = {**os.environ, "PYTHONPATH": str(directory)}

    def module(self, host: Host, name: str, *, check: bool = False, **params: Any) -> dict[str, Any]:
        """The result of a module in a host."""
        arguments = {**params, "_ansible_check_mode": check, "_ansible_diff": True}
        done = subprocess.run(
            host.enter(str(self.path), "-m", f"{MODULES}.{name}"),
            input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
            capture_output=True,
            text=True,
            check=False,
            env=self.environment,
        )
        assert done.stdout, done.stderr
        return dict(json.loads(done.stdout))
