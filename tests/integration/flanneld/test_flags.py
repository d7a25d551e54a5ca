# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every flag that flanneld has is an option of the role flanneld, or docs/flanneld.md says why not."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from ansible_collections.podnet.cni.tests.integration import _flanneld

PAGE = Path(__file__).parents[3] / "docs" / "flanneld.md"


def test_the_page_names_the_flags_of_flanneld() -> None:
    usage = subprocess.run([_flanneld.program(), "--help"], check=False, capture_output=True, text=True)
    flags = set(re.findall(r"^  -(\S+)", usage.stderr + usage.stdout, re.MULTILINE))
    table = PAGE.read_text(encoding="utf-8").split("## Flags of flanneld", 1)[1].split("## ", 1)[0]
    cells = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    assert flags == {flag for cell in cells for flag in re.findall(r"`([\w-]+)`", cell)}
