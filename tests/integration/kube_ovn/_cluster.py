# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Namespaces and pods for the tests of inherited annotations."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from ansible_collections.podnet.cni.tests.integration import _kube

ROUTES = "ovn.kubernetes.io/routes"
SECURITY = "ovn.kubernetes.io/port_security"
RECORD = "podnet.cni/inherited"
ENABLED = {"podnet.cni/kube-ovn-inheritance": "enabled"}
GATEWAY = '[{"gw":"10.16.0.254"}]'
CIDR = {"ovn.kubernetes.io/cidr": "10.16.0.0/16"}


def namespace(
    name: str, annotations: dict[str, str] | None = None, labels: dict[str, str] | None = None
) -> dict[str, Any]:
    """A namespace that takes part unless C(labels) says otherwise."""
    metadata = {"name": name, "annotations": annotations or {}, "labels": ENABLED if labels is None else labels}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def pod(
    name: str,
    annotations: dict[str, str] | None = None,
    labels: dict[str, str] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """A pod as a user writes it; without annotations it has no such map at all."""
    metadata: dict[str, Any] = {"name": name, "labels": labels or {}}
    if annotations is not None:
        metadata["annotations"] = annotations
    container = {"name": "main", "image": "example.org/main:1"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container], **spec}}


def create(kube: _kube.KubeServer, where: str, item: dict[str, Any], *, dry_run: bool = False) -> dict[str, str]:
    """Create a pod and give the annotations that it got."""
    path = f"/api/v1/namespaces/{where}/pods" + ("?dryRun=All" if dry_run else "")
    made = kube.api("POST", path, item)
    return dict(made["metadata"].get("annotations") or {})


def annotations_of(kube: _kube.KubeServer, where: str, name: str) -> dict[str, str]:
    """Annotations of a pod as they are now."""
    item = kube.api("GET", f"/api/v1/namespaces/{where}/pods/{name}")
    return dict(item["metadata"].get("annotations") or {})


def annotate(kube: _kube.KubeServer, path: str, annotations: dict[str, str | None]) -> None:
    """Set annotations, None to remove."""
    kube.api("PATCH", path, {"metadata": {"annotations": annotations}}, "application/merge-patch+json")


def set_status(kube: _kube.KubeServer, path: str, status: dict[str, Any]) -> None:
    """Write a status as a kubelet or controller would."""
    kube.api("PATCH", f"{path}/status", {"status": status}, "application/merge-patch+json")


def remove(kube: _kube.KubeServer, objects: Iterable[dict[str, Any]]) -> None:
    """Delete objects."""
    for item in objects:
        kube.api("DELETE", policy_path(item))


def policy_path(item: dict[str, Any]) -> str:
    """Path of an admission policy, a binding or a webhook configuration."""
    kind = item["kind"].lower()
    plural = kind[:-1] + "ies" if kind.endswith("policy") else kind + "s"
    return f"/apis/{item['apiVersion']}/{plural}/{item['metadata']['name']}"


def apply(kube: _kube.KubeServer, item: dict[str, Any]) -> None:
    """Server-side apply of an admission policy and the like."""
    path = f"{policy_path(item)}?fieldManager=tests&force=true"
    kube.api("PATCH", path, item, "application/apply-patch+yaml")


def until(condition: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
    """Wait until the condition is true and give its value."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.2)
    raise AssertionError(f"{what} did not happen within {seconds:g} s")
