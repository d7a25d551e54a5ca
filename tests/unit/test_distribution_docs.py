# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page about distributions lists exactly the checks that there are."""

from __future__ import annotations

import re
from pathlib import Path

from ansible_collections.podnet.cni.plugins.module_utils._distributions.audit import CHECKS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "distributions.md"


def test_the_table_of_checks_is_that_of_the_code() -> None:
    text = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(distribution\.\w+)` \| (\w+) \| (.+) \|$", text, re.MULTILINE)
    assert rows == [(check.id, check.severity, check.title) for check in CHECKS]


def test_the_page_names_checks_that_exist() -> None:
    named = set(re.findall(r"(?<!podnet\.cni\.)\bdistribution\.[a-z_]+\b", PAGE.read_text(encoding="utf-8")))
    assert named - {check.id for check in CHECKS} <= {"distribution.json"}
