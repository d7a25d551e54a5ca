# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""VTEP MAC addresses.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import hashlib
import re

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}\Z", re.IGNORECASE)


def derive_mac(node_name: str, vni: int, family: int = 4) -> str:
    """Return the VTEP MAC of *node_name* for *vni* and address *family* (4 or 6), in lower case with colons.

    The address is locally administered and unicast, as the random one is that flanneld draws
    (flannel v0.28.9 pkg/mac/mac.go). It depends on nothing but the arguments, so the controller can publish a
    node's lease before it has touched the node, and a node that is set up again keeps its address.
    """
    digest = hashlib.sha256(f"podnet.cni vtep {family} {vni} {node_name}".encode()).digest()
    return ":".join(f"{octet:02x}" for octet in bytes([digest[0] & 0xFE | 0x02]) + digest[1:6])


def parse_mac(text: str, what: str) -> bytes:
    """Return the six octets of the unicast MAC address *text*; *what* names its owner in the error."""
    if not isinstance(text, str) or not _MAC.match(text):
        raise InputError(f"{what}: {text!r} is no MAC address; write six octets like 02:42:ac:14:00:07")
    octets = bytes.fromhex(text.replace(":", ""))
    if octets[0] & 1:
        raise InputError(f"{what}: MAC address {text} is a multicast address; a VTEP needs a unicast one")
    if not any(octets):
        raise InputError(f"{what}: MAC address {text} is all zero; a VTEP needs an address of its own")
    return octets
