# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Work in a process of its own on a host of its own, for tests that look inside a run."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import traceback
from collections.abc import Callable, Sequence
from typing import Any

CLONE_NEWNET = 0x40000000
UNDERLAY = (
    "link set lo up\nlink add eth0 type veth peer name far\nlink set far up\nlink set eth0 up\n"
    "address add 198.18.0.1/24 dev eth0\naddress add fd00:18::1/64 dev eth0 nodad\n"
)


def on_a_new_host(work: Callable[[], Any], more: str = "") -> Any:
    """Do the work in a fresh network namespace with an underlay and what `more` adds; return its result.

    An exception comes back as a failed assertion that holds its text.
    """
    (result,) = on_new_hosts([work], more)
    return result


def on_new_hosts(works: Sequence[Callable[[], Any]], more: str = "") -> list[Any]:
    """Do each work on a host of its own, all at the same time; return the results in order."""
    children = [_start(work, more) for work in works]
    answers = []
    for child, reader in children:
        with os.fdopen(reader) as stream:
            answers.append(json.loads(stream.read()))
        os.waitpid(child, 0)
    for answer in answers:
        assert "error" not in answer, answer["error"]
    return [answer["result"] for answer in answers]


def _start(work: Callable[[], Any], more: str) -> tuple[int, int]:
    """Start a work; return its process and where its answer can be read."""
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(writer)
        return child, reader
    answer: dict[str, Any] = {}
    try:
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "unshare")
        subprocess.run(["ip", "-batch", "-"], input=UNDERLAY + more, text=True, check=True)
        answer["result"] = work()
    except BaseException:
        answer["error"] = traceback.format_exc()
    with os.fdopen(writer, "w") as stream:
        json.dump(answer, stream)
    os._exit(0)
