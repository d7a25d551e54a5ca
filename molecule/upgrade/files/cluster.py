# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cluster for the scenario: a real API server, and nodes whose daemons get well or crash, as their image says.

Usage: cluster.py DIRECTORY. The cluster lives as long as the file DIRECTORY/alive. What it came to is in
DIRECTORY/outcome: C(ready), when DIRECTORY/kubeconfig and DIRECTORY/kubectl are there, or why there is no cluster.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

sys.path[:0] = [place for place in os.environ.get("ANSIBLE_COLLECTIONS_PATH", "").split(os.pathsep) if place]

from ansible_collections.podnet.cni.tests.integration import _kube, _kube_binaries
from ansible_collections.podnet.cni.tests.integration.rollout._agents import Agents

NODES = ["c1", "n1", "n2", "n3"]
NAMESPACE, NAME = "kube-flannel", "kube-flannel-ds"


def behave(_node: str, template: dict[str, Any]) -> str:
    """A daemon of the image C(broken) crashes."""
    return "crash" if template["spec"]["containers"][0]["image"].endswith(":broken") else "good"


def live(server: _kube.KubeServer, directory: Path) -> None:
    """Run the cluster until it is told to end; the nodes come with the DaemonSet."""
    shutil.copy(server.admin, directory / "kubeconfig")
    (directory / "kubectl").symlink_to(_kube_binaries.program("kubectl"))
    (directory / "outcome").write_text("ready")
    alive = directory / "alive"
    path = f"/apis/apps/v1/namespaces/{NAMESPACE}/daemonsets"
    while alive.exists() and not server.api("GET", path)["items"]:
        time.sleep(0.2)
    if not alive.exists():
        return
    agents = Agents(server, NAMESPACE, NODES, name=NAME, delay=1.0, pause=0.1)
    agents.behave = behave
    agents.labels["c1"] = {"node-role.kubernetes.io/control-plane": ""}
    with agents:
        while alive.exists():
            time.sleep(0.2)


def main() -> None:
    """Start the cluster, or say why there is none."""
    directory = Path(sys.argv[1])
    try:
        _kube_binaries.program("kubectl")
        with _kube.running() as server:
            live(server, directory)
    except _kube_binaries.Missing as reason:
        (directory / "outcome").write_text(f"no cluster: {reason}")
    finally:
        (directory / "kubeconfig").unlink(missing_ok=True)


if __name__ == "__main__":
    main()
