# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Another collection tests itself on our hosts, with the files that docs/lab.md shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._errors import __file__ as imported

ROOT = Path(__file__).resolve().parents[3]
TREE = Path(imported).parents[5]
CONFIG = "prerun: false\ndependency: {name: galaxy, enabled: false}\n"


def test_molecule_scenario_of_another_collection(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("lab hosts need root")
    files = dict(
        re.findall(r"```yaml\n# (\w+\.yml)\n(.*?)```", (ROOT / "docs" / "lab.md").read_text("utf-8"), re.DOTALL)
    )
    files.pop("cluster.yml")
    assert sorted(files) == ["converge.yml", "create.yml", "destroy.yml", "molecule.yml"]
    collection = tmp_path / "ansible_collections" / "other" / "gateways"
    scenario = collection / "extensions" / "molecule" / "default"
    scenario.mkdir(parents=True)
    (collection / "galaxy.yml").write_text("namespace: other\nname: gateways\nversion: 1.0.0\n")
    for name, text in files.items():
        (scenario / name).write_text((CONFIG if name == "molecule.yml" else "") + text)
    labs = Path("/run/podnet-lab")
    before = set(labs.iterdir()) if labs.exists() else set()
    done = subprocess.run(
        [sys.executable, "-m", "molecule", "test"],
        cwd=collection / "extensions",
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "ANSIBLE_COLLECTIONS_PATH": f"{TREE}:{tmp_path}",
            "ANSIBLE_HOME": str(tmp_path / "ansible"),
            "MOLECULE_EPHEMERAL_DIRECTORY": str(tmp_path / "ephemeral"),
            "NO_COLOR": "1",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert "node1" in done.stdout
    left = set(labs.iterdir()) if labs.exists() else set()
    assert not {path for path in left - before if path.name.startswith("default-")}
