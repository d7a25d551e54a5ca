# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Networks, leases and an underlay for the data plane's unit tests."""

from __future__ import annotations

import base64
from typing import Any

from ansible_collections.podnet.cni.plugins.module_utils._dataplane import backends, peers
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.model import DataPlane
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.underlay import HostAddress, Underlay
from ansible_collections.podnet.cni.plugins.module_utils._flannel import network_config
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import Lease, from_dict
from ansible_collections.podnet.cni.plugins.module_utils._flannel.network_config import NetworkConfig

UNDERLAY = Underlay(
    "eth0",
    2,
    1500,
    (
        HostAddress("eth0", b"\xc6\x12\x00\x01", 24),
        HostAddress("eth0", bytes.fromhex("fd000018000000000000000000000001"), 64),
    ),
)


def config(backend: str = "vxlan", *, ipv4: bool = True, ipv6: bool = False, **options: Any) -> NetworkConfig:
    """A network config with this backend and these families."""
    text: dict[str, Any] = {"EnableIPv4": ipv4, "EnableIPv6": ipv6, "Backend": {"Type": backend, **options}}
    if ipv4:
        text["Network"] = "10.5.0.0/16"
    if ipv6:
        text["IPv6Network"] = "fd00:10:5::/48"
    return network_config.parse(text)


def key(number: int) -> bytes:
    """A wireguard public key for node `number`."""
    return bytes([number % 256]) * 32


def lease(number: int, backend: str = "vxlan", *, ipv6: bool = False, **changes: Any) -> Lease:
    """The lease of node `number`, whose addresses all end in that number."""
    found: dict[str, Any] = {
        "name": f"node-{number}",
        "subnet": f"10.5.{number}.0/24",
        "public_ip": f"198.18.0.{number}",
        "backend_type": backend,
    }
    if ipv6:
        found.update(ipv6_subnet=f"fd00:10:5:{number:x}::/64", public_ipv6=f"fd00:18::{number:x}")
    if backend == "vxlan":
        found["backend_data"] = {"VNI": 1, "VtepMAC": f"02:00:00:04:00:{number:02x}"}
        if ipv6:
            found["backend_v6_data"] = {"VNI": 1, "VtepMAC": f"02:00:00:06:00:{number:02x}"}
    if backend == "wireguard":
        text = base64.b64encode(key(number)).decode()
        found["backend_data"] = {"PublicKey": text, "Port": 51820}
        if ipv6:
            found["backend_v6_data"] = {"PublicKey": text, "Port": 51821}
    return from_dict({**found, **changes})


def build(network: NetworkConfig, numbers: list[int], on_link: dict[bytes, str] | None = None) -> DataPlane:
    """The data plane of node 1 with these peers."""
    backend, ipv6 = network.backend.type, network.enable_ipv6
    own = peers.read_own(network, lease(1, backend, ipv6=ipv6))
    nodes = peers.read_peers(network, own, [lease(number, backend, ipv6=ipv6) for number in numbers]).peers
    return backends.build(network, own, nodes, UNDERLAY, on_link or {})
