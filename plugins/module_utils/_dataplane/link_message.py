# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel says of one link, read from its rtnetlink message.

Private to podnet.cni: may change in any release.

A run that finds nothing to do reads links and changes none, and importing pyroute2 costs more than all the rest of it.

Layouts: include/uapi/linux/if_link.h and if_tunnel.h of Linux, rtnetlink(7).
"""

from __future__ import annotations

import struct
from typing import Mapping

from ansible_collections.podnet.cni.plugins.module_utils._dataplane.model import Link
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.observed import ObservedLink

IFF_UP = 1
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINKINFO = 1, 3, 4, 18
IFLA_INFO_KIND, IFLA_INFO_DATA = 1, 2
IFLA_VXLAN_ID, IFLA_VXLAN_LINK, IFLA_VXLAN_LOCAL, IFLA_VXLAN_LEARNING = 1, 3, 4, 7
IFLA_VXLAN_L2MISS, IFLA_VXLAN_PORT, IFLA_VXLAN_LOCAL6, IFLA_VXLAN_GBP = 13, 15, 17, 23
IFLA_IPTUN_LOCAL, IFLA_IPTUN_REMOTE = 2, 3
# NLA_F_NESTED and NLA_F_NET_BYTEORDER say how an attribute is written, not which it is.
_TYPE = 0x3FFF

_HEADER = struct.Struct("=BBHiII")
_ATTRIBUTE = struct.Struct("=HH")


def request(index: int) -> bytes:
    """The body of the message that asks for the link with this index."""
    return _HEADER.pack(0, 0, 0, index, 0, 0)


def read(data: bytes, position: int, end: int, names: Mapping[int, str]) -> ObservedLink:
    """The link in a message whose body is data[position:end]; C(names) maps interface index to link name."""
    _family, _pad, _kind, index, flags, _change = _HEADER.unpack_from(data, position)
    found = _attributes(data[position + _HEADER.size : end])
    information = _attributes(found.get(IFLA_LINKINFO, b""))
    kind = _text(information.get(IFLA_INFO_KIND, b""))
    traits = _attributes(information.get(IFLA_INFO_DATA, b""))
    link = Link(_text(found.get(IFLA_IFNAME, b"")), kind, _number(found.get(IFLA_MTU, b"")))
    strange = ""
    if kind == "vxlan":
        link = link._replace(
            mac=found.get(IFLA_ADDRESS, b""),
            underlay=names.get(_number(traits.get(IFLA_VXLAN_LINK, b"")), ""),
            local=traits.get(IFLA_VXLAN_LOCAL) or traits.get(IFLA_VXLAN_LOCAL6) or b"",
            vni=_number(traits.get(IFLA_VXLAN_ID, b"")),
            # The only number of these that is in network order.
            port=int.from_bytes(traits.get(IFLA_VXLAN_PORT, b""), "big"),
            learning=any(traits.get(IFLA_VXLAN_LEARNING, b"")),
            gbp=IFLA_VXLAN_GBP in traits,
        )
        strange = "l2miss is on" if any(traits.get(IFLA_VXLAN_L2MISS, b"")) else ""
    elif kind == "ipip":
        link = link._replace(local=traits.get(IFLA_IPTUN_LOCAL, b""))
        strange = "it has a remote address" if any(traits.get(IFLA_IPTUN_REMOTE, b"")) else ""
    return ObservedLink(link, index, bool(flags & IFF_UP), False, strange)


def _attributes(data: bytes) -> dict[int, bytes]:
    found = {}
    position = 0
    while position + 4 <= len(data):
        size, kind = _ATTRIBUTE.unpack_from(data, position)
        found[kind & _TYPE] = data[position + 4 : position + size]
        position += (size + 3) & ~3 or 4
    return found


def _text(data: bytes) -> str:
    return data.rstrip(b"\0").decode("utf-8", "replace")


def _number(data: bytes) -> int:
    return int.from_bytes(data[:4], "little" if struct.pack("=H", 1)[0] else "big")
