# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A node with two peers, and the etcd that holds their leases."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.podnet.cni.tests.integration import _etcd
from ansible_collections.podnet.cni.tests.integration._netns import Segment
from ansible_collections.podnet.cni.tests.integration.etcd._relay import Relay
from ansible_collections.podnet.cni.tests.integration.refresh._node import Node, Store, listener


@pytest.fixture()
def etcd(request: pytest.FixtureRequest) -> Iterator[_etcd.EtcdServer]:
    """An etcd that the test may kill; with the parameter C(True) one that asks for certificates."""
    with _etcd.running(tls=getattr(request, "param", False)) as server:
        yield server


@pytest.fixture()
def network() -> tuple[str, bool]:
    """The backend, and whether there is IPv6."""
    return "vxlan", False


@pytest.fixture()
def store(etcd: _etcd.EtcdServer, network: tuple[str, bool]) -> Store:
    """The leases of three nodes."""
    found = Store(etcd, network[0], ipv6=network[1])
    found.config()
    for number in (1, 2, 3):
        found.lease(number)
    return found


@pytest.fixture()
def node(etcd: _etcd.EtcdServer, store: Store, network: tuple[str, bool], tmp_path: Path) -> Iterator[Node]:
    """Node 1, made with its peers 2 and 3, on a host that reaches the etcd."""
    if os.geteuid():
        pytest.skip("network namespaces need root")
    with Segment(1) as segment, Relay(etcd.port, listener(segment.hosts[0], etcd.port)):
        found = Node(segment.hosts[0], tmp_path, etcd.options, network[0], ipv6=network[1])
        if network[0] != "wireguard":
            found.made(2, 3)
        yield found
