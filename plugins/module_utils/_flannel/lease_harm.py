# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Leases that flanneld reads and cannot stand.

Private to podnet.cni: may change in any release.

Seen on a running flanneld v0.28.9, by tests/integration/flanneld/test_harm.py. Of the two kinds the one is worse than a
key that no flanneld can read: it lasts until the lease is deleted and every daemon is restarted.
"""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any, Mapping, NamedTuple

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import addresses, go_json, vtep
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import decode_key
from ansible_collections.podnet.cni.plugins.module_utils._flannel.network_config import NetworkConfig

# The daemon stays alive and handles no event any more: its event loop has ended, and waits for the others.
HANGS = "hangs_flanneld"
# The daemon repeats a request ten times with growing pauses, about a minute, and handles no other event meanwhile.
STALLS = "stalls_flanneld"


class Harm(NamedTuple):
    """What a lease does to every running flanneld, HANGS or STALLS, and why."""

    kind: str
    reason: str


def harm(config: NetworkConfig, key: str, value: str) -> Harm | None:
    """Return what the lease C(value) under the etcd C(key) does to a flanneld of this network, None for nothing.

    Source: flannel v0.28.9 pkg/backend/vxlan/vxlan_network.go handleSubnetEvents and pkg/backend/route_network.go.
    """
    subnets = decode_key(key)
    try:
        known, _other = go_json.fold(go_json.load_object(value, "lease"), ("BackendType", "BackendData"))
    except InputError:
        return None
    kind = config.backend.type
    if subnets is None or go_json.last(known, "BackendType") != kind or kind not in ("vxlan", "host-gw"):
        return None
    if subnets[1] is not None and not config.enable_ipv6:
        return Harm(HANGS, f"it has an IPv6 subnet, {subnets[1]}, and the network has no IPv6")
    if kind == "vxlan" and config.enable_ipv4:
        return _of_subnet(key, subnets[0]) or (_of_mac(known["BackendData"]) if "BackendData" in known else None)
    return None


def _of_subnet(key: str, subnet: IPv4Network | None) -> Harm | None:
    if subnet is None or subnet.is_multicast or subnet.is_loopback or subnet.prefixlen == 0:
        return Harm(STALLS, "no route can lead to its subnet")
    if not key.rpartition("/")[2].partition("&")[0].startswith(f"{subnet.network_address}-"):
        return Harm(STALLS, f"its key has host bits set beside the prefix {subnet}")
    return None


def _of_mac(data: Any) -> Harm | None:
    if data is not None and not isinstance(data, Mapping):
        return None
    octets = b""
    for member, value in go_json.members(data or {}):
        # What flanneld cannot decode it passes over.
        if str(member).lower() == "vni" and not vtep.is_vni(value):
            return None
        if str(member).lower() == "vtepmac":
            try:
                octets = addresses.parse_mac(go_json.raw(value))
            except ValueError:
                return None
    if len(octets) == vtep.OCTETS and any(octets) and not octets[0] & 1:
        return None
    return Harm(STALLS, f"its VTEP MAC {vtep.mac_text(octets) or '(none)'} is not a unicast address of six octets")
