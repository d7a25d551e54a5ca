# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every guide has its place on the documentation site, and links between guides lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
GUIDES = {path.stem: path.read_text(encoding="utf-8") for path in ROOT.glob("docs/*.md")}
# Made by tests/gate/guides.py of the heads of the playbooks and of the event source's documentation.
MADE = {"playbooks", "event-source"}


def test_every_guide_is_in_one_section() -> None:
    index = yaml.safe_load((ROOT / "docs" / "docsite" / "extra-docs.yml").read_text(encoding="utf-8"))
    named = [name for section in index["sections"] for name in section["toctree"]]
    assert sorted(named) == sorted({*GUIDES, *MADE})


def anchors(text: str) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_links_between_guides_lead_to_headings() -> None:
    lost = []
    for name, text in GUIDES.items():
        for page, heading in re.findall(r"\]\(([a-z-]+)?(?:\.md)?(?:#([^)]+))?\)", text):
            target = GUIDES.get(page or name, "")
            if not target or (heading and heading not in anchors(target)):
                lost.append(f"{name}.md: {page}#{heading}")
    assert lost == []
