# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan for a certificate and its CA, with a clock of the test's own."""

from __future__ import annotations

import base64
import datetime
from dataclasses import replace
from typing import Any

import pytest
from cryptography import x509

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import NotFound
from ansible_collections.podnet.cni.plugins.module_utils._kube.service_certificate import (
    Pair,
    State,
    Wanted,
    plan,
    run,
)

NOW = datetime.datetime(2026, 11, 20, 10, tzinfo=datetime.timezone.utc)
DAY = datetime.timedelta(days=1)
WANTED = Wanted(("judge.admission.svc", "judge.admission", "judge"), 365, 90, 1825, 450, 600.0, 1)


def trusts(bundle: str, leaf: Pair) -> bool:
    """Whether a client with this bundle accepts the leaf."""
    certificate = x509.load_pem_x509_certificate(leaf.certificate.encode())
    issuers = [
        authority
        for authority in x509.load_pem_x509_certificates(bundle.encode())
        if authority.subject == certificate.issuer
    ]
    for issuer in issuers:
        certificate.verify_directly_issued_by(issuer)
    return bool(issuers)


def test_from_nothing_and_nothing_to_do() -> None:
    state, actions = plan(State(), WANTED, None, NOW)
    assert actions == ["make a CA", "issue a certificate"]
    assert trusts(state.bundle(), state.leaf)
    assert plan(state, WANTED, state.bundle(), NOW + DAY) == (state, [])


def test_leaf_is_renewed_in_time_and_for_new_names() -> None:
    state, _actions = plan(State(), WANTED, None, NOW)
    later, actions = plan(state, WANTED, state.bundle(), NOW + 276 * DAY)
    assert actions == ["issue a certificate"]
    assert later.ca == state.ca
    _later, actions = plan(state, replace(WANTED, names=("other.admission.svc",)), state.bundle(), NOW)
    assert actions == ["issue a certificate"]
    _later, actions = plan(replace(state, leaf=Pair("no PEM", "no key")), WANTED, state.bundle(), NOW)
    assert actions == ["issue a certificate"]


@pytest.mark.parametrize("reason", ["age", "generation"])
def test_the_ca_is_exchanged_in_three_steps(reason: str) -> None:
    state, _actions = plan(State(), WANTED, None, NOW)
    wanted, now = (WANTED, NOW + 1400 * DAY) if reason == "age" else (replace(WANTED, generation=2), NOW + DAY)
    state = plan(state, wanted, state.bundle(), now)[0] if reason == "age" else state
    first = state
    published = state.bundle()
    if reason == "generation":
        state, actions = plan(state, wanted, published, now)
        assert actions == ["announce a new CA"]
    assert state.coming
    assert state.leaf == first.leaf
    # The new bundle did not reach the API server: nothing moves on, however long it takes.
    assert plan(state, wanted, first.ca.certificate, now + DAY)[0].ca == state.ca
    published = state.bundle()
    assert trusts(published, state.leaf)
    assert plan(state, wanted, published, now + datetime.timedelta(seconds=599)) == (state, [])

    now += DAY
    second, actions = plan(state, wanted, published, now)
    assert actions == ["move on to the new CA", "issue a certificate"]
    for leaf in (state.leaf, second.leaf):
        assert trusts(published, leaf), "replicas serve either leaf for a while"
        assert trusts(second.bundle(), leaf)
    assert plan(second, wanted, second.bundle(), now + datetime.timedelta(seconds=599)) == (second, [])

    now += DAY
    third, actions = plan(second, wanted, second.bundle(), now)
    assert actions == ["forget the old CA"]
    assert trusts(third.bundle(), third.leaf)
    assert not trusts(third.bundle(), first.leaf)
    assert plan(third, wanted, third.bundle(), now + DAY) == (third, [])


def test_what_was_trusted_before_a_first_ca_stays_so_until_the_leaf_has_settled() -> None:
    """As when the certificate was cert-manager's: its leaf is served until the kubelets have brought ours."""
    foreign, _actions = plan(State(), WANTED, None, NOW - DAY)
    state, actions = plan(State(leaf=foreign.leaf), WANTED, foreign.bundle(), NOW)
    assert actions == ["make a CA", "issue a certificate"]
    for leaf in (foreign.leaf, state.leaf):
        assert trusts(state.bundle(), leaf)
    assert plan(state, WANTED, state.bundle(), NOW + datetime.timedelta(seconds=599)) == (state, [])
    later, actions = plan(state, WANTED, state.bundle(), NOW + DAY)
    assert actions == ["forget the old CA"]
    assert not trusts(later.bundle(), foreign.leaf)


def test_the_old_ca_stays_while_the_leaf_is_lost() -> None:
    first, _actions = plan(State(), WANTED, None, NOW)
    state = replace(first, leaving=first.ca.certificate, leaf=Pair())
    later, actions = plan(state, WANTED, state.bundle(), NOW + DAY)
    assert actions == ["issue a certificate"]
    assert later.leaving


class Cluster:
    """An API server with the Secrets of a namespace."""

    def __init__(self, **secrets: dict[str, str]) -> None:
        self.secrets = {f"judge-{name}": data for name, data in secrets.items()}

    def get(self, path: str) -> dict[str, Any]:
        name = path.rsplit("/", 1)[1]
        if name not in self.secrets:
            raise NotFound(path, status=404)
        coded = {key: base64.b64encode(text.encode()).decode() for key, text in self.secrets[name].items()}
        return {"metadata": {"name": name}, "data": coded}

    def patch(self, path: str, body: dict[str, Any], _kind: str, **_more: Any) -> dict[str, Any]:
        data = {key: base64.b64decode(text).decode() for key, text in body["data"].items()}
        self.secrets[path.rsplit("/", 1)[1]] = data
        return body


OPTIONS = {
    "namespace": "admission",
    "service": "judge",
    "secret": None,
    "ca_secret": None,
    "days": 365,
    "renew_days": 90,
    "ca_days": 1825,
    "ca_renew_days": 450,
    "ca_generation": 1,
    "settle": 600.0,
    "webhook_configuration": None,
}


def test_a_ca_without_its_key_is_replaced_and_trusted_for_a_while() -> None:
    foreign, _actions = plan(State(), WANTED, None, NOW)
    cluster: Any = Cluster(
        ca={"ca.crt": foreign.ca.certificate, "tls.crt": foreign.ca.certificate, "tls.key": foreign.ca.key},
        tls={"tls.crt": foreign.leaf.certificate, "tls.key": foreign.leaf.key},
    )
    result = run(cluster, OPTIONS, False)
    assert result["actions"] == ["make a CA", "issue a certificate"]
    assert trusts(result["ca_bundle"], foreign.leaf)
    assert cluster.secrets["judge-ca"]["ca.key"]
    assert run(cluster, OPTIONS, False)["actions"] == []


@pytest.mark.parametrize("broken", ["certificate", "key", "pair"])
def test_a_ca_that_cannot_be_read_is_named(broken: str) -> None:
    one, other = (plan(State(), WANTED, None, NOW)[0].ca for _each in range(2))
    data = {"ca.crt": one.certificate, "ca.key": one.key}
    data.update({"certificate": {"ca.crt": "x"}, "key": {"ca.key": "x"}, "pair": {"ca.key": other.key}}[broken])
    broken_cluster: Any = Cluster(ca=data)
    with pytest.raises(InputError, match=r"Secret admission/judge-ca .* delete it to have a new CA made"):
        run(broken_cluster, OPTIONS, False)


def test_a_leaf_that_cannot_be_read_is_issued_anew() -> None:
    cluster: Any = Cluster(tls={"tls.crt": "x", "tls.key": "y"})
    result = run(cluster, OPTIONS, True)
    assert result["diff"]["before"]["certificate"] == "unreadable"
    assert "issue a certificate" in result["actions"]
