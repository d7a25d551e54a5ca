# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Races and broken connections: what the store does to a real etcd when things go wrong at the worst moment."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError
from ansible_collections.podnet.cni.plugins.module_utils._stores.base import (
    CREATED,
    UNCHANGED,
    LostRaceError,
    StoreError,
    UnknownOutcomeError,
)
from ansible_collections.podnet.cni.plugins.module_utils._stores.etcd import MAX_LOST_RACES, EtcdStore
from ansible_collections.podnet.cni.plugins.module_utils._stores.etcd_client import EtcdClient
from ansible_collections.podnet.cni.plugins.module_utils._stores.options import from_params
from ansible_collections.podnet.cni.tests.integration.etcd._lab import VXLAN, Lab, node, owned_by


class Meddler(EtcdClient):
    """A client that lets a test act around each write: before it is sent, or instead of hearing its answer."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(from_params(lab.options))
        self.before: list[Callable[[], None]] = []
        self.lose_answer_of: list[int] = []
        self.lose_request_of: list[int] = []
        self.writes = 0

    def call(self, path: str, body: dict[str, Any], *, write: bool = False) -> dict[str, Any]:
        if not write:
            return super().call(path, body)
        number, self.writes = self.writes, self.writes + 1
        if self.before:
            self.before.pop(0)()
        if number in self.lose_request_of:
            raise UnknownOutcomeError("the request was lost")
        answer = super().call(path, body, write=True)
        if number in self.lose_answer_of:
            raise UnknownOutcomeError("the answer was lost")
        return answer


class Meddled:
    """A network and a store on it that can be meddled with; pauses are recorded instead of made."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.client = Meddler(lab)
        self.pauses: list[float] = []
        self.store = EtcdStore(self.client, sleep=self.pauses.append, rng=random.Random(1))

    def put(self, key: str, address: str) -> None:
        value = {"PublicIP": address, "PublicIPv6": None, "BackendType": "vxlan"}
        self.lab.etcd.put(f"{self.lab.prefix}/subnets/{key}", json.dumps(value))

    def acquire(self, *numbers: int, **arguments: Any) -> list[Any]:
        return self.lab.acquire([node(number) for number in numbers], self.store, **arguments)


@pytest.fixture()
def meddled(lab: Lab) -> Meddled:
    lab.write_config({**VXLAN, "Network": "10.244.0.0/24", "SubnetLen": 26})
    return Meddled(lab)


def test_a_subnet_taken_meanwhile_is_not_handed_out(meddled: Meddled) -> None:
    meddled.client.before = [lambda: meddled.put("10.244.0.64-26", "198.18.9.1")]
    granted = meddled.acquire(1, 2)
    assert {str(one.lease.subnet) for one in granted} == {"10.244.0.128/26", "10.244.0.192/26"}
    assert meddled.client.writes == 2
    assert len(meddled.pauses) == 1


def test_an_overlapping_subnet_of_another_size_is_noticed(meddled: Meddled) -> None:
    meddled.client.before = [lambda: meddled.put("10.244.0.128-25", "198.18.9.1")]
    (granted,) = meddled.acquire(1)
    assert str(granted.lease.subnet) == "10.244.0.64/26"


def test_a_second_lease_for_the_same_address_is_not_written(meddled: Meddled) -> None:
    meddled.client.before = [lambda: meddled.put("10.244.0.192-26", "198.18.0.2")]
    (granted,) = meddled.acquire(1)
    assert str(granted.lease.subnet) == "10.244.0.192/26"
    assert list(meddled.lab.keys()) == ["10.244.0.192-26"]


def test_a_lost_race_that_leaves_no_room_writes_nothing(meddled: Meddled) -> None:
    meddled.client.before = [lambda: meddled.put("10.244.0.0-24", "198.18.9.1")]
    with pytest.raises(ConflictError, match="no free /26"):
        meddled.acquire(1)
    assert list(meddled.lab.keys()) == ["10.244.0.0-24"]


def test_every_race_lost_gives_up_with_growing_pauses(meddled: Meddled) -> None:
    before = set(meddled.lab.etcd.leases())
    meddled.client.before = [lambda: meddled.put("10.244.0.64-26", "198.18.9.1")] * (MAX_LOST_RACES + 1)
    with pytest.raises(LostRaceError, match="lost 11 races in a row"):
        meddled.acquire(1, ttl=600)
    assert len(meddled.pauses) == MAX_LOST_RACES
    assert all(0 < pause <= 5 for pause in meddled.pauses)
    assert meddled.pauses[5] > meddled.pauses[0] * 4
    assert set(meddled.lab.etcd.leases()) == before, "the grant of a run that wrote nothing is given back"


@pytest.mark.parametrize(
    ("meddle", "said"),
    [
        (
            lambda lab: lab.write_config({**VXLAN, "Network": "10.9.0.0/16"}),
            "(Network is '10.9.0.0/16', not '10.244.0.0/24', ",
        ),
        (lambda lab: lab.etcd.ctl("del", f"{lab.prefix}/config"), "(it is gone)"),
    ],
    ids=["another", "gone"],
)
def test_config_changed_meanwhile_stops_the_run(meddled: Meddled, meddle: Callable[[Lab], Any], said: str) -> None:
    meddled.client.before = [lambda: meddle(meddled.lab)]
    with pytest.raises(ConflictError, match="was changed while leases were written") as raised:
        meddled.acquire(1)
    assert f"{meddled.lab.prefix}/config: " in str(raised.value)
    assert said in str(raised.value)
    assert meddled.lab.keys() == {}


def test_config_written_anew_as_it_was_stops_nothing(meddled: Meddled) -> None:
    text = meddled.lab.etcd.get(f"{meddled.lab.prefix}/config")[f"{meddled.lab.prefix}/config"]
    meddled.client.before = [lambda: meddled.lab.etcd.ctl("put", f"{meddled.lab.prefix}/config", text)]
    assert [one.done for one in meddled.acquire(1, 2)] == [CREATED, CREATED]
    assert len(meddled.lab.keys()) == 2


@pytest.mark.parametrize("ttl", [None, 600])
def test_write_happened_but_its_answer_was_lost(meddled: Meddled, ttl: int | None) -> None:
    meddled.client.lose_answer_of = [0]
    granted = meddled.acquire(1, 2, ttl=ttl)
    assert [one.done for one in granted] == [CREATED, CREATED]
    assert meddled.client.writes == 1, "what was written is found, not written again"
    assert len(meddled.lab.keys()) == 2


def test_write_did_not_happen(meddled: Meddled) -> None:
    meddled.client.lose_request_of = [0]
    granted = meddled.acquire(1, 2)
    assert [one.done for one in granted] == [CREATED, CREATED]
    assert meddled.client.writes == 2


def test_every_answer_lost_reports_it_and_the_rerun_changes_nothing(meddled: Meddled) -> None:
    meddled.client.lose_request_of = list(range(MAX_LOST_RACES + 1))
    with pytest.raises(UnknownOutcomeError, match="the request was lost"):
        meddled.acquire(1)
    meddled.acquire(1)
    assert [one.done for one in meddled.acquire(1)] == [UNCHANGED]


def test_failure_after_some_batches_says_how_far_it_came(lab: Lab) -> None:
    lab.write_config()
    meddled = Meddled(lab)
    meddled.client.lose_request_of = list(range(1, MAX_LOST_RACES + 2))
    with pytest.raises(StoreError, match="126 of 200 leases were written"):
        meddled.acquire(*range(200))
    granted = lab.acquire([node(number) for number in range(200)])
    assert [one.done for one in granted].count(UNCHANGED) == 126
    assert len(lab.keys()) == 200


def test_config_write_whose_answer_was_lost_is_read_back(meddled: Meddled) -> None:
    store = meddled.store
    meddled.client.lose_answer_of = [0]
    store.write_config('{"Network":"10.9.0.0/16"}', store.read_config(), store.list_leases())
    stored = store.read_config()
    assert stored is not None
    assert stored.text == '{"Network":"10.9.0.0/16"}'
    meddled.client.lose_request_of = [1]
    with pytest.raises(UnknownOutcomeError):
        store.write_config("{}", stored, store.list_leases())


def test_config_is_not_written_over_a_newer_one_or_beside_a_new_lease(meddled: Meddled) -> None:
    store = meddled.store
    before, listing = store.read_config(), store.list_leases()
    meddled.lab.write_config()
    with pytest.raises(LostRaceError):
        store.write_config("{}", before, listing)
    before = store.read_config()
    meddled.put("10.244.0.64-26", "198.18.9.1")
    with pytest.raises(LostRaceError):
        store.write_config("{}", before, listing)


def test_release_goes_on_after_a_lost_race(meddled: Meddled) -> None:
    meddled.acquire(1, ttl=600)
    touch = [lambda: meddled.put("10.244.0.128-26", "198.18.0.2")]
    meddled.client.before = [*touch]
    meddled.put("10.244.0.128-26", "198.18.0.2")
    released = meddled.store.release(owned_by("198.18.0.2"))
    assert {str(lease.subnet) for lease in released} >= {"10.244.0.128/26"}
    assert meddled.lab.keys() == {}
    assert len(meddled.pauses) == 1


def test_renew_only_what_is_due_and_keep_for_good(meddled: Meddled) -> None:
    meddled.acquire(1, ttl=600)
    (kept,) = meddled.acquire(1, ttl=600)
    assert kept.done == UNCHANGED
    before = set(meddled.lab.etcd.leases())
    (renewed,) = meddled.acquire(1, ttl=6000)
    assert renewed.lease.ttl == 6000
    assert len(set(meddled.lab.etcd.leases()) - before) == 1
    assert meddled.store.list_leases(ttl=True).leases[0].ttl in range(5990, 6001)
    (permanent,) = meddled.acquire(1)
    assert permanent.lease.ttl is None
    assert meddled.store.list_leases(ttl=True).leases[0].ttl is None
    (kept,) = meddled.acquire(1)
    assert kept.done == UNCHANGED


def test_irregular_key_of_the_node_is_moved_to_the_right_one(meddled: Meddled) -> None:
    meddled.put("x10.244.0.64-26", "198.18.0.2")
    (problem,) = meddled.store.list_leases().problems
    assert problem.kind == "irregular_key"
    (granted,) = meddled.acquire(1)
    assert str(granted.lease.subnet) == "10.244.0.64/26"
    assert list(meddled.lab.keys()) == ["10.244.0.64-26"]


def test_keys_beside_the_directory_count_too(lab: Lab) -> None:
    lab.write_config({**VXLAN, "Network": "10.244.0.0/24", "SubnetLen": 26})
    lab.etcd.put(f"{lab.prefix}/subnets-old/10.244.0.64-25", json.dumps({"PublicIP": "198.18.9.9"}))
    listing = lab.store().list_leases()
    assert [str(lease.subnet) for lease in listing.leases] == ["10.244.0.0/25"]
    (granted,) = lab.acquire([node(1)])
    assert granted.lease.subnet is not None
    assert not granted.lease.subnet.overlaps(listing.leases[0].subnet)


def test_list_is_read_in_pages(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.write_config()
    lab.acquire([node(number) for number in range(25)])
    whole = lab.store().list_leases()
    monkeypatch.setattr("ansible_collections.podnet.cni.plugins.module_utils._stores.etcd_json.PAGE", 10)
    assert lab.store().list_leases() == whole
    assert len(whole.leases) == 25


def test_a_key_that_is_no_utf8_is_named(lab: Lab) -> None:
    key = f"{lab.prefix}/subnets/".encode() + b"\xff\xfe"
    lab.etcd.api("kv/put", {"key": base64.b64encode(key).decode(), "value": base64.b64encode(b"\xff").decode()})
    (problem,) = lab.module("flannel_lease_info")["problems"][1:]
    assert problem["key"].endswith("\\udcff\\udcfe")
