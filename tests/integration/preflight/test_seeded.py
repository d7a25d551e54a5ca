# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Faults of the kernel and of what is installed, on this machine's own: each is found, and gone after its remedy."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._preflight.host_checks import HOST_CHECKS
from ansible_collections.podnet.cni.tests.integration import _kernel
from ansible_collections.podnet.cni.tests.integration._warm import run_module

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")

GATHER = """
import json, sys
from ansible_collections.podnet.cni.plugins.module_utils._host.command import plain_runner
from ansible_collections.podnet.cni.plugins.module_utils._preflight.host_gather import Question, gather
print(json.dumps(gather(Question(network_config=json.loads(sys.argv[1])), plain_runner(), 0.0)))
"""
VXLAN = {"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}
WIREGUARD = {"Network": "10.244.0.0/16", "Backend": {"Type": "wireguard"}}
# A mount and a network namespace of their own.
APART = ("unshare", "--net", "--mount", "--propagation", "private", "sh", "-ec")


def facts(
    *,
    lines: str = "",
    config: dict[str, Any] | None = None,
    ahead: tuple[str, ...] = (),
    apart: bool = True,
    path: str = "",
) -> dict[str, Any]:
    """What preflight and doctor read of this machine, after shell lines in namespaces of their own."""
    gather = [*ahead, sys.executable, "-c", GATHER, json.dumps(config or VXLAN)]
    command = [*APART, f'{lines}\nexec "$@"', "sh", *gather] if apart else gather
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    environment["PATH"] = f"{path}:{environment['PATH']}" if path else environment["PATH"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def failed(name: str, told: dict[str, Any], **wanted: Any) -> list[Any]:
    """What a check says failed on the machine of these facts."""
    check = next(each for each in HOST_CHECKS if each.id == name)
    found = check({"subject": "host", **told}, {"network_config": VXLAN, **wanted})
    assert found, name
    assert "unknown" not in {one.status for one in found}, found
    return [one for one in found if one.status == "failed"]


@_kernel.differs("wireguard")
def test_a_kernel_that_cannot_make_the_backends_links() -> None:
    """host.kernel_links: the kernel of this machine or that of the guest lacks the module, the other has it."""
    found = failed("host.kernel_links", facts(config=WIREGUARD), network_config=WIREGUARD)
    assert bool(found) is not _kernel.has("wireguard")
    for one in found:
        assert "cannot make links of kind wireguard" in one.seen
        assert "load the kernel module wireguard or choose another backend" in one.remedy
    assert failed("host.kernel_links", facts()) == []


def test_a_kernel_that_takes_no_rules_of_flannels_firewall(tmp_path: Path) -> None:
    """host.firewall: a kernel package without the modules, or a kernel without modules that refuses the rules."""
    folder = Path("/lib/modules") / os.uname().release
    ahead: tuple[str, ...] = ()
    lines = ""
    if (folder / "modules.dep").exists():
        (tmp_path / "modules.dep").write_text("kernel/net/nf_tables.ko.xz:\n")
        lines = f"mount --bind {tmp_path} {folder}; mount -t tmpfs none /sys/module"
        seen, remedy = "the kernel has no nft_compat", "Install the kernel modules"
    else:
        ahead = ("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin")
        seen, remedy = "the kernel takes no such rules", "Use a kernel that has them"
    broken = facts(lines=lines, ahead=ahead)
    kubernetes = {"kubernetes": "1.36.0"}
    [one] = failed("host.firewall", broken, **kubernetes)
    assert seen in one.seen or "xt_" in one.seen, one
    assert remedy in one.remedy
    assert failed("host.firewall", facts(), **kubernetes) == []


def test_cgroups_of_version_1() -> None:
    """host.cgroup: from Kubernetes 1.35 on the kubelet does not start there."""
    away = "while umount -l /sys/fs/cgroup 2> /dev/null; do :; done\n"
    old = facts(lines=away + "mount -t cgroup -o none,name=podnet-test podnet-test /sys/fs/cgroup")
    assert old["cgroup_version"] == 1
    assert failed("host.cgroup", old, kubernetes="1.34.0") == []
    [one] = failed("host.cgroup", old, kubernetes="1.36.0")
    assert one.severity == "error"
    assert "cgroup v2" in one.remedy
    new = facts(lines=away + "mount -t cgroup2 podnet-test /sys/fs/cgroup")
    assert failed("host.cgroup", new, kubernetes="1.36.0") == []


@pytest.mark.skipif(not shutil.which("containerd"), reason="containerd is missing: install it")
def test_an_old_containerd(tmp_path: Path) -> None:
    """host.runtime_version: the containerd of this machine, and what a newer one says of itself."""
    told = facts()["runtime"]["version"]
    found = failed("host.runtime_version", facts(), kubernetes="1.37.0")
    assert bool(found) is told.startswith("1.")
    program = tmp_path / "containerd"
    for version, outcome in (("1.7.29", ["containerd 1.7.29"]), ("2.1.4", [])):
        program.write_text(f"#!/bin/sh\necho containerd github.com/containerd/containerd/v2 v{version} 0000000\n")
        program.chmod(0o755)
        found = failed("host.runtime_version", facts(path=str(tmp_path)), kubernetes="1.37.0")
        assert [one.seen.split(":")[0] for one in found] == outcome
        assert all("Run containerd 2.0 or newer" in one.remedy for one in found)


NETWORKD = Path("/lib/systemd/systemd-networkd")
# A bus of its own; a /sys that cannot be written tells networkd that no udev runs.
STARTED = """
mount -t tmpfs none /run
mount -t tmpfs none /etc/systemd/network
mkdir -p /run/systemd/netif/links /run/systemd/network /run/dbus
chown -R systemd-network:systemd-network /run/systemd/netif
printf '[Match]\\nName=flannel* cni0\\n[Network]\\nLinkLocalAddressing=no\\n' > /etc/systemd/network/50-all.network
ip link set lo up
ip link add flannel.1 type vxlan id 1 local 127.0.0.1 dev lo dstport 8472
ip link set flannel.1 up
dbus-daemon --system --fork --nopidfile
unshare --mount sh -c 'mount -t sysfs -o ro sysfs /sys; exec /lib/systemd/systemd-networkd' &
echo started
wait
"""
LOST = "ip route add 10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink"


@pytest.mark.skipif(not NETWORKD.exists() or not shutil.which("dbus-daemon"), reason="install systemd and dbus")
def test_networkd_that_takes_the_overlays_links() -> None:
    """host.networkd: by the file of an administrator, until the role node's file comes first."""
    # They all end with it, since it is the first process of its own world.
    apart = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
    with subprocess.Popen([*apart, "sh", "-ec", STARTED], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"started\n"
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            enter = ("nsenter", "--target", children[0], "--net", "--mount", "--pid")
            shown = [*enter, "networkctl", "--no-legend"]

            def managed(word: str) -> dict[str, Any]:
                """The facts, once networkd has settled what to do with the link."""
                deadline = time.monotonic() + 60
                while time.monotonic() < deadline:
                    listed = subprocess.run(shown, capture_output=True, text=True, check=False).stdout
                    if any("flannel.1" in line and line.split()[-1] == word for line in listed.splitlines()):
                        return facts(ahead=enter, apart=False)
                    time.sleep(0.2)
                raise AssertionError(listed)

            [one] = failed("host.networkd", managed("configured"))
            assert "it manages cni0, flannel.1 by /etc/systemd/network/50-all.network" in one.seen
            assert "role podnet.cni.node does" in one.remedy
            given = {"unmanaged_links": ["flannel*", "cni0"], "sysctl_file": "", "modules_file": ""}
            repaired = run_module("node_prepare", given, via=enter)
            assert repaired["changed"], repaired
            assert not repaired.get("warnings"), repaired
            assert failed("host.networkd", managed("unmanaged")) == []
            # Its start and its reload leave alone what is there from now on.
            subprocess.run([*enter, "sh", "-ec", f"{LOST}; networkctl reload"], check=True)
            routes = subprocess.run([*enter, "ip", "route"], capture_output=True, text=True, check=True).stdout
            assert "10.244.2.0/24" in routes
        finally:
            process.kill()


@pytest.fixture(name="limit")
def fixture_limit() -> Iterator[Path]:
    """The machine's own limit, which no namespace has. It is only raised, and set back."""
    path = Path("/proc/sys/net/ipv4/neigh/default/gc_thresh3")
    before = path.read_text()
    try:
        yield path
    finally:
        path.write_text(before)


def test_more_peers_than_the_neighbour_table_has_room_for(limit: Path) -> None:
    """host.neighbour_table: a network that has grown past half of the limit."""
    nodes = int(limit.read_text()) // 2 + 1
    [one] = failed("host.neighbour_table", facts(apart=False), nodes=nodes)
    assert f"gc_thresh3 is {limit.read_text().strip()} for {nodes} nodes" in one.seen
    assert "Raise net.ipv4.neigh.default.gc_thresh1, 2 and 3" in one.remedy
    subprocess.run(["sysctl", "-qw", f"net.ipv4.neigh.default.gc_thresh3={4 * nodes}"], check=True)
    assert failed("host.neighbour_table", facts(apart=False), nodes=nodes) == []
