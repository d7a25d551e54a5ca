# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every module starts in an interpreter that has imported nothing, and does there what it does in a warm process."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest

from ansible_collections.podnet.cni.plugins.modules import __path__ as places
from ansible_collections.podnet.cni.tests.integration import _warm

NAMES = sorted(path.stem for place in places for path in Path(place).glob("[!_]*.py"))
WRONG = {"no_such_option": True}


@pytest.mark.parametrize("name", NAMES)
def test_module_starts_cold_as_it_does_warm(name: str) -> None:
    refused = _warm.run_module(name, WRONG, via=())
    assert refused["failed"]
    assert refused == _warm.run_module(name, WRONG)


def test_what_ansible_packs_is_all_that_a_module_imports(tmp_path: Path) -> None:
    """A package holds what ansible finds in the source; an interpreter of a test knows the rest from elsewhere."""
    tasks = [{f"podnet.cni.{name}": WRONG, "register": name, "ignore_errors": True} for name in NAMES]
    results = "{" + ", ".join(f"'{name}': {name}.msg" for name in NAMES) + "}"
    answer = tmp_path / "answer.json"
    tasks.append(
        {"ansible.builtin.copy": {"content": f"{{{{ {results} | to_json }}}}", "dest": str(answer), "mode": "0644"}}
    )
    play = tmp_path / "play.yml"
    play.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    # Nothing of the collection is found but what comes with a module.
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    words = ["-i", "localhost,", "-c", "local", "-e", f"ansible_python_interpreter={sys.executable}", str(play)]
    done = _warm.ansible("playbook", *words, environment=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    # The text names the module, by one name here and by another there.
    said = {name: re.sub(r"\(\S+\) ", "", text) for name, text in json.loads(answer.read_text()).items()}
    assert said == {name: re.sub(r"\(\S+\) ", "", _warm.run_module(name, WRONG)["msg"]) for name in NAMES}
