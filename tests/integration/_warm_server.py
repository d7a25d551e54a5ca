# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The process behind _warm: it has imported what programs need, and forks itself for each one that is to run.

_warm_server.py <descriptor of a socket> <comma-separated modules to import first>

A request is a JSON object and four descriptors: standard input, output and error, and a socket. The socket gets the
exit status. A program runs as C(python -m) would run it, in a process that ends with it.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
from typing import Any

REQUEST_LIMIT = 1 << 18
LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
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
    for kind in ("net", "mnt"):
        if request["like"]:
            enter(f"/proc/{request['like']}/ns/{kind}", CLONE_NEWNET if kind == "net" else CLONE_NEWNS)
    os.chdir(request["directory"])
    sys.argv = request["argv"]


def execute(program: str) -> None:
    """Run the program; it ends with SystemExit or by returning."""
    if not program.startswith("ansible.cli."):
        runpy.run_module(program, run_name="__main__", alter_sys=True)
        return
    # The temporary directory of the parent holds modules that are packed already, and goes with the parent.
    atexit.unregister(importlib.import_module("ansible.config.manager").cleanup_tmp_file)
    importlib.import_module(program).main(sys.argv)


def serve(control: socket.socket) -> str | None:
    """Fork for each request until the other side closes; returns the program to run in a child, else None."""
    prepared: set[str] = set()
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        while True:
            for key, _events in selector.select():
                if key.data is not None:
                    pid, report = key.data
                    selector.unregister(key.fileobj)
                    os.close(key.fd)
                    report.send(b"%d" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                    report.close()
                    continue
                text, descriptors, _flags, _address = socket.recv_fds(control, REQUEST_LIMIT, 4)
                if not text:
                    return None
                request = json.loads(text)
                if request["program"] not in prepared:
                    prepared.add(request["program"])
                    prepare(request["program"])
                    gc.collect()
                    gc.freeze()
                *standard, reporter = descriptors
                child = os.fork()
                if not child:
                    control.close()
                    os.close(reporter)
                    become(request, standard)
                    return str(request["program"])
                for descriptor in standard:
                    os.close(descriptor)
                selector.register(os.pidfd_open(child), selectors.EVENT_READ, (child, socket.socket(fileno=reporter)))


def main() -> None:
    """Import, serve, and in a child run the program."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in filter(None, sys.argv[2].split(",")):
        importlib.import_module(name)
    program = serve(socket.socket(fileno=int(sys.argv[1])))
    if program is not None:
        execute(program)


if __name__ == "__main__":
    main()
