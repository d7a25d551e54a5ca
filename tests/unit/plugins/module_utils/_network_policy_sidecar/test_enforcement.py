# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is known of the nodes, and that what is not known is never taken for good."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.module_utils._network_policy_sidecar import enforcement

GOOD = {"can_enforce": "yes", "reasons": [], "hostname": "host-1"}
BAD = {"can_enforce": "no", "reasons": ["the kernel lacks it."], "hostname": "host-2"}


@pytest.mark.parametrize(
    ("facts", "host", "can_enforce", "reason"),
    [
        ({"node-1": GOOD}, "node-1", "yes", ""),
        ({"other": {**GOOD, "hostname": "NODE-1"}}, "other", "yes", ""),
        ({"node-1": BAD}, "node-1", "no", "the kernel lacks it."),
        ({}, "", "unknown", "no facts of this node were given"),
        ({"node-2": GOOD}, "", "unknown", "no facts of this node were given"),
        ({"node-1": {"unreachable": True, "msg": "no route"}}, "node-1", "unknown", "no route"),
        ({"node-1": {"failed": True, "msg": "only root may ask"}}, "node-1", "unknown", "only root may ask"),
        (
            {"node-1": {"can_enforce": True}},
            "node-1",
            "unknown",
            "what was given is not a result of network_policy_host_info",
        ),
        ({"node-1": "yes"}, "node-1", "unknown", "what was given is not a result of network_policy_host_info"),
    ],
)
def test_one_node(facts: dict[str, Any], host: str, can_enforce: str, reason: str) -> None:
    assert enforcement.judge(["node-1"], facts) == [enforcement.Answer("node-1", host, can_enforce, reason)]


NAMES = st.lists(st.sampled_from("abcdefg"), unique=True, max_size=7)
RESULTS = st.one_of(
    st.just(GOOD),
    st.just(BAD),
    st.just({"can_enforce": "unknown", "reasons": ["no nft"]}),
    st.text(),
    st.none(),
    st.booleans(),
)


@given(NAMES, st.dictionaries(st.sampled_from("abcdefg"), RESULTS))
def test_there_is_no_problem_only_where_every_node_said_yes(names: list[str], facts: dict[str, Any]) -> None:
    answers = enforcement.judge(names, facts)
    good = bool(names) and all(facts.get(name) == GOOD for name in names)
    assert (enforcement.problems(answers) == "") is good
    assert [each.node for each in answers] == names
    assert all((each.can_enforce == "yes") is (facts.get(each.node) == GOOD) for each in answers)


def test_nodes_with_one_reason_share_a_sentence() -> None:
    names = [f"n{number}" for number in range(7)]
    text = enforcement.problems(enforcement.judge(names, {"n0": BAD, "n6": GOOD}))
    assert text == (
        "n0 cannot enforce network policies: the kernel lacks it. n1, n2, n3, n4, n5 may or may not enforce network "
        "policies: no facts of this node were given."
    )
