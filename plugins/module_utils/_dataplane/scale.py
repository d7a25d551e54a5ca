# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits of the kernel that a large overlay runs into, checked before they do.

Private to podnet.cni: may change in any release.

The entries that the data plane makes need no limit raised: PERMANENT neighbours have not counted against gc_thresh3
since Linux 5.0 (net/core/neighbour.c, neigh_alloc), IPv4 routes have no limit, and IPv6 routes none since Linux 6.3,
where net.ipv6.route.max_size lost its meaning. What does count are the ordinary neighbours that the kernel learns for
peers on the underlay's own segment.
"""

from __future__ import annotations

import os
import re
from typing import Mapping, NamedTuple

from ansible_collections.podnet.cni.plugins.module_utils._dataplane.model import DataPlane, Prefix, contains
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.underlay import Underlay

PERMANENT_IS_FREE = (5, 0)
IPV6_ROUTES_ARE_FREE = (6, 3)
# A table this full collects garbage all the time: gc_thresh3 should leave as much room again for other neighbours.
HEADROOM = 2


class Limits(NamedTuple):
    """This kernel's release, and its limits by family 4 and 6; None where the kernel does not show one."""

    release: tuple[int, ...]
    neighbours: Mapping[int, int | None]
    ipv6_routes: int | None


def read() -> Limits:
    """The limits of the running kernel. The neighbour limits are the machine's; a container may not see them."""
    release = tuple(int(number) for number in re.findall(r"\d+", os.uname().release)[:2])
    return Limits(
        release,
        {
            4: _read_number("/proc/sys/net/ipv4/neigh/default/gc_thresh3"),
            6: _read_number("/proc/sys/net/ipv6/neigh/default/gc_thresh3"),
        },
        _read_number("/proc/sys/net/ipv6/route/max_size"),
    )


def _read_number(path: str) -> int | None:
    try:
        with open(path, encoding="ascii") as setting:
            return int(setting.read())
    except (OSError, ValueError):
        return None


def warnings(wanted: DataPlane, underlay: Underlay, public_ips: list[bytes], limits: Limits) -> list[str]:
    """What to warn of, each with the numbers and the remedy. C(public_ips) are those of the peers."""
    found = []
    for family, size in ((4, 4), (6, 16)):
        limit = limits.neighbours[family]
        segments = [
            Prefix(address.address, address.prefixlen) for address in underlay.addresses if len(address.address) == size
        ]
        learned = sum(
            1
            for address in public_ips
            if len(address) == size and any(contains(segment, address) for segment in segments)
        )
        made = sum(1 for entry in wanted.neighbours if len(entry.address) == size)
        needed = learned + (made if limits.release < PERMANENT_IS_FREE else 0)
        if limit is not None and needed * HEADROOM > limit:
            found.append(
                f"the kernel keeps at most {limit} IPv{family} neighbours "
                f"(net.ipv{family}.neigh.default.gc_thresh3), and {needed} peers need one on "
                f"{underlay.name}; set gc_thresh3 to at least {needed * HEADROOM}, or peers become "
                "unreachable with the message 'neighbour table overflow'"
            )
    routes = sum(1 for route in wanted.routes if len(route.destination) == 16)
    limit = limits.ipv6_routes
    if limits.release < IPV6_ROUTES_ARE_FREE and limit is not None and routes * HEADROOM > limit:
        found.append(
            f"the kernel keeps at most {limit} IPv6 routes (net.ipv6.route.max_size), and {routes} peers need one; "
            f"set it to at least {routes * HEADROOM}"
        )
    return found
