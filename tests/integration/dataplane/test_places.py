# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each place that is written, on a file system that is full and on one that is read-only, of a real kernel."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ansible_collections.podnet.cni.tests.integration import _warm
from ansible_collections.podnet.cni.tests.integration.dataplane._leases import options

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root")

NETWORK = {"Network": "10.5.0.0/16", "Backend": {"Type": "vxlan"}}
FULL, READ_ONLY = "No space left on device", "Read-only file system"


class Write(NamedTuple):
    """A module with what it writes below a directory, and the same with a change in that."""

    module: str
    first: Callable[[Path], dict[str, Any]]
    second: Callable[[Path], dict[str, Any]]


def plane(*peers: int, **more: Any) -> dict[str, Any]:
    return {**options(1, list(peers)), **more}


def conflist(place: Path, mtu: int) -> dict[str, Any]:
    bridge = {"preset": "bridge", "subnet": "10.5.1.0/24", "network": "10.5.0.0/16", "validate_plugins": False}
    return {"conf_dir": str(place / "net.d"), "mtu": mtu, **bridge}


def settings(place: Path, *modules: str) -> dict[str, Any]:
    # Modules are listed for the next boot, and loaded where the kernel has any.
    return {"sysctl_file": str(place / "sysctl.conf"), "modules_file": "", "sysctl": dict.fromkeys(modules, "1")}


def with_mtu(place: Path, number: int) -> dict[str, Any]:
    wanted = {**NETWORK, "Backend": {"Type": "vxlan", "MTU": 1400 + number}}
    return {**plane(2), "network_config": wanted, "subnet_file": str(place / "run" / "subnet.env")}


def bundle(place: Path, number: int) -> dict[str, Any]:
    return {"path": str(place / "bundle.tar.gz"), "files": {"a.json": {"number": [number] * 3}}, "show_addresses": True}


WRITES = {
    "subnet file": Write("flannel_dataplane", lambda place: with_mtu(place, 1), lambda place: with_mtu(place, 2)),
    "files for the boot": Write(
        "flannel_dataplane",
        lambda place: plane(2, restore_dir=str(place / "restore")),
        lambda place: plane(2, 3, restore_dir=str(place / "restore")),
    ),
    "CNI configuration": Write(
        "cni_conflist", lambda place: conflist(place, 1450), lambda place: conflist(place, 1400)
    ),
    "kernel settings": Write(
        "node_prepare",
        lambda place: settings(place, "net.ipv4.ip_forward"),
        lambda place: settings(place, "net.ipv4.ip_forward", "net.ipv4.conf.all.forwarding"),
    ),
    "bundle": Write("network_support_bundle", lambda place: bundle(place, 1), lambda place: bundle(place, 2)),
}


class Node:
    """A host with a small file system of its own at C(place)."""

    def __init__(self, place: Path) -> None:
        self.place = place
        lines = f"""
            mount -t tmpfs -o size=256k none {place}
            ip link add eth0 type veth peer name other
            ip link set other up
            ip link set eth0 up
            ip address add 198.18.0.1/24 dev eth0
            ip route add default via 198.18.0.254
            echo ready
            exec sleep 600"""
        command = ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-ec", lines]
        self.holder = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self.holder.stdout is not None
        assert self.holder.stdout.readline() == b"ready\n"

    def shell(self, lines: str) -> str:
        enter = ["nsenter", "--target", str(self.holder.pid), "--net", "--mount", "sh", "-ec", lines]
        done = subprocess.run(enter, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run(self, module: str, arguments: dict[str, Any]) -> dict[str, Any]:
        text = json.dumps({"ANSIBLE_MODULE_ARGS": arguments})
        done = _warm.run(f"{_warm.MODULES}.{module}", text=text, like=self.holder.pid)
        try:
            result: dict[str, Any] = json.loads(done.stdout)
        except ValueError:
            raise AssertionError(f"{module} printed no result: {done.stdout}{done.stderr}") from None
        return result

    def files(self) -> str:
        """Every file but what fills the place, with a sum over it."""
        return self.shell(f"find {self.place} -type f ! -name ballast -exec sha256sum {{}} + | sort -k 2")


@pytest.fixture(name="node")
def fixture_node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path)
    try:
        yield made
    finally:
        made.holder.kill()
        made.holder.wait()


TROUBLES = {
    FULL: ("dd if=/dev/zero of={0}/ballast bs=4k 2> /dev/null || true", "rm {0}/ballast"),
    READ_ONLY: ("mount -o remount,ro {0}", "mount -o remount,rw {0}"),
}


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("name", WRITES)
def test_nothing_is_half_written_and_the_next_run_finishes(node: Node, name: str, trouble: str) -> None:
    write = WRITES[name]
    first, second = write.first(node.place), write.second(node.place)
    told = node.run(write.module, first)
    assert not told.get("failed"), told
    before = node.files()
    assert before
    begin, end = (line.format(node.place) for line in TROUBLES[trouble])
    node.shell(begin)
    refused = node.run(write.module, second)
    assert refused.get("failed"), refused
    assert trouble in refused["msg"] or "has no room" in refused["msg"], refused["msg"]
    assert str(node.place) in refused["msg"], "the file is named"
    assert node.files() == before, "the old files are whole, and no other one is there"
    node.shell(end)
    done = node.run(write.module, second)
    assert done.get("changed", True), done
    assert not done.get("failed"), done
    assert node.files() != before
    if write.module != "network_support_bundle":
        assert not node.run(write.module, second)["changed"]


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("option", ["restore_dir", "subnet_file"])
def test_a_host_that_cannot_keep_its_files_gets_no_lease(node: Node, option: str, trouble: str) -> None:
    """The look before says it, so that no lease is taken for a host that could not use it."""
    path = node.place / "deep" / ("subnet.env" if option == "subnet_file" else "restore")
    arguments = {"network_config": NETWORK, option: str(path)}
    begin, end = (line.format(node.place) for line in TROUBLES[trouble])
    node.shell(f"mount -o remount,size=16m {node.place}")
    assert not node.run("flannel_dataplane_prepare", arguments).get("failed")
    node.shell(begin)
    refused = node.run("flannel_dataplane_prepare", arguments)
    assert refused.get("failed"), refused
    assert f"{option} {path.parent if option == 'subnet_file' else path}" in refused["msg"]
    assert ("has no room" if trouble == FULL else "is mounted read-only") in refused["msg"]
    node.shell(end)
    assert not node.run("flannel_dataplane_prepare", arguments).get("failed")
