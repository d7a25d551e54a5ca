# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cluster with flannel's ConfigMap, and the identity that the documentation ships for the lease store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.podnet.cni.tests.integration import _kube
from ansible_collections.podnet.cni.tests.integration.etcd._lab import run_module

PREFIX = "flannel.alpha.coreos.com/"
NODES = "/api/v1/nodes"
CONFIG = {"Network": "10.44.0.0/16", "Backend": {"Type": "vxlan"}}
MANIFEST = Path(__file__).parents[3] / "docs" / "manifests" / "lease-store-rbac.yaml"


def prepare(kube: _kube.KubeServer) -> Path:
    """Put flannel's ConfigMap and the manifest in place, remove all Nodes; the kubeconfig of the shipped identity."""
    kube.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-flannel"}},
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "kube-flannel-cfg", "namespace": "kube-flannel"},
            "data": {"net-conf.json": json.dumps(CONFIG)},
        },
        *yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))["items"],
    )
    kube.api("DELETE", NODES)
    return kube.token_kubeconfig("podnet-leases", "kube-flannel")


def annotations(kube: _kube.KubeServer, name: str) -> dict[str, str]:
    """Annotations of a Node."""
    found: dict[str, str] = kube.api("GET", f"{NODES}/{name}")["metadata"].get("annotations", {})
    return found


class Cluster:
    """The lease modules, run as the shipped identity."""

    def __init__(self, kube: _kube.KubeServer) -> None:
        self.kube = kube
        self.kubeconfig = prepare(kube)

    def module(self, name: str, *, check: bool = False, diff: bool = False, **params: Any) -> dict[str, Any]:
        """Run a lease module and return its result."""
        options = {"store": "kubernetes", "kubeconfig": str(self.kubeconfig), **params}
        return run_module(name, options, check=check, diff=diff)
