# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The event source: its arguments, the shape of its events, and how it ends. Real stores: tests/integration/eda."""

from __future__ import annotations

import asyncio
import importlib.util
import threading
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import Lease, to_dict
from ansible_collections.podnet.cni.plugins.module_utils._stores import kubernetes_options, options
from ansible_collections.podnet.cni.plugins.module_utils._stores.base import Event, Problem, UnreachableError
from ansible_collections.podnet.cni.plugins.module_utils._stores.etcd import EtcdStore

EXTENSIONS = Path(__file__).parents[4] / "extensions" / "eda"
# By its path, as ansible-rulebook finds it. Not through runpy: ansible-test's import hook takes the file for a package.
_SPEC = importlib.util.spec_from_file_location("flannel_leases", EXTENSIONS / "plugins/event_source/flannel_leases.py")
_MODULE = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_MODULE)
SOURCE = vars(_MODULE)
LEASE = Lease(IPv4Network("10.244.1.0/24"), public_ip=IPv4Address("198.18.0.1"), backend_type="vxlan")


async def run(args: dict[str, Any], count: int = 0) -> list[dict[str, Any]]:
    """Take so many events, then end the source as ansible-rulebook does."""
    queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue(maxsize=1)
    task = asyncio.create_task(SOURCE["main"](queue, args))
    events = [await asyncio.wait_for(queue.get(), 30) for _event in range(count)]
    if count:
        task.cancel()
    await asyncio.gather(task, return_exceptions=bool(count))
    return events


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"store": "consul"}, "store is 'consul'"),
        ({"etcd_endpoint": "x"}, "no option etcd_endpoint"),
        ({"kubeconfig": "x"}, "no option kubeconfig"),
        ({"store": "kubernetes", "etcd_prefix": "/x"}, "no option etcd_prefix"),
        ({"etcd_endpoints": []}, "etcd_endpoints is empty"),
        ({"etcd_timeout": 0}, "etcd_timeout 0"),
        ({"store": "kubernetes", "host": "http://127.0.0.1:9", "kube_timeout": -1}, "kube_timeout -1"),
    ],
)
def test_bad_arguments_end_it_at_once(args: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        asyncio.run(run(args))


def test_no_store_at_the_start_ends_it() -> None:
    with pytest.raises(UnreachableError):
        asyncio.run(run({"etcd_endpoints": ["http://127.0.0.1:9"], "eda_feedback_queue": None}))


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> tuple[list[Event], threading.Event]:
    """Events for the source to find, and whether the watch was told to stop."""
    events: list[Event] = []
    stopped = threading.Event()

    def watch(_store: EtcdStore, stop: Callable[[], bool], *, poll: float) -> Iterator[Event]:
        yield from events
        while not stop():
            threading.Event().wait(min(poll, 0.01))
        stopped.set()

    monkeypatch.setattr(EtcdStore, "watch", watch)
    return events, stopped


def test_events_in_order_and_in_one_shape(watched: tuple[list[Event], threading.Event]) -> None:
    events, stopped = watched
    problem = Problem("bad_key", "k", "message", "remedy")
    events += [
        Event("snapshot", 5, leases=(LEASE,)),
        Event("added", 6, lease=LEASE),
        Event("problem", 7, problem=problem),
    ]
    snapshot, added, broken = asyncio.run(run({}, 3))
    assert snapshot["leases"] == [to_dict(LEASE)]
    assert added == {
        "type": "added",
        "store": "etcd",
        "revision": 6,
        "lease": to_dict(LEASE),
        "leases": [],
        "problem": None,
    }
    assert broken["problem"] == {"kind": "bad_key", "key": "k", "message": "message", "remedy": "remedy"}
    assert stopped.wait(10), "cancelling the source must end the watch"


def test_it_ends_while_nobody_takes_its_events(watched: tuple[list[Event], threading.Event]) -> None:
    events, stopped = watched
    events += [Event("added", number, lease=LEASE) for number in range(5)]
    assert len(asyncio.run(run({}, 1))) == 1
    assert stopped.wait(10)


def test_documented_options_are_the_accepted_ones() -> None:
    documented = yaml.safe_load(SOURCE["DOCUMENTATION"])["options"]
    assert set(documented) == {"store", *options.ETCD_ARGUMENT_SPEC, *SOURCE["_KUBERNETES_OPTIONS"]}
    assert set(SOURCE["_KUBERNETES_OPTIONS"]) <= set(kubernetes_options.KUBERNETES_ARGUMENT_SPEC)
    for name, spec in options.ETCD_ARGUMENT_SPEC.items():
        assert documented[name].get("default") == spec.get("default"), name


def test_example_rulebook_uses_what_there_is() -> None:
    (ruleset,) = yaml.safe_load((EXTENSIONS / "rulebooks" / "flannel_leases.yml").read_text())
    arguments = next(source["podnet.cni.flannel_leases"] for source in ruleset["sources"])
    assert set(arguments) == set(yaml.safe_load(SOURCE["DOCUMENTATION"])["options"])
    playbooks = [
        rule["action"]["run_playbook"]["name"] for rule in ruleset["rules"] if "run_playbook" in rule["action"]
    ]
    assert playbooks == ["podnet.cni.overlay"]
    assert (EXTENSIONS.parents[1] / "playbooks" / "overlay.yml").exists()
