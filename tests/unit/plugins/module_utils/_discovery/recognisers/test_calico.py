# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Calico from its manifest, from the operator, and for policy alone."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery import fakes
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery.fakes import Cluster, cidrs, discovered

LABELS = {"k8s-app": "calico-node"}


def pool(name: str, cidr: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"cidr": cidr, **spec}}


def daemonset(namespace: str = "kube-system", **options: Any) -> dict[str, Any]:
    options.setdefault("labels", LABELS)
    return fakes.daemonset("calico-node", namespace, "quay.io/calico/node:v3.30.1", container="calico-node", **options)


def test_manifest() -> None:
    pools = [
        pool("default-ipv4-ippool", "192.168.0.0/16", ipipMode="Always", vxlanMode="Never"),
        pool("old", "10.1.0.0/16", disabled=True),
    ]
    cluster = Cluster().daemonsets(daemonset()).nodes(fakes.node("a", reason="CalicoIsUp"))
    cluster.custom("crd.projectcalico.org", "ippools", *pools).service_cidrs(["10.96.0.0/12"])
    cluster.configmaps(fakes.configmap("calico-config", "kube-system", calico_backend="bird", veth_mtu="1440"))
    (record,) = discovered(cluster)
    assert (record["plugin"], record["role"], record["version"]) == ("calico", "primary", "v3.30.1")
    assert cidrs(record) == ["192.168.0.0/16"]
    networking = record["networking"]
    assert (networking["encapsulation"], networking["mtu"], networking["ipam"]) == ("ipip", 1440, "calico-ipam")
    assert record["policy"]["provider"] == "calico"
    assert len(cluster.requests) <= 8


@pytest.mark.parametrize(
    ("modes", "expected"),
    [
        ([{"vxlanMode": "CrossSubnet"}], "vxlan"),
        ([{}], "none"),
        ([{"vxlanMode": "Always"}, {"ipipMode": "Always"}], "mixed"),
    ],
)
def test_encapsulation(modes: list[dict[str, str]], expected: str) -> None:
    pools = [pool(f"p{index}", f"10.{index}.0.0/16", **mode) for index, mode in enumerate(modes)]
    cluster = (
        Cluster().daemonsets(daemonset()).nodes(fakes.node("a")).custom("crd.projectcalico.org", "ippools", *pools)
    )
    assert discovered(cluster)[0]["networking"]["encapsulation"] == expected


@pytest.mark.parametrize(("kind", "role"), [("Calico", "primary"), ("AmazonVPC", "policy")])
def test_operator(kind: str, role: str) -> None:
    spec = {
        "cni": {"type": kind},
        "calicoNetwork": {"mtu": 1400, "linuxDataplane": "Nftables", "ipPools": [{"cidr": "10.48.0.0/16"}]},
    }
    cluster = Cluster().daemonsets(daemonset("calico-system", owner="Installation")).nodes(fakes.node("a"))
    cluster.custom("operator.tigera.io", "installations", {"metadata": {"name": "default"}, "spec": spec})
    cluster.custom("crd.projectcalico.org", "ippools", pool("default", "10.48.0.0/16", vxlanMode="Always"))
    record = next(item for item in discovered(cluster) if item["plugin"] == "calico")
    assert (record["install_method"], record["role"]) == ("operator", role)
    assert (record["networking"]["mtu"], record["networking"]["nftables"]) == (1400, True)
    assert cidrs(record) == ["10.48.0.0/16"]
    assert not any("calico-config" in path for path in cluster.paths())


def test_policy_only_beside_flannel() -> None:
    cluster = fakes.flannel_cluster().daemonsets(daemonset(env={"CALICO_NETWORKING_BACKEND": "none"}))
    first, second = discovered(cluster)
    assert [(item["plugin"], item["role"]) for item in (first, second)] == [
        ("flannel", "primary"),
        ("calico", "policy"),
    ]
    assert first["policy"]["provider"] == "calico"


def test_range_from_the_environment_when_pools_are_forbidden() -> None:
    cluster = Cluster().daemonsets(daemonset(env={"CALICO_IPV4POOL_CIDR": "10.7.0.0/16"})).nodes(fakes.node("a"))
    cluster.custom("crd.projectcalico.org", "ippools").forbidden = ["ippools"]
    (record,) = discovered(cluster)
    assert cidrs(record) == ["10.7.0.0/16"]
    assert record["networking"]["pod_cidrs"][0]["confidence"] == "medium"
    assert record["scope"] == "partial"
