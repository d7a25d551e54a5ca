# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A relative path of the controller counts from the directory in which ansible-playbook was started.

A module on the controller runs in the directory of the playbook. For a playbook that is run by its name that is the
installed collection's, so no role may hand a path to a module as somebody typed it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import yaml
from jinja2 import nodes

from ansible_collections.podnet.cni.tests.unit._role_files import (
    FILES,
    JINJA,
    ROOT,
    TEMPLATES,
    is_condition,
    options,
    parse,
    read,
    strings,
)

FILTER = "podnet.cni.__roles.absolute_path"
FILTER_OF_KUBECONFIGS = "podnet.cni.__roles.absolute_kubeconfig"
# Paths of the hosts that are managed, where a relative one has no meaning.
OF_HOSTS = {
    "canal_cni_conf_dir",
    "canal_nodes_subnet_file",
    "canal_plugin_dirs",
    "flanneld_cni_conf_dir",
    "flanneld_cni_plugin_dirs",
    "flanneld_dir",
    "flanneld_etcd_cafile",
    "flanneld_etcd_certfile",
    "flanneld_etcd_keyfile",
    "flanneld_kubeconfig_file",
    "flanneld_net_config_path",
    "flanneld_path",
    "flanneld_subnet_file",
    "flanneld_wireguard_key_file",
    "lab_python_interpreter",
    "node_cni_bin_dir",
    "node_cni_plugin_dirs",
    "overlay_cni_conf_dir",
    "overlay_cni_plugin_dirs",
    "overlay_refresh_etcd_cafile",
    "overlay_refresh_etcd_certfile",
    "overlay_refresh_etcd_keyfile",
    "overlay_refresh_kubeconfig_file",
    "overlay_refresh_python",
    "preflight_cni_conf_dir",
    "preflight_cni_plugin_dirs",
    "upgrade_cni_bin_dirs",
    "upgrade_cni_conf_dir",
}
PATHS = {name for name, each in options().items() if "path" in (each.get("type"), each.get("elements"))} | {
    name for name in options() if name.endswith("_kubeconfig")
}
TYPED = PATHS - OF_HOSTS
# What modules read on the controller, or on a host that stands in for it.
RECEIVERS = {
    "kubeconfig": FILTER_OF_KUBECONFIGS,
    "etcd_cafile": FILTER,
    "etcd_certfile": FILTER,
    "etcd_keyfile": FILTER,
}
MESSAGES = ("msg", "fail_msg")


def as_typed(tree: nodes.Node) -> Iterator[str]:
    """Names of the options that a template passes on without the filter."""

    def visit(node: nodes.Node, above: tuple[nodes.Node, ...]) -> Iterator[str]:
        if isinstance(node, nodes.Name) and node.name in TYPED and not counted(node, above):
            yield node.name
        for child in node.iter_child_nodes():
            yield from visit(child, (*above, node))

    return visit(tree, ())


def counted(name: nodes.Node, above: tuple[nodes.Node, ...]) -> bool:
    """Whether the filter gets what a name stands for, or the value is not passed on at all."""
    inner = name
    for outer in reversed(above):
        if isinstance(outer, nodes.Test) or (isinstance(outer, nodes.CondExpr) and outer.test is inner):
            return True
        if isinstance(outer, nodes.Filter) and outer.name in (FILTER, FILTER_OF_KUBECONFIGS, "length"):
            return True
        if not isinstance(outer, nodes.CondExpr) and not (isinstance(outer, nodes.Filter) and outer.name == "default"):
            return False
        inner = outer
    return False


def faults(path: str) -> list[str]:
    text = (ROOT / path).read_text("utf-8")
    if path.endswith(".j2"):
        return list(as_typed(JINJA.parse(text)))
    found: list[str] = []
    for keys, value in strings(yaml.safe_load(text)):
        # An option that is handed on to another role's is counted there.
        if not is_condition(keys) and not set(keys) & {*TYPED, *MESSAGES, "provided_arguments"}:
            found += as_typed(parse(value))
    return found


@pytest.mark.parametrize("path", [*FILES, *TEMPLATES])
def test_paths_of_the_controller_reach_modules_through_the_filter(path: str) -> None:
    remedy = (
        f"write {{{{ NAME | {FILTER} }}}}, for a kubeconfig {FILTER_OF_KUBECONFIGS}, "
        "or add a path of the managed hosts to OF_HOSTS"
    )
    assert faults(path) == [], remedy


def test_the_list_of_paths_of_hosts_is_one_of_options() -> None:
    assert sorted(OF_HOSTS - PATHS) == []
    assert {"lab_inventory_path", "doctor_bundle", "flannel_kubeconfig", "overlay_etcd_cafile"} <= TYPED


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ("{{ flannel_kubeconfig }}", ["flannel_kubeconfig"]),
        ("{{ flannel_kubeconfig | default(omit) }}", ["flannel_kubeconfig"]),
        ("{{ lab_state_dir }}/x", ["lab_state_dir"]),
        ("{{ nothing | default(flannel_kubeconfig) }}", ["flannel_kubeconfig"]),
        ("{{ lab_state_dir if x else y }}", ["lab_state_dir"]),
        (f"{{{{ flannel_kubeconfig | {FILTER_OF_KUBECONFIGS} | default(omit) }}}}", []),
        (f"{{{{ nothing | default(lab_state_dir) | {FILTER} }}}}", []),
        (f"{{{{ (canal_kubeconfig if x else flannel_kubeconfig) | {FILTER_OF_KUBECONFIGS} }}}}", []),
        ("{{ lab_inventory_path | length > 0 and flannel_kubeconfig is defined }}", []),
        ("{{ flanneld_dir }}", []),
    ],
)
def test_a_path_that_is_passed_on_as_it_was_typed_is_found(template: str, found: list[str]) -> None:
    assert list(as_typed(JINJA.parse(template))) == found


def passes(value: str | None, role: str, wanted: str = FILTER_OF_KUBECONFIGS) -> bool:
    """Whether a value has gone through the filter, itself or in the variable of the role that it names."""
    if value is None or wanted in value:
        return True
    named = re.fullmatch(r"{{ (_\w+)(?:\.(\w+))? }}", value)
    if named is None:
        return False
    for path in ROOT.glob(f"roles/{role}/vars/**/*.yml"):
        variable = read(path).get(named[1])
        if variable is not None:
            return passes((variable[named[2]] if named[2] else variable).strip(), role, wanted)
    return False


def received(path: str) -> Iterator[tuple[str, str | None]]:
    def visit(value: object) -> Iterator[tuple[str, str | None]]:
        if isinstance(value, dict):
            yield from ((key, value[key]) for key in RECEIVERS if key in value)
        for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            yield from visit(each)

    return visit(read(ROOT / path))


RECEIVED = [(path, *each) for path in FILES for each in received(path)]


@pytest.mark.parametrize(("path", "option", "value"), RECEIVED)
def test_options_of_modules_for_such_files_get_nothing_else(path: str, option: str, value: str | None) -> None:
    assert passes(value, path.split("/")[1], RECEIVERS[option]), f"{path}: {option}: {value}"


def test_there_are_such_options() -> None:
    assert {option for _path, option, _value in RECEIVED} == set(RECEIVERS)
    assert not passes("{{ x_kubeconfig | default(omit) }}", "flannel")
    assert not passes(f"{{{{ x_kubeconfig | {FILTER} }}}}", "flannel")
    assert not passes("{{ _flannel_new.namespace }}", "flannel")
    assert passes("{{ _flannel_kubeconfig }}", "flannel")
