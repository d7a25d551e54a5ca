# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The subnet file: what flanneld tells the CNI plugin about this node.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._lease import Lease
from ansible_collections.podnet.cni.plugins.module_utils._network_config import NetworkConfig


def render(config: NetworkConfig, lease: Lease, mtu: int, ip_masq: bool) -> str:
    """Return the file's text, byte for byte as flannel v0.28.9 writes it (pkg/subnet/subnet.go WriteSubnetFile).

    *mtu* is that of the overlay device, in octets. *ip_masq* says whether the node masquerades traffic that leaves
    the network. The subnet lines hold the first usable address, not the network's.
    """
    lines = []
    if config.enable_ipv4:
        if lease.subnet is None or config.network is None:
            raise InputError(
                f"lease of {lease.name or lease.public_ip}: the network is IPv4, but the lease has no IPv4 subnet"
            )
        lines += [
            f"FLANNEL_NETWORK={config.network}",
            f"FLANNEL_SUBNET={lease.subnet.network_address + 1}/{lease.subnet.prefixlen}",
        ]
    if config.enable_ipv6:
        if lease.ipv6_subnet is None or config.ipv6_network is None:
            raise InputError(
                f"lease of {lease.name or lease.public_ip}: the network is IPv6, but the lease has no IPv6 subnet"
            )
        lines += [
            f"FLANNEL_IPV6_NETWORK={config.ipv6_network}",
            f"FLANNEL_IPV6_SUBNET={lease.ipv6_subnet.network_address + 1}/{lease.ipv6_subnet.prefixlen}",
        ]
    lines += [f"FLANNEL_MTU={mtu}", f"FLANNEL_IPMASQ={'true' if ip_masq else 'false'}"]
    return "\n".join(lines) + "\n"


def parse(text: str) -> dict[str, str]:
    """Return the variables of a subnet file; lines without ``=`` and comments are passed over."""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line and not line.lstrip().startswith("#"))
    return {key.strip(): value.strip().strip("\"'") for key, value in pairs}
