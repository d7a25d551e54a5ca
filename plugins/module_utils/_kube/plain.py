# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading from an API server with the standard library alone, for a program on a host that has no more.

Private to podnet.cni: may change in any release.

Its kubeconfig is JSON, as module kube_service_account_info makes it, and what it does not follow is refused by name: it
starts no other program, uses no proxy, and leaves no certificate unchecked. The fields are those of
https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import http.client
import json
import os
import ssl
import tempfile
from dataclasses import dataclass, field
from typing import Any, Iterator, Mapping, NamedTuple
from urllib.parse import urlencode, urlsplit

from ansible_collections.podnet.cni.plugins.module_utils._host import tls
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import (
    BY_STATUS,
    Expired,
    InvalidAuth,
    KubeError,
    Unreachable,
)

PAGE = 500
_OF_CLUSTER = ("server", "certificate-authority", "certificate-authority-data", "extensions")
_OF_USER = (
    *("token", "tokenFile", "extensions"),
    *("client-certificate", "client-certificate-data", "client-key", "client-key-data"),
)
_REMEDY = {
    tls.EXPIRED: "Renew it, and check the clock here.",
    tls.NOT_YET_VALID: "Check the clocks here and on the server.",
    tls.OTHER_NAME: "It does not name this host: use the name in the certificate.",
    tls.OTHER_CA: "The kubeconfig has another CA.",
    tls.STRICT: f"{tls.STRICT_REMEDY}.",
    tls.REFUSED_BY_SERVER: "It may have expired or be from another cluster.",
}


class Page(NamedTuple):
    """All items of a collection and the version they were read at."""

    items: list[Any]
    resource_version: str


@dataclass(frozen=True)
class Target:
    """Where requests go; C(label) names the server and the file that it is from."""

    server: str
    label: str
    token: str = field(default="", repr=False)
    certificate: str = ""


class PlainReader:
    """Reads as the user of the kubeconfig at C(path), each answer within C(timeout) seconds.

    C(bytes) counts what came over the wire. Raises InvalidAuth for a kubeconfig that it cannot follow.
    """

    def __init__(self, path: str, timeout: float) -> None:
        cluster, user = _read(path)
        server = fields.text(cluster, "server")
        address = urlsplit(server)
        if address.scheme != "https" or not address.hostname:
            raise InvalidAuth(f"kubeconfig {path}: the server {server!r} is not an https address.")
        self._host, self._port, self._below = address.hostname, address.port or 443, address.path.rstrip("/")
        self._timeout = timeout
        certificate, key = _data(path, user, "client-certificate"), _data(path, user, "client-key")
        self._context = _context(path, _data(path, cluster, "certificate-authority"), certificate, key)
        label = f"{server} (kubeconfig {path})"
        self.target = Target(server, label, _token(path, user), certificate.decode("ascii", "replace"))
        self.bytes = 0

    def get(self, path: str) -> dict[str, Any]:
        """One object. Raises KubeError."""
        with contextlib.closing(self._connect()) as connection:
            return self._ask(connection, path)

    def list(self, path: str) -> Page:
        """All items of a collection at one version. A list that expires between two pages is started once more."""
        try:
            return self._list(path)
        except Expired:
            return self._list(path)

    def _list(self, path: str) -> Page:
        items: list[Any] = []
        token = ""
        with contextlib.closing(self._connect()) as connection:
            while True:
                page = self._ask(connection, path, {"limit": PAGE, **({"continue": token} if token else {})})
                items += fields.sequence(page, "items")
                token = fields.text(page, "metadata", "continue")
                if not token:
                    return Page(items, fields.text(page, "metadata", "resourceVersion"))

    def _connect(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout, context=self._context)

    def _ask(
        self, connection: http.client.HTTPSConnection, path: str, query: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        where = f"GET {path} at {self.target.label}"
        headers = {"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": "podnet.cni"}
        if self.target.token:
            headers["Authorization"] = f"Bearer {self.target.token}"
        try:
            connection.request("GET", f"{self._below}{path}{f'?{urlencode(query)}' if query else ''}", headers=headers)
            reply = connection.getresponse()
            content = reply.read()
            self.bytes += len(content)
            if reply.headers.get("Content-Encoding") == "gzip":
                content = gzip.decompress(content)
        except (OSError, EOFError, http.client.HTTPException) as error:
            raise _unreachable(error, where, path, self._timeout) from None
        try:
            answer = json.loads(content)
        except ValueError:
            answer = None
        if reply.status >= 400 or not isinstance(answer, dict):
            raise _error(reply.status, answer, where, path, self._advice(reply.status))
        return answer

    def _advice(self, status: int) -> str:
        if status != 401:
            return ""
        end = tls.ended(self.target.certificate)
        expired = f" The client certificate expired at {end}." if end else ""
        return f"{expired} Renew the credentials, or check that they belong to this cluster."


def _read(path: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The cluster and the user of the current context of the kubeconfig at C(path)."""
    try:
        with open(path, encoding="utf-8") as stream:
            content = json.load(stream)
    except OSError as error:
        raise InvalidAuth(f"kubeconfig {path} cannot be read: {error.strerror}.") from error
    except ValueError:
        raise InvalidAuth(
            f"kubeconfig {path} is not JSON, and nothing here reads YAML. Write it with "
            "kubectl config view --raw --minify --flatten --output=json."
        ) from None
    context = _named(content, "contexts", fields.text(content, "current-context"), "context")
    cluster = _named(content, "clusters", fields.text(context, "cluster"), "cluster")
    user = _named(content, "users", fields.text(context, "user"), "user")
    if not cluster or not user:
        raise InvalidAuth(f"kubeconfig {path} has no current context with a cluster and a user.")
    odd = [name for name in sorted(cluster) if name not in _OF_CLUSTER]
    odd += [name for name in sorted(user) if name not in _OF_USER]
    if odd:
        raise InvalidAuth(
            f"kubeconfig {path} has {', '.join(odd)}, which a program without further libraries does not follow. Give "
            "one with a server, its CA, and a token or a client certificate."
        )
    return cluster, user


def _named(content: Any, section: str, name: str, member: str) -> dict[str, Any]:
    found = (one for one in fields.mappings(content, section) if one.get("name") == name)
    return fields.mapping(next(found, None), member)


def _context(path: str, authority: bytes, certificate: bytes, key: bytes) -> ssl.SSLContext:
    """What checks the server and shows who we are."""
    try:
        context = ssl.create_default_context(cadata=authority.decode("ascii") if authority else None)
        if bool(certificate) != bool(key):
            raise InvalidAuth(f"kubeconfig {path} has one of client-certificate and client-key without the other.")
        if certificate:
            with _files(certificate, key) as pair:
                context.load_cert_chain(*pair)
    except (ssl.SSLError, UnicodeDecodeError) as error:
        raise InvalidAuth(f"kubeconfig {path}: a certificate or key in it cannot be loaded.") from error
    return context


def _data(path: str, section: Mapping[str, Any], name: str) -> bytes:
    """The content of a certificate or key that is in the kubeconfig or in a file; empty where neither is named."""
    inline, file = fields.text(section, f"{name}-data"), fields.text(section, name)
    if inline:
        try:
            return base64.b64decode(inline, validate=True)
        except ValueError:
            raise InvalidAuth(f"kubeconfig {path}: {name}-data is not base64.") from None
    return _content(path, file, name) if file else b""


def _content(path: str, file: str, name: str) -> bytes:
    # A relative one is relative to the kubeconfig.
    place = os.path.join(os.path.dirname(path), file)
    try:
        with open(place, "rb") as stream:
            return stream.read()
    except OSError as error:
        raise InvalidAuth(f"kubeconfig {path}: {name} {place} cannot be read: {error.strerror}.") from error


def _token(path: str, user: Mapping[str, Any]) -> str:
    file = fields.text(user, "tokenFile")
    token = _content(path, file, "tokenFile").decode("utf-8", "replace") if file else fields.text(user, "token")
    if not token.isascii() or not token.strip().isprintable():
        raise InvalidAuth(f"kubeconfig {path}: the token holds characters that no HTTP header may hold.")
    return token.strip()


@contextlib.contextmanager
def _files(*contents: bytes) -> Iterator[list[str]]:
    """Files of mode 0600 with these contents: OpenSSL takes a client certificate from files alone."""
    with tempfile.TemporaryDirectory(prefix="podnet-cni-") as directory:
        paths = [os.path.join(directory, str(number)) for number in range(len(contents))]
        for place, content in zip(paths, contents):
            with open(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
                stream.write(content)
        yield paths


def _error(status: int, answer: Any, where: str, path: str, advice: str) -> KubeError:
    if status < 400:
        return Unreachable(f"{where}: the answer is not a JSON object. Is this a Kubernetes API server?", path=path)
    message = fields.text(answer, "message").rstrip(".") or "without a message"
    kind = Unreachable if status in (429, 503) else BY_STATUS.get(status, KubeError)
    return kind(f"{where}: {status} {message}.{advice}", status=status, reason=fields.text(answer, "reason"), path=path)


def _unreachable(error: Exception, where: str, path: str, timeout: float) -> KubeError:
    refusal = tls.refusal(error)
    if refusal is not None:
        return Unreachable(f"{where}: {refusal.text}. {_REMEDY.get(refusal.kind, '')}".strip(), path=path)
    if isinstance(error, TimeoutError):
        return Unreachable(f"{where}: no answer within {timeout:g} s. Check address and firewall.", path=path)
    detail = str(error) or type(error).__name__
    return Unreachable(f"{where}: cannot connect: {detail}. Check host, port and that the server runs.", path=path)
