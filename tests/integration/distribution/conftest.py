# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""An API server that serves the kinds of k3s, RKE2 and Rancher, with fields as their definitions have them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.podnet.cni.tests.integration import _kube

TEXT = {"type": "string"}
OPEN = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
# https://github.com/k3s-io/helm-controller doc/helmchart.md, https://github.com/k3s-io/k3s pkg/apis/k3s.cattle.io/v1
CONDITION = {"type": "object", "properties": dict.fromkeys(("type", "status", "reason", "message"), TEXT)}
POLICY = {"type": "string", "enum": ["reinstall", "abort", "retry"]}
NUMBER_OR_TEXT = {"x-kubernetes-int-or-string": True}
KINDS: list[tuple[str, str, str, dict[str, Any]]] = [
    (
        "helm.cattle.io",
        "HelmChart",
        "helmcharts",
        {
            "chart": TEXT,
            "chartContent": TEXT,
            "targetNamespace": TEXT,
            "valuesContent": TEXT,
            "values": OPEN,
            "failurePolicy": POLICY,
            "set": {"type": "object", "additionalProperties": NUMBER_OR_TEXT},
        },
    ),
    (
        "helm.cattle.io",
        "HelmChartConfig",
        "helmchartconfigs",
        {"valuesContent": TEXT, "values": OPEN, "failurePolicy": POLICY},
    ),
    ("k3s.cattle.io", "Addon", "addons", {"source": TEXT, "checksum": TEXT}),
    ("provisioning.cattle.io", "Cluster", "clusters", {"kubernetesVersion": TEXT, "rkeConfig": OPEN}),
]


def definition(group: str, kind: str, plural: str, spec: dict[str, Any]) -> dict[str, Any]:
    status = {"jobName": TEXT, "conditions": {"type": "array", "items": CONDITION}}
    properties = {
        "spec": {"type": "object", "properties": spec},
        "status": {"type": "object", "properties": status},
    }
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": properties}},
        "subresources": {"status": {}},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [version],
        },
    }


def serve(server: _kube.KubeServer) -> None:
    """Define the kinds and wait until the server has them."""
    server.apply(*(definition(*each) for each in KINDS))
    deadline = time.monotonic() + 30
    for group, _kind, plural, _spec in KINDS:
        while True:
            try:
                server.api("GET", f"/apis/{group}/v1/{plural}")
            except RuntimeError:
                assert time.monotonic() < deadline, f"{plural}.{group} is not served"
                time.sleep(0.1)
            else:
                break


@pytest.fixture
def owners() -> Iterator[_kube.KubeServer]:
    """A cluster with the kinds of the owners."""
    _kube.require()
    with _kube.running() as server:
        serve(server)
        yield server


def item(kind: str, name: str, version: str = "v1", namespace: str = "kube-system", **content: Any) -> dict[str, Any]:
    """An object; C(annotations) are its own."""
    metadata: dict[str, Any] = {"name": name, "namespace": namespace}
    if "annotations" in content:
        metadata["annotations"] = content.pop("annotations")
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **content}


def chart_config(values: str, owner: str = "", name: str = "rke2-canal") -> dict[str, Any]:
    """A HelmChartConfig, of the Addon C(owner) where one is named."""
    notes = {
        "objectset.rio.cattle.io/owner-gvk": "k3s.cattle.io/v1, Kind=Addon",
        "objectset.rio.cattle.io/owner-name": owner,
    }
    return item(
        "HelmChartConfig",
        name,
        "helm.cattle.io/v1",
        annotations=notes if owner else {},
        spec={"valuesContent": values},
    )


def add_node(server: _kube.KubeServer, name: str, kubelet: str, args: str, backend: str = "vxlan") -> None:
    """A Node as its kubelet and the owner's service leave it."""
    product = "k3s" if "+k3s" in kubelet else "rke2"
    notes = {f"{product}.io/node-args": args, "flannel.alpha.coreos.com/backend-type": backend}
    server.api("POST", "/api/v1/nodes", _kube.node(name, [], notes))
    status = {"nodeInfo": {"kubeletVersion": kubelet, "operatingSystem": "linux"}}
    server.api("PATCH", f"/api/v1/nodes/{name}/status", {"status": status}, "application/merge-patch+json")
