# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Following the leases: live events, over a restart, over a compaction, over poison."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from queue import Empty, Queue
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._stores.base import AccessError, Event, UnreachableError
from ansible_collections.podnet.cni.tests.integration.etcd._lab import Lab, node, owned_by

PATIENCE = 20.0
POLL = 0.2
READER = {"etcd_username": "reader", "etcd_password": "secret"}


class Watcher:
    """A watch in a thread of its own; C(gate) can hold it back between two events."""

    def __init__(self, lab: Lab, **options: Any) -> None:
        self.events: Queue[Event | BaseException] = Queue()
        self.gate = threading.Event()
        self.gate.set()
        self._stopped = threading.Event()
        self._store = lab.store(etcd_timeout=2.0, **options)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            for event in self._store.watch(self._stopped.is_set, poll=POLL):
                self.events.put(event)
                self.gate.wait()
        except BaseException as error:
            self.events.put(error)

    def next(self, *kinds: str) -> Event:
        """Return the next event, which must be one of *kinds*."""
        event = self.events.get(timeout=PATIENCE)
        if isinstance(event, BaseException):
            raise event
        assert event.kind in kinds, event
        return event

    def next_but_outage(self, *kinds: str) -> Event:
        """As C(next), passing over outages: an etcd that has just started may cut the first streams."""
        while True:
            event = self.next("problem", *kinds)
            if event.problem is None or event.problem.kind != "unreachable":
                return event

    def quiet(self, seconds: float = 5 * POLL) -> None:
        """Fail when an event comes within *seconds*."""
        with pytest.raises(Empty):
            raise AssertionError(self.events.get(timeout=seconds))

    def stop(self) -> float:
        """Stop the watch and return how long that took."""
        started = time.monotonic()
        self.gate.set()
        self._stopped.set()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        return time.monotonic() - started


@pytest.fixture()
def watching() -> Iterator[Callable[..., Watcher]]:
    """A function that starts a watch, which is stopped afterwards."""
    started: list[Watcher] = []

    def start(lab: Lab, **options: Any) -> Watcher:
        started.append(Watcher(lab, **options))
        return started[-1]

    yield start
    for watcher in started:
        watcher.stop()


def put(lab: Lab, key: str, address: str = "198.18.0.9", *, ttl: int = 0) -> None:
    value = json.dumps({"PublicIP": address, "PublicIPv6": None, "BackendType": "vxlan"})
    lease = [f"--lease={int(lab.etcd.api('lease/grant', {'TTL': str(ttl)})['ID']):x}"] if ttl else []
    lab.etcd.ctl("put", *lease, "--", f"{lab.prefix}/subnets/{key}", value)


def subnet(event: Event) -> str:
    assert event.lease is not None
    return str(event.lease.subnet)


def test_snapshot_then_added_updated_removed(lab: Lab, watching: Callable[..., Watcher]) -> None:
    lab.write_config()
    put(lab, "10.244.1.0-24")
    watcher = watching(lab)
    snapshot = watcher.next("snapshot")
    assert [str(lease.subnet) for lease in snapshot.leases] == ["10.244.1.0/24"]
    put(lab, "10.244.2.0-24", ttl=600)
    added = watcher.next("added")
    assert subnet(added) == "10.244.2.0/24"
    assert added.lease is not None
    assert added.lease.ttl in range(595, 601)
    put(lab, "10.244.2.0-24", "198.18.0.8")
    updated = watcher.next("updated")
    assert updated.lease is not None
    assert (str(updated.lease.public_ip), updated.lease.ttl) == ("198.18.0.8", None)
    put(lab, "10.244.2.0-24", "198.18.0.8", ttl=600)
    watcher.quiet()
    lab.store().release(owned_by("198.18.0.8"))
    removed = watcher.next("removed")
    assert subnet(removed) == "10.244.2.0/24"
    assert str(removed.lease and removed.lease.public_ip) == "198.18.0.8"
    assert watcher.stop() < 5


def test_expired_lease_is_removed(lab: Lab, watching: Callable[..., Watcher]) -> None:
    put(lab, "10.244.1.0-24", ttl=2)
    watcher = watching(lab)
    watcher.next("snapshot")
    assert subnet(watcher.next("removed")) == "10.244.1.0/24"


def test_all_of_a_big_run_arrives_in_order(lab: Lab, watching: Callable[..., Watcher]) -> None:
    lab.write_config()
    watcher = watching(lab)
    watcher.next("snapshot")
    granted = lab.acquire([node(number) for number in range(200)])
    events = [watcher.next("added") for _lease in granted]
    assert {subnet(event) for event in events} == {str(one.lease.subnet) for one in granted}
    assert [event.revision for event in events] == sorted(event.revision for event in events)


def test_poison_is_a_problem_and_nothing_else(lab: Lab, watching: Callable[..., Watcher]) -> None:
    put(lab, "10.244.1.0-24")
    lab.etcd.put(f"{lab.prefix}/subnets/before", "x")
    watcher = watching(lab)
    watcher.next("snapshot")
    problem = watcher.next("problem").problem
    assert problem is not None
    assert problem.key.endswith("/before")
    lab.etcd.put(f"{lab.prefix}/subnets/garbage", "x")
    problem = watcher.next("problem").problem
    assert problem is not None
    assert problem.kind == "unreadable_key"
    lab.etcd.ctl("del", f"{lab.prefix}/subnets/garbage")
    lab.etcd.put(f"{lab.prefix}/subnets/10.244.1.0-24", "{")
    problem = watcher.next("problem").problem
    assert problem is not None
    assert problem.kind == "unreadable_value"
    assert subnet(watcher.next("removed")) == "10.244.1.0/24"
    put(lab, "10.244.1.0-24")
    assert subnet(watcher.next("added")) == "10.244.1.0/24"


def test_restart_in_the_middle(own_lab: Lab, watching: Callable[..., Watcher]) -> None:
    lab = own_lab
    watcher = watching(lab)
    watcher.next("snapshot")
    put(lab, "10.244.1.0-24")
    watcher.next("added")
    lab.etcd.kill()
    problem = watcher.next("problem").problem
    assert problem is not None
    assert problem.kind == "unreachable"
    lab.etcd.start()
    put(lab, "10.244.2.0-24")
    assert subnet(watcher.next_but_outage("added")) == "10.244.2.0/24"
    watcher.quiet()


@pytest.mark.parametrize("restart", [False, True])
def test_compaction_while_behind(own_lab: Lab, watching: Callable[..., Watcher], restart: bool) -> None:
    """What changed while the watch was held back and the history was thrown away is found by comparing whole leases."""
    lab = own_lab
    for number in range(1, 5):
        put(lab, f"10.244.{number}.0-24", f"198.18.0.{number}")
    watcher = watching(lab)
    watcher.gate.clear()
    watcher.next("snapshot")
    lab.etcd.ctl("del", f"{lab.prefix}/subnets/10.244.1.0-24")
    put(lab, "10.244.2.0-24", "198.18.0.22")
    put(lab, "10.244.3.0-24", "198.18.0.3")
    put(lab, "10.244.5.0-24", "198.18.0.5")
    lab.etcd.put(f"{lab.prefix}/subnets/garbage", "x")
    lab.etcd.compact()
    if restart:
        lab.etcd.kill()
        lab.etcd.start()
    watcher.gate.set()
    found = {}
    for _event in range(4):
        event = watcher.next_but_outage("removed", "updated", "added", "problem")
        found[event.kind] = event
    assert (subnet(found["removed"]), subnet(found["updated"]), subnet(found["added"])) == (
        "10.244.1.0/24",
        "10.244.2.0/24",
        "10.244.5.0/24",
    )
    assert found["problem"].problem is not None
    put(lab, "10.244.6.0-24", "198.18.0.6")
    assert subnet(watcher.next_but_outage("added")) == "10.244.6.0/24"
    watcher.quiet()


def test_etcd_that_lost_its_data(own_lab: Lab, watching: Callable[..., Watcher]) -> None:
    """An etcd that starts counting anew would stay silent until it has caught up."""
    lab = own_lab
    for number in range(1, 5):
        put(lab, f"10.244.{number}.0-24")
    watcher = watching(lab)
    watcher.next("snapshot")
    lab.etcd.kill()
    watcher.next("problem")
    lab.etcd.wipe()
    lab.etcd.start()
    assert [subnet(watcher.next_but_outage("removed")) for _event in range(4)] == [
        f"10.244.{number}.0/24" for number in range(1, 5)
    ]
    put(lab, "10.244.7.0-24")
    assert subnet(watcher.next_but_outage("added")) == "10.244.7.0/24"


def test_watch_needs_the_store_at_its_start(own_lab: Lab, watching: Callable[..., Watcher]) -> None:
    own_lab.etcd.kill()
    with pytest.raises(UnreachableError):
        watching(own_lab).next("snapshot")


def test_watch_with_a_user(own_lab: Lab, watching: Callable[..., Watcher]) -> None:
    lab = own_lab
    lab.etcd.add_user("reader", "secret", prefix=lab.prefix, access="read")
    lab.etcd.enable_auth()
    watcher = watching(lab, **READER)
    watcher.next("snapshot")
    put(lab, "10.244.1.0-24")
    assert subnet(watcher.next("added")) == "10.244.1.0/24"
    lab.etcd.ctl("user", "passwd", "reader", "--interactive=false", text="secret\n")
    put(lab, "10.244.2.0-24")
    assert subnet(watcher.next("added")) == "10.244.2.0/24"
    lab.etcd.ctl("user", "revoke-role", "reader", "reader")
    with pytest.raises(AccessError):
        watcher.next("snapshot")
