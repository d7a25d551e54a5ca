# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role node through ansible-playbook, in a network and a mount namespace whose /etc directories are its own."""

from __future__ import annotations

import hashlib
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
from ansible_collections.podnet.cni.tests.integration._as_typed import as_typed

PRIVATE = ("/etc/sysctl.d", "/etc/modules-load.d", "/etc/systemd/network", "/var/cache")
# The directory above ansible_collections from which this test runs.
COLLECTIONS = next(path for path in sys.path if os.path.isdir(f"{path}/ansible_collections/podnet/cni"))
PLAY = """
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - ansible.builtin.include_role:
        name: podnet.cni.node
        tasks_from: "{{ entry | default('main') }}"
      tags: [always]
"""


class Host:
    """A host that shares its programs with this machine, and nothing else that the role changes."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.play = directory / "play.yml"
        self.play.write_text(PLAY)
        mounts = "".join(f"mount -t tmpfs none {path}\n" for path in PRIVATE if os.path.isdir(path))
        self.holder = subprocess.Popen(
            ["unshare", "--net", "--mount", "sh", "-ec", f"{mounts}echo ready\nexec sleep 600"], stdout=subprocess.PIPE
        )
        if self.holder.stdout is None or self.holder.stdout.readline() != b"ready\n":
            raise RuntimeError("cannot make the namespaces")

    def command(self, *command: str) -> list[str]:
        return ["nsenter", "--target", str(self.holder.pid), "--net", "--mount", *command]

    def read(self, path: str) -> str:
        return subprocess.run(self.command("cat", path), capture_output=True, text=True, check=False).stdout

    def run(self, *options: str, **variables: Any) -> dict[str, Any]:
        """Run the role and return the host's results by task name, and the summary as ``stats``."""
        settings = {
            "ansible_python_interpreter": _warm.interpreter(),
            "node_manage_packages": False,
            "node_python_modules": [],
            "node_kernel_modules": [],
            "node_programs": ["ip", "nft"],
            "node_cni_plugins": [],
            **variables,
        }
        done = _warm.ansible(
            "playbook",
            *("-i", "localhost,", "-e", json.dumps(as_typed("node", settings)), *options, str(self.play)),
            like=self.holder.pid,
            environment={
                **os.environ,
                "ANSIBLE_COLLECTIONS_PATH": COLLECTIONS,
                "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
                "ANSIBLE_NOCOLOR": "1",
                "ANSIBLE_HOME": str(self.directory.parent / "ansible"),
                "ANSIBLE_LOCALHOST_WARNING": "false",
            },
        )
        recap = done.stdout.split("PLAY RECAP")[-1]
        stats = dict(part.split("=") for part in recap.split() if "=" in part)
        return {"output": done.stdout + done.stderr, "stats": {name: int(value) for name, value in stats.items()}}


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    if os.geteuid() != 0 or shutil.which("unshare") is None or shutil.which("nft") is None:
        pytest.skip("needs root, unshare, iproute2 and nftables to make a host of its own")
    made = Host(tmp_path)
    try:
        yield made
    finally:
        made.holder.terminate()
        made.holder.wait()


def test_check_converge_again_uninstall_again(host: Host) -> None:
    foreseen = host.run("--check", node_ipv6=True)
    assert foreseen["stats"]["failed"] == 0, foreseen["output"]
    assert foreseen["stats"]["changed"] == 1
    assert host.read("/proc/sys/net/ipv4/ip_forward") == "0\n"

    first = host.run(node_ipv6=True)
    assert first["stats"]["failed"] == 0, first["output"]
    assert first["stats"]["changed"] == 1
    assert host.read("/proc/sys/net/ipv4/ip_forward") == "1\n"
    assert host.read("/proc/sys/net/ipv6/conf/all/forwarding") == "1\n"
    assert host.read("/etc/sysctl.d/90-podnet-cni.conf").splitlines()[1:] == [
        "net.ipv4.ip_forward = 1",
        "net.ipv6.conf.all.forwarding = 1",
    ]

    again = host.run("--diff", node_ipv6=True)
    assert again["stats"]["changed"] == 0, again["output"]
    assert again["output"].count("TASK [podnet.cni.node : Prepare the node]") == 1
    assert again["stats"]["skipped"] == 1, "nothing is installed where nothing is missing"

    removed = host.run(entry="uninstall")
    assert removed["stats"]["changed"] == 1, removed["output"]
    assert host.read("/etc/sysctl.d/90-podnet-cni.conf") == ""
    assert host.read("/proc/sys/net/ipv4/ip_forward") == "1\n"
    assert host.run(entry="uninstall")["stats"]["changed"] == 0


def test_a_host_that_shares_its_system_gets_no_files(host: Host) -> None:
    result = host.run(node_manage_services=False)
    assert result["stats"]["changed"] == 1, result["output"]
    assert host.read("/proc/sys/net/ipv4/ip_forward") == "1\n"
    for path in PRIVATE[:3]:
        assert subprocess.run(host.command("ls", path), capture_output=True, text=True, check=False).stdout == ""


def test_a_missing_program_is_named_with_the_remedy(host: Host) -> None:
    lacking = {"node_programs": ["nft", "no-such-program"], "node_cni_plugins": ["no-such-plugin"]}
    configured = host.run("--tags", "config", **lacking)
    assert configured["stats"]["failed"] == 0, "with this tag nobody asks for packages"
    assert host.read("/proc/sys/net/ipv4/ip_forward") == "1\n"
    result = host.run("--tags", "install", **lacking)
    assert result["stats"]["failed"] == 1
    assert "localhost lacks no-such-program, cni. Install them" in result["output"]


@pytest.mark.parametrize(("backend", "lacks"), [("WireGuard", "wg"), ("vxlan", "")])
def test_wireguard_adds_the_program_that_its_boot_needs(host: Host, backend: str, lacks: str) -> None:
    here = shutil.which("wg")
    if here:
        # What cannot be executed is no program.
        subprocess.run(host.command("mount", "--bind", "/dev/null", here), check=True)
    result = host.run(overlay_network_config={"Network": "10.5.0.0/16", "Backend": {"Type": backend}})
    assert result["stats"]["failed"] == (1 if lacks else 0), result["output"]
    assert (f"localhost lacks {lacks}. Install" in result["output"]) == bool(lacks)


def test_a_program_without_a_known_package_is_named(host: Host) -> None:
    result = host.run(node_manage_packages=True, node_programs=["no-such-program"])
    assert result["stats"]["failed"] == 1
    assert "localhost lacks no-such-program, and this role knows no" in result["output"]


def test_missing_plugins_come_from_a_package(host: Host) -> None:
    """In check mode, so that nothing is installed on the machine that runs the tests."""
    if shutil.which("apt-get") is None:
        pytest.skip("needs a Debian machine")
    result = host.run("--check", node_manage_packages=True, node_cni_plugins=["no-such-plugin"])
    assert result["stats"]["failed"] == 0, result["output"]
    assert "TASK [podnet.cni.node : Install packages]" in result["output"]


def test_an_archive_needs_its_checksum(host: Host) -> None:
    result = host.run(node_cni_url="file:///nowhere")
    assert result["stats"]["failed"] == 1
    assert "node_cni_url and node_cni_checksum belong together" in result["output"]


def test_plugins_come_from_an_archive_with_the_right_checksum(host: Host, tmp_path: Path) -> None:
    plugin = tmp_path / "bridge"
    plugin.write_text("#!/bin/sh\n")
    plugin.chmod(0o755)
    archive = tmp_path / "plugins.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(plugin, "./bridge")
    plugin.unlink()
    options = {
        "node_cni_url": f"file://{archive}",
        "node_cni_checksum": f"sha256:{hashlib.sha256(archive.read_bytes()).hexdigest()}",
        "node_cni_bin_dir": str(tmp_path / "bin"),
        "node_cni_plugin_dirs": [str(tmp_path / "bin")],
        "node_cni_plugins": ["bridge"],
    }
    wrong = host.run(**{**options, "node_cni_checksum": f"sha256:{'0' * 64}"})
    assert wrong["stats"]["failed"] == 1
    assert not (tmp_path / "bin").exists()
    foreseen = host.run("--check", **options)
    assert foreseen["stats"]["failed"] == 0, foreseen["output"]
    installed = host.run(**options)
    assert installed["stats"]["failed"] == 0, installed["output"]
    assert (tmp_path / "bin" / "bridge").exists()
    assert host.run(**options)["stats"]["changed"] == 0
    lacking = host.run(**{**options, "node_cni_plugins": ["bridge", "portmap"]})
    assert "lacks the CNI plugins portmap after" in lacking["output"]
