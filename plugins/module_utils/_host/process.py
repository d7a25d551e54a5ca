# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which process it is: its number together with the time at which it started.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations


def start_time(pid: int) -> int | None:
    """Return when the process started, in clock ticks since boot; None when it has ended (proc(5), stat)."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            # the second field, the name in parentheses, may itself hold blanks and parentheses
            fields = stat.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in ("Z", "X") else int(fields[19])
