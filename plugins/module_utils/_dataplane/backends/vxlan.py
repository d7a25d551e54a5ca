# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backend vxlan: a device per family; per peer and family a route, a neighbour and an FDB entry.

Private to podnet.cni: may change in any release.

Source: flannel v0.28.9 pkg/backend/vxlan/{vxlan,vxlan_network,device}.go.
"""

from __future__ import annotations

from typing import Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._dataplane.model import (
    IPV6_DEFAULT_METRIC,
    Address,
    DataPlane,
    FdbEntry,
    Link,
    Neighbour,
    Route,
)
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.peers import Node, Side, networks_of
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.underlay import Underlay
from ansible_collections.podnet.cni.plugins.module_utils._flannel import overhead
from ansible_collections.podnet.cni.plugins.module_utils._flannel.network_config import NetworkConfig


def link_names(config: NetworkConfig) -> tuple[str, ...]:
    """The names of this network's devices, IPv4 first."""
    vni = config.backend.options["VNI"]
    return (f"flannel.{vni}", f"flannel-v6.{vni}")


def build(
    config: NetworkConfig, own: Node, peers: Sequence[Node], underlay: Underlay, on_link: Mapping[bytes, str]
) -> DataPlane:
    """What the kernel of node C(own) should hold; see C(backends.build)."""
    options = config.backend.options
    mtu = (options["MTU"] or underlay.mtu) - overhead.RESERVED["vxlan"]
    direct = on_link if options["DirectRouting"] else {}
    names = link_names(config)
    plane = DataPlane(config.backend.type, mtu, tuple(networks_of(config).values()), link_names=names)
    links: list[Link] = []
    addresses: list[Address] = []
    for family, name, mine in ((4, names[0], own.ipv4), (6, names[1], own.ipv6)):
        if mine is None:
            continue
        links.append(
            Link(
                name,
                "vxlan",
                # The kernel lowers the MTU of a new device to what its underlay carries, less over IPv6.
                min(mtu, underlay.mtu - overhead.headers("vxlan", family)),
                mine.mac,
                underlay.name,
                mine.public_ip,
                options["VNI"],
                options["Port"],
                options["Learning"],
                options["GBP"],
            )
        )
        addresses.append(Address(name, mine.subnet.address, 8 * len(mine.subnet.address)))
        for peer in peers:
            side = peer.ipv4 if family == 4 else peer.ipv6
            if side is not None:
                _add_peer(plane, name, side, direct)
    return plane.with_links(links, addresses)


def _add_peer(plane: DataPlane, name: str, side: Side, direct: Mapping[bytes, str]) -> None:
    (address, length), public_ip, mac = side.subnet, side.public_ip, side.mac
    metric = 0 if len(address) == 4 else IPV6_DEFAULT_METRIC
    if public_ip in direct:
        plane.routes.append(Route(address, length, public_ip, direct[public_ip], False, 0, metric))
        return
    plane.routes.append(Route(address, length, address, name, True, 0, metric))
    plane.neighbours.append(Neighbour(name, address, mac))
    plane.fdb.append(FdbEntry(name, mac, public_ip))
