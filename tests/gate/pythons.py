# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find the other Python interpreters of this machine."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

Version = tuple[int, int]
CHECK = "import sys; print('%d.%d' % sys.version_info[:2]); import ensurepip, venv"


def find(oldest: Version, newest: Version) -> dict[Version, str]:
    """Working interpreters with pip and venv, one per minor version from `oldest` to `newest`: version -> path.

    Looks on PATH and in pyenv's versions. A pyenv shim of a version that is not active only prints an error, so each
    candidate is run.
    """
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found: dict[Version, str] = {}
    for minor in range(oldest[1], newest[1] + 1):
        name = f"python3.{minor}"
        on_path = [Path(directory) / name for directory in os.environ.get("PATH", "").split(os.pathsep) if directory]
        for candidate in [*on_path, *sorted(pyenv.glob(f"3.{minor}.*/bin/{name}"))]:
            if not os.access(candidate, os.X_OK):
                continue
            done = subprocess.run([candidate, "-c", CHECK], check=False, capture_output=True, text=True)
            if done.returncode == 0 and done.stdout.strip() == f"3.{minor}":
                found[3, minor] = str(candidate)
                break
    return found
