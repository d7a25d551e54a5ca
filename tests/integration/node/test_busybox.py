# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host whose programs are those of busybox and that no systemd runs, as with Alpine or Talos.

What goes through the kernel alone works there. What needs another program says which, before anything is changed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.tests.integration import _warm
from ansible_collections.podnet.cni.tests.integration._as_typed import as_typed
from ansible_collections.podnet.cni.tests.integration._netns import Host, Segment
from ansible_collections.podnet.cni.tests.integration._warm import run_module
from ansible_collections.podnet.cni.tests.integration.dataplane._leases import VXLAN, options

# The directories of programs; on a merged system some of them are one.
PROGRAMS = ("/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin")
NO_IPROUTE2 = "the program {} is that of busybox, and without that of iproute2 {} cannot bring the overlay back at boot"
COLLECTIONS = next(path for path in sys.path if os.path.isdir(f"{path}/ansible_collections/podnet/cni"))
PLAY = """
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - ansible.builtin.include_role:
        name: podnet.cni.{role}
        tasks_from: {entry}
"""


class Alpine:
    """A host in a namespace. It has busybox and Python, and nothing else to run."""

    def __init__(self, host: Host, directory: Path) -> None:
        self.host = host
        self.etc = directory / "podnet-cni"
        programs = directory / "programs"
        programs.mkdir()
        binary = shutil.which("busybox")
        assert binary is not None
        shutil.copy(binary, programs / "busybox")
        for name in subprocess.run([binary, "--list"], capture_output=True, text=True, check=True).stdout.split():
            if not (programs / name).exists():
                (programs / name).symlink_to("busybox")
        python = Path(sys.executable).resolve()
        if str(python.parent) in PROGRAMS:
            shutil.copy(python, programs / python.name)
        lines = [f"mount --bind {programs} {path}" for path in PROGRAMS if os.path.isdir(path)]
        # The program that binds comes from one of them: so a shell of busybox does it, which needs no other file.
        script = "\n".join([*lines[::-1], "mount -t tmpfs none /run", "echo ready", "exec sleep 600"])
        command = host.enter("unshare", "--mount", str(programs / "busybox"), "sh", "-ec", script)
        self.holder = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self.holder.stdout is not None and self.holder.stdout.readline() == b"ready\n"

    def enter(self, *command: str) -> list[str]:
        return ["nsenter", "--target", str(self.holder.pid), "--net", "--mount", *command]

    def module(self, module: str, **params: Any) -> dict[str, Any]:
        return run_module(module, params, via=self.enter())

    def role(self, directory: Path, role: str, entry: str, **variables: Any) -> tuple[int, str]:
        play = directory / f"{role}.yml"
        play.write_text(PLAY.format(role=role, entry=entry))
        settings = {"ansible_python_interpreter": sys.executable, **as_typed(role, variables)}
        done = _warm.ansible(
            "playbook",
            *("-i", "localhost,", "-e", json.dumps(settings), str(play)),
            like=self.holder.pid,
            environment={
                **os.environ,
                "ANSIBLE_COLLECTIONS_PATH": COLLECTIONS,
                "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
                "ANSIBLE_NOCOLOR": "1",
                "ANSIBLE_HOME": str(directory / "ansible"),
                "ANSIBLE_LOCALHOST_WARNING": "false",
            },
        )
        return done.returncode, " ".join((done.stdout + done.stderr).split())

    def end(self) -> None:
        self.holder.terminate()
        self.holder.wait()


@pytest.fixture(scope="module")
def alpine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alpine]:
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    if not shutil.which("busybox"):
        pytest.skip("busybox is missing: install busybox-static")
    with Segment(1) as segment:
        made = Alpine(segment.hosts[0], tmp_path_factory.mktemp("alpine"))
        try:
            yield made
        finally:
            made.end()


def test_what_goes_through_the_kernel_works(alpine: Alpine) -> None:
    plane = options(1, [2, 3])
    assert alpine.module("flannel_dataplane_prepare", network_config=VXLAN, firewall="none")["systemd"] is False
    first = alpine.module("flannel_dataplane", **plane)
    assert first["changed"] is True, first
    # Seen with the programs of this machine.
    assert len(alpine.host.json("ip -4 -j route show dev flannel.1")) == 2
    again = alpine.module("flannel_dataplane", **plane)
    assert (again["changed"], again.get("failed", False)) == (False, False), again
    assert alpine.module("flannel_dataplane_info", network_config=VXLAN)["links"][0]["name"] == "flannel.1"
    gone = alpine.module("flannel_dataplane", state="absent", network_config=VXLAN, firewall="none", subnet_file="")
    assert gone["changed"] is True, gone


def test_what_needs_another_program_names_it_and_changes_nothing(alpine: Alpine, tmp_path: Path) -> None:
    directory = str(tmp_path / "restore")
    kept = alpine.module("flannel_dataplane", **{**options(1, [2]), "restore_dir": directory})
    assert NO_IPROUTE2.format("ip", directory) in kept["msg"], kept
    table = alpine.module("flannel_dataplane", **{**options(1, [2]), "firewall": "nftables"})
    assert "nft is not on PATH: install it (Debian and RHEL: package nftables)" in table["msg"], table
    asked = alpine.module(
        "flannel_dataplane_prepare", network_config=VXLAN, firewall="none", restore_dir=directory, subnet_file=""
    )
    assert NO_IPROUTE2.format("ip", directory) in asked["msg"], asked
    assert not os.path.exists(directory)
    assert alpine.host.json("ip -j link show type vxlan") in ([], [{}])


def test_what_measures_says_what_is_missing(alpine: Alpine, tmp_path: Path) -> None:
    measured = alpine.module("pod_network_probe", targets=[{"address": "198.18.0.1"}])
    assert "ping is that of busybox, which measures no path: install ping of iputils" in measured["msg"]
    told = alpine.module("preflight_host_info", network_config=VXLAN)
    assert told["facts"]["programs"] == {"ping": False}
    assert "ip is that of busybox, which cannot do ip -d -j addr show: install iproute2" in json.dumps(
        told["facts"]["reasons"]
    )
    plugin = tmp_path / "plugin"
    plugin.write_text("#!/bin/sh\n")
    plugin.chmod(0o755)
    (tmp_path / "10-a.conflist").write_text('{"cniVersion": "1.0.0", "name": "a", "plugins": [{"type": "plugin"}]}')
    pod = alpine.module("cni_pod", name="podnet-test", conf_dir=str(tmp_path), bin_dirs=[str(tmp_path)])
    assert "ip is that of busybox, which cannot do ip netns add podnet-test: install iproute2" in pod["msg"], pod


def test_the_role_node_names_the_programs_before_it_sets_anything(alpine: Alpine, tmp_path: Path) -> None:
    alpine.host.shell("echo 0 > /proc/sys/net/ipv4/ip_forward")
    code, said = alpine.role(
        tmp_path,
        "node",
        "main",
        node_manage_packages=False,
        node_manage_services=False,
        node_kernel_modules=[],
        node_python_modules=[],
        node_cni_plugins=[],
    )
    assert code == 2
    lacking = re.search(r"localhost lacks ([a-z, ]+)\. Install them", said)
    assert lacking and set(lacking[1].split(", ")) == {"ip", "bridge", "nft", "iptables"}, said
    assert alpine.host.shell("cat /proc/sys/net/ipv4/ip_forward") == "0\n"


def test_the_overlay_is_refused_where_nothing_would_bring_it_back(alpine: Alpine, tmp_path: Path) -> None:
    code, said = alpine.role(
        tmp_path,
        "overlay",
        "check",
        overlay_network_config=VXLAN,
        overlay_etcd_endpoints=["http://198.18.0.254:2379"],
        overlay_firewall="none",
    )
    assert code == 2
    assert "localhost is not run by systemd, whose unit brings the overlay back at boot." in said, said
    assert "/etc/podnet-cni/restore.sh at boot by its own means (OpenRC: a script in /etc/local.d)" in said, said


def test_the_boot_itself_says_that_it_is_the_wrong_ip(alpine: Alpine, tmp_path: Path) -> None:
    kept = tmp_path / "restore"
    made = run_module("flannel_dataplane", {**options(1, [2]), "restore_dir": str(kept)}, netns=alpine.host.name)
    assert made["changed"] is True, made
    alpine.host.shell("ip link del flannel.1")
    done = subprocess.run(alpine.enter("sh", str(kept / "restore.sh")), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "podnet-cni-restore: ip is that of busybox: install iproute2\n")
