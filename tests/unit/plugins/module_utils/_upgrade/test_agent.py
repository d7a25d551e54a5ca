# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What flanneld answers for where it runs: as a process of the host or in a pod."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._dataplane import plan
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.model import (
    Address,
    FdbEntry,
    Link,
    Neighbour,
    Route,
)
from ansible_collections.podnet.cni.plugins.module_utils._upgrade import agent

LINK = Link("flannel.1", "vxlan", mtu=1450)
ADDRESS = Address("flannel.1", bytes([10, 244, 1, 0]), 32)
ROUTE = Route(bytes([10, 244, 2, 0]), 24, bytes([10, 244, 2, 0]), "flannel.1", onlink=True)
NEIGHBOUR = Neighbour("flannel.1", bytes([10, 244, 2, 0]), bytes(6))
FDB = FdbEntry("flannel.1", bytes([2, 0, 0, 0, 0, 1]), bytes([198, 18, 0, 2]))


def change(what: str) -> dict[str, Any]:
    return {"change_links": [plan.LinkChange(LINK, what, "1", "0")]}


@pytest.mark.parametrize(
    ("steps", "in_a_pod", "as_root"),
    [
        (change("accept_ra"), agent.OUT_OF_REACH, agent.FAULT),
        (change("learning"), agent.LEFTOVER, agent.LEFTOVER),
        (change("mtu"), agent.FAULT, agent.FAULT),
        (change("address"), agent.FAULT, agent.FAULT),
        (change("up"), agent.FAULT, agent.FAULT),
        ({"create_links": [LINK]}, agent.FAULT, agent.FAULT),
        ({"add_addresses": [ADDRESS]}, agent.FAULT, agent.FAULT),
        ({"remove_addresses": [ADDRESS]}, agent.FAULT, agent.FAULT),
        ({"set_routes": [ROUTE]}, agent.FAULT, agent.FAULT),
        ({"set_neighbours": [NEIGHBOUR]}, agent.FAULT, agent.FAULT),
        ({"set_fdb": [FDB]}, agent.FAULT, agent.FAULT),
        ({"remove_links": [LINK], "why": {"flannel.1": "left over"}}, agent.LEFTOVER, agent.LEFTOVER),
        ({"remove_routes": [ROUTE]}, agent.LEFTOVER, agent.LEFTOVER),
        ({"remove_neighbours": [NEIGHBOUR]}, agent.LEFTOVER, agent.LEFTOVER),
        ({"remove_fdb": [FDB]}, agent.LEFTOVER, agent.LEFTOVER),
    ],
)
def test_each_operation_of_a_plan(steps: dict[str, Any], in_a_pod: str, as_root: str) -> None:
    made = plan.Plan(**steps)
    (operation,) = (each._asdict() for each in made.operations())
    assert operation["text"] == made.actions()[0]
    assert (agent.classify(operation, False), agent.classify(operation, True)) == (in_a_pod, as_root)


def test_only_a_privileged_container_writes_sysctls() -> None:
    assert agent.writes_sysctls({"securityContext": {"privileged": True}})
    for container in ({}, {"securityContext": None}, {"securityContext": {"capabilities": {"add": ["NET_ADMIN"]}}}):
        assert not agent.writes_sysctls(container)
