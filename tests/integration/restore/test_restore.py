# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The script that runs at boot, on a kernel that has forgotten everything."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._dataplane.firewall import table as firewall
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.model import (
    Address,
    DataPlane,
    FdbEntry,
    Link,
    Neighbour,
    Prefix,
    Route,
    WireguardPeer,
)
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.restore import files as restore
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.restore import script as restore_script


def ip(text: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


MAC = bytes.fromhex("020000000001")
PEER_MAC = bytes.fromhex("020000000002")
DUAL = DataPlane(
    backend="vxlan",
    mtu=1450,
    networks=(Prefix(ip("10.5.0.0"), 16), Prefix(ip("fd00:10:5::"), 48)),
    links=(
        Link("flannel.1", "vxlan", 1450, MAC, "eth0", ip("198.18.0.1"), vni=1),
        Link("flannel-v6.1", "vxlan", 1430, MAC, "eth0", ip("fd00:18::1"), vni=1),
    ),
    addresses=(Address("flannel.1", ip("10.5.57.0"), 32), Address("flannel-v6.1", ip("fd00:10:5:57::"), 128)),
    routes=[
        Route(ip("10.5.66.0"), 24, ip("10.5.66.0"), "flannel.1", onlink=True),
        Route(ip("fd00:10:5:66::"), 64, ip("fd00:10:5:66::"), "flannel-v6.1", onlink=True, metric=1024),
        Route(ip("10.5.67.0"), 24, ip("198.18.0.7"), "eth0"),
    ],
    neighbours=[
        Neighbour("flannel.1", ip("10.5.66.0"), PEER_MAC),
        Neighbour("flannel-v6.1", ip("fd00:10:5:66::"), PEER_MAC),
    ],
    fdb=[
        FdbEntry("flannel.1", PEER_MAC, ip("198.18.0.2")),
        FdbEntry("flannel-v6.1", PEER_MAC, ip("fd00:18::2")),
    ],
)
HOST_GW = DataPlane(
    backend="host-gw",
    mtu=1500,
    networks=(Prefix(ip("10.5.0.0"), 16),),
    routes=[Route(ip("10.5.66.0"), 24, ip("198.18.0.2"), "eth0")],
)
FIREWALL = firewall.replacement(
    [firewall.Table("ip", (firewall.Chain("forward", "filter", "forward", 0, "accept", ("counter accept",)),))]
)
SUBNET_ENV = "FLANNEL_NETWORK=10.5.0.0/16\nFLANNEL_SUBNET=10.5.57.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n"


class Node:
    """A network namespace in the state after boot: no link but lo."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self.directory = directory
        self.subnet_file = directory / "run" / "flannel" / "subnet.env"

    def add_underlay(self) -> None:
        for command in (
            "ip link add eth0 type veth peer name peer0",
            "ip addr add 198.18.0.1/24 dev eth0",
            "ip addr add fd00:18::1/64 dev eth0 nodad",
            "ip link set peer0 up",
            "ip link set eth0 up",
        ):
            subprocess.run(["ip", "netns", "exec", self.name, *command.split()], check=True)

    def leave(self, plane: DataPlane, **options: Any) -> None:
        """Write the restore files as flannel_dataplane does."""
        if options.get("subnet_env"):
            options["subnet_file"] = str(self.subnet_file)
        want = restore.desired(plane, **options)
        directory = str(self.directory / "restore")
        restore.apply(want, restore.plan(want, restore.observe(directory), directory), directory)

    def boot_command(self, wait: int = 0) -> list[str]:
        return [
            *("ip", "netns", "exec", self.name),
            *("sh", str(self.directory / "restore" / "restore.sh"), "--wait", str(wait)),
        ]

    def boot(self, wait: int = 0) -> subprocess.CompletedProcess[str]:
        # Without Python on PATH, and with as little environment as systemd gives.
        return subprocess.run(self.boot_command(wait), capture_output=True, text=True, check=False, env={})

    def show(self, *command: str) -> Any:
        done = subprocess.run(["ip", "netns", "exec", self.name, *command], capture_output=True, text=True, check=True)
        return json.loads(done.stdout) if done.stdout.strip() else []

    def state(self) -> Any:
        routes = [*self.show("ip", "-j", "route"), *self.show("ip", "-j", "-6", "route")]
        return {
            "links": {
                link["ifname"]: (link["address"], link["mtu"], link["linkinfo"]["info_data"]["id"])
                for link in self.show("ip", "-j", "-d", "link", "show", "type", "vxlan")
            },
            "addresses": sorted(
                f"{address['local']}/{address['prefixlen']}"
                for link in self.show("ip", "-j", "addr")
                if link.get("ifname", "").startswith("flannel")
                for address in link["addr_info"]
                if address["scope"] == "global"
            ),
            "routes": sorted(
                (route["dst"], route["gateway"], route["dev"], "onlink" in route["flags"])
                for route in routes
                if "gateway" in route
            ),
            "neighbours": sorted(
                (entry["dst"], entry["lladdr"], entry["dev"])
                for entry in self.show("ip", "-j", "neigh")
                if "PERMANENT" in entry["state"]
            ),
            "fdb": sorted(
                (entry["mac"], entry["dst"], entry["ifname"])
                for entry in self.show("bridge", "-j", "fdb")
                if "dst" in entry and entry["state"] == "permanent"
            ),
        }


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    if os.geteuid() != 0 or not all(shutil.which(program) for program in ("ip", "bridge", "nft")):
        pytest.skip("needs root, iproute2 and nftables to build network namespaces")
    name = f"rs{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        yield Node(name, tmp_path)
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


DUAL_STATE = {
    "links": {"flannel.1": ("02:00:00:00:00:01", 1450, 1), "flannel-v6.1": ("02:00:00:00:00:01", 1430, 1)},
    "addresses": ["10.5.57.0/32", "fd00:10:5:57::/128"],
    "routes": [
        ("10.5.66.0/24", "10.5.66.0", "flannel.1", True),
        ("10.5.67.0/24", "198.18.0.7", "eth0", False),
        ("fd00:10:5:66::/64", "fd00:10:5:66::", "flannel-v6.1", True),
    ],
    "neighbours": [
        ("10.5.66.0", "02:00:00:00:00:02", "flannel.1"),
        ("fd00:10:5:66::", "02:00:00:00:00:02", "flannel-v6.1"),
    ],
    "fdb": [
        ("02:00:00:00:00:02", "198.18.0.2", "flannel.1"),
        ("02:00:00:00:00:02", "fd00:18::2", "flannel-v6.1"),
    ],
}


def test_vxlan_in_both_families_comes_back(node: Node) -> None:
    node.leave(DUAL, firewall=FIREWALL, subnet_env=SUBNET_ENV)
    node.add_underlay()
    done = node.boot()
    assert (done.returncode, done.stderr) == (0, "")
    assert node.state() == DUAL_STATE
    assert node.subnet_file.read_text() == SUBNET_ENV
    assert os.listdir(node.subnet_file.parent) == ["subnet.env"]
    tables = [entry for entry in node.show("nft", "-j", "list", "tables")["nftables"] if "table" in entry]
    assert [entry["table"]["name"] for entry in tables] == ["podnet_cni"]
    for link in DUAL.links:
        accept = ["ip", "netns", "exec", node.name, "cat", f"/proc/sys/net/ipv6/conf/{link.name}/accept_ra"]
        assert subprocess.run(accept, capture_output=True, text=True, check=True).stdout == "0\n"


def test_a_second_run_changes_nothing(node: Node) -> None:
    node.leave(DUAL, firewall=FIREWALL, subnet_env=SUBNET_ENV)
    node.add_underlay()
    assert node.boot().returncode == 0
    links = node.show("ip", "-j", "link")
    done = node.boot()
    assert (done.returncode, done.stderr) == (0, "")
    assert node.show("ip", "-j", "link") == links
    assert node.state() == DUAL_STATE


def test_a_run_after_a_broken_one_completes_it(node: Node) -> None:
    node.leave(DUAL)
    node.add_underlay()
    assert node.boot().returncode == 0
    for command in ("route flush dev flannel.1", "link del flannel-v6.1", "neigh del 10.5.66.0 dev flannel.1"):
        subprocess.run(["ip", "-n", node.name, *command.split()], check=True)
    assert node.boot().returncode == 0
    assert node.state() == DUAL_STATE


def test_a_link_that_is_another_one_is_corrected_or_made_anew(node: Node) -> None:
    """An address or an MTU is corrected in place; what a link cannot change is a reason to make it anew."""
    node.leave(DUAL)
    node.add_underlay()
    assert node.boot().returncode == 0
    index = node.show("ip", "-j", "link", "show", "flannel.1")[0]["ifindex"]
    for command in ("address 02:00:00:00:00:99", "mtu 1300"):
        subprocess.run(["ip", "-n", node.name, "link", "set", "flannel.1", *command.split()], check=True)
    done = node.boot()
    assert (done.returncode, done.stderr) == (0, "")
    assert node.state() == DUAL_STATE
    assert node.show("ip", "-j", "link", "show", "flannel.1")[0]["ifindex"] == index
    subprocess.run(["ip", "-n", node.name, "link", "delete", "flannel.1"], check=True)
    other = "add flannel.1 type vxlan id 7 dev eth0 local 198.18.0.1 dstport 4789 nolearning"
    subprocess.run(["ip", "-n", node.name, "link", *other.split()], check=True)
    done = node.boot()
    assert done.returncode == 0
    assert "the link flannel.1 is another one (id dstport): it is made anew" in done.stderr
    assert node.state() == DUAL_STATE


def test_host_gw_comes_back(node: Node) -> None:
    node.leave(HOST_GW, subnet_env=SUBNET_ENV)
    node.add_underlay()
    done = node.boot()
    assert (done.returncode, done.stderr) == (0, "")
    assert node.state()["routes"] == [("10.5.66.0/24", "198.18.0.2", "eth0", False)]


def test_a_missing_underlay_is_told_and_nothing_is_made(node: Node) -> None:
    node.leave(DUAL, subnet_env=SUBNET_ENV)
    done = node.boot()
    assert done.returncode == 1
    assert done.stderr == "podnet-cni-restore: the underlay link eth0 is missing\n"
    assert node.state()["links"] == {}
    assert not node.subnet_file.exists()


def test_a_late_underlay_is_waited_for(node: Node) -> None:
    node.leave(DUAL)
    with subprocess.Popen(node.boot_command(wait=20), env={}) as booting:
        time.sleep(1)
        assert booting.poll() is None
        node.add_underlay()
        assert booting.wait(timeout=30) == 0
    assert node.state() == DUAL_STATE


def test_one_unreachable_peer_does_not_keep_the_others_away(node: Node) -> None:
    far = Route(ip("10.5.65.0"), 24, ip("198.18.99.1"), "eth0")
    node.leave(replace(HOST_GW, routes=[far, *HOST_GW.routes]))
    node.add_underlay()
    done = node.boot()
    assert done.returncode == 1
    assert "something could not be restored" in done.stderr
    assert [route[0] for route in node.state()["routes"]] == ["10.5.66.0/24"]


def test_a_link_that_wg_cannot_configure_keeps_nothing_else_away(node: Node, tmp_path: Path) -> None:
    """The package of wg may be gone since: the rest is put back all the same. wg refuses this link anyway."""
    node.leave(DUAL, firewall=FIREWALL, subnet_env=SUBNET_ENV)
    node.add_underlay()
    (tmp_path / "key").write_text("PRIVATE=")
    (node.directory / "restore" / "peers.flannel.1").write_text("[Interface]\nListenPort = 51820\n")
    with (node.directory / "restore" / "restore.conf").open("a") as settings:
        settings.write(f"wireguard_key_file={tmp_path}/key\n")
    done = node.boot()
    assert done.returncode == 1
    assert "cannot configure the link flannel.1: is wg (package wireguard-tools) installed?" in done.stderr
    assert "something could not be restored" in done.stderr
    assert node.state() == DUAL_STATE
    assert "podnet_cni" in str(node.show("nft", "-j", "list", "tables"))
    assert node.subnet_file.exists()


def test_a_lost_settings_file_is_told(node: Node) -> None:
    node.leave(DUAL)
    (node.directory / "restore" / "restore.conf").unlink()
    done = node.boot()
    assert done.returncode == 1
    assert "restore.conf is missing" in done.stderr


def test_wireguard_gets_its_keys_on_standard_input_only(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kernels without wireguard cannot run it, so ip and wg are stand-ins that record what they are given."""
    monkeypatch.setattr(restore, "_check_durable", lambda _path: None)
    key_file = tmp_path / "wireguard.key"
    key_file.write_text("PRIVATE=")
    public, preshared = bytes(32), b"\1" * 32
    node.leave(
        DataPlane(
            backend="wireguard",
            mtu=1420,
            networks=(),
            links=(Link("flannel-wg", "wireguard", 1420, port=51820),),
            wireguard_peers=[
                WireguardPeer("flannel-wg", public, ip("198.18.0.2"), 51820, (Prefix(ip("10.5.66.0"), 24),))
            ],
            preshared_key=preshared,
        ),
        wireguard_key_file=str(key_file),
    )
    stubs = tmp_path / "bin"
    stubs.mkdir()
    for name, body in (
        ("ip", 'case "$1 $2" in "link show") exit 1;; esac'),
        ("wg", f'cat "$3" >{tmp_path}/stdin'),
    ):
        (stubs / name).write_text(f'#!/bin/sh\necho "{name} $*" >>{tmp_path}/log\n{body}\n')
        (stubs / name).chmod(0o755)
    text = restore_script.SCRIPT.replace("PATH=/usr/local/sbin:", f"PATH={stubs}:/usr/local/sbin:")
    script = tmp_path / "script.sh"
    script.write_text(text)
    command = ["sh", str(script), str(tmp_path / "restore")]
    key_file.rename(tmp_path / "aside")
    done = subprocess.run(command, check=False, env={}, capture_output=True, text=True)
    assert done.returncode == 1
    assert f"the key file {key_file} is missing" in done.stderr
    assert not (tmp_path / "log").exists()
    (tmp_path / "aside").rename(key_file)
    subprocess.run(command, check=True, env={})
    assert (tmp_path / "log").read_text().splitlines() == [
        "ip -V",
        "ip link show dev flannel-wg",
        "ip link add flannel-wg mtu 1420 txqueuelen 0 type wireguard",
        "wg setconf flannel-wg /dev/stdin",
        "ip -force -batch ip.batch",
    ]
    assert (tmp_path / "stdin").read_text().splitlines() == [
        "[Interface]",
        "PrivateKey = PRIVATE=",
        "ListenPort = 51820",
        "[Peer]",
        f"PublicKey = {base64.b64encode(public).decode()}",
        f"PresharedKey = {base64.b64encode(preshared).decode()}",
        "Endpoint = 198.18.0.2:51820",
        "AllowedIPs = 10.5.66.0/24",
        "PersistentKeepalive = off",
    ]
