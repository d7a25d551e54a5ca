# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""From decisions to transactions: what is written, what is left alone, what guards it."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError, InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import network_config
from ansible_collections.podnet.cni.plugins.module_utils._flannel.allocation import Decision, Request, allocate
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import Lease, encode_value
from ansible_collections.podnet.cni.plugins.module_utils._stores import etcd_json, etcd_plan
from ansible_collections.podnet.cni.plugins.module_utils._stores.base import CREATED, UNCHANGED, UPDATED, Entry

KEYS = etcd_plan.Keys("/net")
CONFIG = network_config.parse({"Network": "10.244.0.0/16", "Backend": {"Type": "host-gw"}})


def entry(number: int, address: int, *, version: int = 5, handle: int = 0, key: str = "") -> Entry:
    lease = Lease(
        IPv4Network((0x0AF40000 + (number << 8), 24)),
        public_ip=IPv4Address(0xC6120000 + address),
        backend_type="host-gw",
    )
    return Entry(key or KEYS.of(lease), encode_value(lease), lease, version, handle)


def request(address: int, **more: Any) -> Request:
    return Request(f"node-{address}", IPv4Address(0xC6120000 + address), **more)


def want(decision: Decision, _existing: Lease | None) -> Lease:
    return Lease(decision.subnet, public_ip=decision.request.public_ip, backend_type="host-gw")


def steps(
    entries: list[Entry], requests: list[Request], ttl: int | None = None, left: dict[int, int] | None = None
) -> list[etcd_plan.Step]:
    decisions = allocate(CONFIG, [one.lease for one in entries], requests, seed=1)
    return etcd_plan.plan(KEYS, entries, decisions, want, ttl=ttl, remaining=left or {})


def decoded(transaction: dict[str, Any]) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    compares = [
        (etcd_json.decode_key(one["key"]), one["result"], int(one["mod_revision"]), "range_end" in one)
        for one in transaction["compare"]
    ]
    operations = []
    for one in transaction["success"]:
        ((kind, body),) = one.items()
        operations.append((kind, etcd_json.decode_key(body["key"]), body.get("lease")))
    return compares, operations


def test_new_lease_is_created_only_where_there_is_none() -> None:
    (step,) = steps([], [request(1)])
    assert (step.granted.done, step.version, step.deletes) == (CREATED, 0, ())
    compares, operations = decoded(etcd_plan.transaction(KEYS, [step], 77, 40, 3))
    assert compares == [
        ("/net/subnets", "LESS", 41, True),
        ("/net/config", "EQUAL", 3, False),
        (step.key, "EQUAL", 0, False),
    ]
    assert operations == [("request_put", step.key, "77")]


def test_same_lease_is_left_alone() -> None:
    (step,) = steps([entry(5, 1)], [request(1)])
    assert (step.granted.done, step.is_write) == (UNCHANGED, False)


def test_other_white_space_and_order_in_the_value_are_no_change() -> None:
    stored = entry(5, 1)
    pretty = json.dumps(dict(reversed(json.loads(stored.value).items())), indent=2)
    (step,) = steps([replace(stored, value=pretty)], [request(1)])
    assert not step.is_write


def test_changed_lease_is_put_over_the_version_that_was_read() -> None:
    stored = entry(5, 1)
    changed = replace(stored, lease=replace(stored.lease, backend_type="vxlan"))
    (step,) = steps([changed], [request(1)])
    assert (step.granted.done, step.granted.reason, step.version) == (UPDATED, "attributes changed", 5)
    assert step.granted.before == changed.lease


@pytest.mark.parametrize(
    ("handle", "ttl", "left", "done"),
    [
        (0, None, {}, UNCHANGED),
        (9, None, {}, UPDATED),
        (0, 600, {}, UPDATED),
        (9, 600, {9: 300}, UNCHANGED),
        (9, 600, {9: 299}, UPDATED),
        (9, 600, {}, UPDATED),
        (9, 600, {9: 86400}, UNCHANGED),
    ],
)
def test_time_to_live(handle: int, ttl: int | None, left: dict[int, int], done: str) -> None:
    (step,) = steps([entry(5, 1, handle=handle)], [request(1)], ttl, left)
    assert step.granted.done == done
    assert step.granted.lease.ttl == (left.get(handle) if done == UNCHANGED else ttl)


def test_lease_that_moves_takes_its_old_key_along() -> None:
    old = entry(5, 1)
    (step,) = steps([old], [request(1, subnet=IPv4Network("10.244.9.0/24"))])
    assert (step.granted.done, step.deletes) == (CREATED, (old,))
    compares, operations = decoded(etcd_plan.transaction(KEYS, [step], 0, 40, 3))
    assert compares[-1] == (old.key, "EQUAL", 5, False)
    assert operations == [("request_put", step.key, None), ("request_delete_range", old.key, None)]


def test_swapped_pins_put_over_each_other_and_delete_nothing() -> None:
    entries = [entry(1, 1, version=8), entry(2, 2, version=9)]
    swapped = steps(
        entries,
        [request(1, subnet=IPv4Network("10.244.2.0/24")), request(2, subnet=IPv4Network("10.244.1.0/24"))],
    )
    assert [(step.version, step.deletes) for step in swapped] == [(9, ()), (8, ())]


def test_irregular_key_is_replaced_by_the_regular_one() -> None:
    stray = entry(5, 1, key="/net/subnets/x10.244.5.0-24")
    (step,) = steps([stray], [request(1)])
    assert (step.key, step.version, step.deletes) == ("/net/subnets/10.244.5.0-24", 0, (stray,))


@pytest.mark.parametrize(
    ("data", "reason"), [(float("nan"), "NaN is not a JSON number"), ((1, 2), "nothing was written")]
)
def test_value_that_would_not_read_back_is_not_written(data: Any, reason: str) -> None:
    decisions = [Decision(request(1), IPv4Network("10.244.5.0/24"), None, "allocated")]

    def poison(_decision: Decision, _existing: Lease | None) -> Lease:
        return Lease(IPv4Network("10.244.5.0/24"), backend_type="host-gw", backend_data=data)

    with pytest.raises(InputError, match=reason):
        etcd_plan.plan(KEYS, [], decisions, poison, ttl=None, remaining={})


def test_no_lease_is_written_that_stops_every_flanneld() -> None:
    config = network_config.parse({"Network": "64.0.0.0/2", "SubnetMin": "127.0.0.0", "Backend": {"Type": "vxlan"}})

    def vxlan(decision: Decision, _existing: Lease | None) -> Lease:
        return Lease(decision.subnet, None, decision.request.public_ip, None, "vxlan", {"VNI": 1, "VtepMAC": MAC})

    decisions = allocate(config, [], [request(1)], choice="random")
    planned = etcd_plan.plan(KEYS, [], decisions, vxlan, ttl=None, remaining={})
    with pytest.raises(
        InputError, match=r"lease 127\.0\..* of node-1 would stop every running flanneld: no route can lead"
    ):
        etcd_plan.check_harmless(config, planned)
    etcd_plan.check_harmless(VXLAN, [replace(step, granted=replace(step.granted, done=UNCHANGED)) for step in planned])


VXLAN = network_config.parse({"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}})
MAC = "4a:00:00:00:00:01"


def vxlan_entry(number: int, address: int, mac: str = MAC) -> Entry:
    bare = entry(number, address)
    lease = replace(bare.lease, backend_type="vxlan", backend_data={"VNI": 1, "VtepMAC": mac})
    return replace(bare, value=encode_value(lease), lease=lease)


def vxlan_steps(entries: list[Entry], requests: list[Request], macs: dict[str, str]) -> list[etcd_plan.Step]:
    def wanted(decision: Decision, existing: Lease | None) -> Lease:
        data = {"VNI": 1, "VtepMAC": macs[decision.request.name]}
        return Lease(decision.subnet, None, decision.request.public_ip, None, "vxlan", data)

    decisions = allocate(VXLAN, [one.lease for one in entries], requests, seed=1)
    return etcd_plan.plan(KEYS, entries, decisions, wanted, ttl=None, remaining={})


def test_mac_of_another_hosts_lease_is_not_written() -> None:
    """A node that has moved to another address, or another inventory's node of the same name."""
    with pytest.raises(ConflictError) as caught:
        vxlan_steps([vxlan_entry(5, 1, MAC.upper())], [request(2)], {"node-2": MAC})
    message = str(caught.value)
    assert message.startswith("node-2: its lease 10.244.")
    assert "of public IP 198.18.0.2 would have VTEP MAC 4a:00:00:00:00:01" in message
    assert "lease 10.244.5.0/24 of public IP 198.18.0.1 too" in message
    assert "nodes=[{name: node-2, subnet: 10.244.5.0/24}]" in message


def test_mac_of_another_node_of_the_request_is_not_written() -> None:
    with pytest.raises(ConflictError, match=r"public IP 198\.18\.0\.2 \(node-2\) too"):
        vxlan_steps([], [request(1), request(2)], {"node-1": MAC, "node-2": MAC})


def test_mac_that_a_lease_gives_up_may_be_written() -> None:
    other = "4a:00:00:00:00:02"
    entries = [vxlan_entry(5, 1), vxlan_entry(6, 2, other)]
    swapped = vxlan_steps(entries, [request(1), request(2)], {"node-1": other, "node-2": MAC})
    assert [step.granted.done for step in swapped] == [UPDATED, UPDATED]
    moved = vxlan_steps(entries[:1], [request(1, subnet=IPv4Network("10.244.9.0/24"))], {"node-1": MAC})
    assert [step.granted.done for step in moved] == [CREATED]


def test_shared_mac_that_stands_already_stops_no_other_node() -> None:
    entries = [vxlan_entry(5, 1), vxlan_entry(6, 2)]
    other = "4a:00:00:00:00:03"
    found = vxlan_steps(entries, [request(1), request(3)], {"node-1": MAC, "node-3": other})
    assert [step.granted.done for step in found] == [UNCHANGED, CREATED]


def test_key_that_flanneld_could_not_read_is_not_written() -> None:
    decisions = [Decision(request(1), IPv4Network("10.244.5.0/32"), None, "allocated")]
    with pytest.raises(InputError, match="/32"):
        etcd_plan.plan(KEYS, [], decisions, want, ttl=None, remaining={})


@given(st.lists(st.integers(0, 4), max_size=400))
def test_batches_fit_one_transaction_and_lose_nothing(sizes: list[int]) -> None:
    (template,) = steps([], [request(1)])
    given_steps = [
        replace(template, key=f"k{place}", deletes=tuple(entry(number, 1) for number in range(size)))
        for place, size in enumerate(sizes)
    ]
    batches = list(etcd_plan.batches(given_steps))
    assert sorted(step.key for batch in batches for step in batch) == sorted(step.key for step in given_steps)
    for batch in batches:
        transaction = etcd_plan.transaction(KEYS, batch, 0, 1, 1)
        assert len(transaction["compare"]) <= etcd_json.MAX_TXN_OPS
        assert len(transaction["success"]) <= etcd_json.MAX_TXN_OPS
    freeing = [bool(step.deletes) for batch in batches for step in batch]
    assert freeing == sorted(freeing, reverse=True)


def pair(key: str, value: str, **more: Any) -> dict[str, Any]:
    return {"key": etcd_json.encode(key), "value": etcd_json.encode(value), "mod_revision": "4", **more}


def test_read_entry() -> None:
    stored = entry(5, 1, version=4, handle=7)
    assert etcd_plan.read_entry(KEYS, pair(stored.key, stored.value, lease="7")) == (stored, None, None)


@pytest.mark.parametrize(
    ("key", "value", "kind"),
    [
        ("/net/subnets/garbage", "x", "unreadable_key"),
        ("/net/subnets/10.244.5.0-32", "{}", "unreadable_key"),
        ("/net/subnets", "x", "unreadable_key"),
        ("/net/subnets/10.244.5.0-24", "", "unreadable_value"),
        ("/net/subnets/10.244.5.0-24", "[]", "unreadable_value"),
        ("/net/subnets/10.244.5.0-24", '{"PublicIP":"nobody"}', "unreadable_value"),
        ("/net/subnets/10.244.5.7-24", '{"PublicIP":"198.18.0.1"}', "irregular_key"),
        ("/net/subnets-x/10.244.5.0-24", '{"PublicIP":"198.18.0.1"}', "irregular_key"),
    ],
)
def test_what_is_wrong_is_named(key: str, value: str, kind: str) -> None:
    found, blocked, problem = etcd_plan.read_entry(KEYS, pair(key, value))
    assert problem is not None
    assert (problem.kind, problem.key) == (kind, key)
    assert repr(key) in problem.message
    assert (blocked is not None) == (kind == "unreadable_value")
    assert (found is not None) == (kind == "irregular_key")


@given(st.binary(), st.binary())
def test_no_key_or_value_crashes(tail: bytes, value: bytes) -> None:
    raw = {"key": base64.b64encode(b"/net/subnets/" + tail).decode(), "value": base64.b64encode(value).decode()}
    found, blocked, problem = etcd_plan.read_entry(KEYS, raw)
    assert found is not None or problem is not None
    for one in (found, blocked):
        assert one is None or base64.b64decode(etcd_json.encode(one.key)) == b"/net/subnets/" + tail
    if problem is not None:
        json.dumps(problem.key).encode("ascii")
        problem.key.encode()
        problem.message.encode()


def test_keys_count_as_flanneld_lists_them() -> None:
    assert (KEYS.first, KEYS.end) == ("/net/subnets", "/net/subnett")
    assert KEYS.first < "/net/subnets-old/x" < KEYS.end
