# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of roles and playbooks that have templates in them, and the strings in these files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from jinja2 import nodes
from jinja2.sandbox import SandboxedEnvironment

ROOT = Path(__file__).resolve().parents[2]
JINJA = SandboxedEnvironment()
CONDITIONS = ("when", "until", "failed_when", "changed_when", "that")
FILES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("roles/*/tasks/*.yml", "roles/*/handlers/*.yml", "roles/*/vars/**/*.yml", "roles/*/defaults/*.yml")
    for path in [*ROOT.glob(pattern)]
) + sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("playbooks/*.yml"))
TEMPLATES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("roles/*/templates/**/*.j2", "playbooks/templates/**/*.j2")
    for path in ROOT.glob(pattern)
)
Keys = tuple[str | int, ...]
"""The keys that lead to a string, outermost first."""


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def options() -> dict[str, dict[str, Any]]:
    """Every option of every role, and of the playbooks that check their own variables, by its name."""
    found: dict[str, dict[str, Any]] = {}
    for path in ROOT.glob("roles/*/meta/argument_specs.yml"):
        for entry in read(path)["argument_specs"].values():
            found.update(entry.get("options") or {})
    for path in ROOT.glob("playbooks/*.yml"):
        for spec in mappings(read(path), "argument_spec"):
            found.update(spec)
    return found


def mappings(value: Any, wanted: str) -> Iterator[dict[str, Any]]:
    """Every value that has a key, however deep."""
    for key, each in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        if key == wanted:
            yield each
        yield from mappings(each, wanted)


def strings(value: Any, keys: Keys = ()) -> Iterator[tuple[Keys, str]]:
    """Every string of a document, with its keys."""
    if isinstance(value, str):
        yield keys, value
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from strings(each, (*keys, key))
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from strings(each, (*keys, number))


def is_condition(keys: Keys) -> bool:
    names = [key for key in keys if isinstance(key, str)]
    return bool(names) and names[-1] in CONDITIONS


def parse(text: str, condition: bool = False) -> nodes.Template:
    return JINJA.parse("{{ (" + text + ") }}" if condition and "{{" not in text else text)
