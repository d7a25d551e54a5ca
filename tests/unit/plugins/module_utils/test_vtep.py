# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""VTEP MAC addresses are stable, unicast and locally administered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.module_utils import _vtep
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError


@given(st.text(), st.integers(0, 2**24), st.sampled_from([4, 6]))
def test_a_derived_mac_is_unicast_and_locally_administered(name, vni, family):
    octets = _vtep.parse_mac(_vtep.derive_mac(name, vni, family), "vtep")
    assert octets[0] & 3 == 2


def test_the_derivation_never_changes():
    # Leases in the field hold this address: another result would cut off every node that is set up again.
    assert _vtep.derive_mac("node-1", 1) == "ae:4c:90:d6:ad:eb"
    assert _vtep.derive_mac("node-1", 1, 6) == "92:cd:b3:fd:68:84"


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "is no MAC address"),
        ("02:42:ac:14:00", "is no MAC address"),
        ("02-42-ac-14-00-07", "is no MAC address"),
        ("02:42:ac:14:00:07\n", "is no MAC address"),
        (None, "is no MAC address"),
        ("03:42:ac:14:00:07", "multicast"),
        ("00:00:00:00:00:00", "all zero"),
    ],
)
def test_addresses_no_vtep_can_have_are_refused(text, wrong):
    with pytest.raises(InputError) as error:
        _vtep.parse_mac(text, "peers[1]")
    assert wrong in str(error.value)
    assert "peers[1]" in str(error.value)
