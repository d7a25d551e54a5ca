# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Role variables may be strings: C(-e x=false) and INI inventories give nothing else.

The argument spec of a role refuses, by name and value, what cannot be converted. It does not convert, so every use of a
boolean or a number does: C(x is truthy(convert_bool=true)), C(x | int), C(x | float). The filter C(bool) reads C(y) and
C(t) as false, which argument specs take for true, so it does not serve.
"""

from __future__ import annotations

import functools
import importlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ansible.template
import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.parsing.dataloader import DataLoader
from jinja2 import nodes

from ansible_collections.podnet.cni.tests.unit._role_files import (
    FILES,
    JINJA,
    ROOT,
    TEMPLATES,
    Keys,
    is_condition,
    options,
    parse,
    read,
    strings,
)

PACKAGE = "ansible_collections.podnet.cni.plugins.modules"
CONVERTED = ("bool", "int", "float")
REMEDY = {"bool": "{0} is truthy(convert_bool=true)", "int": "{0} | int", "float": "{0} | float"}
MODULES = {path.stem for path in ROOT.glob("plugins/modules/*.py")}


OPTIONS = {
    name: option.get("type", "str") for name, option in options().items() if option.get("type", "str") in CONVERTED
}


@dataclass(frozen=True)
class Place:
    """Where a string stands."""

    keys: Keys

    @property
    def is_condition(self) -> bool:
        return is_condition(self.keys)

    @property
    def converts(self) -> str:
        """The type that whoever gets the whole value converts it to; empty when nobody does."""
        if self.is_condition:
            return ""
        last = self.keys[-1] if self.keys else ""
        if isinstance(last, str) and last in OPTIONS:
            return OPTIONS[last]
        if len(self.keys) > 1 and isinstance(self.keys[-2], str) and isinstance(last, str):
            return option_type(self.keys[-2], last)
        return ""


@functools.cache
def documented(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load(importlib.import_module(f"{PACKAGE}.{name}").DOCUMENTATION)["options"])


def option_type(action: str, option: str) -> str:
    """The type of an option of a module, by its documentation."""
    name = action.rpartition(".")[2]
    if action.startswith("podnet.cni.") and name in MODULES:
        return str((documented(name).get(option) or shared_options().get(option) or {}).get("type", ""))
    if action.startswith(("ansible.builtin.", "kubernetes.core.")) and name not in ("set_fact", "debug"):
        return "any"
    return ""


@functools.cache
def shared_options() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path in ROOT.glob("plugins/doc_fragments/*.py"):
        for text in re.findall(r'r"""\n(.*?)"""', path.read_text("utf-8"), re.DOTALL):
            found.update((yaml.safe_load(text) or {}).get("options") or {})
    return found


def unconverted(tree: nodes.Node, allowed: str = "") -> Iterator[str]:
    """Names of options that a template uses as they are; C(allowed) is what the receiver converts the value to."""

    def visit(node: nodes.Node, above: tuple[nodes.Node, ...]) -> Iterator[str]:
        if isinstance(node, nodes.Name) and node.ctx == "load" and node.name in OPTIONS and not converted(node, above):
            yield node.name
        for child in node.iter_child_nodes():
            yield from visit(child, (*above, node))

    def converted(name: nodes.Name, above: tuple[nodes.Node, ...]) -> bool:
        kind = OPTIONS[name.name]
        inner: nodes.Node = name
        for outer in reversed(above):
            if isinstance(outer, nodes.Filter) and outer.node is inner:
                if outer.name in (kind, "float") and kind != "bool":
                    return True
                if outer.name == "default":
                    inner = outer
                    continue
                return False
            if isinstance(outer, nodes.Filter) and outer.name == "default" and inner in outer.args:
                inner = outer
                continue
            if isinstance(outer, nodes.Test) and outer.node is inner:
                return outer.name in ("defined", "undefined", "none") or (
                    kind == "bool"
                    and outer.name in ("truthy", "falsy")
                    and any(item.key == "convert_bool" for item in outer.kwargs)
                )
            if isinstance(outer, nodes.Output):
                whole = len(outer.nodes) == 1 and isinstance(above[0], nodes.Template) and len(above[0].body) == 1
                return allowed in (kind, "any") or (
                    kind != "bool" and (not whole or allowed == "text" or (kind, allowed) == ("int", "float"))
                )
            return False
        return False

    return visit(tree, ())


def faults(path: str) -> list[str]:
    text = (ROOT / path).read_text("utf-8")
    found = []
    if path.endswith(".j2"):
        found = list(unconverted(JINJA.parse(text), "text"))
    else:
        for keys, value in strings(yaml.safe_load(text)):
            place = Place(keys)
            if place.is_condition or "{{" in value or "{%" in value:
                found += unconverted(parse(value, place.is_condition), place.converts)
    return [f"{path}: write {REMEDY[OPTIONS[name]].format(name)}" for name in found]


@pytest.mark.parametrize("path", [*FILES, *TEMPLATES])
def test_booleans_and_numbers_are_converted_where_they_are_used(path: str) -> None:
    assert faults(path) == []


SPELLINGS = {
    "bool": ("true", "True", "yes", "on", "1", "y", "t", "false", "False", "no", "off", "0", "n", "f"),
    "int": ("0", "7", " 7 ", "7.0"),
    "float": ("0", "7", "0.5", "1e3"),
}
trust_as_template = getattr(ansible.template, "trust_as_template", str)
"""Since ansible-core 2.19 templates have to be called such."""


@pytest.mark.parametrize("kind", CONVERTED)
def test_conversions_read_a_string_as_argument_specs_do(kind: str) -> None:
    spec = ArgumentSpecValidator({"x": {"type": kind}})
    template = trust_as_template("{{ " + REMEDY[kind].format("x") + " }}")
    for spelling in SPELLINGS[kind]:
        checked = spec.validate({"x": spelling})
        assert not checked.error_messages
        found = ansible.template.Templar(loader=DataLoader(), variables={"x": spelling}).template(template)
        # Before ansible-core 2.19 every template gives a string.
        assert str(found) == str(checked.validated_parameters["x"])


@pytest.mark.parametrize("kind", CONVERTED)
def test_argument_specs_refuse_the_rest_by_name(kind: str) -> None:
    [message] = ArgumentSpecValidator({"x_wait": {"type": kind}}).validate({"x_wait": "maybe"}).error_messages
    assert "x_wait" in message


def reached(role: Path, entry: str) -> set[str]:
    """Options that an entry point can come to use, through files that it includes, variables and templates."""
    variables: dict[str, str] = {}
    for path in role.glob("vars/**/*.yml"):
        variables.update({name: json.dumps(value) for name, value in read(path).items()})
    texts = {
        path.name: path.read_text("utf-8") for path in [*role.glob("tasks/*.yml"), *role.glob("templates/**/*.j2")]
    }
    seen: set[str] = set()
    names: set[str] = set()
    waiting = [f"{entry}.yml"]
    while waiting:
        each = waiting.pop()
        if each in seen:
            continue
        seen.add(each)
        words = set(re.findall(r"[\w.-]+", texts.get(each, "") or variables.get(each, "")))
        names |= words & set(OPTIONS)
        waiting += [word for word in words if word in variables or word in texts]
    return {name for name in names if name.startswith(f"{role.name}_")}


ENTRIES = sorted(
    (path.parent.parent.name, entry)
    for path in ROOT.glob("roles/*/meta/argument_specs.yml")
    for entry in read(path)["argument_specs"]
)


@pytest.mark.parametrize(("role", "entry"), ENTRIES)
def test_entry_points_declare_what_they_use(role: str, entry: str) -> None:
    specs = read(ROOT / "roles" / role / "meta" / "argument_specs.yml")["argument_specs"]
    declared = set(specs[entry].get("options") or {})
    assert sorted(reached(ROOT / "roles" / role, entry) - declared) == []


def test_only_declared_entry_points_are_called() -> None:
    called = set()
    for path in [*ROOT.glob("roles/*/tasks/*.yml"), *ROOT.glob("playbooks/*.yml")]:
        text = path.read_text("utf-8")
        for role, words in re.findall(r"name: podnet\.cni\.(\w+)\n +tasks_from: (.*)\n", text):
            tasks = ROOT / "roles" / role / "tasks"
            called |= {(role, word) for word in re.findall(r"\w+", words) if (tasks / f"{word}.yml").exists()}
    assert ("canal", "nodes") in called
    assert sorted(called - set(ENTRIES)) == []
