# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts on one segment: a network namespace each, all on a bridge in a namespace of its own."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from pathlib import Path
from typing import Any

from ansible_collections.podnet.cni.tests.integration._warm import run_module

_numbers = itertools.count(1)
DATAPLANE = "flannel_dataplane"
PEER_WORDS = 9


class Host:
    """A host with eth0 at 198.18.0.<number>/24 and fd00:18::<number>/64, default routes to .254 and ::254."""

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.number = number

    @property
    def public_ip(self) -> str:
        return f"198.18.0.{self.number}"

    @property
    def public_ipv6(self) -> str:
        return f"fd00:18::{self.number}"

    def enter(self, *command: str) -> list[str]:
        """The command line that runs `command` in this host."""
        return ["ip", "netns", "exec", self.name, *command]

    def shell(self, *lines: str) -> str:
        """Run shell lines in this host and return what they print; a failing line raises."""
        done = subprocess.run(self.enter("sh", "-ec", "\n".join(lines)), capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{lines}: {done.stderr}"
        return done.stdout

    def json(self, *command: str) -> Any:
        """The JSON that `ip` or `bridge` prints in this host."""
        return json.loads(self.shell(" ".join(command)) or "[]")

    def module(
        self, *, check: bool = False, diff: bool = True, module: str = DATAPLANE, **options: Any
    ) -> dict[str, Any]:
        """Run a module in this host in a process of its own and return its result."""
        return run_module(module, options, check=check, diff=diff, netns=self.name)

    @staticmethod
    def warnings(result: dict[str, Any]) -> list[str]:
        """The texts of a module result's warnings, which are objects since ansible-core 2.19."""
        return [item if isinstance(item, str) else item["event"]["msg"] for item in result.get("warnings", ())]

    def capture(self) -> dict[str, Any]:
        """What iproute2 prints of this host, under the keys that the captures in tests/fixtures/flanneld have."""
        links = [link for link in self.json("ip -d -j link show") if link.get("ifname", "").startswith("flannel")]
        return {
            "links": links,
            "addresses": self.json("ip -j address show"),
            "routes4": self.json("ip -4 -d -j route show"),
            "routes6": self.json("ip -6 -d -j route show"),
            "neighbours": self.json("ip -j neigh show nud permanent"),
            "fdb": [entry for link in links for entry in self.json(f"bridge -j fdb show dev {link['ifname']}")],
            "wireguard": self._wireguard()
            if any(link["linkinfo"]["info_kind"] == "wireguard" for link in links)
            else [],
        }

    def _wireguard(self) -> list[list[str]]:
        """What C(wg) knows of devices and peers, without its counters, keys first."""
        lines = [line.split("\t") for line in self.shell("wg show all dump").splitlines()]
        # A peer's line: device, its key, the preshared key, endpoint, allowed IPs, three counters, keepalive.
        return [words if len(words) < PEER_WORDS else [*words[:5], words[8]] for words in lines]

    def state(self) -> dict[str, list[Any]]:
        """The `overlay` of what this host holds."""
        return overlay(self.capture())


def overlay(capture: dict[str, Any]) -> dict[str, list[Any]]:
    """The overlay's part of a capture in an order of its own, without what the kernel numbers or the host brings."""
    links = []
    for link in capture["links"]:
        data = link["linkinfo"].get("info_data", {})
        # A wireguard link has no address.
        plain = {key: link.get(key) for key in ("ifname", "flags", "mtu", "qdisc", "operstate", "address", "link_type")}
        links.append({**plain, "kind": link["linkinfo"]["info_kind"], **data})
    names = {link["ifname"] for link in links}
    return {
        "links": sorted(links, key=lambda link: str(link["ifname"])),
        "addresses": sorted(
            (entry["ifname"], item["local"], item["prefixlen"], item["scope"])
            for entry in capture["addresses"]
            for item in entry.get("addr_info", ())
            if entry.get("ifname") in names
        ),
        "routes": sorted(
            json.dumps(route, sort_keys=True)
            for route in [*capture["routes4"], *capture["routes6"]]
            if not route["dst"].startswith(("198.18", "default", "fd00:18::"))
            and not (route["dst"].startswith("fe80") and route["dev"] not in names)
        ),
        "neighbours": sorted(
            (entry["dst"], entry["dev"], entry["lladdr"], tuple(entry["state"])) for entry in capture["neighbours"]
        ),
        "fdb": sorted(
            (entry["mac"], entry.get("dst", ""), entry["state"], *entry["flags"]) for entry in capture["fdb"]
        ),
        "wireguard": sorted(capture.get("wireguard", ())),
    }


class Segment:
    """A context manager that makes `count` hosts on one segment and removes them."""

    def __init__(self, count: int, mtu: int = 1500) -> None:
        tag = f"pn{os.getpid()}x{next(_numbers)}"
        self.switch = f"{tag}s"
        self.hosts = [Host(f"{tag}h{number}", number) for number in range(1, count + 1)]
        self._mtu = mtu

    def __enter__(self) -> Segment:
        try:
            self._make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _make(self) -> None:
        lines = [f"ip netns add {self.switch}"]
        lines.append(f"ip -n {self.switch} link add br0 mtu {self._mtu} type bridge")
        lines.append(f"ip -n {self.switch} link set br0 up")
        for host in self.hosts:
            lines += [
                f"ip netns add {host.name}",
                f"ip -n {host.name} link add eth0 mtu {self._mtu} type veth peer name p{host.number} mtu {self._mtu} "
                f"netns {self.switch}",
                f"ip -n {self.switch} link set p{host.number} master br0 up",
                f"ip -n {host.name} link set lo up",
                f"ip -n {host.name} link set eth0 up",
                f"ip -n {host.name} address add {host.public_ip}/24 dev eth0",
                f"ip -n {host.name} address add {host.public_ipv6}/64 dev eth0 nodad",
                f"ip -n {host.name} route add default via 198.18.0.254",
                f"ip -n {host.name} -6 route add default via fd00:18::254",
            ]
        done = subprocess.run(["sh", "-ec", "\n".join(lines)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def __exit__(self, *_exc: object) -> None:
        for name in [host.name for host in self.hosts] + [self.switch]:
            if Path(f"/run/netns/{name}").exists():
                subprocess.run(["ip", "netns", "del", name], check=True)
