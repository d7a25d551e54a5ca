# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Weave Net, found by a label that is asked for only where a Node says so."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery import fakes
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery.fakes import Cluster, cidrs, discovered


@pytest.mark.parametrize(
    ("env", "expected", "confidence"),
    [({"IPALLOC_RANGE": "10.5.0.0/16", "WEAVE_MTU": "1400"}, "10.5.0.0/16", "high"), ({}, "10.32.0.0/12", "medium")],
)
def test_range(env: dict[str, str], expected: str, confidence: str) -> None:
    npc: dict[str, Any] = {"name": "weave-npc", "image": "weaveworks/weave-npc:2.8.1"}
    image = "ghcr.io/weaveworks/launcher/weave-kube:2.8.1"
    daemonset = fakes.daemonset(
        "weave-net", "kube-system", image, labels={"name": "weave-net"}, container="weave", env=env, others=[npc]
    )
    cluster = Cluster().daemonsets(daemonset).nodes(fakes.node("a", reason="WeaveIsUp")).service_cidrs(["10.96.0.0/12"])
    (record,) = discovered(cluster)
    assert (record["plugin"], record["version"], record["policy"]["provider"]) == ("weave", "2.8.1", "weave")
    assert cidrs(record) == [expected]
    assert record["networking"]["pod_cidrs"][0]["confidence"] == confidence
    assert not any(path.startswith("/apis/apps/v1/daemonsets?limit") for path in cluster.paths())
