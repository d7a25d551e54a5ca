# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Copy the working tree to where ansible-test accepts it: .build/ansible_collections/podnet/cni.

ansible-test wants a real directory of that shape inside a git repository, and a symlink does not do. The copy
holds what git tracks or would track (so uncommitted work is tested too), the guides as pages of the documentation site,
and a throw-away repository of its own, which makes the gate independent of how the checkout came to be: any path, a
detached HEAD, no remote.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import guides

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / ".build"
STAGED = BUILD / "ansible_collections" / "podnet" / "cni"


def project_files(root: Path = ROOT) -> list[str]:
    """Paths, relative to `root`, of every file that git tracks or would track there."""
    # A checkout that belongs to somebody else (CI, a container) is still ours to read.
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout.split("\0")
    return sorted({name for name in names if name and os.path.lexists(root / name)})


def stage() -> Path:
    """Make the copy afresh; returns its path."""
    shutil.rmtree(STAGED, ignore_errors=True)
    for name in project_files():
        target = STAGED / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target, follow_symlinks=False)
    guides.write(STAGED)
    for arguments in (["init", "-q", "-b", "staged"], ["add", "-A"]):
        subprocess.run(["git", *arguments], cwd=STAGED, check=True)
    return STAGED
