# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""No task that each host runs has an argument with an entry for every host.

Ansible templates the arguments of a task anew for each host, and each result brings them back to the main process, so
that work and memory of the controller grow with the square of the number of hosts. A list is made once (run_once), and
a host gets its part of it; the leases go by the name of their variable, as foreign_peers_from of flannel_dataplane.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import ansible.template
import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from jinja2 import nodes
from jinja2.sandbox import SandboxedEnvironment

from ansible_collections.podnet.cni.plugins.module_utils._probe import measure

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path.parent.name for path in ROOT.glob("roles/*/tasks"))
NESTED = ("block", "rescue", "always")
TASK = {"name", "when", "vars", "register", "run_once", "delegate_to", "no_log", "loop", "loop_control", "become"}
TASK |= {"check_mode", "diff", "changed_when", "failed_when", "until", "retries", "delay", "timeout", "async", "poll"}
TASK |= {"ignore_unreachable", "ignore_errors", "module_defaults", "notify", "throttle", "args", "environment", *NESTED}
# The host that reaches the API server runs it alone.
ALONE = {"flannel": {"uninstall_marks.yml"}}
NOT_SENT = ("include_tasks", "include_role", "import_role", "import_tasks", "assert", "debug")
KEEPING = {"select", "reject", "selectattr", "rejectattr", "list", "unique", "sort", "default", "map", "zip", "flatten"}
KEEPING |= {
    "dict2items",
    "items2dict",
    "difference",
    "intersect",
    "union",
    "combine",
    "batch",
    "reverse",
    "subelements",
}
JINJA = SandboxedEnvironment()
Variables = Mapping[str, list[str]]
trust_as_template = getattr(ansible.template, "trust_as_template", str)
"""Since ansible-core 2.19 templates have to be called such."""


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def tasks_of(given: Any, once: bool = False, variables: Mapping[str, Any] | None = None) -> Iterator[dict[str, Any]]:
    """Each task, however deep, with run_once and the variables of its blocks."""
    for task in given or []:
        whole = {**task, "run_once": task.get("run_once", once), "vars": {**(variables or {}), **task.get("vars", {})}}
        yield whole
        for key in NESTED:
            yield from tasks_of(task.get(key), whole["run_once"], whole["vars"])


def action(task: Mapping[str, Any]) -> str:
    """The module of a task; empty for a block."""
    return next((key for key in task if key not in TASK), "")


def texts(value: Any) -> Iterator[str]:
    """Each string, however deep."""
    if isinstance(value, str):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from texts(each)


def variables_of(role: Path) -> dict[str, list[str]]:
    """What the variables of a role may hold: those of its files, and those that its tasks set."""
    found: dict[str, list[str]] = {}
    for path in [*role.glob("vars/**/*.yml"), *role.glob("defaults/*.yml")]:
        for name, value in (read(path) or {}).items():
            found.setdefault(name, []).extend(texts(value))
    for path in role.glob("tasks/*.yml"):
        for task in tasks_of(read(path)):
            for name, value in [*(task.get("ansible.builtin.set_fact") or {}).items(), *task["vars"].items()]:
                found.setdefault(name, []).extend(texts(value))
    return found


def is_called(node: nodes.Node, name: str) -> bool:
    return isinstance(node, nodes.Name) and node.name == name


def reads_all(node: nodes.Node) -> bool:
    """Whether an expression reads something of every host, or every lease."""
    if isinstance(node, nodes.Getattr):
        of_leases = isinstance(node.node, nodes.Name) and node.node.name.endswith("leases")
        return node.attr == "leases" or (node.attr == "others" and of_leases)
    if isinstance(node, nodes.Filter):
        return any(is_called(each, "hostvars") for each in node.args)
    return (
        isinstance(node, nodes.Call) and isinstance(node.node, nodes.Getattr) and is_called(node.node.node, "hostvars")
    )


def passed_on(node: nodes.Node) -> list[nodes.Node]:
    """The expressions whose entries are those of this one."""
    found: list[nodes.Node | None] = []
    if isinstance(node, (nodes.Template, nodes.Output)):
        parts = node.body if isinstance(node, nodes.Template) else node.nodes
        written = [each for each in parts if not isinstance(each, nodes.TemplateData) or each.data.strip()]
        # Text around it makes a text of it.
        found = [*written] if len(written) == 1 else []
    elif isinstance(node, nodes.Filter) and node.name in KEEPING:
        found = [node.node, *(node.args if node.name in ("zip", "union", "combine") else [])]
    elif isinstance(node, nodes.Call) and is_called(node.node, "dict"):
        found = [*node.args]
    elif isinstance(node, nodes.CondExpr):
        found = [node.expr1, node.expr2]
    elif isinstance(node, nodes.Add):
        found = [node.left, node.right]
    return [each for each in found if each is not None]


def has_all(node: nodes.Node, variables: Variables, seen: frozenset[str] = frozenset()) -> bool:
    """Whether a template gives a list or mapping with an entry for every host, or for every lease."""
    if isinstance(node, nodes.Name) and node.name not in seen:
        inner = [JINJA.parse(text) for text in variables.get(node.name, [])]
        return any(has_all(each, variables, seen | {node.name}) for each in inner)
    return reads_all(node) or any(has_all(each, variables, seen) for each in passed_on(node))


def faults(given: Any, variables: Variables) -> list[str]:
    """Tasks of a file that every host runs with something of every host."""
    found = []
    for task in tasks_of(given):
        name = action(task)
        if not name or task["run_once"] or name.rpartition(".")[2] in NOT_SENT:
            continue
        own = {**variables, **{key: [*texts(value)] for key, value in task["vars"].items()}}
        sent = [task[name], task.get("loop"), (task.get("module_defaults") or {}).get(name)]
        if any(has_all(JINJA.parse(text), own) for text in texts(sent)):
            found.append(str(task.get("name")))
    return found


def run_once_includes(role: Path) -> set[str]:
    """Files of tasks that one host runs for all."""
    includes: dict[str, set[bool]] = {}
    for path in role.glob("tasks/*.yml"):
        for task in tasks_of(read(path)):
            included = task.get("ansible.builtin.include_tasks")
            name = included.get("file") if isinstance(included, dict) else included
            if isinstance(name, str):
                includes.setdefault(name, set()).add(bool(task["run_once"]))
    return {name for name, once in includes.items() if once == {True}} | ALONE.get(role.name, set())


@pytest.mark.parametrize("role", ROLES)
def test_what_each_host_is_sent_does_not_grow_with_their_number(role: str) -> None:
    directory = ROOT / "roles" / role
    variables, once = variables_of(directory), run_once_includes(directory)
    found = {
        path.name: wrong
        for path in sorted(directory.glob("tasks/*.yml"))
        for wrong in [faults(read(path), variables)]
        if wrong and path.name not in once
    }
    assert found == {}


VARIABLES = {
    "_leases": ["{{ _read.leases | default([]) }}"],
    "_hosts": ["{{ _hosts }}", "{{ dict(_names | zip(_names | map('extract', hostvars, 'x'))) }}"],
    "_mine": ["{{ _hosts | podnet.cni.__roles.probe_shares(3) }}"],
}


@pytest.mark.parametrize(
    ("value", "many"),
    [
        ("{{ _read.leases | rejectattr('name', '==', inventory_hostname) | list }}", True),
        ("{{ _leases | reject('==', _own) | list }}", True),
        ("{{ _leases | map(attribute='subnet') | select + _leases | map(attribute='ipv6_subnet') }}", True),
        ("{{ _names | map('extract', hostvars) | map(attribute='target', default={}) | select | list }}", True),
        ("{{ hostvars.values() | selectattr('x', 'defined') | list }}", True),
        ("{{ _hosts | dict2items if _hosts else [] }}", True),
        ("{{ _read.leases | difference(_own) }}", True),
        ("{{ _overlay_leases.leases + _overlay_leases.others }}", True),
        ("{{ _look.others }}", False),
        ("{{ _leases | selectattr('name', '==', inventory_hostname) | first }}", False),
        ("{{ _leases | length }}", False),
        ("{{ (_leases | map(attribute='subnet') | list)[:3] }}", False),
        ("{{ _mine[inventory_hostname] }}", False),
        ("{{ _leases | podnet.cni.__roles.preflight_some_subnets }}", False),
        ("{{ _read.network_config }}", False),
        ("_read", False),
    ],
)
def test_the_rule_tells_them_apart(value: str, many: bool) -> None:
    task = {"name": "Reach", "podnet.cni.pod_network_probe": {"targets": value}}
    assert faults([task], VARIABLES) == (["Reach"] if many else [])
    assert faults([{"name": "Outer", "block": [{**task, "run_once": True}]}], VARIABLES) == []
    assert faults([{"name": "Outer", "run_once": True, "block": [task]}], VARIABLES) == []
    inner = {"name": "Reach", "podnet.cni.pod_network_probe": {"targets": "{{ _them }}"}}
    assert faults([{"block": [inner], "vars": {"_them": value}}], VARIABLES) == (["Reach"] if many else [])


def test_a_node_of_rke2_reaches_some_links_of_others_however_many_there_are() -> None:
    probe = read(ROOT / "roles" / "distribution_network" / "tasks" / "probe.yml")[0]
    names = [f"h{number}" for number in range(6)]
    facts = [
        {"name": f"node-{name}", "pod_cidrs": [f"10.42.{number}.0/24", f"fd00:42:{number}::/64"][: 2 if number else 1]}
        for number, name in enumerate(names)
    ]
    known = {
        "_distribution_network_objects": {
            "facts": {"nodes": [*facts, {"name": "other", "pod_cidrs": ["10.42.9.0/24"]}]}
        },
        "_distribution_network_plan": {"nodes": {name: f"node-{name}" for name in names}},
        "_distribution_network_done": names,
        "_distribution_network_node_name": "node-h4",
        "inventory_hostname": "h4",
    }
    known |= {name: trust_as_template(text) for name, text in probe["vars"].items() if name not in known}
    templar = Templar(loader=DataLoader(), variables=known)
    links = templar.template(known["_distribution_network_links"])
    share = measure.shares(links, 3)[templar.template(known["_distribution_network_first"])]
    assert [(each["name"], each["address"]) for each in share] == [
        ("10.42.5.0", "10.42.5.0"),
        ("10.42.5.0 over IPv6", "fd00:42:5::"),
        ("10.42.0.0", "10.42.0.0"),
        ("10.42.1.0", "10.42.1.0"),
        ("10.42.1.0 over IPv6", "fd00:42:1::"),
    ]
