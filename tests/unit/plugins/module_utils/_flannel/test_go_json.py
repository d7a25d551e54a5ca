# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Texts that Python's decoder treats otherwise than Go's, or that nobody should see."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import go_json


@pytest.mark.parametrize(
    "text", ["", "{", '{"a":NaN}', '{"a":-Infinity}', '{"a":' + "[" * 100_000, '{"a":1}x', "\ufeff{}", "[]", "null"]
)
def test_not_an_object(text: str) -> None:
    with pytest.raises(InputError, match=r"^thing"):
        go_json.load_object(text, "thing")


def test_half_a_surrogate_pair_becomes_a_replacement() -> None:
    loaded = go_json.load_object(r'{"\ud800":["x\udc00",{"y":"\ud83d\ude00"}]}', "thing")
    assert loaded == {"\ufffd": ["x\ufffd", {"y": "\U0001f600"}]}


@pytest.mark.parametrize("text", ['{"PSK":"hush",}', '["hush"]'])
def test_secret_text_is_not_quoted(text: str) -> None:
    with pytest.raises(InputError) as caught:
        go_json.load_object(text, "thing", secret=True)
    assert "hush" not in str(caught.value)
    with pytest.raises(InputError, match="hush"):
        go_json.load_object(text, "thing")


@given(st.text())
def test_no_text_crashes(text: str) -> None:
    try:
        loaded = go_json.load_object(text, "thing")
    except InputError:
        return
    assert isinstance(loaded, dict)


def test_a_byte_order_mark_is_called_that():
    with pytest.raises(
        InputError, match="the network config is not JSON for Go's decoder: it starts with a byte order mark"
    ):
        go_json.load_object('\ufeff{"Network": "10.0.0.0/8"}', "the network config")


def test_a_member_that_is_given_twice_is_read_each_time() -> None:
    known, other = go_json.fold(go_json.load_object('{"a":1,"A":2,"a":3,"b":4,"b":5}', "thing"), ("a",))
    assert go_json.every(known, "a") == [1, 2, 3]
    assert known["a"] == 3
    assert other == {"b": 5}
    assert list(go_json.members(other)) == [("b", 4), ("b", 5)]


@pytest.mark.parametrize("text", ['{"a":"x","a":1}', '{"a":1,"A":"x"}', r'{"a":"x","\u0061":1}', '{"a":1.0,"a":1}'])
def test_one_bad_spelling_of_a_member_spoils_the_good_ones(text: str) -> None:
    known, _other = go_json.fold(go_json.load_object(text, "thing"), ("a",))
    with pytest.raises(InputError, match="whole number without quotes"):
        go_json.read_int(known, "a", 0, "thing")


def test_null_leaves_what_was_read_before() -> None:
    known, _other = go_json.fold(go_json.load_object('{"n":7,"n":null,"b":true,"B":null,"s":"x","S":null}', "t"), "nbs")
    assert go_json.read_uint(known, "n", 0, "t") == 7
    assert go_json.read_bool(known, "b", False, "t") is True
    assert go_json.read_str(known, "s", "", "t") == "x"


@pytest.mark.parametrize(
    ("text", "signed", "unsigned"),
    [
        ("-0", True, False),
        ("-1", True, False),
        ("0", True, True),
        (str(2**63), False, True),
        (str(2**63 - 1), True, True),
        (str(-(2**63)), True, False),
        (str(2**64 - 1), False, True),
        (str(2**64), False, False),
        ("1e1", False, False),
        ("1.0", False, False),
    ],
)
def test_a_number_fits_where_go_has_room_for_it(text: str, signed: bool, unsigned: bool) -> None:
    known, _other = go_json.fold(go_json.load_object(f'{{"n":{text}}}', "t"), "n")
    for read, fits in ((go_json.read_int, signed), (go_json.read_uint, unsigned)):
        try:
            read(known, "n", 0, "t")
        except InputError:
            assert not fits
        else:
            assert fits


def test_an_unsigned_number_of_so_many_bits() -> None:
    good = [value for value in (None, 0, 2**32 - 1, 2**32, -1, True, 1.0, "1") if go_json.is_uint(value, 32)]
    assert good == [None, 0, 2**32 - 1]
    assert not go_json.is_uint(go_json.load_object('{"n":-0}', "t")["n"], 32)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"Comment": float("nan")}, "Comment cannot be written: NaN is not a JSON number"),
        ({"a": [1, {"b": float("inf")}]}, r"a\[1\]\.b cannot be written: Infinity is not a JSON number"),
        ({"a": {"b": "x\ud800"}}, r"a\.b cannot be written: the text has half a character"),
        ({"x\udc00": 1}, r"its value cannot be written: the text has half a character"),
        (float("-inf"), "its value cannot be written: -Infinity is not a JSON number"),
    ],
)
def test_what_no_json_can_hold_is_never_written(value: object, words: str) -> None:
    with pytest.raises(InputError, match=f"^thing: .*{words}, and flanneld would refuse the whole; .*leave it out$"):
        go_json.dump(value, "thing")


def test_an_object_in_itself_is_refused() -> None:
    endless: dict[str, object] = {}
    endless["self"] = endless
    with pytest.raises(InputError, match=r"^thing: it is nested too deeply"):
        go_json.check(endless, "thing")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
    )
)
def test_what_is_written_is_read_back(value: object) -> None:
    try:
        text = go_json.dump({"v": value}, "thing")
    except InputError:
        return
    assert go_json.load_object(text, "thing") == {"v": value}
    text.encode()
