# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Backends ipip and wireguard, on kernels that have them; elsewhere these tests are counted as skipped."""

from __future__ import annotations

import base64
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ansible_collections.podnet.cni.tests.integration._kernel import needs
from ansible_collections.podnet.cni.tests.integration._netns import Host
from ansible_collections.podnet.cni.tests.integration.dataplane._leases import config, options


class Case(NamedTuple):
    """A backend with options of it, and the links that it makes."""

    backend: str
    links: list[str]
    options: dict[str, Any]
    ipv6: bool = False

    @property
    def network_config(self) -> dict[str, Any]:
        return config(self.backend, ipv6=self.ipv6, **self.options)


PSK = base64.b64encode(b"a preshared key of 32 octets ...").decode()
ONE_PORT = {"ListenPortV6": 51820}
CASES = {
    "ipip": Case("ipip", ["flannel.ipip"], {}),
    "ipip-directrouting": Case("ipip", ["flannel.ipip"], {"DirectRouting": True}),
    "wireguard": Case("wireguard", ["flannel-wg"], {}),
    "wireguard-options": Case(
        "wireguard", ["flannel-wg"], {"PSK": PSK, "PersistentKeepaliveInterval": 25, "ListenPort": 51900, "MTU": 1400}
    ),
    "wireguard-separate": Case("wireguard", ["flannel-wg", "flannel-wg-v6"], {"PSK": PSK}, ipv6=True),
    "wireguard-ipv4": Case("wireguard", ["flannel-wg"], {"Mode": "ipv4"}, ipv6=True),
    "wireguard-ipv6": Case("wireguard", ["flannel-wg"], {"Mode": "ipv6", **ONE_PORT}, ipv6=True),
    "wireguard-auto": Case("wireguard", ["flannel-wg"], {"Mode": "auto", "PSK": PSK, **ONE_PORT}, ipv6=True),
}


def arguments_of(hosts: list[Host], case: Case, directory: Path) -> list[dict[str, Any]]:
    """The module's options for each host, with every other as its peer; for wireguard each has made its key."""
    keys = {}
    for host in hosts:
        if case.backend == "wireguard":
            keys[host.number] = host.module(
                module="flannel_dataplane_prepare",
                network_config=case.network_config,
                wireguard_key_file=str(directory / f"key{host.number}"),
            )["public_key"]
    everything = []
    for host in hosts:
        others = [other.number for other in hosts if other is not host]
        arguments = options(host.number, others, case.backend, ipv6=case.ipv6, **case.options)
        arguments["wireguard_key_file"] = str(directory / f"key{host.number}")
        for number, lease in zip([host.number, *others], [arguments["lease"], *arguments["peers"]], strict=True):
            if keys:
                port, port_v6 = case.options.get("ListenPort", 51820), case.options.get("ListenPortV6", 51821)
                lease["backend_data"] = {"PublicKey": keys[number], "Port": port}
                lease["backend_v6_data"] = {"PublicKey": keys[number], "Port": port_v6} if case.ipv6 else None
        everything.append(arguments)
    return everything


@pytest.mark.parametrize("name", [pytest.param(name, marks=needs(case.backend)) for name, case in CASES.items()])
def test_pods_reach_each_other(hosts: list[Host], tmp_path: Path, name: str) -> None:
    case = CASES[name]
    for host, arguments in zip(hosts, arguments_of(hosts, case, tmp_path), strict=True):
        host.shell("sysctl -qw net.ipv4.ip_forward=1", f"ip address add 10.5.{host.number}.5/32 dev lo")
        if case.ipv6:
            host.shell(f"ip address add fd00:10:5:{host.number}::5/128 dev lo nodad")
        result = host.module(**arguments)
        assert result["devices"] == case.links, result
        assert host.warnings(result) == []
        assert host.module(**arguments)["actions"] == []
    for host in hosts:
        for other in hosts:
            host.shell(f"ping -c 3 -i 0.2 -w 30 -I 10.5.{host.number}.5 10.5.{other.number}.5")
            if case.ipv6:
                host.shell(f"ping -c 3 -i 0.2 -w 30 -I fd00:10:5:{host.number}::5 fd00:10:5:{other.number}::5")
    # A peer that answered has an endpoint of its own by now, and still nothing is to be done.
    for host, arguments in zip(hosts, arguments_of(hosts, case, tmp_path), strict=True):
        assert host.module(**arguments)["actions"] == []


@needs("ipip")
def test_ipip_routes_of_peers_on_the_segment_go_over_the_underlay(hosts: list[Host], tmp_path: Path) -> None:
    case = CASES["ipip-directrouting"]
    hosts[0].module(**arguments_of(hosts, case, tmp_path)[0])
    routes = {route["dst"]: route for route in hosts[0].json("ip -j -4 route show")}
    for number in (2, 3):
        route = routes[f"10.5.{number}.0/24"]
        assert (route["dev"], route["gateway"], route["flags"]) == ("eth0", f"198.18.0.{number}", ["onlink"])


@needs("wireguard")
def test_ports_that_nobody_listens_on_are_warned_of(hosts: list[Host], tmp_path: Path) -> None:
    case = Case("wireguard", ["flannel-wg"], {"Mode": "auto"}, ipv6=True)
    (warning,) = hosts[0].warnings(hosts[0].module(**arguments_of(hosts, case, tmp_path)[0]))
    assert warning.endswith("set ListenPortV6 to the value of ListenPort")


@pytest.mark.parametrize("name", [pytest.param(name, marks=needs(case.backend)) for name, case in CASES.items()])
def test_repair_switch_and_leave(hosts: list[Host], tmp_path: Path, name: str) -> None:
    host, case = hosts[0], CASES[name]
    arguments = arguments_of(hosts, case, tmp_path)[0]
    host.module(**options(1, [2, 3]))
    switched = host.module(**arguments)
    assert "remove link flannel.1 (left over from another backend or family)" in switched["actions"]
    healthy = host.state()
    for link in case.links:
        damages = [f"ip link del {link}", f"ip link set {link} mtu 1300", f"ip address flush dev {link} scope global"]
        if shutil.which("wg") and case.backend == "wireguard":
            damages += [
                f"wg set {link} listen-port 51999",
                f"wg set {link} peer $(wg show {link} peers | head -1) remove",
                f"wg set {link} peer $(wg show {link} peers | head -1) allowed-ips 192.0.2.0/24",
            ]
        for damage in damages:
            host.shell(damage)
            assert host.module(**arguments)["changed"], damage
            assert host.state() == healthy, damage
            assert host.module(**arguments)["actions"] == [], damage
    gone = host.module(
        state="absent",
        network_config=arguments["network_config"],
        firewall="none",
        subnet_file="",
        wireguard_key_file=arguments["wireguard_key_file"],
    )
    assert gone["changed"]
    assert host.state()["links"] == []
    assert not (tmp_path / "key1").exists()
