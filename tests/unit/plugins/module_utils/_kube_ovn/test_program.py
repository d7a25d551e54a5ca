# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files that the role puts into the ConfigMap are a whole program."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[5]
ROLE = ROOT / "roles" / "kube_ovn_inheritance"
LIMIT = 1024 * 1024
"""Octets of a ConfigMap: k8s.io/api core/v1 ConfigMap."""


def test_the_program_runs_from_its_files_alone(tmp_path: Path) -> None:
    variables = yaml.safe_load((ROLE / "vars" / "main.yml").read_text(encoding="utf-8"))
    package = variables["_kube_ovn_inheritance_package"]
    size = 0
    for name in variables["_kube_ovn_inheritance_files"]:
        target = tmp_path / package / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "plugins" / "module_utils" / name, target)
        size += target.stat().st_size
    assert size < LIMIT / 2
    module = package.replace("/", ".") + "._kube_ovn.server.program"
    # -I and -S keep everything else out of the way, as on an image that has only Python.
    code = (
        f"import sys, runpy; sys.path.insert(0, {str(tmp_path)!r}); runpy.run_module({module!r}, run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", code, "--config", "missing.json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "configuration missing.json cannot be read" in done.stdout
