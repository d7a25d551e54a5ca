# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The certificates of a Kubernetes cluster on lab hosts, kept in a directory of the lab.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
from importlib import import_module
from typing import Any, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import MissingError
from ansible_collections.podnet.cni.plugins.module_utils._lab.kubernetes import Identity

DAY = datetime.timedelta(days=1)
LIFETIME = 365 * DAY


class Authority:
    """The CA of a cluster and what it issued: C(folder)/NAME.crt and NAME.key. Raises MissingError."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        try:
            self._x509: Any = import_module("cryptography.x509")
            self._hashes: Any = import_module("cryptography.hazmat.primitives.hashes")
            self._serialization: Any = import_module("cryptography.hazmat.primitives.serialization")
            self._ec: Any = import_module("cryptography.hazmat.primitives.asymmetric.ec")
        except ImportError as error:
            raise MissingError(
                f"The Python package cryptography cannot be imported: {error}. Install it for the interpreter of the "
                "task; ansible-core brings it along."
            ) from error

    def lacking(self, identities: Sequence[Identity]) -> list[str]:
        """Return the names of the certificates that have to be issued; C(ca) first, when all have to be."""
        authority = self._load("ca")
        if authority is None or not os.path.exists(self._path("sa.pub")):
            return ["ca", *(identity.name for identity in identities)]
        return [identity.name for identity in identities if not self._fits(identity, authority)]

    def issue(self, names: Sequence[str], identities: Sequence[Identity]) -> None:
        """Make the certificates of these names."""
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        if "ca" in names:
            self._make_authority()
        for identity in identities:
            if identity.name in names:
                self._make_leaf(identity)

    def pem(self) -> dict[str, str]:
        """Return every certificate and key by file name; empty before the first is issued."""
        if not os.path.isdir(self.folder):
            return {}
        texts = {}
        for name in os.listdir(self.folder):
            with open(self._path(name), encoding="ascii") as file:
                texts[name] = file.read()
        return texts

    def _path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def _load(self, name: str) -> Any:
        try:
            with open(self._path(f"{name}.crt"), "rb") as file:
                certificate = self._x509.load_pem_x509_certificate(file.read())
        except (OSError, ValueError):
            return None
        if not os.path.exists(self._path(f"{name}.key")):
            return None
        left = certificate.not_valid_after_utc - datetime.datetime.now(datetime.timezone.utc)
        return certificate if left > DAY else None

    def _fits(self, identity: Identity, authority: Any) -> bool:
        certificate = self._load(identity.name)
        if certificate is None or certificate.issuer != authority.subject:
            return False
        return certificate.subject == self._subject(identity) and self._names(certificate) == set(identity.names)

    def _names(self, certificate: Any) -> set[str]:
        try:
            found = certificate.extensions.get_extension_for_class(self._x509.SubjectAlternativeName).value
        except self._x509.ExtensionNotFound:
            return set()
        return {str(name.value) for name in found}

    def _subject(self, identity: Identity) -> Any:
        oid = self._x509.oid.NameOID
        parts = [(oid.ORGANIZATION_NAME, identity.organization)] if identity.organization else []
        parts.append((oid.COMMON_NAME, identity.common_name))
        return self._x509.Name([self._x509.NameAttribute(key, value) for key, value in parts])

    def _make_authority(self) -> None:
        key = self._ec.generate_private_key(self._ec.SECP256R1())
        # a name of its own, so that what another CA issued is never taken for this one's
        serial = self._x509.random_serial_number()
        name = self._x509.Name(
            [self._x509.NameAttribute(self._x509.oid.NameOID.COMMON_NAME, f"podnet-lab-{serial:x}"[:64])]
        )
        builder = self._builder(name, name, key.public_key()).add_extension(
            self._x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        self._write("ca", builder.sign(key, self._hashes.SHA256()), key)
        tokens = self._ec.generate_private_key(self._ec.SECP256R1())
        self._write_text("sa.key", self._private(tokens))
        self._write_text("sa.pub", self._public(tokens))

    def _make_leaf(self, identity: Identity) -> None:
        with open(self._path("ca.key"), "rb") as file:
            authority_key = self._serialization.load_pem_private_key(file.read(), None)
        authority = self._load("ca")
        key = self._ec.generate_private_key(self._ec.SECP256R1())
        usage = self._x509.oid.ExtendedKeyUsageOID
        usages = [usage.CLIENT_AUTH] if identity.client else []
        usages += [usage.SERVER_AUTH] if identity.names else []
        builder = self._builder(self._subject(identity), authority.subject, key.public_key())
        builder = builder.add_extension(self._x509.ExtendedKeyUsage(usages), critical=False)
        if identity.names:
            names = [self._general_name(name) for name in identity.names]
            builder = builder.add_extension(self._x509.SubjectAlternativeName(names), critical=False)
        self._write(identity.name, builder.sign(authority_key, self._hashes.SHA256()), key)

    def _general_name(self, name: str) -> Any:
        try:
            return self._x509.IPAddress(ipaddress.ip_address(name))
        except ValueError:
            return self._x509.DNSName(name)

    def _builder(self, subject: Any, issuer: Any, public_key: Any) -> Any:
        now = datetime.datetime.now(datetime.timezone.utc)
        return (
            self._x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(public_key)
            .serial_number(self._x509.random_serial_number())
            .not_valid_before(now - DAY)
            .not_valid_after(now + LIFETIME)
        )

    def _write(self, name: str, certificate: Any, key: Any) -> None:
        # the key first: a certificate without its key would pass for one that is there
        self._write_text(f"{name}.key", self._private(key))
        self._write_text(f"{name}.crt", certificate.public_bytes(self._serialization.Encoding.PEM).decode())

    def _write_text(self, name: str, text: str) -> None:
        partial = self._path(f"{name}.partial")
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
        os.replace(partial, self._path(name))

    def _private(self, key: Any) -> str:
        return key.private_bytes(
            self._serialization.Encoding.PEM,
            self._serialization.PrivateFormat.PKCS8,
            self._serialization.NoEncryption(),
        ).decode()

    def _public(self, key: Any) -> str:
        return (
            key.public_key()
            .public_bytes(self._serialization.Encoding.PEM, self._serialization.PublicFormat.SubjectPublicKeyInfo)
            .decode()
        )
