# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why a TLS connection was refused, and by whom. Pure, but for the clock that an expired certificate is told by.

Private to podnet.cni: may change in any release.

Codes are those of OpenSSL 3 include/openssl/x509_vfy.h.in; the strict ones come with X509_V_FLAG_X509_STRICT, which
Python 3.13 sets by default (https://docs.python.org/3/whatsnew/3.13.html#ssl).
"""

from __future__ import annotations

import datetime
import re
import ssl
import sys
from dataclasses import dataclass
from typing import Any, Iterator

STRICT = "strict"
EXPIRED = "expired"
NOT_YET_VALID = "not_yet_valid"
OTHER_NAME = "other_name"
OTHER_CA = "other_ca"
KEY_MISMATCH = "key_mismatch"
UNREADABLE = "unreadable"
REFUSED_BY_SERVER = "refused_by_server"
NO_TLS = "no_tls"
CLOSED = "closed"
OTHER = "other"

_STRICT_CODES = range(80, 94)
_NAME_CODES = (62, 63, 64)
_CODES = {9: NOT_YET_VALID, 10: EXPIRED}


@dataclass(frozen=True)
class Refusal:
    """C(kind) is one of the constants; C(text) says who refuses what, and why; C(reason) is OpenSSL's own word."""

    kind: str
    text: str
    reason: str


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield C(error) and what it wraps, innermost last; requests and urllib3 nest in arguments and attributes."""
    seen = set()
    pending: list[Any] = [error]
    while pending:
        current = pending.pop(0)
        if not isinstance(current, BaseException) or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        pending.extend([*current.args, getattr(current, "reason", None), current.__cause__, current.__context__])


def refusal(error: BaseException) -> Refusal | None:
    """Return why TLS failed, None where something else did."""
    found = [each for each in causes(error) if isinstance(each, ssl.SSLError)]
    for each in found:
        if isinstance(each, ssl.SSLCertVerificationError):
            return _verification(each)
    return _other(found[-1]) if found else None


def _verification(error: ssl.SSLCertVerificationError) -> Refusal:
    code = getattr(error, "verify_code", 0)
    reason = str(getattr(error, "verify_message", "") or getattr(error, "reason", "") or error.strerror or error)
    python = f"Python {sys.version_info.major}.{sys.version_info.minor} at {sys.executable}"
    text = f"{python} refuses the server's certificate: {reason}"
    if code in _STRICT_CODES:
        return Refusal(STRICT, text, reason)
    # Before 3.12 a wrong name has no code of its own in every case.
    if code in _NAME_CODES or "mismatch" in reason.lower() or "doesn't match" in reason.lower():
        return Refusal(OTHER_NAME, text, reason)
    return Refusal(_CODES.get(code, OTHER_CA), text, reason)


def _other(error: ssl.SSLError) -> Refusal:
    reason = str(getattr(error, "reason", "") or error.strerror or error)
    words = f"{reason} {error}".upper().replace(" ", "_")
    if "KEY_VALUES_MISMATCH" in words:
        return Refusal(KEY_MISMATCH, "the client's key is not that of the client's certificate", reason)
    if "ALERT" in words:
        text = f"the server refuses the client's certificate, or that there is none: {reason}"
        return Refusal(REFUSED_BY_SERVER, text, reason)
    if "WRONG_VERSION_NUMBER" in words or "HTTP_REQUEST" in words or "RECORD_LAYER" in words:
        return Refusal(NO_TLS, "the server does not speak TLS", reason)
    if "EOF" in words:
        # A server without TLS does so as well as one that wants a client certificate.
        return Refusal(CLOSED, f"the server closed the connection during the TLS handshake: {reason}", reason)
    if "PEM" in words or "ASN1" in words or "NO_CERTIFICATE_OR_CRL_FOUND" in words:
        return Refusal(UNREADABLE, f"a file of certificates or keys holds none: {reason}", reason)
    return Refusal(OTHER, f"TLS failed: {reason}", reason)


def ended(pem: str) -> str:
    """When the first certificate in C(pem) ended, in UTC; empty while it is good, and for what cannot be read.

    The fields are those of RFC 5280, section 4.1. Python's own library reads them for nobody but itself.
    """
    block = re.search("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", pem, re.DOTALL)
    try:
        body = _inner(_inner(ssl.PEM_cert_to_DER_cert(block.group()) if block else b""))
        # The version is there or not; behind it stand serial number, algorithm and issuer.
        members = [member for tag, member in _members(body) if tag != 0xA0]
        (_tag, _begin), (tag, end) = _members(members[3])
        text = end.decode("ascii")
        # Two digits stand for the years from 1950 on.
        year = text if tag == 0x18 else f"{'19' if text >= '50' else '20'}{text}"
        moment = datetime.datetime.strptime(year, "%Y%m%d%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
    except (ValueError, IndexError):
        return ""
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment < datetime.datetime.now(datetime.timezone.utc) else ""


def _inner(data: bytes) -> bytes:
    return next(_members(data), (0, b""))[1]


def _members(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each value in DER."""
    at = 0
    while at < len(data):
        tag, length = data[at], data[at + 1]
        at += 2
        if length & 0x80:
            more = length & 0x7F
            length, at = int.from_bytes(data[at : at + more], "big"), at + more
        yield tag, data[at : at + length]
        at += length


STRICT_REMEDY = (
    "Python 3.13 and newer keep to RFC 5280: make the CA and the certificates that it signed anew (a CA needs the "
    "extensions basicConstraints, critical, and keyUsage with keyCertSign), or run this with an older Python"
)
