# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Requests to the API server with the standard library alone.

Private to podnet.cni: may change in any release.

The same three calls that the modules' client has, so that the sync of existing pods runs with either.
"""

from __future__ import annotations

import http.client
import json
import os
import ssl
import threading
import time
from typing import Any, Iterator, Mapping, NamedTuple
from urllib.parse import urlencode, urlsplit

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import BY_STATUS, KubeError, Unreachable

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
PATCH_TYPES = {"merge": "application/merge-patch+json"}


class Page(NamedTuple):
    """All items of a collection and the version they were read at."""

    items: list[Any]
    resource_version: str


class Api:
    """A client for one API server; each thread has a connection of its own."""

    def __init__(
        self, server: str, ca_file: str | None, token_file: str | None = None, *, timeout: float = 10.0
    ) -> None:
        address = urlsplit(server)
        if address.scheme != "https" or not address.hostname:
            raise InputError(f"API server {server!r} is not an https address.")
        self._host, self._port = address.hostname, address.port or 443
        self._token_file = token_file
        self._timeout = timeout
        self._context = ssl.create_default_context(cafile=ca_file)
        self._local = threading.local()
        self._watching: http.client.HTTPConnection | None = None

    @classmethod
    def in_cluster(cls) -> Api:
        """The API server of the cluster that this pod runs in. Raises InputError elsewhere."""
        host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT")
        if not host or not port:
            raise InputError("KUBERNETES_SERVICE_HOST is not set: give --api-server, --ca-file and --token-file.")
        name = f"[{host}]" if ":" in host else host
        return cls(f"https://{name}:{port}", f"{ACCOUNT}/ca.crt", f"{ACCOUNT}/token")

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """One object."""
        return self._request("GET", _with_query(path, query))

    def list(self, path: str, query: Mapping[str, Any] | None = None) -> Page:
        """All items of a collection, page by page."""
        items: list[Any] = []
        token = ""
        while True:
            page = self._request("GET", _with_query(path, {**(query or {}), "limit": 500, "continue": token}))
            items += page.get("items") or []
            metadata = page.get("metadata") or {}
            token = metadata.get("continue") or ""
            if not token:
                return Page(items, str(metadata.get("resourceVersion") or ""))

    def patch(self, path: str, body: Any, kind: str = "merge") -> dict[str, Any]:
        """Patch an object."""
        return self._request("PATCH", path, json.dumps(body), PATCH_TYPES[kind])

    def watch(self, path: str, resource_version: str, seconds: int = 240) -> Iterator[tuple[str, dict[str, Any]]]:
        """Events (type, object) of a collection until the server ends the watch. Raises KubeError."""
        query = {
            "watch": "true",
            "resourceVersion": resource_version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": seconds,
        }
        connection = self._connect(seconds + 15.0)
        self._watching = connection
        try:
            reply = self._send(connection, "GET", _with_query(path, query))
            if reply.status >= 400:
                raise _error(reply.status, reply.read(), "WATCH", path)
            for line in reply:
                event = json.loads(line)
                item = event.get("object") or {}
                if event.get("type") == "ERROR":
                    raise _error(int(item.get("code") or 500), line, "WATCH", path)
                yield str(event.get("type")), item
        except (OSError, http.client.HTTPException, ValueError, AttributeError) as error:
            raise _unreachable(error, "WATCH", path) from None
        finally:
            self._watching = None
            connection.close()

    def end_watch(self) -> None:
        """End an open watch from another thread."""
        connection = self._watching
        if connection is not None and connection.sock is not None:
            connection.sock.close()

    def _request(self, method: str, url: str, body: str | None = None, kind: str = "") -> dict[str, Any]:
        path = url.split("?", 1)[0]
        for attempt in (1, 2):
            connection = getattr(self._local, "connection", None)
            fresh = connection is None
            if connection is None:
                connection = self._local.connection = self._connect(self._timeout)
            try:
                reply = self._send(connection, method, url, body, kind)
                content = reply.read()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                self._local.connection = None
                # A kept-alive connection may have been closed at the other end; everything we send can be repeated.
                if fresh or attempt == 2:
                    raise _unreachable(error, method, path) from None
                continue
            if reply.status >= 400:
                raise _error(reply.status, content, method, path)
            return _object(content, method, path)
        raise Unreachable(f"{method} {path}: no answer.", path=path)

    def _connect(self, timeout: float) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(self._host, self._port, timeout=timeout, context=self._context)

    def _send(
        self, connection: http.client.HTTPConnection, method: str, url: str, body: str | None = None, kind: str = ""
    ) -> http.client.HTTPResponse:
        headers = {"Accept": "application/json", "User-Agent": "podnet.cni"}
        if kind:
            headers["Content-Type"] = kind
        if self._token_file:
            # Kubernetes renews the token, so it is read each time.
            with open(self._token_file, encoding="ascii") as stream:
                headers["Authorization"] = f"Bearer {stream.read().strip()}"
        connection.request(method, url, body, headers)
        return connection.getresponse()


def backoff(attempt: int) -> float:
    """Seconds to wait before a further try; replicas differ in the fraction."""
    return float(min(30.0, 0.5 * 2 ** min(attempt, 6)) + (time.monotonic() * 7) % 0.5)


def _with_query(path: str, query: Mapping[str, Any] | None) -> str:
    given = {name: value for name, value in (query or {}).items() if value not in (None, "")}
    return f"{path}?{urlencode(given)}" if given else path


def _object(content: bytes, method: str, path: str) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        found = None
    if isinstance(found, dict):
        return found
    raise Unreachable(f"{method} {path}: the answer is not a JSON object.", path=path)


def _error(status: int, content: bytes, method: str, path: str) -> KubeError:
    try:
        found = json.loads(content)
    except ValueError:
        found = {}
    if isinstance(found, dict) and isinstance(found.get("object"), dict):
        found = found["object"]
    text = str(found.get("message") or "") if isinstance(found, dict) else ""
    return BY_STATUS.get(status, KubeError)(f"{method} {path}: {status} {text}"[:500], status=status, path=path)


def _unreachable(error: Exception, method: str, path: str) -> KubeError:
    return Unreachable(f"{method} {path}: {type(error).__name__}: {error}", path=path)
