# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook doctor on lab hosts: no finding on a healthy network, each seeded fault by name, and the repair."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.tests.integration import _warm

CONFIG = {"EnableIPv6": True, "Network": "10.244.0.0/16", "IPv6Network": "fd00:10:244::/48"}
# It cannot be reached: nobody listens at that port.
GHOST = {"ansible_host": "127.0.0.1", "ansible_port": 1, "ansible_connection": "ssh"}
HOLE = "add table inet hole; add chain inet hole in { type filter hook input priority 0; }; "
DROP = "add table inet drop; add chain inet drop forward { type filter hook forward priority 10; policy drop; }"


class Overlay:
    """A lab of three hosts in one overlay, and the doctor's visits to it."""

    def __init__(self, path: Path, backend: str) -> None:
        self.path = path
        self.name = f"test-doctor-{os.getpid()}"
        self.inventory = path / "lab.yml"
        self.extra = {"lab_name": self.name, "lab_inventory_path": str(self.inventory)}
        self.config = {**CONFIG, "Backend": {"Type": backend}}

    def play(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return _warm.ansible("playbook", *arguments)

    def lab(self, **variables: Any) -> subprocess.CompletedProcess[str]:
        return self.play("podnet.cni.lab", "-e", json.dumps({**self.extra, **variables}))

    def make(self) -> None:
        for done in (
            self.lab(lab_inventory_vars={"overlay_network_config": self.config}),
            self.play("-i", str(self.inventory), "podnet.cni.overlay"),
        ):
            assert done.returncode == 0, done.stdout + done.stderr

    def inside(self, host: str, *command: str) -> str:
        net = f"/run/podnet-lab/{self.name}/hosts/{host}/net"
        done = subprocess.run(["nsenter", f"--net={net}", "--", *command], capture_output=True, text=True, check=True)
        return done.stdout

    def doctor(self, *options: str, **variables: Any) -> tuple[dict[str, Any], str]:
        """The document, and what was shown."""
        target = self.path / "status.json"
        given = {"doctor_files": {"json": str(target), "html": str(self.path / "status.html")}, **variables}
        done = self.play("-i", str(self.inventory), *options, "podnet.cni.doctor", "-e", json.dumps(given))
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(target.read_text()), " ".join(done.stdout.split())


@pytest.fixture
def overlay(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Overlay]:
    if os.geteuid() != 0:
        pytest.skip("making namespaces needs root")
    for program in ("/usr/lib/cni/bridge", "nft", "etcd", "ping"):
        if not shutil.which(program):
            pytest.skip(f"{program} is missing: install containernetworking-plugins, nftables, etcd and iputils-ping")
    made = Overlay(tmp_path, request.param)
    try:
        made.make()
        yield made
    finally:
        removed = made.lab(lab_state="absent")
    assert removed.returncode == 0, removed.stdout + removed.stderr


def failed(made: dict[str, Any]) -> set[tuple[str, str]]:
    return {(each["id"], each["subject"]) for each in made["findings"] if each["status"] == "failed"}


@pytest.mark.parametrize("overlay", ["vxlan", "host-gw"], indirect=True)
def test_faults_are_found_and_repaired(overlay: Overlay) -> None:
    vxlan = overlay.config["Backend"]["Type"] == "vxlan"
    made, _shown = overlay.doctor()
    assert (made["verdict"]["state"], failed(made)) == ("well", set()), made["findings"]
    assert [(pairs["family"], pairs["fine"]) for pairs in made["pairs"]] == [(4, 6), (6, 6)]
    addresses = {host["name"]: host["public_ips"]["4"] for host in made["hosts"]}

    # A peer is missing in one family, and node1 does not forward.
    overlay.inside("node2", "ip", "-6", "route", "flush", "root", CONFIG["IPv6Network"], "proto", "boot")
    overlay.inside("node1", "sysctl", "-qw", "net.ipv4.ip_forward=0")
    if vxlan:
        entry = next(
            line.split()
            for line in overlay.inside("node1", "bridge", "fdb", "show", "dev", "flannel.1").splitlines()
            if addresses["node2"] in line
        )
        overlay.inside("node1", "bridge", "fdb", "del", entry[0], "dev", "flannel.1", "dst", addresses["node2"])
        overlay.inside(
            "node1", "bridge", "fdb", "add", "02:00:00:00:00:99", "dev", "flannel.1", "dst", addresses["node2"]
        )
        overlay.inside("node3", "nft", f"{HOLE} add rule inet hole in udp dport 8472 udp length > 1300 drop")
    else:
        overlay.inside("node3", "nft", DROP)
    ghost = overlay.path / "ghost.yml"
    ghost.write_text(json.dumps({"all": {"children": {"overlay": {"hosts": {"ghost": GHOST}}}}}))

    seeded = {("dataplane.peers_missing", "node2"), ("host.forwarding", "node1")}
    if vxlan:
        seeded.add(("dataplane.wrong_vtep", "node1"))
    else:
        seeded |= {("host.forward_rules", "node3")}
    bundle = overlay.path / "bundle.tar.gz"
    made, shown = overlay.doctor(
        "-i", str(ghost), doctor_repair=True, doctor_bundle=str(bundle), doctor_bundle_addresses=False
    )
    for name, subject in seeded:
        assert f"{name} on {subject}" in shown, shown
    assert "host.silent on ghost" in shown
    assert made["verdict"]["state"] == "broken"
    left = {name for name, _subject in failed(made)}
    assert left == ({"way.mtu"} if vxlan else {"host.forward_rules", "way.pods"}), failed(made)
    assert {each["subject"] for each in made["findings"] if each["id"] == "host.silent"} == {"ghost"}
    assert "Repaired: " in shown
    assert all("node3" in subject for _name, subject in failed(made))
    assert "<title>Pod network: broken</title>" in (overlay.path / "status.html").read_text()
    with tarfile.open(bundle) as tar:
        held = {member.name.removeprefix("podnet-support/"): tar.extractfile(member).read().decode() for member in tar}
    assert {"CONTENTS.txt", "status.json", "hosts/node3.json", "hosts/ghost.json", "logs/node1.txt"} <= set(held)
    assert json.loads(held["hosts/node1.json"])["facts"]
    assert json.loads(held["versions.json"])["ansible-core"]
    assert not [path for path, text in held.items() for address in addresses.values() if address in text]
    if vxlan:
        hosts_that_fail(overlay)


def hosts_that_fail(overlay: Overlay) -> None:
    """Of a host on which modules hang or fail, the picture has what is known, and why the rest is not."""

    def python(host: str, **modules: str) -> dict[str, Any]:
        """Variables of a host with a Python that runs a command instead of some modules."""
        cases = " ".join(f"*AnsiballZ_{module}.*) {command};;" for module, command in modules.items())
        program = overlay.path / f"python-of-{host}"
        program.write_text(f'#!/bin/sh\ncase "$*" in {cases} esac\nexec {sys.executable} "$@"\n')
        program.chmod(0o755)
        return {"ansible_python_interpreter": str(program), "ansible_pipelining": False}

    # Another clock for what the module tells: the kernel has one for all hosts of the lab.
    (overlay.path / "sitecustomize.py").write_text("import time\nnow = time.time\ntime.time = lambda: now() + 3600\n")
    late = f'PYTHONPATH={overlay.path} exec {sys.executable} "$@"'
    fail, hang = "echo no such luck >&2; exit 3", "exec sleep 300"
    odd = {
        "node1": python("node1", flannel_dataplane_info=fail, cni_pod=fail, pod_network_probe=fail, command=hang),
        "node2": python("node2", preflight_host_info=hang),
        "node3": python("node3", preflight_host_info=late, flannel_dataplane=fail),
    }
    hosts = overlay.path / "odd.yml"
    hosts.write_text(json.dumps({"all": {"children": {"overlay": {"hosts": odd}}}}))
    bundle = overlay.path / "odd.tar.gz"
    made, _shown = overlay.doctor("-i", str(hosts), doctor_timeout=20, doctor_pods="always", doctor_bundle=str(bundle))
    found = {host["name"]: host for host in made["hosts"]}
    assert {name: host["state"] for name, host in found.items()} == {
        "node1": "heard",
        "node2": "silent",
        "node3": "heard",
    }
    assert "timed out" in found["node2"]["reason"].lower(), found["node2"]
    unknown = {name: {each["part"]: each["reason"] for each in host["not_known"]} for name, host in found.items()}
    assert set(unknown["node1"]) == {"links", "pod", "measurements"}
    assert "podnet-doctor was not removed" in unknown["node1"]["pod"]
    assert set(unknown["node3"]) == {"dataplane"}
    assert (found["node1"]["compared"], found["node3"]["compared"]) == (True, False)
    assert made["verdict"]["state"] != "well"
    assert ("host.clock", "node3") in failed(made)
    with tarfile.open(bundle) as tar:
        logs = {
            Path(member.name).stem: tar.extractfile(member).read().decode() for member in tar if "/logs/" in member.name
        }
    assert {name for name, text in logs.items() if text.strip() == "nothing was read"} == {"node1", "node2"}
