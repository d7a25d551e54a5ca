# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Octets by which packets of pods are smaller than those of the underlay, by backend type; no I/O.

A backend that is not listed puts nothing around packets.
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Mapping

RESERVED: Mapping[str, int] = {"vxlan": 50, "wireguard": 80, "ipip": 20, "udp": 28}
"""What flannel v0.28.9 takes off the underlay's MTU for that of pods, whatever the family (pkg/backend/*/)."""

_HEADERS: Mapping[str, Mapping[int, int]] = {
    "vxlan": {4: 50, 6: 70},
    "wireguard": {4: 60, 6: 80},
    "ipip": {4: 20},
    "udp": {4: 28},
}


def headers(backend: str, family: int) -> int:
    """What a backend really puts around a packet, by the family of the underlay.

    RFC 7348 4 (the kernel counts the same: drivers/net/vxlan vxlan_config_apply), the WireGuard paper 5.4, RFC 2003 3,
    and for flannel's own udp the headers of IP and UDP.
    """
    sizes = _HEADERS.get(backend)
    return sizes.get(family, 0) if sizes else 0
