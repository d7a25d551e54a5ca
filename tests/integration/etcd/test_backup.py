# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Leases from one etcd to another by way of a file: the same octets arrive, or nothing does."""

from __future__ import annotations

import base64
import itertools
import json
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.tests.integration import _etcd
from ansible_collections.podnet.cni.tests.integration.etcd._lab import MODULES, VXLAN, Lab, environment, node

PSK = "TmV2ZXJTaG93VGhpc1NlY3JldEluQW55T3V0cHV0ISE="
KEY = "RHVtbXlXaXJlR3VhcmRQdWJsaWNLZXlPZjMyT2N0ZXQ="
WIREGUARD = {"Network": "10.244.0.0/16", "Backend": {"Type": "wireguard", "PSK": PSK}}
DUAL = {"EnableIPv6": True, "Network": "10.244.0.0/16", "IPv6Network": "fd00:18::/48", "Backend": {"Type": "vxlan"}}
NODES = [node(number) for number in range(5)]
_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def today() -> Iterator[_etcd.EtcdServer]:
    """An etcd of today, beside the one of the distribution."""
    with _etcd.running(today=True) as server:
        yield server


@pytest.fixture()
def other(today: _etcd.EtcdServer) -> Lab:
    """An empty network in it."""
    return Lab(today, f"/other-{next(_NUMBERS)}")


@pytest.fixture()
def path(tmp_path: Path) -> Path:
    """Where the backup goes; its directory has to be made."""
    return tmp_path / "backups" / "leases.json"


def backup(lab: Lab, path: Path, **params: Any) -> dict[str, Any]:
    return lab.module("flannel_lease_backup", path=str(path), **params)


def restore(lab: Lab, path: Path, **params: Any) -> dict[str, Any]:
    return backup(lab, path, state="restored", **params)


def put_lease(lab: Lab, subnet: str, address: str, mac: str, *, ttl: int = 0) -> None:
    """A lease as a flanneld writes it; with C(ttl) one that ends."""
    data = {"PublicIP": address, "PublicIPv6": None, "BackendType": "vxlan"}
    value = json.dumps({**data, "BackendData": {"VNI": 1, "VtepMAC": mac}}, separators=(",", ":"))
    handle = [f"--lease={lab.etcd.ctl('lease', 'grant', str(ttl)).split()[1]}"] if ttl else []
    lab.etcd.ctl("put", *handle, "--", f"{lab.prefix}/subnets/{subnet}", value)


def handles(lab: Lab) -> dict[str, bool]:
    """Which of the leases end."""
    pairs = json.loads(lab.etcd.ctl("get", "-w", "json", "--prefix", f"{lab.prefix}/subnets/"))["kvs"]
    return {base64.b64decode(pair["key"]).decode().rpartition("/")[2]: bool(pair.get("lease")) for pair in pairs}


def test_check_write_verify_again(lab: Lab, path: Path) -> None:
    lab.write_config()
    leases = lab.module("flannel_lease", nodes=NODES)["leases"]
    planned = backup(lab, path, check=True, diff=True, hosts=NODES)
    assert planned["changed"]
    assert not path.parent.exists()
    done = backup(lab, path, diff=True, hosts=NODES)
    assert (done["actions"], done["diff"]) == ([f"write {path}"], planned["diff"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(done["leases"], key=str) == sorted(leases, key=str), "with the names, which etcd has not"
    before = path.read_bytes()
    assert not backup(lab, path, hosts=NODES)["changed"]
    assert path.read_bytes() == before
    verified = lab.module(
        "flannel_lease_backup", path=str(path), state="verified", etcd_endpoints=["http://127.0.0.1:1"]
    )
    assert (verified["changed"], verified["leases"]) == (False, done["leases"])
    path.chmod(0o644)
    assert backup(lab, path, hosts=NODES)["changed"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_backup_is_not_lost_to_a_store_that_has_lost_everything(lab: Lab, path: Path) -> None:
    lab.write_config()
    lab.module("flannel_lease", nodes=NODES)
    backup(lab, path)
    before = path.read_bytes()
    lab.etcd.ctl("del", "--prefix", f"{lab.prefix}/subnets")
    refused = backup(lab, path)
    assert "(5 leases then, 0 now). Give another path, or write over it with force=true" in refused["msg"]
    lab.etcd.ctl("del", "--prefix", lab.prefix)
    assert "has no network config" in backup(lab, path, force=True)["msg"]
    path.with_name("hosts").write_text("127.0.0.1 localhost\n")
    assert "is not a backup of leases" in backup(lab, path.with_name("hosts"), force=True)["msg"]
    assert path.read_bytes() == before
    assert restore(lab, path)["changed"]
    lab.module("flannel_lease", nodes=[node(9)])
    assert backup(lab, path, force=True)["changed"]
    assert len(backup(lab, path, state="verified")["leases"]) == 6


@pytest.mark.parametrize("config", [VXLAN, DUAL], ids=["IPv4", "dual-stack"])
def test_to_another_prefix_and_to_an_etcd_of_today(lab: Lab, other: Lab, path: Path, config: dict[str, Any]) -> None:
    lab.write_config(config)
    nodes = (
        [{**each, "public_ipv6": f"fd00:18:ffff::{n}"} for n, each in enumerate(NODES, 1)] if config == DUAL else NODES
    )
    lab.module("flannel_lease", nodes=nodes)
    backup(lab, path)
    beside = Lab(lab.etcd, f"{lab.prefix}-beside")
    for target in (beside, other):
        planned = restore(target, path, check=True, diff=True)
        assert planned["changed"]
        assert target.etcd.get(target.prefix) == {}
        done = restore(target, path, diff=True)
        assert (done["actions"], done["diff"]) == (planned["actions"], planned["diff"])
        assert done["actions"][0] == f"write {target.prefix}/config"
        assert done["leases"] == planned["leases"]
        assert target.keys() == lab.keys(), "the same octets"
        assert json.loads(target.etcd.get(f"{target.prefix}/config")[f"{target.prefix}/config"]) == config
        assert set(handles(target).values()) == {False}
        again = restore(target, path, diff=True)
        assert (again["changed"], again["actions"], again["diff"]) == (False, [], {"before": {}, "after": {}})
        assert target.module("flannel_lease_info")["problems"] == []
    assert backup(other, path.with_name("back.json"))["leases"] == backup(lab, path)["leases"]


def test_what_ends_and_what_does_not(lab: Lab, other: Lab, path: Path) -> None:
    lab.write_config()
    put_lease(lab, "10.244.1.0-24", "198.18.0.1", "02:00:00:00:00:01", ttl=500)
    put_lease(lab, "10.244.2.0-24", "198.18.0.2", "02:00:00:00:00:02")
    ttls = {lease["subnet"]: lease["ttl"] for lease in backup(lab, path)["leases"]}
    assert 400 < ttls["10.244.1.0/24"] <= 500
    assert ttls["10.244.2.0/24"] is None
    assert not backup(lab, path)["changed"], "time that passes is no change"
    done = {lease["subnet"]: lease["ttl"] for lease in restore(other, path)["leases"]}
    assert 86000 < done["10.244.1.0/24"] <= 86400
    assert done["10.244.2.0/24"] is None
    assert handles(other) == {"10.244.1.0-24": True, "10.244.2.0-24": False}
    assert not restore(other, path)["changed"]
    beside = Lab(other.etcd, f"{other.prefix}-beside")
    restore(beside, path, ttl=0)
    assert set(handles(beside).values()) == {False}


def test_no_secret_leaves_the_store(lab: Lab, other: Lab, path: Path) -> None:
    lab.write_config(WIREGUARD)
    lab.module("flannel_lease", nodes=[node(1, wireguard_public_key=KEY)])
    done = backup(lab, path, diff=True)
    assert done["secrets_left_out"] == ["Backend.PSK"]
    assert PSK not in path.read_text() + json.dumps(done)
    refused = restore(other, path)
    assert "Backend.PSK was left out. Write the whole config with flannel_network, or give it as" in refused["msg"]
    bare = {"Network": "10.244.0.0/16", "Backend": {"Type": "wireguard"}}
    assert "Backend.PSK is missing" in restore(other, path, network_config=bare)["msg"]
    assert other.etcd.get(other.prefix) == {}
    restored = restore(other, path, network_config=WIREGUARD, diff=True)
    assert restored["changed"], restored
    assert PSK not in json.dumps(restored)
    assert other.keys() == lab.keys()
    assert not restore(other, path)["changed"], "the config is there"
    assert PSK in other.etcd.get(other.prefix)[f"{other.prefix}/config"]


def test_every_conflict_is_named_and_nothing_written(lab: Lab, other: Lab, path: Path) -> None:
    lab.write_config()
    for number in range(1, 6):
        put_lease(lab, f"10.244.{number}.0-24", f"198.18.0.{number}", f"02:00:00:00:00:{number:02x}")
    backup(lab, path)
    other.write_config()
    put_lease(other, "10.244.1.0-24", "198.18.0.91", "02:00:00:00:00:91")
    put_lease(other, "10.244.92.0-24", "198.18.0.2", "02:00:00:00:00:92")
    put_lease(other, "10.244.93.0-24", "198.18.0.93", "02:00:00:00:00:03")
    put_lease(other, "10.244.4.0-24", "198.18.0.4", "02:00:00:00:00:94")
    before = other.keys()
    for check in (True, False):
        refused = restore(other, path, check=check)
        assert refused["failed"]
        for part in (
            "10.244.1.0/24 of public IP 198.18.0.91 has the same subnet",
            "10.244.92.0/24 of public IP 198.18.0.2 names the same public IP 198.18.0.2",
            "10.244.93.0/24 of public IP 198.18.0.93 has the same VTEP MAC 02:00:00:00:00:03",
            "lease 10.244.4.0/24 of public IP 198.18.0.4: the store holds it with vxlan",
            "nothing was written",
            "with exclude",
        ):
            assert part in refused["msg"]
        assert "10.244.5.0/24" not in refused["msg"]
        assert other.keys() == before
    assert "has no lease 10.244.77.0/24" in restore(other, path, exclude=["10.244.77.0/24"])["msg"]
    done = restore(other, path, exclude=[f"10.244.{number}.0/24" for number in range(1, 5)])
    assert done["actions"] == ["lease 10.244.5.0/24 to public IP 198.18.0.5: restored"]
    assert other.keys() == {**before, "10.244.5.0-24": lab.keys()["10.244.5.0-24"]}


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({**VXLAN, "Network": "10.245.0.0/16"}, "Network is '10.245.0.0/16', not '10.244.0.0/16'"),
        ({**VXLAN, "SubnetLen": 26}, "SubnetLen is 26, not 24"),
        ({"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan", "VNI": 9}}, "Backend.VNI is 9, not 1"),
        ({"Network": "10.244.0.0/16", "Backend": {"Type": "wireguard", "PSK": PSK}}, "Backend.PSK is there"),
    ],
)
def test_another_network_is_refused(lab: Lab, other: Lab, path: Path, config: dict[str, Any], why: str) -> None:
    lab.write_config()
    lab.module("flannel_lease", nodes=NODES)
    backup(lab, path)
    other.write_config(config)
    refused = restore(other, path)
    assert why in refused["msg"]
    assert PSK not in json.dumps(refused)
    assert other.keys() == {}


def test_what_would_stop_every_flanneld_is_not_restored(lab: Lab, other: Lab, path: Path) -> None:
    lab.write_config()
    put_lease(lab, "10.244.1.0-24", "198.18.0.1", "01:00:00:00:00:01")
    put_lease(lab, "10.99.2.0-24", "198.18.0.2", "02:00:00:00:00:02")
    lab.etcd.put(f"{lab.prefix}/subnets/10.244.3.0-24", "{")
    warned = backup(lab, path)
    assert "10.244.3.0-24" in str(warned["warnings"])
    assert "it is not in the backup" in str(warned["warnings"])
    refused = restore(other, path)
    assert "its VTEP MAC 01:00:00:00:00:01 is not a unicast address" in refused["msg"]
    assert "10.99.2.0/24 is not one that the network hands out" in refused["msg"]
    assert other.etcd.get(other.prefix) == {}


def test_a_damaged_file_changes_nothing(lab: Lab, other: Lab, path: Path) -> None:
    lab.write_config()
    lab.module("flannel_lease", nodes=NODES)
    backup(lab, path)
    path.write_text(path.read_text().replace("198.18.0.1", "198.18.0.7", 1))
    for state in ("restored", "verified", "present"):
        refused = backup(other if state == "restored" else lab, path, state=state)
        assert f"path: {path} does not match its checksum" in refused["msg"]
    assert other.etcd.get(other.prefix) == {}
    assert "is not a file" in restore(other, path.with_name("none.json"))["msg"]
    assert "is not a file" in backup(lab, path.parent)["msg"]


def test_a_run_that_is_killed_is_completed_by_the_next(lab: Lab, path: Path) -> None:
    lab.write_config({**VXLAN, "Network": "10.0.0.0/8"})
    lab.module("flannel_lease", nodes=[node(number) for number in range(5000)])
    backup(lab, path)
    with _etcd.running() as server:
        target = Lab(server, _etcd.PREFIX)
        arguments = {**target.options, "path": str(path), "state": "restored"}
        process = subprocess.Popen(
            [sys.executable, str(MODULES / "flannel_lease_backup.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env=environment(),
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode())
        process.stdin.close()
        while server.revision() < 5 and process.poll() is None:
            time.sleep(0.005)
        server.freeze()
        process.kill()
        process.wait(30)
        server.thaw()
        stands = target.keys()
        assert 126 <= len(stands) < 5000
        done = restore(target, path)
        assert len(done["actions"]) == 5000 - len(stands)
        assert target.keys() == lab.keys()
        assert not restore(target, path)["changed"]


def test_two_at_once_write_it_once(lab: Lab, other: Lab, path: Path) -> None:
    lab.write_config()
    lab.module("flannel_lease", nodes=[node(number) for number in range(200)])
    backup(lab, path)
    arguments = json.dumps({"ANSIBLE_MODULE_ARGS": {**other.options, "path": str(path), "state": "restored"}})
    runs = [
        subprocess.Popen(
            [sys.executable, str(MODULES / "flannel_lease_backup.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        for _run in range(2)
    ]
    results = [json.loads(run.communicate(arguments, timeout=120)[0]) for run in runs]
    for result in results:
        assert not result.get("failed") or "run again" in result["msg"]
    assert not restore(other, path)["changed"] or any(result.get("failed") for result in results)
    assert other.keys() == lab.keys()
