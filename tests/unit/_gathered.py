# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is gathered of a healthy network, and faults to put into it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.podnet.cni.plugins.module_utils._dataplane.model import Route
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.plan import Plan
from ansible_collections.podnet.cni.plugins.module_utils._status import document

Answer = Callable[[str, str, str, int, int], bool]
"""From source, target, layer, family and size in octets to whether the packets are answered."""


def network(
    number: int = 3, backend: str = "vxlan", ipv6: bool = True, pods: bool = True, sample: int = 0
) -> dict[str, Any]:
    """A network of hosts node1, node2, ... in which nothing was measured yet."""
    config: dict[str, Any] = {"Network": "10.244.0.0/16", "Backend": {"Type": backend}}
    if ipv6:
        config.update(EnableIPv6=True, IPv6Network="fd00:10:244::/48")
    leases, hosts = [], {}
    for place in range(1, number + 1):
        high, low = divmod(place, 250)
        public = {"public_ip": f"198.18.{high}.{low + 1}", "public_ipv6": f"fd00:18::{place:x}" if ipv6 else None}
        subnet, ipv6_subnet = f"10.244.{high * 250 + low}.0/24", f"fd00:10:244:{place:x}::/64" if ipv6 else None
        if number > 250:
            subnet = f"10.{244 + place // 250}.{place % 250}.0/24"
        leases.append({"name": "", "subnet": subnet, "ipv6_subnet": ipv6_subnet, "backend_type": backend, **public})
        links = [
            {"name": "flannel.1", "kind": "vxlan", "up": True, "mtu": 1450, "addresses": [subnet.replace("/24", "/32")]}
        ]
        if ipv6:
            address = f"fd00:10:244:{place:x}::/128"
            links.append({"name": "flannel-v6.1", "kind": "vxlan", "up": True, "mtu": 1430, "addresses": [address]})
        addresses = [subnet.replace(".0/24", ".2"), *([f"fd00:10:244:{place:x}::2"] if ipv6 else [])]
        hosts[f"node{place}"] = {
            "facts": {"underlay": {"name": "eth0", "addresses": [address for address in public.values() if address]}},
            "dataplane": {"parts": {}, "operations": [], "mtu": 1450, "peers": number - 1},
            "links": links if backend == "vxlan" else [],
            "pod": {"addresses": addresses if pods else []},
        }
    if number > 250:
        config["Network"] = "10.240.0.0/12"
    return {
        "taken": "2026-11-29T03:00:00+00:00",
        "network_config": config,
        "store": {"state": "read", "kind": "etcd", "reason": "", "leases": leases, "problems": []},
        "hosts": hosts,
        "left_out": [],
        "sample": sample,
    }


def measured(gathered: dict[str, Any], answers: Answer = lambda *_way: True) -> dict[str, Any]:
    """The same with the ways measured, as the role does it."""
    for name, targets in document.targets(gathered).items():
        probes = []
        for target in [*targets["host"], *targets["pod"]]:
            layer, family, size, other = target["name"].split(" ", 3)
            octets = int(size) + (28 if family == "4" else 48)
            good = answers(name, other, layer, int(family), octets)
            probes.append(
                {
                    "target": target["name"],
                    "sent": 3,
                    "received": 3 if good else 0,
                    "loss": 0.0 if good else 100.0,
                    "rtt_avg": 0.2 if good else None,
                    "rtt_max": 0.3 if good else None,
                    "error": "",
                }
            )
        gathered["hosts"][name]["probes"] = probes
    return gathered


def differs(gathered: dict[str, Any], name: str, plan: Plan) -> None:
    """Make the kernel of a host differ from the leases by what *plan* would do."""
    plane = gathered["hosts"][name]["dataplane"]
    plane["parts"].setdefault("kernel", []).extend(plan.actions())
    plane["operations"] += [each._asdict() for each in plan.operations()]


def route(number: int) -> Route:
    """The IPv4 route to a host's pods, over vxlan."""
    address = bytes((10, 244, number, 0))
    return Route(address, 24, address, "flannel.1", onlink=True)


def failed(made: dict[str, Any]) -> set[tuple[str, str]]:
    """Check and subject of what failed."""
    return {(each["id"], each["subject"]) for each in made["findings"] if each["status"] == "failed"}


def open_questions(made: dict[str, Any]) -> set[tuple[str, str]]:
    """Check and subject of what the picture's own checks do not know."""
    return {
        (each["id"], each["subject"])
        for each in made["findings"]
        if each["status"] == "unknown" and (not each["id"].startswith("host.") or each["id"] in ("host.silent",))
    }
