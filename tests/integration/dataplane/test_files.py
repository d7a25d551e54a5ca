# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Beside the kernel's data plane: leases read from etcd on the node, firewall, subnet file, boot files, info."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.tests.integration._netns import Host
from ansible_collections.podnet.cni.tests.integration.dataplane._leases import VXLAN, config, lease, options

INFO = "flannel_dataplane_info"
PREFIX = "/coreos.com/network"
URL = "http://127.0.0.1:2379"


@pytest.fixture
def etcd(host: Host, tmp_path: Path) -> Iterator[Host]:
    """A host with an etcd of its own, which holds the network config and the leases of nodes 1 to 3."""
    if shutil.which("etcd") is None:
        pytest.skip("etcd is not installed")
    server = subprocess.Popen(
        host.enter("etcd", "--data-dir", str(tmp_path / "etcd"), "--log-level", "error"), stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 30
        while True:
            ready = subprocess.run(
                host.enter("env", "ETCDCTL_API=3", "etcdctl", "endpoint", "health"), capture_output=True, check=False
            )
            if ready.returncode == 0:
                break
            assert time.monotonic() < deadline, ready.stderr
            time.sleep(0.2)
        put(host, "config", VXLAN)
        for number in (1, 2, 3):
            found = lease(number)
            value = {
                "PublicIP": found["public_ip"],
                "PublicIPv6": None,
                "BackendType": "vxlan",
                "BackendData": found["backend_data"],
            }
            put(host, f"subnets/10.5.{number}.0-24", value)
        yield host
    finally:
        server.kill()
        server.wait()


def put(host: Host, key: str, value: Any) -> None:
    """Write a key below the prefix."""
    subprocess.run(
        host.enter("env", "ETCDCTL_API=3", "etcdctl", "put", f"{PREFIX}/{key}"),
        input=value if isinstance(value, str) else json.dumps(value, separators=(",", ":")),
        text=True,
        check=True,
        capture_output=True,
    )


STORE = {"store": "etcd", "etcd_endpoints": [URL], "firewall": "none", "subnet_file": ""}


def test_peers_from_the_store(etcd: Host) -> None:
    """What the node reads itself leads to what inline leases lead to."""
    result = etcd.module(**STORE)
    assert (result["mac"], result["peers"]) == (lease(1)["backend_data"]["VtepMAC"], 2)
    read = etcd.state()
    assert etcd.module(**options(1, [2, 3]))["actions"] == []
    assert etcd.state() == read
    put(etcd, "subnets/10.5.9.0-24", "this is no lease")
    again = etcd.module(**STORE)
    assert not again["changed"]
    (warning,) = etcd.warnings(again)
    assert f"{PREFIX}/subnets/10.5.9.0-24" in warning
    named = etcd.module(**STORE, lease={"subnet": "10.5.1.0/24"})
    assert named["actions"] == []


def test_no_lease_in_the_store(etcd: Host) -> None:
    missing = etcd.module(**STORE, lease={"subnet": "10.5.77.0/24"})
    assert "no lease has the subnet 10.5.77.0/24; allocate one with flannel_lease" in missing["msg"]
    etcd.shell("ip address del 198.18.0.1/24 dev eth0")
    assert f"leases of {PREFIX}: no lease has a public IP of this host" in etcd.module(**STORE)["msg"]
    assert etcd.state()["links"] == []


def test_store_that_cannot_be_reached(host: Host) -> None:
    result = host.module(**{**STORE, "etcd_endpoints": ["http://127.0.0.1:1"], "etcd_timeout": 2})
    assert result["failed"]
    assert "127.0.0.1:1" in result["msg"]


def with_files(tmp_path: Path) -> dict[str, Any]:
    return {
        **options(1, [2, 3]),
        "firewall": "nftables",
        "subnet_file": str(tmp_path / "run" / "subnet.env"),
        "restore_dir": str(tmp_path / "restore"),
    }


def test_everything_at_once(host: Host, tmp_path: Path) -> None:
    if shutil.which("nft") is None:
        pytest.skip("nft is not installed")
    arguments = with_files(tmp_path)
    predicted = host.module(check=True, **arguments)
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "restore").exists()
    result = host.module(**arguments)
    assert result["actions"] == predicted["actions"]
    assert (tmp_path / "run" / "subnet.env").read_text() == (
        "FLANNEL_NETWORK=10.5.0.0/16\nFLANNEL_SUBNET=10.5.1.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n"
    )
    assert "masquerade" in host.shell("nft list table ip podnet_cni")
    assert sorted(path.name for path in (tmp_path / "restore").iterdir()) == [
        "bridge.batch",
        "firewall.nft",
        "ip.batch",
        "links",
        "restore.conf",
        "restore.sh",
        "subnet.env",
    ]
    assert host.module(**arguments)["actions"] == []

    host.shell("nft flush ruleset")
    (tmp_path / "run" / "subnet.env").write_text("FLANNEL_MTU=9000\n")
    (tmp_path / "restore" / "ip.batch").unlink()
    repaired = host.module(**arguments)
    assert repaired["actions"] == [
        "add nftables table ip podnet_cni",
        f"write {tmp_path}/restore/ip.batch",
        f"write {tmp_path}/run/subnet.env",
    ]
    assert "FLANNEL_MTU=9000" in repaired["diff"]["before"]
    assert f"file {tmp_path}/restore/ip.batch: absent\n" in repaired["diff"]["before"]
    assert f"file {tmp_path}/restore/ip.batch: present\n" in repaired["diff"]["after"]

    gone = host.module(state="absent", **{key: arguments[key] for key in arguments if key not in ("lease", "peers")})
    assert gone["changed"]
    assert f"file {tmp_path}/restore/restore.sh: present\n" in gone["diff"]["before"]
    assert f"file {tmp_path}/restore/restore.sh: absent\n" in gone["diff"]["after"]
    assert not (tmp_path / "run" / "subnet.env").exists()
    assert not (tmp_path / "restore").exists()
    assert "podnet_cni" not in host.shell("nft list ruleset")
    again = host.module(state="absent", **{key: arguments[key] for key in arguments if key not in ("lease", "peers")})
    assert again["actions"] == []


LEFTOVERS = """
table ip nat {
    chain FLANNEL-POSTRTG { }
    chain POSTROUTING { type nat hook postrouting priority 100; jump FLANNEL-POSTRTG; }
}
table ip filter {
    chain FLANNEL-FWD { accept; }
    chain FORWARD { type filter hook forward priority 0; jump FLANNEL-FWD; }
}
"""


def test_what_flanneld_left_in_the_firewall_is_shown_until_it_may_go(host: Host, tmp_path: Path) -> None:
    """A flanneld that changed from iptables to nftables mode leaves both jumps."""
    if shutil.which("nft") is None:
        pytest.skip("nft is not installed")
    arguments = with_files(tmp_path)
    host.module(**arguments)
    (tmp_path / "left.nft").write_text(LEFTOVERS)
    host.shell(f"nft -f {tmp_path}/left.nft")
    shown = host.module(**arguments)
    assert not shown["changed"]
    for place in ("FLANNEL-FWD in table filter", "FLANNEL-POSTRTG in table nat"):
        name = f"iptables-nft chain {place}, jumps to it: 1"
        assert f"# left behind by flanneld: {name}\n" in shown["diff"]["before"]
        assert f"# stays until remove_firewall_leftovers is set: {name}\n" in shown["diff"]["after"]
        assert any(name in warning for warning in host.warnings(shown))
    removed = host.module(**arguments, remove_firewall_leftovers=True)
    assert len(removed["actions"]) == 2
    assert "stays" not in removed["diff"]["after"]
    assert "FLANNEL" not in host.shell("nft list ruleset")
    assert host.module(**arguments)["diff"]["before"] == ""


def test_the_boot_files_bring_back_the_same(host: Host, tmp_path: Path) -> None:
    """What iproute2 makes of the files is what the module made: after a replay there is nothing left to do."""
    arguments = {**options(1, [2, 3], ipv6=True), "restore_dir": str(tmp_path)}
    host.module(**arguments)
    assert "tentative" not in host.shell("ip -6 address show dev flannel-v6.1 scope global"), "it answers at once"
    made = host.state()
    host.shell("ip link del flannel.1", "ip link del flannel-v6.1")
    host.shell(f"sh {tmp_path}/restore.sh")
    assert host.module(**arguments)["actions"] == []
    assert host.state() == made


def test_info(host: Host) -> None:
    assert host.module(module=INFO)["links"] == []
    host.module(**options(1, [2, 3], ipv6=True, DirectRouting=False))
    found = host.module(module=INFO)
    assert not found["changed"]
    assert [(link["name"], link["mtu"], link["underlay"]) for link in found["links"]] == [
        ("flannel-v6.1", 1430, "eth0"),
        ("flannel.1", 1450, "eth0"),
    ]
    assert [route["dst"] for route in found["routes"] if route["gateway"]] == [
        "10.5.2.0/24",
        "10.5.3.0/24",
        "fd00:10:5:2::/64",
        "fd00:10:5:3::/64",
    ]
    assert len(found["neighbours"]) == len(found["fdb"]) == 4
    assert found["public_key"] is None


def test_info_of_host_gw(host: Host) -> None:
    host.module(**options(1, [2, 3], "host-gw"))
    assert host.module(module=INFO)["routes"] == []
    found = host.module(module=INFO, network_config=config("host-gw"))
    assert found["routes"] == [
        {"dst": f"10.5.{number}.0/24", "gateway": f"198.18.0.{number}", "dev": "eth0", "onlink": False}
        for number in (2, 3)
    ]
