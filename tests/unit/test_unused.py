# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nothing in the utilities is there for its test alone: plugins use each function, class and constant."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = "ansible_collections.podnet.cni."
FILES = {
    PACKAGE + ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for folder in ("plugins", "extensions")
    for path in sorted((ROOT / folder).rglob("*.py"))
}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in FILES.items()}
UTILITIES = [
    name for name in FILES if name.startswith((f"{PACKAGE}plugins.module_utils", f"{PACKAGE}plugins.plugin_utils"))
]
# All values of a field, which tests compare results with; the code has a name for each value, or data that holds them.
VOCABULARY = {"STATUSES", "REPAIRS", "IMPACTS", "PLUGINS"}
# What a loop over modules takes from each.
IN_EACH = {"RECOGNISER"}


def defined(tree: ast.Module) -> Iterator[tuple[str, ast.stmt]]:
    """What a file defines at its top level, with the statement."""
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name, node
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                yield from ((each.id, node) for each in ast.walk(target) if isinstance(each, ast.Name))


def names(node: ast.AST) -> Iterator[str]:
    """Names that are read in some code."""
    for each in ast.walk(node):
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load):
            yield each.id


def taken() -> set[tuple[str, str]]:
    """(module, name) for all that one file takes from another, in an import or as an attribute of the module."""
    found = set()
    for tree in TREES.values():
        modules = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    modules[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                    found.add((node.module, alias.name))
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
                found.add((modules[node.value.id], node.attr))
    return found


TAKEN = taken()


def unused(name: str) -> list[str]:
    """What a file defines and nobody uses; a function that only calls itself counts as that."""
    module = name.removesuffix(".__init__")
    found = []
    for each, statement in defined(TREES[name]):
        inside = {used for other in TREES[name].body if other is not statement for used in names(other)}
        # A decorator puts it into a registry.
        listed = isinstance(statement, (ast.FunctionDef, ast.ClassDef)) and statement.decorator_list
        if each not in inside and (module, each) not in TAKEN and not listed and each not in VOCABULARY | IN_EACH:
            found.append(each)
    return found


@pytest.mark.parametrize("name", UTILITIES, ids=lambda name: name.removeprefix(f"{PACKAGE}plugins."))
def test_plugins_use_all_that_a_utility_defines(name: str) -> None:
    assert unused(name) == []
