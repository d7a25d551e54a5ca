# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One attempt to reach a port: a TCP connection that is opened and closed, or a UDP datagram and its answer.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import errno
import socket
import time
from dataclasses import dataclass

ACCEPTED, REPLIED, REFUSED, FAILED, NONE = "accepted", "replied", "refused", "failed", "none"
"""What became of an attempt. C(accepted): the TCP connection was made. C(replied): a datagram came back. C(refused): a
TCP reset or an ICMP port unreachable came back. C(failed): this host or a router said that there is no way. C(none):
nothing came back in time."""

_SILENCE = (errno.ETIMEDOUT, errno.EAGAIN, errno.EINPROGRESS)


@dataclass(frozen=True)
class Attempt:
    """What became of it, seconds that it took, and the system's words for a failure."""

    answer: str
    seconds: float
    error: str = ""


def answer_of(error: OSError) -> str:
    """What an error of connect(2), send(2) or recv(2) says about the way (tcp(7), udp(7), ip(7))."""
    if isinstance(error, socket.timeout) or error.errno in _SILENCE:
        return NONE
    if error.errno in (errno.ECONNREFUSED, errno.ECONNRESET):
        return REFUSED
    return FAILED


@dataclass(frozen=True)
class Port:
    """What to reach: C(protocol) is tcp or udp; C(source) is the address to come from, or empty."""

    protocol: str
    address: str
    number: int
    source: str = ""


def attempt(port: Port, timeout: float, payload: bytes) -> Attempt:
    """Try once, from the calling thread's network namespace. C(timeout) is in seconds; only UDP sends C(payload)."""
    kind = socket.SOCK_STREAM if port.protocol == "tcp" else socket.SOCK_DGRAM
    started = time.monotonic()
    try:
        with socket.socket(socket.AF_INET6 if ":" in port.address else socket.AF_INET, kind) as opened:
            opened.settimeout(timeout)
            if port.source:
                opened.bind((port.source, 0))
            opened.connect((port.address, port.number))
            if port.protocol == "udp":
                opened.send(payload)
                opened.recv(1 << 16)
    except OSError as error:
        answer = answer_of(error)
        words = "" if answer == NONE else error.strerror or str(error)
        return Attempt(answer, time.monotonic() - started, words)
    return Attempt(ACCEPTED if port.protocol == "tcp" else REPLIED, time.monotonic() - started)
