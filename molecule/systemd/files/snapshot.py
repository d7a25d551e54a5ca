# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print as JSON what the kernel of this host holds for the overlay, as iproute2 and nft see it.

None of the collection's code takes part, so that it cannot hide its own mistakes. What differs from boot to boot
without a meaning (interface indexes, timers, handles) is left out: two snapshots differ only where the overlay does.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

LINK = "flannel.1"


def output(*command: str) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def entries(*command: str, keys: tuple[str, ...]) -> list[dict[str, Any]]:
    """Objects that iproute2 lists, cut down to KEYS, in an order that does not depend on the kernel's."""
    objects = json.loads(output(*command) or "[]")
    return sorted(({key: entry.get(key) for key in keys} for entry in objects), key=json.dumps)


def link() -> dict[str, Any]:
    (found,) = json.loads(output("ip", "-json", "-details", "link", "show", "dev", LINK))
    vxlan = found["linkinfo"]["info_data"]
    return {
        "mac": found["address"],
        "mtu": found["mtu"],
        "up": "UP" in found["flags"],
        "vxlan": {key: vxlan.get(key) for key in ("id", "local", "link", "port", "learning")},
    }


def addresses() -> list[str]:
    (found,) = json.loads(output("ip", "-json", "-4", "address", "show", "dev", LINK))
    return sorted(f"{entry['local']}/{entry['prefixlen']}" for entry in found["addr_info"])


print(
    json.dumps(
        {
            "boot_id": Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
            "overlay": {
                "link": link(),
                "addresses": addresses(),
                "routes": entries("ip", "-json", "route", "show", "dev", LINK, keys=("dst", "gateway", "flags")),
                "neighbours": entries("ip", "-json", "neigh", "show", "dev", LINK, keys=("dst", "lladdr", "state")),
                "fdb": entries("bridge", "-json", "fdb", "show", "dev", LINK, keys=("mac", "dst", "state")),
                "firewall": output("nft", "list", "table", "ip", "podnet_cni").splitlines(),
                "forwarding": Path("/proc/sys/net/ipv4/ip_forward").read_text().strip(),
                "subnet_file": Path("/run/flannel/subnet.env").read_text().splitlines(),
            },
        }
    )
)
