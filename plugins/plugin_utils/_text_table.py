# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Text in columns, for people.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

GAP = "  "


def align(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return one line per row. Columns are as wide as their widest cell; rows may have different lengths."""
    columns = max((len(row) for row in rows), default=0)
    widths = [max(len(row[column]) for row in rows if column < len(row)) for column in range(columns)]
    return [GAP.join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def fold(text: str, width: int) -> list[str]:
    """Return the lines of a text; those wider than C(width) continue in the next line, further in than they began.

    Words that are wider stay whole, and so do the gaps between columns.
    """
    lines = []
    for line in text.splitlines():
        indent = len(line) - len(line.lstrip()) + (2 if line.lstrip().startswith("- ") else 4)
        lines += textwrap.wrap(
            line,
            max(width, indent + 1),
            subsequent_indent=" " * indent,
            break_long_words=False,
            break_on_hyphens=False,
            replace_whitespace=False,
            drop_whitespace=True,
        ) or [""]
    return lines


def many(number: int, word: str) -> str:
    """Return the number with its word: 1 host, 2 hosts."""
    return f"{number} {word}{'' if number == 1 else 's'}"
