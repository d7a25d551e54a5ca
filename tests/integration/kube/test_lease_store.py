# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lease store on Node objects, against a real API server."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError, InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel.allocation import Decision, Request
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import Lease
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._stores.base import AccessError, Event
from ansible_collections.podnet.cni.plugins.module_utils._stores.kubernetes import KubernetesStore, Settings
from ansible_collections.podnet.cni.tests.integration import _kube
from ansible_collections.podnet.cni.tests.integration.kube._leases import CONFIG, NODES, PREFIX, annotations, prepare

pytestmark = pytest.mark.kube

DUAL = {**CONFIG, "EnableIPv6": True, "IPv6Network": "fd00:10:44::/56"}


def want(decision: Decision, before: Lease | None) -> Lease:
    """A vxlan lease with a MAC that tells the node's public address, or the one it had."""
    request = decision.request
    lease = Lease(
        decision.subnet,
        decision.ipv6_subnet,
        request.public_ip,
        request.public_ipv6,
        backend_type="vxlan",
        backend_data={"VNI": 1, "VtepMAC": "02:00:00:00:00:04"},
        backend_v6_data={"VNI": 1, "VtepMAC": "02:00:00:00:00:06"} if request.public_ipv6 else None,
    )
    if before is None:
        return lease
    return replace(lease, backend_data=before.backend_data, backend_v6_data=before.backend_v6_data)


@pytest.fixture
def limited(kube: _kube.KubeServer) -> Path:
    """A kubeconfig with exactly the rights that the documentation ships."""
    return prepare(kube)


@pytest.fixture
def clean(kube: _kube.KubeServer, limited: Path) -> Iterator[_kube.KubeServer]:
    """The cluster with flannel's ConfigMap and without Nodes."""
    yield kube
    kube.api("DELETE", NODES)


def store(kubeconfig: Path, **settings: Any) -> KubernetesStore:
    return KubernetesStore(KubeClient.from_options({"kubeconfig": str(kubeconfig)}), Settings(**settings))


def request(name: str, address: str, **more: Any) -> Request:
    return Request(name, IPv4Address(address), **more)


def test_a_node_is_annotated_as_flanneld_does_it(clean: _kube.KubeServer, limited: Path) -> None:
    clean.apply(_kube.node("one", ["10.44.1.0/24"], {"example.org/x": "1"}))
    leases = store(limited)
    mark = clean.audit_mark()
    granted = leases.acquire(leases.require_config(), [request("one", "198.18.0.1")], want)[0]
    assert (granted.done, granted.reason, str(granted.lease.subnet)) == ("created", "assigned", "10.44.1.0/24")
    assert annotations(clean, "one") == {
        "example.org/x": "1",
        PREFIX + "backend-data": '{"VNI":1,"VtepMAC":"02:00:00:00:00:04"}',
        PREFIX + "backend-type": "vxlan",
        PREFIX + "kube-subnet-manager": "true",
        PREFIX + "public-ip": "198.18.0.1",
    }
    writes = [event for event in clean.audit(mark) if event["verb"] not in ("get", "list")]
    assert [(event["verb"], event["objectRef"]["subresource"]) for event in writes] == [("patch", "status")]
    assert leases.list_leases().leases == [granted.lease]


def test_the_second_time_nothing_is_written(clean: _kube.KubeServer, limited: Path) -> None:
    clean.apply(_kube.node("one", ["10.44.1.0/24"]))
    leases = store(limited)
    stored = leases.require_config()
    leases.acquire(stored, [request("one", "198.18.0.1")], want)
    mark = clean.audit_mark()
    granted = leases.acquire(stored, [request("one", "198.18.0.1")], want)[0]
    assert (granted.done, granted.decision.reason) == ("unchanged", "reused")
    assert {event["verb"] for event in clean.audit(mark)} == {"get"}


def test_dual_stack(clean: _kube.KubeServer, limited: Path) -> None:
    clean.apply(_kube.node("one", ["10.44.1.0/24", "fd00:10:44:1::/64"]))
    leases = store(limited, network_config=DUAL)
    both = request("one", "198.18.0.1", public_ipv6=IPv6Address("fd00:18::1"))
    leases.acquire(leases.require_config(), [both], want)
    found = annotations(clean, "one")
    assert found[PREFIX + "public-ipv6"] == "fd00:18::1"
    assert found[PREFIX + "backend-v6-data"] == '{"VNI":1,"VtepMAC":"02:00:00:00:00:06"}'
    lease = leases.list_leases().leases[0]
    assert (str(lease.subnet), str(lease.ipv6_subnet)) == ("10.44.1.0/24", "fd00:10:44:1::/64")


def test_dry_run_writes_nothing(clean: _kube.KubeServer, limited: Path) -> None:
    clean.apply(_kube.node("one", ["10.44.1.0/24"]))
    leases = store(limited, create_nodes=True)
    new = request("edge", "198.18.0.9", subnet=IPv4Network("10.44.9.0/24"))
    mark = clean.audit_mark()
    granted = leases.acquire(leases.require_config(), [request("one", "198.18.0.1"), new], want, dry_run=True)
    assert [item.done for item in granted] == ["created", "created"]
    assert {event["verb"] for event in clean.audit(mark)} <= {"get", "list"}


def test_the_operators_public_ip_wins(clean: _kube.KubeServer, limited: Path) -> None:
    clean.apply(_kube.node("one", ["10.44.1.0/24"], {PREFIX + "public-ip-overwrite": "198.18.7.7"}))
    leases = store(limited)
    granted = leases.acquire(leases.require_config(), [request("one", "198.18.0.1")], want)[0]
    assert str(granted.lease.public_ip) == "198.18.7.7"
    assert annotations(clean, "one")[PREFIX + "public-ip"] == "198.18.7.7"


def test_without_a_public_ip_the_nodes_own_address_counts(clean: _kube.KubeServer, limited: Path) -> None:
    clean.apply(_kube.node("one", ["10.44.1.0/24"]))
    leases = store(limited)
    with pytest.raises(InputError, match="node one needs public_ip"):
        leases.acquire(leases.require_config(), [Request("one")], want)
    status = {"status": {"addresses": [{"type": "InternalIP", "address": "198.18.0.5"}]}}
    clean.api("PATCH", f"{NODES}/one/status", status, "application/merge-patch+json")
    leases.acquire(leases.require_config(), [Request("one")], want)
    assert annotations(clean, "one")[PREFIX + "public-ip"] == "198.18.0.5"


def test_an_unusable_overwrite_is_refused(clean: _kube.KubeServer, limited: Path) -> None:
    clean.apply(_kube.node("one", ["10.44.1.0/24"], {PREFIX + "public-ip-overwrite": "nat.example"}))
    leases = store(limited)
    with pytest.raises(InputError, match=r"public-ip-overwrite 'nat.example' is not an address that flanneld reads"):
        leases.acquire(leases.require_config(), [request("one", "198.18.0.1")], want)
    assert PREFIX + "public-ip" not in annotations(clean, "one")


@pytest.mark.parametrize(
    ("cidrs", "text"),
    [((), "has no podCIDR"), (("10.99.1.0/24",), "not inside 10.44.0.0/16"), (("fd00::/64",), "no IPv4 podCIDR")],
)
def test_nodes_flannel_cannot_serve(clean: _kube.KubeServer, limited: Path, cidrs: tuple[str, ...], text: str) -> None:
    clean.apply(_kube.node("good", ["10.44.2.0/24"]), _kube.node("bad", cidrs))
    leases = store(limited)
    with pytest.raises((ConflictError, InputError), match=text):
        leases.acquire(leases.require_config(), [request("good", "198.18.0.2"), request("bad", "198.18.0.1")], want)
    assert PREFIX + "public-ip" not in annotations(clean, "good")


def test_an_unknown_node_is_refused(clean: _kube.KubeServer, limited: Path) -> None:
    leases = store(limited)
    with pytest.raises(ConflictError, match="no Node edge"):
        leases.acquire(leases.require_config(), [request("edge", "198.18.0.1")], want)


def test_a_pin_that_is_not_the_pod_cidr_is_refused(clean: _kube.KubeServer, limited: Path) -> None:
    clean.apply(_kube.node("one", ["10.44.1.0/24"]))
    leases = store(limited)
    pinned = request("one", "198.18.0.1", subnet=IPv4Network("10.44.2.0/24"))
    with pytest.raises(ConflictError, match="cannot change"):
        leases.acquire(leases.require_config(), [pinned], want)


def test_an_external_host_joins_and_leaves(clean: _kube.KubeServer, limited: Path) -> None:
    leases = store(limited, create_nodes=True)
    pinned = request("edge", "198.18.0.9", subnet=IPv4Network("10.44.9.0/24"))
    granted = leases.acquire(leases.require_config(), [pinned], want)[0]
    node = clean.api("GET", f"{NODES}/edge")
    assert node["spec"]["unschedulable"] is True
    effects = {taint["effect"] for taint in node["spec"]["taints"] if taint["key"] == "podnet.cni/external-node"}
    assert effects == {"NoSchedule", "NoExecute"}
    assert node["spec"]["podCIDRs"] == ["10.44.9.0/24"]
    assert node["metadata"]["annotations"][PREFIX + "public-ip"] == "198.18.0.9"
    assert leases.list_leases().leases == [granted.lease]
    assert leases.acquire(leases.require_config(), [pinned], want)[0].done == "unchanged"
    assert leases.release(lambda lease: lease.name == "edge", dry_run=True) == [granted.lease]
    assert leases.release(lambda lease: lease.name == "edge") == [granted.lease]
    assert clean.api("GET", NODES)["items"] == []


def test_an_external_host_waits_for_its_pod_cidr(clean: _kube.KubeServer, limited: Path) -> None:
    """The test plays the controller manager that hands out pod CIDRs."""
    leases = store(limited, create_nodes=True)

    def assign() -> None:
        for _attempt in range(100):
            names = [node["metadata"]["name"] for node in clean.api("GET", NODES)["items"]]
            if "edge" in names:
                body = {"spec": {"podCIDR": "10.44.8.0/24", "podCIDRs": ["10.44.8.0/24"]}}
                clean.api("PATCH", f"{NODES}/edge", body, "application/merge-patch+json")
                return
            time.sleep(0.1)

    controller = threading.Thread(target=assign)
    controller.start()
    granted = leases.acquire(leases.require_config(), [request("edge", "198.18.0.9")], want)[0]
    controller.join()
    assert (granted.done, granted.reason, str(granted.lease.subnet)) == ("created", "created", "10.44.8.0/24")
    assert annotations(clean, "edge")[PREFIX + "public-ip"] == "198.18.0.9"


def test_an_external_host_without_pod_cidr_leaves_nothing_behind(clean: _kube.KubeServer, limited: Path) -> None:
    leases = store(limited, create_nodes=True, assign_timeout=0.5)
    with pytest.raises(ConflictError, match=r"no podCIDR within 0.5 s"):
        leases.acquire(leases.require_config(), [request("edge", "198.18.0.9")], want)
    assert clean.api("GET", NODES)["items"] == []


def test_an_external_host_may_not_take_a_nodes_subnet(clean: _kube.KubeServer, limited: Path) -> None:
    clean.apply(_kube.node("one", ["10.44.0.0/20"]))
    leases = store(limited, create_nodes=True)
    pinned = request("edge", "198.18.0.9", subnet=IPv4Network("10.44.9.0/24"))
    with pytest.raises(ConflictError, match=r"overlaps 10.44.0.0/20 of node one"):
        leases.acquire(leases.require_config(), [pinned], want)


def test_release_of_a_cluster_node_keeps_the_node(clean: _kube.KubeServer, limited: Path) -> None:
    clean.apply(_kube.node("one", ["10.44.1.0/24"], {PREFIX + "public-ip-overwrite": "198.18.7.7"}))
    leases = store(limited)
    leases.acquire(leases.require_config(), [request("one", "198.18.0.1")], want)
    assert len(leases.release(lambda lease: lease.name == "one")) == 1
    assert annotations(clean, "one") == {PREFIX + "public-ip-overwrite": "198.18.7.7"}
    assert leases.list_leases().leases == []


def test_nodes_that_peers_skip_are_reported(clean: _kube.KubeServer, limited: Path) -> None:
    managed = {PREFIX + "kube-subnet-manager": "true"}
    clean.apply(
        _kube.node("ignored", ["10.44.1.0/24"]),
        _kube.node("bare", ["10.44.2.0/24"], managed),
        _kube.node("broken", ["10.44.3.0/24"], {**managed, PREFIX + "public-ip": "198.18.0", "x.y/z": "1"}),
        _kube.node("whole", ["10.44.4.0/24"], {**managed, PREFIX + "public-ip": "198.18.0.4"}),
    )
    listing = store(limited).list_leases()
    assert [lease.name for lease in listing.leases] == ["whole"]
    assert [(problem.kind, problem.key) for problem in listing.problems] == [
        ("unreadable_node", "bare"),
        ("unreadable_node", "broken"),
    ]
    assert {str(lease.subnet) for lease in listing.taken} == {f"10.44.{n}.0/24" for n in (1, 2, 3, 4)}


def test_a_lost_race_is_repeated(clean: _kube.KubeServer, limited: Path) -> None:
    clean.apply(_kube.node("one", ["10.44.1.0/24"]))
    leases = store(limited)
    disturbed: list[bool] = []

    def disturb(decision: Decision, before: Lease | None) -> Lease:
        if not disturbed:
            disturbed.append(True)
            body = {"metadata": {"annotations": {PREFIX + "public-ip-overwrite": "198.18.7.7"}}}
            clean.api("PATCH", f"{NODES}/one", body, "application/merge-patch+json")
        return want(decision, before)

    granted = leases.acquire(leases.require_config(), [request("one", "198.18.0.1")], disturb)[0]
    assert annotations(clean, "one")[PREFIX + "public-ip"] == "198.18.7.7"
    assert str(granted.lease.public_ip) == "198.18.7.7"


def test_missing_and_broken_config(clean: _kube.KubeServer, limited: Path) -> None:
    assert store(clean.admin, config_map="kube-flannel-cfg", namespace="elsewhere").read_config() is None
    with pytest.raises(ConflictError, match=r"elsewhere/kube-flannel-cfg"):
        store(clean.admin, namespace="elsewhere").require_config()
    with pytest.raises(AccessError, match="is forbidden"):
        store(limited, namespace="elsewhere").read_config()
    path = "/api/v1/namespaces/kube-flannel/configmaps/kube-flannel-cfg"
    body = {"data": {"net-conf.json": '{"Network": '}}
    clean.api("PATCH", path, body, "application/merge-patch+json")
    with pytest.raises(ConflictError, match="is not JSON"):
        store(limited).require_config()


def test_a_user_without_rights_is_told_so(clean: _kube.KubeServer) -> None:
    nobody = clean.limited_kubeconfig("nobody", [])
    with pytest.raises(AccessError, match="cannot list resource"):
        store(nobody).list_leases()


def test_another_annotation_prefix(clean: _kube.KubeServer, limited: Path) -> None:
    clean.apply(_kube.node("one", ["10.44.1.0/24"]))
    leases = store(limited, annotation_prefix="example.org/edge")
    leases.acquire(leases.require_config(), [request("one", "198.18.0.1")], want)
    assert annotations(clean, "one")["example.org/edge-public-ip"] == "198.18.0.1"
    assert store(limited).list_leases().leases == []


class Follower:
    """Collects the events of a watch in a thread."""

    def __init__(self, leases: KubernetesStore) -> None:
        self.events: list[Event] = []
        self._stop = threading.Event()
        self._leases = leases
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        for event in self._leases.watch(self._stop.is_set, poll=0.1):
            self.events.append(event)

    def __enter__(self) -> Follower:
        self._thread.start()
        self.until(lambda: bool(self.events))
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stop.set()
        self._thread.join(20)
        assert not self._thread.is_alive()

    def until(self, condition: Callable[[], bool], seconds: float = 20) -> None:
        """Wait until a condition holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.events
            time.sleep(0.05)

    def seen(self) -> list[tuple[str, str]]:
        """Kind and node of every event about one lease."""
        return [(event.kind, event.lease.name) for event in self.events if event.lease is not None]


def annotate(kube: _kube.KubeServer, name: str, **values: str | None) -> None:
    body = {"metadata": {"annotations": {PREFIX + key.replace("_", "-"): value for key, value in values.items()}}}
    kube.api("PATCH", f"{NODES}/{name}/status", body, "application/merge-patch+json")


def join(kube: _kube.KubeServer, name: str, number: int) -> None:
    kube.apply(_kube.node(name, [f"10.44.{number}.0/24"]))
    annotate(
        kube,
        name,
        kube_subnet_manager="true",
        backend_type="vxlan",
        backend_data='{"VNI":1,"VtepMAC":"02:00:00:00:00:04"}',
        public_ip=f"198.18.0.{number}",
    )


def test_watch_reports_leases_and_not_heartbeats(clean: _kube.KubeServer, limited: Path) -> None:
    join(clean, "old", 1)
    with Follower(store(limited)) as follower:
        assert [lease.name for lease in follower.events[0].leases] == ["old"]
        join(clean, "new", 2)
        clean.api("PATCH", f"{NODES}/new/status", {"status": {"phase": "Running"}}, "application/merge-patch+json")
        annotate(clean, "new", public_ip="198.18.0.99")
        clean.api("DELETE", f"{NODES}/old")
        follower.until(lambda: len(follower.seen()) >= 3)
    assert follower.seen() == [("added", "new"), ("updated", "new"), ("removed", "old")]


def test_watch_survives_a_restart_without_loss_or_repetition(own_kube: _kube.KubeServer) -> None:
    """The server is killed, leases change while the watcher is cut off, and old versions are forgotten."""
    join(own_kube, "stays", 1)
    join(own_kube, "leaves", 2)
    with Follower(store(own_kube.admin, network_config=CONFIG)) as follower:
        join(own_kube, "first", 3)
        follower.until(lambda: ("added", "first") in follower.seen())
        own_kube.stop_apiserver(kill=True)
        follower.until(lambda: any(event.kind == "problem" for event in follower.events))
        own_kube.compact()
        own_kube.start_apiserver()
        own_kube.api("DELETE", f"{NODES}/leaves")
        join(own_kube, "second", 4)
        follower.until(lambda: len(follower.seen()) >= 3)
        join(own_kube, "third", 5)
        follower.until(lambda: len(follower.seen()) >= 4)
    added = [("added", name) for name in ("first", "second", "third")]
    assert sorted(follower.seen()) == [*added, ("removed", "leaves")]
    assert [event.kind for event in follower.events].count("problem") == 1
