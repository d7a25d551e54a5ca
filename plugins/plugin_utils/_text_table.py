# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Text in columns, for people.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from collections.abc import Sequence

GAP = "  "


def align(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return one line per row. Columns are as wide as their widest cell; rows may have different lengths."""
    columns = max((len(row) for row in rows), default=0)
    widths = [max(len(row[column]) for row in rows if column < len(row)) for column in range(columns)]
    return [GAP.join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
