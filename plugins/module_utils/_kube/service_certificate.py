# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The certificate of a Service in a cluster, its CA, and the way from one CA to the next.

Private to podnet.cni: may change in any release.

A CA is exchanged in three steps, so that at no moment a server shows a leaf that a client does not trust:

1. a new CA is made and its certificate joins the bundle;
2. once the bundle is in place, the leaf is issued anew by the new CA;
3. once every replica serves the new leaf, the old CA leaves the bundle.
"""

from __future__ import annotations

import base64
import datetime
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube.objects import FIELD_MANAGER, find

GENERATION = "podnet.cni/ca-generation"
BACKDATED = datetime.timedelta(minutes=5)
"""Clocks that lag behind ours by less than this accept a new certificate at once."""

WEBHOOKS = "/apis/admissionregistration.k8s.io/v1"


@dataclass(frozen=True)
class Pair:
    """A certificate and its key as PEM; the key is empty for a certificate that only has to be trusted."""

    certificate: str = ""
    key: str = field(default="", repr=False)

    def __bool__(self) -> bool:
        return bool(self.certificate)


@dataclass(frozen=True)
class State:
    """What the two Secrets hold."""

    ca: Pair = Pair()
    coming: Pair = Pair()
    leaving: str = ""
    leaf: Pair = Pair()
    generation: int = 1

    def bundle(self) -> str:
        """Every CA that is to be trusted now, as PEM."""
        return "".join(text for text in (self.ca.certificate, self.coming.certificate, self.leaving) if text)


@dataclass(frozen=True)
class Wanted:
    """What is asked for; C(settle) is in seconds, the rest in days."""

    names: tuple[str, ...]
    days: int
    renew_days: int
    ca_days: int
    ca_renew_days: int
    settle: float
    generation: int


def plan(state: State, wanted: Wanted, published: str | None, now: datetime.datetime) -> tuple[State, list[str]]:
    """The next state and what is done to get there; at most one step of a CA's exchange.

    C(published) is what clients trust today, None when there is no client yet. A first CA does not take the place of
    somebody else's at once: what is served today stays trusted until the new leaf has settled.
    """
    pki = _Pki(now)
    actions = []
    if not state.ca:
        old = (state.leaving or published or "").strip()
        leaving = f"{old}\n" if old else ""
        state = replace(state, ca=pki.authority(wanted), leaving=leaving, generation=wanted.generation)
        actions.append("make a CA")
    elif state.leaving:
        if pki.fits(state.leaf, state.ca, wanted) and pki.age(state.leaf.certificate) >= wanted.settle:
            state = replace(state, leaving="")
            actions.append("forget the old CA")
    elif state.coming:
        settled = pki.age(state.coming.certificate) >= wanted.settle
        if published is None or (settled and state.coming.certificate.strip() in published):
            state = replace(state, ca=state.coming, coming=Pair(), leaving=state.ca.certificate)
            actions.append("move on to the new CA")
    elif wanted.generation != state.generation or pki.days_left(state.ca.certificate) < wanted.ca_renew_days:
        state = replace(state, coming=pki.authority(wanted), generation=wanted.generation)
        actions.append("announce a new CA")
    if not state.leaf or not pki.fits(state.leaf, state.ca, wanted):
        state = replace(state, leaf=pki.leaf(state.ca, wanted))
        actions.append("issue a certificate")
    return state, actions


_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


class _Pki:
    """X.509 with the Python package cryptography, imported when it is needed."""

    def __init__(self, now: datetime.datetime) -> None:
        try:
            self._x509 = import_module("cryptography.x509")
            self._hashes = import_module("cryptography.hazmat.primitives.hashes")
            self._serialization = import_module("cryptography.hazmat.primitives.serialization")
            self._ec = import_module("cryptography.hazmat.primitives.asymmetric.ec")
        except ImportError as error:
            raise InputError(
                f"The Python package cryptography is missing ({error}). ansible-core brings it; run this task with the "
                "Python that runs ansible (delegate_to: localhost)."
            ) from error
        self._now = now

    def authority(self, wanted: Wanted) -> Pair:
        """A new CA. Each has a name of its own, so that a client finds the right one in a bundle."""
        key = self._ec.generate_private_key(self._ec.SECP256R1())
        name = self._name(f"{wanted.names[0]} CA {self._now:%Y%m%d%H%M%S}")
        usage = self._usage(key_cert_sign=True, crl_sign=True)
        builder = (
            self._builder(name, name, key.public_key(), wanted.ca_days)
            .add_extension(self._x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
        )
        return self._pair(builder, key, key)

    def leaf(self, ca: Pair, wanted: Wanted) -> Pair:
        """A server certificate for the names."""
        key = self._ec.generate_private_key(self._ec.SECP256R1())
        signer = self._serialization.load_pem_private_key(ca.key.encode(), None)
        issuer = self._load(ca.certificate).subject
        names = self._x509.SubjectAlternativeName([self._x509.DNSName(name) for name in wanted.names])
        builder = (
            self._builder(self._name(wanted.names[0]), issuer, key.public_key(), wanted.days)
            .add_extension(self._x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(self._usage(digital_signature=True), critical=True)
            .add_extension(
                self._x509.ExtendedKeyUsage([self._x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
            )
            .add_extension(names, critical=False)
        )
        return self._pair(builder, key, signer)

    def fits(self, leaf: Pair, ca: Pair, wanted: Wanted) -> bool:
        """Whether a leaf is from this CA, for these names, with its own key, and good for a while."""
        try:
            certificate, authority = self._load(leaf.certificate), self._load(ca.certificate)
            certificate.verify_directly_issued_by(authority)
            names = certificate.extensions.get_extension_for_class(self._x509.SubjectAlternativeName).value
            public = self._serialization.load_pem_private_key(leaf.key.encode(), None).public_key()
        except Exception:
            # Whatever cannot be read or verified is replaced; cryptography has many classes for that.
            return False
        if public != certificate.public_key():
            return False
        found = set(names.get_values_for_type(self._x509.DNSName))
        return found == set(wanted.names) and self.days_left(leaf.certificate) >= wanted.renew_days

    def belongs(self, pair: Pair) -> bool:
        """Whether a certificate and its key can be read and belong together."""
        try:
            public = self._serialization.load_pem_private_key(pair.key.encode(), None).public_key()
            return bool(public == self._load(pair.certificate).public_key())
        except Exception:
            # cryptography has many classes for what cannot be read.
            return False

    def days_left(self, pem: str) -> float:
        """Days until a certificate ends."""
        return float((self._load(pem).not_valid_after_utc - self._now).total_seconds() / 86400)

    def age(self, pem: str) -> float:
        """Seconds since a certificate was made."""
        return float((self._now - self._load(pem).not_valid_before_utc - BACKDATED).total_seconds())

    def end(self, pem: str) -> str:
        """When a certificate ends, as text."""
        return f"{self._load(pem).not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}"

    def _load(self, pem: str) -> Any:
        return self._x509.load_pem_x509_certificate(pem.encode())

    def _name(self, text: str) -> Any:
        # RFC 5280 A.1 bounds a common name to 64 characters.
        return self._x509.Name([self._x509.NameAttribute(self._x509.oid.NameOID.COMMON_NAME, text[-64:])])

    def _usage(self, **given: bool) -> Any:
        return self._x509.KeyUsage(**{**dict.fromkeys(_USAGES, False), **given})

    def _builder(self, subject: Any, issuer: Any, public: Any, days: int) -> Any:
        return (
            self._x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(self._x509.random_serial_number())
            .not_valid_before(self._now - BACKDATED)
            .not_valid_after(self._now + datetime.timedelta(days=days))
        )

    def _pair(self, builder: Any, key: Any, signer: Any) -> Pair:
        form = self._serialization
        certificate = builder.sign(signer, self._hashes.SHA256()).public_bytes(form.Encoding.PEM).decode()
        secret = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()).decode()
        return Pair(certificate, secret)


@dataclass(frozen=True)
class Secrets:
    """Where the state is kept."""

    namespace: str
    ca: str
    leaf: str


def read(client: KubeClient, secrets: Secrets) -> State:
    """What the Secrets hold; an empty state where there are none.

    A CA without its key can sign nothing more: it is not a CA of ours, but what it signed stays trusted for a while.
    """
    authority = find(client, _path(secrets.namespace, secrets.ca)) or {}
    leaf = find(client, _path(secrets.namespace, secrets.leaf)) or {}
    held, served = _decoded(authority), _decoded(leaf)
    text = str(fields.at(authority, "metadata", "annotations", GENERATION) or "1")
    ca, previous = Pair(held.get("ca.crt", ""), held.get("ca.key", "")), held.get("previous.crt", "")
    if ca and not ca.key:
        ca, previous = Pair(), f"{ca.certificate.strip()}\n{previous}"
    return State(
        ca,
        Pair(held.get("next.crt", ""), held.get("next.key", "")),
        previous,
        Pair(served.get("tls.crt", ""), served.get("tls.key", "")),
        int(text) if text.isdigit() else 1,
    )


def write(client: KubeClient, secrets: Secrets, before: State, after: State) -> None:
    """Write the Secrets that differ, the CA's first: a leaf must never be all that is left of its CA."""
    if replace(before, leaf=Pair()) != replace(after, leaf=Pair()):
        data = {"ca.crt": after.ca.certificate, "ca.key": after.ca.key, "next.crt": after.coming.certificate}
        data.update({"next.key": after.coming.key, "previous.crt": after.leaving})
        metadata = {"name": secrets.ca, "annotations": {GENERATION: str(after.generation)}}
        _write(client, secrets.namespace, metadata, "Opaque", data)
    if before.leaf != after.leaf:
        data = {"tls.crt": after.leaf.certificate, "tls.key": after.leaf.key}
        _write(client, secrets.namespace, {"name": secrets.leaf}, "kubernetes.io/tls", data)


def _write(client: KubeClient, namespace: str, metadata: Mapping[str, Any], kind: str, data: Mapping[str, str]) -> None:
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": kind,
        "metadata": {"namespace": namespace, **metadata},
        "data": {key: base64.b64encode(text.encode()).decode() for key, text in data.items() if text},
    }
    path = _path(namespace, str(metadata["name"]))
    client.patch(path, body, "apply", field_manager=FIELD_MANAGER, force=True)


def _path(namespace: str, name: str) -> str:
    return f"/api/v1/namespaces/{namespace}/secrets/{name}"


def _decoded(secret: Mapping[str, Any]) -> dict[str, str]:
    data = secret.get("data") or {}
    return {key: base64.b64decode(value).decode("utf-8", "replace") for key, value in data.items()}


def published(client: KubeClient, name: str) -> str | None:
    """What the webhook configurations of a name trust: only what all of them do. None when there are none."""
    bundles = []
    for kind in ("mutatingwebhookconfigurations", "validatingwebhookconfigurations"):
        item = find(client, f"{WEBHOOKS}/{kind}/{name}") or {}
        for webhook in item.get("webhooks") or []:
            text = fields.at(webhook, "clientConfig", "caBundle") or ""
            bundles.append(base64.b64decode(text).decode("utf-8", "replace"))
    if not bundles:
        return None
    return bundles[0] if all(bundle == bundles[0] for bundle in bundles) else ""


def run(client: KubeClient, params: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """The module kube_service_certificate: its result. Raises InputError and KubeError."""
    namespace, service = params["namespace"], params["service"]
    for name in ("days", "ca_days", "ca_generation"):
        if params[name] < 1:
            raise InputError(f"{name} is {params[name]}: give a number of at least 1.")
    for name, limit in (("renew_days", "days"), ("ca_renew_days", "ca_days")):
        if not 0 <= params[name] < params[limit]:
            raise InputError(f"{name} is {params[name]}: it has to be less than {limit}, {params[limit]}.")
    wanted = Wanted(
        (f"{service}.{namespace}.svc", f"{service}.{namespace}", service),
        params["days"],
        params["renew_days"],
        params["ca_days"],
        params["ca_renew_days"],
        params["settle"],
        params["ca_generation"],
    )
    secrets = Secrets(namespace, params["ca_secret"] or f"{service}-ca", params["secret"] or f"{service}-tls")
    before = read(client, secrets)
    trusted = published(client, params["webhook_configuration"]) if params["webhook_configuration"] else None
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    pki = _Pki(now)
    if any(pair and not pki.belongs(pair) for pair in (before.ca, before.coming)):
        raise InputError(
            f"Secret {namespace}/{secrets.ca} holds a CA whose certificate and key cannot be read or do not belong "
            "together: restore it, or delete it to have a new CA made."
        )
    after, actions = plan(before, wanted, trusted, now)
    if actions and not check_mode:
        write(client, secrets, before, after)
    steps = {True: "trusting both, the new leaf is coming", False: "done"}
    return {
        "changed": bool(actions),
        "actions": actions,
        "ca_bundle": after.bundle(),
        "not_after": pki.end(after.leaf.certificate),
        "ca_not_after": pki.end(after.ca.certificate),
        "rotation": "trusting both, the old CA leaves next" if after.leaving else steps[bool(after.coming)],
        "diff": {
            "before": {"certificate": _told(pki, before.leaf.certificate), "ca": _told(pki, before.ca.certificate)},
            "after": {"certificate": _told(pki, after.leaf.certificate), "ca": _told(pki, after.ca.certificate)},
        },
    }


def _told(pki: _Pki, pem: str) -> str:
    try:
        return f"until {pki.end(pem)}" if pem else "none"
    except ValueError:
        return "unreadable"
