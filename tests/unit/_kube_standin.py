# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stand-in for the Kubernetes API, for what a plain HTTP server can show and for faults a real one seldom has.

It knows objects, collections across namespaces, label and field selectors, pages, metadata-only lists, merge patches
with resourceVersion, and watches with bookmarks and forgotten versions. It knows nothing of validation, admission,
field ownership or authentication. tests/integration/kube/test_standin.py holds it against a real server.
"""

from __future__ import annotations

import contextlib
import copy
import json
import threading
import time
import urllib.parse
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PARTIAL = "as=PartialObjectMetadataList"


@dataclass
class Fault:
    """An answer given instead of the real one: a status with headers, raw text, or a cut connection (status 0)."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    text: str | None = None
    delay: float = 0.0
    when: Callable[[str, str], bool] = lambda _method, _path: True


class _Refusal(Exception):
    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.body = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            "code": status,
        }
        self.status = status


class KubeStandIn:
    """Objects by path, a log of (method, path with query, headers), and faults that are used up in order.

    ``denied`` decides which (verb, path) gets 403, the verb being list, get, watch, create, patch or delete.
    """

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.log: list[tuple[str, str, dict[str, str]]] = []
        self.faults: deque[Fault] = deque()
        self.denied: Callable[[str, str], bool] = lambda _verb, _path: False
        self.oldest = 0
        self._version = 1
        self._history: list[tuple[int, str, str, dict[str, Any]]] = []
        self._changed = threading.Condition()
        handler = type("Handler", (_Handler,), {"standin": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> KubeStandIn:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def put(self, path: str, item: dict[str, Any]) -> dict[str, Any]:
        """Store an object, as if somebody else had written it."""
        item = copy.deepcopy(item)
        with self._changed:
            known = path in self.objects
            item.setdefault("metadata", {}).setdefault("name", path.rsplit("/", 1)[1])
            self._record("MODIFIED" if known else "ADDED", path, item)
        return item

    def remove(self, path: str) -> dict[str, Any]:
        """Delete an object."""
        with self._changed:
            item = self.objects[path]
            self._record("DELETED", path, item)
            del self.objects[path]
        return item

    def forget(self) -> None:
        """Make every version up to now too old to continue from."""
        self.oldest = self._version

    def requests(self, method: str = "GET") -> list[str]:
        """Paths of the requests of one method, in order."""
        return [path for verb, path, _headers in self.log if verb == method]

    def _record(self, kind: str, path: str, item: dict[str, Any]) -> None:
        self._version += 1
        item["metadata"]["resourceVersion"] = str(self._version)
        self.objects[path] = item
        self._history.append((self._version, kind, path, copy.deepcopy(item)))
        self._changed.notify_all()

    def answer(self, method: str, path: str, query: dict[str, str], accept: str, body: Any) -> Any:
        """The JSON answer to a request that is not a watch; raises _Refusal."""
        collection = path.rsplit("/", 1)[0]
        if method == "GET" and path in self.objects:
            self._allow("get", path)
            return self.objects[path]
        if method == "GET" and self._is_collection(path):
            self._allow("list", path)
            return self._list(path, query, PARTIAL in accept)
        if method == "POST":
            self._allow("create", path)
            target = f"{path}/{body['metadata']['name']}"
            if target in self.objects:
                raise _Refusal(
                    409, "AlreadyExists", f'{path.rsplit("/", 1)[1]} "{target.rsplit("/", 1)[1]}" already exists'
                )
            return self.put(target, body)
        target = path.removesuffix("/status")
        if target not in self.objects:
            self._allow(method.lower(), path)
            name = path.rsplit("/", 1)[1]
            raise _Refusal(404, "NotFound", f'{collection.rsplit("/", 1)[1]} "{name}" not found')
        self._allow(method.lower(), path)
        if method == "DELETE":
            self.remove(target)
            return {"kind": "Status", "apiVersion": "v1", "status": "Success"}
        return self._patch(target, body)

    def events(self, path: str, since: int, seconds: float) -> Iterator[dict[str, Any]]:
        """Watch events after a version, for so many seconds; raises _Refusal for a forgotten version."""
        self._allow("watch", path)
        if since < self.oldest:
            raise _Refusal(410, "Expired", f"too old resource version: {since} ({self.oldest})")
        end = time.monotonic() + seconds
        while True:
            with self._changed:
                news = [entry for entry in self._history if entry[0] > since]
                if not news:
                    if not self._changed.wait(max(0.0, min(end - time.monotonic(), 0.05))) and time.monotonic() >= end:
                        break
                    continue
            for version, kind, where, item in news:
                since = version
                if _matches(path, where):
                    yield {"type": kind, "object": item}
        metadata = {"resourceVersion": str(self._version), "creationTimestamp": None}
        yield {"type": "BOOKMARK", "object": {"kind": "Node", "apiVersion": "v1", "metadata": metadata}}

    def _allow(self, verb: str, path: str) -> None:
        if self.denied(verb, path):
            resource = path.rsplit("/", maxsplit=1)[-1]
            message = f'{resource} is forbidden: User "tester" cannot {verb} resource "{resource}"'
            raise _Refusal(403, "Forbidden", message)

    def _is_collection(self, path: str) -> bool:
        return path in ("/api/v1/nodes", "/apis/apps/v1/daemonsets") or any(
            _matches(path, known) for known in self.objects
        )

    def _list(self, path: str, query: dict[str, str], partial: bool) -> dict[str, Any]:
        found = [
            item for where, item in sorted(self.objects.items()) if _matches(path, where) and _selected(item, query)
        ]
        start, version = 0, self._version
        if query.get("continue"):
            version, start = (int(part) for part in query["continue"].split("."))
            if version < self.oldest:
                raise _Refusal(410, "Expired", "The provided continue parameter is too old")
        limit = int(query.get("limit") or 0) or len(found) or 1
        page = found[start : start + limit]
        metadata: dict[str, Any] = {"resourceVersion": str(version)}
        if start + limit < len(found):
            metadata["continue"] = f"{version}.{start + limit}"
        kind = page[0].get("kind", "") if page else "Node"
        if partial:
            page = [{"metadata": item["metadata"]} for item in page]
            return {
                "kind": "PartialObjectMetadataList",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": metadata,
                "items": page,
            }
        return {"kind": f"{kind}List", "apiVersion": "v1", "metadata": metadata, "items": page}

    def _patch(self, path: str, body: Any) -> dict[str, Any]:
        with self._changed:
            current = self.objects[path]
            wanted = (body.get("metadata") or {}).get("resourceVersion")
            if wanted not in (None, current["metadata"]["resourceVersion"]):
                name = path.rsplit("/", 1)[1]
                raise _Refusal(409, "Conflict", f'Operation cannot be fulfilled on "{name}": it has been modified')
            merged = _merge(current, body)
            if merged != current:
                self._record("MODIFIED", path, merged)
            return merged


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    standin: KubeStandIn

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        text = self.rfile.read(length)
        parts = urllib.parse.urlsplit(self.path)
        self.standin.log.append((self.command, self.path, dict(self.headers.items())))
        if self._faulty(parts.path):
            return
        query = dict(urllib.parse.parse_qsl(parts.query))
        try:
            if query.get("watch") == "true":
                self._watch(parts.path, query)
                return
            body = json.loads(text) if text else None
            accept = self.headers.get("Accept") or ""
            answer, status = self.standin.answer(self.command, parts.path, query, accept, body), 200
        except _Refusal as refusal:
            answer, status = refusal.body, refusal.status
        self._reply(201 if self.command == "POST" and status == 200 else status, json.dumps(answer).encode())

    do_GET = do_POST = do_PATCH = do_DELETE = _serve

    def _faulty(self, path: str) -> bool:
        faults = self.standin.faults
        if not faults or not faults[0].when(self.command, path):
            return False
        fault = faults.popleft()
        time.sleep(fault.delay)
        if fault.status == 0:
            self.close_connection = True
            return True
        refusal = {"kind": "Status", "message": "injected", "reason": "", "code": fault.status}
        text = json.dumps(refusal) if fault.text is None else fault.text
        self._reply(fault.status, text.encode(), fault.headers)
        return True

    def _reply(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _watch(self, path: str, query: dict[str, str]) -> None:
        events = self.standin.events(path, int(query["resourceVersion"]), float(query["timeoutSeconds"]))
        first = next(events)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._chunk(first)
            for event in events:
                self._chunk(event)
            self.wfile.write(b"0\r\n\r\n")

    def _chunk(self, event: dict[str, Any]) -> None:
        data = json.dumps(event).encode() + b"\n"
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def _matches(collection: str, path: str) -> bool:
    """Whether an object's path lies in a collection, in one namespace or in all."""
    head, _slash, plural = collection.rpartition("/")
    where, _slash, _name = path.rpartition("/")
    if where == collection:
        return True
    base, marker, rest = where.partition("/namespaces/")
    return bool(marker) and base == head and rest.count("/") == 1 and rest.endswith(f"/{plural}")


def _selected(item: dict[str, Any], query: dict[str, str]) -> bool:
    metadata = item["metadata"]
    for part in filter(None, query.get("labelSelector", "").split(",")):
        key, equals, value = part.partition("=")
        labels = metadata.get("labels") or {}
        if key not in labels or (equals and labels[key] != value.lstrip("=")):
            return False
    for part in filter(None, query.get("fieldSelector", "").split(",")):
        key, _equals, value = part.partition("=")
        if metadata.get(key.removeprefix("metadata.")) != value.lstrip("="):
            return False
    return True


def _merge(current: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    result = dict(current) if isinstance(current, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merge(result.get(key), value)
    return result
