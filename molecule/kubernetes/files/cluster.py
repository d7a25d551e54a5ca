# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cluster for the scenario: a real API server and controller manager, and kubelets that only say that pods run.

Usage: cluster.py DIRECTORY CIDR[,CIDR]. Nodes get their ranges of pods from there. The cluster lives as long as the
file DIRECTORY/alive. What it came to is in DIRECTORY/outcome: C(ready), when DIRECTORY/kubeconfig and DIRECTORY/kubectl
are there, or why there is no cluster.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

sys.path[:0] = [place for place in os.environ.get("ANSIBLE_COLLECTIONS_PATH", "").split(os.pathsep) if place]

from ansible_collections.podnet.cni.tests.integration import _kube, _kube_binaries

CONTROLLERS = ",".join(
    f"{name}-controller"
    for name in ("node-ipam", "daemonset", "deployment", "replicaset", "garbage-collector", "namespace")
)
NODES = ("node1", "node2", "node3")
MERGE = "application/merge-patch+json"
STRATEGIC_MERGE = "application/strategic-merge-patch+json"
# A kubelet's words while the runtime has no network configuration.
NOT_READY = {
    "type": "Ready",
    "status": "False",
    "reason": "KubeletNotReady",
    "message": "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady "
    "message:Network plugin returns error: cni plugin not initialized",
}
READY = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status"}


def turn(server: _kube.KubeServer) -> None:
    """What scheduler and kubelets do: bind pods to their node, run them, let go of deleted ones."""
    for pod in server.api("GET", "/api/v1/pods")["items"]:
        metadata = pod["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        if metadata.get("deletionTimestamp"):
            server.api("DELETE", f"{path}?gracePeriodSeconds=0")
        elif not pod["spec"].get("nodeName"):
            target = {"apiVersion": "v1", "kind": "Node", "name": wanted_node(pod)}
            body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": metadata["name"]}, "target": target}
            server.api("POST", f"{path}/binding", body)
        elif pod["status"]["phase"] == "Pending":
            broken = any(container["image"].endswith(":broken") for container in pod["spec"]["containers"])
            conditions = [{"type": "Ready", "status": "False" if broken else "True"}]
            server.api("PATCH", f"{path}/status", {"status": {"phase": "Running", "conditions": conditions}}, MERGE)
            if pod["spec"].get("hostNetwork") and not broken:
                set_condition(server, pod["spec"]["nodeName"], READY)


def set_condition(server: _kube.KubeServer, node: str, condition: dict[str, str]) -> None:
    """What a kubelet says of its node."""
    server.api("PATCH", f"/api/v1/nodes/{node}/status", {"status": {"conditions": [condition]}}, STRATEGIC_MERGE)


def wanted_node(pod: dict[str, Any]) -> str:
    """The DaemonSet controller names the node in the pod's affinity; for other pods one is as good as another."""
    if "affinity" not in pod["spec"]:
        return NODES[0]
    terms = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    return str(terms["nodeSelectorTerms"][0]["matchFields"][0]["values"][0])


def live(server: _kube.KubeServer, directory: Path, cidrs: str) -> None:
    """Run the cluster until it is told to end."""
    server.start_controller_manager(cidrs, CONTROLLERS)
    for name in NODES:
        node = _kube.node(name)
        node["metadata"]["labels"] = {"kubernetes.io/os": "linux"}
        server.apply(node)
        # It becomes ready with the network's pod.
        set_condition(server, name, NOT_READY)
    shutil.copy(server.admin, directory / "kubeconfig")
    (directory / "kubectl").symlink_to(_kube_binaries.program("kubectl"))
    (directory / "outcome").write_text("ready")
    while (directory / "alive").exists():
        # Somebody else changed the object; the next turn sees to it.
        with contextlib.suppress(RuntimeError, OSError, http.client.HTTPException):
            turn(server)
        time.sleep(0.2)


def main() -> None:
    """Start the cluster, or say why there is none."""
    directory, cidrs = Path(sys.argv[1]), sys.argv[2]
    try:
        for name in ("kube-controller-manager", "kubectl"):
            _kube_binaries.program(name)
        with _kube.running() as server:
            live(server, directory, cidrs)
    except _kube_binaries.Missing as reason:
        (directory / "outcome").write_text(f"no cluster: {reason}")
    finally:
        (directory / "kubeconfig").unlink(missing_ok=True)


if __name__ == "__main__":
    main()
