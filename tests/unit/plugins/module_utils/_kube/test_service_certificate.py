# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan for a certificate and its CA, with a clock of the test's own."""

from __future__ import annotations

import datetime
from dataclasses import replace

import pytest
from cryptography import x509

from ansible_collections.podnet.cni.plugins.module_utils._kube.service_certificate import Pair, State, Wanted, plan

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
