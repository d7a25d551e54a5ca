# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""flannel beyond the acceptance matrix: signatures, prefixes, arguments, what Nodes tell."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._discovery.recognisers import flannel
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery import fakes
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery.fakes import Cluster, cidrs, discovered


@pytest.mark.parametrize(
    ("image", "words", "expected"),
    [
        ("ghcr.io/flannel-io/flannel:v0.28.9", [], True),
        ("docker.io/rancher/hardened-flannel:v0.26.4-build20250101", [], True),
        ("rancher/mirrored-flannel-flannel@sha256:00", [], True),
        ("example.com/anything:1", ["--kube-subnet-mgr"], True),
        ("example.com/anything:1", ["/opt/bin/flanneld", "--ip-masq"], True),
        ("example.com/anything:1", ["sh", "-c", "exec /opt/bin/flanneld --kube-subnet-mgr"], True),
        ("ghcr.io/flannel-io/flannel-cni-plugin:v1.9.1-flannel3", [], False),
        ("example.com/flannel-exporter:1", [], False),
        ("example.com/anything:1", ["--kube-subnet-mgr=false"], False),
    ],
)
def test_signature(image: str, words: list[str], expected: bool) -> None:
    assert flannel.is_flanneld({"name": "x", "image": image, "command": words}) is expected


def test_release_asset_is_kustomize() -> None:
    cluster = fakes.flannel_cluster()
    selector = {"app": "flannel", "k8s-app": "flannel"}
    cluster.collections[("/apis/apps/v1", "daemonsets")] = [fakes.flannel_daemonset(selector=selector)]
    assert discovered(cluster)[0]["install_method"] == "kustomize"


def test_rke1() -> None:
    daemonset = fakes.flannel_daemonset("kube-flannel", "kube-system", labels={"tier": "node", "k8s-app": "flannel"})
    cluster = Cluster().daemonsets(daemonset).configmaps(fakes.flannel_configmap("kube-system")).nodes(fakes.node("a"))
    record = discovered(cluster)[0]
    assert (record["distribution"], record["install_method"]) == ("rke1", "distro")


def test_arguments() -> None:
    args = [
        "--ip-masq",
        "--kube-subnet-mgr",
        "--iface=eth1",
        "--iface",
        "eth2",
        "--iface-regex=^en",
        "--iface-can-reach=198.18.0.1",
    ]
    cluster = fakes.flannel_cluster()
    cluster.collections[("/apis/apps/v1", "daemonsets")] = [fakes.flannel_daemonset(args=args)]
    networking = discovered(cluster)[0]["networking"]
    assert networking["masquerade"] is True
    assert networking["interface_selection"] == {
        "iface": ["eth1", "eth2"],
        "iface_regex": ["^en"],
        "can_reach": "198.18.0.1",
    }


def test_label_alone_with_an_unreadable_configmap_is_possible() -> None:
    daemonset = fakes.daemonset("net", "x", "example.com/y:1", labels={"app": "flannel"}, configmap="hidden")
    cluster = Cluster().daemonsets(daemonset).nodes(fakes.node("a"))
    cluster.forbidden = ["configmaps/hidden"]
    record = discovered(cluster)[0]
    assert (record["plugin"], record["confidence"], record["scope"]) == ("flannel", "possible", "partial")
    assert record["config_error"] is None
    (warning,) = [warning for warning in record["warnings"] if "x/hidden could not be read" in warning]
    assert "discovery_rbac_config_maps: [hidden]" in warning


@pytest.mark.parametrize(
    ("flag", "prefix"),
    [("net.example.org", "net.example.org/"), ("net.example.org/x", "net.example.org/x-"), ("a.b/c-", "a.b/c-")],
)
def test_annotation_prefix(flag: str, prefix: str) -> None:
    notes = {f"{prefix}kube-subnet-manager": "true", f"{prefix}backend-type": "host-gw"}
    notes |= {f"{prefix}public-ip": "198.18.0.1", f"{prefix}backend-data": "null"}
    args = ["--kube-subnet-mgr", f"--kube-annotation-prefix={flag}"]
    cluster = Cluster().daemonsets(fakes.flannel_daemonset(args=args)).nodes(fakes.node("a", annotations=notes))
    cluster.configmaps(fakes.flannel_configmap(net_conf='{"Network": "10.244.0.0/16", "Backend": {"Type": "host-gw"}}'))
    record = discovered(cluster)[0]
    assert record["nodes"]["inconsistencies"] == []
    assert record["nodes"]["sample"][0]["public_ip"] == "198.18.0.1"


def k3s(args: list[str] | None, **options: Any) -> dict[str, Any]:
    notes = {} if args is None else {"k3s.io/node-args": json.dumps(args)}
    return fakes.flannel_node("a", 1, version="v1.33.1+k3s1", annotations=notes, reason="", **options)


def test_k3s_without_arguments_has_documented_defaults_of_low_confidence() -> None:
    record = discovered(Cluster("v1.30.1+k3s1").nodes(k3s(["agent"])))[0]
    assert (cidrs(record), cidrs(record, "service")) == (["10.42.0.0/16"], ["10.43.0.0/16"])
    assert record["networking"]["pod_cidrs"][0]["confidence"] == "low"


def test_k3s_servers_beyond_the_first_page_are_found_by_label() -> None:
    server = k3s(["server", "--cluster-cidr=10.52.0.0/16"], labels={"node-role.kubernetes.io/control-plane": "true"})
    server["metadata"]["name"] = "z"
    cluster = Cluster("v1.33.1+k3s1").nodes(k3s(None), server).service_cidrs(["10.53.0.0/16"])
    record = discovered(cluster, nodes=1)[0]
    assert (cidrs(record), cidrs(record, "service")) == (["10.52.0.0/16"], ["10.53.0.0/16"])
    assert len(cluster.requests) <= 8


def test_k3s_with_flannel_off_is_a_leftover() -> None:
    records = discovered(Cluster("v1.33.1+k3s1").nodes(k3s(["server", "--flannel-backend=none"])))
    assert [(item["plugin"], item["role"]) for item in records] == [("generic", "primary"), ("flannel", "leftover")]


def test_rke2_on_windows_embeds_flannel() -> None:
    node = fakes.flannel_node("win", 1, version="v1.33.1+rke2r1", system="windows")
    record = discovered(Cluster("v1.33.1+rke2r1").nodes(node))[0]
    assert (record["plugin"], record["install_method"]) == ("flannel", "embedded")


def test_flanneld_outside_the_cluster_shows_only_on_nodes() -> None:
    """Annotations and a condition without a workload: it carries the pods, but nobody can say from where."""
    record = discovered(Cluster().nodes(fakes.flannel_node("a", 1)))[0]
    assert (record["plugin"], record["role"], record["install_method"]) == ("flannel", "primary", "unknown")
    assert record["stale_suspected"] is True
    assert record["confidence"] == "likely"


@pytest.mark.parametrize("reason", ["FlannelIsUp", ""])
def test_a_daemonset_that_may_not_be_seen_is_not_stale(reason: str) -> None:
    cluster = Cluster().nodes(fakes.flannel_node("a", 1, reason=reason))
    cluster.forbidden = ["daemonsets$"]
    (record,) = discovered(cluster)
    assert (record["plugin"], record["role"], record["scope"]) == ("flannel", "primary", "partial")
    assert record["stale_suspected"] is False


def test_annotations_alone_are_a_leftover() -> None:
    records = discovered(Cluster().nodes(fakes.flannel_node("a", 1, reason="")))
    assert [(item["plugin"], item["role"]) for item in records] == [("generic", "primary"), ("flannel", "leftover")]


def test_policy_sidecar() -> None:
    sidecar = {"name": "netpol", "image": "registry.example.com/networking/kube-network-policies:v0.9.2"}
    cluster = fakes.flannel_cluster()
    cluster.collections[("/apis/apps/v1", "daemonsets")] = [fakes.flannel_daemonset(others=[sidecar])]
    assert discovered(cluster)[0]["policy"] == {"provider": "kube-network-policies"}
