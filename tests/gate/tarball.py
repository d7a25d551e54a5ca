# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build the collection and use it as a user would: from the tarball.

tarball.py install <directory>    stage, build, install into <directory>
tarball.py check                  build, install into an empty path, verify, import and document every plugin from
                                  there, and let galaxy-importer read it as Galaxy would
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from stage import BUILD, ROOT, STAGED, stage

# Where each kind of plugin that has documentation lives, and what ansible-doc calls it.
KINDS = {
    "become": "become",
    "callback": "callback",
    "connection": "connection",
    "inventory": "inventory",
    "lookup": "lookup",
    "modules": "module",
    "vars": "vars",
}
# A file of these holds several plugins; it says itself which.
MANY = {"filter": ("FilterModule", "filters"), "test": ("TestModule", "tests")}
UNWANTED = (".venv", ".build", ".git", "__pycache__", ".pyc", "collections", "tests/output", ".tar.gz", ".ansible")
BIN = Path(sys.executable).parent


def call(*command: str, cwd: Path | None = None, env: dict[str, str] | None = None, quiet: bool = False) -> str:
    """Run a command and return its standard output; its errors are shown and are fatal."""
    if not quiet:
        print("$", " ".join(command), flush=True)
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=cwd, env=env).stdout


def build(directory: Path = BUILD / "tarball") -> Path:
    """Build the staged tree into an emptied `directory`; returns the tarball."""
    shutil.rmtree(directory, ignore_errors=True)
    call(str(BIN / "ansible-galaxy"), "collection", "build", "--output-path", str(directory), cwd=STAGED)
    (tarball,) = directory.glob("*.tar.gz")
    return tarball


def install(tarball: Path, target: Path) -> Path:
    """Install the tarball into an empty `target`; returns the collection's directory there."""
    shutil.rmtree(target, ignore_errors=True)
    # Without this the tree under test would be found on the collections path and nothing would be installed.
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(target)}
    galaxy = [str(BIN / "ansible-galaxy"), "collection"]
    call(*galaxy, "install", "--offline", str(tarball), "-p", str(target), env=environment)
    call(*galaxy, "verify", "--offline", "podnet.cni", "-p", str(target), env=environment)
    return target / "ansible_collections" / "podnet" / "cni"


def plugin_files(collection: Path) -> list[Path]:
    """Every Python file under plugins/, relative to the collection."""
    return sorted(path.relative_to(collection) for path in (collection / "plugins").rglob("*.py"))


def check_contents(tarball: Path) -> list[str]:
    """Names in the tarball that have no business there."""
    with tarfile.open(tarball) as archive:
        names = archive.getnames()
    return [f"unwanted in the tarball: {name}" for name in names if any(f"/{part}" in f"/{name}" for part in UNWANTED)]


IMPORT_ALL = """
import importlib, sys, traceback
for name in sys.argv[2:]:
    try:
        it = importlib.import_module(name)
    except Exception:
        print(f"import of {name} failed: {traceback.format_exc()}")
    else:
        if not it.__file__.startswith(sys.argv[1]):
            print(f"import of {name} found {it.__file__}, which is not the installed copy")
"""


def check_imports(collection: Path) -> list[str]:
    """Import every plugin and utility from the installed copy; returns what failed."""
    root = collection.parents[2]
    names = [
        ".".join(("ansible_collections", "podnet", "cni", *path.with_suffix("").parts)).removesuffix(".__init__")
        for path in plugin_files(collection)
    ]
    problems = call(sys.executable, "-c", IMPORT_ALL, str(root), *names, env={"PYTHONPATH": str(root)}, quiet=True)
    print(f"{len(names)} files imported")
    return problems.splitlines()


def expected_documents(collection: Path) -> set[tuple[str, str]]:
    """(type, name) of everything ansible-doc has to show."""
    expected = {
        ("role", f"podnet.cni.{path.parent.parent.name}") for path in collection.glob("roles/*/meta/argument_specs.yml")
    }
    for path in plugin_files(collection):
        if path.parent.name.startswith("__"):
            continue  # what Ansible lists nowhere
        kind, stem = path.parts[1], path.stem
        if kind in KINDS and stem != "__init__":
            expected.add((KINDS[kind], f"podnet.cni.{stem}"))
        elif kind in MANY and stem != "__init__":
            factory, method = MANY[kind]
            name = f"ansible_collections.podnet.cni.plugins.{kind}.{stem}"
            listing = f"import {name} as it; print(*it.{factory}().{method}())"
            names = call(sys.executable, "-c", listing, env={"PYTHONPATH": str(collection.parents[2])}).split()
            expected.update((kind, f"podnet.cni.{each}") for each in names)
    return expected


def check_documents(collection: Path) -> list[str]:
    """Show every plugin and role with ansible-doc from the installed copy; returns what is missing."""
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(collection.parents[2])}
    doc = str(BIN / "ansible-doc")
    dump = json.loads(call(doc, "--metadata-dump", "podnet.cni", env=environment))["all"]
    expected = sorted(expected_documents(collection))
    problems = [f"ansible-doc does not know {kind} {name}" for kind, name in expected if name not in dump.get(kind, {})]
    for kind in sorted({kind for kind, _name in expected}):
        names = [name for each, name in expected if each == kind and name in dump.get(kind, {})]
        text = call(doc, "-t", kind, *names, env=environment)
        problems += [f"ansible-doc -t {kind} shows nothing of {name}" for name in names if name not in text]
    print(f"{len(expected)} plugins and roles documented")
    return problems


def check_import_by_galaxy(tarball: Path) -> list[str]:
    """Read the tarball as Galaxy does on upload; returns what it would refuse or warn about."""
    directory = BUILD / "importer"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    (directory / "galaxy-importer.cfg").write_text(
        # ansible-lint and ansible-test are gates of their own.
        "[galaxy-importer]\nRUN_ANSIBLE_LINT = False\nRUN_ANSIBLE_TEST = False\nCHECK_REQUIRED_TAGS = True\n",
        encoding="utf-8",
    )
    environment = {
        **os.environ,
        "GALAXY_IMPORTER_CONFIG": str(directory / "galaxy-importer.cfg"),
        "PATH": f"{BIN}:{os.environ['PATH']}",
    }
    done = subprocess.run(
        [sys.executable, "-m", "galaxy_importer.main", str(tarball)],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=directory,
        env=environment,
    )
    print(done.stdout)
    problems = [line for line in done.stdout.splitlines() if line.startswith(("WARNING:", "ERROR:"))]
    if done.returncode or "Importer processing completed successfully" not in done.stdout:
        problems.append(f"galaxy-importer failed with exit code {done.returncode}")
    return problems


def main() -> int:
    """Do what the first argument says; returns the exit code."""
    if sys.argv[1:2] == ["install"] and len(sys.argv) == 3:
        stage()
        print(f"installed: {install(build(), (ROOT / sys.argv[2]).resolve())}")
        return 0
    if sys.argv[1:] != ["check"]:
        print(__doc__, file=sys.stderr)
        return 2
    tarball = build()
    collection = install(tarball, BUILD / "installed")
    problems = check_contents(tarball) + check_imports(collection) + check_documents(collection)
    problems += check_import_by_galaxy(tarball)
    print(*problems, sep="\n")
    print(f"{tarball.name}: {'FAILED' if problems else 'built, installed, verified, imported, documented'}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
