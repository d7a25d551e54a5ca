# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which way a host's kernel takes packets between its own pods and those of other hosts.

Private to podnet.cni: may change in any release.

The kernel is asked as for a packet that arrives (C(ip route get ... iif)), so that rules of policy routing and the
check of the way back (rp_filter) have their say; and the main table is read, which the overlay's routes are in.
"""

from __future__ import annotations

import json
from typing import Any, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._host.command import Run, checked
from ansible_collections.podnet.cni.plugins.module_utils._preflight.host_files import Files
from ansible_collections.podnet.cni.plugins.module_utils._preflight.host_wanted import interface_of, network_of

PEERS = 20
"""Of so many peers of each address family, spread over all."""
BRIDGE = "cni0"


def read(
    run: Run, files: Files, links: Sequence[Mapping[str, Any]] | None, peers: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the ways between a pod of this host and a pod in each of C(peers), the subnets of other hosts.

    Each has C(source), C(target), C(iif) where it arrives, C(dev) where it leaves, C(main) where the main table has it
    leave by its C(route), and C(problem), the kernel's own words where it takes it nowhere; C(rp_filter) is the value
    that counts for C(iif), null for IPv6. There are none without the bridge of pods, and to a peer that no route leads
    to. Raises PodnetError where links (null) or routes could not be read.
    """
    if links is None:
        raise PodnetError("the links of the host were not read")
    bridge = next((link for link in links if link.get("name") == BRIDGE), None)
    found: list[dict[str, Any]] = []
    for text in bridge["addresses"] if bridge is not None and peers else ():
        own = interface_of(text)
        if own is None or own.network.num_addresses < 4 or own.ip.is_link_local:
            continue
        others = [
            other
            for other in map(network_of, peers)
            if other is not None and other.version == own.version and other != own.network and other.num_addresses > 3
        ]
        table = _main_table(run, own.version)
        # A pod's address: the first is the bridge's.
        here = own.network.network_address + 2
        _route, back = _leads(table, here)
        for other in others[:: max(1, -(-len(others) // PEERS))]:
            there = other.network_address + 2
            route, away = _leads(table, there)
            if away and back and away != back:
                leaving = _way(run, files, own.version, (str(here), str(there)), (back, away))
                found.append({**leaving, "route": route})
                found.append(_way(run, files, own.version, (str(there), str(here)), (away, back)))
    return found


def some(leases: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the subnets of as many C(leases) as any host looks at the ways to, so that none is handed all of them."""
    found: list[str] = []
    for key in ("subnet", "ipv6_subnet"):
        subnets = [str(lease[key]) for lease in leases if lease.get(key)]
        # One of them may be the host's own.
        found += subnets[:: max(1, -(-len(subnets) // (PEERS + 1)))]
    return found


def _main_table(run: Run, family: int) -> list[tuple[Any, str]]:
    """Destination and link of each route of the main table, the narrowest first."""
    command = ["ip", "-j", f"-{family}", "route", "show", "table", "main"]
    everything = "0.0.0.0/0" if family == 4 else "::/0"
    routes = [
        (network_of(everything if route.get("dst") == "default" else route.get("dst")), str(route.get("dev") or ""))
        for route in json.loads(checked(run, command, missing="install iproute2") or "[]")
    ]
    return sorted((each for each in routes if each[0] is not None), key=lambda each: -each[0].prefixlen)


def _leads(table: Sequence[tuple[Any, str]], address: Any) -> tuple[str, str]:
    """Destination and link of the route by which a table leads to an address, "" for none."""
    return next(((str(destination), link) for destination, link in table if address in destination), ("", ""))


def _way(run: Run, files: Files, family: int, ends: tuple[str, str], links: tuple[str, str]) -> dict[str, Any]:
    source, target = ends
    iif, main = links
    code, out, err = run(["ip", "-j", f"-{family}", "route", "get", target, "from", source, "iif", iif], None)
    routes = json.loads(out or "[]") if code == 0 else []
    problem = "" if code == 0 else (err.strip().splitlines() or [f"exit code {code}"])[-1]
    values = [files.line(f"/proc/sys/net/ipv4/conf/{name}/rp_filter") for name in ("all", iif)] if family == 4 else []
    return {
        "source": source,
        "target": target,
        "iif": iif,
        "dev": str(routes[0].get("dev") or "") if routes else "",
        "main": main,
        "route": "",
        "problem": problem.replace("RTNETLINK answers: ", ""),
        "rp_filter": max((value for value in values if value), default=None),
    }
