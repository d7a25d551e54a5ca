# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules of this collection that no tool knows: each is checked for every plugin, role and playbook in the tree."""

from __future__ import annotations

import ast
import importlib
import re
import sys
from pathlib import Path
from typing import Any, Iterator

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ModuleArgumentSpecValidator

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "ansible_collections.podnet.cni"
FILE_LIMIT = 800
REFERENCE = ROOT / "docs" / "reference.md"

MODULES = sorted(path.stem for path in ROOT.glob("plugins/modules/*.py") if path.stem != "__init__")
ROLES = sorted(path.parent.parent.name for path in ROOT.glob("roles/*/meta/argument_specs.yml"))
PLAYBOOKS = sorted(path.stem for path in ROOT.glob("playbooks/*.yml"))
PLUGIN_FILES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("plugins/**/*.py"))

RULE_NAMES = ("mutually_exclusive", "required_together", "required_one_of", "required_if", "required_by")
SAMPLES = {"list": [], "dict": {}, "int": 1, "float": 1.0, "bool": True}


class _Captured(Exception):
    """Carries what a module handed to AnsibleModule."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        super().__init__("captured")
        self.arguments = arguments


def load_module(name: str) -> Any:
    return importlib.import_module(f"{PACKAGE}.plugins.modules.{name}")


def read_yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}


def module_arguments(name: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The keyword arguments that the module's main() gives to AnsibleModule."""

    def capture(*_args: Any, **arguments: Any) -> None:
        raise _Captured(arguments)

    module = load_module(name)
    monkeypatch.setattr(module, "AnsibleModule", capture)
    with pytest.raises(_Captured) as caught:
        module.main()
    return caught.value.arguments


def documentation(name: str) -> dict[str, Any]:
    return yaml.safe_load(load_module(name).DOCUMENTATION)


def tasks_in(value: Any) -> Iterator[dict[str, Any]]:
    """Every task in an example, however deep: plays, blocks, rescues, handlers."""
    if isinstance(value, list):
        for each in value:
            yield from tasks_in(each)
    elif isinstance(value, dict):
        yield value
        for key in ("tasks", "pre_tasks", "post_tasks", "handlers", "block", "rescue", "always"):
            yield from tasks_in(value.get(key, []))


def concrete(value: Any, option: dict[str, Any]) -> Any:
    """The value with each template replaced by something of the type that the option wants."""
    if isinstance(value, str) and "{{" in value:
        if option.get("choices"):
            return option["choices"][0]
        return SAMPLES.get(option.get("type", "str"), "text")
    suboptions = option.get("options") or {}
    if isinstance(value, dict):
        return {key: concrete(each, suboptions.get(key, {})) for key, each in value.items()}
    if isinstance(value, list):
        item = {"type": option.get("elements", "str"), "options": suboptions}
        return [concrete(each, item) for each in value]
    return value


def return_keys(values: dict[str, Any], where: str = "") -> Iterator[tuple[str, str]]:
    for key, value in (values or {}).items():
        yield key, where + key
        yield from return_keys(value.get("contains"), f"{where}{key}.")


def top_level_imports(tree: ast.Module) -> Iterator[str]:
    """Modules imported when the file is imported, apart from those in a try statement."""
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or ""


@pytest.mark.parametrize("name", MODULES)
def test_examples_are_valid(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every documented example task passes the module's own argument validation."""
    arguments = module_arguments(name, monkeypatch)
    specification = arguments["argument_spec"]
    rules = {rule: arguments.get(rule) for rule in RULE_NAMES}
    validator = ModuleArgumentSpecValidator(specification, **rules)
    tasks = [task for task in tasks_in(yaml.safe_load(load_module(name).EXAMPLES)) if f"podnet.cni.{name}" in task]
    assert tasks, f"{name} has no example that uses it"
    for task in tasks:
        options = task[f"podnet.cni.{name}"] or {}
        parameters = concrete(options, {"type": "dict", "options": specification})
        result = validator.validate(parameters)
        assert not result.error_messages, f"{task.get('name')}: {result.error_messages}"


@pytest.mark.parametrize("name", MODULES)
def test_return_keys_are_usable(name: str) -> None:
    """A key like `items` cannot be read as an attribute in a template: the dict's method hides it."""
    returned = yaml.safe_load(load_module(name).RETURN)
    assert returned, f"{name} documents no return value"
    illegal = [path for key, path in return_keys(returned) if hasattr({}, key)]
    assert illegal == []


@pytest.mark.parametrize("name", MODULES)
def test_module_promises_check_mode(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every module supports check mode and says so."""
    assert module_arguments(name, monkeypatch).get("supports_check_mode") is True
    fragments = documentation(name)["extends_documentation_fragment"]
    assert any(fragment.startswith("podnet.cni._attributes") for fragment in fragments)


@pytest.mark.parametrize("name", MODULES)
def test_module_with_secrets_inside_an_option_logs_no_arguments(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """AnsibleModule logs the arguments before the module can name the secrets that are inside one of them."""
    arguments = module_arguments(name, monkeypatch)
    if {"kubeconfig", "network_config"} & set(arguments["argument_spec"]):
        assert arguments.get("no_log") is True, f"{name} must give AnsibleModule no_log=True"


@pytest.mark.parametrize("name", MODULES)
def test_module_is_glue(name: str) -> None:
    """A module file holds documentation, the argument spec and glue; third-party libraries belong to the I/O ring."""
    tree = ast.parse((ROOT / "plugins" / "modules" / f"{name}.py").read_text(encoding="utf-8"))
    allowed = {*sys.stdlib_module_names, "ansible", "ansible_collections"}
    assert [module for module in top_level_imports(tree) if module.split(".")[0] not in allowed] == []
    tries = [node for node in tree.body if isinstance(node, ast.Try)]
    assert tries == [], "a guarded import belongs to module_utils"


@pytest.mark.parametrize("path", [path for path in PLUGIN_FILES if path.startswith("plugins/module_utils/")])
def test_utility_needs_no_library_to_import(path: str) -> None:
    """A node that lacks a library gets a message from us, not a traceback from Python."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    allowed = {*sys.stdlib_module_names, "ansible", "ansible_collections"}
    assert [module for module in top_level_imports(tree) if module.split(".")[0] not in allowed] == []


@pytest.mark.parametrize("path", PLUGIN_FILES)
def test_file_is_short(path: str) -> None:
    """Each task ships the files a module imports, and compiles them again."""
    assert len((ROOT / path).read_text(encoding="utf-8").splitlines()) <= FILE_LIMIT


def attribute(name: str, attribute_name: str) -> dict[str, Any]:
    """What a module says of an attribute, itself or through the fragment of modules that only read."""
    own = documentation(name).get("attributes", {}).get(attribute_name)
    if own is None and "podnet.cni._attributes.info_module" in documentation(name)["extends_documentation_fragment"]:
        return {"support": "full" if attribute_name != "diff_mode" else "N/A", "details": ["does not modify state"]}
    return dict(own or {})


def test_readme_is_right_about_modules() -> None:
    """Every module has check mode, and diff mode unless it says that it changes nothing."""
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert "Every module has check mode, and diff mode where it changes anything, and is idempotent." in readme
    lacking = []
    for name in MODULES:
        diff = attribute(name, "diff_mode")
        reads = re.search("(?i)changes nothing|not modify|no state", " ".join(map(str, diff.get("details", []))))
        if attribute(name, "check_mode").get("support") != "full":
            lacking.append(f"{name}: check mode")
        if diff.get("support") != "full" and not (diff.get("support") == "N/A" and reads):
            lacking.append(f"{name}: diff mode")
    assert lacking == []


@pytest.mark.parametrize(
    ("group", "fragments"),
    [
        (
            "flannel",
            {"podnet.cni._etcd", "podnet.cni._attributes.flannel", "podnet.cni._attributes.flannel_kubernetes"},
        ),
        ("kubernetes", {"podnet.cni._kubernetes"}),
    ],
)
def test_action_group_is_complete(group: str, fragments: set[str]) -> None:
    """A group holds exactly the modules that share its options or say that they belong to it."""
    named = set(read_yaml(ROOT / "meta" / "runtime.yml")["action_groups"][group])
    sharing = {
        name for name in MODULES if fragments & set(documentation(name).get("extends_documentation_fragment", []))
    }
    assert named == sharing


def test_modules_with_cluster_options_say_that_they_are_of_the_group() -> None:
    for name in read_yaml(ROOT / "meta" / "runtime.yml")["action_groups"]["kubernetes"]:
        fragments = documentation(name)["extends_documentation_fragment"]
        assert [each for each in fragments if each.startswith("podnet.cni._attributes.") and "kubernetes" in each], name


@pytest.mark.parametrize("role", ROLES)
def test_role_defaults_match_their_documentation(role: str) -> None:
    """defaults/main.yml has exactly the variables with a documented default, and that value unless it is derived."""
    specification = read_yaml(ROOT / "roles" / role / "meta" / "argument_specs.yml")["argument_specs"]
    options = {key: value for entry in specification.values() for key, value in (entry.get("options") or {}).items()}
    documented = {key: value["default"] for key, value in options.items() if "default" in value}
    defaults = read_yaml(ROOT / "roles" / role / "defaults" / "main.yml")
    assert sorted(defaults) == sorted(documented)
    assert {key: value for key, value in defaults.items() if not is_template(value)} == {
        key: value for key, value in documented.items() if not is_template(defaults[key])
    }
    assert [key for key in options if not key.startswith(f"{role}_")] == []


def is_template(value: Any) -> bool:
    return isinstance(value, str) and "{{" in value


@pytest.mark.parametrize("role", sorted(path.name for path in ROOT.glob("roles/*") if path.is_dir()))
def test_role_is_documented(role: str) -> None:
    """Each role has argument specs, whose every entry point has a file, and a README; docs/reference.md names it."""
    directory = ROOT / "roles" / role
    specification = read_yaml(directory / "meta" / "argument_specs.yml")["argument_specs"]
    for entry_point, value in specification.items():
        assert (directory / "tasks" / f"{entry_point}.yml").is_file(), f"{role}: no tasks for {entry_point}"
        assert value.get("short_description"), f"{role}: {entry_point} has no short description"
    assert (directory / "README.md").is_file()
    assert f"| `{role}` |" in REFERENCE.read_text(encoding="utf-8")


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_playbook_is_documented(playbook: str) -> None:
    """Each playbook says at its top what it does, and docs/reference.md names it."""
    lines = (ROOT / "playbooks" / f"{playbook}.yml").read_text(encoding="utf-8").splitlines()
    comments = [line for line in lines[:12] if line.startswith("# ") and "Copyright" not in line and "SPDX" not in line]
    assert comments, f"playbooks/{playbook}.yml does not say what it does"
    assert f"| `podnet.cni.{playbook}` |" in REFERENCE.read_text(encoding="utf-8")


def test_a_playbook_for_hosts_fails_where_there_are_none() -> None:
    """Ansible takes a pattern that matches nobody for success; whoever runs the playbook would, too."""
    # They compare the hosts with the Nodes of the cluster, and say what they leave on the others.
    own_way = {"canal_migrate", "flannel_uninstall"}
    for playbook in set(PLAYBOOKS) - own_way:
        plays = read_yaml(ROOT / "playbooks" / f"{playbook}.yml")
        patterns = [str(play["hosts"]) for play in plays if "hosts" in play]
        if not all("localhost" in pattern for pattern in patterns):
            first = plays[0]
            assert first.get("ansible.builtin.import_playbook") == "parts/require_hosts.yml", playbook
            assert first["vars"]["require_hosts_pattern"] and first["vars"]["require_hosts_name"], playbook


def test_the_reference_is_complete_and_names_nothing_else() -> None:
    """docs/reference.md against the folders."""
    text = REFERENCE.read_text(encoding="utf-8")
    plugins = {
        Path(path).stem
        for path in PLUGIN_FILES
        if path.split("/")[1:-1] in (["connection"], ["filter"], ["inventory"], ["lookup"])
    }
    plugins = {f"podnet.cni.{name}" for name in plugins - {"__init__"}}
    playbooks = {f"podnet.cni.{name}" for name in PLAYBOOKS}
    events = {
        f"podnet.cni.{path.stem}" for path in ROOT.glob("extensions/eda/*/**/*.*") if path.suffix in (".py", ".yml")
    }
    cells = re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
    named = {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}
    assert named == {*MODULES, *ROLES, *playbooks, *plugins, *events}


def texts_in(tree: ast.Module) -> Iterator[str]:
    """Every string in the file, each f-string as one line in which values are dots."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "..." for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@pytest.mark.parametrize("role", ["flanneld", "overlay"])
def test_messages_that_the_page_explains_exist(role: str) -> None:
    page = (ROOT / "docs" / f"{role}.md").read_text(encoding="utf-8")
    table = page.split("## What it says when something is wrong", 1)[1].split("## ", 1)[0]
    messages = re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)
    assert messages
    texts = [text for path in PLUGIN_FILES for text in texts_in(ast.parse((ROOT / path).read_text(encoding="utf-8")))]
    texts += [" ".join(path.read_text(encoding="utf-8").split()) for path in ROOT.glob(f"roles/{role}/*/*.yml")]
    for message in messages:
        pattern = re.compile(".*".join(re.escape(part.strip()) for part in message.split("...")), re.DOTALL)
        assert any(pattern.search(text) for text in texts), f"nothing says {message!r}"


def test_make_builds_the_collection_that_a_target_runs() -> None:
    """So that each works after `make clean`."""
    rules = re.findall(r"^([\w-]+):(.*)\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    running = {name: needs.split() for name, needs, recipe in rules if "$(DEMO_ENV)" in recipe}
    assert sorted(running) == ["clean-demo", "demo", "demo-kubernetes"]
    assert [name for name, needs in running.items() if "build" not in needs] == []


@pytest.mark.parametrize("kind", ["modules", "module_utils"])
def test_tests_of_module_code_import_nothing_of_the_controller(kind: str) -> None:
    """ansible-test runs them without ansible's controller code."""
    wrong = []
    for path in sorted((ROOT / "tests" / "unit" / "plugins" / kind).rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        ours = f"{PACKAGE}.plugins."
        controller = {name for name in names if name.split(".")[0] == "ansible" and "module_utils" not in name}
        controller |= {
            name
            for name in names
            if name.startswith(ours)
            and name[len(ours) :].split(".")[0] not in ("modules", "module_utils", "doc_fragments")
        }
        wrong += [f"{path.relative_to(ROOT)}: {name}" for name in sorted(controller)]
    assert wrong == []
