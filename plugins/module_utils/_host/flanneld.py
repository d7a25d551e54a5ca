# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a flanneld works on this host, or will after the next boot.

Private to podnet.cni: may change in any release.

Two writers of one lease take it from each other: flanneld answers a lease of ours with its own, which ends a day after
the daemon does (flannel v0.28.9 pkg/subnet/etcd/local_manager.go CompleteLease).
"""

from __future__ import annotations

import contextlib
import os
import re
from typing import Iterator, NamedTuple

from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError

_SERVICE = re.compile(r"/([^/\s]+\.service)$", re.MULTILINE)
_STARTS = re.compile(r"^ExecStart=[-@:+!]*(?:\S*/)?flanneld(?:\s|$)", re.MULTILINE)


class Flanneld(NamedTuple):
    """One daemon: without a process (pid 0) a unit that the next boot starts; without a unit, none is known."""

    pid: int
    unit: str
    pod: bool

    @property
    def where(self) -> str:
        """Which daemon it is, for a message."""
        process = f"process {self.pid}" if self.pid else "started at boot"
        return f"{process}, in a pod" if self.pod else f"{process}, unit {self.unit}" if self.unit else process


def find(proc: str = "/proc", units: str = "/etc/systemd/system") -> list[Flanneld]:
    """Return the flannelds that work in this network namespace, and the enabled units that start one at boot.

    One in another network namespace has links and routes of its own.
    """
    found = list(_running(proc))
    active = {one.unit for one in found}
    return found + [Flanneld(0, unit, False) for unit in _enabled(units) if unit not in active]


def refuse(host: str, found: list[Flanneld]) -> None:
    """Raise ConflictError when there is a flanneld."""
    if not found:
        return
    if any(one.pod for one in found):
        remedy = "take this host out of the DaemonSet first, and leave out overlay_flanneld"
    else:
        remedy = "stop and disable it, or let the role do so with overlay_flanneld=stop"
    raise ConflictError(
        f"{host}: flanneld works on this host ({'; '.join(one.where for one in found)}). It would take the lease back "
        f"and let it expire; {remedy}. If it serves another network, set overlay_flanneld=ignore"
    )


def _running(proc: str) -> Iterator[Flanneld]:
    mine = _namespace(proc, "self")
    for name in sorted(filter(str.isdigit, os.listdir(proc)), key=int):
        # A process may end meanwhile.
        with contextlib.suppress(OSError):
            with open(f"{proc}/{name}/cmdline", "rb") as file:
                program = file.read().split(b"\0")[0].decode(errors="replace")
            if os.path.basename(program) != "flanneld" or _namespace(proc, name) != mine:
                continue
            with open(f"{proc}/{name}/cgroup", encoding="utf-8", errors="replace") as file:
                groups = file.read()
            pod = "kubepods" in groups
            service = _SERVICE.search(groups)
            unit = service.group(1) if service and not pod else ""
            # What was started by hand is in the unit of the login.
            yield Flanneld(int(name), unit if "flannel" in unit else "", pod)


def _namespace(proc: str, name: str) -> str:
    return os.readlink(f"{proc}/{name}/ns/net")


def _enabled(units: str) -> Iterator[str]:
    names = set()
    for directory in os.listdir(units) if os.path.isdir(units) else ():
        if directory.endswith((".wants", ".requires")):
            names |= {(name, f"{units}/{directory}/{name}") for name in os.listdir(f"{units}/{directory}")}
    for name, path in sorted(names):
        with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
            if name.endswith(".service") and _STARTS.search(file.read()):
                yield name
