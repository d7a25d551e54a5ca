# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the checks of hosts read out of facts and out of what is wanted.

Private to podnet.cni: may change in any release.

C(wanted) is a mapping of which every member may be missing:

* C(network_config): the network config by upstream's names.
* C(plugin): flannel or canal; flannel when it is missing.
* C(kubernetes), C(flannel): the versions that are to run.
* C(hosts): facts of all hosts by name, for what concerns more than one.
* C(leases): a list, each with C(subnet), C(ipv6_subnet), and the C(name) or the C(public_ip) of its host.
* C(nodes): number of nodes of the network, where it is larger than that of the hosts.
* C(clock_skew): seconds that clocks may differ.
* C(config), C(leases_by), C(shared), C(clock_middle): what C(report) works out once for all hosts.
"""

from __future__ import annotations

from typing import Any, Iterator, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._dataplane import backends
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import addresses, network_config, udp_ports
from ansible_collections.podnet.cni.plugins.module_utils._flannel.network_config import NetworkConfig
from ansible_collections.podnet.cni.plugins.module_utils._host.links import OUR_LINK
from ansible_collections.podnet.cni.plugins.module_utils._kube.fields import at, mappings
from ansible_collections.podnet.cni.plugins.module_utils._versions import question


def config_of(wanted: Mapping[str, Any]) -> NetworkConfig | None:
    """Return the network config, None without one or for one that is not valid."""
    if "config" in wanted:
        config: NetworkConfig | None = wanted["config"]
        return config
    given = wanted.get("network_config")
    if not isinstance(given, Mapping) or not given:
        return None
    try:
        return network_config.parse(given, check_ranges=False)
    except InputError:
        return None


def routes_over_underlay(wanted: Mapping[str, Any]) -> bool:
    """Whether the backend leads routes to other hosts over the underlay's own link."""
    config = config_of(wanted)
    return config is not None and (config.backend.type == "host-gw" or backends.wants_route_lookups(config))


def lease_of(facts: Mapping[str, Any], wanted: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the lease of the host: that of its name, or else that of its public IP."""
    known = wanted.get("leases_by")
    leases = leases_by(wanted) if known is None else known
    own = (("name", facts.get("subject")), ("public_ip", at(facts, "underlay", "public_ip")))
    return next((leases[key] for key in own if isinstance(key[1], str) and key in leases), None)


def leases_by(wanted: Mapping[str, Any]) -> dict[tuple[str, Any], Mapping[str, Any]]:
    """Return the leases by ("name", name) and ("public_ip", address), the first of several."""
    found: dict[tuple[str, Any], Mapping[str, Any]] = {}
    for lease in mappings(wanted.get("leases")):
        for member in ("name", "public_ip"):
            if isinstance(lease.get(member), str) and lease[member]:
                found.setdefault((member, lease[member]), lease)
    return found


def leased(facts: Mapping[str, Any], wanted: Mapping[str, Any], family: int) -> Any:
    """Return the first address of the host's leased subnet, with its prefix length; None without a lease."""
    subnet = network_of(at(lease_of(facts, wanted), "subnet" if family == 4 else "ipv6_subnet"))
    if subnet is None or subnet.version != family or subnet.num_addresses < 2:
        return None
    return interface_of(f"{subnet.network_address + 1}/{subnet.prefixlen}")


def written(facts: Mapping[str, Any], family: int) -> Any:
    """Return the first address of the subnet that the subnet file names; None where it names none."""
    name = "FLANNEL_SUBNET" if family == 4 else "FLANNEL_IPV6_SUBNET"
    found = interface_of(at(facts, "subnet_file", "values", name))
    return found if found is not None and found.version == family else None


def own_subnets(facts: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[Any]:
    """Return the subnets of the host, by its lease and by its subnet file."""
    return [
        each.network
        for family in families(wanted)
        for each in (leased(facts, wanted, family), written(facts, family))
        if each is not None
    ]


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
    return udp_ports.of(config_of(wanted))


def link_names(wanted: Mapping[str, Any]) -> list[str]:
    """Return the names of the backend's links, in the order of C(families); none for a backend that makes none."""
    config = config_of(wanted)
    if config is None:
        return []
    names = backends.link_names(config)
    if config.backend.type == "wireguard" and config.backend.options.get("Mode", "separate") != "separate":
        names = names[:1]
    # A backend names the links of both families, or has one for all.
    return [names[0 if family == 4 else -1] for family in families(wanted)] if names else []


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
    """Return the host's links; what is not of its kind in one is left out."""
    kinds: dict[str, Any] = {"addresses": (list, tuple), "vxlan": Mapping, "kind": str}
    return [
        {name: value for name, value in link.items() if isinstance(value, kinds.get(name, object))}
        for link in mappings(facts.get("links"))
    ]


def own_links(facts: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return flannel's links on the host."""
    return [link for link in links_of(facts) if OUR_LINK.match(str(link.get("name")))]


def link_named(facts: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """Return the host's link of that name."""
    return next((link for link in links_of(facts) if link.get("name") == name), None)


def texts(value: Any) -> list[str]:
    """Return the members of a list as texts; none for any other value."""
    return [str(each) for each in value] if isinstance(value, (list, tuple)) else []


def items(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield name and value of each member of a mapping; nothing for any other value."""
    if isinstance(value, Mapping):
        for name, member in value.items():
            yield str(name), member


def interface_of(text: Any) -> Any:
    """Return an address with its prefix length as an object of ipaddress, None for any other value."""
    try:
        return addresses.parse_interface(_with_length(str(text))) if text else None
    except ValueError:
        return None


def network_of(text: Any) -> Any:
    """Return a range as an object of ipaddress, None for any other value."""
    try:
        return addresses.parse_cidr(_with_length(str(text))) if text else None
    except ValueError:
        return None


def _with_length(text: str) -> str:
    """An address alone is a range of one, as ip prints the route to a host."""
    return text if "/" in text else f"{text}/{addresses.parse_ip(text).max_prefixlen}"


def inside(address: Any, ranges: Sequence[Any]) -> bool:
    """Tell whether an address or range lies in one of the ranges; any other value lies nowhere."""
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
    """Return a number, also one that is written as text; None for any other value."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def reason(facts: Mapping[str, Any], name: str) -> str:
    """Return why a fact is missing."""
    return str(at(facts, "reasons", name) or "it was not gathered")
