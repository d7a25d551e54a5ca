# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The UDP ports that a backend listens at. Private to podnet.cni: may change in any release."""

from __future__ import annotations

from ansible_collections.podnet.cni.plugins.module_utils._flannel.network_config import NetworkConfig


def of(config: NetworkConfig | None) -> list[int]:
    """Return the UDP ports that the backend listens at; of several families the IPv4 one first.

    Source: flannel v0.28.9 pkg/backend/vxlan/vxlan.go, wireguard/wireguard.go, udp/udp_amd64.go.
    """
    if config is None:
        return []
    options = config.backend.options
    if config.backend.type == "vxlan":
        return [int(options.get("Port") or 8472)]
    if config.backend.type == "udp":
        return [int(options.get("Port") or 8285)]
    if config.backend.type != "wireguard":
        return []
    ports = [int(options.get("ListenPort") or 51820)] if config.enable_ipv4 else []
    separate = options.get("Mode", "separate") == "separate" or not config.enable_ipv4
    if config.enable_ipv6 and separate:
        ports.append(int(options.get("ListenPortV6") or 51821))
    return ports
