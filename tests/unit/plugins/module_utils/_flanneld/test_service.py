# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The unit of flanneld: whether it works, what its process lacks, and what is shown when it does not work."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._errors import MissingError
from ansible_collections.podnet.cni.plugins.module_utils._flanneld import service

NAME = "podnet-cni-flanneld.service"
FILE = "/run/flannel/subnet.env"
BINARY = "/opt/flanneld/flanneld"
ENVIRONMENT = "/etc/flanneld.env"
SECOND = 10**9
PROPERTIES = {
    "LoadState": "loaded",
    "ActiveState": "active",
    "SubState": "running",
    "UnitFileState": "enabled",
    "Result": "success",
    "MainPID": "7",
    "ExecMainStatus": "0",
}


class Host:
    """A host whose unit was started at second 100."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.properties = dict(PROPERTIES)
        self.put("/opt/flanneld/v1/flanneld", "one")
        self.put("/opt/flanneld/v2/flanneld", "two")
        (root / "opt/flanneld/flanneld").symlink_to("v1/flanneld")
        self.link("/proc/7/exe", "opt/flanneld/v1/flanneld")
        self.link(f"/run/systemd/units/invocation:{NAME}", "0123", second=100)
        self.put(ENVIRONMENT, "NODE_NAME=a\n", second=90)
        self.put(FILE, "FLANNEL_SUBNET=10.5.7.1/24\nFLANNEL_MTU=1450\n", second=101)

    def path(self, name: str) -> Path:
        path = self.root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def put(self, name: str, text: str, second: int = 1) -> None:
        self.path(name).write_text(text)
        os.utime(self.path(name), ns=(second * SECOND, second * SECOND))

    def link(self, name: str, target: str, second: int = 1) -> None:
        path = self.path(name)
        path.symlink_to(self.root / target)
        os.utime(path, ns=(second * SECOND, second * SECOND), follow_symlinks=False)

    def run(self, command: Any, text: Any = None) -> tuple[int, str, str]:
        assert command[:2] == ["systemctl", "show"]
        return 0, "".join(f"{key}={value}\n" for key, value in self.properties.items()), ""

    def look(self) -> dict[str, Any]:
        return service.look(self.run, service.Service(NAME, FILE, BINARY, [ENVIRONMENT]), str(self.root))


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_one_that_works(host: Host) -> None:
    found = host.look()
    assert (found["problems"], found["outdated"], found["release"]) == ([], [], "v1/flanneld")
    assert (found["subnet"], found["ipv6_subnet"], found["mtu"]) == ("10.5.7.0/24", None, 1450)
    assert found["unit"] == {"name": NAME, "load": "loaded", "active": "active", "enabled": "enabled", "pid": 7}
    assert found["overlay"] == {"restores": False, "restore_dir": ""}


@pytest.mark.parametrize(
    ("file_second", "properties", "words"),
    [
        (101, {"ActiveState": "failed", "SubState": "failed", "Result": "exit-code", "ExecMainStatus": "1"}, "failed"),
        (101, {"ActiveState": "activating", "SubState": "auto-restart"}, r"activating \(auto-restart\)"),
        (0, {}, "does not exist"),
        (99, {}, "older than its process"),
    ],
)
def test_why_one_does_not_work(host: Host, file_second: int, properties: dict[str, str], words: str) -> None:
    host.properties.update(properties)
    if file_second:
        host.put(FILE, "FLANNEL_MTU=1450\n", second=file_second)
    else:
        host.path(FILE).unlink()
    (problem,) = host.look()["problems"]
    assert NAME in problem
    assert service.re.search(words, problem)


def test_what_the_process_does_not_have_yet(host: Host) -> None:
    host.put(ENVIRONMENT, "NODE_NAME=b\n", second=110)
    link = host.path(BINARY)
    link.unlink()
    link.symlink_to("v2/flanneld")
    assert host.look()["outdated"] == [BINARY, ENVIRONMENT]
    host.properties["MainPID"] = "0"
    assert host.look()["outdated"] == [], "what does not run is to be started, not restarted"


def test_nothing_is_said_of_times_that_are_not_known(host: Host) -> None:
    host.path(f"/run/systemd/units/invocation:{NAME}").unlink()
    host.put(ENVIRONMENT, "NODE_NAME=b\n", second=110)
    found = host.look()
    assert (found["problems"], found["outdated"]) == ([], [])


def test_the_overlay_is_known_by_its_unit(host: Host) -> None:
    host.put(service.RESTORE_UNIT, "[Service]\nExecStart=/bin/sh /etc/podnet-cni/restore.sh --wait 60\n")
    assert host.look()["overlay"] == {"restores": True, "restore_dir": "/etc/podnet-cni"}
    host.put(service.RESTORE_UNIT, "[Service]\n")
    assert host.look()["overlay"] == {"restores": True, "restore_dir": ""}


@pytest.mark.parametrize(
    ("flag", "store"),
    [
        ("--kube-subnet-mgr=true", "kubernetes"),
        ("-kube-subnet-mgr", "kubernetes"),
        ("--kube-subnet-mgr=false", "etcd"),
        ("--etcd-prefix=/kube-subnet-mgr", "etcd"),
    ],
)
def test_the_store_is_that_of_the_process_and_without_one_that_of_the_unit(host: Host, flag: str, store: str) -> None:
    other = "--etcd-prefix=/a" if store == "kubernetes" else "--kube-subnet-mgr=true"
    host.put(f"/etc/systemd/system/{NAME}", f'ExecStart=/opt/flanneld \\\n  "{other}"\n')
    host.put("/proc/7/cmdline", f"/opt/flanneld\0{flag}\0")
    assert host.look()["store"] == store
    host.properties["MainPID"] = "0"
    assert host.look()["store"] != store
    host.properties["LoadState"] = "not-found"
    assert host.look()["store"] == ""


def test_a_subnet_file_that_nobody_can_read_tells_nothing() -> None:
    values = {"FLANNEL_SUBNET": "x", "FLANNEL_IPV6_SUBNET": "fd00:1::1/64", "FLANNEL_MTU": "much"}
    assert service.subnets(values) == {"subnet": None, "ipv6_subnet": "fd00:1::/64", "mtu": None}


def test_without_systemd() -> None:
    def run(command: Any, text: Any = None) -> tuple[int, str, str]:
        raise FileNotFoundError

    with pytest.raises(MissingError, match="does not run systemd"):
        service.look(run, service.Service(NAME, FILE))


def test_evidence_has_no_password() -> None:
    said = "a: CLI flags config: {etcdUsername:root etcdPassword:secret}\nb: Failed to find any valid interface\n"

    def run(command: Any, text: Any = None) -> tuple[int, str, str]:
        return (3, "", "") if command[0] == "systemctl" else (0, said, "")

    found = service.evidence(run, NAME, 5)
    assert found == {"status": 3, "journal": ["b: Failed to find any valid interface"]}
