# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pods that show whether policies hold, and that they are gone whatever happens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import Unreachable
from ansible_collections.podnet.cni.plugins.module_utils._network_policy_sidecar import proof
from ansible_collections.podnet.cni.tests.unit._kube_standin import KubeStandIn

PATH = "/api/v1/namespaces/proof"
OPTIONS: dict[str, Any] = {
    "namespace": "proof",
    "nodes": ["node-1"],
    "image": "example/idle:1",
    "command": ["sleep", "900"],
    "wait_timeout": 0.2,
}


@pytest.fixture
def standin() -> Iterator[KubeStandIn]:
    with KubeStandIn() as server:
        server.put("/api/v1/nodes/node-1", {"metadata": {"name": "node-1"}})
        yield server


@pytest.fixture
def client(standin: KubeStandIn) -> Iterator[KubeClient]:
    with KubeClient.from_options({"host": standin.url}) as made:
        yield made


def test_pods_without_an_address_are_named_and_everything_is_removed(standin: KubeStandIn, client: KubeClient) -> None:
    with pytest.raises(
        Unreachable, match=r"client-0, closed-0, open-0 have no address .* client-0 on node-1: phase None"
    ):
        proof.start(client, OPTIONS, False, sleep=lambda _seconds: None)
    deleted = [path for method, path, *_rest in standin.log if method == "DELETE"]
    assert deleted == [PATH]


def test_what_is_gone_is_no_change(client: KubeClient) -> None:
    assert proof.remove(client, OPTIONS, False) == {"changed": False, "probes": []}


def test_check_mode_writes_nothing(standin: KubeStandIn, client: KubeClient) -> None:
    assert proof.start(client, OPTIONS, True)["changed"]
    assert {method for method, *_rest in standin.log} == {"GET"}


@given(st.integers(1, 6), st.booleans())
def test_every_node_has_an_open_and_a_closed_target(count: int, dual: bool) -> None:
    """A closed target never comes without an open one on the same node: silence alone shows nothing."""
    names = [f"n{number}" for number in range(count)]
    pods = {
        (role, number): [f"10.0.{number}.{place}", *([f"fd00:{number}::{place}"] if dual else [])]
        for number in range(count)
        for place, role in enumerate(proof.ROLES)
    }
    rows = proof.probes(names, pods)
    assert len(rows) == count * (2 if dual else 1)
    for row in rows:
        expected = {each["name"].rsplit(" ", 1)[1]: set() for each in row["targets"]}  # type: dict[str, set[str]]
        for each in row["targets"]:
            assert (":" in each["address"]) == (":" in row["source_address"])
            expected[each["name"].rsplit(" ", 1)[1]].add(each["expect"])
        assert row["node"] in expected
        assert len(expected) == min(count, 2)
        assert all(answers == {"reachable", "unreachable"} for answers in expected.values())
