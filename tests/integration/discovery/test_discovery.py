# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Discovery against a real API server, with the rights of the shipped manifest and nothing more."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._discovery.cluster import Scope, discover
from ansible_collections.podnet.cni.plugins.module_utils._discovery.recognisers import load_all
from ansible_collections.podnet.cni.plugins.module_utils._discovery.record import to_dict
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.tests.integration import _kube
from ansible_collections.podnet.cni.tests.integration.discovery.conftest import USER, Seeded, assert_reads_only
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery import fakes

pytestmark = pytest.mark.kube


def find(kubeconfig: Path, **scope: Any) -> list[dict[str, Any]]:
    with KubeClient.from_options({"kubeconfig": str(kubeconfig)}) as client:
        return [to_dict(record) for record in discover(client, Scope(**scope), load_all(), "test")]


def cidrs(record: dict[str, Any], kind: str = "pod") -> list[str]:
    return [item["cidr"] for item in record["networking"][f"{kind}_cidrs"]]


def test_manifest_with_the_shipped_rights(kube: _kube.KubeServer, reader: Path, seeded: Seeded) -> None:
    seeded.add(
        fakes.flannel_daemonset(), fakes.flannel_configmap(), fakes.flannel_node("a", 1), fakes.flannel_node("b", 2)
    )
    mark = kube.audit_mark()
    (record,) = find(reader)
    assert (record["plugin"], record["role"], record["namespace"]) == ("flannel", "primary", "kube-flannel")
    assert (record["scope"], record["confidence"], record["warnings"]) == ("cluster", "certain", [])
    assert cidrs(record) == ["10.244.0.0/16"]
    assert cidrs(record, "service") == _kube.SERVICE_CIDRS.split(",")
    assert record["nodes"]["total"] == record["nodes"]["annotated"] == 2
    assert record["health"]["state"] == "healthy"
    assert record["api_calls"] <= 8
    assert len(kube.audit(mark, USER)) == record["api_calls"]
    assert_reads_only(kube, mark, USER)


@pytest.mark.parametrize("labels", [{"app": "flannel"}, {}])
def test_helm_and_unlabelled(kube: _kube.KubeServer, reader: Path, seeded: Seeded, labels: dict[str, str]) -> None:
    seeded.add(
        fakes.daemonset("overlay", "net-x", fakes.IMAGE, labels=labels, configmap="kube-flannel-cfg"),
        fakes.flannel_configmap("net-x"),
    )
    mark = kube.audit_mark()
    (record,) = find(reader)
    assert (record["plugin"], record["namespace"]) == ("flannel", "net-x")
    assert cidrs(record) == ["10.244.0.0/16"]
    assert_reads_only(kube, mark, USER)


def test_nothing_installed(reader: Path) -> None:
    (record,) = find(reader)
    assert (record["plugin"], record["scope"]) == ("generic", "cluster")
    assert cidrs(record) == []
    assert find(reader, sought="flannel") == []


def test_control_plane_flags_with_the_shipped_rights(reader: Path, seeded: Seeded) -> None:
    seeded.add(
        {
            "metadata": {
                "name": "kube-controller-manager-a",
                "namespace": "kube-system",
                "labels": {"component": "kube-controller-manager"},
            },
            "spec": {"containers": [{"name": "main", "command": ["x", "--cluster-cidr", "10.9.0.0/16"]}]},
        }
    )
    (record,) = find(reader)
    assert cidrs(record) == ["10.9.0.0/16"]


def test_kube_ovn_by_name(kube: _kube.KubeServer, reader: Path, seeded: Seeded) -> None:
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "subnets.kubeovn.io"},
        "spec": {
            "group": "kubeovn.io",
            "scope": "Cluster",
            "names": {"plural": "subnets", "singular": "subnet", "kind": "Subnet", "listKind": "SubnetList"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {
                        "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                    },
                }
            ],
        },
    }
    kube.apply(crd)
    try:
        wait_for_group(kube, "kubeovn.io")
        image = "docker.io/kubeovn/kube-ovn:v1.15.0"
        seeded.add(fakes.daemonset("kube-ovn-cni", "kube-system", image, container="cni-server"))
        subnet = {"metadata": {"name": "ovn-default"}, "spec": {"cidrBlock": "10.16.0.0/16"}}
        kube.api("POST", "/apis/kubeovn.io/v1/subnets", {"apiVersion": "kubeovn.io/v1", "kind": "Subnet", **subnet})
        mark = kube.audit_mark()
        (record,) = find(reader)
        assert (record["plugin"], cidrs(record)) == ("kube-ovn", ["10.16.0.0/16"])
        asked = [event["requestURI"] for event in kube.audit(mark, USER)]
        assert any("fieldSelector=metadata.name%3Dkube-ovn-cni" in uri for uri in asked)
        assert not any(uri.startswith("/apis/apps/v1/daemonsets?limit") for uri in asked)
    finally:
        kube.api("DELETE", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/subnets.kubeovn.io")


def wait_for_group(kube: _kube.KubeServer, group: str) -> None:
    """A definition is served a moment after it was accepted."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if any(item["name"] == group for item in kube.api("GET", "/apis")["groups"]):
            try:
                kube.api("GET", f"/apis/{group}/v1/subnets")
                return
            except RuntimeError:
                pass
        time.sleep(0.1)
    raise AssertionError(f"{group} is not served")


def test_forbidden_everywhere_but_in_kube_flannel(kube: _kube.KubeServer, seeded: Seeded) -> None:
    seeded.add(fakes.flannel_daemonset(), fakes.flannel_configmap(), fakes.flannel_node("a", 1))
    rules = [
        {"apiGroups": ["apps"], "resources": ["daemonsets"], "verbs": ["list"]},
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]},
    ]
    metadata = {"name": "narrow", "namespace": "kube-flannel"}
    kube.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "narrow", "namespace": "default"}},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": metadata, "rules": rules},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "narrow"},
            "subjects": [{"kind": "ServiceAccount", "name": "narrow", "namespace": "default"}],
        },
    )
    (record,) = find(kube.token_kubeconfig("narrow"))
    assert (record["plugin"], record["role"], record["scope"]) == ("flannel", "primary", "partial")
    assert cidrs(record) == ["10.244.0.0/16"]
    assert any("may not be listed" in warning for warning in record["warnings"])


def test_no_rights_at_all(kube: _kube.KubeServer, seeded: Seeded) -> None:
    seeded.add(fakes.flannel_daemonset(), fakes.flannel_configmap())
    kubeconfig = kube.limited_kubeconfig("nobody", [])
    for sought in ("", "flannel"):
        (record,) = find(kubeconfig, sought=sought)
        assert (record["plugin"], record["scope"]) == ("unknown", "partial")


def test_many_pages_and_nodes(reader: Path, seeded: Seeded) -> None:
    seeded.add(*(fakes.daemonset(f"app-{index}", "team", "example.com/app:1", desired=0) for index in range(25)))
    seeded.add(
        fakes.daemonset("overlay", "zz", fakes.IMAGE, configmap="kube-flannel-cfg"), fakes.flannel_configmap("zz")
    )
    seeded.add(*(fakes.flannel_node(f"n{index}", index + 1) for index in range(7)))
    (record,) = find(reader, page_size=10, nodes=3)
    assert (record["plugin"], record["namespace"]) == ("flannel", "zz")
    assert (record["nodes"]["total"], record["nodes"]["read"]) == (7, 3)
