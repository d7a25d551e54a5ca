# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The unit of flanneld on this host, as systemd, its files and its process tell it.

Private to podnet.cni: may change in any release.

All paths lie under a root directory, which is / outside of tests.
"""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass, field
from typing import Any, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._flannel import addresses, subnet_env
from ansible_collections.podnet.cni.plugins.module_utils._host import atomic_file, flanneld
from ansible_collections.podnet.cni.plugins.module_utils._host.command import Run, checked

RESTORE_UNIT = "/etc/systemd/system/podnet-cni-restore.service"
NO_SYSTEMD = "this host does not run systemd, which starts flanneld"
# flanneld v0.28.9 logs every flag at its start, the password of etcd among them (main.go).
_FLAGS = "CLI flags config:"
_RESTORES = re.compile(r"^ExecStart=/bin/sh (\S+)/restore\.sh\b", re.MULTILINE)
_KUBERNETES = re.compile(r"--?kube-subnet-mgr(?:=(?:1|t|T|true|TRUE|True))?\Z")
_PROPERTIES = ("LoadState", "ActiveState", "SubState", "UnitFileState", "Result", "MainPID", "ExecMainStatus")


@dataclass(frozen=True)
class Service:
    """What is asked about: the unit C(name), the program that it starts, and the files that it reads when it starts."""

    name: str
    subnet_file: str
    binary: str = ""
    files: Sequence[str] = ()


@dataclass(frozen=True)
class Unit:
    """What systemd says of the unit. C(started) is the time at which it was last started, in ns, 0 for not known."""

    load: str
    active: str
    sub: str
    enabled: str
    result: str
    pid: int
    exit_status: int
    started: int = 0


@dataclass(frozen=True)
class SubnetFile:
    """The subnet file. C(written) is when it was, in ns, 0 for a file that is not there."""

    path: str
    written: int = 0
    values: Mapping[str, str] = field(default_factory=dict)


def look(run: Run, service: Service, root: str = "/") -> dict[str, Any]:
    """Everything that is known of a unit, without its journal. Raises MissingError without systemd."""
    unit = _read_unit(run, service.name, root)
    found = _read_subnet_file(service.subnet_file, root)
    restore = atomic_file.observe(_under(root, RESTORE_UNIT)).text
    restores = _RESTORES.search(restore or "")
    link = _under(root, service.binary)
    return {
        "unit": {
            "name": service.name,
            "load": unit.load,
            "active": unit.active,
            "enabled": unit.enabled,
            "pid": unit.pid,
        },
        "others": [one._asdict() for one in flanneld.find() if one.unit != service.name],
        "overlay": {"restores": restore is not None, "restore_dir": restores.group(1) if restores else ""},
        "release": os.readlink(link) if os.path.islink(link) else "",
        "store": _store(unit, service.name, root),
        "outdated": outdated(unit, service, root),
        "problems": problems(service.name, unit, found),
        **subnets(found.values),
    }


def problems(name: str, unit: Unit, subnet_file: SubnetFile) -> list[str]:
    """Why the unit does not do its work, a sentence each; empty when it does."""
    if unit.active != "active":
        return [f"{name} is {unit.active} ({unit.sub}), result {unit.result}, exit status {unit.exit_status}"]
    if not subnet_file.written:
        return [f"{name} runs, and {subnet_file.path} does not exist"]
    # READY=1 is sent whether the file could be written or not.
    if unit.started and subnet_file.written < unit.started:
        return [f"{name} runs, and {subnet_file.path} is older than its process"]
    return []


def outdated(unit: Unit, service: Service, root: str = "/") -> list[str]:
    """The files that the running process does not have yet: of its program another one, of the others newer ones."""
    if not unit.pid:
        return []
    found = []
    if service.binary and not _same_file(_under(root, f"/proc/{unit.pid}/exe"), _under(root, service.binary)):
        found.append(service.binary)
    return found + [path for path in service.files if unit.started and _written(_under(root, path)) > unit.started]


def subnets(values: Mapping[str, str]) -> dict[str, Any]:
    """The node's subnets as leases spell them, and the MTU of its pods; null for what the file does not have."""
    facts: dict[str, Any] = {"subnet": None, "ipv6_subnet": None, "mtu": None}
    with contextlib.suppress(ValueError):
        facts["subnet"] = str(addresses.parse_cidr4(values.get("FLANNEL_SUBNET")))
    with contextlib.suppress(ValueError):
        facts["ipv6_subnet"] = str(addresses.parse_cidr6(values.get("FLANNEL_IPV6_SUBNET")))
    with contextlib.suppress(ValueError):
        facts["mtu"] = int(values.get("FLANNEL_MTU", ""))
    return facts


def evidence(run: Run, name: str, lines: int) -> dict[str, Any]:
    """The exit code of C(systemctl status), and the last lines of the unit's journal without flanneld's flags."""
    status, _out, _err = run(["systemctl", "status", "--no-pager", "--lines=0", name], None)
    journal = ["journalctl", "--no-pager", "--output=short-iso", f"--lines={lines}", f"--unit={name}"]
    _code, out, err = run(journal, None)
    return {"status": status, "journal": [line for line in (out or err).splitlines() if _FLAGS not in line]}


def _store(unit: Unit, name: str, root: str) -> str:
    """Where flanneld keeps its lease, by the arguments of its process, else by its unit; empty without a unit."""
    if unit.load != "loaded":
        return ""
    ran = atomic_file.observe(_under(root, f"/proc/{unit.pid}/cmdline")).text if unit.pid else None
    arguments = (ran or "").split("\0")
    if not ran:
        text = atomic_file.observe(_under(root, f"/etc/systemd/system/{name}")).text
        arguments = [word.strip('"') for word in (text or "").split()]
    return "kubernetes" if any(map(_KUBERNETES.match, arguments)) else "etcd"


def _read_unit(run: Run, name: str, root: str) -> Unit:
    said = checked(run, ["systemctl", "show", f"--property={','.join(_PROPERTIES)}", name], missing=NO_SYSTEMD)
    found = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
    return Unit(
        load=found.get("LoadState", ""),
        active=found.get("ActiveState", ""),
        sub=found.get("SubState", ""),
        enabled=found.get("UnitFileState", ""),
        result=found.get("Result", ""),
        pid=int(found.get("MainPID") or 0),
        exit_status=int(found.get("ExecMainStatus") or 0),
        # systemd writes it at each start, by the clock that files have.
        started=_written(_under(root, f"/run/systemd/units/invocation:{name}")),
    )


def _read_subnet_file(path: str, root: str) -> SubnetFile:
    text = atomic_file.observe(_under(root, path)).text
    if text is None:
        return SubnetFile(path)
    return SubnetFile(path, _written(_under(root, path)), subnet_env.parse(text))


def _written(path: str) -> int:
    with contextlib.suppress(OSError):
        return os.lstat(path).st_mtime_ns
    return 0


def _same_file(one: str, other: str) -> bool:
    with contextlib.suppress(OSError):
        return os.path.samestat(os.stat(one), os.stat(other))
    return False


def _under(root: str, path: str) -> str:
    return os.path.join(root, path.lstrip("/"))
