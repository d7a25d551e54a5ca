# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rescue sections are found however deep, and count as entered only when the callback plugin noted them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.podnet.cni.tests.gate import rescues

TASKS = """---
- name: Outer
  block:
    - name: Inner
      block:
        - name: Fail
          ansible.builtin.fail:
          when: fails | bool
      rescue:
        - name: First
          ansible.builtin.debug:
        - name: Second
          ansible.builtin.debug:
    - name: Fail again
      ansible.builtin.fail:
      when: fails | bool
  rescue:
    # A comment before it.
    - name: Last
      ansible.builtin.debug:
"""


@pytest.mark.parametrize("fails", [True, False])
def test_a_section_counts_when_it_was_entered(tmp_path: Path, fails: bool) -> None:
    tree = tmp_path / "podnet" / "cni"
    tasks = tree / "roles" / "one" / "tasks" / "main.yml"
    tasks.parent.mkdir(parents=True)
    tasks.write_text(TASKS)
    book, notes = tmp_path / "book.yml", tmp_path / "notes"
    book.write_text(f"[{{hosts: localhost, gather_facts: false, tasks: [include_tasks: {tasks}]}}]")
    assert rescues.sections(tree) == {
        "roles/one/tasks/main.yml:10": "First",
        "roles/one/tasks/main.yml:19": "Last",
    }
    subprocess.run(
        [
            str(Path(sys.executable).parent / "ansible-playbook"),
            "-i",
            "localhost,",
            "-c",
            "local",
            "-e",
            f"fails={fails}",
            str(book),
        ],
        env={
            **os.environ,
            "ANSIBLE_CALLBACKS_ENABLED": "rescues",
            "ANSIBLE_CALLBACK_PLUGINS": str(rescues.CALLBACKS),
            "PODNET_RESCUES": str(notes),
        },
        capture_output=True,
        check=True,
    )
    left = [] if fails else ["roles/one/tasks/main.yml:10 'First'", "roles/one/tasks/main.yml:19 'Last'"]
    assert rescues.never_run(tree, notes) == left
