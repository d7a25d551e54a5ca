# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ask an etcd cluster through its v3 JSON gateway: failover, TLS, user and password, errors for people.

Private to podnet.cni: may change in any release.

Built on C(etcd3gw) (1.0 or newer). It has neither failover nor authentication, and before 2.1 its timeout has no
effect, so those three are here. etcd must be 3.4 or newer, where the gateway's path is C(/v3).
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import sys
from typing import Any, Iterator

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._host import tls
from ansible_collections.podnet.cni.plugins.module_utils._stores.base import (
    AccessError,
    StoreError,
    UnknownOutcomeError,
    UnreachableError,
)
from ansible_collections.podnet.cni.plugins.module_utils._stores.options import Endpoint, EtcdOptions

API_PATH = "/v3/"
# gRPC codes, https://grpc.github.io/grpc/core/md_doc_statuscodes.html
DEADLINE_EXCEEDED = 4
PERMISSION_DENIED = 7
UNAVAILABLE = 14
UNAUTHENTICATED = 16
_TOKEN_REFUSED = ("invalid auth token", "revision of auth store is old")
_PASSWORD_REFUSED = ("invalid user ID or password", "user name not found", "user name is empty")


class EtcdAnswerError(StoreError):
    """etcd answered with an error: its gRPC code and its text."""

    def __init__(self, code: int, text: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.text = text


class _FailedError(Exception):
    """One endpoint did not do it; C(sent) when the request may have been carried out nevertheless.

    C(refusal) is why TLS failed, where that was it.
    """

    def __init__(self, reason: str, *, sent: bool, timed_out: bool = False, refusal: tls.Refusal | None = None) -> None:
        super().__init__(reason)
        self.sent = sent
        self.timed_out = timed_out
        self.refusal = refusal


class EtcdClient:
    """A connection to the cluster that C(options) describes. Connects when first asked."""

    def __init__(self, options: EtcdOptions) -> None:
        self.options = options
        self._clients: dict[Endpoint, Any] = {}
        self._good = 0
        self._token: str | None = None

    def call(self, path: str, body: dict[str, Any], *, write: bool = False) -> dict[str, Any]:
        """POST C(body) to C(path) (like C(kv/range)) and return the answer.

        Endpoints are tried in turn, the one that answered last first. A C(write) that may have been carried out is not
        repeated: UnknownOutcomeError. No endpoint answers: UnreachableError, which lists each with its reason.
        """
        endpoints = self.options.endpoints
        failures: list[str] = []
        refusals: list[tls.Refusal] = []
        for offset in range(len(endpoints)):
            index = (self._good + offset) % len(endpoints)
            try:
                answer = self._call_one(endpoints[index], path, body)
            except _FailedError as error:
                failures.append(f"{endpoints[index]}: {error}")
                refusals += [error.refusal] if error.refusal else []
                if write and error.sent:
                    self._good = (index + 1) % len(endpoints)
                    raise UnknownOutcomeError(
                        f"etcd: the connection to {endpoints[index]} failed while writing ({error}); run again: what "
                        f"was written is found and kept"
                    ) from error
                continue
            self._good = index
            return answer
        remedy = self._tls_remedy(refusals[0]) if refusals else ""
        if len(refusals) == len(endpoints):
            raise UnreachableError(f"TLS to etcd failed: {'; '.join(failures)}. {remedy or _remedy(failures)}")
        raise UnreachableError(f"etcd is unreachable: {'; '.join(failures)}. {remedy or _remedy(failures)}")

    def stream(self, path: str, body: dict[str, Any], idle: float) -> Iterator[dict[str, Any] | None]:
        """POST C(body) to the streaming C(path), yield each message; None at the end, C(idle) seconds after the last.

        The endpoint is the one that answered the last call, so do one first.
        """
        endpoint = self.options.endpoints[self._good]
        client = self._client(endpoint)
        try:
            response = client.session.post(
                client.get_url(path),
                json=body,
                headers=self._headers(endpoint),
                stream=True,
                timeout=(self.options.timeout, idle),
            )
        except OSError as error:
            self._good = (self._good + 1) % len(self.options.endpoints)
            raise UnreachableError(f"etcd: watching at {endpoint} failed: {_reason(error)}") from error
        with response:
            try:
                for line in response.iter_lines(chunk_size=None):
                    if line:
                        yield _message(line, endpoint)
            except OSError as error:
                if _timed_out(error):
                    yield None
                    return
                raise UnreachableError(f"etcd: watching at {endpoint} broke: {_reason(error)}") from error

    def forget_token(self) -> None:
        """Authenticate anew before the next request."""
        self._token = None

    def _call_one(self, endpoint: Endpoint, path: str, body: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._post(endpoint, path, body, self._headers(endpoint))
        except EtcdAnswerError as error:
            if not self.options.username or not is_token_error(error.code, error.text):
                raise
        # A simple token dies with the etcd that issued it and after five idle minutes: ask for a new one, once.
        self.forget_token()
        return self._post(endpoint, path, body, self._headers(endpoint))

    def _headers(self, endpoint: Endpoint) -> dict[str, str]:
        if not self.options.username:
            return {}
        if self._token is None:
            self._token = self._authenticate(endpoint)
        return {"Authorization": self._token} if self._token else {}

    def _authenticate(self, endpoint: Endpoint) -> str:
        credentials = {"name": self.options.username, "password": self.options.password}
        try:
            return str(self._post(endpoint, "auth/authenticate", credentials, {}).get("token", ""))
        except EtcdAnswerError as error:
            if "authentication is not enabled" in error.text:
                return ""
            raise
        except _FailedError as error:
            raise _FailedError(str(error), sent=False, refusal=error.refusal) from error

    def _client(self, endpoint: Endpoint) -> Any:
        client = self._clients.get(endpoint)
        if client is None:
            options = self.options
            client = _new_client(
                host=endpoint.host,
                port=endpoint.port,
                protocol=endpoint.scheme,
                ca_cert=options.cafile,
                cert_cert=options.certfile,
                cert_key=options.keyfile,
                timeout=options.timeout,
                api_path=API_PATH,
            )
            # Proxy variables, .netrc and REQUESTS_CA_BUNDLE would silently override the options.
            client.session.trust_env = False
            client.session.request = functools.partial(client.session.request, timeout=options.timeout)
            self._clients[endpoint] = client
        return client

    def _post(self, endpoint: Endpoint, path: str, body: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
        client = self._client(endpoint)
        errors = _error_types()
        try:
            answer = client.post(client.get_url(path), json=body, headers=headers)
        except errors.Etcd3Exception as error:
            cause = error.__cause__ or error.__context__
            if isinstance(cause, OSError):
                timed_out = _timed_out(cause)
                reason = f"no answer in {self.options.timeout:g} s" if timed_out else _reason(cause)
                refusal = tls.refusal(cause)
                reason = refusal.text if refusal else reason
                raise _FailedError(reason, sent=_was_sent(cause), timed_out=timed_out, refusal=refusal) from error
            raise self._answer_error(endpoint, _detail(error)) from error
        except ValueError as error:
            # Before OSError: what requests raises for an answer that is not JSON is both.
            raise StoreError(f"{endpoint} does not answer like an etcd; check etcd_endpoints") from error
        except OSError as error:
            refusal = tls.refusal(error)
            reason = refusal.text if refusal else _reason(error)
            raise _FailedError(reason, sent=_was_sent(error), refusal=refusal) from error
        if not isinstance(answer, dict):
            raise StoreError(f"{endpoint} does not answer like an etcd; check etcd_endpoints")
        return answer

    def _answer_error(self, endpoint: Endpoint, detail: str) -> Exception:
        try:
            answer = json.loads(detail)
            code, text = int(answer.get("code", 0)), str(answer.get("error") or answer.get("message"))
        except (ValueError, AttributeError, TypeError):
            return StoreError(
                f"{endpoint} refuses {API_PATH}: {detail.strip()[:200] or 'no reason given'}. "
                f"Check that it is an etcd 3.4 or newer with its gRPC gateway enabled"
            )
        if code in (UNAVAILABLE, DEADLINE_EXCEEDED):
            return _FailedError(text, sent=True)
        if self.options.username and is_token_error(code, text):
            return EtcdAnswerError(code, text, f"etcd at {endpoint}: {text}")
        if code == PERMISSION_DENIED or "permission denied" in text:
            return AccessError(
                f"etcd at {endpoint} denies {self._who()} access to {self.options.prefix}; grant it: "
                f"etcdctl role grant-permission ROLE --prefix=true readwrite {self.options.prefix}"
            )
        if code == UNAUTHENTICATED or any(fragment in text for fragment in _PASSWORD_REFUSED):
            return AccessError(
                f"etcd at {endpoint} does not accept {self._who()} ({text}); check etcd_username and etcd_password"
            )
        return EtcdAnswerError(code, text, f"etcd at {endpoint}: {text}")

    def _tls_remedy(self, refusal: tls.Refusal) -> str:
        own = self.options.certfile
        if own and refusal.kind in (tls.REFUSED_BY_SERVER, tls.CLOSED):
            with contextlib.suppress(OSError), open(own, encoding="ascii", errors="replace") as stream:
                end = tls.ended(stream.read())
                if end:
                    return f"The client certificate {own} expired at {end}: renew it"
        return _tls_remedy(refusal)

    def _who(self) -> str:
        return f"user {self.options.username!r}" if self.options.username else "a client without etcd_username"


def is_token_error(code: int, text: str) -> bool:
    """Whether etcd wants a fresh token."""
    return any(fragment in text for fragment in _TOKEN_REFUSED) and code != PERMISSION_DENIED


def _new_client(**arguments: Any) -> Any:
    try:
        client_type = importlib.import_module("etcd3gw.client").Etcd3Client
    except ImportError as error:
        raise InputError(
            f"the Python library etcd3gw is missing ({error}) for {sys.executable}, where this module runs; install "
            f"it: apt install python3-etcd3gw, or pip install etcd3gw"
        ) from error
    return client_type(**arguments)


def _error_types() -> Any:
    return importlib.import_module("etcd3gw.exceptions")


def _message(line: bytes, endpoint: Endpoint) -> dict[str, Any]:
    try:
        message = json.loads(line)
    except ValueError as error:
        raise StoreError(f"{endpoint} does not stream like an etcd; check etcd_endpoints") from error
    if "error" in message:
        refusal = message["error"]
        text = str(refusal.get("message", refusal)) if isinstance(refusal, dict) else str(refusal)
        raise EtcdAnswerError(0, text, f"etcd at {endpoint}: {text}")
    result: dict[str, Any] = message.get("result", {})
    return result


def _detail(error: Any) -> str:
    # etcd3gw before 2.1 lost the text when it was raised with one; the arguments hold it in all versions.
    return str(getattr(error, "detail_text", None) or " ".join(str(argument) for argument in error.args))


def _named(error: BaseException, *names: str) -> bool:
    return any(type(cause).__name__ in names for cause in tls.causes(error))


def _was_sent(error: BaseException) -> bool:
    return not _named(error, "NewConnectionError", "ConnectTimeoutError", "ConnectTimeout", "SSLError", "gaierror")


def _timed_out(error: BaseException) -> bool:
    return _named(error, "ReadTimeoutError", "ReadTimeout", "ConnectTimeoutError", "ConnectTimeout")


def _reason(error: BaseException) -> str:
    innermost = str(error)
    for cause in tls.causes(error):
        if isinstance(cause, OSError) and (cause.strerror or getattr(cause, "verify_message", "")):
            innermost = str(getattr(cause, "verify_message", "") or cause.strerror)
        elif type(cause).__name__ == "RemoteDisconnected":
            innermost = str(cause)
    return innermost


_NO_TLS_OR_NO_CERTIFICATE = (
    "Either this etcd does not speak TLS (write http:// in etcd_endpoints), or it wants a client certificate "
    "that its CA signed (check etcd_certfile and etcd_keyfile)"
)


def _tls_remedy(refusal: tls.Refusal) -> str:
    remedies = {
        tls.STRICT: tls.STRICT_REMEDY,
        tls.EXPIRED: "Renew the server's certificate, and check the clock here",
        tls.NOT_YET_VALID: "Check the clocks here and on the server",
        tls.OTHER_NAME: "Check that etcd_endpoints use a name or address that is in the server's certificate",
        tls.OTHER_CA: "Check that etcd_cafile is the CA of the server's certificate",
        tls.REFUSED_BY_SERVER: (
            "This etcd wants a client certificate that its CA signed: check etcd_certfile and etcd_keyfile"
        ),
        tls.KEY_MISMATCH: "Name a certificate and its own key in etcd_certfile and etcd_keyfile",
        tls.UNREADABLE: "Check that etcd_cafile, etcd_certfile and etcd_keyfile are PEM files of what they stand for",
        tls.NO_TLS: "This etcd does not speak TLS: write http:// in etcd_endpoints",
        tls.CLOSED: _NO_TLS_OR_NO_CERTIFICATE,
    }
    return remedies.get(refusal.kind, "")


def _remedy(failures: list[str]) -> str:
    text = " ".join(failures).lower()
    if "certificate required" in text or "bad certificate" in text or "handshake failure" in text:
        return "This etcd wants a client certificate that its CA signed: check etcd_certfile and etcd_keyfile"
    if "certificate" in text or "hostname" in text:
        return "Check that etcd_cafile is the CA of the server's certificate and that etcd_endpoints use a name in it"
    if any(hint in text for hint in ("wrong version number", "record layer", "eof occurred", "closed (eof)")):
        return _NO_TLS_OR_NO_CERTIFICATE
    if "reset" in text or "closed connection" in text:
        # A server that closes before it has read all of the client's greeting resets the connection.
        if "https://" in text:
            return _NO_TLS_OR_NO_CERTIFICATE
        return "If this etcd speaks TLS, write https:// in etcd_endpoints and name its CA in etcd_cafile"
    return "Check etcd_endpoints, that etcd runs there and that no firewall is in between"
