# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One pod: it listens on its ports, and tries many others at once. Imports little, for it is started in a slow guest.

_prober.py <JSON: [[protocol, port], ...]> <TCP port of connections that stay>

Who connects by TCP or SCTP is sent the address that it is seen under.
Prints "ready" when it listens. Then each line of input is a JSON list, and the line of output to it one of booleans:

["try", seconds, [[protocol, address, port], ...]]  whether each was reached before nothing had come for that time
["keep", seconds, [address, ...]]                   whether each took a connection, which stays until "drop"
["ask", seconds]                                    whether each of these echoed a word
["hear", seconds]                                   whether a word came on each of these by itself
["say"]                                             a word is sent on each that others keep with this pod
["drop"]                                            those that were kept are closed

Or, of strings: ["seen", seconds, [[user, address, port], ...]], the address under which each of these saw a socket of
that user, by TCP, and nothing of those that did not answer.
"""

from __future__ import annotations

import errno
import json
import os
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
                connection, peer = server.accept()
                # An IPv4 address comes as one of IPv6.
                send(connection, peer[0].removeprefix("::ffff:").encode())
                connection.close()
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


class Pod:
    """What listens, and the connections that stay: `kept` with others by this pod, `taken` by others with it."""

    def __init__(self, selector: selectors.BaseSelector, ports: list, stay: int) -> None:
        self._selector = selector
        self.kept: list[socket.socket] = []
        self.taken: list[socket.socket] = []
        for protocol, port in ports:
            selector.register(listen(protocol, port), selectors.EVENT_READ, serve)
        selector.register(listen("TCP", stay), selectors.EVENT_READ, self._take)
        self._stay = stay

    def _take(self, server: socket.socket) -> None:
        made = server.accept()[0]
        made.setblocking(False)
        self.taken.append(made)
        self._selector.register(made, selectors.EVENT_READ, self._echo)

    def _echo(self, connection: socket.socket) -> None:
        text = read(connection)
        if text:
            send(connection, text)
        else:
            self._selector.unregister(connection)
            self.taken.remove(connection)
            connection.close()

    def probe(self, seconds: float, targets: list) -> list[bool]:
        """Try all targets at once, and go on serving meanwhile."""
        attempts = [Attempt(*target) for target in targets]
        self._finish(attempts, seconds)
        for attempt in attempts:
            attempt.socket.close()
        return [attempt.reached is True for attempt in attempts]

    def keep(self, seconds: float, addresses: list) -> list[bool]:
        """Connect to each, and keep the connections."""
        attempts = [Attempt("TCP", address, self._stay) for address in addresses]
        self._finish(attempts, seconds)
        self.kept = [attempt.socket for attempt in attempts]
        return [attempt.reached is True for attempt in attempts]

    def ask(self, seconds: float) -> list[bool]:
        """Whether each connection that is kept echoes a word."""
        for connection in self.kept:
            # What came late of an earlier word is no answer to this one.
            read(connection)
            send(connection)
        return self.hear(seconds)

    def hear(self, seconds: float) -> list[bool]:
        """Whether a word comes on each connection that is kept."""
        waiting = dict.fromkeys(self.kept, False)
        end = time.monotonic() + seconds
        while not all(waiting.values()) and time.monotonic() < end:
            time.sleep(0.05)
            for connection, heard in waiting.items():
                waiting[connection] = heard or bool(read(connection))
        return list(waiting.values())

    def say(self) -> list[bool]:
        """Send a word on each connection that others keep with this pod."""
        return [send(connection) for connection in self.taken]

    def drop(self) -> list[bool]:
        """Close what is kept."""
        closed = [connection.close() is None for connection in self.kept]
        self.kept = []
        return closed

    @staticmethod
    def seen(seconds: float, targets: list) -> list[str]:
        """Connect to each in turn and read what it says. Nothing is served meanwhile."""
        return [seen_by(user, (address, port), seconds) for user, address, port in targets]

    def _finish(self, attempts: list[Attempt], seconds: float) -> None:
        """Until each attempt is decided, or nothing has come for that time."""
        for attempt in attempts:
            if attempt.reached is None:
                event = selectors.EVENT_READ if attempt.datagram else selectors.EVENT_WRITE
                self._selector.register(attempt.socket, event, attempt)
        begin = last = time.monotonic()
        repeated = False
        while any(attempt.reached is None for attempt in attempts):
            events = self._selector.select(0.2)
            for key, _events in events:
                if isinstance(key.data, Attempt):
                    key.data.look()
                    self._selector.unregister(key.fileobj)
                else:
                    key.data(key.fileobj)
            now = time.monotonic()
            if not repeated and now > begin + REPEAT:
                repeated = True
                repeat(attempts)
            if events:
                last = now
            elif now > last + seconds:
                break
        for attempt in attempts:
            if attempt.socket in self._selector.get_map():
                self._selector.unregister(attempt.socket)


def seen_by(user: int, target: tuple[str, int], seconds: float) -> str:
    """The address under which it sees a connection of this user; nothing where none is made in time."""
    os.seteuid(user)
    try:
        with socket.create_connection(target, timeout=seconds) as connection:
            return connection.recv(64).decode()
    except OSError:
        return ""
    finally:
        os.seteuid(0)


def read(connection: socket.socket) -> bytes:
    """What waits there; nothing also where the connection has ended."""
    try:
        return connection.recv(64)
    except OSError:
        return b""


def send(connection: socket.socket, text: bytes = b"podnet") -> bool:
    """Send a word; whether the kernel took it."""
    try:
        return connection.send(text) > 0
    except OSError:
        return False


def main() -> None:
    """Serve and do what is asked until the input ends."""
    with selectors.DefaultSelector() as selector:
        pod = Pod(selector, json.loads(sys.argv[1]), int(sys.argv[2]))
        asked = {
            "try": pod.probe,
            "keep": pod.keep,
            "ask": pod.ask,
            "hear": pod.hear,
            "say": pod.say,
            "drop": pod.drop,
            "seen": pod.seen,
        }
        selector.register(sys.stdin, selectors.EVENT_READ)
        print("ready", flush=True)
        while True:
            for key, _events in selector.select():
                if key.data is not None:
                    key.data(key.fileobj)
                    continue
                line = sys.stdin.readline()
                if not line:
                    return
                name, *arguments = json.loads(line)
                print(json.dumps(asked[name](*arguments)), flush=True)


if __name__ == "__main__":
    main()
