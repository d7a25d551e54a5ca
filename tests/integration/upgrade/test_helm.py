# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook upgrade where a Helm release is upgraded: Helm writes, the waves restart."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.tests.integration import _chart, _kube
from ansible_collections.podnet.cni.tests.integration.rollout._agents import Agents
from ansible_collections.podnet.cni.tests.integration.upgrade.conftest import AFTER, BEFORE, NODES, Cluster, install

pytestmark = pytest.mark.kube


@pytest.fixture(autouse=True)
def _kubernetes_core(monkeypatch: pytest.MonkeyPatch) -> None:
    _chart.see_kubernetes_core(monkeypatch)


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    """Variables of the role flannel."""
    chart = {"flannel_helm_chart": str(_chart.make(tmp_path)), "flannel_helm_repository": ""}
    return {"flannel_install_method": "helm", "flannel_helm_chart_version": "", **chart}


@pytest.fixture
def released(tmp_path: Path, settings: dict[str, Any]) -> Iterator[Cluster]:
    """A cluster with a release of flannel."""
    _kube.require()
    with _kube.running() as server:
        install(server, tmp_path, **settings)
        with Agents(server, "kube-flannel", list(NODES), name="kube-flannel-ds", pause=0.3) as agents:
            agents.settle()
            yield Cluster(server, agents, tmp_path)


def revisions(cluster: Cluster) -> list[str]:
    """What Helm says of each revision of the release."""
    command = ["helm", "--kubeconfig", str(cluster.server.admin), "-n", "kube-flannel", "history", "flannel"]
    done = subprocess.run([*command, "-o", "json"], check=True, capture_output=True)
    return [revision["description"] for revision in json.loads(done.stdout)]


def test_release_goes_back_and_forth_in_waves(released: Cluster, settings: dict[str, Any]) -> None:
    before = released.snapshot()
    wish = {**settings, "upgrade_batch": ["100%"], "flannel_pod_cidr": "10.240.0.0/12"}
    released.agents.behave = lambda node, template: "crash" if AFTER in json.dumps(template) else "good"
    said = released.fails(**wish)
    assert "n1: " in said or "c1: " in said, said
    assert "Configuration, pod templates and files were put back" in said, said
    assert released.snapshot() == before
    assert released.tags() == dict.fromkeys(NODES, BEFORE)
    assert (released.leases(), released.unfinished) == ([], {})
    assert revisions(released) == ["Install complete", "Upgrade complete", "Rollback to 1"]

    released.agents.behave = lambda _node, _template: "good"
    assert "4 nodes were upgraded in" in released.run(**wish)
    assert released.tags() == dict.fromkeys(NODES, AFTER)
    assert released.agents.replaced == [], "neither Helm nor the controller ran ahead of the waves"
    after = released.snapshot()
    assert "10.240.0.0/12" in after["net-conf.json"]
    assert after["strategy"] == before["strategy"]
    assert (released.leases(), released.unfinished) == ([], {})
    assert "Nothing to do" in released.run(**wish)

    released.run("rollback", **settings, upgrade_backup=str(released.backups[-1]))
    assert released.snapshot() == before
    assert released.tags() == dict.fromkeys(NODES, BEFORE)
    assert revisions(released)[-1] == "Rollback to 3"
