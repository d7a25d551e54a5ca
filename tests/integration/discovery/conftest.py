# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""An API server for discovery, and an identity with exactly the rights that the shipped manifest grants."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.podnet.cni.tests.integration import _kube

ROOT = Path(__file__).resolve().parents[3]
MANIFEST = ROOT / "docs" / "manifests" / "discovery-rbac.yaml"
ACCOUNT = "podnet-discovery"
USER = f"system:serviceaccount:default:{ACCOUNT}"


def granted() -> list[dict[str, Any]]:
    """The objects of the shipped manifest."""
    return list(yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))["items"])


class Seeded:
    """A cluster to put objects into, which are gone after the test."""

    def __init__(self, server: _kube.KubeServer) -> None:
        self.server = server
        self._made: list[str] = []

    def namespace(self, name: str) -> None:
        self.server.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    def add(self, *items: dict[str, Any]) -> None:
        """Create objects as the fakes of the unit tests describe them, status included."""
        for given in items:
            item = complete(given)
            status = item.pop("status", None)
            if "namespace" in item["metadata"]:
                self.namespace(item["metadata"]["namespace"])
            self.server.apply(item)
            path = self.server.path_of(item)
            self._made.append(path)
            if status:
                self.server.api("PATCH", f"{path}/status", {"status": status}, "application/merge-patch+json")

    def clean(self) -> None:
        for path in reversed(self._made):
            self.server.api("DELETE", path)


def complete(given: dict[str, Any]) -> dict[str, Any]:
    """What a real server wants beyond what discovery reads."""
    item = copy.deepcopy(given)
    for key in ("uid", "generation", "resourceVersion"):
        item["metadata"].pop(key, None)
    if "data" in item:
        return {"apiVersion": "v1", "kind": "ConfigMap", **item}
    if "template" in item.get("spec", {}):
        item["spec"]["template"]["metadata"]["labels"].update(item["spec"]["selector"]["matchLabels"])
        return {"apiVersion": "apps/v1", "kind": "DaemonSet", **item}
    if "containers" in item.get("spec", {}):
        for container in item["spec"]["containers"]:
            container.setdefault("image", "example.com/image:1")
        return {"apiVersion": "v1", "kind": "Pod", **item}
    return {"apiVersion": "v1", "kind": "Node", **item}


@pytest.fixture(scope="module")
def kube() -> Iterator[_kube.KubeServer]:
    """A running cluster; without binaries the test is skipped, or fails under PODNET_REQUIRE_KUBE=1."""
    _kube.require()
    with _kube.running() as server:
        yield server


def assert_reads_only(kube: _kube.KubeServer, mark: int, user: str) -> None:
    """The server's own audit log holds no write and no request for a Secret."""
    events = kube.audit(mark, user)
    assert events, "the audit log must have seen us"
    assert {event["verb"] for event in events} <= {"get", "list"}
    assert not any("secrets" in event["requestURI"] for event in events)


@pytest.fixture(scope="module")
def reader(kube: _kube.KubeServer) -> Iterator[Path]:
    """A kubeconfig for the account of the shipped manifest, which is applied as it is; it may never write."""
    kube.apply(*granted())
    mark = kube.audit_mark()
    yield kube.token_kubeconfig(ACCOUNT)
    assert_reads_only(kube, mark, USER)


@pytest.fixture
def seeded(kube: _kube.KubeServer) -> Iterator[Seeded]:
    cluster = Seeded(kube)
    yield cluster
    cluster.clean()
