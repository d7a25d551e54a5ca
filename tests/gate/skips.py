# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tests that a kernel makes skip: one that ran on the guest's kernel is not skipped, the others have to be permitted.

A condition that is true everywhere hides a test for ever, and nobody sees it in a count.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

WANT = "this kernel has no "
"""What the reason of such a skip begins with (tests/integration/conftest.py)."""

# Regular expressions for "test: reason" that may stay skipped on both kernels, each with why.
PERMITTED: dict[str, str] = {}


def remaining(skipped: Sequence[tuple[str, str]], ran: Collection[str]) -> list[tuple[str, str]]:
    """The skips (test, reason) without those for want of a kernel feature whose tests ran elsewhere."""
    return [(test, reason) for test, reason in skipped if not (reason.startswith(WANT) and test in ran)]


def unexpected(skipped: Sequence[tuple[str, str]], permitted: Collection[str] = tuple(PERMITTED)) -> list[str]:
    """Those for want of a kernel feature that are not permitted, as "test: reason"."""
    found = [f"{test}: {reason}" for test, reason in skipped if reason.startswith(WANT)]
    return [each for each in found if not any(re.search(pattern, each) for pattern in permitted)]
