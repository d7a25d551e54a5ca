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

from ansible_collections.podnet.cni.plugins.module_utils._host.command import Run
from ansible_collections.podnet.cni.plugins.module_utils._preflight.host_files import Files
from ansible_collections.podnet.cni.plugins.module_utils._preflight.host_wanted import interface_of, network_of

PEERS = 20
"""Of so many peers of each address family, spread over all."""
BRIDGE = "cni0"


def read(run: Run, files: Files, links: Sequence[Mapping[str, Any]], peers: Sequence[str]) -> list[dict[str, Any]]:
    """Return the ways between a pod of this host and a pod in each of C(peers), the subnets of other hosts.

    Each has C(source), C(target), C(iif) where it arrives, C(dev) where it leaves, C(main) where the main table has it
    leave, and C(problem), the kernel's own words where it takes it nowhere; C(rp_filter) is the value that counts for
    C(iif), null for IPv6. There are none without the bridge of pods.
    """
    bridge = next((link for link in links if link.get("name") == BRIDGE), None)
    found: list[dict[str, Any]] = []
    for text in bridge["addresses"] if bridge is not None else ():
        own = interface_of(text)
        if own is None or own.network.num_addresses < 4 or own.ip.is_link_local:
            continue
        others = [
            other
            for other in map(network_of, peers)
            if other is not None and other.version == own.version and other != own.network and other.num_addresses > 3
        ]
        # A pod's address: the first is the bridge's.
        here = str(own.network.network_address + 2)
        for other in others[:: max(1, -(-len(others) // PEERS))]:
            there = str(other.network_address + 2)
            away, back = _main(run, there, own.version), _main(run, here, own.version)
            if away and back and away != back:
                found.append(_way(run, files, own.version, (here, there), (back, away)))
                found.append(_way(run, files, own.version, (there, here), (away, back)))
    return found


def _main(run: Run, target: str, family: int) -> str:
    """The link over which the main table leads to an address, "" for none."""
    routes = _json(run, ["ip", "-j", f"-{family}", "route", "show", "table", "main", "match", target])[0]
    lengths = [(_length(str(route.get("dst")), family), str(route.get("dev") or "")) for route in routes]
    return max(lengths, default=(0, ""))[1]


def _length(destination: str, family: int) -> int:
    if destination == "default":
        return 0
    return int(destination.rpartition("/")[2]) if "/" in destination else 32 if family == 4 else 128


def _way(run: Run, files: Files, family: int, ends: tuple[str, str], links: tuple[str, str]) -> dict[str, Any]:
    source, target = ends
    iif, main = links
    routes, problem = _json(run, ["ip", "-j", f"-{family}", "route", "get", target, "from", source, "iif", iif])
    values = [files.line(f"/proc/sys/net/ipv4/conf/{name}/rp_filter") for name in ("all", iif)] if family == 4 else []
    return {
        "source": source,
        "target": target,
        "iif": iif,
        "dev": str(routes[0].get("dev") or "") if routes else "",
        "main": main,
        "problem": problem,
        "rp_filter": max((value for value in values if value), default=None),
    }


def _json(run: Run, command: Sequence[str]) -> tuple[list[Mapping[str, Any]], str]:
    """The routes that C(ip) prints, or none and what it says instead."""
    code, out, err = run(command, None)
    if code != 0:
        return [], (err.strip().splitlines() or [f"exit code {code}"])[-1].replace("RTNETLINK answers: ", "")
    found = json.loads(out or "[]")
    return [each for each in found if isinstance(each, Mapping)], ""
