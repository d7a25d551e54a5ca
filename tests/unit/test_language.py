# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plain English in what users read: idioms that were translated from another language stay out of it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
READ_BY_USERS = [
    ROOT / "README.md",
    *sorted(ROOT.glob("docs/*.md")),
    *sorted(path for path in ROOT.glob("roles/**/*") if path.suffix in (".md", ".yml", ".j2")),
    *sorted(ROOT.glob("playbooks/**/*.*")),
    *sorted(path for path in ROOT.glob("plugins/**/*.py")),
    *sorted(path for path in ROOT.glob("extensions/**/*.*") if path.suffix in (".py", ".yml")),
]
# Idiom -> what a native engineer writes instead.
IDIOMS = {
    r"\b[Mm]end(?:s|ed|ing)?\b": "correct (input), repair (a node), fix",
    r"\b[Mm]akes? room for (?:it|the|what|notes)\b": "remove what is in the way of",
    r"\band room for it\b": "and removes what is in the way",
    r"\bhands off (?:our|its|the)\b": "leaves ... alone",
    r"\b(?![Tt]here\b)[\w)}'`]+ (?:is|are|was|were) no (?!longer\b|more\b|such\b|one\b|way\b)\w+": "is not a ...",
    r"\bfor what is no(?:t|ne)?\b(?! longer)": "for a value that is not a ..., for an invalid ...",
    r"\bthat is none[.,]": "an invalid ...",
    r"\bsaid so\b": "reported it",
    r"\b(?:is|are) told(?=[.,;:]| there\b| before\b| after\b| at once\b)": "is reported, is shown",
    r"\bNews are\b": "changes are",
    r"\bfrom nothing\b": "from scratch",
    r"\bgo(?:es|ne|ing)? on\b": "continue",
    r"\btakes? part no more\b": "no longer takes part",
    r"\b(?:gets?|got) well\b": "becomes healthy, passes its checks",
    r"\bstrangers?\b": "foreign, something else",
    r"\bnot to be had\b|\bcannot be had\b": "is not available",
    r"\bsays? of itself\b": "reports about itself",
}


@pytest.mark.parametrize("idiom", IDIOMS)
def test_no_translated_idiom(idiom: str) -> None:
    found = []
    for path in READ_BY_USERS:
        text = path.read_text(encoding="utf-8")
        for match in re.finditer(idiom.replace(" ", r"\s+"), text):
            line = text.count("\n", 0, match.start()) + 1
            found.append(f"{path.relative_to(ROOT)}:{line}: {match.group(0)!r}; write: {IDIOMS[idiom]}")
    assert found == []


PYTHON = sorted(path for folder in ("plugins", "extensions") for path in (ROOT / folder).rglob("*.py"))
OTHER_MARKUP = re.compile(r"`[^`\n]+`|(?<![\w*(/\\])\*[A-Za-z_][\w.]*\*(?![\w*])")


@pytest.mark.parametrize("path", PYTHON, ids=lambda path: str(path.relative_to(ROOT)))
def test_docstrings_have_one_markup(path: Path) -> None:
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            found += [f"line {node.lineno}: {words}" for words in OTHER_MARKUP.findall(node.value.value)]
    assert found == [], "write C(name), as in the documentation of modules"
