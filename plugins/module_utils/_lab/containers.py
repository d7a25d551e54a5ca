# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a lab host needs besides its namespaces to run containers: control groups, and a disk for images.

Private to podnet.cni: may change in any release.

Everything that runs in such a host is in a control group below podnet-lab/LAB/HOST, however its parents ended. So
the end of a host is the end of that group.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import time
from typing import Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError

CGROUPS = "/sys/fs/cgroup"
PARENT = "podnet-lab"
PODS = "pods"
KILL_SECONDS = 15.0
POLL_SECONDS = 0.05

DIRECTORIES = ("/var/lib/kubelet", "/var/lib/containerd")
"""Directories that cannot lie on an overlay, as a container runtime mounts overlays in them."""

KERNEL_SETTINGS = {
    "kernel/keys/root_maxbytes": "25000000",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
}
"""What kubelet writes to the kernel where it finds other values (setupKernelTunables in
kubernetes v1.36.3, pkg/kubelet/cm/container_manager_linux.go). They are the machine's, not the host's."""


class Containers:
    """The control groups and the data of the hosts of one lab; C(key) is the lab's name among all labs."""

    def __init__(self, key: str, data_dir: str) -> None:
        self.key = key
        self.data = os.path.join(data_dir, key)

    def group(self, host: str = "") -> str:
        """Return the path of the control group of a host, or of the whole lab, within each hierarchy."""
        return "/".join(part for part in (PARENT, self.key, host) if part)

    def enter(self, host: str) -> list[str]:
        """Return the command prefix that puts a program into the control group of the host."""
        procs = os.path.join(_tracking(hierarchies()), self.group(host), "system", "cgroup.procs")
        return ["sh", "-ec", 'echo $$ > "$0"; exec "$@"', procs]

    def prepare(self, host: str) -> None:
        """Make the directories and the control group of a host, empty even when an earlier host left some."""
        self.remove(host)
        for path in DIRECTORIES:
            os.makedirs(self._data(host, path), mode=0o755)
        settings = os.path.join(self.data, host, "settings")
        for name, value in KERNEL_SETTINGS.items():
            path = os.path.join(settings, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="ascii") as file:
                file.write(f"{value}\n")
        mounted = hierarchies()
        os.makedirs(os.path.join(_tracking(mounted), self.group(host), "system"))
        for hierarchy in mounted:
            _make_group(hierarchy, os.path.join(self.group(host), PODS))

    def mount_sys(self, keep: str) -> list[str]:
        """Return the commands that mount the host's own /sys with the control groups of the machine in it.

        C(keep) is a path for a mount that is gone afterwards.
        """
        keep = shlex.quote(keep)
        return [
            f"mkdir -p {keep}",
            f"mount --rbind {CGROUPS} {keep}",
            "mount -t sysfs sysfs /sys",
            f"mount --rbind {keep} {CGROUPS}",
            f"umount -l {keep}",
        ]

    def mount_data(self, host: str) -> list[str]:
        """Return the commands that give the host its data, and keep kubelet off the settings of the machine."""
        script = []
        for path in DIRECTORIES:
            script += [f"mkdir -p {path}", f"mount --bind {shlex.quote(self._data(host, path))} {path}"]
        for name in KERNEL_SETTINGS:
            source = shlex.quote(os.path.join(self.data, host, "settings", name))
            script.append(f"test ! -e /proc/sys/{name} || mount --bind {source} /proc/sys/{name}")
        # volumes of pods are mounted through from the host
        return [*script, "mount --make-rshared /"]

    def kill(self, host: str = "") -> None:
        """End every process in the control groups of the host, or of the lab. Raises PodnetError when one stays."""
        deadline = time.monotonic() + KILL_SECONDS
        while True:
            pids = self._pids(host)
            if not pids:
                return
            if time.monotonic() > deadline:
                raise PodnetError(
                    f"The processes {', '.join(map(str, sorted(pids)))} in the control group {self.group(host)} do not "
                    "end. Look for what they wait for (cat /proc/PID/stack), end it, and run this again."
                )
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(POLL_SECONDS)

    def remove(self, host: str = "") -> None:
        """End what runs in the host, or the lab, and remove its control groups and its data."""
        self.kill(host)
        for hierarchy in hierarchies():
            _remove_groups(os.path.join(hierarchy, self.group(host)))
        shutil.rmtree(os.path.join(self.data, host), ignore_errors=True)
        if host:
            return
        # shared with other labs: removed by the last one
        for hierarchy in hierarchies():
            with contextlib.suppress(OSError):
                os.rmdir(os.path.join(hierarchy, PARENT))
        with contextlib.suppress(OSError):
            os.rmdir(os.path.dirname(self.data))

    def _data(self, host: str, path: str) -> str:
        return os.path.join(self.data, host, os.path.basename(path))

    def _pids(self, host: str) -> set[int]:
        pids: set[int] = set()
        for hierarchy in hierarchies():
            for folder, _folders, files in os.walk(os.path.join(hierarchy, self.group(host))):
                if "cgroup.procs" in files:
                    with contextlib.suppress(OSError), open(os.path.join(folder, "cgroup.procs"), "rb") as procs:
                        pids.update(map(int, procs.read().split()))
        return pids


def hierarchies() -> list[str]:
    """Return the mount points of all control group hierarchies of this machine; one with cgroup v2 alone."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mountinfo:
        lines = [line.split() for line in mountinfo]
    return sorted(
        fields[4] for fields in lines if f"{fields[4]}/".startswith(f"{CGROUPS}/") and _type(fields) in _CGROUP_TYPES
    )


_CGROUP_TYPES = ("cgroup", "cgroup2")


def _type(fields: Sequence[str]) -> str:
    # proc(5): optional fields end at a hyphen
    return fields[fields.index("-") + 1]


def _tracking(mounted: Sequence[str]) -> str:
    """The hierarchy that holds all processes of a host: a process can join it without further settings."""
    for name in (CGROUPS, os.path.join(CGROUPS, "pids"), os.path.join(CGROUPS, "systemd")):
        if name in mounted:
            return name
    raise PodnetError(
        f"No control groups are mounted at {CGROUPS}, so no container can run. "
        f"Mount them: mount -t cgroup2 cgroup2 {CGROUPS}"
    )


def _make_group(hierarchy: str, group: str) -> None:
    """Make a control group; one of the hierarchy cpuset takes no process before it has processors and memory."""
    folder = hierarchy
    for part in group.split("/"):
        parent, folder = folder, os.path.join(folder, part)
        os.makedirs(folder, exist_ok=True)
        for name in ("cpuset.cpus", "cpuset.mems"):
            # of cgroup v1 only: in v2 an empty value stands for the parent's
            if os.path.exists(os.path.join(hierarchy, name)) and os.path.basename(hierarchy) != "unified":
                with open(os.path.join(parent, name), encoding="ascii") as file:
                    value = file.read()
                with open(os.path.join(folder, name), "w", encoding="ascii") as file:
                    file.write(value)


def _remove_groups(top: str) -> None:
    for folder, _folders, _files in os.walk(top, topdown=False):
        deadline = time.monotonic() + KILL_SECONDS
        while True:
            try:
                os.rmdir(folder)
            except FileNotFoundError:
                break
            except OSError as error:
                # a process that was killed leaves its group a moment later
                if time.monotonic() > deadline:
                    raise PodnetError(f"The control group {folder} cannot be removed: {error.strerror}.") from error
                time.sleep(POLL_SECONDS)
            else:
                break
