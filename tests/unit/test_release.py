# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a release promises: its version, the libraries that it needs, and that every place says the same of them."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FLOOR = re.compile(r"^([\w-]+)>=([\d.]+)$", re.MULTILINE)
# https://semver.org/#is-there-a-suggested-regular-expression-regex-to-check-a-semver-string, without build metadata
SEMVER = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?")
# Import name -> the declared distribution that brings it.
BROUGHT_BY = {"jinja2": "ansible-core", "yaml": "ansible-core", "urllib3": "kubernetes"}
CODE = [*ROOT.glob("plugins/**/*.py"), *ROOT.glob("extensions/**/*.py")]
DOCUMENTED = [*ROOT.glob("plugins/**/*.py"), *ROOT.glob("roles/*/meta/*.yml")]


def floors(*names: str) -> dict[str, str]:
    return dict(FLOOR.findall("".join((ROOT / name).read_text(encoding="utf-8") for name in names)))


def galaxy() -> dict[str, object]:
    return yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))


def third_party_imports(path: Path) -> set[str]:
    """The top-level names that the file imports, by statement or by importlib, apart from the standard library and
    Ansible's own.
    """
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module or "")
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            names |= {each.value for each in node.args[:1] if isinstance(each, ast.Constant)}
    return {name.split(".")[0] for name in names} - {*sys.stdlib_module_names, "ansible", "ansible_collections"}


def test_version_is_semantic_and_the_first_page_installs_it() -> None:
    version = str(galaxy()["version"])
    assert SEMVER.fullmatch(version)
    assert f"podnet-cni-{version}.tar.gz" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_version_added_names_a_release() -> None:
    """An option that is new says so by the release that brings it: one of the changelog, or the one to come."""
    changelog = yaml.safe_load((ROOT / "changelogs" / "changelog.yaml").read_text(encoding="utf-8"))
    releases = {str(version).split("-", maxsplit=1)[0] for version in (*changelog["releases"], galaxy()["version"])}
    wrong = []
    for path in DOCUMENTED:
        for said in re.findall(r"^\s*version_added: ['\"]?([\d.]+)", path.read_text(encoding="utf-8"), re.MULTILINE):
            if said not in releases:
                wrong.append(f"{path.relative_to(ROOT)}: {said}; the releases are {sorted(releases)}")
    assert wrong == []


def test_every_imported_library_is_declared() -> None:
    declared = floors("requirements.txt", "requirements-node.txt")
    imported = {name for path in CODE for name in third_party_imports(path)}
    assert imported, "no file imports a library"
    assert {BROUGHT_BY.get(name, name) for name in imported} == set(declared)


def test_floors_are_what_the_gate_installs() -> None:
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints-floors.txt").read_text(encoding="utf-8"), re.M))
    declared = floors("requirements.txt", "requirements-node.txt")
    assert {name: pins.get(name) for name in declared} == declared
    runtime = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))
    assert runtime["requires_ansible"] == f">={declared['ansible-core']}"


@pytest.mark.parametrize("library", ["cryptography", "etcd3gw", "kubernetes", "pyroute2"])
def test_documents_name_the_same_floor(library: str) -> None:
    """As in "etcd3gw 1.0 or newer"; trailing zeros may be left out."""
    floor = floors("requirements.txt", "requirements-node.txt")[library]
    pattern = re.compile(rf"\b{library}[`)]* (\d[\d.]*\d) or\s+newer")
    texts = [*DOCUMENTED, *ROOT.glob("docs/*.md"), ROOT / "README.md"]
    said = {match for path in texts for match in pattern.findall(path.read_text(encoding="utf-8"))}
    assert said, f"no document says which {library} is needed"
    assert {version for version in said if not re.fullmatch(rf"{re.escape(version)}(\.0)*", floor)} == set()


def test_execution_environment_has_what_a_controller_needs(tmp_path: Path) -> None:
    """ansible-builder, asked as it asks when it builds an image with the collection."""
    builder = shutil.which("ansible-builder", path=str(Path(sys.executable).parent))
    if builder is None:
        pytest.skip("ansible-builder is only in the default environment")
    collection = tmp_path / "ansible_collections" / "podnet" / "cni"
    collection.mkdir(parents=True)
    (collection / "meta").symlink_to(ROOT / "meta")
    for name in ("galaxy.yml", "requirements.txt"):
        (collection / name).symlink_to(ROOT / name)
    done = subprocess.run([builder, "introspect", str(tmp_path)], check=True, capture_output=True, text=True)
    found = yaml.safe_load(done.stdout)
    wanted = {name: floor for name, floor in floors("requirements.txt").items() if name != "ansible-core"}
    assert dict(FLOOR.findall("\n".join(line.split()[0] for line in found["python"]))) == wanted
    assert any(line.startswith("openssh-client ") for line in found["system"])
