# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The order of the files: those that take long come first, so that no worker is left alone with one at the end."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent
LONG = (
    "flannel_role/test_cluster.py",
    "flannel_role/test_faults.py",
    "canal/test_migration.py",
    "canal/test_role.py",
    "upgrade/test_upgrade.py",
    "kube_ovn/test_role.py",
    "kube/test_preflight_cluster.py",
    "rollout/test_rollout.py",
    "dataplane/test_repair.py",
    "kube_ovn/test_webhook.py",
    "network_policy/test_sidecar.py",
    "flannel_role/test_helm.py",
    "etcd/test_parallel.py",
    "lab/test_lab.py",
    "connection/test_netns_connection.py",
    "node/test_node_role.py",
    "lab/test_pods.py",
    "discovery/test_playbook.py",
    "discovery/test_role.py",
    "kube/test_start_order.py",
    "backup/test_backup.py",
    "probe/test_probe.py",
)
RANK = {str(HERE / name): number for number, name in enumerate(LONG)}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of long files first; within a file, and among the others, nothing moves."""
    items.sort(key=lambda item: RANK.get(str(item.path), len(RANK)))
