# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A lab with a guest beside a host of namespaces: made, joined by an overlay, rebooted, killed, removed, refused.

The tests of the fixture C(lab) build on one another: one boot serves all, in this order.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._errors import MissingError
from ansible_collections.podnet.cni.plugins.module_utils._lab import guest_kernel
from ansible_collections.podnet.cni.tests.integration import _warm
from ansible_collections.podnet.cni.tests.integration._cluster import Run

NAME = f"test-guest-{os.getpid()}"
FOLDER = Path("/run/podnet-lab") / NAME
NETWORK = {"Network": "10.77.0.0/16", "Backend": {"Type": "vxlan"}}
SECRET = {"Network": "10.78.0.0/16", "Backend": {"Type": "wireguard"}}
RESTORE = "podnet-cni-restore.service"
# Without KVM, on a machine that does other things, a reboot takes minutes.
PATIENCE = 900


class Lab:
    """A lab of two hosts, node1 and node2, and a lease store. Those named are guests, the others have namespaces."""

    def __init__(self, folder: Path, guests: Sequence[str], network: dict[str, Any]) -> None:
        self.inventory = folder / "lab.yml"
        self._guests = guests
        self._network = network

    def make(self, *words: str, path: str = os.environ["PATH"], **more: Any) -> Run:
        """Run the role lab, with other programs where C(path) says so."""
        variables = {
            "ansible_python_interpreter": sys.executable,
            # A guest has nothing of the machine's /tmp.
            "lab_python_interpreter": sys.executable,
            "lab_name": NAME,
            "lab_hosts": 2,
            "lab_guests": self._guests,
            "lab_guest_memory": 1024,
            "lab_inventory_path": str(self.inventory),
            "lab_inventory_vars": {"overlay_network_config": self._network},
            **more,
        }
        return _ansible("playbook", *words, "podnet.cni.lab", "-e", json.dumps(variables), path=path)

    def playbook(self, name: str, **variables: Any) -> Run:
        """Run a playbook of the collection on the hosts."""
        return _ansible("playbook", "-i", str(self.inventory), name, "-e", json.dumps(variables))

    def on(self, host: str, module: str, **arguments: Any) -> Run:
        """Run a module on a host."""
        words = ["-i", str(self.inventory), host, "-m", f"ansible.builtin.{module}", "-a", json.dumps(arguments)]
        return _ansible("adhoc", *words)

    def said(self, host: str, command: str) -> str:
        """What a command says on a host."""
        return self.on(host, "shell", cmd=command).ok().text

    def address(self, host: str, link: str) -> str:
        """The IPv4 address of a host's link."""
        return self.said(host, f"ip -4 -o address show {link} | awk '{{ print $4 }}' | cut -d/ -f1").split()[-1]

    def reboot(self, host: str) -> None:
        """Reboot a guest and wait for it."""
        self.on(host, "reboot", reboot_timeout=PATIENCE, connect_timeout=60).ok()

    @property
    def qemu(self) -> int:
        """The process that is the guest."""
        return int(json.loads((FOLDER / "machines/node2/qemu.json").read_text())["pid"])


def _ansible(command: str, *words: str, path: str = os.environ["PATH"]) -> Run:
    environment = {**os.environ, "PATH": path, "ANSIBLE_NOCOLOR": "true", "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false"}
    return Run(_warm.ansible(command, *words, environment=environment))


def need_guests() -> None:
    """Skip where there can be none."""
    if os.geteuid() != 0:
        pytest.skip("a guest shares this machine's root, which root alone can read")
    try:
        guest_kernel.kernel()
    except MissingError as reason:
        pytest.skip(f"no guest: {reason}")


@pytest.fixture(scope="module", name="lab")
def fixture_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    need_guests()
    lab = Lab(tmp_path_factory.mktemp("guest"), ["node2"], NETWORK)
    yield lab
    lab.make(lab_state="absent").ok()


def test_a_guest_is_a_host_beside_the_others(lab: Lab) -> None:
    lab.make().ok()
    said = {
        host: lab.said(host, "uname -rn; stat -f -c %T /sys/fs/cgroup; cat /proc/1/comm") for host in ("node1", "node2")
    }
    assert guest_kernel.kernel().release in said["node2"]
    assert all(word in said["node2"].split() for word in ("node2", "cgroup2fs", "systemd")), said
    assert os.uname().release in said["node1"]
    assert lab.make().ok().changed == 0


def test_an_overlay_joins_both(lab: Lab) -> None:
    lab.playbook("podnet.cni.overlay").ok()
    for here, there in (("node1", "node2"), ("node2", "node1")):
        assert " 0% packet loss" in lab.said(here, f"ping -c 3 -W 20 {lab.address(there, 'flannel.1')}")


def test_a_reboot_is_a_reboot(lab: Lab) -> None:
    lab.on("node2", "copy", dest="/etc/kept", content="kept", mode="0644").ok()
    before, boot = lab.qemu, lab.said("node2", "cat /proc/sys/kernel/random/boot_id").split()[-1]
    lab.reboot("node2")
    assert boot not in lab.said("node2", "cat /proc/sys/kernel/random/boot_id; cat /etc/kept")
    assert "flannel.1" not in lab.said("node2", "ls /sys/class/net"), "a kernel forgets its links"
    assert lab.qemu == before
    assert lab.said("node2", "cat /etc/kept").split()[-1] == "kept"


def test_a_guest_that_was_killed_is_switched_on_again(lab: Lab) -> None:
    os.kill(lab.qemu, signal.SIGKILL)
    again = lab.make("--diff", "-v").ok()
    assert "switch on node2: it is off" in again.flat
    assert lab.said("node2", "cat /etc/kept").split()[-1] == "kept"


def test_nothing_is_left(lab: Lab) -> None:
    lab.make(lab_state="absent").ok()
    assert not FOLDER.exists()
    assert not list(Path("/var/cache/podnet-lab").glob(f"{NAME}-*"))
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert [line for line in running.splitlines() if str(FOLDER) in line] == []
    assert NAME not in Path("/proc/self/mountinfo").read_text()


def test_wireguard_is_brought_back_at_a_reboot(tmp_path: Path) -> None:
    """By the unit of the role and before any run of it: link, address, route, key and peers."""
    need_guests()
    lab = Lab(tmp_path, ["node1", "node2"], SECRET)
    # Of hosts in namespaces the machine's systemd knows nothing; these have one of their own.
    services = {"overlay_manage_services": True, "node_manage_services": True}
    try:
        lab.make().ok()
        lab.playbook("podnet.cni.overlay", **services).ok()
        # A guest's systemd has a target of its own, and what is enabled is wanted by another.
        lab.said("node2", f"systemctl add-wants podnet-guest.target {RESTORE}")
        lab.reboot("node2")
        # Its sshd answers before that.
        wait = f"for i in $(seq {PATIENCE}); do systemctl is-active {RESTORE} && exit; sleep 1; done; exit 1"
        lab.said("node2", wait)
        # The other side finds out by itself that its session is no more; the one that was away opens one at once.
        for here, there in (("node2", "node1"), ("node1", "node2")):
            target = lab.address(there, "flannel-wg")
            assert " 0% packet loss" in lab.said(here, f"ping -c 3 -W 30 {target}")
        again = lab.playbook("podnet.cni.overlay", **services).ok()
        assert again.changed == 0, again.text
    finally:
        lab.make(lab_state="absent").ok()
    assert not FOLDER.exists()


def test_a_name_that_no_host_has_is_refused(lab: Lab) -> None:
    refused = lab.make(lab_guests=["node2", "store1"])
    assert refused.code != 0
    assert "lab_guests has store1. Only node1, node2 can be guests." in refused.flat
    assert not FOLDER.exists()


def test_a_machine_without_qemu_is_told_before_anything_is_made(lab: Lab, tmp_path: Path) -> None:
    for folder in os.environ["PATH"].split(os.pathsep):
        for program in Path(folder).glob("*"):
            if not program.name.startswith("qemu-system") and not (tmp_path / program.name).exists():
                (tmp_path / program.name).symlink_to(program)
    refused = lab.make("--check", path=str(tmp_path))
    assert refused.code != 0
    assert "A guest needs qemu-system-x86_64" in refused.flat
    assert "apt-get install qemu-system-x86" in refused.flat
    assert not FOLDER.exists()
