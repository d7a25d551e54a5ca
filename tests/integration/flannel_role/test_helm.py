# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role flannel with the program helm and a chart that takes the values of flannel's own, on a real API server."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.tests.integration import _chart, _kube_binaries
from ansible_collections.podnet.cni.tests.integration.flannel_role.conftest import Cluster


@pytest.fixture(autouse=True)
def _kubernetes_core(monkeypatch: pytest.MonkeyPatch) -> None:
    _chart.see_kubernetes_core(monkeypatch)


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    """A directory with the chart."""
    return _chart.make(tmp_path)


@pytest.fixture
def run(cluster: Cluster, chart: Path) -> Any:
    """Run the role; with the chart unless told otherwise."""
    settings = {"helm_chart": str(chart), "helm_repository": "", "helm_chart_version": ""}

    def run_role(method: str = "helm", tasks_from: str = "main", **variables: Any) -> int:
        return cluster.run(tasks_from, install_method=method, **settings, **variables).changed

    return run_role


def pod_template(cluster: Cluster) -> Any:
    daemonset = cluster.daemonset()
    assert daemonset is not None
    return daemonset["spec"]["template"]


def words(cluster: Cluster) -> list[str]:
    container = pod_template(cluster)["spec"]["containers"][0]
    return [*container.get("command", []), *container.get("args", [])]


def test_release_from_nothing_to_nothing(cluster: Cluster, run: Any) -> None:
    assert run() > 0
    fresh = pod_template(cluster)
    assert run() == 0
    assert pod_template(cluster) == fresh

    run(pod_cidr="10.240.0.0/12")
    config = cluster.get("/api/v1/namespaces/kube-flannel/configmaps/kube-flannel-cfg")
    assert config is not None and "10.240.0.0/12" in config["data"]["net-conf.json"]
    changed = pod_template(cluster)
    assert changed["spec"] == fresh["spec"]
    assert changed != fresh, "flanneld reads the ConfigMap at its start only, so the pods have to be replaced"
    assert run(pod_cidr="10.240.0.0/12") == 0

    cluster.server.api("DELETE", "/apis/apps/v1/namespaces/kube-flannel/daemonsets/kube-flannel-ds")
    assert run(pod_cidr="10.240.0.0/12") == 2, "the release is recorded as it should be, but not there"
    assert cluster.daemonset() is not None

    run(tasks_from="uninstall")
    assert cluster.daemonset() is None
    listed = subprocess.run(
        ["helm", "--kubeconfig", str(cluster.server.admin), "list", "-A", "-q"], capture_output=True, check=True
    )
    assert listed.stdout == b""


def test_manifest_and_release_take_over_from_each_other(cluster: Cluster, run: Any) -> None:
    try:
        # Lets go of a deleted DaemonSet whose pods are to stay.
        cluster.server.start_controller_manager("10.244.0.0/16", "garbage-collector-controller")
    except _kube_binaries.Missing as reason:
        pytest.skip(str(reason))
    own, other = ["--ip-masq", "--kube-subnet-mgr"], ["--ip-masq", "--kube-subnet-mgr", "--iface=eth1"]
    run("manifest", args=own)
    run("helm", args=other)
    assert words(cluster)[1:] == other
    assert run("helm", args=other) == 0
    run("manifest", args=own)
    assert "--iface=eth1" not in words(cluster)
    assert run("manifest", args=own) == 0
    # The record of the release stays and says that nothing is to be done.
    run("helm", args=other)
    assert words(cluster)[1:] == other
    assert run("helm", args=other) == 0
