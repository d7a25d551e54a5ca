# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What following the leases has in common in all stores.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Callable, Iterator

from ansible_collections.podnet.cni.plugins.module_utils._stores.base import Entry, Event

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0


def difference(before: Entry | None, entry: Entry, revision: int) -> Iterator[Event]:
    """Yield what became of a lease between two looks at its entry; a renewal is not a change."""
    if before is None:
        yield Event("added", revision, lease=entry.lease)
    elif replace(before.lease, ttl=None) != replace(entry.lease, ttl=None):
        yield Event("updated", revision, lease=entry.lease)


def sleep_until(seconds: float, stop: Callable[[], bool], sleep: Callable[[float], None]) -> None:
    """Sleep for C(seconds), in short steps, so that C(stop) is asked in between."""
    slept = 0.0
    while slept < seconds and not stop():
        step = min(seconds - slept, 0.5)
        sleep(step)
        slept += step
