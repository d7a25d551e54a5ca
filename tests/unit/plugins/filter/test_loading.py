# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Ansible reads of this collection for one filter, anew for each task of each host that uses one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[4]
PLUGINS = "ansible_collections.podnet.cni.plugins"
# Small files that most filters need.
LIGHT = {"module_utils._errors", "module_utils._kube", "module_utils._kube.fields", "plugin_utils._text_table"}


def test_filters_import_what_they_need_when_they_are_called() -> None:
    files = sorted((ROOT / "plugins" / "filter").rglob("[!_]*.py"))
    names = [".".join(file.relative_to(ROOT / "plugins").with_suffix("").parts) for file in files]
    assert {"filter.text_table", "filter.__roles.filters"} <= set(names)
    program = (
        "import importlib, json, sys\n"
        f"for name in {names!r}: importlib.import_module({PLUGINS!r} + '.' + name).FilterModule().filters()\n"
        "print(json.dumps([name for name, module in sys.modules.items() if getattr(module, '__file__', None)]))\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, check=True, capture_output=True, text=True)
    loaded = {name.removeprefix(f"{PLUGINS}.") for name in json.loads(done.stdout) if name.startswith(f"{PLUGINS}.")}
    assert loaded - set(names) - LIGHT == set()
