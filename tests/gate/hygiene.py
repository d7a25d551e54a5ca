# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Refuse what no file may hold: silenced checks, unfinished work, this machine's paths, a registry's address.

And what every file must have: a licence line in its header; and that it is a file, not a symbolic link.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from pip._internal.models.index import PyPI
from stage import ROOT, STAGED, project_files

# A letter in brackets keeps these lines from finding themselves.
RULES = {
    "a silenced check": re.compile(r"#\s*(?:noq[a]|type:\s*ignor[e]|pragma:\s*no cove[r]|pylint:\s*disabl[e])"),
    "a silenced failure": re.compile(r"^\s*(?:ignore_error[s]:\s*true|failed_when:\s*fals[e])\s*$", re.MULTILINE),
    "unfinished work": re.compile(r"\b(?:TOD[O]|FIXM[E]|XX[X])\b|NotImplementedErro[r]|mark\.xfai[l]"),
    "a path of this machine": re.compile(re.escape(f"{ROOT.parent}/") if len(ROOT.parts) > 2 else r"(?!)"),
    "a package registry's address": re.compile(rf"{re.escape(PyPI.netloc)}|deb\.debian\.or[g]|registry\.npmjs\.or[g]"),
}
# The kernel takes its time over duplicates, on the loopback too, and until then nobody can bind to the address.
RULES["an IPv6 address without nodad"] = re.compile(r"\baddr(?:ess)? add fd[^\s\"']* dev [^\s\"']+(?=[\"'\n])")
LICENCE = re.compile(r"SPDX-License-Identifie[r]: ")
TEXT_LIMIT = 2_000_000
# Every file that can hold a comment names its licence near its top.
LICENSED = (".py", ".sh", ".yml", ".yaml", ".toml", ".j2", "Makefile", "/run")
NO_HEADER = (
    "changelogs/changelog.yaml",
    "changelogs/fragments/",
    "CHANGELOG.",
    "tests/unit/data/",
    "docs/docsite/rst/",
)


def main() -> int:
    """Read every staged file; returns the exit code."""
    findings = []
    names = [name for name in project_files(STAGED) if not name.startswith("LICENSE")]
    for name in names:
        path = Path(STAGED / name)
        if path.is_symlink():
            # Galaxy's archive and a checkout on another system have what it points to, or nothing.
            findings.append(f"{name}:1: a symbolic link: {path.readlink()}")
            continue
        if path.stat().st_size > TEXT_LIMIT:
            continue
        text = path.read_bytes().decode("utf-8", errors="replace")
        head = "\n".join(text.splitlines()[:12])
        if name.endswith(LICENSED) and not name.startswith(NO_HEADER) and not LICENCE.search(head):
            findings.append(f"{name}:1: no licence: the header has no SPDX line")
        for what, rule in RULES.items():
            for match in rule.finditer(text):
                findings.append(f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {what}: {match.group(0).strip()}")
    print(*findings, sep="\n")
    print(f"{len(names)} files read, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
