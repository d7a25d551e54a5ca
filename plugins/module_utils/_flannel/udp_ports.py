# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The UDP ports that a backend listens at. Private to podnet.cni: may change in any release."""

from __future__ import annotations

from ansible_collections.podnet.cni.plugins.module_utils._flannel.network_config import NetworkConfig


def of(config: NetworkConfig | None) -> list[int]:
    """Return the UDP ports that the backend listens at; of several families the IPv4 one first."""
    return list(dict.fromkeys(by_family(config).values()))


def by_family(config: NetworkConfig | None) -> dict[int, int]:
    """Return the UDP port that the backend's packets go to over IPv4 and over IPv6; none for a backend without one.

    Source: flannel v0.28.9 pkg/backend/vxlan/vxlan.go, wireguard/wireguard.go, udp/udp_amd64.go.
    """
    if config is None:
        return {}
    options = config.backend.options
    if config.backend.type == "udp":
        return {4: int(options.get("Port") or 8285)}
    if config.backend.type == "vxlan":
        first = second = int(options.get("Port") or 8472)
    elif config.backend.type == "wireguard":
        first = int(options.get("ListenPort") or 51820)
        together = options.get("Mode", "separate") != "separate" and config.enable_ipv4
        second = first if together else int(options.get("ListenPortV6") or 51821)
    else:
        return {}
    enabled = ((4, config.enable_ipv4, first), (6, config.enable_ipv6, second))
    return {family: port for family, on, port in enabled if on}
