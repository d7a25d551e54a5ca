# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""k3s: which keys concern the network, and what it makes of them; no I/O.

https://docs.k3s.io/cli/server, https://docs.k3s.io/cli/agent and k3s pkg/agent/flannel.
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from ansible_collections.podnet.cni.plugins.module_utils._distributions.model import Reading
from ansible_collections.podnet.cni.plugins.module_utils._distributions.owner import Owner
from ansible_collections.podnet.cni.plugins.module_utils._distributions.service import Service, settings

KEY = "Set {name} on all servers and restart them, then the agents. k3s writes this file itself."
FILE = "k3s has no key for it: give a file of your own with flannel-conf, on every node."

SHARED = (
    "cluster-cidr",
    "cluster-dns",
    "cluster-domain",
    "disable-cloud-controller",
    "disable-helm-controller",
    "disable-network-policy",
    "disable=servicelb",
    "egress-selector-mode",
    "embedded-registry",
    "flannel-backend",
    "flannel-external-ip",
    "flannel-ipv6-masq",
    "secrets-encryption",
    "service-cidr",
)
"""Keys in which all servers must agree, without tokens (https://docs.k3s.io/cli/server, critical values)."""

SERVER_KEYS = (
    "flannel-backend",
    "flannel-ipv6-masq",
    "flannel-external-ip",
    "cluster-cidr",
    "service-cidr",
    "cluster-dns",
    "cluster-domain",
    "disable-network-policy",
    "egress-selector-mode",
    "disable-kube-proxy",
    "kube-controller-manager-arg",
)
"""Keys that an agent does not know: it takes the values from its server."""

NODE_KEYS = (
    "flannel-iface",
    "flannel-conf",
    "flannel-cni-conf",
    "node-ip",
    "node-external-ip",
    "prefer-bundled-bin",
    "kube-proxy-arg",
)
"""Keys that hold for one node, server or agent."""

DEFAULTS = {
    "flannel-backend": "vxlan",
    "cluster-cidr": "10.42.0.0/16",
    "service-cidr": "10.43.0.0/16",
    "cluster-domain": "cluster.local",
    "egress-selector-mode": "agent",
}

BACKENDS = ("extension", "host-gw", "ipsec", "vxlan", "wireguard")
"""Backends that are compiled in (k3s pkg/agent/flannel/flannel.go)."""

SCALARS = (
    "flannel-backend",
    "flannel-iface",
    "flannel-conf",
    "flannel-cni-conf",
    "cluster-domain",
    "egress-selector-mode",
)
"""Keys with one value: appending to one of them gives the flag twice."""


def of_service(service: Service) -> Reading:
    """The network's settings of k3s on one host: keys, the file that C(flannel-conf) names, and what k3s generated."""
    found = settings(service, (*SERVER_KEYS, *NODE_KEYS))
    own = service.value("flannel-conf")
    if own and service.host.text(own) is not None:
        change = f"Change {own} on every node and run {service.restart} on each, servers first."
        read = Owner("k3s", {}, change, change, "nobody").settings(service.host.name, service.host.text(own) or "", own)
        found.settings += read.settings
        found.problems += read.problems
    generated = f"{service.data}/agent/etc/flannel/net-conf.json"
    text = service.host.text(generated)
    if text is not None:
        loser = "k3s, at each start"
        read = Owner("k3s", {"Network": "cluster-cidr", "Backend.Type": "flannel-backend"}, KEY, FILE, loser).settings(
            service.host.name, text, generated
        )
        found.settings += read.settings
        found.problems += read.problems
    return found
