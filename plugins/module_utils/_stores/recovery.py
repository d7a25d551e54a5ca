# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The leases of a lost store, rebuilt from what the hosts themselves still hold.

Private to podnet.cni: may change in any release. Pure: no input or output.

A host that runs has its subnet in its subnet file, its VTEP MAC and mostly its public IP in its kernel. Its peers have
routes to it. Where these contradict each other, all is named and nothing decided.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Callable, Dict, Iterator, List, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError, InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import addresses, vtep
from ansible_collections.podnet.cni.plugins.module_utils._flannel.allocation import Decision, Request
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import Lease
from ansible_collections.podnet.cni.plugins.module_utils._flannel.network_config import NetworkConfig
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields
from ansible_collections.podnet.cni.plugins.module_utils._stores import nodes as _nodes

# A peer's subnet -> the public IP that leads there, None where that is not told -> the hosts that have it so.
_Claims = Dict[Any, Dict[Any, List[str]]]
REMEDY = (
    "Look which host is right, give the other one a new subnet or take it out of recover_from, and give public_ip "
    "where only you know it"
)


@dataclass
class _Host:
    """One host: what it holds, what was said about it, and what is wrong with it."""

    name: str
    dataplane: Mapping[str, Any]
    item: Mapping[str, Any]
    problems: list[str] = field(default_factory=list)

    def link(self, name: str) -> Mapping[str, Any]:
        """The link of that name; empty where there is none."""
        return next((each for each in fields.mappings(self.dataplane, "links") if each.get("name") == name), {})

    def read(self, read: Callable[[Any], Any], text: Any, what: str) -> Any:
        """Read C(text); None, and a problem, where that is not possible."""
        try:
            return read(text)
        except (ValueError, InputError) as error:
            self.problems.append(f"{what} {text!r} cannot be read: {error}")
            return None


def leases(config: NetworkConfig, items: Sequence[Mapping[str, Any]]) -> tuple[list[Lease], list[str]]:
    """Return the leases of the hosts in C(items), and warnings about subnets that only their peers know.

    An item has the host's C(name), its C(dataplane) as flannel_dataplane_info returns it, and C(public_ip) and
    C(public_ipv6) where they are known better. Raises ConflictError, which names each host that does not tell enough.
    """
    if config.backend.type == "extension":
        raise InputError("the data of backend extension cannot be rebuilt from hosts; restore a backup of the leases")
    hosts = [_Host(item["name"], fields.mapping(item, "dataplane"), item) for item in items]
    twice = sorted(name for name, count in Counter(host.name for host in hosts).items() if count > 1)
    if twice:
        raise InputError(f"recover_from: {', '.join(twice)} is listed twice; list each host once")
    found = [_lease(config, host) for host in hosts]
    claims: _Claims = {}
    for host in hosts:
        for subnet, way in _programmed(host):
            claims.setdefault(subnet, {}).setdefault(way, []).append(host.name)
    for host, lease in zip(hosts, found):
        if not host.item.get("public_ip"):
            host.problems += _denials(lease, claims)
    wrong = [f"{host.name}: {problem}" for host in hosts for problem in host.problems]
    if wrong:
        raise ConflictError(
            f"recover_from: nothing was written, because {len(wrong)} facts are missing or contradict each other: "
            f"{'; '.join(wrong)}. {REMEDY}"
        )
    return found, _unclaimed(config, found, claims)


def _lease(config: NetworkConfig, host: _Host) -> Lease:
    if not host.dataplane:
        host.problems.append("its data plane is not known; run flannel_dataplane_info on it")
        return Lease(None, name=host.name)
    subnet = _subnet(config, host, 4) if config.enable_ipv4 else None
    ipv6_subnet = _subnet(config, host, 6) if config.enable_ipv6 else None
    request = Request(
        host.name,
        public_ip=_public_ip(config, host, 4) if config.enable_ipv4 else None,
        public_ipv6=_public_ip(config, host, 6) if config.enable_ipv6 else None,
        subnet=subnet,
        ipv6_subnet=ipv6_subnet,
    )
    node = _nodes.Node(request, host.name, **_backend(config, host))
    wanted = _nodes.want(config, [node])(Decision(request, subnet, ipv6_subnet, "recovered"), None)
    return replace(wanted, name=host.name)


def _subnet(config: NetworkConfig, host: _Host, family: int) -> Any:
    prefix = "FLANNEL_IPV6_" if family == 6 else "FLANNEL_"
    values = fields.mapping(host.dataplane, "subnet_file")
    text = values.get(f"{prefix}SUBNET")
    if not text:
        host.problems.append(f"it has no subnet file with {prefix}SUBNET, so nobody knows its subnet")
        return None
    subnet = host.read(addresses.parse_cidr6 if family == 6 else addresses.parse_cidr4, text, f"{prefix}SUBNET")
    network = config.ipv6_network if family == 6 else config.network
    networks = str(values.get(f"{prefix}NETWORK", "")).split(",")
    ranges = [host.read(addresses.parse_cidr, each, f"{prefix}NETWORK") for each in networks]
    if network not in ranges:
        host.problems.append(f"its subnet file is of the network {', '.join(networks)}, and the config of {network}")
    link = _link_name(config, family)
    own = [host.read(addresses.parse_interface, text, f"address of {link}") for text in _addresses(host, link)]
    inside = [each.ip for each in own if each is not None and network is not None and each.ip in network]
    if subnet is not None and inside and not any(address in subnet for address in inside):
        host.problems.append(
            f"its subnet file says {subnet}, and its link {link} has the address {inside[0]} of another subnet"
        )
    return subnet


def _public_ip(config: NetworkConfig, host: _Host, family: int) -> Any:
    option, read = ("public_ipv6", addresses.parse_ipv6) if family == 6 else ("public_ip", addresses.parse_ipv4)
    link = _link_name(config, family)
    text = host.item.get(option) or host.link(link).get("local")
    if not text:
        host.problems.append(
            f"{option} is missing, and no link of backend {config.backend.type} tells it; give the address that its "
            "lease named"
        )
        return None
    return host.read(read, text, option)


def _backend(config: NetworkConfig, host: _Host) -> dict[str, str]:
    """What the lease publishes of the host's link, by the names of the members of C(Node)."""
    found: dict[str, str] = {}
    for family, enabled, end in ((4, config.enable_ipv4, ""), (6, config.enable_ipv6, "_v6")):
        name = _link_name(config, family)
        link = host.link(name)
        if config.backend.type == "vxlan" and enabled:
            mac = link.get("mac")
            if not mac:
                host.problems.append(f"it has no link {name}, so nobody knows its VTEP MAC")
                continue
            octets = host.read(partial(vtep.parse_mac, what=name), mac, f"MAC address of {name}")
            found[f"vtep_mac{end}"] = vtep.mac_text(octets or b"")
        elif config.backend.type == "wireguard" and link.get("public_key"):
            found[f"wireguard_public_key{end}"] = link["public_key"]
    if config.backend.type == "wireguard" and "wireguard_public_key" not in found:
        text = fields.text(host.dataplane, "public_key") or found.get("wireguard_public_key_v6", "")
        if not text:
            host.problems.append("neither a link nor a key file of it tells its wireguard public key")
        found["wireguard_public_key"] = text
    return found


def _link_name(config: NetworkConfig, family: int) -> str:
    """The link that belongs to the backend; empty where the backend has none."""
    middle = "-v6" if family == 6 else ""
    return {
        "vxlan": f"flannel{middle}.{config.backend.options.get('VNI')}",
        "ipip": "flannel.ipip",
        "wireguard": f"flannel-wg{middle}",
    }.get(config.backend.type, "")


def _addresses(host: _Host, link: str) -> list[Any]:
    return fields.sequence(host.link(link), "addresses")


def _programmed(host: _Host) -> Iterator[tuple[Any, Any]]:
    """What the host has programmed for its peers: their subnets, each with the public IP that leads there if known."""
    macs = {
        (one.get("dev"), one.get("dst")): one.get("lladdr") for one in fields.mappings(host.dataplane, "neighbours")
    }
    ways = {(one.get("dev"), one.get("mac")): one.get("dst") for one in fields.mappings(host.dataplane, "fdb")}
    for route in fields.mappings(host.dataplane, "routes"):
        dev, subnet, gateway = route.get("dev"), _cidr(route.get("dst")), _ip(route.get("gateway"))
        if subnet is None or gateway is None:
            continue
        # The gateway of a vxlan route is the peer's VTEP, whose forwarding entry has the address.
        tunnelled = gateway in subnet
        yield subnet, _ip(ways.get((dev, macs.get((dev, str(gateway)))))) if tunnelled else gateway
    for peer in fields.mappings(host.dataplane, "wireguard_peers"):
        for text in fields.sequence(peer, "allowed_ips"):
            yield _cidr(text), None


def _denials(lease: Lease, claims: _Claims) -> Iterator[str]:
    """What peers contradict of the public IPs of a lease."""
    own = {lease.public_ip, lease.public_ipv6} - {None}
    for subnet in (lease.subnet, lease.ipv6_subnet):
        for way, names in claims.get(subnet, {}).items() if subnet is not None and own else ():
            if way is not None and way not in own:
                shown = " and ".join(sorted(map(str, own)))
                yield f"its public IP is {shown}, and its peers ({', '.join(sorted(names))}) reach {subnet} by {way}"


def _unclaimed(config: NetworkConfig, leases: Sequence[Lease], claims: _Claims) -> list[str]:
    known = {subnet for lease in leases for subnet in (lease.subnet, lease.ipv6_subnet)}
    found: dict[Any, set[str]] = {}
    for subnet, ways in claims.items():
        network = config.network if subnet is None or subnet.version == 4 else config.ipv6_network
        if subnet is None or network is None or subnet in known or subnet.prefixlen <= network.prefixlen:
            continue
        if subnet.network_address in network:
            found[subnet] = {name for names in ways.values() for name in names}
    return [
        f"recover_from: there are routes to {subnet} on {', '.join(sorted(names))}, and none of the given hosts has "
        "that subnet. Its lease is not rebuilt; if its host still runs, give it in recover_from, too"
        for subnet, names in found.items()
    ]


def _cidr(text: Any) -> Any:
    try:
        return addresses.parse_cidr(text)
    except ValueError:
        return None


def _ip(text: Any) -> Any:
    try:
        return addresses.parse_ip(text)
    except ValueError:
        return None
