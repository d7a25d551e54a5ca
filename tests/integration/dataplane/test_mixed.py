# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real flanneld and hosts of ours in one network of ipip or wireguard: pods reach each other both ways."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.tests.integration import _etcd, _flanneld
from ansible_collections.podnet.cni.tests.integration._kernel import needs
from ansible_collections.podnet.cni.tests.integration._netns import Host
from ansible_collections.podnet.cni.tests.integration.dataplane import _leases
from ansible_collections.podnet.cni.tests.integration.dataplane._leases import config
from ansible_collections.podnet.cni.tests.integration.dataplane.test_tunnels import PSK

CASES: dict[str, dict[str, Any]] = {
    "ipip": config("ipip"),
    "ipip-directrouting": config("ipip", DirectRouting=True),
    "wireguard": config("wireguard", PSK=PSK, PersistentKeepaliveInterval=25),
    "wireguard-separate": config("wireguard", ipv6=True),
    "wireguard-auto": config("wireguard", ipv6=True, Mode="auto", ListenPortV6=51820),
}


class Network:
    """Hosts in one etcd: the first runs flanneld, the others are ours."""

    def __init__(self, hosts: list[Host], etcd: _etcd.EtcdServer, wanted: dict[str, Any], directory: Path) -> None:
        self.theirs, *self.ours = hosts
        self.daemon = _flanneld.Flanneld(self.theirs, etcd, _leases.PREFIX, directory)
        self._etcd = etcd
        self._config = wanted
        self._directory = directory
        self._own: dict[int, str] = {}
        _leases.write_config(etcd, wanted)

    def join(self, host: Host) -> None:
        """Write the lease of a host of ours."""
        key = ""
        if self._config["Backend"]["Type"] == "wireguard":
            key = host.module(
                module="flannel_dataplane_prepare", network_config=self._config, wireguard_key_file=self._key(host)
            )["public_key"]
        self._own[host.number] = _leases.write(self._etcd, _leases.lease_in(self._config, host.number, key))

    def program(self) -> None:
        """Program the hosts of ours by what is in etcd."""
        leases = _leases.read(self._etcd)
        for host in self.ours:
            own = self._own[host.number]
            result = host.module(
                network_config=self._config,
                lease=leases[own],
                foreign_peers=[found for key, found in leases.items() if key != own],
                wireguard_key_file=self._key(host),
                firewall="none",
                subnet_file="",
            )
            assert not result.get("failed"), result
            assert host.warnings(result) == []

    def pods(self, host: Host) -> list[str]:
        """The addresses of a pod on a host, which are there afterwards."""
        subnet = f"10.5.{host.number}.0/24", f"fd00:10:5:{host.number}::/64"
        if host is self.theirs:
            values = dict(line.split("=", 1) for line in self.daemon.subnet_file.read_text().split())
            subnet = values["FLANNEL_SUBNET"], values.get("FLANNEL_IPV6_SUBNET", "")
        addresses = [subnet[0].rsplit(".", 1)[0] + ".5"]
        if self._config.get("EnableIPv6"):
            addresses.append(subnet[1].rsplit("::", 1)[0] + "::5")
        for address in addresses:
            host.shell(f"ip address replace {address}/{128 if ':' in address else 32} dev lo nodad")
        return addresses

    def reach(self) -> None:
        """Every pod reaches every other."""
        hosts = [self.theirs, *self.ours]
        pods = {host.number: self.pods(host) for host in hosts}
        for host in hosts:
            for other in hosts:
                for source, target in zip(pods[host.number], pods[other.number], strict=True):
                    host.shell(f"ping -q -c 3 -i 0.2 -w 30 -I {source} {target}")

    def _key(self, host: Host) -> str:
        return str(self._directory / f"key{host.number}")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=needs(wanted["Backend"]["Type"])) for name, wanted in CASES.items()]
)
def test_beside_a_running_flanneld(hosts: list[Host], tmp_path: Path, name: str) -> None:
    for host in hosts:
        # flanneld does not start without this module.
        host.shell("[ -e /proc/sys/net/bridge ] || modprobe br_netfilter")
        host.shell("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
    with _etcd.running(today=True) as etcd:
        network = Network(hosts, etcd, CASES[name], tmp_path)
        network.join(hosts[1])
        network.daemon.start()
        try:
            assert network.daemon.wait(_flanneld.READY), network.daemon.log()
            # This one comes while flanneld runs.
            network.join(hosts[2])
            network.program()
            network.reach()
            network.daemon.kill()
            network.daemon.start()
            assert network.daemon.wait(_flanneld.READY), network.daemon.log()
            network.program()
            network.reach()
        finally:
            network.daemon.kill()
