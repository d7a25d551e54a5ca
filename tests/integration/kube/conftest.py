# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One API server for all tests of this directory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ansible_collections.podnet.cni.tests.integration import _etcd, _kube
from ansible_collections.podnet.cni.tests.integration.kube._leases import NODES
from ansible_collections.podnet.cni.tests.integration.kube._migration import Network


@pytest.fixture(scope="session")
def kube() -> Iterator[_kube.KubeServer]:
    """A running cluster; without binaries the test is skipped, or fails under PODNET_REQUIRE_KUBE=1."""
    _kube.require()
    with _kube.running() as server:
        yield server


@pytest.fixture
def own_kube() -> Iterator[_kube.KubeServer]:
    """A cluster that the test may stop."""
    _kube.require()
    with _kube.running() as server:
        yield server


@pytest.fixture
def network(kube: _kube.KubeServer) -> Iterator[Network]:
    """Three hosts with leases in an etcd, and a cluster without Nodes."""
    with _etcd.running() as server:
        yield Network.fresh(kube, server)
    kube.api("DELETE", NODES)
