# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reaching etcd: dead, frozen and breaking members, TLS with client certificates, users and their tokens."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._stores.base import (
    CREATED,
    AccessError,
    StoreError,
    UnreachableError,
)
from ansible_collections.podnet.cni.plugins.module_utils._stores.etcd_client import EtcdClient
from ansible_collections.podnet.cni.plugins.module_utils._stores.options import from_params
from ansible_collections.podnet.cni.tests.integration import _etcd
from ansible_collections.podnet.cni.tests.integration.etcd._lab import Lab, node
from ansible_collections.podnet.cni.tests.integration.etcd._relay import Relay

RANGE = {"key": "Lw=="}
WRITER = {"etcd_username": "writer", "etcd_password": "secret-1"}
READER = {"etcd_username": "reader", "etcd_password": "secret-2"}


def dead_url() -> str:
    return f"http://127.0.0.1:{_etcd.free_ports(1)[0]}"


class TestFailover:
    def test_next_endpoint_answers_and_is_remembered(self, lab: Lab) -> None:
        lab.write_config()
        dead = dead_url()
        client = EtcdClient(from_params({**lab.options, "etcd_endpoints": [dead, lab.etcd.url]}))
        granted = lab.acquire([node(1)], lab.store(client))
        assert granted[0].done == CREATED
        assert client._good == 1

    def test_frozen_member_is_given_up_after_the_timeout(self, lab: Lab) -> None:
        lab.write_config()
        with _etcd.running() as frozen:
            frozen.freeze()
            done = lab.module(
                "flannel_lease", etcd_endpoints=[frozen.url, lab.etcd.url], etcd_timeout=0.3, nodes=[node(1)]
            )
            frozen.thaw()
        assert done["changed"]
        assert len(lab.keys()) == 1

    def test_all_dead_names_each_with_its_reason(self, lab: Lab) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        silent = f"http://127.0.0.1:{listener.getsockname()[1]}"
        dead = dead_url()
        with listener:
            done = lab.module(
                "flannel_lease",
                etcd_endpoints=[dead, silent, "http://no.such.host.invalid:2379"],
                etcd_timeout=0.3,
                nodes=[node(1)],
            )
        assert done["failed"]
        assert f"{dead}: Connection refused" in done["msg"]
        assert f"{silent}: no answer in 0.3 s" in done["msg"]
        assert "http://no.such.host.invalid:2379: " in done["msg"]
        assert "Check etcd_endpoints" in done["msg"]
        assert "Traceback" not in done["msg"]

    def test_something_else_listens_there(self, lab: Lab) -> None:
        with _web_server(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello") as url:
            assert "does not answer like an etcd" in lab.module("flannel_lease_info", etcd_endpoints=[url])["msg"]
        with _web_server(b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nnot found") as url:
            message = lab.module("flannel_lease_info", etcd_endpoints=[url])["msg"]
        assert "refuses /v3/: not found" in message
        assert "3.4 or newer" in message

    def test_member_without_a_leader_is_passed_over(self, lab: Lab) -> None:
        body = b'{"error":"etcdserver: no leader","code":14}'
        head = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: %d\r\n\r\n" % len(body)
        with _web_server(head + body) as url:
            lab.module("flannel_lease_info", etcd_endpoints=[url, lab.etcd.url])
            message = lab.module("flannel_lease_info", etcd_endpoints=[url])["msg"]
        assert f"{url}: etcdserver: no leader" in message

    def test_proxy_variables_are_ignored(self, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("http_proxy", dead_url())
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nonexistent")
        assert "msg" not in lab.module("flannel_lease_info")

    @pytest.mark.parametrize("others", [0, 1])
    def test_answer_of_a_write_lost_on_the_wire(self, lab: Lab, others: int) -> None:
        """The relay hands the transaction to etcd and swallows the answer: the write stands, and is found."""
        lab.write_config()
        with Relay(lab.etcd.port) as relay:
            relay.cut = b"POST /v3/kv/txn"
            endpoints = [relay.url] + [lab.etcd.url] * others
            client = EtcdClient(from_params({**lab.options, "etcd_endpoints": endpoints, "etcd_timeout": 2.0}))
            revision = lab.etcd.revision()
            granted = lab.acquire([node(number) for number in range(10)], lab.store(client))
            assert relay.cuts == 1
        assert {one.done for one in granted} == {CREATED}
        assert lab.etcd.revision() == revision + 1
        assert len(lab.keys()) == 10


@pytest.fixture(scope="module")
def tls() -> Iterator[Lab]:
    """A network in an etcd that demands client certificates."""
    with _etcd.running(tls=True) as server:
        lab = Lab(server, _etcd.PREFIX)
        lab.write_config()
        yield lab


class TestTls:
    def test_client_certificate(self, tls: Lab) -> None:
        assert "msg" not in tls.module("flannel_lease", nodes=[node(1)])
        assert len(tls.keys()) == 1

    def test_wrong_ca(self, tls: Lab, tmp_path: Path) -> None:
        other = _etcd.EtcdAuthority(tmp_path, "another").certificate
        message = tls.module("flannel_lease_info", etcd_cafile=str(other))["msg"]
        assert tls.etcd.url in message
        assert "certificate" in message
        assert "etcd_cafile" in message

    def test_no_client_certificate(self, tls: Lab) -> None:
        message = tls.module("flannel_lease_info", etcd_certfile=None, etcd_keyfile=None)["msg"]
        assert "etcd_certfile" in message

    def test_client_certificate_of_another_ca(self, tls: Lab, tmp_path: Path) -> None:
        certificate, key = _etcd.EtcdAuthority(tmp_path, "another").user("stranger")
        message = tls.module("flannel_lease_info", etcd_certfile=str(certificate), etcd_keyfile=str(key))["msg"]
        assert "etcd_certfile" in message

    def test_key_of_another_certificate(self, tls: Lab) -> None:
        authority = tls.etcd.authority
        assert authority is not None
        _certificate, key = authority.user("another")
        message = tls.module("flannel_lease_info", etcd_keyfile=str(key))["msg"]
        assert "the client's key is not that of the client's certificate" in message
        assert "etcd_certfile and etcd_keyfile" in message
        assert "firewall" not in message

    def test_plain_http_to_a_tls_port(self, tls: Lab) -> None:
        message = tls.module(
            "flannel_lease_info",
            etcd_endpoints=[tls.etcd.url.replace("https", "http")],
            etcd_cafile=None,
            etcd_certfile=None,
            etcd_keyfile=None,
        )["msg"]
        assert "https://" in message

    def test_tls_to_a_plain_port(self, lab: Lab, tls: Lab) -> None:
        message = tls.module("flannel_lease_info", etcd_endpoints=[lab.etcd.url.replace("http", "https")])["msg"]
        assert "write http:// in etcd_endpoints" in message

    @pytest.mark.parametrize("name", ["etcd_certfile", "etcd_keyfile"])
    def test_half_a_pair(self, tls: Lab, name: str) -> None:
        message = tls.module("flannel_lease_info", **{name: None})["msg"]
        assert f"without {name}" in message


class TestUsers:
    @pytest.fixture()
    def guarded(self, own_lab: Lab) -> Lab:
        """An etcd with a user for the network, one who may only read it, and one who may nothing."""
        own_lab.write_config()
        own_lab.etcd.add_user("writer", "secret-1", prefix=own_lab.prefix)
        own_lab.etcd.add_user("reader", "secret-2", prefix=own_lab.prefix, access="read")
        own_lab.etcd.add_user("nobody", "secret-3")
        own_lab.etcd.enable_auth()
        return own_lab

    def test_rights_and_passwords(self, guarded: Lab) -> None:
        assert guarded.module("flannel_lease", **WRITER, nodes=[node(1)])["changed"]
        for user, password, parts in (
            ("writer", "wrong", ["does not accept user 'writer'", "etcd_password"]),
            ("unknown", "wrong", ["does not accept user 'unknown'"]),
            ("nobody", "secret-3", ["denies user 'nobody'", guarded.prefix, "grant-permission"]),
            ("reader", "secret-2", ["denies user 'reader'", "readwrite"]),
            (None, None, ["does not accept a client without etcd_username"]),
        ):
            done = guarded.module("flannel_lease", etcd_username=user, etcd_password=password, nodes=[node(2)])
            assert done["failed"]
            for part in parts:
                assert part in done["msg"]
            assert "secret" not in done["msg"]
        info = guarded.module("flannel_lease_info", **READER)
        assert len(info["leases"]) == 1

    def test_password_is_not_in_any_output(self, guarded: Lab) -> None:
        for password in ("secret-1", "a-wrong-one"):
            done = guarded.module("flannel_lease_info", etcd_username="writer", etcd_password=password)
            assert password not in str(done)
        options = from_params({**guarded.options, **WRITER})
        assert "secret-1" not in repr(options)

    def test_token_that_etcd_forgot_is_replaced(self, guarded: Lab) -> None:
        store = guarded.store(**WRITER)
        guarded.acquire([node(1)], store)
        token = store.client._token
        # Setting the password, even to what it was, makes etcd drop the user's tokens.
        guarded.etcd.ctl("user", "passwd", "writer", "--interactive=false", text="secret-1\n")
        guarded.acquire([node(2)], store)
        assert store.client._token not in (None, token)
        assert len(store.list_leases().leases) == 2

    def test_work_goes_on_after_a_restart(self, guarded: Lab) -> None:
        store = guarded.store(**WRITER)
        guarded.acquire([node(1)], store)
        guarded.etcd.kill()
        with pytest.raises(UnreachableError):
            store.list_leases()
        guarded.etcd.start()
        guarded.acquire([node(2)], store)
        assert len(store.list_leases().leases) == 2

    def test_user_removed_while_we_work(self, guarded: Lab) -> None:
        store = guarded.store(**WRITER)
        store.list_leases()
        guarded.etcd.ctl("user", "delete", "writer")
        with pytest.raises(AccessError, match="writer"):
            store.list_leases()

    def test_credentials_for_an_etcd_without_users(self, lab: Lab) -> None:
        assert lab.store(**WRITER).list_leases().leases == []


def test_missing_etcd3gw_is_explained(lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "etcd3gw.py").write_text("raise ImportError(\"No module named 'etcd3gw'\")\n")
    monkeypatch.syspath_prepend(tmp_path)
    message = lab.module("flannel_lease_info", via=())["msg"]
    assert "python3-etcd3gw" in message


def test_too_many_operations_is_an_error_of_the_store(lab: Lab) -> None:
    with pytest.raises(StoreError, match="too many operations"):
        lab.store().client.call("kv/txn", {"success": [{"request_range": RANGE}] * 129})


@contextlib.contextmanager
def _web_server(answer: bytes) -> Iterator[str]:
    """A server on loopback that answers every request with the same bytes; yields its URL."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _address = listener.accept()
                with client:
                    client.recv(65536)
                    client.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
