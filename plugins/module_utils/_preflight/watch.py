# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sockets that see UDP packets twice: where they arrive at the host, and where they have passed its firewall.

Private to podnet.cni: may change in any release.

A packet socket gets what a link receives, before any rule. A raw socket gets what the input hook let through, also for
a port that the kernel's own vxlan or WireGuard holds (packet(7), raw(7)). A filter in the kernel keeps out all but UDP
for the wanted ports (Documentation/networking/filter.rst). What was seen is told over a socket with an abstract name.
"""

from __future__ import annotations

import ctypes
import json
import socket
import struct
from typing import Any, Sequence

ARRIVED, PASSED = "arrived", "passed"
SO_ATTACH_FILTER = 26
_ETH_P_ALL = 3
_OUTGOING = 4
# Offsets of the protocol of a packet among what the kernel knows of it (SKF_AD_OFF + SKF_AD_PROTOCOL).
_PROTOCOL = 0xFFFFF000
_LDH, _LDB, _LDH_X, _LDX_IHL, _JEQ, _RET = 0x28, 0x30, 0x48, 0xB1, 0x15, 0x06
_SHORTEST, _LONGEST = 28, 2048


class Watch:
    """The sockets of a watch; raises OSError where they cannot be opened, as without root."""

    def __init__(self, ports: Sequence[int], begins: bytes) -> None:
        self._begins = begins
        self.seen: dict[tuple[str, int, int], dict[str, int]] = {}
        self._kinds: dict[socket.socket, str] = {}
        self._opened: list[socket.socket] = []
        try:
            self._open(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL), _any(ports), "packet")
            self._open(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP, [*_ipv4(ports, 0)], "ipv4")
            if socket.has_ipv6:
                self._open(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_UDP, [*_udp(_LDH, 2, ports)], "ipv6")
            control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._kinds[control] = "control"
            self._opened.append(control)
            self._control = control
        except OSError:
            self.close()
            raise

    def _open(self, family: int, kind: int, protocol: int, program: Sequence[bytes], name: str) -> socket.socket:
        opened = socket.socket(family, kind, protocol)
        self._opened.append(opened)
        text = ctypes.create_string_buffer(b"".join(program))
        opened.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", len(program), ctypes.addressof(text)))
        self._kinds[opened] = name
        return opened

    @property
    def sockets(self) -> list[socket.socket]:
        """All of them, to wait for."""
        return list(self._opened)

    def tell_at(self, pid: int, started: int) -> None:
        """Tell what was seen to who connects to the name of this process."""
        self._control.bind(_name(pid, started))
        self._control.listen(4)

    def take(self, ready: socket.socket) -> None:
        """Take what a socket has; raises OSError."""
        kind = self._kinds[ready]
        if kind == "control":
            with ready.accept()[0] as asking:
                asking.settimeout(5)
                asking.sendall(json.dumps(self.told()).encode())
            return
        data, sender = ready.recvfrom(_LONGEST)
        # A few packets of other kinds come before the filter is there.
        if len(data) < _SHORTEST or (kind == "packet" and sender[2] == _OUTGOING):
            return
        version = data[0] >> 4 if kind == "packet" else int(kind[-1])
        # A raw socket of IPv6 gives what follows the IP header.
        start = 0 if kind == "ipv6" else 40 if version == 6 else 4 * (data[0] & 15)
        text = data[start + 8 :]
        if len(data) >= start + 8 and text.startswith(self._begins):
            port = struct.unpack_from("!H", data, start + 2)[0]
            source = text[len(self._begins) :].decode("utf-8", "replace").strip()
            counts = self.seen.setdefault((source, version, port), {ARRIVED: 0, PASSED: 0})
            counts[ARRIVED if kind == "packet" else PASSED] += 1

    def told(self) -> list[dict[str, Any]]:
        """What was seen, an entry for each source, family and port."""
        return [
            {"source": source, "family": family, "port": port, **counts}
            for (source, family, port), counts in self.seen.items()
        ]

    def close(self) -> None:
        """Close all sockets."""
        for opened in self._opened:
            opened.close()


def ask(pid: int, started: int, timeout: float = 5) -> list[dict[str, Any]]:
    """Return what the listener with this pid and start time has seen; empty where it does not watch."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(timeout)
        try:
            asking.connect(_name(pid, started))
            parts = []
            while part := asking.recv(65536):
                parts.append(part)
        except OSError:
            return []
    found: list[dict[str, Any]] = json.loads(b"".join(parts) or b"[]")
    return found


def _name(pid: int, started: int) -> str:
    return f"\0podnet.cni udp {pid} {started}"


def _line(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("HBBI", code, yes, no, value)


def _udp(load: int, offset: int, ports: Sequence[int]) -> list[bytes]:
    """Take the packet where the port at an offset is one of C(ports)."""
    matches = [_line(_JEQ, port, len(ports) - place) for place, port in enumerate(ports)]
    return [_line(load, offset), *matches, _line(_RET, 0), _line(_RET, _LONGEST)]


def _ipv4(ports: Sequence[int], start: int) -> list[bytes]:
    """The same for a packet that begins with an IPv4 header: its tenth octet is the protocol."""
    rest = [_line(_LDX_IHL, start), *_udp(_LDH_X, start + 2, ports)]
    # What is none ends with the line before the last one.
    return [_line(_LDB, start + 9), _line(_JEQ, socket.IPPROTO_UDP, 0, len(rest) - 2), *rest]


def _ipv6(ports: Sequence[int]) -> list[bytes]:
    rest = _udp(_LDH, 42, ports)
    return [_line(_LDB, 6), _line(_JEQ, socket.IPPROTO_UDP, 0, len(rest) - 2), *rest]


def _any(ports: Sequence[int]) -> list[bytes]:
    """The same for a packet of either family."""
    ipv4, ipv6 = _ipv4(ports, 0), _ipv6(ports)
    return [
        _line(_LDH, _PROTOCOL),
        _line(_JEQ, 0x0800, 0, len(ipv4)),
        *ipv4,
        # IPv4 packets have ended above.
        _line(_JEQ, 0x86DD, 0, len(ipv6) - 2),
        *ipv6,
    ]
