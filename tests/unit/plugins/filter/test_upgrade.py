# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters of the role upgrade."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.podnet.cni.plugins.filter.upgrade_gate_problems import upgrade_gate_problems
from ansible_collections.podnet.cni.plugins.filter.upgrade_rollouts import upgrade_rollouts

PLACE = {"namespace": "kube-flannel", "name": "windows"}


def test_rollouts_get_all_their_keys() -> None:
    (found,) = upgrade_rollouts([{**PLACE, "os": "windows", "template": {"spec": {}}}])
    assert (found["os"], found["template"], found["replace_template"], found["config_data"]) == (
        "windows",
        {"spec": {}},
        False,
        {},
    )


def test_rollouts_of_what_is_written() -> None:
    whole = {**PLACE, "template": {"a": 1}, "replace_template": True, "config_map": "c", "config_data": {"k": "v"}}
    (found,) = upgrade_rollouts([whole], written=True)
    assert (found["template"], found["replace_template"], found["config_map"], found["config_data"]) == (
        {},
        False,
        "",
        {},
    )
    assert upgrade_rollouts([whole], ["name", "os"]) == [{"name": "windows", "os": "linux"}]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ([{"name": "x"}], "item 0 has no namespace"),
        ([PLACE, {**PLACE, "image": "x"}], "item 1 has a key 'image'"),
        ("text", "upgrade_daemonsets"),
        (None, "upgrade_daemonsets"),
    ],
)
def test_rollouts_that_are_none(data: Any, says: str) -> None:
    with pytest.raises(AnsibleFilterError, match=says):
        upgrade_rollouts(data)


def host(node: str, **gate: Any) -> dict[str, Any]:
    return {"_upgrade_node": node, "_upgrade_gate": {"seen": True, **gate}}


@pytest.mark.parametrize(
    ("gate", "says"),
    [
        ({}, []),
        ({"mtu": 1450, "largest": [1450, 1500, None]}, []),
        ({"mtu": 1450, "largest": [1450, 1400]}, ["packets of more than 1400 octets", "MTU is 1450"]),
        ({"problem": "no link flannel.1."}, ["n1: no link flannel.1"]),
        ({"dataplane": ["a", "b", "c", "d", "e"]}, ["to do: a, b, c (and 2 more)"]),
        ({"dataplane": ["a"], "problem": "no way."}, ["n1: no way, and the data plane", "to do: a"]),
    ],
)
def test_what_a_host_says(gate: dict[str, Any], says: list[str]) -> None:
    found = upgrade_gate_problems([host("n1", **gate), {"other": 1}], ["n1"])
    assert len(found) == (1 if says else 0)
    assert all(part in found[0] for part in says)


def test_hosts_of_the_wave_have_to_answer_and_others_may_not_complain() -> None:
    hosts = [{"_upgrade_node": "n1"}, {"_upgrade_node": "n2", "_upgrade_gate": {}}, {"_upgrade_node": "n3"}]
    assert upgrade_gate_problems(hosts, ["n1", "n2", "n9"]) == ["n1: did not answer", "n2: did not answer"]
    assert upgrade_gate_problems([host("n3", problem="no pod")], ["n1"]) == ["n3: no pod"]


def test_variables_that_cannot_be_read() -> None:
    with pytest.raises(AnsibleFilterError, match="Give it the variables of hosts"):
        upgrade_gate_problems([None], ["n1"])
