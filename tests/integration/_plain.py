# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a playbook shows is plain text that fits a terminal."""

from __future__ import annotations

import re

WIDTH = 100
_FRAME = re.compile(r"(PLAY|TASK|HANDLER|RUNNING HANDLER|PLAY RECAP)\b.*\*$")
_RESULT = re.compile(
    r"(ok|changed|skipping|included|failed|fatal|rescued|\.\.\.ignoring|\[(WARNING|ERROR|DEPRECATION))"
)
_DIFFERENCE = re.compile(r"^--- before.*?^$", re.MULTILINE | re.DOTALL)
_ONE_OF_MANY = re.compile(r"\b1 (hosts|nodes|waves|clusters|findings|errors|warnings)\b")


def faults(output: str) -> list[str]:
    """Lines of a playbook's output that are too wide, hold a list in JSON, or a plural of one.

    Ansible's own lines - frames, results of tasks, the summary - are as they are, and so are differences of files.
    """
    found = []
    body = _DIFFERENCE.sub("", output.split("PLAY RECAP", maxsplit=1)[0])
    for line in body.splitlines():
        if _FRAME.match(line) or _RESULT.match(line):
            continue
        if len(line) > WIDTH:
            found.append(f"{len(line)} columns: {line}")
        if re.match(r'\s*"msg": \[$', line) or re.match(r'\s+".*",?$', line):
            found.append(f"a list in JSON: {line}")
        if _ONE_OF_MANY.search(line):
            found.append(f"a plural of one: {line}")
    return found
