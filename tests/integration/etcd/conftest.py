# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One etcd for all tests of this directory that do not break it; each test has a prefix of its own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from ansible_collections.podnet.cni.tests.integration import _etcd
from ansible_collections.podnet.cni.tests.integration.etcd import _lab

_COUNTER = itertools.count()


@pytest.fixture(scope="session")
def shared_etcd() -> Iterator[_etcd.EtcdServer]:
    """A plain etcd that stays up."""
    with _etcd.running() as server:
        yield server


@pytest.fixture()
def lab(shared_etcd: _etcd.EtcdServer) -> _lab.Lab:
    """An empty network in the shared etcd."""
    return _lab.Lab(shared_etcd, f"/test-{next(_COUNTER)}/network")


@pytest.fixture()
def own_lab() -> Iterator[_lab.Lab]:
    """An empty network in an etcd that the test may kill."""
    with _etcd.running() as server:
        yield _lab.Lab(server, _etcd.PREFIX)
