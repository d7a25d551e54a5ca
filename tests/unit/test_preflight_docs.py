# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page about the preflight lists exactly the checks that there are."""

from __future__ import annotations

import re
from pathlib import Path

from ansible_collections.podnet.cni.plugins.module_utils._preflight.report import CHECKS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "preflight.md"


def test_the_table_of_checks_is_that_of_the_code() -> None:
    text = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `((?:host|cluster)\.\w+)` \| (\w+) \| (.+) \|$", text, re.MULTILINE)
    assert rows == [(check.id, check.severity, check.title) for check in CHECKS]


def test_the_sample_shows_checks_that_exist() -> None:
    sample = PAGE.read_text(encoding="utf-8").split("## What it says", 1)[1].split("## How", 1)[0]
    shown = set(re.findall(r"\b(?:host|cluster)\.[a-z_0-9]+\b", sample))
    assert shown
    assert shown <= {check.id for check in CHECKS}
