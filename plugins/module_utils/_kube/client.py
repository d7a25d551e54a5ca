# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Requests to one Kubernetes API server: retries, paging, patches, watches.

Private to podnet.cni: may change in any release.

The transport is the connection pool of the official Python package C(kubernetes); its typed APIs are left out because
importing the first of them costs more than everything else together. Behaviour of the server is documented at
https://kubernetes.io/docs/reference/using-api/api-concepts/.
"""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass
from typing import Any, Callable, Generator, Iterator, Mapping
from urllib.parse import urlencode

from ansible_collections.podnet.cni.plugins.module_utils._host import tls
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields
from ansible_collections.podnet.cni.plugins.module_utils._kube.auth import Auth, Target, resolve
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import (
    BY_STATUS,
    Conflict,
    Expired,
    InvalidAuth,
    KubeError,
    Unauthorized,
    Unreachable,
)
from ansible_collections.podnet.cni.plugins.module_utils._kube.library import load

JSON = "application/json"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
METADATA_ONLY = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json"

PATCH_TYPES: Mapping[str, str] = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
    "apply": "application/apply-patch+yaml",
}
"""Patch kind -> content type. JSON is YAML, so an apply patch is sent as JSON text."""

CONNECT_TIMEOUT = 10.0
WATCH_GRACE = 15.0
"""Seconds a watch may outlive the time the server was asked to end it at."""

LOG_LIMIT = 10000
"""A client that watches for months keeps no more requests than that in its log."""

PLAIN_TEXT_LIMIT = 8192
"""Bytes of an error's plain text that are kept; the verbose answer of /readyz is about half of that."""

_IDEMPOTENT = frozenset(("GET", "PUT", "PATCH", "DELETE"))
_TRANSIENT = frozenset((500, 502, 504))
_REMEDY = {
    401: "Renew the credentials, or check that they belong to this cluster.",
    403: "Grant the verb to the user, or use other credentials.",
    409: "Read the object again and repeat the change.",
    410: "List again.",
}


@dataclass(frozen=True)
class Response:
    """Status code, decoded JSON body (text when it is not JSON) and headers of an answer below 400."""

    status: int
    body: Any
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Listing:
    """All items of a collection, the version of the collection (where a watch starts) and the list's kind."""

    items: list[dict[str, Any]]
    resource_version: str
    kind: str


@dataclass(frozen=True)
class WatchEvent:
    """C(type) is ADDED, MODIFIED, DELETED or BOOKMARK; a bookmark's object holds only its resourceVersion."""

    type: str
    object: dict[str, Any]

    @property
    def resource_version(self) -> str:
        """Where a watch resumes after this event."""
        return fields.text(self.object, "metadata", "resourceVersion")


class KubeClient:
    """A client for one cluster and one identity. Safe to share between threads for plain requests.

    C(timeout) bounds one answer, C(budget) all tries of one request, both in seconds. C(requests), C(bytes) (bodies
    received, as they came over the wire) and C(log) (methods and paths of the first requests) tell what it did.

    Raises InvalidAuth or MissingLibrary when the options cannot be used.
    """

    def __init__(
        self,
        auth: Auth,
        *,
        timeout: float = 30.0,
        budget: float = 60.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.target: Target = resolve(auth)
        self.timeout = timeout
        self.budget = budget
        self.requests = 0
        self.bytes = 0
        self.log: list[str] = []
        self._sleep = sleep
        self._watching: list[Any] = []
        library = load()
        self._urllib3 = library.urllib3
        self._header_dict = library.header_dict
        if len(self.target.headers) > 2 and library.urllib3.__version__.startswith("1."):
            raise InvalidAuth(
                "impersonate_groups: urllib3 before 2.0 would send several groups as one of a longer name. "
                "Install urllib3 2 where this runs, or name one group."
            )
        if not self.target.configuration.verify_ssl:
            # The user asked for it in so many words; a warning for each request would bury the module's output.
            library.urllib3.disable_warnings(library.urllib3.exceptions.InsecureRequestWarning)
        try:
            self._pool = library.rest_client(self.target.configuration).pool_manager
        # Whatever the package and those below it raise, as for a SOCKS proxy without the package that speaks it.
        except Exception as error:
            raise InvalidAuth(
                f"{self.target.label}: the TLS or proxy options cannot be used: {_words(error)}."
            ) from None

    @classmethod
    def from_options(cls, options: Mapping[str, Any], **settings: Any) -> KubeClient:
        """A client from the options of a module or plugin; see Auth.from_options()."""
        return cls(Auth.from_options(options), **settings)

    def __enter__(self) -> KubeClient:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close idle connections. The client can be used again."""
        self._pool.clear()

    def end_watches(self) -> None:
        """End every open watch from another thread; its generator raises Unreachable.

        urllib3 before 2.3 cannot do that: there a watch ends when the server ends it.
        """
        for reply in tuple(self._watching):
            shutdown = getattr(reply, "shutdown", None)
            if shutdown is not None:
                shutdown()

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        content_type: str | None = None,
        accept: str | None = None,
    ) -> Response:
        """Send a request; C(body) is sent as JSON. Query values that are None are left out.

        Answers 429 and 503 are retried after what Retry-After asks for, 500, 502 and 504 and cut connections only
        where repeating is harmless, all within the budget. Raises the KubeError that fits the status.
        """
        url = path + _query_text(query)
        data = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        headers = {"Accept": accept or JSON, "Accept-Encoding": "gzip"}
        if data is not None:
            headers["Content-Type"] = content_type or JSON
        deadline = time.monotonic() + self.budget
        for attempt in range(1, 1000):
            left = deadline - time.monotonic()
            try:
                reply = self._send(method, url, headers, data, timeout=min(self.timeout, max(left, 1.0)))
                content = reply.data
            except KubeError:
                raise
            # This is the boundary to the libraries: nothing of theirs leaves it untranslated.
            except Exception as error:
                if not self._dropped(error) or method not in _IDEMPOTENT or attempt > 1:
                    raise self._transport_error(error, method, path) from None
                continue
            self.bytes += reply.tell()
            if reply.status < 400:
                return Response(reply.status, self._decode(content, reply, method, path), reply.headers)
            delay = _retry_delay(method, reply.status, reply.headers, attempt)
            if delay is None or time.monotonic() + delay > deadline:
                raise self._status_error(reply.status, content, method, path, attempt)
            self._sleep(delay)
        raise Unreachable(f"{method} {path} at {self.target.label}: too many tries.", path=path)

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """One object, or whatever JSON object the path answers with."""
        return _mapping(self.request("GET", path, query=query).body)

    def list(
        self,
        path: str,
        query: Mapping[str, Any] | None = None,
        *,
        limit: int = 500,
        metadata_only: bool = False,
    ) -> Listing:
        """All items of a collection, page by page. A list that expires between pages is started once more.

        C(metadata_only) asks for metadata alone; a server that does not know that form answers with whole objects.
        """
        try:
            return self._list_once(path, query, limit, metadata_only)
        except Expired:
            return self._list_once(path, query, limit, metadata_only)

    def _list_once(self, path: str, query: Mapping[str, Any] | None, limit: int, metadata_only: bool) -> Listing:
        accept = METADATA_ONLY if metadata_only else None
        items: list[dict[str, Any]] = []
        token = None
        while True:
            page_query = {**(query or {}), "limit": limit, "continue": token}
            page = _mapping(self.request("GET", path, query=page_query, accept=accept).body)
            items.extend(page.get("items") or [])
            metadata = page.get("metadata") or {}
            token = metadata.get("continue")
            if not token:
                return Listing(items, str(metadata.get("resourceVersion", "")), str(page.get("kind", "")))

    def create(self, path: str, body: Mapping[str, Any], *, field_manager: str | None = None) -> dict[str, Any]:
        """Create an object in the collection at C(path); Conflict with reason AlreadyExists when it is there."""
        return _mapping(self.request("POST", path, query={"fieldManager": field_manager}, body=body).body)

    def patch(
        self,
        path: str,
        body: Any,
        kind: str = "merge",
        *,
        field_manager: str | None = None,
        force: bool | None = None,
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Patch an object; C(kind) is merge, strategic, json or apply (which needs field_manager)."""
        query = {"fieldManager": field_manager, "force": force, "dryRun": "All" if dry_run else None}
        return _mapping(self.request("PATCH", path, query=query, body=body, content_type=PATCH_TYPES[kind]).body)

    def delete(self, path: str, *, resource_version: str | None = None) -> dict[str, Any]:
        """Delete an object; with resource_version only that version of it (else Conflict)."""
        body = None
        if resource_version is not None:
            body = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"resourceVersion": resource_version}}
        return _mapping(self.request("DELETE", path, body=body).body)

    def watch(
        self,
        path: str,
        resource_version: str,
        bookmarks: bool = True,
        *,
        query: Mapping[str, Any] | None = None,
        seconds: int = 240,
    ) -> Generator[WatchEvent, None, None]:
        """Events of a collection after C(resource_version), until the server ends the watch after C(seconds).

        The caller resumes with the version of the last event. Raises Expired when that version is gone (list again),
        Unreachable when the connection breaks. Closing the generator ends the request.
        """
        full = {
            **(query or {}),
            "watch": True,
            "resourceVersion": resource_version,
            "allowWatchBookmarks": bookmarks,
            "timeoutSeconds": seconds,
        }
        url = path + _query_text(full)
        try:
            reply = self._send("GET", url, {"Accept": JSON}, None, timeout=seconds + WATCH_GRACE, stream=True)
        except KubeError:
            raise
        except Exception as error:
            raise self._transport_error(error, "WATCH", path) from None
        self._watching.append(reply)
        try:
            if reply.status >= 400:
                raise self._status_error(reply.status, reply.data, "WATCH", path, 1)
            for line in self._lines(reply, path):
                event = _mapping(json.loads(line))
                if event.get("type") == "ERROR":
                    status = _mapping(event.get("object"))
                    raise self._status_error(int(status.get("code") or 500), line, "WATCH", path, 1)
                yield WatchEvent(str(event.get("type")), _mapping(event.get("object")))
        finally:
            self._watching.remove(reply)
            reply.close()

    def _lines(self, reply: Any, path: str) -> Iterator[bytes]:
        rest = b""
        try:
            for chunk in reply.stream(None):
                self.bytes += len(chunk)
                *complete, rest = (rest + chunk).split(b"\n")
                for line in complete:
                    if line.strip():
                        yield line
        except KubeError:
            raise
        except Exception as error:
            raise self._transport_error(error, "WATCH", path) from None

    def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        data: bytes | None,
        *,
        timeout: float,
        stream: bool = False,
    ) -> Any:
        full = self._header_dict(headers)
        full.add("User-Agent", "podnet.cni")
        credentials = self.target.credentials()
        if credentials:
            full.add("Authorization", credentials)
        for name, value in self.target.headers:
            full.add(name, value)
        self.requests += 1
        if len(self.log) < LOG_LIMIT:
            self.log.append(f"{method} {url}")
        limits = self._urllib3.Timeout(connect=min(CONNECT_TIMEOUT, timeout), read=timeout)
        return self._pool.request(
            method,
            self.target.server + url,
            headers=full,
            body=data,
            timeout=limits,
            retries=False,
            redirect=False,
            preload_content=not stream,
        )

    def _decode(self, content: bytes, reply: Any, method: str, path: str) -> Any:
        if "json" not in reply.headers.get("Content-Type", ""):
            return content.decode("utf-8", "replace")
        try:
            return json.loads(content)
        except ValueError:
            raise Unreachable(
                f"{method} {path} at {self.target.label}: the answer is not JSON. Is this a Kubernetes API server?",
                status=reply.status,
                path=path,
            ) from None

    def _status_error(self, status: int, content: bytes, method: str, path: str, attempts: int) -> KubeError:
        message, reason = _status_text(content)
        tries = f" after {attempts} tries" if attempts > 1 else ""
        text = f"{method} {path} at {self.target.label}: {status} {message}{tries}."
        kind = BY_STATUS.get(status, KubeError)
        if status in (429, 503):
            kind = Unreachable
            text += f" The server stayed overloaded for the {self.budget:g} s allowed."
        elif kind is Unauthorized:
            text += f" {self.target.age_hint()}{_REMEDY[status]}"
        elif status in _REMEDY and reason != "AlreadyExists":
            text += f" {_REMEDY[status]}"
        plain = "" if content[:1] == b"{" else content[:PLAIN_TEXT_LIMIT].decode("utf-8", "replace")
        return kind(text, status=status, reason=reason, path=path, text=plain)

    def _dropped(self, error: Exception) -> bool:
        """Whether the connection was cut, as happens to a kept-alive one, as opposed to refused or timed out."""
        return isinstance(error, self._urllib3.exceptions.ProtocolError)

    def _transport_error(self, error: Exception, method: str, path: str) -> KubeError:
        exceptions = self._urllib3.exceptions
        where = f"{method} {path} at {self.target.label}"
        text = _words(error)
        if isinstance(error, ValueError) and "header" in text:
            return InvalidAuth(f"{where}: the token or user name holds characters no HTTP header may hold.", path=path)
        refusal = tls.refusal(error)
        if refusal is not None or isinstance(error, (FileNotFoundError, exceptions.SSLError)):
            return _tls_error(refusal, error, where, path)
        if isinstance(error, exceptions.TimeoutError) and not isinstance(error, exceptions.NewConnectionError):
            return Unreachable(f"{where}: no answer within {self.timeout:g} s. Check address and firewall.", path=path)
        if isinstance(error, exceptions.ProxyError):
            return Unreachable(f"{where}: the proxy does not answer. Check proxy and no_proxy.", path=path)
        detail = text.split(": ", 1)[-1] or type(error).__name__
        return Unreachable(f"{where}: cannot connect: {detail}. Check host, port and that the server runs.", path=path)


def _words(error: Exception) -> str:
    """What an error says; its type for one that says nothing, or cannot."""
    try:
        return str(error) or type(error).__name__
    except Exception:
        return type(error).__name__


def update_with_retry(
    client: KubeClient,
    path: str,
    change: Callable[[dict[str, Any]], Any],
    *,
    kind: str = "merge",
    patch_path: str | None = None,
    attempts: int = 5,
) -> tuple[dict[str, Any], bool]:
    """Read an object, let C(change) say what to patch, patch exactly that version; start over when it was changed.

    C(change) gets the object and returns the patch body, or None when nothing is to be done. Returns the object as
    it is now and whether it was patched. Raises Conflict when it keeps changing for C(attempts) rounds.
    """
    for attempt in range(attempts):
        current = client.get(path)
        body = change(current)
        if body is None:
            return current, False
        version = fields.at(current, "metadata", "resourceVersion")
        pinned = {**body, "metadata": {**(body.get("metadata") or {}), "resourceVersion": version}}
        try:
            return client.patch(patch_path or path, pinned, kind), True
        except Conflict:
            if attempt + 1 == attempts:
                raise
            client._sleep(random.uniform(0, 0.1 * 2**attempt))
    raise Conflict(f"{path} at {client.target.label} was not updated: no attempt was allowed.", path=path)


def _query_text(query: Mapping[str, Any] | None) -> str:
    pairs = []
    for name, value in (query or {}).items():
        if isinstance(value, bool):
            pairs.append((name, "true" if value else "false"))
        elif value is not None:
            pairs.append((name, str(value)))
    return "?" + urlencode(pairs) if pairs else ""


def _mapping(body: Any) -> dict[str, Any]:
    if isinstance(body, dict):
        return body
    raise KubeError(
        "The API server answered with something that is not a JSON object. Is this a Kubernetes API server?"
    )


def _retry_delay(method: str, status: int, headers: Mapping[str, str], attempt: int) -> float | None:
    """Seconds to wait before the next try, None when there shall be none."""
    backoff = random.uniform(0.5, 1.0) * min(0.25 * 2**attempt, 8.0)
    if status in (429, 503):
        if status == 503 and method == "POST":
            return None
        try:
            asked = float(headers.get("Retry-After", "0"))
        except ValueError:
            asked = 0.0
        return max(asked, backoff) if asked else backoff
    return backoff if status in _TRANSIENT and method in _IDEMPOTENT and attempt <= 3 else None


def _status_text(content: bytes) -> tuple[str, str]:
    """Message and reason of a Status object; the start of the text when it is something else."""
    try:
        status = json.loads(content)
    except ValueError:
        return " ".join(content.decode("utf-8", "replace").split())[:200] or "without a message", ""
    if isinstance(status, dict) and isinstance(status.get("object"), dict):
        status = status["object"]
    if not isinstance(status, dict):
        return "without a message", ""
    return str(status.get("message") or "without a message").rstrip("."), str(status.get("reason") or "")


def _tls_error(refusal: tls.Refusal | None, error: Exception, where: str, path: str) -> KubeError:
    if isinstance(error, FileNotFoundError) or (refusal is not None and refusal.kind == tls.UNREADABLE):
        text = "the CA certificate, client certificate or client key cannot be loaded."
        return InvalidAuth(f"{where}: {text}", path=path)
    if refusal is None:
        return Unreachable(f"{where}: TLS failed: {error}", path=path)
    if refusal.kind == tls.KEY_MISMATCH:
        return InvalidAuth(f"{where}: {refusal.text}: check client_cert and client_key.", path=path)
    return Unreachable(f"{where}: {_tls_advice(refusal)}", path=path)


def _tls_advice(refusal: tls.Refusal) -> str:
    remedies = {
        tls.STRICT: f"{tls.STRICT_REMEDY}.",
        tls.EXPIRED: "Renew it, and check the clock here.",
        tls.NOT_YET_VALID: "Check the clocks here and on the server.",
        tls.OTHER_NAME: "It does not name this host: use the name in the certificate.",
        tls.OTHER_CA: "It is not signed by the CA we were given: check ca_cert or the kubeconfig's CA.",
        tls.REFUSED_BY_SERVER: "It may have expired or be from another cluster.",
        tls.NO_TLS: "Is the address http instead of https?",
        tls.CLOSED: "Is the address http instead of https?",
    }
    return f"{refusal.text}. {remedies.get(refusal.kind, '')}".strip()
