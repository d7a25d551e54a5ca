# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Backends ipip and wireguard, on kernels that have them; elsewhere these tests are counted as skipped."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.tests.integration._netns import Host
from ansible_collections.podnet.cni.tests.integration.dataplane._leases import config, options

NAMES = {"ipip": ["flannel.ipip"], "wireguard": ["flannel-wg"]}


def need(host: Host, kind: str) -> None:
    """Skip unless the running kernel has links of this kind."""
    add = host.enter("ip", "link", "add", "name", "probe0", "type", kind)
    if subprocess.run(add, capture_output=True, check=False).returncode:
        pytest.skip(f"this kernel has no {kind} links")
    host.shell("ip link del probe0")


def program(hosts: list[Host], backend: str, directory: Path) -> list[dict[str, Any]]:
    """Program every host with every other as its peer; return the options of each."""
    numbers = [host.number for host in hosts]
    everything = []
    keys = {}
    for host in hosts:
        if backend == "wireguard":
            prepared = host.module(
                state="prepared",
                network_config=config(backend),
                wireguard_key_file=str(directory / f"key{host.number}"),
            )
            keys[host.number] = prepared["public_key"]
    for host in hosts:
        others = [number for number in numbers if number != host.number]
        arguments = options(host.number, others, backend)
        arguments["wireguard_key_file"] = str(directory / f"key{host.number}")
        if backend == "wireguard":
            for number, data in zip([host.number, *others], [arguments["lease"], *arguments["peers"]], strict=True):
                data["backend_data"] = {"PublicKey": keys[number], "Port": 51820}
        everything.append(arguments)
    return everything


@pytest.mark.parametrize("backend", ["ipip", "wireguard"])
def test_pods_reach_each_other(hosts: list[Host], tmp_path: Path, backend: str) -> None:
    need(hosts[0], backend)
    everything = program(hosts, backend, tmp_path)
    for host, arguments in zip(hosts, everything, strict=True):
        host.shell("sysctl -qw net.ipv4.ip_forward=1", f"ip address add 10.5.{host.number}.5/32 dev lo")
        result = host.module(**arguments)
        assert result["devices"] == NAMES[backend], result
        assert host.module(**arguments)["actions"] == []
    for host in hosts:
        for other in hosts:
            host.shell(f"ping -c 3 -i 0.2 -W 2 -I 10.5.{host.number}.5 10.5.{other.number}.5")


@pytest.mark.parametrize("backend", ["ipip", "wireguard"])
def test_repair_switch_and_leave(hosts: list[Host], tmp_path: Path, backend: str) -> None:
    host = hosts[0]
    need(host, backend)
    arguments = program(hosts, backend, tmp_path)[0]
    host.module(**options(1, [2, 3]))
    switched = host.module(**arguments)
    assert "remove link flannel.1 (left over from another backend or family)" in switched["actions"]
    healthy = host.state()
    (name,) = NAMES[backend]
    for damage in (f"ip link del {name}", f"ip link set {name} mtu 1300", f"ip route flush dev {name}"):
        host.shell(damage)
        assert host.module(**arguments)["changed"]
        assert host.state() == healthy
        assert host.module(**arguments)["actions"] == []
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
