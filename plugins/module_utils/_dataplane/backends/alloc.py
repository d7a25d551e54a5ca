# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backend alloc: a lease and nothing else; something other than flannel moves the packets.

Private to podnet.cni: may change in any release.

Source: flannel v0.28.9 pkg/backend/alloc/alloc.go.
"""

from __future__ import annotations

from typing import Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._dataplane.model import DataPlane
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.peers import Node, networks_of
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.underlay import Underlay
from ansible_collections.podnet.cni.plugins.module_utils._flannel.network_config import NetworkConfig


def build(
    config: NetworkConfig, _own: Node, _peers: Sequence[Node], underlay: Underlay, _on_link: Mapping[bytes, str]
) -> DataPlane:
    """What the kernel of node C(own) should hold; see C(backends.build)."""
    return DataPlane(config.backend.type, underlay.mtu, tuple(networks_of(config).values()))
