# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A relay in front of an etcd, or another server, whose connections a test can break at a chosen moment."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from types import TracebackType


class Relay:
    """Passes bytes between its own port and that of an etcd. C(cut) names a text: a request that holds it reaches etcd,
    but its answer does not come back and the connection ends. C(received) counts the bytes that came from it. With a
    C(listener) of another network namespace, etcd is reached from there."""

    def __init__(self, port: int, listener: socket.socket | None = None) -> None:
        self._target = port
        self._listener = listener or socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self.cut = b""
        self.cuts = 0
        self.received = 0
        self._sockets: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Relay:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one in [self._listener, *self._sockets]:
            _close(one)

    def _accept(self) -> None:
        while True:
            try:
                client, _address = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._target), timeout=5)
            except OSError:
                _close(client)
                continue
            self._sockets += [client, server]
            threading.Thread(target=self._serve, args=(client, server), daemon=True).start()

    def _serve(self, client: socket.socket, server: socket.socket) -> None:
        silenced = threading.Event()

        def back() -> None:
            for data in _pieces(server):
                if silenced.is_set():
                    break
                self.received += len(data)
                client.sendall(data)
            _close(client)

        threading.Thread(target=back, daemon=True).start()
        for data in _pieces(client):
            if self.cut and self.cut in data and not silenced.is_set():
                silenced.set()
                self.cuts += 1
            with contextlib.suppress(OSError):
                server.sendall(data)
        _close(server)


def _pieces(source: socket.socket) -> Iterator[bytes]:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            yield data


def _close(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
