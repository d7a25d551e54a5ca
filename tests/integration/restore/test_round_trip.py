# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What flannel_dataplane made, lost in a reboot, and brought back by the script without it."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._dataplane import keys
from ansible_collections.podnet.cni.tests.integration._kernel import FEATURES, needs
from ansible_collections.podnet.cni.tests.integration._netns import Host, Segment

PSK = base64.b64encode(b"a preshared key of 32 octets ...").decode()
BACKENDS: dict[str, dict[str, Any]] = {
    "vxlan": {"Type": "vxlan"},
    "vxlan-directrouting": {"Type": "vxlan", "DirectRouting": True},
    "vxlan-options": {"Type": "vxlan", "Port": 4789, "MTU": 1400, "Learning": True, "GBP": True},
    "host-gw": {"Type": "host-gw"},
    "ipip": {"Type": "ipip"},
    "ipip-directrouting": {"Type": "ipip", "DirectRouting": True},
    "wireguard": {"Type": "wireguard"},
    "wireguard-psk": {"Type": "wireguard", "PSK": PSK, "PersistentKeepaliveInterval": 25},
    "wireguard-auto": {"Type": "wireguard", "PSK": PSK, "Mode": "auto", "ListenPortV6": 51820},
}
FORGET = (
    "for link in $(ip -o link show type vxlan | cut -d: -f2) flannel.ipip flannel-wg flannel-wg-v6; do"
    " [ ! -e /sys/class/net/$link ] || ip link del $link; done",
    "ip route flush root 10.0.0.0/8 table main",
    "ip -6 route flush root fd00:10::/32 table main",
    "nft flush ruleset",
)


@pytest.fixture
def host() -> Iterator[Host]:
    if os.geteuid() != 0 or not all(shutil.which(program) for program in ("ip", "bridge", "nft")):
        pytest.skip("needs root, iproute2 and nftables to build network namespaces")
    with Segment(1) as segment:
        yield segment.hosts[0]


def lease(number: int, backend: str) -> dict[str, Any]:
    made: dict[str, Any] = {
        "name": f"node-{number}",
        "subnet": f"10.5.{number}.0/24",
        "public_ip": f"198.18.0.{number}",
        "backend_type": backend,
    }
    if backend != "ipip":
        made.update(ipv6_subnet=f"fd00:10:5:{number}::/64", public_ipv6=f"fd00:18::{number}")
    if backend == "vxlan":
        made["backend_data"] = {"VNI": 1, "VtepMAC": f"02:00:00:04:00:0{number}"}
        made["backend_v6_data"] = {"VNI": 1, "VtepMAC": f"02:00:00:06:00:0{number}"}
    if backend == "wireguard":
        key = keys.public_text(keys.generate())
        made["backend_data"] = {"PublicKey": key, "Port": 51820}
        made["backend_v6_data"] = {"PublicKey": key, "Port": 51821}
    return made


@pytest.fixture
def lasting() -> Iterator[Path]:
    """A directory that outlives a reboot, as a wireguard key file must."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
        yield Path(directory)


@pytest.mark.parametrize(
    "backend",
    [
        pytest.param(backend, id=name, marks=needs(backend["Type"]) if backend["Type"] in FEATURES else ())
        for name, backend in BACKENDS.items()
    ],
)
def test_everything_is_back_as_it_was(host: Host, tmp_path: Path, lasting: Path, backend: dict[str, Any]) -> None:
    name = str(backend["Type"])
    if name == "wireguard" and shutil.which("wg") is None:
        pytest.skip("wg is not installed")
    config: dict[str, Any] = {"Network": "10.5.0.0/16", "Backend": backend}
    if name != "ipip":
        config.update(EnableIPv6=True, IPv6Network="fd00:10:5::/48")
    subnet_file = tmp_path / "run" / "subnet.env"
    options = {
        "network_config": config,
        "lease": lease(1, name),
        "peers": [lease(number, name) for number in (2, 3, 4)],
        "subnet_file": str(subnet_file),
        "restore_dir": str(tmp_path / "restore"),
        "wireguard_key_file": str(lasting / "wireguard.key"),
    }
    if name == "wireguard":
        key_file = options["wireguard_key_file"]
        prepared = host.module(module="flannel_dataplane_prepare", network_config=config, wireguard_key_file=key_file)
        for member in ("backend_data", "backend_v6_data"):
            options["lease"][member]["PublicKey"] = prepared["public_key"]
    result = host.module(**options)
    assert result.get("changed"), result
    held, text = host.state(), subnet_file.read_text()
    devices = "for link in $(wg show interfaces); do wg showconf $link | sort; done" if name == "wireguard" else "true"
    tunnels = host.shell(devices)
    rules = host.shell("nft -s list ruleset")
    assert held["routes"]
    assert "masquerade" in rules

    host.shell(*FORGET)
    subnet_file.unlink()
    assert not host.state()["routes"]

    command = host.enter("sh", str(tmp_path / "restore" / "restore.sh"))
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={})
    assert (done.returncode, done.stderr) == (0, "")
    assert host.state() == held
    assert host.shell(devices) == tunnels
    assert host.shell("nft -s list ruleset") == rules
    assert subnet_file.read_text() == text
    again = host.module(**options)
    assert (again["changed"], again["actions"]) == (False, [])


def test_leaving_the_network_leaves_nothing_to_restore(host: Host, tmp_path: Path) -> None:
    restore_dir = tmp_path / "restore"
    options = {
        "network_config": {"Network": "10.5.0.0/16", "Backend": {"Type": "host-gw"}},
        "subnet_file": str(tmp_path / "subnet.env"),
        "restore_dir": str(restore_dir),
    }
    own = {"name": "n", "subnet": "10.5.1.0/24", "public_ip": "198.18.0.1", "backend_type": "host-gw"}
    host.module(**options, lease=own, peers=[])
    assert (restore_dir / "restore.conf").exists()
    host.module(**options, state="absent")
    assert not restore_dir.exists()
