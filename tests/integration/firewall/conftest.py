# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A node, a pod on it, and the world outside: three network namespaces on this machine."""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000


@dataclass
class Lab:
    """Namespace names, and a process in the node's namespace whose /proc/<pid>/net is the node's."""

    node: str
    pod: str
    world: str
    anchor: subprocess.Popen[bytes]
    commands: list[str] = field(default_factory=list)

    @property
    def proc_net(self) -> str:
        return f"/proc/{self.anchor.pid}/net"

    def run(self, command: Sequence[str], text: str | None = None) -> tuple[int, str, str]:
        """The run callable of the module utilities, inside the node."""
        if shutil.which(command[0]) is None:
            raise FileNotFoundError(command[0])
        self.commands.append(" ".join(command))
        done = subprocess.run(
            ["ip", "netns", "exec", self.node, *command],
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    def shell(self, *lines: str, namespace: str | None = None) -> str:
        """Run shell lines in a namespace (the node's unless told) and return what they print."""
        command = ["ip", "netns", "exec", namespace or self.node, "sh", "-ec", "\n".join(lines)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def udp_socket(self, namespace: str, address: str, mark: int = 0) -> socket.socket:
        """A UDP socket that lives in the namespace and is bound to the address."""
        own = os.open("/proc/self/ns/net", os.O_RDONLY)
        other = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
        try:
            if LIBC.setns(other, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            made = socket.socket(family, socket.SOCK_DGRAM)
        finally:
            LIBC.setns(own, CLONE_NEWNET)
            os.close(own)
            os.close(other)
        made.settimeout(5)
        if mark:
            made.setsockopt(socket.SOL_SOCKET, 36, mark)  # SO_MARK
        made.bind((address, 0))
        return made

    def seen_source(self, sender: str, source: str, receiver: str, destination: str, mark: int = 0) -> str | None:
        """Send a datagram; return the source address that the receiver sees, None when nothing arrives."""
        with self.udp_socket(receiver, destination) as inbox, self.udp_socket(sender, source, mark) as outbox:
            outbox.sendto(b"x", inbox.getsockname()[:2])
            try:
                return str(inbox.recvfrom(16)[1][0])
            except TimeoutError:
                return None


@pytest.fixture
def lab() -> Iterator[Lab]:
    """Node 198.18.0.1, its pod 10.5.57.5, and a world that holds a remote pod 10.5.66.5 and an outsider 198.18.1.9."""
    if os.geteuid() != 0 or shutil.which("nft") is None or shutil.which("ip") is None:
        pytest.skip("needs root, iproute2 and nftables to build network namespaces")
    tag = f"fw{os.getpid()}"
    names = [f"{tag}{part}" for part in ("node", "pod", "world")]
    node, pod, world = names
    for name in names:
        subprocess.run(["ip", "netns", "add", name], check=True)
        # Without duplicate address detection IPv6 works at once.
        no_dad = "echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad"
        subprocess.run(["ip", "netns", "exec", name, "sh", "-c", no_dad], check=True)
    anchor = subprocess.Popen(["ip", "netns", "exec", node, "sleep", "600"])
    made = Lab(node, pod, world, anchor)
    try:
        made.shell(
            "ip link set lo up",
            f"ip link add pod0 type veth peer name eth0 netns {pod}",
            f"ip link add net0 type veth peer name eth0 netns {world}",
            "ip addr add 10.5.57.1/24 dev pod0",
            "ip addr add fd00:10:5:57::1/64 dev pod0 nodad",
            "ip addr add 198.18.0.1/24 dev net0",
            "ip addr add fd00:18::1/64 dev net0 nodad",
            "ip addr add 198.18.3.1/32 dev lo",
            "ip addr add fd00:18:3::1/128 dev lo nodad",
            "ip link set pod0 up",
            "ip link set net0 up",
            "ip route add default via 198.18.0.2",
            "ip -6 route add default via fd00:18::2",
            "echo 1 > /proc/sys/net/ipv4/ip_forward",
            "echo 1 > /proc/sys/net/ipv6/conf/all/forwarding",
        )
        made.shell(
            "ip addr add 10.5.57.5/24 dev eth0",
            "ip addr add fd00:10:5:57::5/64 dev eth0 nodad",
            "ip link set eth0 up",
            "ip route add default via 10.5.57.1",
            "ip -6 route add default via fd00:10:5:57::1",
            namespace=pod,
        )
        made.shell(
            "ip link set lo up",
            "ip addr add 198.18.0.2/24 dev eth0",
            "ip addr add fd00:18::2/64 dev eth0 nodad",
            "ip addr add 10.5.66.5/32 dev lo",
            "ip addr add fd00:10:5:66::5/128 dev lo nodad",
            "ip addr add 198.18.1.9/32 dev lo",
            "ip addr add fd00:18:1::9/128 dev lo nodad",
            "ip link set eth0 up",
            "ip route add default via 198.18.0.1",
            "ip -6 route add default via fd00:18::1",
            namespace=world,
        )
        yield made
    finally:
        anchor.terminate()
        anchor.wait()
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=True)
