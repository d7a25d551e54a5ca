# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Texts that Python's decoder treats otherwise than Go's, or that nobody should see."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.module_utils import _go_json
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError


@pytest.mark.parametrize(
    "text", ["", "{", '{"a":NaN}', '{"a":-Infinity}', '{"a":' + "[" * 100_000, '{"a":1}x', "\ufeff{}", "[]", "null"]
)
def test_not_an_object(text: str) -> None:
    with pytest.raises(InputError, match=r"^thing"):
        _go_json.load_object(text, "thing")


def test_half_a_surrogate_pair_becomes_a_replacement() -> None:
    loaded = _go_json.load_object(r'{"\ud800":["x\udc00",{"y":"\ud83d\ude00"}]}', "thing")
    assert loaded == {"\ufffd": ["x\ufffd", {"y": "\U0001f600"}]}


@pytest.mark.parametrize("text", ['{"PSK":"hush",}', '["hush"]'])
def test_secret_text_is_not_quoted(text: str) -> None:
    with pytest.raises(InputError) as caught:
        _go_json.load_object(text, "thing", secret=True)
    assert "hush" not in str(caught.value)
    with pytest.raises(InputError, match="hush"):
        _go_json.load_object(text, "thing")


@given(st.text())
def test_no_text_crashes(text: str) -> None:
    try:
        loaded = _go_json.load_object(text, "thing")
    except InputError:
        return
    assert isinstance(loaded, dict)
