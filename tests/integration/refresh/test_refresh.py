# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run of the program on a real kernel against a real etcd: what it brings right, and what it leaves as it is."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._dataplane import lock
from ansible_collections.podnet.cni.tests.integration._etcd import PREFIX, EtcdServer
from ansible_collections.podnet.cni.tests.integration.refresh._node import CONFIG, Node, Store

MAC = "02:00:00:04:00:{:02x}"
NEW_MAC = "02:aa:bb:cc:dd:02"


def new_mac(store: Store) -> None:
    """Peer 2 has started anew, as a flanneld does that lost its link."""
    store.lease(2, BackendData={"VNI": 1, "VtepMAC": NEW_MAC})


def test_a_run_follows_the_leases_and_the_next_has_nothing_to_do(node: Node, store: Store) -> None:
    node.host.shell("ip route add 10.5.77.0/24 via 198.18.0.9 dev eth0 proto static")
    assert node.peers() == {"10.5.2.0/24": MAC.format(2), "10.5.3.0/24": MAC.format(3)}
    new_mac(store)
    store.delete(3)
    store.lease(4)
    code, said = node.refreshed()
    assert code == 0, said
    assert node.peers() == {"10.5.2.0/24": NEW_MAC, "10.5.4.0/24": MAC.format(4)}
    macs = {entry["mac"] for entry in node.host.json("bridge -j fdb show dev flannel.1")}
    assert macs == {NEW_MAC, MAC.format(4)}, "the entry of the old MAC is gone"
    assert "10.5.77.0/24 via 198.18.0.9 dev eth0" in node.host.shell("ip route"), "it is somebody else's"
    lines = said.splitlines()
    assert "remove route 10.5.3.0/24 via 10.5.3.0 dev flannel.1 onlink" in lines
    assert "set route 10.5.4.0/24 via 10.5.4.0 dev flannel.1 onlink" in lines
    assert any(line.startswith("- ") and MAC.format(2) in line for line in lines), said
    assert any(line.startswith("+ ") and NEW_MAC in line for line in lines), said
    restored = (node.directory / "restore" / "ip.batch").read_text()
    assert NEW_MAC in restored and MAC.format(2) not in restored, "a reboot brings back what is right now"
    before = node.holds()
    code, said = node.refreshed()
    assert (code, node.holds()) == (0, before)
    assert "2 peers are as their leases say" in said
    assert "warning: 1 routes into the network are not the overlay's and stay" in said


def test_the_playbook_finds_nothing_to_do_after_it(node: Node, store: Store) -> None:
    store.lease(4)
    assert node.refreshed()[0] == 0
    found = node.host.module(
        check=True, module="flannel_dataplane", store="etcd", **node.made_with, **store.etcd.options
    )
    assert found["actions"] == [], found


def test_a_look_changes_nothing(node: Node, store: Store) -> None:
    new_mac(store)
    before = node.holds()
    code, said = node.refreshed("--check")
    assert code == 0
    assert f"would set neighbour 10.5.2.0 lladdr {NEW_MAC} dev flannel.1 nud permanent" in said.splitlines(), said
    assert node.holds() == before


def test_a_quiet_run_has_no_line_that_the_journal_keeps(node: Node, store: Store) -> None:
    said = node.start(journal=True).communicate(timeout=60)[0]
    assert said.splitlines() == ["<6>2 peers are as their leases say"]
    new_mac(store)
    said = node.start(journal=True).communicate(timeout=60)[0]
    assert {line[:3] for line in said.splitlines()} == {"<5>"}


def gone(store: Store) -> None:
    store.etcd.kill()


def wiped(store: Store) -> None:
    store.etcd.ctl("del", "--prefix", PREFIX)


def without_leases(store: Store) -> None:
    store.etcd.ctl("del", "--prefix", f"{PREFIX}/subnets/")


def without_own(store: Store) -> None:
    store.delete(1)


def own_of_another(store: Store) -> None:
    store.lease(1, PublicIP="198.18.0.9")


def unreadable(store: Store) -> None:
    store.put(3, "not JSON")


def another_config(store: Store) -> None:
    store.config({**CONFIG, "Backend": {"Type": "host-gw"}})


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (gone, "etcd is unreachable: http://127.0.0.1:"),
        (wiped, f"etcd has no network config under {PREFIX}/config"),
        (without_leases, f"{PREFIX} holds no lease: nothing was changed"),
        (without_own, f"{PREFIX} has no lease for 10.5.1.0/24, which is this node's subnet: nothing was changed"),
        (
            own_of_another,
            "the lease of 10.5.1.0/24, this node's subnet, is that of 198.18.0.9 now: nothing was changed",
        ),
        (unreadable, f"the lease {PREFIX}/subnets/10.5.3.0-24 cannot be read"),
        (another_config, "the network config has changed since podnet.cni.overlay ran here (Backend.Type is 'host-gw'"),
    ],
)
def test_what_a_store_cannot_tell_for_sure_changes_nothing(
    node: Node, store: Store, fault: Callable[[Store], None], reason: str
) -> None:
    new_mac(store)
    before = node.holds()
    fault(store)
    code, said = node.refreshed()
    assert (code, node.holds()) == (1, before)
    assert reason in said and "nothing was changed" in said
    assert "Traceback" not in said


def test_a_key_that_is_no_subnet_costs_nobody_a_peer(node: Node, store: Store) -> None:
    store.etcd.put(f"{PREFIX}/subnets/garbage", "x")
    new_mac(store)
    code, said = node.refreshed()
    assert code == 0
    assert node.peers() == {"10.5.2.0/24": NEW_MAC, "10.5.3.0/24": MAC.format(3)}
    assert f"{PREFIX}/subnets/garbage" in said


def holder(node: Node) -> subprocess.Popen[bytes]:
    """A process on the node's host that holds the lock until it is killed."""
    script = (
        f"import socket, time; s = socket.socket(socket.AF_UNIX); s.bind({lock.NAME!r}); s.listen(1); time.sleep(60)"
    )
    process = subprocess.Popen(node.host.enter("python3", "-c", script))
    deadline = time.monotonic() + 20
    while "podnet.cni/dataplane" not in node.host.shell("cat /proc/net/unix"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return process


def test_it_waits_for_a_playbook_and_then_reads_the_leases(node: Node, store: Store) -> None:
    other = holder(node)
    try:
        before = node.holds()
        code, said = node.refreshed(lock_timeout=0.3)
        assert (code, node.holds()) == (1, before)
        assert "is changing this host's data plane" in said
        waiting = node.start()
        time.sleep(1)
        assert waiting.poll() is None
        new_mac(store)
    finally:
        other.kill()
        other.wait()
    said = waiting.communicate(timeout=60)[0]
    assert waiting.returncode == 0, said
    assert node.peers()["10.5.2.0/24"] == NEW_MAC, "what was written while it waited counts"


@pytest.mark.parametrize("etcd", [True], indirect=True)
def test_with_certificates(node: Node, store: Store) -> None:
    new_mac(store)
    code, said = node.refreshed()
    assert code == 0, said
    assert node.peers()["10.5.2.0/24"] == NEW_MAC
    code, said = node.refreshed(etcd_certfile=None, etcd_keyfile=None)
    assert code == 1
    assert "wants a client certificate that its CA signed" in said


def test_with_a_user_who_may_only_read(node: Node, store: Store, etcd: EtcdServer) -> None:
    phrase = "pass phrase-of-the-hosts"
    etcd.add_user("hosts", phrase, prefix=PREFIX, access="read")
    etcd.add_user("nobody", phrase, prefix="/elsewhere")
    etcd.enable_auth()
    file = node.directory / "etcd-password"
    file.write_text(f"{phrase}\n")
    user = {"etcd_username": "hosts", "etcd_password_file": str(file)}
    new_mac(store)
    running = node.start(**user)
    said = running.communicate(timeout=60)[0]
    assert running.returncode == 0, said
    assert node.peers()["10.5.2.0/24"] == NEW_MAC
    assert phrase not in said + " ".join(map(str, running.args)) + (node.directory / "settings.json").read_text()
    before = node.holds()
    code, said = node.refreshed(**{**user, "etcd_username": "nobody"})
    assert (code, node.holds()) == (1, before)
    assert "denies user 'nobody' access" in said and "read in place of readwrite is enough" in said
    code, said = node.refreshed()
    assert code == 1 and "a client without etcd_username" in said
    file.write_text("another\n")
    code, said = node.refreshed(**user)
    assert (code, node.holds()) == (1, before)
    assert "does not accept user 'hosts'" in said and "another" not in said
