# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One pod: it listens on its ports, and tries many others at once. Imports little, for it is started in a slow guest.

_prober.py <JSON: [[protocol, port], ...]>

Prints "ready" when it listens. Then each line of input is a JSON list [seconds, [[protocol, address, port], ...]], and
the line of output to it a JSON list of booleans: whether each was reached before nothing had come for that time.
"""

from __future__ import annotations

import errno
import json
import selectors
import socket
import sys
import time

STREAMS = {"TCP": socket.IPPROTO_TCP, "SCTP": 132}
# A datagram may be lost where many wait for a verdict; the kernel repeats the others by itself.
REPEAT = 1.0


def listen(protocol: str, port: int) -> socket.socket:
    """A socket for both families that is bound, and listens where the protocol has connections."""
    if protocol == "UDP":
        made = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    else:
        made = socket.socket(socket.AF_INET6, socket.SOCK_STREAM, STREAMS[protocol])
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    made.bind(("::", port))
    if protocol != "UDP":
        made.listen(512)
    made.setblocking(False)
    return made


def serve(server: socket.socket) -> None:
    """Answer what waits at a listening socket."""
    while True:
        try:
            if server.type == socket.SOCK_DGRAM:
                text, sender = server.recvfrom(64)
                server.sendto(text, sender)
            else:
                server.accept()[0].close()
        except BlockingIOError:
            return
        except OSError:
            continue


class Attempt:
    """One try to reach an address and port; `reached` is None until that is known."""

    def __init__(self, protocol: str, address: str, port: int) -> None:
        self.reached: bool | None = None
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.datagram = protocol == "UDP"
        if self.datagram:
            self.socket = socket.socket(family, socket.SOCK_DGRAM)
        else:
            self.socket = socket.socket(family, socket.SOCK_STREAM, STREAMS[protocol])
        self.socket.setblocking(False)
        code = self.socket.connect_ex((address, port))
        if code not in (0, errno.EINPROGRESS):
            self.reached = False
        if self.datagram:
            self.send()

    def send(self) -> None:
        """Send the datagram, for the first time or again."""
        try:
            self.socket.send(b"podnet")
        except OSError:
            self.reached = False

    def look(self) -> None:
        """Something happened at the socket."""
        if self.datagram:
            try:
                self.reached = self.socket.recv(64) == b"podnet"
            except OSError:
                self.reached = False
        else:
            self.reached = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0


def repeat(attempts: list[Attempt]) -> None:
    """Send the datagrams again that had no answer."""
    for attempt in attempts:
        if attempt.datagram and attempt.reached is None:
            attempt.send()


def probe(servers: selectors.BaseSelector, seconds: float, targets: list) -> list[bool]:
    """Try all targets at once, and go on serving meanwhile."""
    attempts = [Attempt(*target) for target in targets]
    for attempt in attempts:
        if attempt.reached is None:
            event = selectors.EVENT_READ if attempt.datagram else selectors.EVENT_WRITE
            servers.register(attempt.socket, event, attempt)
    begin = last = time.monotonic()
    repeated = False
    while any(attempt.reached is None for attempt in attempts):
        events = servers.select(0.2)
        for key, _events in events:
            if isinstance(key.data, Attempt):
                key.data.look()
                servers.unregister(key.fileobj)
            else:
                serve(key.fileobj)
        now = time.monotonic()
        if not repeated and now > begin + REPEAT:
            repeated = True
            repeat(attempts)
        if events:
            last = now
        elif now > last + seconds:
            break
    for attempt in attempts:
        if attempt.socket in servers.get_map():
            servers.unregister(attempt.socket)
        attempt.socket.close()
    return [attempt.reached is True for attempt in attempts]


def main() -> None:
    """Serve and probe until the input ends."""
    with selectors.DefaultSelector() as selector:
        for protocol, port in json.loads(sys.argv[1]):
            selector.register(listen(protocol, port), selectors.EVENT_READ, "server")
        selector.register(sys.stdin, selectors.EVENT_READ, "input")
        print("ready", flush=True)
        while True:
            for key, _events in selector.select():
                if key.data == "server":
                    serve(key.fileobj)
                    continue
                line = sys.stdin.readline()
                if not line:
                    return
                print(json.dumps(probe(selector, *json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
