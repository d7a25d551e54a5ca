# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tests that are skipped: what ran on the other kernel is not, the rest has to be permitted, and CI lacks no program.

A condition that is true everywhere hides a test for ever, and nobody sees it in a count.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

WANT = "this kernel has no "
"""What the reason of such a skip begins with (tests/integration/conftest.py)."""

MISSING = " is not installed"
"""What stands in the reason of a skip for want of a program."""

# Regular expressions for "test: reason" that may stay skipped on both kernels, each with why.
PERMITTED: dict[str, str] = {}


def remaining(skipped: Sequence[tuple[str, str]], ran: Collection[str]) -> list[tuple[str, str]]:
    """The skips (test, reason) without those for want of a kernel feature whose tests ran elsewhere."""
    return [(test, reason) for test, reason in skipped if not (reason.startswith(WANT) and test in ran)]


def unexpected(skipped: Sequence[tuple[str, str]], permitted: Collection[str] = tuple(PERMITTED)) -> list[str]:
    """Those for want of a kernel feature that are not permitted, as "test: reason"."""
    found = [f"{test}: {reason}" for test, reason in skipped if reason.startswith(WANT)]
    return [each for each in found if not any(re.search(pattern, each) for pattern in permitted)]


def absent(skipped: Sequence[tuple[str, str]]) -> list[str]:
    """Those for want of a program, as "test: reason". CI has every program: tests/gate/system.sh installs them."""
    return [f"{test}: {reason}" for test, reason in skipped if MISSING in reason]
