# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every rescue section of roles and playbooks is entered by a test: which there are, and which were entered.

The callback plugin in the folder CALLBACKS notes the tasks that ran.
"""

from __future__ import annotations

import re
from pathlib import Path

import yaml

CALLBACKS = Path(__file__).resolve().parent / "callback_plugins"
_PLACE = re.compile(r"/podnet/cni/(.+):(\d+)$")


def sections(tree: Path) -> dict[str, str]:
    """The place (file:line) of the first task of each rescue section of roles and playbooks, with the task's name."""
    found = {}
    for path in sorted(
        [*tree.glob("roles/*/tasks/*.yml"), *tree.glob("roles/*/handlers/*.yml"), *tree.glob("playbooks/*.yml")]
    ):
        document = yaml.compose(path.read_text(encoding="utf-8"))
        for task in _rescued(document):
            name = next((value.value for key, value in task.value if key.value == "name"), "")
            found[f"{path.relative_to(tree)}:{task.start_mark.line + 1}"] = name
    return found


def _rescued(node: yaml.Node | None) -> list[yaml.MappingNode]:
    if isinstance(node, yaml.SequenceNode):
        return [task for each in node.value for task in _rescued(each)]
    if not isinstance(node, yaml.MappingNode):
        return []
    found = [task for _key, value in node.value for task in _rescued(value)]
    return found + [value.value[0] for key, value in node.value if key.value == "rescue"]


def never_run(tree: Path, notes: Path) -> list[str]:
    """Place and name of each section that no noted run entered."""
    lines = notes.read_text(encoding="utf-8").splitlines() if notes.exists() else []
    ran = {f"{place[1]}:{place[2]}" for place in map(_PLACE.search, lines) if place}
    return [f"{place} {name!r}" for place, name in sections(tree).items() if place not in ran]
