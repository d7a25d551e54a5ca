# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From config, leases and underlay to the data plane that flanneld v0.28.9 would make: one file per backend.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._dataplane.backends import (
    alloc,
    host_gw,
    ipip,
    vxlan,
    wireguard,
)
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.model import DataPlane
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.peers import Node, networks_of
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.underlay import Underlay
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel.network_config import NetworkConfig

_BUILDERS = {
    "vxlan": vxlan.build,
    "host-gw": host_gw.build,
    "ipip": ipip.build,
    "wireguard": wireguard.build,
    "alloc": alloc.build,
}
_LINK_NAMES = {
    "vxlan": vxlan.link_names,
    "ipip": ipip.link_names,
    "wireguard": wireguard.link_names,
}


def check_supported(config: NetworkConfig) -> None:
    """Raise InputError for a backend that needs flanneld's own process."""
    if config.backend.type not in _BUILDERS:
        raise InputError(
            f"network config: Backend.Type {config.backend.type!r} needs a running flanneld; "
            f"without one choose from {', '.join(sorted(_BUILDERS))}"
        )


def link_kind(config: NetworkConfig) -> str:
    """The kind of the backend's links, empty for a backend that makes none."""
    return config.backend.type if config.backend.type in _LINK_NAMES else ""


def link_names(config: NetworkConfig) -> tuple[str, ...]:
    """The names of the links that the backend makes on a node, of whatever family."""
    return tuple(_LINK_NAMES[config.backend.type](config)) if config.backend.type in _LINK_NAMES else ()


def wants_route_lookups(config: NetworkConfig) -> bool:
    """Whether C(build) needs to know which peers are on-link (option DirectRouting)."""
    return bool(config.backend.options.get("DirectRouting"))


def underlay_families(config: NetworkConfig, own: Mapping[int, bytes], peer: Mapping[int, bytes]) -> tuple[int, ...]:
    """The families over which packets for pods go between two nodes, by the public IPs that these have."""
    enabled = [family for family, on in ((4, config.enable_ipv4), (6, config.enable_ipv6)) if on]
    backend = config.backend
    if backend.type == "wireguard" and len(enabled) > 1 and backend.options.get("Mode", "separate") != "separate":
        enabled = [wireguard.endpoint_family(peer, own, backend.options["Mode"])]
    return tuple(family for family in enabled if family in own and family in peer)


def build(
    config: NetworkConfig, own: Node, peers: Sequence[Node], underlay: Underlay, on_link: Mapping[bytes, str]
) -> DataPlane:
    """What the kernel of node C(own) should hold.

    C(on_link) maps the public IPs that are reached without a gateway to the link they are reached over; it is read
    only where C(wants_route_lookups) says so.
    """
    check_supported(config)
    plane = _BUILDERS[config.backend.type](config, own, peers, underlay, on_link)
    subnets = tuple(side.subnet for side in (own.ipv4, own.ipv6) if side is not None)
    direct = on_link.values() if wants_route_lookups(config) else ()
    return replace(
        plane,
        own_subnets=subnets,
        subnet_lengths=_lengths(config) | {(len(subnet.address), subnet.length) for subnet in subnets},
        route_links=frozenset((underlay.name, *direct)),
    )


def nothing(config: NetworkConfig, interface: str | None) -> DataPlane:
    """What the kernel should hold of this network when the node has left it: nothing.

    C(interface) is the link under the overlay, where routes of peers may be, None when it is not known.
    """
    links = frozenset((interface,)) if interface and not wants_route_lookups(config) else None
    return DataPlane(
        config.backend.type,
        0,
        tuple(networks_of(config).values()),
        link_names=link_names(config),
        subnet_lengths=_lengths(config),
        route_links=links,
    )


def _lengths(config: NetworkConfig) -> frozenset[tuple[int, int]]:
    pairs = ((4, config.subnet_len), (16, config.ipv6_subnet_len))
    return frozenset((size, length) for size, length in pairs if length)
