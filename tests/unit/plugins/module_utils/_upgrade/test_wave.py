# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which nodes are looked at after a wave."""

from __future__ import annotations

from typing import Any

from ansible_collections.podnet.cni.plugins.module_utils._upgrade.wave import looked_at


def wave(number: int, nodes: str, daemonset: str = "a/linux") -> dict[str, Any]:
    return {"number": number, "daemonset": daemonset, "nodes": nodes.split()}


PLAN = {"waves": [wave(1, "n1"), wave(2, "n2 n3 n4"), wave(3, "n5 n6"), wave(4, "w1", "a/windows")]}
HOSTS = ["n1", "n2", "n3", "n5", "n6", "w1"]


def test_nodes_of_the_wave_and_a_few_others() -> None:
    found = looked_at(PLAN, PLAN["waves"][1], HOSTS, sample=2)
    assert found["judged"] == ["n2", "n3", "n4"]
    assert found["looked"] == ["n2", "n3", "n1", "n5"]
    assert found["unseen"] == ["n4"]
    assert found["total"] == 6, "those of the DaemonSet of the wave"
    assert looked_at(PLAN, PLAN["waves"][1], HOSTS, sample=9)["looked"] == ["n2", "n3", "n1", "n5", "n6", "w1"]


def test_nodes_that_the_upgrade_goes_on_without_are_not_looked_at() -> None:
    found = looked_at(PLAN, PLAN["waves"][1], HOSTS, without=["n3"], ill=["n1", "n5"])
    assert found["judged"] == ["n2", "n4"]
    assert found["looked"] == ["n2", "n6", "w1"]
    assert found["unseen"] == ["n4"]
    ill = looked_at(PLAN, PLAN["waves"][1], HOSTS, ill=["n2"])
    assert ill["judged"] == ["n2", "n3", "n4"], "a node of the wave has to be well, whatever it was before"


def test_a_minute_for_as_many_as_ansible_works_on_at_once() -> None:
    assert looked_at(PLAN, PLAN["waves"][1], [])["seconds"] == 60
    assert looked_at(PLAN, PLAN["waves"][1], HOSTS, forks=2)["seconds"] == 60 * 3
    assert looked_at(PLAN, PLAN["waves"][1], HOSTS, forks=50)["seconds"] == 60
