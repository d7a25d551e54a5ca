# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""While a node moves to another backend, no packet of a pod leaves it outside of a tunnel: its underlay is captured."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.tests.integration._kernel import needs
from ansible_collections.podnet.cni.tests.integration._netns import Host, Segment
from ansible_collections.podnet.cni.tests.integration.dataplane._leases import options

CAPTURE = Path(__file__).parents[1] / "_capture.py"
PODS = ipaddress.ip_network("10.5.0.0/16")
OTHER = ipaddress.ip_address("10.5.2.5")
ETHERNET, IPV4 = 14, b"\x08\x00"


class Frames:
    """What a host sent. `all` is there when the capture has ended."""

    all: list[bytes]

    def bare(self) -> list[str]:
        """The destinations of packets to pods that are in no tunnel."""
        addresses = [
            ipaddress.ip_address(frame[ETHERNET + 16 : ETHERNET + 20]) for frame in self.all if frame[12:14] == IPV4
        ]
        return [str(address) for address in addresses if address in PODS]

    def readable(self) -> int:
        """In how many the other pod's address can be read."""
        return sum(OTHER.packed in frame for frame in self.all)


@contextlib.contextmanager
def captured(segment: Segment, host: Host) -> Iterator[Frames]:
    """Capture what the host sends to its segment."""
    command = ["ip", "netns", "exec", segment.switch, sys.executable, str(CAPTURE), f"p{host.number}"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    frames = Frames()
    try:
        yield frames
    finally:
        text, _error = process.communicate("")
    mac = bytes.fromhex(host.json("ip -j link show eth0")[0]["address"].replace(":", ""))
    frames.all = [frame for frame in map(bytes.fromhex, json.loads(text)) if frame[6:12] == mac]


@contextlib.contextmanager
def traffic(host: Host) -> Iterator[None]:
    """A pod of this host sends to one of the other host all the time."""
    command = host.enter("ping", "-q", "-i", "0.002", "-I", f"10.5.{host.number}.5", str(OTHER))
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def segment() -> Iterator[Segment]:
    with Segment(2) as segment:
        for host in segment.hosts:
            host.shell(
                "sysctl -qw net.ipv4.ip_forward=1",
                f"ip address add 10.5.{host.number}.5/32 dev lo",
                # A gateway that takes what it is sent, as on most networks.
                "ip neigh add 198.18.0.254 lladdr 02:00:00:00:00:fe dev eth0 nud permanent",
            )
        yield segment


def arguments(host: Host, backend: str, directory: Path, **more: Any) -> dict[str, Any]:
    """The module's options for this host with the other as its peer; for wireguard both get their keys."""
    found = options(host.number, [3 - host.number], backend, **more)
    if backend == "wireguard":
        for lease in (found["lease"], *found["peers"]):
            number = int(lease["name"].rsplit("-", 1)[1])
            prepared = host.module(
                module="flannel_dataplane_prepare",
                network_config=found["network_config"],
                wireguard_key_file=str(directory / f"key{number}"),
            )
            lease["backend_data"] = {"PublicKey": prepared["public_key"], "Port": 51820}
        found["wireguard_key_file"] = str(directory / f"key{host.number}")
    if "VNI" in more:
        for lease in (found["lease"], *found["peers"]):
            lease["backend_data"]["VNI"] = more["VNI"]
    return found


@pytest.mark.parametrize(
    ("backend", "more"),
    [
        pytest.param("vxlan", {"VNI": 2}, id="another-vni"),
        pytest.param("ipip", {}, id="ipip", marks=needs("ipip")),
        pytest.param("wireguard", {}, id="wireguard", marks=needs("wireguard")),
    ],
)
def test_no_packet_leaves_outside_of_a_tunnel(
    segment: Segment, tmp_path: Path, backend: str, more: dict[str, Any]
) -> None:
    before = [arguments(host, "vxlan", tmp_path) for host in segment.hosts]
    after = [arguments(host, backend, tmp_path, **more) for host in segment.hosts]
    for host, wanted in zip(segment.hosts, before, strict=True):
        assert host.module(**wanted)["changed"]
    mover = segment.hosts[0]
    with captured(segment, mover) as moving, traffic(mover):
        for host, wanted in zip(segment.hosts, after, strict=True):
            assert host.module(**wanted)["changed"]
    assert moving.readable() > 0, "before the move a tunnel that anybody can read carried the packets"
    assert moving.bare() == []
    with captured(segment, mover) as moved:
        # A handshake that came before the peer was ready is tried again after 5 s (WireGuard, REKEY_TIMEOUT).
        mover.shell(f"ping -q -c 5 -i 0.2 -w 30 -I 10.5.{mover.number}.5 {OTHER}")
    assert len(moved.all) >= 5
    assert (moved.readable() == 0) == (backend == "wireguard")


def test_a_device_that_cannot_share_the_old_ones_port(segment: Segment, tmp_path: Path) -> None:
    mover = segment.hosts[0]
    for wanted in (arguments(mover, "vxlan", tmp_path), arguments(mover, "vxlan", tmp_path, VNI=2, GBP=True)):
        result = mover.module(**wanted)
        assert result.get("changed"), result
        assert mover.module(**wanted)["actions"] == []
