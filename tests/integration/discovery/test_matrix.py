# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rows of the acceptance matrix on a real API server: it must lead to the same records as the stand-in.

Left out are the rows that need refusals, expired pages, other versions of the server or custom resources. Those are in
test_discovery.py as far as a real server can be brought to them.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._discovery.cluster import Scope, discover
from ansible_collections.podnet.cni.plugins.module_utils._discovery.recognisers import load_all
from ansible_collections.podnet.cni.plugins.module_utils._discovery.record import to_dict
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.tests.integration import _kube
from ansible_collections.podnet.cni.tests.integration.discovery.conftest import Seeded, assert_reads_only
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery import fakes
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery import test_acceptance as matrix

pytestmark = pytest.mark.kube

test_manifest = matrix.test_manifest
test_helm = matrix.test_helm
test_signature = matrix.test_signature
test_exporter = matrix.test_exporter
test_duplicate = matrix.test_duplicate
test_kubespray = matrix.test_kubespray
test_bad_configuration = matrix.test_bad_configuration
test_dual_stack = matrix.test_dual_stack
test_canal = matrix.test_canal
test_k3s = matrix.test_k3s
test_leftover = matrix.test_leftover
test_running_flannel_without_labels_is_no_leftover = matrix.test_running_flannel_without_labels_is_no_leftover
test_chaining = matrix.test_chaining
test_flags = matrix.test_flags
test_flag_without_value = matrix.test_flag_without_value

SEEDED = ("daemonsets", "configmaps", "nodes", "pods")
RULES = [
    {"apiGroups": ["apps"], "resources": ["daemonsets"], "verbs": ["list"]},
    {"apiGroups": [""], "resources": ["nodes", "pods"], "verbs": ["list"]},
    {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]},
    {"apiGroups": ["networking.k8s.io"], "resources": ["servicecidrs"], "verbs": ["list"]},
]


@pytest.fixture(scope="module")
def everywhere(kube: _kube.KubeServer) -> Iterator[Path]:
    """A kubeconfig for an account that may read ConfigMaps of any name, as the rows have them."""
    kubeconfig = kube.limited_kubeconfig("acceptance", RULES)
    mark = kube.audit_mark()
    yield kubeconfig
    assert_reads_only(kube, mark, "system:serviceaccount:default:acceptance")


@pytest.fixture(autouse=True)
def on_both(kube: _kube.KubeServer, everywhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the rows ask the stand-in and the server, which must agree."""

    def discovered(cluster: fakes.Cluster, **scope: Any) -> list[dict[str, Any]]:
        expected = fakes.discovered(cluster, **scope)
        seeded = Seeded(kube)
        try:
            for (_base, resource), items in cluster.collections.items():
                seeded.add(*(items if resource in SEEDED else ()))
            with KubeClient.from_options({"kubeconfig": str(everywhere)}) as client:
                found = [to_dict(record) for record in discover(client, Scope(**scope), load_all(), "test")]
        finally:
            seeded.clean()
        assert [comparable(record) for record in found] == [comparable(record) for record in expected]
        return expected

    monkeypatch.setattr(matrix, "discovered", discovered)


def comparable(record: dict[str, Any]) -> dict[str, Any]:
    """A record without what the server decides: its version, its Service ranges, versions and ids of objects."""
    kept = copy.deepcopy(record)
    for key in ("server_version", "collected_at", "api_calls"):
        del kept[key]
    for key in ("service_cidrs", "ip_families"):
        del kept["networking"][key]
    # The API server itself adds it to every DaemonSet.
    kept["annotations"].pop("deprecated.daemonset.template.generation", None)
    for workload in kept["workloads"]:
        del workload["uid"]
    for reference in kept["config_refs"]:
        del reference["resource_version"]
    return kept
