# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Facts of hosts and cluster as the checks look at them: read once, for all checks; no I/O.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._distributions import helm, report
from ansible_collections.podnet.cni.plugins.module_utils._distributions.model import Flag, Problem
from ansible_collections.podnet.cni.plugins.module_utils._distributions.service import Service
from ansible_collections.podnet.cni.plugins.module_utils._distributions.view import Host
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields


@dataclass(frozen=True)
class Evidence:
    """Everything that was gathered. C(problems) are those of each host's files, C(cluster) may be empty."""

    hosts: Mapping[str, Host]
    services: Mapping[str, Sequence[Service]]
    problems: Mapping[str, Sequence[Problem]]
    cluster: Mapping[str, Any]

    def of_product(self, name: str) -> list[Service]:
        """k3s or RKE2 on all hosts."""
        return [item for found in self.services.values() for item in found if item.product.name == name]

    def servers(self, product: str) -> dict[str, Mapping[str, Flag]]:
        """The flags of each server, by its host; of a server that is not among the hosts those that its Node shows."""
        found: dict[str, Mapping[str, Flag]] = {}
        names: set[str] = set()
        for item in self.of_product(product):
            names |= {item.host.name.lower(), item.host.hostname.lower(), item.value("node-name").lower()}
            if item.is_server:
                found[item.host.name] = item.flags
        for node in self.nodes:
            if fields.text(node, "name").lower() not in names and f"+{product}" in fields.text(node, "kubelet"):
                command, flags = report.node_flags(node)
                if command == "server":
                    found[report.node_title(node)] = flags
        return found

    def nodes_of(self, product: str) -> tuple[dict[str, str], list[str]]:
        """The Node of each host with this product, and the Linux Nodes that are none of the hosts."""
        names: dict[str, str] = {}
        for item in self.of_product(product):
            for name in (item.value("node-name"), item.host.hostname, item.host.name):
                names.setdefault(name.lower(), item.host.name)
        found: dict[str, str] = {}
        missing = []
        for node in self.nodes:
            name = fields.text(node, "name")
            if name.lower() in names:
                found[names[name.lower()]] = name
            elif node.get("os") != "windows":
                missing.append(name)
        return found, missing

    @property
    def nodes(self) -> list[Mapping[str, Any]]:
        """The Nodes."""
        return fields.mappings(self.cluster, "nodes")

    @property
    def addons(self) -> list[Mapping[str, Any]]:
        """The Addons, which name files."""
        return fields.mappings(self.cluster, "addons")

    def chart(self, name: str) -> Mapping[str, Any] | None:
        """The HelmChart of this name."""
        return next((each for each in fields.mappings(self.cluster, "helm_charts") if each.get("name") == name), None)

    def configs(self, name: str) -> list[Mapping[str, Any]]:
        """The HelmChartConfig objects of this name, one unless namespaces differ."""
        return [each for each in fields.mappings(self.cluster, "helm_chart_configs") if each.get("name") == name]

    def values(self, name: str) -> dict[str, Any]:
        """The values that Helm gets for a chart, besides the chart's own defaults."""
        config = next(iter(self.configs(name)), {})
        return helm.effective(fields.mapping(self.chart(name), "spec"), fields.mapping(config, "spec"))

    @property
    def has_windows(self) -> bool:
        """Whether Windows nodes are in the cluster."""
        return any(node.get("os") == "windows" for node in self.nodes)


def collect(hosts: Mapping[str, Mapping[str, Any]], cluster: Mapping[str, Any] | None) -> Evidence:
    """Read the facts of hosts and cluster."""
    views = {name: Host(name, facts) for name, facts in hosts.items()}
    services = {name: report.services(host) for name, host in views.items()}
    problems = {
        name: [problem for reading in report.of_host(host, services[name], cluster) for problem in reading.problems]
        for name, host in views.items()
    }
    return Evidence(views, services, problems, cluster or {})
