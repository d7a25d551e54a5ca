# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a cluster says of the network that its hosts belong to; no I/O.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import go_json
from ansible_collections.podnet.cni.plugins.module_utils._kube.fields import at, mappings
from ansible_collections.podnet.cni.plugins.module_utils._preflight.host_wanted import (
    network_of,
    texts,
)

PLUGINS = ("flannel", "canal")
# Name in a discovery record -> upstream's name.
_OPTIONS: Mapping[str, str] = {
    "vni": "VNI",
    "port": "Port",
    "direct_routing": "DirectRouting",
    "mtu": "MTU",
    "gbp": "GBP",
    "learning": "Learning",
    "mac_prefix": "MacPrefix",
    "mode": "Mode",
    "listen_port": "ListenPort",
    "listen_port_v6": "ListenPortV6",
    "persistent_keepalive_interval": "PersistentKeepaliveInterval",
}


def from_cluster(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what C(host_wanted) calls wanted, as far as the facts of a cluster tell it.

    The network config, the plugin and its version come from flannel or Canal, where discovery found one as primary;
    leases are the podCIDRs of the Nodes.
    """
    found: dict[str, Any] = {}
    nodes = mappings(facts.get("nodes"))
    if nodes:
        found["leases"] = [_lease(node) for node in nodes]
        found["nodes"] = len(nodes)
    for component in mappings(facts.get("components")):
        if component.get("role") == "primary" and component.get("plugin") in PLUGINS:
            found["plugin"] = component["plugin"]
            if component.get("version") and component["plugin"] == "flannel":
                found["flannel"] = component["version"]
            config = _network_config(component)
            if config:
                found["network_config"] = config
            break
    return found


def _lease(node: Mapping[str, Any]) -> dict[str, Any]:
    ranges = {each.version: str(each) for each in map(network_of, texts(node.get("pod_cidrs"))) if each is not None}
    return {
        "name": node.get("name"),
        "public_ip": at(node, "annotations", "public-ip"),
        "subnet": ranges.get(4),
        "ipv6_subnet": ranges.get(6),
        "public_ipv6": at(node, "annotations", "public-ipv6"),
        "backend_data": _data(node, "backend-data"),
        "backend_v6_data": _data(node, "backend-v6-data"),
    }


def _data(node: Mapping[str, Any], key: str) -> Any:
    """What flanneld announces of its link; None where that is not JSON."""
    try:
        return go_json.load(str(at(node, "annotations", key) or ""), key)
    except InputError:
        return None


def _network_config(component: Mapping[str, Any]) -> dict[str, Any]:
    """The network config by upstream's names, without its secrets; empty when backend or range is not known."""
    backend = at(component, "networking", "backend")
    ranges: dict[int, str] = {}
    for entry in mappings(at(component, "networking", "pod_cidrs")):
        network = network_of(entry.get("cidr"))
        if network is not None:
            ranges.setdefault(network.version, str(network))
    if not isinstance(backend, Mapping) or not backend.get("type") or not ranges:
        return {}
    options = {_OPTIONS[name]: value for name, value in backend.items() if name in _OPTIONS}
    config: dict[str, Any] = {"Backend": {"Type": backend["type"], **options}}
    if 4 in ranges:
        config["Network"] = ranges[4]
    else:
        config["EnableIPv4"] = False
    if 6 in ranges:
        config.update(EnableIPv6=True, IPv6Network=ranges[6])
    if at(component, "networking", "nftables"):
        config["EnableNFTables"] = True
    return config
