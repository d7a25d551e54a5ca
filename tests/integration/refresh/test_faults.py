# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A store that is away, for longer than leases last or in part, costs a node no peer, and each run says what it saw."""

from __future__ import annotations

import datetime
import time
from pathlib import Path

import pytest

from ansible_collections.podnet.cni.tests.integration import _etcd
from ansible_collections.podnet.cni.tests.integration._netns import Segment
from ansible_collections.podnet.cni.tests.integration.etcd._relay import Relay
from ansible_collections.podnet.cni.tests.integration.refresh._node import Node, Store, listener

NEW_MAC = "02:aa:bb:cc:dd:02"
TTL = 3


def new_mac(store: Store) -> None:
    store.lease(2, BackendData={"VNI": 1, "VtepMAC": NEW_MAC})


def with_ttl(store: Store, number: int) -> None:
    """The lease of a flanneld that will not renew it."""
    text = store.etcd.get(store.key(number), prefix=False)[store.key(number)]
    # etcdctl prints "lease 32698c... granted with TTL(3s)".
    handle = store.etcd.ctl("lease", "grant", str(TTL)).split()[1]
    store.etcd.ctl("put", f"--lease={handle}", "--", store.key(number), text)


def test_an_outage_that_outlasts_a_lease_costs_no_peer(node: Node, store: Store) -> None:
    before = node.holds()
    with_ttl(store, 3)
    store.etcd.kill()
    started = time.monotonic()
    rounds = 0
    # What the timer does, hour after hour.
    while rounds < 3 or time.monotonic() - started < TTL + 1:
        code, said = node.refreshed()
        assert (code, node.holds()) == (1, before)
        assert "etcd is unreachable" in said and said.rstrip().endswith("nothing was changed")
        rounds += 1
    store.etcd.start()
    # It counts the time to live anew when it comes back. Only a peer that does not renew then is gone, as for flanneld.
    assert store.key(3) in store.etcd.get(f"{_etcd.PREFIX}/subnets")
    new_mac(store)
    deadline = time.monotonic() + 30
    while store.key(3) in store.etcd.get(f"{_etcd.PREFIX}/subnets"):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    code, said = node.refreshed()
    assert code == 0, said
    assert node.peers() == {"10.5.2.0/24": NEW_MAC}
    # The node's own lease is what nobody else renews for it.
    store.delete(1)
    before = node.holds()
    code, said = node.refreshed()
    assert (code, node.holds()) == (1, before)
    assert "has no lease for 10.5.1.0/24" in said


def test_an_etcd_that_does_not_answer_ends_a_run_in_time(node: Node, store: Store) -> None:
    new_mac(store)
    before = node.holds()
    store.etcd.freeze()
    try:
        code, said = node.refreshed(etcd_timeout=1)
    finally:
        store.etcd.thaw()
    assert (code, node.holds()) == (1, before)
    assert "no answer in 1 s" in said and "nothing was changed" in said
    assert node.refreshed()[0] == 0
    assert node.peers()["10.5.2.0/24"] == NEW_MAC


def test_one_member_of_three_may_fail_and_two_may_not(tmp_path: Path) -> None:
    with _etcd.three() as members, Segment(1) as segment:
        host = segment.hosts[0]
        relays = [Relay(member.port, listener(host, member.port)) for member in members]
        try:
            for relay in relays:
                relay.__enter__()
            store = Store(members[2])
            store.config()
            for number in (1, 2, 3):
                store.lease(number)
            node = Node(host, tmp_path, {"etcd_endpoints": [member.url for member in members]})
            node.made(2, 3)
            new_mac(store)
            members[0].kill()
            code, said = node.refreshed()
            assert code == 0, said
            assert node.peers()["10.5.2.0/24"] == NEW_MAC
            members[1].kill()
            before = node.holds()
            code, said = node.refreshed()
            assert (code, node.holds()) == (1, before)
            assert f"{members[2].url}: " in said and "nothing was changed" in said
            assert "Traceback" not in said
            members[0].launch()
            members[0].await_health()
            store.delete(3)
            code, said = node.refreshed()
            assert code == 0, said
            assert list(node.peers()) == ["10.5.2.0/24"]
        finally:
            for relay in relays:
                relay.__exit__(None, None, None)


@pytest.mark.parametrize("etcd", [True], indirect=True)
def test_a_certificate_that_has_expired_is_named(node: Node, store: Store) -> None:
    new_mac(store)
    before = node.holds()
    authority = store.etcd.authority
    assert authority is not None
    certificate, key = authority.user("late", lifetime=-datetime.timedelta(hours=1))
    code, said = node.refreshed(etcd_certfile=str(certificate), etcd_keyfile=str(key))
    assert (code, node.holds()) == (1, before)
    assert f"The client certificate {certificate} expired at 20" in said
    assert said.rstrip().endswith("renew it; nothing was changed")


def test_leases_that_were_lost_and_come_back_one_by_one(node: Node, store: Store) -> None:
    """An etcd that is restored from an old backup, into which flannelds write again."""
    before = node.holds()
    store.etcd.kill()
    store.etcd.wipe()
    store.etcd.start()
    assert "has no network config" in node.refreshed()[1]
    store.config()
    assert "holds no lease" in node.refreshed()[1]
    store.lease(2)
    code, said = node.refreshed()
    assert (code, node.holds()) == (1, before), "its own lease is not back"
    assert "has no lease for 10.5.1.0/24" in said
