# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the checks of hosts read out of facts and out of what is wanted.

Private to podnet.cni: may change in any release.

*wanted* is a mapping of which every member may be missing:

* ``network_config``: the network config by upstream's names.
* ``plugin``: flannel or canal; flannel when it is missing.
* ``kubernetes``, ``flannel``: the versions that are to run.
* ``hosts``: facts of all hosts by name, for what concerns more than one.
* ``leases``: a list, each with ``subnet``, ``ipv6_subnet``, and the ``name`` or the ``public_ip`` of its host.
* ``nodes``: number of nodes of the network, where it is larger than that of the hosts.
* ``clock_skew``: seconds that clocks may differ.
* ``shared``, ``clock_middle``: what ``report`` works out once for all hosts, where there are many.
"""

from __future__ import annotations

import ipaddress
from typing import Any, Iterator, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils import _network_config
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._network_config import NetworkConfig
from ansible_collections.podnet.cni.plugins.module_utils._preflight.finding import at
from ansible_collections.podnet.cni.plugins.module_utils._preflight.host_gather import udp_ports
from ansible_collections.podnet.cni.plugins.module_utils._preflight.host_network import OUR_LINK
from ansible_collections.podnet.cni.plugins.module_utils._versions import question

OVERHEAD: Mapping[str, Mapping[int, int]] = {
    "vxlan": {4: 50, 6: 70},
    "wireguard": {4: 60, 6: 80},
    "ipip": {4: 20},
    "udp": {4: 28},
}
"""Octets that a backend puts around a pod's packet, by the family of the underlay: RFC 7348 4, the WireGuard paper 5.4,
RFC 2003 3, and flannel's own udp (IP and UDP header)."""
POD_OVERHEAD: Mapping[str, int] = {"vxlan": 50, "wireguard": 80, "ipip": 20, "udp": 28}
"""Octets by which flannel v0.28.9 makes the pods' MTU smaller than that of the underlay (pkg/backend/*/)."""


def config_of(wanted: Mapping[str, Any]) -> NetworkConfig | None:
    """Return the network config, None without one or for one that is not valid."""
    given = wanted.get("network_config")
    if not isinstance(given, Mapping) or not given:
        return None
    try:
        return _network_config.parse(given, check_ranges=False)
    except InputError:
        return None


def lease_of(facts: Mapping[str, Any], wanted: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the lease of the host: that of its name, or else that of its public IP."""
    leases = mappings(wanted.get("leases"))
    own = {"name": facts.get("subject"), "public_ip": at(facts, "underlay", "public_ip")}
    for member, value in own.items():
        for lease in leases:
            if value and lease.get(member) == value:
                return lease
    return None


def families(wanted: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the address families of the network; IPv4 when nothing is known of it."""
    config = config_of(wanted)
    if config is None:
        return (4,)
    return tuple(family for family, on in ((4, config.enable_ipv4), (6, config.enable_ipv6)) if on)


def networks(wanted: Mapping[str, Any]) -> list[Any]:
    """Return the pod ranges of the network as objects of ipaddress."""
    config = config_of(wanted)
    return [each for each in (config.network, config.ipv6_network) if each is not None] if config else []


def ports_of(wanted: Mapping[str, Any]) -> list[int]:
    """Return the UDP ports of the backend."""
    return udp_ports(config_of(wanted))


def is_kubernetes(facts: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Tell whether the host is a node of Kubernetes, or is to become one."""
    return bool(wanted.get("kubernetes") or at(facts, "kubelet", "version") or at(facts, "kubelet", "running"))


def kubernetes_of(facts: Mapping[str, Any], wanted: Mapping[str, Any]) -> str | None:
    """Return the Kubernetes version that is to run on the host, or the one that does."""
    version = wanted.get("kubernetes") or at(facts, "kubelet", "version")
    return str(version) if version else None


def flannel_has(wanted: Mapping[str, Any], feature: str) -> bool:
    """Tell whether the flannel that is to run has a feature of the version matrix.

    The newest release counts where none is named, and the next older one where the matrix does not have it.
    """
    newest = question.newest("flannel")
    try:
        version = question.not_newer("flannel", str(wanted.get("flannel") or newest)) or newest
        return bool(question.features_of("flannel", version).get(feature))
    except InputError:
        return bool(question.features_of("flannel", newest).get(feature))


def uses_nftables(wanted: Mapping[str, Any]) -> bool:
    """Tell whether flannel works in nftables mode."""
    config = config_of(wanted)
    return config is not None and config.enable_nftables


def links_of(facts: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the host's links."""
    return mappings(facts.get("links"))


def own_links(facts: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return flannel's links on the host."""
    return [link for link in links_of(facts) if OUR_LINK.match(str(link.get("name")))]


def link_named(facts: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """Return the host's link of that name."""
    return next((link for link in links_of(facts) if link.get("name") == name), None)


def mappings(value: Any) -> list[Mapping[str, Any]]:
    """Return the mappings in a list; none for what is no list."""
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, (list, tuple)) else []


def texts(value: Any) -> list[str]:
    """Return the members of a list as texts; none for what is no list."""
    return [str(each) for each in value] if isinstance(value, (list, tuple)) else []


def items(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield name and value of each member of a mapping; nothing for what is none."""
    if isinstance(value, Mapping):
        for name, member in value.items():
            yield str(name), member


def interface_of(text: Any) -> Any:
    """Return an address with its prefix length as an object of ipaddress, None for what is none."""
    try:
        return ipaddress.ip_interface(str(text)) if text else None
    except ValueError:
        return None


def network_of(text: Any) -> Any:
    """Return a range as an object of ipaddress, None for what is none."""
    try:
        return ipaddress.ip_network(str(text), strict=False) if text else None
    except ValueError:
        return None


def inside(address: Any, ranges: Sequence[Any]) -> bool:
    """Tell whether an address or range lies in one of the ranges; what is none lies nowhere."""
    if address is None:
        return False
    network = getattr(address, "network", address)
    first = getattr(address, "ip", None)
    for outer in ranges:
        if outer.version != network.version:
            continue
        if first in outer if first is not None else network.subnet_of(outer):
            return True
    return False


def number(value: Any) -> float | None:
    """Return a number, also one that is written as text; None for what is none."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def reason(facts: Mapping[str, Any], name: str) -> str:
    """Return why a fact is missing."""
    return str(at(facts, "reasons", name) or "it was not gathered")
