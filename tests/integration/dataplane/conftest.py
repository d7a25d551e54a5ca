# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts on one segment for the data plane's tests."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from ansible_collections.podnet.cni.tests.integration._netns import Host, Segment


@pytest.fixture
def host() -> Iterator[Host]:
    """One host on a segment of its own."""
    if os.geteuid():
        pytest.skip("network namespaces need root")
    with Segment(1) as segment:
        yield segment.hosts[0]


@pytest.fixture
def hosts() -> Iterator[list[Host]]:
    """Three hosts on one segment."""
    if os.geteuid():
        pytest.skip("network namespaces need root")
    with Segment(3) as segment:
        yield segment.hosts
