# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backend host-gw: no device; per peer and family one route through the peer's own address.

Private to podnet.cni: may change in any release.

Source: flannel v0.28.9 pkg/backend/hostgw/hostgw.go and pkg/backend/route_network.go.
"""

from __future__ import annotations

from typing import Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._dataplane.model import (
    IPV6_DEFAULT_METRIC,
    DataPlane,
    Route,
)
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.peers import Node, networks_of
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.underlay import Underlay
from ansible_collections.podnet.cni.plugins.module_utils._flannel.network_config import NetworkConfig


def build(
    config: NetworkConfig, own: Node, peers: Sequence[Node], underlay: Underlay, _on_link: Mapping[bytes, str]
) -> DataPlane:
    """What the kernel of node C(own) should hold; see C(backends.build)."""
    plane = DataPlane(config.backend.type, underlay.mtu, tuple(networks_of(config).values()))
    for mine, metric, sides in (
        (own.ipv4, 0, [peer.ipv4 for peer in peers]),
        (own.ipv6, IPV6_DEFAULT_METRIC, [peer.ipv6 for peer in peers]),
    ):
        if mine is not None:
            plane.routes.extend(
                Route(*side.subnet, side.public_ip, underlay.name, False, 0, metric)
                for side in sides
                if side is not None
            )
    return plane
