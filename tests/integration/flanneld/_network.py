# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A vxlan network in a real etcd, and what a flanneld makes of it in the kernel."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence

from ansible_collections.podnet.cni.plugins.module_utils._stores.etcd import EtcdStore
from ansible_collections.podnet.cni.plugins.module_utils._stores.etcd_client import EtcdClient
from ansible_collections.podnet.cni.plugins.module_utils._stores.options import from_params
from ansible_collections.podnet.cni.tests.integration import _etcd, _flanneld
from ansible_collections.podnet.cni.tests.integration._netns import Host

CONFIG = {"Network": "10.60.0.0/16", "Backend": {"Type": "vxlan"}}
LAST = (
    "10.60.99.0-24",
    '{"PublicIP":"198.18.8.1","BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"02:00:00:00:08:01"}}',
)


def put(etcd: _etcd.EtcdServer, key: str, value: str) -> None:
    """Store a value; hundreds of etcdctl would take longer than the tests."""
    texts = {"key": key, "value": value}
    body = {name: base64.b64encode(text.encode()).decode() for name, text in texts.items()}
    EtcdClient(from_params(etcd.options)).call("kv/put", body, write=True)


def network(etcd: _etcd.EtcdServer, prefix: str, leases: Sequence[tuple[str, str]]) -> EtcdStore:
    """A network with these leases, as our store sees it."""
    put(etcd, f"{prefix}/config", json.dumps(CONFIG))
    for key, value in leases:
        put(etcd, f"{prefix}/subnets/{key}", value)
    return EtcdStore(EtcdClient(from_params({**etcd.options, "etcd_prefix": prefix})))


def routes(host: Host) -> set[str]:
    """The subnets that a host sends into its tunnel, which may not be there yet."""
    return {route["dst"] for route in host.json("ip -j route show") if route["dev"] == "flannel.1"}


def end(daemon: _flanneld.Flanneld) -> None:
    """Kill a flanneld and remove its links, so that the host is free for another one."""
    daemon.kill()
    links = [link["ifname"] for link in daemon.host.json("ip -j link show") if link["ifname"].startswith("flannel")]
    if links:
        daemon.host.shell(*(f"ip link delete {name}" for name in links))
