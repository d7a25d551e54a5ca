# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The order of the files: those that take long come first, so that no worker is left alone with one at the end."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent
LONG = (
    "canal/test_role.py",
    "upgrade/test_upgrade.py",
    "kube_ovn/test_role.py",
    "canal/test_migration.py",
    "flannel_role/test_cluster.py",
    "upgrade/test_gates.py",
    "flannel_role/test_faults.py",
    "upgrade/test_canal.py",
    "upgrade/test_hosts.py",
    "flannel_role/test_helm.py",
    "rollout/test_rollout.py",
    "kube/test_start_order.py",
    "upgrade/test_helm.py",
    "dataplane/test_repair.py",
    "eda/test_flannel_leases.py",
    "rollout/test_stops.py",
    "lab/test_lab.py",
    "etcd/test_parallel.py",
    "kube_ovn/test_webhook.py",
    "kube/test_preflight_cluster.py",
    "kube/test_external_host.py",
    "kube/test_client.py",
    "network_policy/test_sidecar.py",
    "node/test_node_role.py",
    "connection/test_netns_connection.py",
    "etcd/test_watch.py",
    "kube_ovn/test_faults.py",
    "dataplane/test_kill.py",
    "lab/test_pods.py",
)
RANK = {str(HERE / name): number for number, name in enumerate(LONG)}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of long files first; within a file, and among the others, nothing moves."""
    items.sort(key=lambda item: RANK.get(str(item.path), len(RANK)))
