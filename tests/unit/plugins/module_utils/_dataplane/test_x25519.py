# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The vectors of RFC 7748."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.module_utils._dataplane import x25519

# RFC 7748, section 5.2: scalar, point, result.
VECTORS = [
    (
        "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
        "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
        "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
    ),
    (
        "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
        "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
        "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
    ),
]


@pytest.mark.parametrize(("scalar", "point", "result"), VECTORS)
def test_vectors(scalar: str, point: str, result: str) -> None:
    assert x25519.multiply(bytes.fromhex(scalar), bytes.fromhex(point)).hex() == result


def test_iterated() -> None:
    """RFC 7748, section 5.2: the scalar of each round is the result of the one before."""
    scalar = point = x25519.BASE_POINT
    for number in range(1, 1001):
        scalar, point = x25519.multiply(scalar, point), scalar
        if number == 1:
            assert scalar.hex() == "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"
    assert scalar.hex() == "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_two_nodes_agree_on_a_secret(mine: bytes, theirs: bytes) -> None:
    assert x25519.multiply(mine, x25519.public_key(theirs)) == x25519.multiply(theirs, x25519.public_key(mine))


@given(st.binary(min_size=32, max_size=32))
def test_clamping_changes_no_public_key(key: bytes) -> None:
    assert x25519.clamp(x25519.clamp(key)) == x25519.clamp(key)
    assert x25519.public_key(x25519.clamp(key)) == x25519.public_key(key)
