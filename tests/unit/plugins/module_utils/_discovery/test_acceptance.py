# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The acceptance matrix of discovery: each row is a test, and the test's id names the row."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery import fakes
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery.fakes import Cluster, cidrs, discovered

pytestmark = pytest.mark.filterwarnings("error")


def row(name: str) -> pytest.MarkDecorator:
    """Gives a test the name of the row it stands for."""
    return pytest.mark.parametrize("_row", [pytest.param(None, id=name)])


def plugins(records: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(item["plugin"], item["role"]) for item in records]


@row("daemonset-in-kube-flannel-with-k8s-app")
def test_manifest(_row: None) -> None:
    cluster = fakes.flannel_cluster()
    decoy = fakes.flannel_configmap("kube-system", '{"Network": "10.99.0.0/16", "Backend": {"Type": "vxlan"}}')
    cluster.configmaps(decoy)
    (record,) = discovered(cluster)
    assert (record["plugin"], record["role"], record["namespace"]) == ("flannel", "primary", "kube-flannel")
    assert cidrs(record) == ["10.244.0.0/16"]
    assert cidrs(record, "service") == ["10.96.0.0/12"]
    assert record["networking"]["pod_cidrs"][0]["source"].startswith("ConfigMap kube-flannel/kube-flannel-cfg")
    assert (record["version"], record["version_confidence"]) == ("v0.28.9", "image-tag")
    assert record["networking"]["backend"] == {"type": "vxlan", "vni": 1}
    assert record["cni"] == {"conf_name": "10-flannel.conflist", "chained_plugins": ["portmap"]}
    assert record["health"] == {"state": "healthy", "reasons": []}
    assert (record["confidence"], record["scope"]) == ("certain", "cluster")
    assert record["api_calls"] == len(cluster.requests) <= 8


@row("helm-install-in-net-x-without-k8s-app")
def test_helm(_row: None) -> None:
    labels = {"tier": "node", "app": "flannel", "app.kubernetes.io/managed-by": "Helm"}
    cluster = Cluster().daemonsets(fakes.flannel_daemonset(namespace="net-x", labels=labels))
    cluster.configmaps(fakes.flannel_configmap("net-x")).nodes(fakes.flannel_node("a", 1)).service_cidrs(
        ["10.96.0.0/12"]
    )
    (record,) = discovered(cluster)
    assert (record["plugin"], record["install_method"], record["namespace"]) == ("flannel", "helm", "net-x")
    assert cidrs(record) == ["10.244.0.0/16"]


@row("unlabelled-daemonset-named-overlay")
def test_signature(_row: None) -> None:
    strange = fakes.daemonset(
        "overlay", "net-y", "registry.example.com:5000/mirror/flannel:v0.28.9", configmap="odd-name"
    )
    cluster = Cluster().daemonsets(strange).configmaps(fakes.flannel_configmap("net-y", name="odd-name"))
    cluster.nodes(fakes.node("a")).service_cidrs(["10.96.0.0/12"])
    (record,) = discovered(cluster)
    assert (record["plugin"], record["role"], record["namespace"]) == ("flannel", "primary", "net-y")
    assert record["config_refs"][0]["name"] == "odd-name"
    assert cidrs(record) == ["10.244.0.0/16"]


@row("daemonset-named-flannel-exporter-foreign-image")
@pytest.mark.parametrize("labels", [{}, {"app": "flannel-exporter"}, {"app": "flannel", "k8s-app": "flannel"}])
@pytest.mark.parametrize("mounted", [None, "exporter-config"])
def test_exporter(_row: None, labels: dict[str, str], mounted: str | None) -> None:
    exporter = fakes.daemonset(
        "flannel-exporter", "monitoring", "example.com/flannel-exporter:v1.0", labels=labels, configmap=mounted
    )
    cluster = Cluster().daemonsets(exporter).configmaps(fakes.configmap("exporter-config", "monitoring", a="b"))
    cluster.nodes(fakes.node("a"))
    assert plugins(discovered(cluster)) == [("generic", "primary")]


@row("two-flannel-daemonsets-old-and-new-namespace")
def test_duplicate(_row: None) -> None:
    cluster = fakes.flannel_cluster()
    cluster.daemonsets(fakes.flannel_daemonset(namespace="kube-system", labels={"tier": "node", "app": "flannel"}))
    cluster.configmaps(fakes.flannel_configmap("kube-system"))
    first, second = discovered(cluster)
    assert (first["role"], first["namespace"]) == ("primary", "kube-flannel")
    assert (second["role"], second["namespace"]) == ("duplicate", "kube-system")
    for record in (first, second):
        assert "duplicate_install" in record["health"]["reasons"]
        assert record["health"]["state"] == "degraded"


@row("kubespray-five-per-arch-daemonsets")
def test_kubespray(_row: None) -> None:
    names = ["kube-flannel"] + [f"kube-flannel-ds-{arch}" for arch in ("arm64", "arm", "ppc64le", "s390x")]
    cluster = Cluster().nodes(fakes.flannel_node("a", 1), fakes.flannel_node("b", 2)).service_cidrs(["10.233.0.0/18"])
    cluster.daemonsets(
        *(
            fakes.flannel_daemonset(
                name,
                "kube-system",
                labels={"tier": "node", "app": "flannel"},
                desired=2 if name == "kube-flannel" else 0,
            )
            for name in names
        )
    )
    cluster.configmaps(fakes.flannel_configmap("kube-system"))
    (record,) = discovered(cluster)
    assert sorted(item["name"] for item in record["workloads"]) == sorted(names)
    assert (record["distribution"], record["install_method"]) == ("kubespray", "distro")
    assert record["health"]["state"] == "healthy"


@row("configmap-missing-or-json-broken-or-network-absent")
@pytest.mark.parametrize(
    ("net_conf", "words"),
    [
        (None, "missing"),
        ("{broken", "not JSON"),
        ("[]", "must be a JSON object"),
        ('{"Backend": {"Type": "vxlan"}}', "Network is missing"),
        ('{"Network": "", "Backend": {"Type": "vxlan"}}', "is not a network"),
        ('{"Network": "ten-dot-something", "Backend": {"Type": "vxlan"}}', "is not a network"),
        ('{"Network": 10, "Backend": {"Type": "vxlan"}}', "is not a network"),
    ],
)
def test_bad_configuration(_row: None, net_conf: str | None, words: str) -> None:
    cluster = Cluster().daemonsets(fakes.flannel_daemonset()).nodes(fakes.node("a"), fakes.node("b"))
    if net_conf is not None:
        cluster.configmaps(fakes.flannel_configmap(net_conf=net_conf))
    (record,) = discovered(cluster)
    assert (record["plugin"], record["role"]) == ("flannel", "primary")
    assert words in record["config_error"]
    assert cidrs(record) == []
    assert "config_error" in record["health"]["reasons"]
    if net_conf and "ten-dot" in net_conf:
        assert any("ten-dot-something" in item["fact"] for item in record["evidence"])


@row("dual-stack-net-conf")
@pytest.mark.parametrize(
    ("services", "families"),
    [
        (["10.96.0.0/12", "fd00:18:96::/112"], ["ipv4", "ipv6"]),
        (["fd00:18:96::/112", "10.96.0.0/12"], ["ipv6", "ipv4"]),
    ],
)
def test_dual_stack(_row: None, services: list[str], families: list[str]) -> None:
    net_conf = {
        "network": "10.244.0.0/16",
        "EnableIPv6": True,
        "IPv6Network": "fd00:18:244::/48",
        "Backend": {"Type": "wireguard", "PSK": "do-not-show-this"},
    }
    cluster = Cluster().daemonsets(fakes.flannel_daemonset()).service_cidrs(services)
    cluster.configmaps(fakes.flannel_configmap(net_conf=json.dumps(net_conf))).nodes(fakes.node("a"))
    (record,) = discovered(cluster)
    assert cidrs(record) == ["10.244.0.0/16", "fd00:18:244::/48"]
    assert [item["family"] for item in record["networking"]["pod_cidrs"]] == [4, 6]
    assert record["networking"]["ip_families"] == families
    assert record["networking"]["backend"] == {"type": "wireguard", "psk_set": True}
    assert "do-not-show-this" not in json.dumps(record)


def canal_daemonset(name: str, namespace: str, configmap: str) -> dict[str, Any]:
    calico = {"name": "calico-node", "image": "docker.io/calico/node:v3.30.1"}
    return fakes.daemonset(
        name,
        namespace,
        "docker.io/flannel/flannel:v0.24.4",
        container="kube-flannel",
        args=ARGS_WITH_INTERFACE,
        command=["/opt/bin/flanneld"],
        others=[calico],
        labels={"k8s-app": "canal"},
        configmap=configmap,
    )


ARGS_WITH_INTERFACE = ["--ip-masq", "--kube-subnet-mgr", "--iface=eth1"]


@row("canal-in-kube-system-rke2-canal-and-another-namespace")
@pytest.mark.parametrize(
    ("name", "namespace", "config"),
    [
        ("canal", "kube-system", "canal-config"),
        ("rke2-canal", "kube-system", "rke2-canal-config"),
        ("canal", "network", "canal-config"),
    ],
)
def test_canal(_row: None, name: str, namespace: str, config: str) -> None:
    data = {"net__conf_json": fakes.NET_CONF, "veth_mtu": "1450", "masquerade": "true"}
    cluster = Cluster(groups={"crd.projectcalico.org": ["v1"]}).daemonsets(canal_daemonset(name, namespace, config))
    cluster.configmaps(fakes.configmap(config, namespace, **data)).nodes(fakes.flannel_node("a", 1))
    cluster.add(
        "/apis/crd.projectcalico.org/v1",
        "ippools",
        {"metadata": {"name": "default-ipv4-ippool"}, "spec": {"cidr": "192.168.0.0/16"}},
    )
    cluster.service_cidrs(["10.43.0.0/16"])
    (record,) = discovered(cluster)
    assert (record["plugin"], record["role"], record["namespace"]) == ("canal", "primary", namespace)
    assert cidrs(record) == ["10.244.0.0/16"]
    assert (record["networking"]["mtu"], record["policy"]["provider"]) == (1450, "calico")
    assert record["version"] == "v0.24.4"
    assert record["cni"]["conf_name"] == "10-canal.conflist"


def k3s_node(name: str, args: list[str] | None, **options: Any) -> dict[str, Any]:
    notes = {} if args is None else {"k3s.io/node-args": json.dumps(args)}
    return fakes.flannel_node(
        name, 1, version="v1.30.4+k3s1", annotations=notes, reason="", pod_cidrs=["10.52.0.0/24"], **options
    )


@row("k3s-only-annotations")
def test_k3s(_row: None) -> None:
    args = ["server", "--cluster-cidr", "10.52.0.0/16,fd00:18:52::/56", "--service-cidr=10.53.0.0/16"]
    cluster = Cluster("v1.30.4+k3s1").nodes(k3s_node("server", args), k3s_node("agent", ["agent"]))
    (record,) = discovered(cluster)
    assert (record["plugin"], record["install_method"], record["namespace"]) == ("flannel", "embedded", None)
    assert (record["distribution"], record["role"]) == ("k3s", "primary")
    assert cidrs(record) == ["10.52.0.0/16", "fd00:18:52::/56"]
    assert record["networking"]["pod_cidrs"][0]["source"] == "Node server annotation node-args"
    assert cidrs(record, "service") == ["10.53.0.0/16"]
    assert record["networking"]["backend"] == {"type": "vxlan", "vni": 1, "port": 8472}
    assert record["health"]["state"] == "healthy"
    assert len(cluster.requests) <= 8


@row("annotations-but-cilium-active")
def test_leftover(_row: None) -> None:
    cluster = Cluster().daemonsets(
        fakes.daemonset("cilium", "kube-system", "quay.io/cilium/cilium:v1.17.3@sha256:0", labels={"k8s-app": "cilium"})
    )
    cluster.configmaps(
        fakes.configmap("cilium-config", "kube-system", ipam="cluster-pool", **{"cluster-pool-ipv4-cidr": "10.0.0.0/8"})
    )
    cluster.nodes(fakes.flannel_node("a", 1, reason="CiliumIsUp")).service_cidrs(["10.96.0.0/12"])
    first, second = discovered(cluster)
    assert (first["plugin"], first["role"], first["version"]) == ("cilium", "primary", "v1.17.3")
    assert (second["plugin"], second["role"], second["stale_suspected"]) == ("flannel", "leftover", True)
    assert second["health"]["state"] == "unknown"
    assert second["confidence"] == "weak"


@row("annotations-but-cilium-active")
def test_running_flannel_without_labels_is_no_leftover(_row: None) -> None:
    cluster = Cluster().daemonsets(
        fakes.daemonset("cilium", "kube-system", "quay.io/cilium/cilium:v1.17.3", labels={"k8s-app": "cilium"}),
        fakes.daemonset("overlay", "net-y", fakes.IMAGE, configmap="odd-name"),
    )
    cluster.configmaps(fakes.flannel_configmap("net-y", name="odd-name")).service_cidrs(["10.96.0.0/12"])
    cluster.nodes(fakes.flannel_node("a", 1), fakes.flannel_node("b", 2))
    first, second = discovered(cluster)
    assert plugins([first, second]) == [("cilium", "primary"), ("flannel", "secondary")]
    assert (second["namespace"], second["stale_suspected"]) == ("net-y", False)


@row("cilium-with-flannel-chaining")
@pytest.mark.parametrize("labelled", [True, False])
def test_chaining(_row: None, labelled: bool) -> None:
    cluster = fakes.flannel_cluster()
    if not labelled:
        cluster.collections[("/apis/apps/v1", "daemonsets")][0]["metadata"]["labels"] = {}
    cluster.daemonsets(
        fakes.daemonset("cilium", "kube-system", "quay.io/cilium/cilium:v1.17.3", labels={"k8s-app": "cilium"})
    )
    cluster.configmaps(fakes.configmap("cilium-config", "kube-system", **{"cni-chaining-mode": "flannel"}))
    first, second = discovered(cluster)
    assert plugins([first, second]) == [("flannel", "primary"), ("cilium", "chained")]
    assert first["policy"]["provider"] == "cilium"


@row("ovn-configmap-with-cidr-and-hostprefix")
def test_ovn_host_prefix(_row: None) -> None:
    cluster = Cluster(groups={"k8s.ovn.org": ["v1"]}).nodes(fakes.node("a"))
    cluster.daemonsets(
        fakes.daemonset(
            "ovnkube-node",
            "ovn-kubernetes",
            "ghcr.io/ovn-kubernetes/ovn-kube-ubuntu:master",
            container="ovnkube-controller",
        )
    )
    data = {"net_cidr": "10.128.0.0/14/23,fd00:18:1::/48/64", "svc_cidr": "172.30.0.0/16", "mtu": "1400"}
    cluster.configmaps(fakes.configmap("ovn-config", "ovn-kubernetes", **data))
    (record,) = discovered(cluster)
    assert (record["plugin"], record["role"]) == ("ovn-kubernetes", "primary")
    assert cidrs(record) == ["10.128.0.0/14", "fd00:18:1::/48"]
    assert cidrs(record, "service") == ["172.30.0.0/16"]
    assert record["networking"]["mtu"] == 1400


@row("kube-ovn-without-daemonset-labels")
def test_kube_ovn(_row: None) -> None:
    cluster = Cluster(groups={"kubeovn.io": ["v1"]}).nodes(fakes.node("a")).service_cidrs(["10.96.0.0/12"])
    cluster.daemonsets(
        fakes.daemonset("kube-ovn-cni", "kube-system", "docker.io/kubeovn/kube-ovn:v1.15.0", container="cni-server"),
        fakes.daemonset("ovs-ovn", "kube-system", "docker.io/kubeovn/kube-ovn:v1.15.0", container="openvswitch"),
    )
    subnet = {
        "metadata": {"name": "ovn-default"},
        "spec": {"cidrBlock": "10.16.0.0/16,fd00:18:16::/112", "default": True},
    }
    cluster.add("/apis/kubeovn.io/v1", "subnets", subnet)
    (record,) = discovered(cluster)
    assert (record["plugin"], record["role"], record["version"]) == ("kube-ovn", "primary", "v1.15.0")
    assert cidrs(record) == ["10.16.0.0/16", "fd00:18:16::/112"]
    assert len(cluster.requests) <= 8
    assert not any(path.startswith("/apis/apps/v1/daemonsets?limit") for path in cluster.paths())


@row("forbidden-cluster-wide-allowed-in-kube-flannel")
def test_forbidden_list(_row: None) -> None:
    cluster = fakes.flannel_cluster()
    cluster.forbidden = [r"^/apis/apps/v1/daemonsets$", r"namespaces/(?!kube-flannel)[^/]+/daemonsets$"]
    (record,) = discovered(cluster)
    assert (record["plugin"], record["role"], record["scope"]) == ("flannel", "primary", "partial")
    assert record["confidence"] == "likely", "with all rights it is certain"
    assert cidrs(record) == ["10.244.0.0/16"]
    assert any("may not be listed" in warning for warning in record["warnings"])


@row("forbidden-cluster-wide-allowed-in-kube-flannel")
def test_forbidden_everywhere_is_never_not_installed(_row: None) -> None:
    cluster = Cluster().nodes(fakes.node("a"))
    cluster.forbidden = [r"/daemonsets$"]
    (record,) = discovered(cluster)
    assert (record["plugin"], record["scope"], record["confidence"]) == ("unknown", "partial", "weak")
    assert any("kube-flannel" in warning for warning in record["warnings"])


def control_plane_pod(component: str, *args: str, command: bool = True) -> dict[str, Any]:
    words = [component, *args]
    container = {"name": component, "command": words} if command else {"name": component, "args": list(args)}
    metadata = {"name": f"{component}-a", "namespace": "kube-system", "labels": {"component": component}}
    return {"metadata": metadata, "spec": {"containers": [container]}}


@row("service-cidr-api-absent-present-or-two-objects")
@pytest.mark.parametrize(
    ("version", "groups", "objects", "expected"),
    [
        ("v1.30.2", ["v1"], None, ["172.20.0.0/16"]),
        ("v1.33.1", ["v1"], [["10.96.0.0/12"]], ["10.96.0.0/12"]),
        ("v1.33.1", ["v1"], [["10.96.0.0/12"], ["10.200.0.0/16"]], ["10.96.0.0/12", "10.200.0.0/16"]),
        ("v1.31.0", ["v1", "v1beta1"], [["10.97.0.0/16"]], ["10.97.0.0/16"]),
        ("v1.32.0", ["v1"], None, ["172.20.0.0/16"]),
    ],
)
def test_service_ranges(_row: None, version: str, groups: list[str], objects: Any, expected: list[str]) -> None:
    cluster = Cluster(version, {"networking.k8s.io": groups}).daemonsets(fakes.flannel_daemonset())
    cluster.configmaps(fakes.flannel_configmap()).nodes(fakes.flannel_node("a", 1))
    cluster.pods(control_plane_pod("kube-apiserver", "--service-cluster-ip-range=172.20.0.0/16"))
    if objects:
        cluster.service_cidrs(*objects, version=groups[-1])
    (record,) = discovered(cluster)
    assert cidrs(record, "service") == expected
    assert len(cluster.requests) <= 8
    asked = [path for path in cluster.paths() if "servicecidrs" in path]
    assert len(asked) == (1 if objects else 0)


@row("two-token-flag-and-comma-dual-stack-flag")
@pytest.mark.parametrize("command", [True, False])
@pytest.mark.parametrize(
    "flags",
    [
        ["--cluster-cidr", "10.0.0.0/16,fd00:18::/56"],
        ["--cluster-cidr=10.0.0.0/16,fd00:18::/56"],
        ['--cluster-cidr="10.0.0.0/16,fd00:18::/56"'],
        ["--cluster-cidr-extra=1.2.3.4/32", "--cluster-cidr=10.0.0.0/16,fd00:18::/56", "--cluster-cidr-mode"],
    ],
)
def test_flags(_row: None, flags: list[str], command: bool) -> None:
    cluster = Cluster("v1.30.0").nodes(fakes.node("a"), fakes.node("b"))
    cluster.pods(control_plane_pod("kube-controller-manager", *flags, command=command))
    (record,) = discovered(cluster)
    assert record["plugin"] == "generic"
    assert cidrs(record) == ["10.0.0.0/16", "fd00:18::/56"]


@row("two-token-flag-and-comma-dual-stack-flag")
@pytest.mark.parametrize("flags", [["--cluster-cidr"], ["--cluster-cidr", "--other"], ["--cluster-cidr="]])
def test_flag_without_value(_row: None, flags: list[str]) -> None:
    cluster = Cluster("v1.30.0").nodes(fakes.node("a"), fakes.node("b"))
    cluster.pods(control_plane_pod("kube-controller-manager", *flags))
    (record,) = discovered(cluster)
    assert cidrs(record) == []


def crowd(number: int) -> list[dict[str, Any]]:
    return [fakes.daemonset(f"app-{index:03}", f"team-{index % 50}", "example.com/app:1") for index in range(number)]


@row("500-daemonsets-page-size-100")
def test_paging(_row: None) -> None:
    cluster = Cluster().daemonsets(*crowd(499), fakes.daemonset("overlay", "zz", fakes.IMAGE, configmap="c"))
    cluster.configmaps(fakes.flannel_configmap("zz", name="c")).nodes(fakes.node("a"))
    (record,) = discovered(cluster, mode="full", page_size=100)
    assert (record["plugin"], record["namespace"]) == ("flannel", "zz")
    pages = [path for path in cluster.paths() if path.startswith("/apis/apps/v1/daemonsets?limit=100")]
    assert len(pages) == 5


@row("410-on-page-3-restarts-once")
def test_expired_page(_row: None) -> None:
    cluster = Cluster().daemonsets(*crowd(499), fakes.daemonset("overlay", "zz", fakes.IMAGE, configmap="c"))
    cluster.configmaps(fakes.flannel_configmap("zz", name="c")).nodes(fakes.node("a"))
    cluster.expire_on_page = 3
    (record,) = discovered(cluster, mode="full", page_size=100)
    assert (record["plugin"], record["namespace"]) == ("flannel", "zz")
    pages = [path for path in cluster.paths() if path.startswith("/apis/apps/v1/daemonsets?limit=100")]
    assert len(pages) == 3 + 5


@row("any-run-writes-nothing-and-asks-for-no-secret")
@pytest.mark.parametrize("mode", ["auto", "labels", "full", "namespaces"])
def test_reads_only(_row: None, mode: str) -> None:
    cluster = fakes.flannel_cluster(version="v1.30.0")
    cluster.forbidden = [r"^/apis/apps/v1/daemonsets$"] if mode == "namespaces" else []
    discovered(cluster, mode=mode)
    assert {method for method, _path in cluster.requests} == {"GET"}
    assert not any("secret" in path for path in cluster.paths())
    whole = ("/api/v1/pods", "/api/v1/configmaps", "/api/v1/secrets")
    assert not any(path.split("?")[0] in whole for path in cluster.paths())
