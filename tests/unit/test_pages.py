# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The examples of README, guides and roles: ansible-playbook reads them, options are checked, commands looked up."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, Iterator, NamedTuple

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ModuleArgumentSpecValidator

from ansible_collections.podnet.cni.tests.unit.test_collection import (
    MODULES,
    PLAYBOOKS,
    ROLES,
    ROOT,
    RULE_NAMES,
    concrete,
    module_arguments,
    tasks_in,
)

GUIDES = sorted(ROOT.glob("docs/*.md"))
PAGES = [ROOT / "README.md", *GUIDES, *sorted(ROOT.glob("roles/*/README.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RULEBOOKS = {path.stem for path in ROOT.glob("extensions/eda/rulebooks/*.yml")}
# What ansible-playbook itself, or the connection, reads.
EVERYWHERE = {"ansible_python_interpreter"}


class Block(NamedTuple):
    """A fenced block: its page, language, text, and the line at which it begins."""

    page: Path
    language: str
    text: str
    line: int

    @property
    def where(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(page, found.group(1), found.group(2), text.count("\n", 0, found.start()) + 1)
        for found in FENCE.finditer(text)
    ]


ALL_BLOCKS = [block for page in PAGES for block in blocks(page)]


def read(block: Block) -> Any:
    """The YAML of a block; one that does not parse fails the test that asks."""
    return yaml.safe_load(block.text)


def is_play(value: Any) -> bool:
    return (
        isinstance(value, list) and all(isinstance(each, dict) for each in value) and any("hosts" in e for e in value)
    )


def is_tasks(value: Any) -> bool:
    """A list of tasks: each uses a module by its full name, or is a block."""
    names = re.compile(r"[a-z_]+\.[a-z_]+\.[a-z_]+|block")
    return isinstance(value, list) and all(
        isinstance(each, dict) and any(names.fullmatch(str(key)) for key in each) for each in value
    )


def playbook_of(block: Block) -> list[Any] | None:
    """The example as a playbook, or None for another kind of YAML: an inventory, variables, a Kubernetes object."""
    value = read(block)
    if is_play(value):
        return value
    if value and is_tasks(value):
        return [{"hosts": "localhost", "gather_facts": False, "tasks": value}]
    return None


YAML_BLOCKS = [block for block in ALL_BLOCKS if block.language in ("yaml", "yml")]
PLAYS = [block for block in YAML_BLOCKS if playbook_of(block) is not None]
COMMANDS = [block for block in ALL_BLOCKS if block.language == "console"]
SPAN = re.compile(r"`((?:ansible-playbook|ansible-rulebook|make) [^`\n]+)`")
SPANS = [(page, command) for page in PAGES for command in SPAN.findall(page.read_text(encoding="utf-8"))]


def role_options(role: str) -> dict[str, Any]:
    """The variables of every entry point."""
    text = (ROOT / "roles" / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8")
    entries = yaml.safe_load(text)["argument_specs"]
    return {name: option for entry in entries.values() for name, option in (entry.get("options") or {}).items()}


OPTIONS = {role: role_options(role) for role in ROLES}


def role_variables(value: Any) -> Iterator[str]:
    """Every key in an example that looks like a variable of one of our roles, the longest prefix first."""
    if isinstance(value, dict):
        for key, each in value.items():
            if any(str(key).startswith(f"{role}_") for role in ROLES):
                yield str(key)
            yield from role_variables(each)
    elif isinstance(value, list):
        for each in value:
            yield from role_variables(each)


def variables_of_playbooks() -> set[str]:
    """What a playbook reads or names at its top."""
    texts = [(ROOT / "playbooks" / f"{name}.yml").read_text(encoding="utf-8") for name in PLAYBOOKS]
    return {word for text in texts for word in re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", text)}


KNOWN = {name for options in OPTIONS.values() for name in options} | variables_of_playbooks() | EVERYWHERE


def test_examples_are_read_by_ansible_playbook(tmp_path: Path) -> None:
    """Each example is a playbook or a list of tasks that ansible-playbook takes: modules, roles and keywords exist."""
    files = []
    for number, block in enumerate(PLAYS):
        path = tmp_path / f"{number}-{block.page.stem}-{block.line}.yml"
        path.write_text(yaml.safe_dump(playbook_of(block), sort_keys=False), encoding="utf-8")
        files.append(str(path))
    assert len(files) > len(GUIDES)
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT.parents[2]), "ANSIBLE_NOCOLOR": "1"}
    # ansible-test makes errors of groups that the inventory does not have.
    environment["ANSIBLE_HOST_PATTERN_MISMATCH"] = "ignore"
    program = str(Path(sys.executable).parent / "ansible-playbook")
    command = [program, "--syntax-check", "-i", "localhost,", *files]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("block", PLAYS, ids=lambda block: block.where)
def test_options_of_examples_exist(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each task of ours passes the module's argument validation."""
    plays = playbook_of(block) or []
    for task in tasks_in(plays):
        for name in MODULES:
            if f"podnet.cni.{name}" not in task:
                continue
            arguments = module_arguments(name, monkeypatch)
            monkeypatch.undo()
            specification = arguments["argument_spec"]
            validator = ModuleArgumentSpecValidator(specification, **{rule: arguments.get(rule) for rule in RULE_NAMES})
            given = {**defaults_of(plays, name), **(task[f"podnet.cni.{name}"] or {})}
            result = validator.validate(concrete(given, {"type": "dict", "options": specification}))
            assert not result.error_messages, f"{block.where}: {task.get('name')}: {result.error_messages}"


def defaults_of(plays: list[Any], name: str) -> dict[str, Any]:
    """What module_defaults give the module."""
    groups = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))["action_groups"]
    keys = [f"podnet.cni.{name}", *(f"group/podnet.cni.{group}" for group, names in groups.items() if name in names)]
    found: dict[str, Any] = {}
    for play in plays:
        for key in keys:
            found.update((play.get("module_defaults") or {}).get(key) or {})
    return found


@pytest.mark.parametrize("block", YAML_BLOCKS, ids=lambda block: block.where)
def test_variables_of_examples_exist(block: Block) -> None:
    """Every variable that has the prefix of a role is one of that role, or one that a playbook names."""
    assert [name for name in role_variables(read(block)) if name not in KNOWN] == []


@pytest.mark.parametrize("block", COMMANDS, ids=lambda block: block.where)
def test_commands_of_examples_exist(block: Block) -> None:
    for line in block.text.replace("\\\n", " ").splitlines():
        check_command(line)


def test_commands_in_the_text_exist() -> None:
    assert any(page.name == "README.md" for page, _command in SPANS)
    for _page, command in SPANS:
        check_command(command)


def check_command(line: str) -> None:
    """Playbooks, rulebooks and make targets that a command names exist, and so do the variables that it sets."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    words = shlex.split(line.removeprefix("$ "), comments=True)
    named = [word.removeprefix("podnet.cni.") for word in words if word.startswith("podnet.cni.")]
    if words[:1] == ["ansible-playbook"]:
        assert [name for name in named if name not in PLAYBOOKS] == [], line
        assert [name for name in variables(words) if name not in KNOWN] == [], line
    elif words[:1] == ["ansible-rulebook"]:
        assert named and set(named) <= RULEBOOKS, line
    elif words[:1] == ["make"]:
        assert set(words[1:]) <= targets, line


def variables(words: list[str]) -> Iterator[str]:
    """The names that -e sets: as name=value, or as a JSON object."""
    for before, word in zip(words, words[1:], strict=False):
        if before not in ("-e", "--extra-vars") or word.startswith("@"):
            continue
        if word.startswith("{"):
            yield from yaml.safe_load(word)
        else:
            yield from (pair.split("=", 1)[0] for pair in shlex.split(word))


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.stem)
def test_guide_begins_with_an_example(page: Path) -> None:
    """Before anything is explained there is something to type: a task, a play or a command, checked above."""
    found = blocks(page)
    runnable = [block for block in found if block in PLAYS or block in COMMANDS]
    assert runnable, f"{page.name} has no example"
    above = page.read_text(encoding="utf-8").splitlines()[: runnable[0].line]
    sections = [line for line in above if line.startswith("## ")]
    assert len(above) <= 45 and len(sections) <= 1, f"the first example of {page.name} is at line {runnable[0].line}"


@pytest.mark.parametrize("role", ROLES)
def test_role_has_an_example(role: str) -> None:
    """ansible-doc shows one, and it is that of the README, which is checked above."""
    text = (ROOT / "roles" / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8")
    shown = yaml.safe_load(text)["argument_specs"]["main"].get("examples")
    assert shown, f"ansible-doc -t role podnet.cni.{role} shows no example"
    assert shown in [block.text for block in blocks(ROOT / "roles" / role / "README.md") if block in PLAYS]
    assert f"podnet.cni.{role}" in shown
