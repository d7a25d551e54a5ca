# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Canal beyond the acceptance matrix."""

from __future__ import annotations

from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery import fakes
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery.fakes import Cluster, cidrs, discovered


def test_automatic_mtu_interface_and_no_second_record() -> None:
    calico = {"name": "calico-node", "image": "rancher/hardened-calico:v3.30.1-build1"}
    daemonset = fakes.daemonset(
        "rke2-canal",
        "kube-system",
        "rancher/hardened-flannel:v0.26.7-build20250404",
        container="kube-flannel",
        args=["--kube-subnet-mgr"],
        others=[calico],
        labels={"k8s-app": "canal"},
        configmap="rke2-canal-config",
    )
    data = {"net__conf_json": fakes.NET_CONF, "veth_mtu": "0", "masquerade": "false", "canal_iface_regex": "^en"}
    data["cni_network_config"] = '{"plugins": [{"type": "calico"}, {"type": "portmap"}, {"type": "bandwidth"}]}'
    cluster = Cluster("v1.33.1+rke2r1").daemonsets(daemonset).service_cidrs(["10.43.0.0/16"])
    cluster.configmaps(fakes.configmap("rke2-canal-config", "kube-system", **data))
    cluster.nodes(fakes.flannel_node("a", 1, version="v1.33.1+rke2r1"))
    (record,) = discovered(cluster)
    assert (record["plugin"], record["distribution"], record["install_method"]) == ("canal", "rke2", "distro")
    assert (record["version"], record["version_build"]) == ("v0.26.7", "build20250404")
    networking = record["networking"]
    assert (networking["mtu"], networking["mtu_auto"], networking["masquerade"]) == (None, True, False)
    assert networking["interface_selection"] == {"iface": [], "iface_regex": ["^en"], "can_reach": None}
    assert record["cni"]["chained_plugins"] == ["portmap", "bandwidth"]
    assert cidrs(record) == ["10.244.0.0/16"]
    roles = {item["name"]: item["role"] for item in record["workloads"][0]["containers"]}
    assert roles == {"kube-flannel": "daemon", "calico-node": "sidecar"}
