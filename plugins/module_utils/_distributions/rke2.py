# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""RKE2: which keys concern the network, and the charts that make it; no I/O.

https://docs.rke2.io/reference/server_config, https://docs.rke2.io/networking/basic_network_options and the charts
rke2-canal and rke2-flannel of https://github.com/rancher/rke2-charts.
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._distributions import helm, yaml_text
from ansible_collections.podnet.cni.plugins.module_utils._distributions.model import Reading, Setting
from ansible_collections.podnet.cni.plugins.module_utils._distributions.service import Service, settings
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields

SHARED = (
    "cluster-cidr",
    "cluster-dns",
    "cluster-domain",
    "disable-cloud-controller",
    "disable-kube-proxy",
    "egress-selector-mode",
    "service-cidr",
)
"""Keys in which all servers must agree, without tokens (https://docs.rke2.io/reference/server_config)."""

KEYS = (
    "cni",
    *SHARED,
    "kube-controller-manager-arg",
    "node-ip",
    "node-external-ip",
    "kube-proxy-arg",
)

SERVER_KEYS = ("cni", *SHARED, "kube-controller-manager-arg")
"""Keys that an agent does not know."""

DROPPED = (
    "flannel-backend",
    "flannel-conf",
    "flannel-cni-conf",
    "flannel-external-ip",
    "flannel-iface",
    "flannel-ipv6-masq",
    "disable-network-policy",
    "vpn-auth",
    "vpn-auth-file",
)
"""k3s's keys that RKE2 drops (rke2 pkg/cli/cmds)."""

DEFAULTS = {
    "cni": "canal",
    "cluster-cidr": "10.42.0.0/16",
    "service-cidr": "10.43.0.0/16",
    "cluster-domain": "cluster.local",
    "egress-selector-mode": "agent",
}

CANAL = "rke2-canal"
FLANNEL = "rke2-flannel"
CHARTS = (CANAL, FLANNEL)
"""The charts in which flannel is."""

NETWORK_CHARTS = (CANAL, FLANNEL, "rke2-calico", "rke2-cilium", "rke2-multus")
"""What names of charts begin with that C(cni) selects; those of definitions end in C(-crd)."""


def of_service(service: Service) -> Reading:
    """The network's settings of RKE2 on one host."""
    return settings(service, KEYS)


def of_cluster(facts: Mapping[str, Any]) -> Reading:
    """The values that users and Rancher give the charts of flannel and Canal, each with its owner."""
    found = Reading()
    addons = fields.mappings(facts, "addons")
    charts = {fields.text(each, "name"): fields.mapping(each, "spec") for each in fields.mappings(facts, "helm_charts")}
    for config in fields.mappings(facts, "helm_chart_configs"):
        name = fields.text(config, "name")
        if name not in CHARTS:
            continue
        where = helm.title(config, "HelmChartConfig")
        values = helm.of_object(fields.mapping(config, "spec"), where)
        found.problems += values.problems
        rancher = helm.is_of_rancher(config, addons)
        file = helm.source_file(config, addons)
        place = f"{where}, from {file}" if file else where
        forced = dict(helm.flat(helm.effective({"set": fields.mapping(charts, name, "set")}, {})))
        for key, value in helm.flat(values.values):
            if rancher:
                change = f"Set spec.rkeConfig.chartValues.{name}.{key} of the cluster's object in Rancher"
                loser = "Rancher, whose agent writes the file again"
            elif file:
                change = f"Set it in {file} on the servers that have this file"
                loser = "RKE2, which applies the file again when it changes or a server starts"
            else:
                change = f"Set it in {where}"
                loser = "nobody"
            if key in forced:
                loser = f"RKE2, which sets {forced[key]!r} over it (HelmChart {name}, spec.set)"
            change += f", and restart the DaemonSet: kubectl -n kube-system rollout restart daemonset {workload(name)}."
            title = "Rancher" if rancher else "RKE2"
            shown = "********" if key.rpartition(".")[2] == "psk" else yaml_text.as_text(value)
            found.settings.append(Setting(title, "cluster", f"{name}: {key}", shown, place, change, loser))
    return found


def workload(chart: str) -> str:
    """The DaemonSet of a chart."""
    return CANAL if chart == CANAL else "kube-flannel-ds"
