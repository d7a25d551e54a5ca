# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is read of hosts of a real kernel, and UDP between them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._preflight import host_network
from ansible_collections.podnet.cni.plugins.module_utils._preflight.host_checks import HOST_CHECKS
from ansible_collections.podnet.cni.tests.integration import _netns

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")

CONFIG = {"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}
VXLAN = (
    "ip link add flannel.1 mtu 1450 type vxlan id 1 dev eth0 dstport 8472 nolearning",
    "ip link set flannel.1 up",
)
HOLD = """
import socket
held = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
held.bind(("", 8472))
print(1, flush=True)
input()
"""
RUN = {"ports": [8472], "token": "a-run"}


@pytest.fixture(scope="module")
def hosts() -> Iterator[list[_netns.Host]]:
    with _netns.Segment(3) as segment:
        yield segment.hosts


def read(host: _netns.Host) -> dict[str, Any]:
    result = host.module(module="preflight_host_info", network_config=CONFIG, check=True)
    assert result["changed"] is False
    facts: dict[str, Any] = result["facts"]
    return facts


def udp(host: _netns.Host, state: str, **options: Any) -> dict[str, Any]:
    return host.module(module="preflight_udp_probe", state=state, check=True, **options)


def test_a_host_before_flannel(hosts: list[_netns.Host]) -> None:
    facts = read(hosts[0])
    assert facts["underlay"]["name"] == "eth0"
    assert facts["underlay"]["public_ip"] == hosts[0].public_ip
    assert facts["underlay"]["public_ipv6"] == hosts[0].public_ipv6
    assert facts["kinds"] == {"vxlan": True, "bridge": True, "veth": True}
    assert facts["ports"]["udp"] == {"8472": None}
    assert facts["sysctls"]["net.ipv4.ip_forward"] in ("0", "1")
    assert facts["firewall"]["tables"] == []
    assert {route["dst"] for route in facts["routes"]} >= {"0.0.0.0/0", "198.18.0.0/24", "::/0"}


def test_a_kind_of_link_that_no_kernel_knows() -> None:
    before = os.listdir("/sys/class/net")
    assert host_network.can_make(["podnet-none", "veth"]) == {"podnet-none": False, "veth": True}
    assert os.listdir("/sys/class/net") == before


def test_a_port_that_a_process_holds(hosts: list[_netns.Host]) -> None:
    with subprocess.Popen(
        hosts[1].enter(sys.executable, "-c", HOLD), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"1\n"
        holder = read(hosts[1])["ports"]["udp"]["8472"]
        process.communicate(b"\n")
    assert holder["pid"] == process.pid
    assert "python" in holder["process"]


def test_a_port_that_the_kernel_holds(hosts: list[_netns.Host]) -> None:
    host = hosts[2]
    host.shell(*VXLAN, "ip address add 10.244.3.0/32 dev flannel.1")
    try:
        facts = read(host)
        assert facts["ports"]["udp"] == {"8472": {"process": None, "pid": None}}
        link = next(link for link in facts["links"] if link["name"] == "flannel.1")
        assert link["vxlan"]["port"] == 8472
        assert link["addresses"] == ["10.244.3.0/32"]
        assert facts["checksum_offload"] == {"flannel.1": True}
        listeners = udp(host, "listening", addresses=[host.public_ip], **RUN)
        assert (listeners["listeners"][0]["state"], listeners["pid"]) == ("held", None)
    finally:
        host.shell("ip link del flannel.1")


@pytest.mark.parametrize("name", ["host.forwarding", "host.range_overlap", "host.udp_port", "host.forward_rules"])
def test_what_remedies_say_helps_on_a_real_kernel(hosts: list[_netns.Host], name: str) -> None:
    """The commands that a remedy gives are run, and the host is read again."""
    host = hosts[2]
    faults = {
        "host.forwarding": ("sysctl -qw net.ipv4.ip_forward=0", r"Set (net\.ipv4\.ip_forward) to 1", "sysctl -qw {}=1"),
        "host.range_overlap": ("ip route add blackhole 10.244.9.0/24", r"\((ip route del blackhole \S+)\)", "{}"),
        "host.udp_port": (
            "ip link add vx0 type vxlan id 7 dev eth0 dstport 8472 && ip link set vx0 up",
            r"Remove (vx0)",
            "ip link del {}",
        ),
        "host.forward_rules": (
            "nft 'table inet shut { chain way { type filter hook forward priority 0; policy drop; }; }'",
            r"from and to (\S+) through in chain inet shut way",
            "nft insert rule inet shut way ip saddr {0} accept; nft insert rule inet shut way ip daddr {0} accept",
        ),
    }
    fault, pattern, command = faults[name]
    check = next(each for each in HOST_CHECKS if each.id == name)

    def findings() -> list[Any]:
        found = check({"subject": "host", **read(host)}, {"network_config": CONFIG})
        assert found
        assert "unknown" not in {one.status for one in found}, found
        return [one for one in found if one.status == "failed"]

    host.shell("sysctl -qw net.ipv4.ip_forward=1")
    assert findings() == []
    try:
        host.shell(fault)
        (found,) = findings()
        matched = re.search(pattern, found.remedy)
        assert matched, found.remedy
        host.shell(command.format(*matched.groups()))
        assert findings() == []
    finally:
        host.shell("nft delete table inet shut 2>/dev/null || true", "ip link del vx0 2>/dev/null || true")


@pytest.mark.parametrize("address", ["public_ip", "public_ipv6"])
def test_udp_gets_through_or_not(hosts: list[_netns.Host], address: str) -> None:
    asker, listener = hosts[:2]
    target = {"name": "there", "address": getattr(listener, address)}
    started = udp(listener, "listening", addresses=[getattr(listener, address)], **RUN)
    assert started["listeners"][0]["state"] == "listening"
    question = {"addresses": [getattr(asker, address)], "source": "here", "targets": [target], **RUN}
    try:
        assert udp(asker, "asked", **question)["probes"][0]["open"] is True
        listener.shell(
            "nft add table inet podnet_test",
            "nft 'add chain inet podnet_test in { type filter hook input priority 0; }'",
            "nft add rule inet podnet_test in udp dport 8472 drop",
        )
        closed = udp(asker, "asked", timeout=0.1, **question)["probes"][0]
        assert (closed["open"], closed["error"]) == (False, "no answer")
        listener.shell("nft delete table inet podnet_test")
    finally:
        stopped = udp(listener, "stopped", pid=started["pid"], start_time=started["start_time"])
    assert stopped["stopped"] is True
    refused = udp(asker, "asked", timeout=0.2, **question)["probes"][0]
    assert (refused["open"], refused["error"]) == (False, "Connection refused")
