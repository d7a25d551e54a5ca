# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lease store on Nodes against the stand-in, for machines where no API server can be had."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError, InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel.allocation import Decision, Request
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import Lease
from ansible_collections.podnet.cni.plugins.module_utils._kube.auth import Auth
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._stores import kubernetes_nodes, tasks
from ansible_collections.podnet.cni.plugins.module_utils._stores.base import (
    AccessError,
    Event,
    LostRaceError,
    Problem,
    StoreError,
    UnreachableError,
)
from ansible_collections.podnet.cni.plugins.module_utils._stores.kubernetes import (
    EXAMPLE,
    FEW,
    KubernetesStore,
    Settings,
    open_store,
)
from ansible_collections.podnet.cni.tests.unit._kube_standin import Fault, KubeStandIn

PREFIX = "flannel.alpha.coreos.com/"
NODES = "/api/v1/nodes"
CONFIG = {"Network": "10.44.0.0/16", "Backend": {"Type": "host-gw"}}


@pytest.fixture
def standin() -> Iterator[KubeStandIn]:
    with KubeStandIn() as server:
        data = {"net-conf.json": json.dumps(CONFIG)}
        server.put("/api/v1/namespaces/kube-flannel/configmaps/kube-flannel-cfg", {"kind": "ConfigMap", "data": data})
        yield server


def opened(standin: KubeStandIn, **settings: Any) -> KubernetesStore:
    client = KubeClient(Auth(host=standin.url), sleep=lambda _seconds: None)
    return KubernetesStore(client, Settings(**settings), sleep=lambda _seconds: None)


def put(standin: KubeStandIn, name: str, number: int, **annotations: str) -> None:
    named = {PREFIX + key.replace("_", "-"): value for key, value in annotations.items()}
    item = {"metadata": {"name": name, "annotations": named}, "spec": {"podCIDRs": [f"10.44.{number}.0/24"]}}
    standin.put(f"{NODES}/{name}", {"kind": "Node", **item})


def annotated(standin: KubeStandIn, name: str, number: int) -> None:
    address = f"198.18.0.{number}"
    put(standin, name, number, kube_subnet_manager="true", backend_type="host-gw", public_ip=address)


def want(decision: Decision, _before: Lease | None) -> Lease:
    return Lease(decision.subnet, public_ip=decision.request.public_ip, backend_type="host-gw")


def requests(*numbers: int) -> list[Request]:
    return [Request(f"n{number}", IPv4Address(f"198.18.0.{number}")) for number in numbers]


@pytest.mark.parametrize("count", [2, FEW + 1])
def test_few_nodes_are_read_one_by_one_and_many_at_once(standin: KubeStandIn, count: int) -> None:
    numbers = list(range(1, count + 1))
    for number in numbers:
        put(standin, f"n{number}", number)
    leases = opened(standin)
    stored = leases.require_config()
    standin.log.clear()
    granted = leases.acquire(stored, requests(*numbers), want)
    assert [str(one.lease.subnet) for one in granted] == [f"10.44.{number}.0/24" for number in numbers]
    assert len(standin.requests("PATCH")) == count
    assert len(standin.requests("GET")) == (1 if count > FEW else count)


def test_nothing_is_written_when_one_request_cannot_be_met(standin: KubeStandIn) -> None:
    put(standin, "n1", 1)
    leases = opened(standin)
    with pytest.raises(ConflictError, match="no Node n2"):
        leases.acquire(leases.require_config(), requests(1, 2), want)
    assert standin.requests("PATCH") == []


def test_two_nodes_cannot_have_one_address(standin: KubeStandIn) -> None:
    put(standin, "n1", 1)
    put(standin, "n2", 2)
    leases = opened(standin)
    shared = [replace(request, public_ip=IPv4Address("198.18.0.1")) for request in requests(1, 2)]
    with pytest.raises(InputError, match=r"n1 and n2 have the same public address 198.18.0.1"):
        leases.acquire(leases.require_config(), shared, want)


def test_a_dry_run_gives_a_new_node_a_free_subnet_as_an_example(standin: KubeStandIn) -> None:
    """What the cluster will give it nobody knows, and without one nothing behind it can be planned."""
    annotated(standin, "n1", 1)
    leases = opened(standin, create_nodes=True)
    pinned = Request("pinned", IPv4Address("198.18.0.8"), subnet=IPv4Network("10.44.8.0/24"))
    granted = leases.acquire(leases.require_config(), [*requests(1, 2, 3), pinned], want, dry_run=True)
    subnets = [one.lease.subnet for one in granted]
    assert subnets[0] == IPv4Network("10.44.1.0/24")
    assert subnets[3] == pinned.subnet
    assert len(set(subnets)) == 4
    assert all(subnet is not None and subnet.subnet_of(IPv4Network("10.44.0.0/16")) for subnet in subnets)
    assert [one.reason for one in granted][1:3] == [EXAMPLE, EXAMPLE]
    assert granted[1].lease.public_ip == IPv4Address("198.18.0.2")
    assert standin.requests("POST") == standin.requests("PATCH") == []


def test_external_nodes_may_not_overlap_one_another(standin: KubeStandIn) -> None:
    leases = opened(standin, create_nodes=True)
    first, second = requests(1, 2)
    pinned = [
        replace(first, subnet=IPv4Network("10.44.9.0/24")),
        replace(second, subnet=IPv4Network("10.44.9.128/25")),
    ]
    with pytest.raises(ConflictError, match=r"n2: subnet 10.44.9.128/25 overlaps 10.44.9.0/24 of node n1"):
        leases.acquire(leases.require_config(), pinned, want)
    assert standin.requests("POST") == []


def test_races_lost_again_and_again_are_given_up(standin: KubeStandIn) -> None:
    put(standin, "n1", 1)
    leases = opened(standin)
    stored = leases.require_config()
    standin.faults.extend([Fault(409, when=lambda method, _path: method == "PATCH")] * 10)
    with pytest.raises(LostRaceError):
        leases.acquire(stored, requests(1), want)
    assert len(standin.requests("PATCH")) == 5


def test_a_failure_half_way_says_what_was_written(standin: KubeStandIn) -> None:
    put(standin, "n1", 1)
    put(standin, "n2", 2)
    leases = opened(standin)
    stored = leases.require_config()
    standin.faults.append(Fault(403, when=lambda _method, path: path == f"{NODES}/n2/status"))
    with pytest.raises(StoreError, match="1 of 2 leases were written"):
        leases.acquire(stored, requests(1, 2), want)
    assert PREFIX + "public-ip" in standin.objects[f"{NODES}/n1"]["metadata"]["annotations"]


def test_release_of_unreadable_nodes(standin: KubeStandIn) -> None:
    put(standin, "half", 3, kube_subnet_manager="true")
    put(standin, "plain", 4)
    leases = opened(standin)
    assert [lease.name for lease in leases.release(lambda _lease: True)] == ["half"]
    assert standin.objects[f"{NODES}/half"]["metadata"]["annotations"] == {}


def test_errors_of_the_client_become_the_stores(standin: KubeStandIn) -> None:
    leases = opened(standin)
    standin.denied = lambda verb, _path: verb == "list"
    with pytest.raises(AccessError, match="cannot list"):
        leases.list_leases()
    standin.faults.extend([Fault(0)] * 2)
    with pytest.raises(UnreachableError):
        leases.read_config()


def test_leases_without_end(standin: KubeStandIn) -> None:
    annotated(standin, "n1", 1)
    leases = opened(standin)
    with pytest.raises(InputError, match="do not expire"):
        leases.acquire(leases.require_config(), requests(1), want, ttl=60)
    with pytest.raises(InputError, match="manifest"):
        leases.write_config("{}", None, leases.list_leases())


def test_watch_goes_on_after_forgetting_and_outage(standin: KubeStandIn) -> None:
    annotated(standin, "n1", 1)
    annotated(standin, "n2", 2)
    events = opened(standin).watch(lambda: False, poll=0.05)
    assert [lease.name for lease in next(events).leases] == ["n1", "n2"]
    annotated(standin, "n3", 3)
    standin.remove(f"{NODES}/n1")
    standin.forget()
    # The version the watch starts from is gone by now, so the whole list is read again and compared.
    assert next_leases(events, 2) == [("removed", "n1"), ("added", "n3")]
    annotated(standin, "n4", 4)
    assert next_leases(events, 1) == [("added", "n4")]
    events.close()


def test_an_outage_is_reported_once_and_got_over(standin: KubeStandIn) -> None:
    annotated(standin, "n1", 1)
    events = opened(standin).watch(lambda: False, poll=0.05)
    next(events)
    standin.faults.extend([Fault(503)] * 3)
    annotated(standin, "n2", 2)
    first, second = next(events), next(events)
    assert first.problem is not None
    assert (first.kind, first.problem.kind) == ("problem", "unreachable")
    assert second.kind == "added"
    events.close()


def problem_of(event: Event) -> Problem:
    assert event.problem is not None
    return event.problem


def test_an_unreadable_node_is_a_problem_once(standin: KubeStandIn) -> None:
    put(standin, "half", 1, kube_subnet_manager="true")
    events = opened(standin).watch(lambda: False, poll=0.05)
    assert next(events).kind == "snapshot"
    told = problem_of(next(events))
    assert (told.kind, told.key) == ("unreadable_node", "half")
    put(standin, "other", 3, kube_subnet_manager="true")
    standin.forget()
    assert problem_of(next(events)).key == "other", "the whole list is read again, and only what is new is told"
    for beat in range(3):
        item = standin.objects[f"{NODES}/half"]
        standin.put(f"{NODES}/half", {**item, "status": {"beat": beat}})
    annotated(standin, "n2", 2)
    assert next_leases(events, 1) == [("added", "n2")], "the heartbeats of its kubelet are no news"
    put(standin, "half", 1, kube_subnet_manager="true", public_ip="nonsense")
    changed = problem_of(next(events))
    assert changed.key == "half"
    assert changed.message != told.message
    annotated(standin, "half", 1)
    assert next_leases(events, 1) == [("added", "half")]
    put(standin, "half", 1, kube_subnet_manager="true")
    assert problem_of(next(events)) == told, "what comes back is told again"
    assert next_leases(events, 1) == [("removed", "half")]
    events.close()


DUAL = {"EnableIPv6": True, "Network": "10.44.0.0/16", "IPv6Network": "fd00:18:44::/48", "Backend": {"Type": "host-gw"}}


def test_the_watch_reads_the_network_config(standin: KubeStandIn) -> None:
    """In a dual-stack network flanneld skips a Node that is annotated for IPv4 alone."""
    annotated(standin, "n1", 1)
    events = opened(standin, network_config=DUAL).watch(lambda: False, poll=0.05)
    assert next(events).leases == ()
    problem = problem_of(next(events))
    assert (problem.kind, problem.key) == ("unreadable_node", "n1")
    assert "n1 has no IPv6 podCIDR" in problem.message
    assert "--cluster-cidr" in problem.remedy
    assert "restart flannel" not in problem.remedy
    events.close()


@pytest.mark.parametrize(
    ("settings", "denied", "words"),
    [
        ({"config_map": "other"}, False, "ConfigMap kube-flannel/other has no net-conf.json"),
        ({}, True, "cannot get"),
    ],
)
def test_a_watch_without_the_network_config_says_so(
    standin: KubeStandIn, settings: dict[str, str], denied: bool, words: str
) -> None:
    annotated(standin, "n1", 1)
    if denied:
        standin.denied = lambda verb, _path: verb == "get"
    events = opened(standin, **settings).watch(lambda: False, poll=0.05)
    assert [lease.name for lease in next(events).leases] == ["n1"]
    problem = problem_of(next(events))
    assert problem.kind == "no_network_config"
    assert words in problem.message
    assert "network_config" in problem.remedy
    events.close()


def next_leases(events: Iterator[Event], count: int) -> list[tuple[str, str]]:
    found = [next(events) for _number in range(count)]
    return [(event.kind, event.lease.name) for event in found if event.lease is not None]


def test_watch_denied_ends(standin: KubeStandIn) -> None:
    events = opened(standin).watch(lambda: False, poll=0.05)
    assert next(events).kind == "snapshot"
    standin.denied = lambda verb, _path: verb == "watch"
    with pytest.raises(AccessError, match="cannot watch"):
        next(events)


def test_release_matches_by_name() -> None:
    nodes: Any = [SimpleNamespace(request=Request("n1"))]
    match = kubernetes_nodes.matcher(nodes)
    assert match(Lease(None, name="n1"))
    assert not match(Lease(None, name="n2"))


def test_secrets_inside_the_options() -> None:
    plugin = {"command": "login", "env": [{"name": "A", "value": "hidden-2"}]}
    user = {"token": "hidden-1", "exec": plugin}
    params = {
        "kubeconfig": {"current-context": "prod", "users": [{"name": "u", "user": user}]},
        "network_config": {"Network": "10.44.0.0/16", "Backend": {"Type": "wireguard", "PSK": "hidden-3"}},
    }
    assert tasks.option_secrets(params) == {"hidden-1", "hidden-2", "hidden-3"}
    assert tasks.option_secrets({"kubeconfig": "/a/path", "network_config": None}) == set()


@pytest.mark.parametrize("timeout", [0, -1, 3601])
def test_timeouts_out_of_range(timeout: float) -> None:
    with pytest.raises(InputError, match="kube_timeout"):
        open_store({"host": "https://192.0.2.1", "kube_timeout": timeout})
