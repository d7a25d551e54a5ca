# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""An etcd and a few hosts for all tests of this directory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ansible_collections.podnet.cni.tests.integration import _etcd, _flanneld
from ansible_collections.podnet.cni.tests.integration._netns import Host, Segment

WORKERS = 6


@pytest.fixture(scope="session")
def etcd() -> Iterator[_etcd.EtcdServer]:
    """An etcd that stays up; each test has prefixes of its own."""
    _flanneld.program()
    with _etcd.running(today=True) as server:
        yield server


@pytest.fixture(scope="session")
def workers() -> Iterator[list[Host]]:
    """Hosts that try one config after the other."""
    with Segment(WORKERS) as segment:
        yield segment.hosts
