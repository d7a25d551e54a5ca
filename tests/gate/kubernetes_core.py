# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bring kubernetes.core to .build/dependencies without Galaxy, when a role or playbook uses it.

The `ansible` wheel carries it; only that part of the wheel is unpacked.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from stage import BUILD, ROOT, project_files

TARGET = BUILD / "dependencies"
INSIDE = "ansible_collections/kubernetes/core/"


def is_used() -> bool:
    """Whether any role, playbook or molecule scenario names a kubernetes.core plugin."""
    return any(
        "kubernetes.core." in (ROOT / name).read_text(encoding="utf-8")
        for name in project_files()
        if name.startswith(("roles/", "playbooks/", "molecule/")) and name.endswith((".yml", ".yaml"))
    )


def provide() -> str:
    """Download and unpack once, when needed; returns what there is."""
    if not is_used():
        return "no role uses kubernetes.core"
    if not (TARGET / INSIDE / "MANIFEST.json").exists():
        with tempfile.TemporaryDirectory(dir=BUILD) as directory:
            download = ["download", "-q", "--no-deps", "-d", directory, "-c", str(ROOT / "constraints.txt"), "ansible"]
            subprocess.run([sys.executable, "-m", "pip", *download], check=True)
            with zipfile.ZipFile(next(Path(directory).glob("ansible-*.whl"))) as wheel:
                wheel.extractall(TARGET, [name for name in wheel.namelist() if name.startswith(INSIDE)])
    version = json.loads((TARGET / INSIDE / "MANIFEST.json").read_text(encoding="utf-8"))["collection_info"]["version"]
    return f"kubernetes.core {version} in {TARGET}"
