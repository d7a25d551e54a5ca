# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What runs in a rescue section knows its hosts by a list that was noted before.

Where the fault of one host ends the play for all (any_errors_fatal), ansible_play_hosts and ansible_play_batch of a
rescue section hold the host that failed, and not those that were well and go back with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path.parent.name for path in ROOT.glob("roles/*/tasks"))
NESTED = ("block", "rescue", "always")
# Whose playbooks end for all when one host fails.
ENDED_BY_ONE = {"flanneld", "migrate_leases", "upgrade_overlay"}
LISTS = re.compile(r"\bansible_play_(?:hosts|batch)\b")


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else None


def rescues(tasks: Any) -> Iterator[list[dict[str, Any]]]:
    """The rescue sections of these tasks, however deep."""
    for task in tasks or []:
        if "rescue" in task:
            yield task["rescue"]
        for key in NESTED:
            yield from rescues(task.get(key))


def rescues_of(role: str) -> Iterator[list[dict[str, Any]]]:
    """The rescue sections of a role."""
    for path in sorted((ROOT / "roles" / role / "tasks").glob("*.yml")):
        yield from rescues(read(path))


def asked(text: str, variables: Mapping[str, Any]) -> set[str]:
    """Ansible's lists that a text asks for, also through the variables of its role."""
    found: set[str] = set()
    seen: set[str] = set()
    texts = [text]
    while texts:
        words = set(re.findall(r"\w+", texts[0]))
        found |= set(LISTS.findall(texts.pop(0)))
        texts += [str(variables[word]) for word in words & variables.keys() - seen]
        seen |= words
    return found


def reached(role: str, tasks: Any, given: Mapping[str, Any], seen: frozenset[tuple[str, str]]) -> Iterator[str]:
    """Each place that asks for one of the lists, in these tasks and in what they include."""
    variables = {**(read(ROOT / "roles" / role / "vars" / "main.yml") or {}), **given}
    for task in tasks or []:
        if "== 'absent'" in str(task.get("when")):  # nobody goes back to nothing
            continue
        for key in NESTED:
            yield from reached(role, task.get(key), given, seen)
        own = {key: value for key, value in task.items() if key not in NESTED}
        for name in asked(str(own), variables):
            yield f"{role}: {task.get('name')}: {name}"
        passed = {**given, **(task.get("vars") or {})}
        for how in ("include_tasks", "import_tasks"):
            target = task.get(f"ansible.builtin.{how}")
            if isinstance(target, str) and (role, target) not in seen:
                below = read(ROOT / "roles" / role / "tasks" / target)
                yield from reached(role, below, passed, seen | {(role, target)})
        for how in ("include_role", "import_role"):
            target = task.get(f"ansible.builtin.{how}")
            if target and target["name"].startswith("podnet.cni."):
                other, start = target["name"].rpartition(".")[2], target.get("tasks_from", "main").removesuffix(".yml")
                if (other, start) not in seen:
                    below = read(ROOT / "roles" / other / "tasks" / f"{start}.yml")
                    yield from reached(other, below, passed, seen | {(other, start)})


@pytest.mark.parametrize("role", ROLES)
def test_a_rescue_section_asks_for_no_list_that_leaves_hosts_out(role: str) -> None:
    found = [place for section in rescues_of(role) for place in reached(role, section, {}, frozenset())]
    assert found == []


def test_a_list_is_found_behind_includes_and_variables() -> None:
    include = {"name": "Go back", "ansible.builtin.include_role": {"name": "podnet.cni.overlay"}}
    found = list(reached("upgrade_overlay", [include], {}, frozenset()))
    assert any(place.startswith("overlay: Lease a subnet for every host: ansible_play_batch") for place in found), found
    include["vars"] = {"_overlay_batch": "{{ _upgrade_overlay_batch }}"}
    assert list(reached("upgrade_overlay", [include], {}, frozenset())) == []


@pytest.mark.parametrize("role", sorted(ENDED_BY_ONE))
def test_a_host_that_was_well_is_not_told_that_it_failed(role: str) -> None:
    """It is rescued without a result that failed."""
    for task in (task for section in rescues_of(role) for task in section):
        if "ansible_failed_result" in (text := str(task)):
            assert "another host of its" in text or "if ansible_failed_result is defined" in text, task["name"]


def test_the_roles_of_plays_that_one_host_ends_are_looked_at() -> None:
    found = set()
    for path in ROOT.glob("playbooks/*.yml"):
        for play in read(path):
            if play.get("any_errors_fatal"):
                found |= set(re.findall(r"podnet\.cni\.(\w+)", str(play)))
    assert {role for role in found if list(rescues_of(role))} == ENDED_BY_ONE


def test_no_batch_follows_a_host_that_was_lost() -> None:
    """any_errors_fatal ends the batch of a host that does not answer, not the play: each batch begins with a look."""
    plays = [
        (path.stem, play) for path in sorted(ROOT.glob("playbooks/*.yml")) for play in read(path) if "serial" in play
    ]
    assert {name for name, _play in plays} == ENDED_BY_ONE - {"upgrade_overlay"} | {"upgrade"}
    for name, play in plays:
        roles = [each["role"].rpartition(".")[2] for each in play.get("roles", [])]
        tasks = play.get("tasks") or [task for role in roles for task in read(ROOT / f"roles/{role}/tasks/main.yml")]
        variables = {key: each for role in roles for key, each in read(ROOT / f"roles/{role}/vars/main.yml").items()}
        condition = tasks[0]["ansible.builtin.assert"]["that"]
        lost = {**variables, **tasks[0].get("vars", {})}[condition.split()[0]]
        assert condition.endswith(" | length == 0") and tasks[0]["run_once"], name
        assert lost == "{{ ansible_play_hosts_all | difference(ansible_play_hosts) | sort }}", name
