# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.plugin_utils import _text_table

TEXTS = st.text(alphabet="ab -\n", max_size=200)


def test_long_lines_go_on_further_in() -> None:
    text = "HEAD  WIDE\n- one two three four\n  note: one two three"
    assert _text_table.fold(text, 12) == [
        "HEAD  WIDE",
        "- one two",
        "  three four",
        "  note: one",
        "      two",
        "      three",
    ]


def test_words_that_are_wider_and_empty_lines_stay() -> None:
    assert _text_table.fold("a\n\nhttps://example.org/x", 8) == ["a", "", "https://example.org/x"]
    assert _text_table.fold("", 80) == []


@given(TEXTS, st.integers(min_value=1, max_value=60))
def test_no_word_is_lost(text: str, width: int) -> None:
    assert " ".join(_text_table.fold(text, width)).split() == text.split()


@given(TEXTS)
def test_what_fits_is_left_as_it_is(text: str) -> None:
    assert _text_table.fold(text, 400) == [line.rstrip() for line in text.splitlines()]
