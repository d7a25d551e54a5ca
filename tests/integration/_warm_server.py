# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The process behind _warm: it has imported what programs need, and forks itself for each one that is to run.

_warm_server.py <descriptor of a socket> <comma-separated modules to import first>

A request is a JSON object and four descriptors: standard input, output and error, and a socket. The socket gets the
exit status. A program runs as C(python -m) would run it, in a process that ends with it. Where the socket listens, its
clients are those of _warm_python.py: the program is what comes on their standard input.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import importlib
import json
import os
import re
import runpy
import selectors
import signal
import socket
import struct
import sys
from types import ModuleType
from typing import Any

REQUEST_LIMIT = 1 << 18
LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
KINDS = {"net": CLONE_NEWNET, "uts": 0x04000000, "ipc": 0x08000000, "mnt": CLONE_NEWNS}
# How ansible names the module that it has packed. Of other collections nothing is imported here.
PACKED = re.compile(rb"module_fqn='(ansible_collections\.podnet\.cni\.plugins|ansible)\.modules\.\w+'")
MS_REC, MS_SLAVE, MNT_DETACH = 0x4000, 0x80000, 2
PR_SET_PDEATHSIG = 1


def checked(result: int, what: str) -> None:
    """Raise what the C library says when a call of it failed."""
    if result:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def enter(path: str, kind: int) -> None:
    """Move this process into a namespace."""
    descriptor = os.open(path, os.O_RDONLY)
    checked(LIBC.setns(descriptor, kind), f"setns {path}")
    os.close(descriptor)


def enter_named(name: str) -> None:
    """Do as C(ip netns exec) does: the network namespace, and a /sys that shows it."""
    enter(f"/run/netns/{name}", CLONE_NEWNET)
    checked(LIBC.unshare(CLONE_NEWNS), "unshare")
    checked(LIBC.mount(b"", b"/", b"none", MS_SLAVE | MS_REC, None), "mount --make-rslave /")
    checked(LIBC.umount2(b"/sys", MNT_DETACH), "umount /sys")
    checked(LIBC.mount(b"sysfs", b"/sys", b"sysfs", 0, None), "mount /sys")


def enter_same(pid: int) -> None:
    """Move this process into the namespaces of another."""
    for kind, flag in KINDS.items():
        path = f"/proc/{pid}/ns/{kind}"
        if os.stat(path).st_ino != os.stat(f"/proc/self/ns/{kind}").st_ino:
            enter(path, flag)


def prepare(program: str) -> None:
    """Import what the program imports, so that each run of it starts with that."""
    # A second import of the program itself has to happen: it runs as __main__. Only what it imported stays.
    with contextlib.suppress(Exception):
        importlib.import_module(program)
        del sys.modules[program]


def become(request: dict[str, Any], standard: list[int]) -> None:
    """Turn this child into the process that was asked for."""
    checked(LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, descriptor in enumerate(standard):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(request["environment"])
    if request["netns"]:
        enter_named(request["netns"])
    if request["like"]:
        enter_same(request["like"])
    os.chdir(request["directory"])
    sys.executable = request.get("executable", sys.executable)
    sys.argv = request["argv"]


def execute(program: str) -> None:
    """Run the program; it ends with SystemExit or by returning."""
    if not program:
        execute_input()
        return
    if not program.startswith("ansible.cli."):
        runpy.run_module(program, run_name="__main__", alter_sys=True)
        return
    # The temporary directory of the parent holds modules that are packed already, and goes with the parent.
    atexit.unregister(importlib.import_module("ansible.config.manager").cleanup_tmp_file)
    importlib.import_module(program).main(sys.argv)


def execute_input() -> None:
    """Run what comes on standard input, as an interpreter without arguments does."""
    text = sys.stdin.buffer.read()
    if not PACKED.search(text):
        copy = os.memfd_create("input")
        os.write(copy, text)
        os.lseek(copy, 0, os.SEEK_SET)
        os.dup2(copy, 0)
        os.execv(sys.executable, [sys.executable])
    main_module = ModuleType("__main__")
    sys.modules["__main__"] = main_module
    exec(compile(text, "<stdin>", "exec"), vars(main_module))


def serve(control: socket.socket) -> str | None:
    """Fork for each request until the other side closes; returns the program to run in a child, else None."""
    # What comes on standard input is a module, and those were prepared before.
    prepared = {""}
    listens = control.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        while True:
            for key, _events in selector.select():
                if isinstance(key.data, int):
                    hung_up(selector, key, key.data)
                    continue
                if key.data is not None:
                    ended(selector, key, *key.data)
                    continue
                request, standard, report = accepted(control) if listens else received(control)
                if not request:
                    return None
                if request["program"] not in prepared:
                    prepared.add(request["program"])
                    prepare(request["program"])
                    settle()
                child = os.fork()
                if not child:
                    control.close()
                    report.close()
                    become(request, standard)
                    return str(request["program"])
                for descriptor in standard:
                    os.close(descriptor)
                selector.register(os.pidfd_open(child), selectors.EVENT_READ, (child, report))
                if listens:
                    selector.register(report, selectors.EVENT_READ, child)


def received(control: socket.socket) -> tuple[dict[str, Any], list[int], socket.socket]:
    """A request with its descriptors and the socket for the status; an empty request when there will be no more."""
    text, descriptors, _flags, _address = socket.recv_fds(control, REQUEST_LIMIT, 4)
    if not text:
        return {}, [], control
    *standard, reporter = descriptors
    return json.loads(text), standard, socket.socket(fileno=reporter)


def accepted(control: socket.socket) -> tuple[dict[str, Any], list[int], socket.socket]:
    """The request of a client that connects, to be run in its namespaces; the connection takes the status."""
    report, _address = control.accept()
    text, standard, _flags, _address = socket.recv_fds(report, REQUEST_LIMIT, 3)
    peer, _user, _group = struct.unpack("3i", report.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return {**json.loads(text), "like": peer}, standard, report


def ended(selector: selectors.BaseSelector, key: selectors.SelectorKey, pid: int, report: socket.socket) -> None:
    """A child has ended: say how."""
    selector.unregister(key.fileobj)
    os.close(key.fd)
    if report in selector.get_map():
        selector.unregister(report)
    with contextlib.suppress(BrokenPipeError):
        report.send(b"%d" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    report.close()


def hung_up(selector: selectors.BaseSelector, key: selectors.SelectorKey, pid: int) -> None:
    """A client has ended before its program, which nobody waits for any more."""
    if key.fileobj in selector.get_map():
        selector.unregister(key.fileobj)
        os.kill(pid, signal.SIGKILL)


def settle() -> None:
    """Have children share what is there by now."""
    gc.collect()
    gc.freeze()


def main() -> None:
    """Import, serve, and in a child run the program."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = socket.socket(fileno=int(sys.argv[1]))
    if control.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        # Nothing closes a socket that listens.
        checked(LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")
    for name in filter(None, sys.argv[2].split(",")):
        # A module is a program.
        (prepare if ".modules." in name else importlib.import_module)(name)
    settle()
    program = serve(control)
    if program is not None:
        execute(program)


if __name__ == "__main__":
    main()
