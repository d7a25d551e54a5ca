# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who may import whom among the utilities, read from the imports themselves, and a map that names every package."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UTILITIES = ROOT / "plugins" / "module_utils"
PREFIX = "ansible_collections.podnet.cni.plugins.module_utils"

# The families from the ground up. A family imports those that stand beside it, and they stand above it in the list.
FAMILIES: dict[str, set[str]] = {
    "_errors": set(),
    "_flannel": {"_errors"},
    "_versions": {"_errors"},
    "_host": {"_errors"},
    "_kube": {"_errors", "_host"},
    "_probe": {"_errors"},
    "_cni": {"_errors", "_flannel", "_host"},
    "_flanneld": {"_flannel", "_host"},
    "_lab": {"_errors", "_host"},
    "_dataplane": {"_errors", "_flannel", "_host"},
    "_stores": {"_errors", "_flannel", "_host", "_kube"},
    "_refresh": {"_dataplane", "_errors", "_flannel", "_host", "_kube", "_stores"},
    "_discovery": {"_errors", "_flannel", "_kube"},
    "_network_policy": {"_errors", "_kube", "_versions"},
    "_rollout": {"_errors", "_kube"},
    "_backup": {"_errors", "_host", "_kube"},
    "_kube_ovn": {"_errors", "_kube"},
    "_upgrade": {"_errors", "_flannel", "_kube", "_probe", "_rollout", "_versions"},
    "_network_policy_sidecar": {"_discovery", "_errors", "_host", "_kube", "_rollout", "_versions"},
    "_adoption": {
        "_cni",
        "_discovery",
        "_errors",
        "_flannel",
        "_kube",
        "_network_policy_sidecar",
        "_rollout",
        "_versions",
    },
    "_preflight": {
        "_cni",
        "_dataplane",
        "_discovery",
        "_errors",
        "_flannel",
        "_host",
        "_kube",
        "_network_policy_sidecar",
        "_probe",
        "_rollout",
        "_versions",
    },
    "_status": {"_errors", "_flannel", "_kube", "_preflight"},
    "_distributions": {"_discovery", "_errors", "_flannel", "_host", "_kube", "_preflight", "_rollout"},
}
# Functions of their arguments: nothing but the standard library and each other.
PURE = ("_errors", "_flannel", "_versions")
LOOSE = ("_errors",)

Graph = Mapping[str, set[str]]


def dotted(path: Path) -> str:
    """The name of a file below module_utils; a package's __init__.py is the package."""
    parts = path.relative_to(UTILITIES).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {dotted(path): path for path in sorted(UTILITIES.rglob("*.py")) if path != UTILITIES / "__init__.py"}


def imported(tree: ast.Module) -> Iterator[str]:
    """Every module that a file names in an import, wherever in the file; members of a package are modules of it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "Ansible sends relative imports, too, but nobody reads them easily"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def drawn() -> dict[str, set[str]]:
    """From each file to the files that it imports."""
    arrows: dict[str, set[str]] = {}
    for name, path in FILES.items():
        found = arrows.setdefault(name, set())
        for module in imported(ast.parse(path.read_text(encoding="utf-8"))):
            if not module.startswith(f"{PREFIX}."):
                continue
            target = module[len(PREFIX) + 1 :]
            while target not in FILES:
                target = target.rpartition(".")[0]
                assert target, f"{name} imports {module}, which is not there"
            found.add(target)
    return arrows


ARROWS = drawn()


def family(name: str) -> str:
    """The family that a file or package belongs to."""
    return name.partition(".")[0]


def package(name: str) -> str:
    """The folder of a file."""
    return name if FILES[name].name == "__init__.py" else name.rpartition(".")[0] or name


def between(arrows: Graph, group: Mapping[str, str]) -> dict[str, set[str]]:
    """The arrows between groups of files."""
    found: dict[str, set[str]] = {}
    for name, targets in arrows.items():
        found.setdefault(group[name], set()).update(group[target] for target in targets)
    return {name: targets - {name} for name, targets in found.items()}


def circle(arrows: Graph) -> list[str]:
    """Names that import each other in a loop, in its order; empty when there is none."""
    done: set[str] = set()

    def visit(name: str, way: list[str]) -> list[str]:
        if name in way:
            return [*way[way.index(name) :], name]
        if name in done:
            return []
        for target in sorted(arrows.get(name, ())):
            found = visit(target, [*way, name])
            if found:
                return found
        done.add(name)
        return []

    return next(filter(None, (visit(name, []) for name in sorted(arrows))), [])


def test_a_circle_is_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_files_form_no_circle() -> None:
    # A package's own __init__.py names its files, so it counts as one file like the others.
    assert circle({name: targets - {name} for name, targets in ARROWS.items()}) == []


def test_packages_form_no_circle() -> None:
    assert circle(between(ARROWS, {name: package(name) for name in FILES})) == []


def test_every_utility_is_in_a_family() -> None:
    assert {family(name) for name in FILES} == set(FAMILIES), "add the family to FAMILIES and to docs/architecture.md"
    assert [path.stem for path in UTILITIES.glob("*.py") if path.stem not in (*LOOSE, "__init__")] == []


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_imports_what_it_may(name: str) -> None:
    arrows = between(ARROWS, {file: family(file) for file in FILES})
    assert arrows[name] == FAMILIES[name], "FAMILIES says who may import whom; an arrow that nobody draws goes"
    order = list(FAMILIES)
    assert [target for target in FAMILIES[name] if order.index(target) >= order.index(name)] == [], "it points up"


def test_stores_and_data_plane_do_not_know_each_other() -> None:
    assert "_dataplane" not in FAMILIES["_stores"]
    assert "_stores" not in FAMILIES["_dataplane"]


@pytest.mark.parametrize("name", PURE)
def test_a_pure_family_needs_the_standard_library_alone(name: str) -> None:
    assert FAMILIES[name] <= set(PURE)
    for file, path in FILES.items():
        if family(file) == name:
            modules = {module.split(".")[0] for module in imported(ast.parse(path.read_text(encoding="utf-8")))}
            assert modules <= {*sys.stdlib_module_names, "ansible_collections"}, file
            assert not modules & {"os", "socket", "subprocess", "importlib"}, file


def rows() -> Iterable[tuple[str, str]]:
    """The packages in the table of docs/architecture.md, each with the file to open first."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    return re.findall(r"^\| `(_[a-z_/]+)` \|[^|]*\| `([a-z_/]+\.py)`", text, re.MULTILINE)


def test_the_map_names_every_package_and_where_to_enter_it() -> None:
    named = [name.rstrip("/") for name, _file in rows()]
    packages = {package(name).replace(".", "/") for name in FILES if package(name) not in LOOSE}
    assert sorted(named) == sorted(packages)
    assert [f"{name}/{file}" for name, file in rows() if not (UTILITIES / name / file).is_file()] == []
