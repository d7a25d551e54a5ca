# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nested objects are read with module_utils/_kube/fields.py: no C((item.get("a") or {}).get("b")) by hand."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = sorted(path for folder in ("plugins", "extensions") for path in (ROOT / folder).rglob("*.py"))


def is_empty(node: ast.expr) -> bool:
    return isinstance(node, ast.Dict) and not node.keys


def is_get(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get"


def is_forgiving(node: ast.expr) -> bool:
    """Whether an expression reads a key and puts an empty mapping in the place of what is not there."""
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
        return is_empty(node.values[-1]) and any(
            is_get(each) or isinstance(each, ast.Subscript) for each in node.values
        )
    return isinstance(node, ast.Call) and is_get(node) and len(node.args) == 2 and is_empty(node.args[1])


def by_hand(text: str) -> Iterator[str]:
    """Expressions that read a key of such a mapping, which is two levels deep or more."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and is_get(node):
            outer = node.func.value
        elif isinstance(node, ast.Subscript):
            outer = node.value
        else:
            continue
        if is_forgiving(outer):
            yield f"line {node.lineno}: {ast.unparse(node)}"


@pytest.mark.parametrize("path", PYTHON, ids=lambda path: str(path.relative_to(ROOT)))
def test_nobody_reads_nested_fields_by_hand(path: Path) -> None:
    remedy = "use fields.at, mapping, sequence or text; in a family below _kube, give the inner mapping a name first"
    assert list(by_hand(path.read_text(encoding="utf-8"))) == [], remedy


@pytest.mark.parametrize(
    "text",
    [
        'x = (pod.get("spec") or {}).get("nodeName")',
        'x = (pod["metadata"].get("labels") or {}).get("app", "")',
        'x = (pod["metadata"] or {})["labels"]',
        'x = pod.get("spec", {}).get("nodeName")',
        'x = pod.get("spec", {})["nodeName"]',
        'for x in (pod.get("status") or {}).get("conditions") or []: pass',
    ],
)
def test_reading_by_hand_is_found(text: str) -> None:
    assert len(list(by_hand(text))) == 1


@pytest.mark.parametrize(
    "text",
    [
        'x = (pod or {}).get("spec")',
        'x = pod.get("spec") or {}',
        'x = fields.at(pod, "spec", "nodeName")',
        "x = a[0][1]",
    ],
)
def test_other_reading_is_left_alone(text: str) -> None:
    assert list(by_hand(text)) == []
