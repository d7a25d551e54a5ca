# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A network in a real etcd, seen through the modules, the store and etcd's own client."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import Lease
from ansible_collections.podnet.cni.plugins.module_utils._stores import nodes as _nodes
from ansible_collections.podnet.cni.plugins.module_utils._stores.base import Granted
from ansible_collections.podnet.cni.plugins.module_utils._stores.etcd import EtcdStore
from ansible_collections.podnet.cni.plugins.module_utils._stores.etcd_client import EtcdClient
from ansible_collections.podnet.cni.plugins.module_utils._stores.options import from_params
from ansible_collections.podnet.cni.tests.integration._etcd import EtcdServer
from ansible_collections.podnet.cni.tests.integration._warm import run_module

MODULES = Path(__file__).parents[3] / "plugins" / "modules"
VXLAN = {"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}


class Lab:
    """One network: C(prefix) in C(etcd)."""

    def __init__(self, etcd: EtcdServer, prefix: str) -> None:
        self.etcd = etcd
        self.prefix = prefix
        self.options: dict[str, Any] = {**etcd.options, "etcd_prefix": prefix}

    def write_config(self, config: dict[str, Any] | None = None) -> None:
        """Put a network config, without the modules."""
        self.etcd.put(f"{self.prefix}/config", json.dumps(config or VXLAN))

    def keys(self) -> dict[str, str]:
        """Return what lies under subnets/: the last part of each key, and its value."""
        start = f"{self.prefix}/subnets/"
        return {key[len(start) :]: value for key, value in self.etcd.get(start).items()}

    def store(self, client: EtcdClient | None = None, **options: Any) -> EtcdStore:
        """Return a store on this network."""
        return EtcdStore(client or EtcdClient(from_params({**self.options, **options})))

    def acquire(self, items: list[dict[str, Any]], store: EtcdStore | None = None, **arguments: Any) -> list[Granted]:
        """Acquire leases for nodes as the module would."""
        store = store or self.store()
        stored = store.require_config()
        parsed = _nodes.parse_nodes(items)
        want = _nodes.want(stored.usable(), parsed)
        return store.acquire(stored, [node.request for node in parsed], want, **arguments)

    def module(
        self, name: str, *, check: bool = False, diff: bool = False, via: Sequence[str] | None = None, **params: Any
    ) -> dict[str, Any]:
        """Run the module in a process of its own, and return its result."""
        return run_module(name, {**self.options, **params}, check=check, diff=diff, via=via)


def environment() -> dict[str, str]:
    """Return the environment in which a module file finds the collection."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def node(number: int, **more: Any) -> dict[str, Any]:
    """Return a node as an item of option nodes."""
    return {"name": f"node-{number}", "public_ip": f"198.18.{number // 250}.{number % 250 + 1}", **more}


def owned_by(address: str) -> Callable[[Lease], bool]:
    """Return the test for leases of a public IP."""
    return lambda lease: str(lease.public_ip) == address
