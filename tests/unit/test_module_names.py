# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Modules of other collections: Ansible resolves every name when it loads a file, whatever C(when) says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OWN = ("ansible.builtin.", "podnet.cni.")
NAME = re.compile(r"^\s*(?:- )?(?:module: |action: )?([a-z0-9_]+\.[a-z0-9_]+\.[a-z0-9_]+):", re.MULTILINE)
INCLUDED = re.compile(r"(?:import_tasks|include_tasks|import_playbook): *(?:\{ *file: *)?\"?([\w./-]*)")
FILES = sorted(path for folder in ("roles", "playbooks") for path in (ROOT / folder).rglob("*.y*ml"))


def strangers(text: str) -> list[str]:
    return [name for name in NAME.findall(text) if not name.startswith(OWN)]


def is_for_helm(path: Path) -> bool:
    return "helm" in path.stem.split("_")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_other_collections_are_named_only_in_files_for_helm(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if not is_for_helm(path):
        assert strangers(text) == []
    assert not [name for name in re.findall(r"import_tasks: *(\S+)", text) if is_for_helm(Path(name))], (
        "a file that is imported is loaded with the one that imports it"
    )


def test_files_for_helm_are_included_where_helm_is_asked_for() -> None:
    named = {path.name for path in FILES if is_for_helm(path) and strangers(path.read_text(encoding="utf-8"))}
    assert named, "kubernetes.core is named somewhere"
    for path in FILES:
        for task in re.split(r"(?m)^(?=\s*- name: )", path.read_text(encoding="utf-8")):
            if {Path(name).name for name in INCLUDED.findall(task)} & named:
                assert re.search(r"(?m)^\s+when: .*== 'helm'", task), f"{path}: {task}"


def test_the_pattern_finds_names() -> None:
    assert strangers("- name: x\n  kubernetes.core.k8s_info:\n") == ["kubernetes.core.k8s_info"]
    assert strangers("- kubernetes.core.helm: &a\n- podnet.cni.kube_wait:\n") == ["kubernetes.core.helm"]
