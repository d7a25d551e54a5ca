# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The certificate we serve: loaded again when its files change, and when it ends.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import calendar
import os
import ssl
import time
from typing import Any

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError


class ServerCertificate:
    """A TLS context whose certificate follows two files. C(not_after) is seconds since 1970."""

    def __init__(self, certificate: str, key: str) -> None:
        self._files = (certificate, key)
        self._stamp: Any = None
        self.not_after = 0.0
        self.reloads = -1
        self.problem = ""
        self._current = _new_context()
        # New handshakes move on to the newest context; open connections keep theirs.
        self.context = _new_context()
        self.context.sni_callback = self._switch
        if not self.refresh():
            raise InputError(f"certificate {certificate} and key {key} cannot be served: {self.problem}.")
        self.context.load_cert_chain(*self._files)

    def _switch(self, connection: Any, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._current

    def refresh(self) -> bool:
        """Load the files when they changed; whether a new pair is served. A bad pair leaves the old one in place."""
        try:
            stamp = [(item.st_mtime_ns, item.st_ino, item.st_size) for item in map(os.stat, self._files)]
            if stamp == self._stamp:
                return False
            with open(self._files[0], encoding="ascii") as stream:
                not_after = end_of_validity(stream.read())
            context = _new_context()
            context.load_cert_chain(*self._files)
        except (OSError, ValueError, IndexError) as error:
            self.problem = f"{type(error).__name__}: {error}"
            return False
        self._stamp, self._current, self.not_after, self.problem = stamp, context, not_after, ""
        self.reloads += 1
        return True

    def seconds_left(self) -> float:
        """Until the certificate ends; negative afterwards."""
        return self.not_after - time.time()


def _new_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def end_of_validity(pem: str) -> float:
    """When the first certificate of a PEM text ends, in seconds since 1970 (RFC 5280 4.1). Raises ValueError."""
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    start = pem.index(begin)
    der = ssl.PEM_cert_to_DER_cert(pem[start : pem.index(end, start) + len(end)])
    outer, _rest = _element(der)
    fields, _rest = _element(outer[1])
    members = []
    left = fields[1]
    while left:
        member, left = _element(left)
        members.append(member)
    # version [0] is optional, then serialNumber, signature, issuer, validity
    validity = members[4 if members[0][0] == 0xA0 else 3]
    _begins, left = _element(validity[1])
    (tag, text), _rest = _element(left)
    shown = text.decode("ascii")
    if tag == 0x17:
        shown = ("20" if int(shown[:2]) < 50 else "19") + shown
    return float(calendar.timegm(time.strptime(shown, "%Y%m%d%H%M%SZ")))


def _element(der: bytes) -> tuple[tuple[int, bytes], bytes]:
    """The first element of DER text as (tag, content), and what follows it."""
    tag, length, offset = der[0], der[1], 2
    if length & 0x80:
        count = length & 0x7F
        length, offset = int.from_bytes(der[2 : 2 + count], "big"), 2 + count
    return (tag, der[offset : offset + length]), der[offset + length :]
