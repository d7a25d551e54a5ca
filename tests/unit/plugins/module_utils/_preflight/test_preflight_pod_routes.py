# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which peers the kernel is asked about, and what its answers mean."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._preflight import pod_routes
from ansible_collections.podnet.cni.plugins.module_utils._preflight.host_files import Files

BRIDGE = {"name": "cni0", "addresses": ["10.244.1.1/24", "fd00:1::1/64", "fe80::1/64"]}


class Kernel:
    """A stand-in for ip: the main table as it should be, and what a lookup answers."""

    def __init__(self, get: tuple[int, str, str] | None = None) -> None:
        self.asked: list[Sequence[str]] = []
        self.get = get

    def __call__(self, command: Sequence[str], _text: str | None) -> tuple[int, str, str]:
        if "get" in command:
            self.asked.append(command)
            return self.get or (0, json.dumps([{"dev": self.leads(command[5])}]), "")
        routes = [{"dst": "default", "dev": "eth0"}, {"dst": "10.244.0.0/15", "dev": "lo"}]
        own = [{"dst": "10.244.1.0/24", "dev": "cni0"}, {"dst": "fd00:1::/64", "dev": "cni0"}]
        others = [{"dst": "10.244.0.0/16", "dev": "flannel.1"}, {"dst": "fd00::/16", "dev": "flannel.1"}]
        return 0, json.dumps([*routes, *own, *others]), ""

    @staticmethod
    def leads(target: str) -> str:
        return "cni0" if target.startswith(("10.244.1.", "fd00:1:")) else "flannel.1"


def read(kernel: Any, peers: Sequence[str], links: Any = (BRIDGE,)) -> list[dict[str, Any]]:
    return pod_routes.read(kernel, Files("/nowhere"), links, peers)


def test_both_ways_of_each_family_are_asked() -> None:
    kernel = Kernel()
    ways = read(kernel, ["10.244.1.0/24", "10.244.2.0/24", "fd00:1::/64", "fd00:2::/64", "nonsense"])
    assert [(way["source"], way["target"], way["iif"], way["dev"], way["main"]) for way in ways] == [
        ("10.244.1.2", "10.244.2.2", "cni0", "flannel.1", "flannel.1"),
        ("10.244.2.2", "10.244.1.2", "flannel.1", "cni0", "cni0"),
        ("fd00:1::2", "fd00:2::2", "cni0", "flannel.1", "flannel.1"),
        ("fd00:2::2", "fd00:1::2", "flannel.1", "cni0", "cni0"),
    ]
    assert kernel.asked[0] == ["ip", "-j", "-4", "route", "get", "10.244.2.2", "from", "10.244.1.2", "iif", "cni0"]
    assert {way["problem"] for way in ways} == {""}


def test_what_the_kernel_refuses_is_kept_in_its_words() -> None:
    ways = read(Kernel((2, "", "RTNETLINK answers: Invalid cross-device link\n")), ["10.244.2.0/24"])
    assert [(way["dev"], way["problem"]) for way in ways] == [("", "Invalid cross-device link")] * 2


def test_of_many_peers_some_are_asked() -> None:
    kernel = Kernel()
    read(kernel, [f"10.244.{number}.0/24" for number in range(2, 250)])
    assert 2 * 15 <= len(kernel.asked) <= 2 * pod_routes.PEERS
    assert kernel.asked[-2][5] > "10.244.200.", "they are spread"


def test_some_leases_are_as_many_as_a_host_looks_at() -> None:
    few = [{"subnet": "10.244.1.0/24", "ipv6_subnet": None}, {"subnet": None, "ipv6_subnet": "fd00:2::/64"}, {}]
    assert pod_routes.some(few) == ["10.244.1.0/24", "fd00:2::/64"]
    full = [f"10.244.{number}.0/24" for number in range(pod_routes.PEERS + 1)]
    assert pod_routes.some([{"subnet": each} for each in full]) == full
    many = [{"subnet": f"10.244.{number}.0/24", "ipv6_subnet": f"fd00:{number}::/64"} for number in range(1, 250)]
    found = pod_routes.some(many)
    assert 2 * 15 <= len(found) <= 2 * (pod_routes.PEERS + 1)
    assert {"10.244.241.0/24", "fd00:241::/64"} <= set(found), "they are spread"
    kernel = Kernel()
    read(kernel, found)
    assert 2 * 2 * 15 <= len(kernel.asked) <= 2 * 2 * pod_routes.PEERS


def test_without_pods_or_peers_nothing_is_asked() -> None:
    kernel = Kernel()
    assert read(kernel, ["10.244.2.0/24"], ()) == read(kernel, []) == []
    assert kernel.asked == []


def test_routes_that_are_not_read_are_not_none() -> None:
    with pytest.raises(PodnetError, match="exit code 255: Option"):
        read(lambda _command, _text: (255, "", 'Option "-j" is unknown'), ["10.244.2.0/24"])
    with pytest.raises(PodnetError, match="links of the host were not read"):
        read(Kernel(), ["10.244.2.0/24"], None)
