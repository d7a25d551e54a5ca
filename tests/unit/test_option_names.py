# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names of options of modules, roles and other plugins, as ansible-doc and the markup of documentation take them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.vars.reserved import get_reserved_names

ROOT = Path(__file__).resolve().parents[2]
NAME = re.compile(r"[a-z][a-z0-9_]*")
KEY = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
"""Keys of a dictionary may be what others call their things, like kube-proxy."""
POSITIONAL = ("_terms", "_input")
RESERVED = get_reserved_names()

DOCUMENTED = sorted(
    path.relative_to(ROOT).as_posix()
    for kind in ("modules", "filter", "lookup", "connection", "inventory", "doc_fragments")
    for path in ROOT.glob(f"plugins/{kind}/*.py")
    if not path.stem.startswith("__")
)
ROLES = sorted(path.parent.parent.name for path in ROOT.glob("roles/*/meta/argument_specs.yml"))


def documents(path: str) -> Iterator[dict[str, Any]]:
    """The documents with options in a plugin's file, fragments too."""
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "options:" in node.value:
            try:
                found = yaml.safe_load(node.value)
            except yaml.YAMLError:
                continue
            if isinstance(found, dict):
                yield found


def names(options: Mapping[str, Any] | None) -> Iterator[str]:
    """Names of options and of their aliases."""
    for name, option in (options or {}).items():
        yield name
        yield from option.get("aliases") or []


def keys(options: Mapping[str, Any] | None) -> Iterator[str]:
    """Names of what is below options, however deep."""
    for option in (options or {}).values():
        below = option.get("suboptions") or option.get("options") or {}
        yield from below
        yield from keys(below)


@pytest.mark.parametrize("path", DOCUMENTED)
def test_plugin_options_have_names_that_ansible_doc_takes(path: str) -> None:
    found = [name for document in documents(path) for name in names(document.get("options"))]
    assert [name for name in found if not NAME.fullmatch(name) and name not in POSITIONAL] == []
    below = [key for document in documents(path) for key in keys(document.get("options"))]
    assert [key for key in below if not KEY.fullmatch(key)] == []


@pytest.mark.parametrize("role", ROLES)
def test_role_options_are_no_words_of_the_framework(role: str) -> None:
    spec = yaml.safe_load((ROOT / "roles" / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))
    for entry in spec["argument_specs"].values():
        options = entry.get("options") or {}
        assert [name for name in names(options) if not NAME.fullmatch(name)] == []
        assert [key for key in keys(options) if not KEY.fullmatch(key)] == []
        assert [name for name in options if name in RESERVED or name.startswith("ansible_")] == []
