# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backend ipip: one device; per peer one route through the peer's own address. IPv4 only.

Private to podnet.cni: may change in any release.

Source: flannel v0.28.9 pkg/backend/ipip/ipip.go.
"""

from __future__ import annotations

from typing import Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._dataplane.model import (
    Address,
    DataPlane,
    Link,
    Route,
)
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.peers import Node, networks_of
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.underlay import Underlay
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import overhead
from ansible_collections.podnet.cni.plugins.module_utils._flannel.network_config import NetworkConfig

LINK = "flannel.ipip"


def link_names(_config: NetworkConfig) -> tuple[str, ...]:
    """The name of this network's device; C(tunl0), which the kernel adds by itself, is not ours."""
    return (LINK,)


def build(
    config: NetworkConfig, own: Node, peers: Sequence[Node], underlay: Underlay, on_link: Mapping[bytes, str]
) -> DataPlane:
    """What the kernel of node C(own) should hold; see C(backends.build)."""
    mtu = underlay.mtu - overhead.RESERVED["ipip"]
    if mtu <= 0:
        raise InputError(f"interface {underlay.name!r}: MTU {underlay.mtu} leaves nothing for ipip; raise it")
    plane = DataPlane(config.backend.type, mtu, tuple(networks_of(config).values()), link_names=(LINK,))
    if own.ipv4 is None:
        return plane
    direct = on_link if config.backend.options["DirectRouting"] else {}
    for peer in peers:
        if peer.ipv4 is not None:
            public_ip = peer.ipv4.public_ip
            plane.routes.append(Route(*peer.ipv4.subnet, public_ip, direct.get(public_ip, LINK), True))
    return plane.with_links(
        [Link(LINK, "ipip", mtu, local=own.ipv4.public_ip)],
        [Address(LINK, own.ipv4.subnet.address, 32)],
    )
