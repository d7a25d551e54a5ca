# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The impact module on a real API server, with the rights that its documentation asks for and with fewer."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.podnet.cni.tests.integration import _kube
from ansible_collections.podnet.cni.tests.integration.etcd._lab import run_module
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._network_policy import cases

pytestmark = pytest.mark.kube

NEEDED = [
    {"apiGroups": [""], "resources": ["pods", "namespaces"], "verbs": ["list"]},
    {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": ["list"]},
]
MORE = [
    {"apiGroups": [""], "resources": ["nodes", "services"], "verbs": ["list"]},
    {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list"]},
    {
        "apiGroups": ["admissionregistration.k8s.io"],
        "resources": ["validatingwebhookconfigurations", "mutatingwebhookconfigurations"],
        "verbs": ["list"],
    },
    {"apiGroups": ["apiregistration.k8s.io"], "resources": ["apiservices"], "verbs": ["list"]},
]


def create(kube: _kube.KubeServer, item: dict[str, Any]) -> None:
    """An object with its status, which a kubelet would write."""
    kube.apply({key: value for key, value in item.items() if key != "status"})
    if item.get("status"):
        path = f"{kube.path_of(item)}/status"
        kube.api("PATCH", path, {"status": item["status"]}, "application/merge-patch+json")


@pytest.fixture
def cluster(kube: _kube.KubeServer) -> list[dict[str, Any]]:
    objects = [
        cases.namespace("np-shop"),
        cases.node("np-one", 1),
        cases.pod("np-shop/web", "10.244.1.2", {"app": "web"}, nodeName="np-one"),
        cases.pod("np-shop/db", "10.244.1.3", {"app": "db"}, nodeName="np-one"),
        cases.pod("np-shop/done", "10.244.1.4", {"app": "db"}, nodeName="np-one", phase="Succeeded"),
    ]
    for item in objects:
        create(kube, item)
    policies = "/apis/networking.k8s.io/v1/namespaces/np-shop/networkpolicies"
    spec = {"podSelector": {"matchLabels": {"app": "db"}}, "ingress": [{"from": [{"podSelector": {}}]}]}
    wanted = cases.policy("np-shop/db", **spec)
    kube.api("POST", policies, wanted)
    yield objects
    kube.api("DELETE", f"{policies}/db")
    for item in reversed(objects):
        kube.api("DELETE", f"{kube.path_of(item)}?gracePeriodSeconds=0")


def test_report(kube: _kube.KubeServer, cluster: list[dict[str, Any]]) -> None:
    flows = [
        {"from": "np-shop/web", "to": "np-shop/db", "port": 5432},
        {"from": "198.19.0.1", "to": "10.244.1.3", "port": 5432},
    ]

    def report(user: str, rules: list[dict[str, Any]]) -> dict[str, Any]:
        kubeconfig = str(kube.limited_kubeconfig(user, rules))
        options = {"kubeconfig": kubeconfig, "flows": flows, "namespaces": ["np-shop"]}
        return run_module("network_policy_impact_info", options, check=True)

    least = report("np-least", NEEDED)
    full = report("np-full", NEEDED + MORE)
    for found in (least, full):
        assert not found["changed"], found
        assert [(row["verdict"], row["policy"]) for row in found["verdicts"]] == [
            ("allow", "np-shop/db"),
            ("deny", "np-shop/db"),
        ]
        assert [(row["pods"], row["ingress"], row["egress"]) for row in found["isolated_pods"]] == [
            (["db"], True, False)
        ]
        assert found["unreadable"] == []
    assert [row for row in full["node_sources"] if row["node"] == "np-one"] == [
        {"node": "np-one", "device": "bridge", "address": "10.244.1.1", "seen_by": "own_node", "cut_pods": 1},
        {"node": "np-one", "device": "overlay", "address": "10.244.1.0", "seen_by": "other_nodes", "cut_pods": 0},
    ]
    assert not [row for row in least["node_sources"] if row["device"] == "overlay"]
    assert "addresses of the overlay and of bridges are not known" in str(least["unknown"])
    assert "forbidden" not in str(full["unknown"]).lower()

    refused = report("np-none", NEEDED[:1])
    assert refused["failed"]
    assert "networkpolicies" in refused["msg"]
