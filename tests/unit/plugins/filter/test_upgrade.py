# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters of the role upgrade."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.podnet.cni.tests.unit._private_filters import private

upgrade_gate_problems = private("upgrade_gate_problems")
upgrade_rollouts = private("upgrade_rollouts")


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


def step(text: str) -> dict[str, str]:
    return {"action": "set", "kind": "route", "attribute": "", "text": text}


def way(target: str, loss: float = 0.0, largest: Any = 1450, address: str = "10.244.0.2") -> dict[str, Any]:
    return {"target": target, "address": address, "loss": loss, "largest_packet": largest}


@pytest.mark.parametrize(
    ("gate", "says"),
    [
        ({}, []),
        ({"mtu": 1450, "probes": [way("a"), way("b", largest=1500), way("c", largest=None)]}, []),
        ({"mtu": 1450, "probes": [way("a"), way("b", largest=1400)]}, ["packets of more than 1400", "MTU is 1450"]),
        ({"probes": [way("a"), way("b", 33.3)]}, ["loses 33.3 % to b"]),
        (
            {"mtu": 1450, "probes": [way("a", 66.7, 1350), way("b", 100, 0)]},
            ["loses 66.7 % to a, 100 % to b, and packets of more than 1350 octets do not get through"],
        ),
        (
            {"mtu": 1450, "ipv6_mtu": 1430, "probes": [way("a"), way("a over IPv6", largest=1430, address="fd00::1")]},
            [],
        ),
        (
            {"mtu": 1450, "ipv6_mtu": 1430, "probes": [way("a"), way("a over IPv6", largest=1280, address="fd00::1")]},
            ["IPv6 packets of more than 1280 octets do not get through, but the MTU is 1430"],
        ),
        ({"problem": "no link flannel.1."}, ["no link flannel.1"]),
        ({"dataplane": [step(name) for name in "abcde"]}, ["to do: a, b, c (and 2 more)"]),
        ({"dataplane": [step("a")], "problem": "no way."}, ["no way, and the data plane", "to do: a"]),
    ],
)
def test_what_a_host_says(gate: dict[str, Any], says: list[str]) -> None:
    found = upgrade_gate_problems([host("n1", **gate), {"other": 1}], ["n1"])
    assert list(found["failed"]) == (["n1"] if says else [])
    assert all(part in found["failed"]["n1"] for part in says)
    assert found["stop"] is bool(says)


def test_hosts_of_the_wave_have_to_answer_and_others_are_not_its_fault() -> None:
    hosts = [{"_upgrade_node": "n1"}, {"_upgrade_node": "n2", "_upgrade_gate": {}}, {"_upgrade_node": "n3"}]
    found = upgrade_gate_problems(hosts, ["n1", "n2", "n9"])
    assert found["failed"] == {"n1": "did not answer", "n2": "did not answer"}
    found = upgrade_gate_problems([host("n1"), host("n3", problem="no pod.")], ["n1"])
    assert found == {"failed": {}, "others": {"n3": "no pod"}, "leftovers": {}, "stop": False}


def test_what_flanneld_cannot_do_or_never_does_is_no_fault() -> None:
    sysctl = {"action": "change", "kind": "link", "attribute": "accept_ra", "text": "accept_ra 1 -> 0"}
    stale = {"action": "remove", "kind": "FDB entry", "attribute": "", "text": "remove FDB entry x"}
    hosts = [host("n1", dataplane=[sysctl, stale])]
    found = upgrade_gate_problems(hosts, ["n1"], writes_sysctls=False)
    assert found == {"failed": {}, "others": {}, "leftovers": {"n1": ["remove FDB entry x"]}, "stop": False}
    found = upgrade_gate_problems(hosts, ["n1"], writes_sysctls=True)
    assert found["failed"] == {"n1": "the data plane is not as the leases say, to do: accept_ra 1 -> 0"}


def test_a_node_that_is_cut_off_is_blamed_alone() -> None:
    cut = host("n1", probes=[way("n2", 100), way("n3", 100)])
    hosts = [cut, host("n2", probes=[way("n3"), way("n1", 100)]), host("n3", probes=[way("n1", 100), way("n2")])]
    found = upgrade_gate_problems(hosts, ["n1", "n2", "n3"], max_failed="1", total=9, first=False)
    assert found["failed"] == {"n1": "loses 100 % to n2, 100 % to n3"}
    assert found["stop"] is False
    both = [way("n1", 100), way("n1 over IPv6", 100)]
    hosts = [cut, host("n2", probes=both), host("n3", probes=both[1:])]
    assert list(upgrade_gate_problems(hosts, ["n1"], max_failed="1", total=9, first=False)["failed"]) == ["n1"]
    found = upgrade_gate_problems(
        [host("n1", probes=[way("n2")]), host("n2", probes=[way("n1"), both[1]])], ["n1", "n2"]
    )
    assert found["failed"] == {"n2": "loses 100 % to n1 over IPv6"}
    broken = host("n1", dataplane=[step("set route")], probes=[way("n2"), way("n3", 100)])
    hosts = [broken, host("n2", probes=[way("n1")]), host("n3", probes=[way("n2"), way("n1", 100)])]
    assert list(upgrade_gate_problems(hosts, ["n1", "n2", "n3"])["failed"]) == ["n1"]
    hosts = [host("n1", probes=[way("n2"), way("old", 100)]), host("n2", probes=[way("n1"), way("old", 100)])]
    assert sorted(upgrade_gate_problems(hosts, ["n1", "n2"])["failed"]) == ["n1", "n2"], "new does not reach old"


@pytest.mark.parametrize(
    ("options", "stop"),
    [
        ({}, True),
        ({"max_failed": "1"}, True),
        ({"max_failed": "1", "first": False}, False),
        ({"max_failed": "1", "first": False, "before": ["n8"]}, True),
        ({"max_failed": "2", "first": False, "before": ["n8"]}, False),
        ({"max_failed": "1", "first": False, "before": ["n1"]}, False),
        ({"max_failed": "10%", "first": False, "total": 10}, False),
        ({"max_failed": "5%", "first": False, "total": 10}, True),
    ],
)
def test_how_many_may_fail(options: dict[str, Any], stop: bool) -> None:
    given = {"total": 10, **options}
    assert upgrade_gate_problems([host("n1", problem="x"), host("n2")], ["n1", "n2"], **given)["stop"] is stop


def test_variables_that_cannot_be_read() -> None:
    with pytest.raises(AnsibleFilterError, match="Give it the variables of hosts"):
        upgrade_gate_problems([None], ["n1"])
    with pytest.raises(AnsibleFilterError, match="x"):
        upgrade_gate_problems([], [], max_failed="x")
