# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Label selectors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._kube import selectors


def test_selector_of_a_daemonset_as_text() -> None:
    expressions = [
        {"key": "c", "operator": "In", "values": ["x", "y"]},
        {"key": "d", "operator": "NotIn", "values": ["z"]},
        {"key": "e", "operator": "Exists"},
        {"key": "f", "operator": "DoesNotExist"},
    ]
    selector = {"matchLabels": {"b": "2", "a": "1"}, "matchExpressions": expressions}
    assert str(selectors.parse(selector, "selector")) == "a=1,b=2,c in (x,y),d notin (z),e,!f"


@pytest.mark.parametrize(
    ("selector", "reason"),
    [
        ([], "selector is not a mapping"),
        ({"matchLabels": {"a": 1}}, "matchLabels.a is 1, not a text"),
        ({"matchExpressions": [{"operator": "Exists"}]}, "has no key"),
        ({"matchExpressions": [{"key": "a", "operator": "Is"}]}, "there is no operator 'Is'"),
    ],
)
def test_what_the_api_server_refuses_is_refused_and_matches_nothing(selector: object, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        selectors.parse(selector, "selector")
    assert not selectors.matches(selector, {"a": "1"})


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("a=1", True),
        ("a==1", True),
        ("a=2", False),
        ("a!=2,b", True),
        ("c!=2", True),
        ("b=", True),
        ("c", False),
        ("", True),
    ],
)
def test_a_typed_selector(text: str, fits: bool) -> None:
    assert selectors.from_text(text, "selector").matches({"a": "1", "b": ""}) is fits


def test_an_empty_text_selects_everything() -> None:
    assert selectors.from_text(" ,", "selector") == selectors.EVERYTHING


def test_a_typed_selector_that_cannot_be_read() -> None:
    with pytest.raises(InputError, match=r"^selector: 'a in \(b\)' cannot be read"):
        selectors.from_text("a in (b)", "selector")


LABELS = st.dictionaries(st.sampled_from("abc"), st.sampled_from("xy"))
ENTRY = st.one_of(
    st.fixed_dictionaries({"key": st.sampled_from("abc"), "operator": st.sampled_from(["Exists", "DoesNotExist"])}),
    st.fixed_dictionaries(
        {
            "key": st.sampled_from("abc"),
            "operator": st.sampled_from(["In", "NotIn"]),
            "values": st.lists(st.sampled_from("xy"), min_size=1),
        }
    ),
)


@given(LABELS, st.lists(ENTRY), LABELS)
def test_a_selector_written_as_an_object_again_means_the_same(
    wanted: dict[str, str], entries: list, labels: dict
) -> None:
    selector = selectors.parse({"matchLabels": wanted, "matchExpressions": entries}, "selector")
    again = selectors.parse(selector.to_dict(), "selector")
    assert again == selector
    assert again.matches(labels) == selector.matches(labels)
    assert selectors.from_labels(labels).matches(labels)
