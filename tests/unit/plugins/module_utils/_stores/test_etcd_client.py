# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a failed request means: may it be repeated, and what is a person told."""

from __future__ import annotations

import json
import socket
import ssl
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._stores import etcd_client
from ansible_collections.podnet.cni.plugins.module_utils._stores.base import (
    AccessError,
    StoreError,
    UnknownOutcomeError,
    UnreachableError,
)
from ansible_collections.podnet.cni.plugins.module_utils._stores.options import from_params

exceptions = pytest.importorskip("etcd3gw.exceptions")
requests = pytest.importorskip("requests")
urllib3 = pytest.importorskip("urllib3")

ONE, TWO = "http://192.0.2.1:2379", "http://192.0.2.2:2379"
USER = {"etcd_username": "u", "etcd_password": "p"}
REFUSED = ConnectionRefusedError(111, "Connection refused")


def never_sent(inner: Exception) -> Exception:
    outer = urllib3.exceptions.NewConnectionError(None, "Failed to establish a new connection")
    outer.__cause__ = inner
    return requests.exceptions.ConnectionError(urllib3.exceptions.MaxRetryError(None, "/", outer))


def maybe_sent() -> Exception:
    inner = ConnectionResetError(104, "Connection reset by peer")
    return requests.exceptions.ConnectionError(urllib3.exceptions.ProtocolError("Connection aborted.", inner))


def timed_out() -> Exception:
    return requests.exceptions.ReadTimeout(urllib3.exceptions.ReadTimeoutError(None, "/", "Read timed out."))


def tls_refused() -> Exception:
    inner = ssl.SSLCertVerificationError(1, "certificate verify failed")
    return requests.exceptions.SSLError(urllib3.exceptions.MaxRetryError(None, "/", inner))


def gateway(code: int, text: str) -> Exception:
    return exceptions.Etcd3Exception(json.dumps({"error": text, "code": code}), "Bad Request")


class FakeGateway:
    """Stands in for etcd3gw's client: each endpoint answers with what the script says, an exception or a value."""

    script: dict[str, list[Any]]
    asked: list[tuple[str, str, dict[str, str]]]

    def __init__(self, **arguments: Any) -> None:
        self._url = f"http://{arguments['host']}:2379"
        self.session = type("Session", (), {"request": print, "trust_env": True})()

    def get_url(self, path: str) -> str:
        return path

    def post(self, path: str, *, headers: dict[str, str], **_body: Any) -> Any:
        self.asked.append((self._url, path, headers))
        answers = self.script[self._url]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if not isinstance(answer, Exception):
            return answer
        if isinstance(answer, exceptions.Etcd3Exception):
            raise answer
        timeout = isinstance(answer, requests.exceptions.Timeout)
        kind = exceptions.ConnectionTimeoutError if timeout else exceptions.ConnectionFailedError
        raise kind(str(answer)) from answer


@pytest.fixture()
def script(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Any]]:
    FakeGateway.script, FakeGateway.asked = {ONE: [{}], TWO: [{}]}, []
    monkeypatch.setattr(etcd_client, "_new_client", FakeGateway)
    return FakeGateway.script


def client(**more: Any) -> etcd_client.EtcdClient:
    return etcd_client.EtcdClient(from_params({"etcd_endpoints": [ONE, TWO], "etcd_timeout": 2.0, **more}))


@pytest.mark.parametrize("failure", [never_sent(REFUSED), never_sent(socket.gaierror(-2, "unknown")), tls_refused()])
def test_write_that_was_never_sent_goes_to_the_next(script: dict[str, list[Any]], failure: Exception) -> None:
    script[ONE] = [failure]
    script[TWO] = [{"succeeded": True}]
    asked = client()
    assert asked.call("kv/txn", {}, write=True) == {"succeeded": True}
    asked.call("kv/range", {})
    assert [url for url, _path, _headers in FakeGateway.asked] == [ONE, TWO, TWO], "the one that answered is remembered"


@pytest.mark.parametrize("failure", [maybe_sent(), timed_out(), gateway(14, "etcdserver: request timed out")])
def test_write_that_may_have_happened_is_not_repeated(script: dict[str, list[Any]], failure: Exception) -> None:
    script[ONE] = [failure]
    asked = client()
    with pytest.raises(UnknownOutcomeError, match=ONE):
        asked.call("kv/txn", {}, write=True)
    assert len(FakeGateway.asked) == 1
    asked.call("kv/range", {})
    assert FakeGateway.asked[-1][0] == TWO, "reading back starts with another member"


@pytest.mark.parametrize("failure", [maybe_sent(), timed_out(), gateway(14, "etcdserver: no leader")])
def test_reading_goes_to_the_next_whatever_happened(script: dict[str, list[Any]], failure: Exception) -> None:
    script[ONE] = [failure]
    assert client().call("kv/range", {}) == {}


def test_reasons_and_remedies(script: dict[str, list[Any]]) -> None:
    script[ONE], script[TWO] = [never_sent(REFUSED)], [timed_out()]
    with pytest.raises(UnreachableError) as caught:
        client().call("kv/range", {})
    assert f"{ONE}: Connection refused; {TWO}: no answer in 2 s. Check etcd_endpoints" in str(caught.value)
    script[ONE], script[TWO] = [tls_refused()], [tls_refused()]
    with pytest.raises(UnreachableError, match=r"TLS to etcd failed: .*certificate verify failed.*etcd_cafile"):
        client().call("kv/range", {})
    mismatch = ssl.SSLError(116, "[X509: KEY_VALUES_MISMATCH] key values mismatch")
    strict = ssl.SSLCertVerificationError(1, "CA cert does not include key usage extension")
    strict.verify_code, strict.verify_message = 92, "CA cert does not include key usage extension"
    for inner, told in ((mismatch, "etcd_certfile and etcd_keyfile"), (strict, "keyUsage with keyCertSign")):
        refused = requests.exceptions.SSLError(urllib3.exceptions.MaxRetryError(None, "/", inner))
        script[ONE], script[TWO] = [refused], [refused]
        with pytest.raises(UnreachableError) as caught:
            client().call("kv/range", {})
        assert told in str(caught.value)
        assert "firewall" not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "text", "kind", "part"),
    [
        (7, "etcdserver: permission denied", AccessError, "grant-permission"),
        (3, "etcdserver: authentication failed, invalid user ID or password", AccessError, "etcd_password"),
        (3, "etcdserver: user name is empty", AccessError, "without etcd_username"),
        (16, "etcdserver: invalid auth token", AccessError, "etcd_username"),
        (8, "etcdserver: mvcc: database space exceeded", etcd_client.EtcdAnswerError, "database space exceeded"),
    ],
)
def test_refusals(script: dict[str, list[Any]], code: int, text: str, kind: type[StoreError], part: str) -> None:
    script[ONE] = [gateway(code, text)]
    with pytest.raises(kind, match=part):
        client().call("kv/range", {})
    assert len(FakeGateway.asked) == 1, "a refusal is an answer: the others would say the same"


def test_token_is_asked_for_once_and_again_when_refused(script: dict[str, list[Any]]) -> None:
    script[ONE] = [{"token": "a"}, {}, gateway(16, "etcdserver: invalid auth token"), {"token": "b"}, {"n": 1}, {}]
    asked = client(**USER)
    asked.call("kv/range", {})
    assert asked.call("kv/txn", {}, write=True) == {"n": 1}
    assert [(path, headers.get("Authorization")) for _url, path, headers in FakeGateway.asked] == [
        ("auth/authenticate", None),
        ("kv/range", "a"),
        ("kv/txn", "a"),
        ("auth/authenticate", None),
        ("kv/txn", "b"),
    ]


def test_token_that_is_refused_twice_is_an_error(script: dict[str, list[Any]]) -> None:
    script[ONE] = [{"token": "a"}, gateway(16, "etcdserver: invalid auth token"), {"token": "b"}]
    script[ONE].append(gateway(16, "etcdserver: invalid auth token"))
    with pytest.raises(StoreError, match="invalid auth token"):
        client(**USER).call("kv/range", {})


def test_environment_cannot_redirect_us(script: dict[str, list[Any]]) -> None:
    asked = client()
    asked.call("kv/range", {})
    gateway_client = next(iter(asked._clients.values()))
    assert len(asked._clients) == 1
    assert gateway_client.session.trust_env is False
    assert gateway_client.session.request.keywords == {"timeout": 2.0}


@pytest.mark.parametrize(
    "url, remedy",
    [("http://192.0.2.1:2379", "write https://"), ("https://192.0.2.1:2379", "does not speak TLS (write http://")],
)
def test_a_reset_suggests_the_other_scheme(url: str, remedy: str) -> None:
    """Whether a server resets or ends a connection that it does not understand depends on what it has read of it."""
    assert remedy in etcd_client._remedy([f"{url}: Connection reset by peer"])
