# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Leases that an action takes out of a variable, in the place of those that stand in the task."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible.plugins.action import ActionBase

from ansible_collections.podnet.cni.plugins.action import flannel_dataplane as action
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError

ONE, TWO, THREE = ({"name": name, "subnet": f"10.5.{number}.0/24"} for number, name in enumerate(("a", "b", "c")))
FOREIGN = {"name": "", "subnet": "10.5.9.0/24"}
VARIABLES = {
    "inventory_hostname": "b",
    "leased": {"leases": [ONE, TWO, THREE], "others": [FOREIGN]},
    "alone": {"leases": [TWO]},
    "numbers": {"leases": [{"name": "7"}, TWO]},
    "nameless": {"leases": [FOREIGN, {**FOREIGN, "subnet": "10.5.8.0/24"}], "problems": []},
    "skipped": {"skipped": True},
}
OTHER = {"network_config": {}, "state": "present"}


def test_the_host_has_its_own_lease_and_the_others_are_peers() -> None:
    found = action.with_leases({**OTHER, "leases_from": "leased"}, VARIABLES)
    assert found == {**OTHER, "lease": TWO, "peers": [ONE, THREE], "foreign_peers": [FOREIGN]}


def test_by_another_name_than_that_of_the_inventory() -> None:
    assert action.with_leases({"leases_from": "leased", "name": "c"}, VARIABLES)["lease"] == THREE
    assert action.with_leases({"leases_from": "numbers", "name": 7}, VARIABLES)["lease"] == {"name": "7"}


def test_others_that_were_not_asked_for_are_none() -> None:
    found = action.with_leases({"leases_from": "alone"}, VARIABLES)
    assert found == {"lease": TWO, "peers": [], "foreign_peers": None}


def test_what_somebody_else_wrote_is_foreign_but_for_the_lease_of_that_name() -> None:
    found = action.with_leases({**OTHER, "foreign_peers_from": "leased"}, VARIABLES)
    assert found == {**OTHER, "lease": TWO, "foreign_peers": [ONE, THREE]}
    assert action.with_leases({"foreign_peers_from": "leased", "name": "c"}, VARIABLES)["lease"] == THREE


def test_a_lease_without_a_name_is_told_by_itself() -> None:
    found = action.with_leases({"lease": dict(FOREIGN), "foreign_peers_from": "nameless"}, VARIABLES)
    assert found == {"lease": FOREIGN, "foreign_peers": VARIABLES["nameless"]["leases"][1:]}


def test_peers_may_stand_beside_foreign_ones() -> None:
    found = action.with_leases({"peers": [ONE], "foreign_peers_from": "alone"}, VARIABLES)
    assert found == {"lease": TWO, "peers": [ONE], "foreign_peers": []}


@pytest.mark.parametrize("given", [OTHER, {**OTHER, "name": "c", "store": "etcd"}, {**OTHER, "leases_from": None}])
def test_without_it_the_module_gets_what_the_task_says(given: dict[str, Any]) -> None:
    assert action.with_leases(given, VARIABLES) == given


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"leases_from": "typo"}, "the variable typo holds no result of podnet.cni.flannel_lease"),
        ({"leases_from": "skipped"}, "the variable skipped holds no result"),
        ({"leases_from": VARIABLES["leased"]}, "takes the name of a variable, not what it holds"),
        ({"leases_from": "leased", "name": "d"}, "leased has no lease of d"),
        ({"leases_from": "leased", "lease": TWO}, "leases_from and lease exclude each other"),
        ({"leases_from": "leased", "peers": []}, "leases_from and peers exclude each other"),
        ({"leases_from": "leased", "foreign_peers": [FOREIGN]}, "leases_from and foreign_peers exclude each other"),
        ({"leases_from": "leased", "store": "etcd"}, "leases_from and store exclude each other"),
        (
            {"leases_from": "leased", "foreign_peers_from": "alone"},
            "leases_from and foreign_peers_from exclude each other",
        ),
        ({"foreign_peers_from": "typo"}, "the variable typo holds no result of podnet.cni.flannel_lease_info"),
        ({"foreign_peers_from": VARIABLES["leased"]}, "foreign_peers_from takes the name of a variable"),
        ({"foreign_peers_from": "leased", "name": "d"}, "foreign_peers_from: leased has no lease of d"),
        (
            {"foreign_peers_from": "leased", "foreign_peers": []},
            "foreign_peers_from and foreign_peers exclude each other",
        ),
        ({"foreign_peers_from": "leased", "store": "etcd"}, "foreign_peers_from and store exclude each other"),
    ],
)
def test_what_makes_no_sense_is_told(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        action.with_leases(given, VARIABLES)


def played(monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Any], **task: Any) -> tuple[dict[str, Any], list[Any]]:
    """What the action returns, and how it ran the module."""
    ran: list[Any] = []

    def execute(**given: Any) -> dict[str, Any]:
        ran.append(given)
        return {"changed": True}

    plugin = object.__new__(action.ActionModule)
    plugin._task = SimpleNamespace(args=arguments, async_val=0, **task)
    monkeypatch.setattr(ActionBase, "run", lambda *_arguments: {})
    monkeypatch.setattr(plugin, "_execute_module", execute, raising=False)
    return plugin.run(None, VARIABLES), ran


def test_the_task_keeps_its_own_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    """They travel back to the main process with the result."""
    arguments = {"leases_from": "leased"}
    result, (ran,) = played(monkeypatch, arguments)
    assert result == {"changed": True}
    assert ran["module_args"]["lease"] == TWO
    assert arguments == {"leases_from": "leased"}


def test_a_mistake_fails_without_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    result, ran = played(monkeypatch, {"leases_from": "typo"})
    assert result["failed"] and "typo" in result["msg"]
    assert ran == []
