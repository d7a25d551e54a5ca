# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""VTEP MAC addresses are stable, unicast and locally administered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import go_json, vtep


@given(st.text(), st.integers(0, 2**24), st.sampled_from([4, 6]))
def test_a_derived_mac_is_unicast_and_locally_administered(name, vni, family):
    octets = vtep.parse_mac(vtep.derive_mac(name, vni, family), "vtep")
    assert octets[0] & 3 == 2


def test_the_derivation_never_changes():
    # Leases in the field hold this address: another result would cut off every node that is set up again.
    assert vtep.derive_mac("node-1", 1) == "ae:4c:90:d6:ad:eb"
    assert vtep.derive_mac("node-1", 1, 6) == "92:cd:b3:fd:68:84"


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "is not a MAC address"),
        ("02:42:ac:14:00", "is not a MAC address"),
        ("02-42:ac-14-00-07", "is not a MAC address"),
        ("02:42:ac:14:00:07:00:01", "has 8 octets"),
        ("02:42:ac:14:00:07\n", "is not a MAC address"),
        (None, "is not a MAC address"),
        ("03:42:ac:14:00:07", "multicast"),
        ("00:00:00:00:00:00", "all zero"),
    ],
)
def test_addresses_no_vtep_can_have_are_refused(text, wrong):
    with pytest.raises(InputError) as error:
        vtep.parse_mac(text, "peers[1]")
    assert wrong in str(error.value)
    assert "peers[1]" in str(error.value)


def test_a_mac_written_with_an_escape_is_refused_as_by_flanneld():
    data = go_json.load_object(r'{"VtepMAC": "02:42:ac:14:00:\u0031\u0031"}', "the lease")
    with pytest.raises(InputError, match="is not a MAC address"):
        vtep.parse_mac(data["VtepMAC"], "vtep")
