# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Antrea, whose configuration is YAML text with its defaults commented out."""

from __future__ import annotations

from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery import fakes
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery.fakes import Cluster, cidrs, discovered

AGENT = """
# trafficEncapMode: encap
tunnelType: "vxlan"
tunnelPort: 0
#defaultMTU: 0
defaultMTU: 1400 # fixed
noSNAT: false
#serviceCIDR: 10.96.0.0/12
"""
CONTROLLER = """
nodeIPAM:
  enableNodeIPAM: true
  clusterCIDRs: [10.100.0.0/16, "fd00:18:100::/56"]
  serviceCIDR: 10.101.0.0/16
"""


def antrea(agent: str = AGENT, controller: str = CONTROLLER) -> Cluster:
    labels = {"app": "antrea", "component": "antrea-agent"}
    image = "antrea/antrea-agent-ubuntu:v2.3.0"
    name = "antrea-config-hf6k"
    daemonset = fakes.daemonset(
        "antrea-agent", "kube-system", image, labels=labels, container="antrea-agent", configmap=name
    )
    data = {"antrea-agent.conf": agent, "antrea-controller.conf": controller}
    data["antrea-cni.conflist"] = '{"plugins": [{"type": "antrea"}, {"type": "portmap"}]}'
    return (
        Cluster().daemonsets(daemonset).configmaps(fakes.configmap(name, "kube-system", **data)).nodes(fakes.node("a"))
    )


def test_configuration() -> None:
    (record,) = discovered(antrea())
    assert (record["plugin"], record["role"], record["version"]) == ("antrea", "primary", "v2.3.0")
    assert cidrs(record) == ["10.100.0.0/16", "fd00:18:100::/56"]
    assert cidrs(record, "service") == ["10.101.0.0/16"]
    networking = record["networking"]
    assert networking["backend"] == {"type": "vxlan", "mode": "encap", "port": None}
    assert (networking["encapsulation"], networking["mtu"], networking["masquerade"]) == ("vxlan", 1400, True)
    assert record["cni"]["chained_plugins"] == ["portmap"]


def test_block_list_and_modes() -> None:
    controller = "nodeIPAM:\n  enableNodeIPAM: true\n  clusterCIDRs:\n    - 10.1.0.0/16\n    - 'fd00:18:1::/56'\n"
    (record,) = discovered(antrea("trafficEncapMode: noEncap\n", controller))
    assert cidrs(record) == ["10.1.0.0/16", "fd00:18:1::/56"]
    assert record["networking"]["encapsulation"] == "none"


def test_policy_only_is_chained() -> None:
    record = next(
        item for item in discovered(antrea("trafficEncapMode: networkPolicyOnly\n", "")) if item["plugin"] == "antrea"
    )
    assert record["role"] == "chained"
