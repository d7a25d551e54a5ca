# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A port of this machine, such as that of an API server, at the loopback of hosts that are namespaces."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

LISTEN = """
import socket, sys
with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as server, socket.socket(fileno=0) as parent:
    socket.send_fds(parent, [b"x"], [server.fileno()])
"""


def copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def reachable_from(enter: Callable[..., list[str]], port: int) -> Iterator[None]:
    """Let a port of this machine's loopback be reached at the loopback of a host: a socket keeps its first
    namespace. C(enter) makes the command line that runs a command in the host.
    """
    ours, theirs = socket.socketpair()
    with ours, theirs:
        subprocess.run(enter(sys.executable, "-c", LISTEN, str(port)), stdin=theirs, check=True)
        _data, (descriptor,), _flags, _address = socket.recv_fds(ours, 1, 1)
    server = socket.socket(fileno=descriptor)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                accepted, _address = server.accept()
                upstream = socket.create_connection(("127.0.0.1", port))
                for pair in ((accepted, upstream), (upstream, accepted)):
                    threading.Thread(target=copy, args=pair, daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()
