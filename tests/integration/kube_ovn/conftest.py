# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One API server for all tests of this directory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ansible_collections.podnet.cni.tests.integration import _kube


@pytest.fixture(scope="session")
def kube() -> Iterator[_kube.KubeServer]:
    """A running cluster; without binaries the test is skipped, or fails under PODNET_REQUIRE_KUBE=1."""
    _kube.require()
    with _kube.running() as server:
        yield server
