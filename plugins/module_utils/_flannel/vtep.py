# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""VTEP MAC addresses.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import addresses, go_json

OCTETS = 6
_VNI_BITS = 32
_USUAL_MAC = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\Z")


def derive_mac(node_name: str, vni: int, family: int = 4) -> str:
    """Return the VTEP MAC of C(node_name) for C(vni) and address C(family) (4 or 6), in lower case with colons.

    The address is locally administered and unicast, as the random one is that flanneld draws
    (flannel v0.28.9 pkg/mac/mac.go). It depends on nothing but the arguments, so the controller can publish a
    node's lease before it has touched the node, and a node that is set up again keeps its address.
    """
    digest = hashlib.sha256(f"podnet.cni vtep {family} {vni} {node_name}".encode()).digest()
    return mac_text(bytes([digest[0] & 0xFE | 0x02]) + digest[1:6])


def mac_text(octets: bytes) -> str:
    """Return a MAC address in lower case with colons, as Go prints it."""
    return ":".join(f"{octet:02x}" for octet in octets)


def parse_mac(text: str, what: str) -> bytes:
    """Return the six octets of the unicast MAC address C(text); C(what) names its owner in the error."""
    try:
        written = go_json.raw(text)
        octets = _usual_mac(written) or addresses.parse_mac(written)
    except ValueError as error:
        raise InputError(f"{what}: {text!r} is not a MAC address; write six octets like 02:42:ac:14:00:07") from error
    if len(octets) != OCTETS:
        raise InputError(f"{what}: {text!r} has {len(octets)} octets; a VTEP needs six, like 02:42:ac:14:00:07")
    if octets[0] & 1:
        raise InputError(f"{what}: MAC address {text} is a multicast address; a VTEP needs a unicast one")
    if not any(octets):
        raise InputError(f"{what}: MAC address {text} is all zero; a VTEP needs an address of its own")
    return octets


def _usual_mac(text: Any) -> bytes:
    """The octets of an address as flanneld writes it, b"" for every other spelling: leases are read by the thousand."""
    return bytes.fromhex(text.replace(":", "")) if isinstance(text, str) and _USUAL_MAC.match(text) else b""


def read_data(data: Any, what: str) -> bytes:
    """Return the six octets of the unicast MAC in a vxlan lease's backend C(data); C(what) names it in the InputError.

    Refused is what flanneld passes over, too (flannel v0.28.9 pkg/backend/vxlan/vxlan_network.go vxlanLeaseAttrs). Its
    decoder reads each spelling of a member, and one that it cannot read spoils all.
    """
    octets = b""
    for key, value in go_json.members(data) if isinstance(data, Mapping) else ():
        name = str(key).lower()
        if name == "vtepmac" and value == "":
            octets = b""
            break
        if name == "vtepmac":
            octets = parse_mac(value, f"{what} {key}")
        elif name == "vni" and not is_vni(value):
            bound = 2**_VNI_BITS - 1
            raise InputError(f"{what} {key} {value!r} is not a whole number from 0 to {bound}; write the network's VNI")
    if not octets:
        raise InputError(f"{what} has no VtepMAC; run flannel_lease for that node again")
    return octets


def is_vni(value: Any) -> bool:
    """Whether flanneld reads C(value) as a VNI; null leaves it at zero."""
    return go_json.is_uint(value, _VNI_BITS)


def published_mac(data: Any) -> str:
    """Return the VTEP MAC that a lease's backend C(data) publishes, in lower case with colons; empty for none."""
    try:
        return mac_text(read_data(data, "lease"))
    except InputError:
        return ""
