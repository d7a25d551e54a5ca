# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One cluster for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ansible_collections.podnet.cni.tests.integration import _cluster
from ansible_collections.podnet.cni.tests.tools import images

# A node that went silent is noticed after 20 s, not 50, and pods see a new Secret after seconds, not a minute.
NOTICED = {"kube-controller-manager": ["--node-monitor-grace-period=20s"], "kubelet": ["--sync-frequency=5s"]}


@pytest.fixture(scope="session", name="cluster")
def fixture_cluster() -> Iterator[_cluster.Cluster]:
    with _cluster.unmade(3, extra_args=NOTICED) as cluster:
        cluster.variables["lab_kubernetes"]["images"].append(str(images.archive(images.SERVER)))
        cluster.lab().ok()
        yield cluster
