# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why TLS fails, by handshakes that really fail: no text of OpenSSL is made up here."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._host import tls
from ansible_collections.podnet.cni.tests.integration._kube_pki import Authority


def client_of(authority: Authority, *, strict: bool = False) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.certificate))
    # What Python 3.13 does by itself.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.verify_flags |= ssl.VERIFY_X509_STRICT if strict else 0
    return context


def server_of(pair: tuple[Path, Path], *, client_ca: Authority | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    if client_ca is not None:
        context.load_verify_locations(cafile=str(client_ca.certificate))
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def shake(client: ssl.SSLContext, server: ssl.SSLContext, name: str = "localhost") -> BaseException:
    """The error that the client gets."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, server_hostname=name)
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    for _round in range(10):
        for end in (theirs, ours):
            try:
                end.do_handshake()
                if end is ours:
                    ours.read(1)
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError as error:
                if end is ours:
                    return error
    raise AssertionError("nothing failed")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def kind_of(error: BaseException) -> str:
    found = tls.refusal(error)
    assert found is not None
    assert found.reason
    return found.kind


def test_a_ca_without_key_usage_is_refused_by_this_python(authority: Authority) -> None:
    error = shake(client_of(authority, strict=True), server_of(authority.server("s")))
    found = tls.refusal(error)
    assert found is not None
    assert found.kind == tls.STRICT
    assert "refuses the server's certificate: " in found.text
    assert "key usage" in found.text.lower() or "key identifier" in found.text.lower()


def test_the_server_has_another_ca(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other", "other")
    assert kind_of(shake(client_of(other), server_of(authority.server("s")))) == tls.OTHER_CA


def test_the_server_has_another_name(authority: Authority) -> None:
    server = server_of(authority.server("s"))
    assert kind_of(shake(client_of(authority), server, "example.org")) == tls.OTHER_NAME
    assert kind_of(shake(client_of(authority), server, "127.0.0.2")) == tls.OTHER_NAME


def test_the_certificate_has_expired(authority: Authority) -> None:
    server = server_of(authority.server("s", lifetime=-datetime.timedelta(hours=1)))
    assert kind_of(shake(client_of(authority), server)) == tls.EXPIRED


def test_the_server_wants_a_client_certificate(authority: Authority, tmp_path: Path) -> None:
    server = server_of(authority.server("s"), client_ca=authority)
    assert kind_of(shake(client_of(authority), server)) == tls.REFUSED_BY_SERVER


def test_a_key_that_does_not_fit_its_certificate(authority: Authority) -> None:
    certificate, _key = authority.user("one")
    _certificate, key = authority.user("two")
    with pytest.raises(ssl.SSLError) as caught:
        ssl.create_default_context().load_cert_chain(str(certificate), str(key))
    assert kind_of(caught.value) == tls.KEY_MISMATCH


def test_a_file_that_holds_no_certificate(authority: Authority, tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("no certificate\n")
    with pytest.raises(ssl.SSLError) as caught:
        ssl.create_default_context().load_cert_chain(str(empty))
    assert kind_of(caught.value) == tls.UNREADABLE
    with pytest.raises(ssl.SSLError) as caught:
        ssl.create_default_context(cafile=str(empty))
    assert kind_of(caught.value) == tls.UNREADABLE


def test_no_tls_at_the_other_end(authority: Authority) -> None:
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client_of(authority).wrap_bio(to_client, to_server, server_hostname="localhost")
    to_client.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with pytest.raises(ssl.SSLError) as caught:
        ours.do_handshake()
    assert kind_of(caught.value) == tls.NO_TLS


def test_the_other_end_hangs_up(authority: Authority) -> None:
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client_of(authority).wrap_bio(to_client, to_server, server_hostname="localhost")
    to_client.write_eof()
    with pytest.raises(ssl.SSLError) as caught:
        ours.do_handshake()
    assert kind_of(caught.value) == tls.CLOSED


def test_what_wraps_the_error_does_not_hide_it(authority: Authority) -> None:
    inner = shake(client_of(authority, strict=True), server_of(authority.server("s")))
    wrapped = RuntimeError("outer")
    wrapped.__cause__ = OSError("middle", inner)
    assert kind_of(wrapped) == tls.STRICT
    assert tls.refusal(ConnectionRefusedError(111, "Connection refused")) is None


def test_when_a_certificate_ended(authority: Authority) -> None:
    hour = datetime.timedelta(hours=1)
    past, _key = authority.user("past", lifetime=-hour)
    end = datetime.datetime.now(datetime.timezone.utc) - hour
    told = {f"{each:%Y-%m-%d %H:%M} UTC" for each in (end, end - datetime.timedelta(minutes=1))}
    assert tls.ended(past.read_text()) in told
    present, _key = authority.user("present", lifetime=hour)
    assert tls.ended(present.read_text()) == ""
    # From 2050 on the year has four digits (RFC 5280, section 4.1.2.5).
    far, _key = authority.user("far", lifetime=datetime.timedelta(days=40 * 365))
    assert tls.ended(far.read_text()) == ""
    assert tls.ended(past.read_text() + present.read_text()) in told, "the first one is the client's own"


@pytest.mark.parametrize("text", ["", "x", "-----BEGIN CERTIFICATE-----\nYQ==\n-----END CERTIFICATE-----\n"])
def test_what_is_not_a_certificate_has_no_end(text: str) -> None:
    assert tls.ended(text) == ""


def test_a_certificate_that_is_cut_off_has_no_end(authority: Authority) -> None:
    der = ssl.PEM_cert_to_DER_cert(authority.user("past", lifetime=-datetime.timedelta(hours=1))[0].read_text())
    for length in range(0, len(der), 7):
        tls.ended(ssl.DER_cert_to_PEM_cert(der[:length]))
