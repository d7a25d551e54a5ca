# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The list of gates: what is run, in which groups, and what must not run at the same time."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

import cache
from pythons import find
from running import Gate
from stage import BUILD, ROOT, STAGED, project_files

BIN = Path(sys.executable).parent
TREE = BUILD  # the directory that holds ansible_collections/
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
PACKAGE = "ansible_collections.podnet.cni"
FLOORS = ROOT / ".venv-floors"
# Rare and slow combinations are for `make test-full`.
FULL = os.environ.get("PODNET_FULL", "") not in ("", "0")
OWN_CHECKS = ("collection", "imports", "language", "pages", "release", "role_variables")
REPORTS = BUILD / "reports"
# Pipelining saves three processes in each task; the demo has it too, the connection's own tests run without as well.
MOLECULE = {"MOLECULE_GLOB": "molecule/*/molecule.yml", "ANSIBLE_PIPELINING": "true"}


def base_environment() -> dict[str, str]:
    """What every gate sees: our tools first, the staged tree as the collection, caches outside the tree."""
    return {
        "PATH": f"{BIN}:{cache.directory(cache.HELM)}:{os.environ.get('PATH', '/usr/bin:/bin')}:/usr/sbin:/sbin",
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_COLLECTIONS_PATH": str(TREE),
        # The collection for Helm is seen by the tests of Helm and by linters; nothing else may need it.
        "PODNET_HELM_COLLECTIONS": str(BUILD / "dependencies"),
        "ANSIBLE_HOME": str(BUILD / "ansible-home"),
        # The newest ansible-core will no longer inject facts as variables.
        "ANSIBLE_INJECT_FACT_VARS": "false",
        "ANSIBLE_NOCOWS": "1",
        "ANSIBLE_NOCOLOR": "1",
        "NO_COLOR": "1",
        # Where writing bytecode is off, each of a thousand processes would compile Ansible anew.
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONPYCACHEPREFIX": str(BUILD / "pycache"),
        "RUFF_CACHE_DIR": str(BUILD / "cache" / "ruff"),
        "MYPY_CACHE_DIR": str(BUILD / "cache" / "mypy"),
        "HYPOTHESIS_STORAGE_DIRECTORY": str(BUILD / "cache" / "hypothesis"),
    }


def tool(name: str) -> str:
    """A program of the default environment."""
    return str(BIN / name)


def script(name: str, *arguments: str) -> tuple[str, ...]:
    """A script of this directory."""
    return (sys.executable, str(ROOT / "tests" / "gate" / name), *arguments)


def pytest_gate(name: str, python: str, tests: tuple[str, ...], **more: object) -> Gate:
    """A pytest run in the staged tree with the collection importable."""
    report = REPORTS / f"{name}.xml"
    cache = f"cache_dir={BUILD / 'cache' / name}"
    command = (python, "-m", "pytest", "-q", "-rs", "-o", cache, f"--junitxml={report}", *tests)
    environment = {"PYTHONPATH": str(TREE)}
    return Gate(name, [command], environment=environment, reports=(report,), **more)


def is_shell_script(path: Path) -> bool:
    """Whether the first line asks for sh or bash."""
    return path.is_file() and path.read_bytes().split(b"\n", 1)[0].rstrip().endswith((b"/sh", b" bash", b"/bash"))


def static_gates() -> list[Gate]:
    """Checks that read files."""
    shell_scripts = [name for name in project_files(STAGED) if is_shell_script(STAGED / name)]
    fast = ("fast", "lint")
    return [
        Gate("ruff-format", [(tool("ruff"), "format", "--check", ".")], fast),
        Gate("ruff", [(tool("ruff"), "check", ".")], fast),
        Gate("yamllint", [(tool("yamllint"), "--strict", ".")], fast),
        Gate(
            "mypy",
            [
                (
                    tool("mypy"),
                    "--config-file",
                    str(STAGED / "pyproject.toml"),
                    "-p",
                    "ansible_collections.podnet.cni.plugins",
                )
            ],
            fast,
            cwd=TREE,
            weight=5,
        ),
        Gate("shellcheck", [("shellcheck", *shell_scripts)], fast),
        Gate("hygiene", [script("hygiene.py")], fast),
        Gate("reuse", [(tool("reuse"), "lint", "--quiet"), (tool("reuse"), "lint", "--lines")], fast),
        Gate("changelog", [(tool("antsibull-changelog"), "lint")], fast),
        Gate(
            "ansible-lint",
            [(tool("ansible-lint"), "--offline")],
            ("lint",),
            {"ANSIBLE_COLLECTIONS_PATH": f"{TREE}:{BUILD / 'dependencies'}"},
            weight=120,
        ),
        Gate(
            "docs-lint",
            [(tool("antsibull-docs"), "lint-collection-docs", "--plugin-docs", "--skip-rstcheck", ".")],
            ("lint",),
            weight=15,
        ),
        Gate("docs-build", [script("docs.py")], ("lint",), weight=50),
    ]


def own_checks() -> Gate:
    """The rules of this collection that no tool knows."""
    tests = tuple(f"tests/unit/test_{name}.py" for name in OWN_CHECKS)
    # The unit tests have them, too.
    return pytest_gate("own-checks", sys.executable, tests, groups=("fast",), weight=5, only_on_request=True)


def floors_environment() -> tuple[str, ...]:
    """The command that makes FLOORS: only what we declare, each library at the oldest release that we allow."""
    make = ("tests/gate/venv.sh", sys.executable, str(FLOORS), "requirements.txt", "requirements-node.txt")
    return ("env", f"--chdir={ROOT}", "CONSTRAINTS=constraints-floors.txt", *make)


def floors_gate() -> Gate:
    """The collection with nothing but its declared requirements, at their floors."""
    report = REPORTS / "floors.xml"
    run = script("floors.py", str(FLOORS / "bin"), f"--junitxml={report}")
    return Gate("floors", [floors_environment(), run], ("units",), reports=(report,), weight=90)


def unit_gates() -> list[Gate]:
    """Unit tests: with ansible-test here, those of code on the newest Python, and imports on every older one."""
    junit = STAGED / "tests" / "output" / "junit" / "python*-*.xml"
    units = ("ansible-test", "units", "--local", "--python", PYTHON, "--color", "no", "--num-workers", "2")
    gates = [
        Gate(
            "units",
            [(str(BIN / units[0]), *units[1:])],
            ("units",),
            {"HOME": str(BUILD / "home")},
            lock="ansible-test",
            reports=(junit,),
            weight=150,
        ),
        Gate("old-python", [script("old_python.py")], ("units",), weight=5),
        own_checks(),
        floors_gate(),
    ]
    newer = find((3, 12), (3, 15))
    if newer:
        version = max(newer)
        name = f"units-{version[0]}.{version[1]}"
        venv = environment_for(version)
        # What the others look at, texts and names, is the same with any Python.
        tests = ("-n", "2", "tests/unit/plugins", "tests/unit/extensions")
        gate = pytest_gate(name, str(venv / "bin" / "python"), tests)
        gates.append(
            Gate(
                name,
                [make_environment(version, newer[version]), *gate.commands],
                ("units",),
                gate.environment,
                reports=gate.reports,
                weight=100,
            )
        )
    return gates


def environment_for(version: tuple[int, int]) -> Path:
    """The virtual environment of a newer Python, which has a newer ansible-core."""
    return ROOT / f".venv-{version[0]}.{version[1]}"


def make_environment(version: tuple[int, int], interpreter: str) -> tuple[str, ...]:
    """The command that makes it. venv.sh works in the checkout: the environment outlives the staged tree."""
    make = ("tests/gate/venv.sh", interpreter, str(environment_for(version)), "requirements-units.txt")
    return ("env", f"--chdir={ROOT}", *make)


def installed_gates() -> list[Gate]:
    """Checks that use the collection as a whole."""
    playbooks = sorted(str(path.relative_to(STAGED)) for path in STAGED.glob("playbooks/*.yml"))
    gates = [
        Gate("sanity", [script("sanity.py")], ("sanity",), lock="ansible-test", weight=160),
        Gate("tarball", [script("tarball.py", "check")], ("tarball",), weight=60),
    ]
    if playbooks:
        syntax = (tool("ansible-playbook"), "--syntax-check", "-i", "localhost,", *playbooks)
        gates.append(Gate("playbook-syntax", [syntax], ("fast", "lint"), weight=4))
    return gates


def other_kernel(guest: Gate, age: str, suite: str) -> Gate:
    """The gate once more, with the kernel of another suite of Debian's, and without the slow variations."""
    report = REPORTS / f"guest-{age}-kernel.xml"
    return replace(
        guest,
        name=f"guest-{age}-kernel",
        commands=[script("guest.py", str(report))],
        groups=(),
        environment={**guest.environment, "PODNET_FULL": "", "PODNET_GUEST_SUITE": suite},
        reports=(report,),
        only_on_request=not FULL,
    )


def live_gates() -> list[Gate]:
    """Checks on the real kernel, a real etcd, systemd hosts. Each makes hosts of its own; two demos share a lab."""
    gates = []
    if list(STAGED.glob("tests/integration/**/test_*.py")):
        gates.append(
            pytest_gate(
                "integration",
                sys.executable,
                # Files go out in the order that tests/integration/conftest.py gives them.
                # What depends on time can fail on a machine that others load; what passes then is listed at the end.
                (
                    "-n",
                    "2",
                    "--dist",
                    "loadfile",
                    "--no-loadscope-reorder",
                    "--reruns",
                    "1",
                    "-rsR",
                    "tests/integration",
                ),
                groups=("integration",),
                # Two workers of pytest and a molecule scenario would be too much for two cores.
                lock="busy",
                weight=600,
                needs_tools=True,
            )
        )
        guest = Gate(
            "guest",
            [script("guest.py", str(REPORTS / "guest.xml"))],
            ("guest",),
            {"PYTHONPATH": str(TREE)},
            # Beside a scenario, which waits much.
            lock="guest",
            shares="busy",
            reports=(REPORTS / "guest.xml",),
            weight=500,
            needs_tools=True,
            tries=2,
        )
        gates += [guest, other_kernel(guest, "oldest", "bullseye"), other_kernel(guest, "newest", "backports")]
        gates.append(
            pytest_gate(
                "kube",
                sys.executable,
                ("-m", "kube", "tests/integration"),
                groups=("kube",),
                only_on_request=True,
                needs_tools=True,
            )
        )
    for scenario in sorted(path.parent.name for path in STAGED.glob("molecule/*/molecule.yml")):
        gates.append(
            Gate(
                f"molecule-{scenario}",
                [(tool("molecule"), "test", "-s", scenario, "--no-command-borders")],
                ("molecule",),
                {**MOLECULE, "PY_COLORS": "0", "ANSIBLE_FORCE_COLOR": "0"},
                shares="busy",
                skips_with="no cluster: ",
                # Its hosts need none.
                skips_whole=scenario != "preflight",
                weight=200 if scenario == "kubernetes" else 120,
                needs_tools=True,
                tries=2,
            )
        )
    if (STAGED / "demo" / "run").exists():
        # The oldest releases that we allow here, the newest below; molecule has those between.
        commands = [floors_environment(), script("demo.py", str(FLOORS / "bin"))]
        gates.append(Gate("demo", commands, ("demo",), lock="demo", shares="busy", weight=80))
        newer = find((3, 12), (3, 15))
        if newer:
            version = max(newer)
            programs = str(environment_for(version) / "bin")
            commands = [make_environment(version, newer[version]), script("demo.py", programs)]
            newest = Gate("demo-newest-core", commands, ("demo",), lock="demo", shares="busy", weight=100)
            gates.append(replace(newest, only_on_request=not FULL))
    if (STAGED / "demo" / "run-kubernetes").exists():
        commands = [floors_environment(), script("demo.py", str(FLOORS / "bin"), "run-kubernetes")]
        gates.append(
            Gate(
                "demo-kubernetes",
                commands,
                ("demo",),
                lock="demo",
                shares="busy",
                skips_with="no cluster: ",
                weight=150,
                # The scenario cluster makes the same nodes.
                only_on_request=not FULL,
                needs_tools=True,
            )
        )
    return gates


def all_gates() -> list[Gate]:
    """Every gate whose subject exists in the staged tree."""
    return static_gates() + unit_gates() + installed_gates() + live_gates()
