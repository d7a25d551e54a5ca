# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Modules and the command line of ansible, each run in a process of its own that need not import everything first.

Most of what a run of a module costs is the start of an interpreter and its imports. Here a server per test process
imports once and forks for each run, so a run has its own memory, environment, namespaces, descriptors and exit status
as ever. test_cold_start.py starts every module the long way, and as ansible packs it.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from ansible_collections.podnet.cni.plugins import modules as _modules

MODULES = "ansible_collections.podnet.cni.plugins.modules"
SERVER, PYTHON = (Path(__file__).with_name(name) for name in ("_warm_server.py", "_warm_python.py"))
LIBRARIES = (
    *("ansible.module_utils.basic", "pyroute2", "etcd3gw", "yaml", "requests"),
    *("kubernetes.client", "kubernetes.client.rest", "kubernetes.config", "kubernetes.config.kube_config"),
)
# Of ansible's own modules those that roles and tests use on hosts.
BUILTIN = ("command", "copy", "file", "lineinfile", "setup", "slurp", "stat", "systemd_service", "wait_for")
CLI = "ansible.cli"
_STARTING = threading.Lock()


class Server:
    """A server process with its control socket."""

    def __init__(self, imports: Sequence[str], environment: Mapping[str, str]) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock = threading.Lock()
        with theirs:
            self._process = _process(theirs, imports, environment)
        atexit.register(self.stop)

    def stop(self) -> None:
        """End the server."""
        self._control.close()
        self._process.wait(30)

    def run(self, request: dict[str, Any], text: str) -> subprocess.CompletedProcess[str]:
        """Run a program with *text* as its input."""
        ours, theirs = socket.socketpair()
        with contextlib.ExitStack() as stack:
            stack.enter_context(ours)
            files = [stack.enter_context(_memory(name)) for name in ("input", "output", "error")]
            files[0].write(text.encode())
            files[0].flush()
            os.lseek(files[0].fileno(), 0, os.SEEK_SET)
            with theirs, self._lock:
                descriptors = [*(file.fileno() for file in files), theirs.fileno()]
                socket.send_fds(self._control, [json.dumps(request).encode()], descriptors)
            status = ours.recv(16)
            if not status:
                raise RuntimeError(f"the server of {request['program']} is gone")
            output, error = (_content(file) for file in files[1:])
        return subprocess.CompletedProcess(request["argv"], int(status), output, error)


@functools.cache
def interpreter() -> str:
    """The path of a Python interpreter for hosts that have this machine's root: the modules that ansible pipes into it
    need not import everything first. In all else it is the interpreter of this process."""
    folder = Path(tempfile.mkdtemp(prefix="podnet-python-"))
    atexit.register(shutil.rmtree, folder)
    program = folder / "python3"
    program.write_text(f"#!{sys.executable} -IS\n{PYTHON.read_text(encoding='utf-8')}", encoding="utf-8")
    program.chmod(0o755)
    modules = sorted(path.stem for place in _modules.__path__ for path in Path(place).glob("[!_]*.py"))
    imports = (*LIBRARIES, *(f"{MODULES}.{name}" for name in modules), *(f"ansible.modules.{name}" for name in BUILTIN))
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as theirs:
        theirs.bind(str(folder / "socket"))
        theirs.listen(100)
        atexit.register(_process(theirs, imports, os.environ).kill)
    return str(program)


def run(
    program: str,
    *arguments: str,
    text: str = "",
    netns: str = "",
    like: int = 0,
    directory: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run the Python module *program*, which may be a command line of ansible, and wait for its end.

    C(netns) is a named network namespace to run in, C(like) a process whose network and mount namespaces to run in,
    C(directory) the working directory if not this process's.
    """
    wanted = dict(os.environ if environment is None else environment)
    request = {
        "program": program,
        "argv": [program, *arguments],
        "environment": wanted,
        "directory": str(directory or Path.cwd()),
        "netns": netns,
        "like": like,
    }
    if program.startswith(CLI):
        # Which is ansible_playbook_python.
        request["executable"] = interpreter()
    # Settings in the environment are read while ansible is imported, and kept.
    server = _server((program,), wanted) if program.startswith(CLI) else _server(LIBRARIES, {})
    return server.run(request, text)


def run_module(
    name: str,
    params: Mapping[str, Any],
    *,
    check: bool = False,
    diff: bool = False,
    netns: str = "",
    via: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Run a module of this collection and return its result.

    C(via) is a command line, which may be empty, that starts an interpreter of its own for the run.
    """
    arguments = {**params, "_ansible_check_mode": check, "_ansible_diff": diff}
    text = json.dumps({"ANSIBLE_MODULE_ARGS": arguments})
    program = f"{MODULES}.{name}"
    if via is not None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [*via, sys.executable, "-m", program]
        done = subprocess.run(command, check=False, text=True, capture_output=True, input=text, env=environment)
    else:
        done = run(program, text=text, netns=netns)
    try:
        return dict(json.loads(done.stdout))
    except ValueError:
        raise AssertionError(f"{name} printed no result:\n{done.stdout}\n{done.stderr}") from None


def ansible(
    command: str,
    *arguments: str,
    like: int = 0,
    directory: Path | None = None,
    environment: Mapping[str, str] | None = None,
    cold: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run C(ansible-playbook) and the like: C(command) is "playbook" or "adhoc".

    Runs with the same environment share a server. C(ansible_playbook_python) is C(interpreter()).
    With C(cold) ansible is started as a user starts it.
    """
    if cold:
        return subprocess.run(
            [sys.executable, "-m", "ansible", command, *arguments],
            check=False,
            text=True,
            capture_output=True,
            cwd=directory,
            env=environment,
        )
    # Without pipelining each task starts three processes more; the demo and the tests of the connection plugin do.
    wanted = {"ANSIBLE_PIPELINING": "true", **(os.environ if environment is None else environment)}
    return run(f"{CLI}.{command}", *arguments, like=like, directory=directory, environment=wanted)


def _process(control: socket.socket, imports: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, str(SERVER), str(control.fileno()), ",".join(imports)],
        stdin=subprocess.DEVNULL,
        pass_fds=[control.fileno()],
        env={**environment, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def _server(imports: tuple[str, ...], environment: Mapping[str, str]) -> Server:
    # pytest names the running test in the environment; that is nothing to start another server for.
    kept = tuple(sorted(item for item in environment.items() if item[0] != "PYTEST_CURRENT_TEST"))
    with _STARTING:
        return _started(imports, kept)


@functools.cache
def _started(imports: tuple[str, ...], environment: tuple[tuple[str, str], ...]) -> Server:
    return Server(imports, dict(environment) or os.environ)


def _memory(name: str) -> BinaryIO:
    return os.fdopen(os.memfd_create(f"podnet-{name}"), "w+b")


def _content(file: BinaryIO) -> str:
    # The position is the process's own doing: it wrote through another copy of the descriptor.
    os.lseek(file.fileno(), 0, os.SEEK_SET)
    return file.read().decode()
