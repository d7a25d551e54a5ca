# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every setting of the network with its owner, of all hosts and of the cluster; no I/O.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._distributions import (
    command_line,
    helm,
    k3s,
    kops,
    kubeadm,
    kubespray,
    microk8s,
    rancher,
    rke1,
    rke2,
    talos,
)
from ansible_collections.podnet.cni.plugins.module_utils._distributions.model import (
    Flag,
    Place,
    Problem,
    Reading,
    Setting,
)
from ansible_collections.podnet.cni.plugins.module_utils._distributions.service import (
    PRODUCTS,
    Service,
    counted,
    service,
)
from ansible_collections.podnet.cni.plugins.module_utils._distributions.view import Host
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields

_OF_SERVICE = {"k3s": k3s.of_service, "rke2": rke2.of_service}
_BY_CONFIG_MAP = {"rke1": rke1.OWNER, "kubespray": kubespray.OWNER, "talos": talos.OWNER, "kops": kops.OWNER}


def services(host: Host) -> list[Service]:
    """What of k3s and RKE2 is on a host."""
    return [found for found in (service(host, name) for name in PRODUCTS) if found is not None]


def running(item: Service, cluster: Mapping[str, Any] | None) -> dict[str, Flag] | None:
    """The flags that a service runs with, by its Node; None where no Node tells."""
    names = {item.host.name.lower(), item.host.hostname.lower(), item.value("node-name").lower()} - {""}
    for node in fields.mappings(cluster, "nodes"):
        if fields.text(node, "name").lower() in names:
            command, flags = node_flags(node)
            return flags if command else None
    return None


def node_flags(node: Mapping[str, Any]) -> tuple[str, dict[str, Flag]]:
    """What k3s or RKE2 runs with on a Node: command and flags, both empty for another Node."""
    return command_line.running(fields.text(node, "node_args"), Place(node_title(node)))


def node_title(node: Mapping[str, Any]) -> str:
    """A Node as people name it."""
    return f"Node/{fields.text(node, 'name')}"


def owners(cluster: Mapping[str, Any]) -> list[str]:
    """Whose the cluster is, by the marks on its Nodes and by its objects; the keys of owners that the API shows."""
    nodes = fields.mappings(cluster, "nodes")
    found = {fields.text(node, "distribution") for node in nodes}
    if any(node.get("microk8s") is True for node in nodes):
        found.add("microk8s")
    if fields.at(cluster, "config_maps", kubeadm.CONFIG_MAP) is not None:
        found.add("kubeadm")
    daemonsets = [
        (fields.text(each, "namespace"), fields.text(each, "name")) for each in fields.mappings(cluster, "daemonsets")
    ]
    if ("kube-system", "kube-flannel") in daemonsets and "talos" not in found:
        found.add("kubespray")
    addons = fields.mappings(cluster, "addons")
    configs = fields.mappings(cluster, "helm_chart_configs")
    if fields.mappings(cluster, "rancher_clusters") or any(helm.is_of_rancher(each, addons) for each in configs):
        found.add("rancher")
    return sorted(found - {""})


def read(
    hosts: Mapping[str, Mapping[str, Any]], cluster: Mapping[str, Any] | None
) -> tuple[list[Setting], list[Problem]]:
    """All settings with their owners, and all problems of the places that hold them.

    C(hosts) maps names of the inventory to facts of C(distribution_node_info); C(cluster) has those of
    C(distribution_cluster_info), or is None.
    """
    readings: list[Reading] = []
    for name, facts in hosts.items():
        host = Host(name, facts)
        readings += of_host(host, services(host), cluster)
    if cluster is not None:
        readings += [rke2.of_cluster(cluster), rancher.of_cluster(cluster), kubeadm.of_cluster(cluster)]
        readings += [_BY_CONFIG_MAP[each].of_cluster(cluster) for each in owners(cluster) if each in _BY_CONFIG_MAP]
    settings = [each for reading in readings for each in reading.settings]
    problems = [each for reading in readings for each in reading.problems]
    return settings, problems


def of_host(host: Host, found: Sequence[Service], cluster: Mapping[str, Any] | None) -> list[Reading]:
    """What the files of a host say; C(found) is its services."""
    readings = [Reading(problems=host.unreadable()), microk8s.of_host(host), kubeadm.of_host(host)]
    for item in found:
        reading = _OF_SERVICE[item.product.name](item)
        runs = running(item, cluster)
        if runs is not None:
            reading.settings = [
                replace(each, running=counted(each.name, runs[each.name]) if each.name in runs else None)
                for each in reading.settings
            ]
        readings.append(reading)
        for path in item.manifests:
            readings.append(Reading(problems=helm.configs_in(host.text(path) or "", path)[1]))
    return readings


def settings(hosts: Mapping[str, Mapping[str, Any]], cluster: Mapping[str, Any] | None) -> dict[str, Any]:
    """C(read) as JSON can hold it, with the owners that the API shows."""
    found, problems = read(hosts, cluster)
    return {
        "owners": owners(cluster or {}),
        "settings": [asdict(each) for each in found],
        "problems": [{**asdict(each), "place": str(each.place)} for each in problems],
    }
