# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One API server for all tests of this directory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ansible_collections.podnet.cni.tests.integration import _kube, _kube_binaries


@pytest.fixture(scope="session")
def kube() -> Iterator[_kube.KubeServer]:
    """A running cluster; without binaries the test is skipped, or fails under PODNET_REQUIRE_KUBE=1."""
    try:
        _kube_binaries.find()
    except _kube_binaries.Missing as reason:
        if _kube.required():
            pytest.fail(f"no API server: {reason}")
        pytest.skip(f"no API server: {reason}")
    with _kube.running() as server:
        yield server
