# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Import what runs on nodes with each older Python found here (3.8 to 3.10), beside our default ansible-core.

Compiling would not notice an annotation or a call that only a newer Python knows. Third-party libraries are absent in
these interpreters, which proves that importing needs none.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import ansible
from pythons import find
from stage import BUILD, STAGED

CODE = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
"""


def main() -> int:
    """Import everything with every interpreter; returns the exit code."""
    path = BUILD / "old-python"
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    (path / "ansible").symlink_to(Path(ansible.__file__).parent)
    (path / "ansible_collections").symlink_to(STAGED.parents[1])
    files = [*(STAGED / "plugins" / "modules").rglob("*.py"), *(STAGED / "plugins" / "module_utils").rglob("*.py")]
    names = sorted(
        ".".join(file.relative_to(STAGED.parents[2]).with_suffix("").parts).removesuffix(".__init__") for file in files
    )
    worst = 0
    found = find((3, 8), (3, 10))
    for interpreter in found.values():
        environment = {**os.environ, "PYTHONPATH": str(path), "PYTHONDONTWRITEBYTECODE": "1"}
        worst = max(worst, subprocess.run([interpreter, "-c", CODE, *names], check=False, env=environment).returncode)
    versions = ", ".join(f"{major}.{minor}" for major, minor in found) or "none of them is installed here"
    print(f"{len(names)} files imported with each Python from 3.8 to 3.10: {versions}")
    return worst


if __name__ == "__main__":
    sys.exit(main())
