# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HTTP/1.1 with keep-alive and bounds on everything a client can waste.

Private to podnet.cni: may change in any release.

The API server talks HTTP/1.1 to webhooks behind a Service and keeps up to 25 idle connections for 90 s
(k8s.io/apiserver pkg/util/webhook/client.go), so we wait a little longer than that before we close an idle one.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import Any, Awaitable, Callable, Mapping

REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    411: "Length Required",
    413: "Content Too Large",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


@dataclass(frozen=True)
class Limits:
    """Octets, seconds and the number of connections at a time."""

    header_octets: int = 16 * 1024
    body_octets: int = 3 * 1024 * 1024
    handshake: float = 5.0
    header: float = 5.0
    """For the head of a request, and for the first octet of a new connection: clients connect when they have one."""
    body: float = 10.0
    write: float = 10.0
    idle: float = 120.0
    connections: int = 512


@dataclass(frozen=True)
class Reply:
    """An answer to a request."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"


Handler = Callable[[str, str, bytes], Awaitable[Reply]]
"""Method, path without query, body -> reply."""


class _Refused(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(REASONS[status])
        self.status = status


@dataclass
class _State:
    """Of a connection: idle since when, whether a request is under way, whether one was answered before."""

    since: float
    busy: bool = False
    served: bool = False


class HttpServer:
    """One listening socket."""

    def __init__(self, handler: Handler, limits: Limits) -> None:
        self.handler = handler
        self.limits = limits
        self.draining = False
        self.refused_connections = 0
        self.evicted_connections = 0
        self._open: dict[asyncio.StreamWriter, _State] = {}
        self._server: Any = None

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._open)

    async def start(self, host: str, port: int, context: ssl.SSLContext | None = None) -> int:
        """Listen and give the port, which is a free one when 0 was asked for."""
        self._server = await asyncio.start_server(
            self._serve,
            host or None,
            port,
            limit=self.limits.header_octets,
            backlog=1024,
            ssl=context,
            ssl_handshake_timeout=self.limits.handshake if context is not None else None,
        )
        return int(self._server.sockets[0].getsockname()[1])

    def drain(self) -> None:
        """Go on serving, but ask each client to close its connection with the next answer.

        A connection that is simply closed while it is idle fails the request that its client sends at that moment, and
        the API server's client does not try again.
        """
        self.draining = True

    async def stop(self, grace: float) -> None:
        """Accept no more, let requests under way end within C(grace) seconds, then close every connection."""
        self.drain()
        if self._server is not None:
            self._server.close()
        for _step in range(int(grace * 20)):
            if not any(state.busy for state in self._open.values()):
                break
            await asyncio.sleep(0.05)
        for writer in list(self._open):
            writer.close()
        await asyncio.sleep(0.1)
        for writer in list(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._open) >= self.limits.connections and not self._evict():
            self.refused_connections += 1
            writer.transport.abort()
            return
        state = self._open[writer] = _State(asyncio.get_event_loop().time())
        try:
            while await self._exchange(reader, writer, state):
                pass
        except (OSError, EOFError, asyncio.CancelledError):
            # The client went away, or one of our own timers cut the connection.
            pass
        finally:
            self._open.pop(writer, None)
            writer.close()

    def _evict(self) -> bool:
        """Make room: close the connection that has been idle longest, first of all one that never asked anything.

        Else clients that say nothing would keep the API server out.
        """
        idle = [(state.served, state.since, writer) for writer, state in self._open.items() if not state.busy]
        if not idle:
            return False
        writer = min(idle, key=lambda each: each[:2])[2]
        del self._open[writer]
        writer.transport.abort()
        self.evicted_connections += 1
        return True

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, state: _State) -> bool:
        """Read a request and answer it; whether the connection stays open."""
        keep = False
        try:
            method, path, headers = await self._head(reader, writer, state)
            state.busy = True
            body = await self._body(reader, writer, headers)
            reply = await self.handler(method, path, body)
            keep = headers.get("connection", "").lower() != "close" and not self.draining
        except _Refused as refusal:
            reply = Reply(refusal.status, str(refusal).encode())
        with _Timer(writer, self.limits.write):
            writer.write(_encode(reply, keep))
            await writer.drain()
        state.busy, state.served, state.since = False, True, asyncio.get_event_loop().time()
        return keep

    async def _head(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, state: _State
    ) -> tuple[str, str, dict[str, str]]:
        with _Timer(writer, self.limits.idle if state.served else self.limits.header):
            start = await reader.readexactly(1)
        try:
            with _Timer(writer, self.limits.header):
                rest = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            raise _Refused(431) from None
        first, *lines = (start + rest).decode("latin-1").split("\r\n")
        parts = first.split(" ")
        if len(parts) != 3 or not parts[2].startswith("HTTP/1.") or not parts[1].startswith("/"):
            raise _Refused(400)
        headers = {}
        for line in lines:
            name, colon, value = line.partition(":")
            if not line:
                continue
            if not colon or not name or name != name.strip() or name.lower() in headers:
                raise _Refused(400)
            headers[name.lower()] = value.strip()
        return parts[0], parts[1].split("?", 1)[0], headers

    async def _body(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, headers: Mapping[str, str]
    ) -> bytes:
        if "transfer-encoding" in headers:
            raise _Refused(411)
        text = headers.get("content-length", "0")
        if not text.isascii() or not text.isdigit() or len(text) > 12:
            raise _Refused(400)
        length = int(text)
        if length > self.limits.body_octets:
            raise _Refused(413)
        with _Timer(writer, self.limits.body):
            return await reader.readexactly(length)


class _Timer:
    """Cuts the connection when its block takes longer; far cheaper than a task for each wait."""

    def __init__(self, writer: asyncio.StreamWriter, seconds: float) -> None:
        self._handle = asyncio.get_event_loop().call_later(seconds, writer.transport.abort)

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_exc: object) -> None:
        self._handle.cancel()


def _encode(reply: Reply, keep: bool) -> bytes:
    head = (
        f"HTTP/1.1 {reply.status} {REASONS[reply.status]}\r\n"
        f"Content-Type: {reply.content_type}\r\n"
        f"Content-Length: {len(reply.body)}\r\n"
        f"Connection: {'keep-alive' if keep else 'close'}\r\n\r\n"
    )
    return head.encode("ascii") + reply.body
