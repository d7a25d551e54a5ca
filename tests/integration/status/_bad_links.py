# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""An overlay of hosts of one segment, and the doctor's document of it without Ansible, which takes long in a guest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible_collections.podnet.cni.plugins.module_utils._host import namespace
from ansible_collections.podnet.cni.plugins.module_utils._probe import connect, measure
from ansible_collections.podnet.cni.plugins.module_utils._status import document
from ansible_collections.podnet.cni.tests.integration._netns import Host
from ansible_collections.podnet.cni.tests.integration.dataplane._leases import config, lease, options

CONFIG = config()


class Overlay:
    """The hosts, programmed for vxlan, and what was told of them once."""

    def __init__(self, hosts: Sequence[Host]) -> None:
        self.hosts = hosts
        self.entries: dict[str, dict[str, Any]] = {}
        for host in hosts:
            plane = options(host.number, [each.number for each in hosts if each is not host])
            host.shell("echo 1 > /proc/sys/net/ipv4/ip_forward")
            host.module(**plane)
            self.entries[host.name] = {
                "facts": host.module(module="preflight_host_info", network_config=CONFIG, check=True)["facts"],
                "dataplane": host.module(check=True, **plane),
                "links": host.module(module="flannel_dataplane_info", network_config=CONFIG)["links"],
                "public_ips": [host.public_ip],
            }

    def shell(self, line: str) -> None:
        """Run a shell line in each host."""
        for host in self.hosts:
            host.shell(line)

    def doctor(self, count: int = 3) -> dict[str, Any]:
        """The document, with the ways measured now in the doctor's own way."""
        gathered: dict[str, Any] = {
            "network_config": CONFIG,
            "store": {"state": "read", "leases": [lease(host.number) for host in self.hosts], "problems": []},
            "hosts": self.entries,
        }
        wanted = document.targets(gathered)
        for host in self.hosts:
            targets = measure.parse_targets(wanted[host.name]["host"])
            results = probe(host, targets, measure.Settings(count, 0.2, 1, 56, False, 0, insist=10))
            self.entries[host.name]["probes"] = results
        return document.build(gathered)


def probe(host: Host, targets: Sequence[measure.Target], settings: measure.Settings) -> list[dict[str, Any]]:
    """What the module pod_network_probe measures from a host."""
    place = namespace.open_named(host.name)
    try:
        tools = measure.Tools(measure.ping_runner("ping"), connect.attempt, place.enter)
        return measure.measure_all(host.name, targets, tools, settings)
    finally:
        place.close()


def failed(made: dict[str, Any]) -> set[str]:
    """The ids of what the document says is wrong."""
    return {each["id"] for each in made["findings"] if each["status"] == "failed"}
