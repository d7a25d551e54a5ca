# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tables of docs/versions.md are those of the version matrix. Run as a program, this file writes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.podnet.cni.plugins.module_utils._versions import question, rules
from ansible_collections.podnet.cni.plugins.module_utils._versions.matrix import TABLES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "versions.md"
PLACE = re.compile(r"(<!-- table (\w+)(?: (\w+))? -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines) + "\n"


def link(text: str, address: str) -> str:
    return f"[{text}]({address})"


def releases(product: str) -> str:
    rows = TABLES[product].rows
    titles = [field.replace("_", " ") for field in TABLES[product].fields]
    linked = [[link(row[0], question.source_of(product, row[0])), *row[1:]] for row in rows]
    return table(titles, [[cell or "-" for cell in row] for row in linked])


def changes(product: str) -> str:
    rows = TABLES[product].rows
    found = question.changes(product, rows[0][0], rows[-1][0])
    return table(
        ("from", "what is different", "what to do", "impact"),
        [
            (link(each.version, each.source), each.text, each.action or "-", each.impact)
            for each in found
            if each.id not in ("cni-plugin-image", "chart-sidecar-image")
        ],
    )


def faults(product: str) -> str:
    return table(
        ("from", "gone in", "fault"),
        [(each["since"], link(each["until"], each["source"]), each["text"]) for each in TABLES[product].faults],
    )


def between(least: int | None, most: int | None) -> str:
    return f"from {least}" if most is None else f"{least or 0} to {most}"


def combination(rule: Mapping[str, Any]) -> str:
    """Releases and features that a rule holds for, in words."""
    parts = []
    for product, (since, until) in rule["versions"].items():
        bounds = [f"from {since}" if since else "", f"below {until}" if until else ""]
        parts.append(" ".join([TABLES[product].title, *filter(None, bounds)]))
    for name, value in rule["features"].items():
        parts.append(f"{name} {between(*value) if isinstance(value, tuple) else str(value).lower()}")
    return ", ".join(parts)


def rule_table(kind: str) -> Callable[[str], str]:
    def render(_product: str) -> str:
        found = {"problems": rules.PROBLEMS, "needs": rules.NEEDS}[kind]
        return table(
            ("combination", "what is so", "remedy"),
            [(link(combination(rule), rule["source"]), rule["text"], rule["remedy"]) for rule in found],
        )

    return render


TABLE_OF: dict[str | None, Callable[[str], str]] = {
    None: releases,
    "changes": changes,
    "faults": faults,
    "problems": rule_table("problems"),
    "needs": rule_table("needs"),
}


def written(text: str) -> str:
    """The page with its tables made from the data."""
    return PLACE.sub(lambda place: place.group(1) + TABLE_OF[place.group(3)](place.group(2)) + place.group(5), text)


def test_tables_are_those_of_the_data() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert written(text) == text, "run python tests/unit/test_versions_page.py"


def test_every_change_is_on_the_page() -> None:
    places = {place.group(2, 3) for place in PLACE.finditer(PAGE.read_text(encoding="utf-8"))}
    shown = {product for product, kind in places if kind == "changes"}
    small = {"flannel_cni_plugin", "cni_plugins"}
    assert shown | small == set(question.PRODUCTS)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
