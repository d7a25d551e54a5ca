# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Leases and module options for the data plane's tests."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import (
    decode,
    encode_key,
    encode_value,
    from_dict,
    to_dict,
)
from ansible_collections.podnet.cni.tests.integration._etcd import EtcdServer

PREFIX = "/coreos.com/network"
VXLAN = {"Network": "10.5.0.0/16", "Backend": {"Type": "vxlan"}}
DUAL = {
    "EnableIPv6": True,
    "Network": "10.5.0.0/16",
    "IPv6Network": "fd00:10:5::/48",
    "Backend": {"Type": "vxlan"},
}


def config(backend: str = "vxlan", *, ipv6: bool = False, **options: Any) -> dict[str, Any]:
    """A network config with this backend and these options of it."""
    return {**(DUAL if ipv6 else VXLAN), "Backend": {"Type": backend, **options}}


def lease(number: int, backend: str = "vxlan", *, ipv6: bool = False) -> dict[str, Any]:
    """The lease of node `number`, whose addresses all end in that number."""
    high, low = divmod(number, 250)
    found: dict[str, Any] = {
        "name": f"node-{number}",
        "subnet": f"10.5.{low}.0/24" if not high else f"10.{5 + high}.{low}.0/24",
        "public_ip": f"198.18.{high}.{low}",
        "backend_type": backend,
    }
    if ipv6:
        found.update(ipv6_subnet=f"fd00:10:5:{number:x}::/64", public_ipv6=f"fd00:18::{number:x}")
    if backend == "vxlan":
        found["backend_data"] = {"VNI": 1, "VtepMAC": f"02:00:00:04:{high:02x}:{low:02x}"}
        if ipv6:
            found["backend_v6_data"] = {"VNI": 1, "VtepMAC": f"02:00:00:06:{high:02x}:{low:02x}"}
    return found


def lease_in(wanted: dict[str, Any], number: int, public_key: str = "") -> dict[str, Any]:
    """The lease of node `number` in the network of this config, with its key of wireguard."""
    backend = wanted["Backend"]
    made = lease(number, backend["Type"], ipv6=bool(wanted.get("EnableIPv6")))
    if public_key:
        made["backend_data"] = {"PublicKey": public_key, "Port": 51820}
        if "ipv6_subnet" in made:
            made["backend_v6_data"] = {"PublicKey": public_key, "Port": backend.get("ListenPortV6", 51821)}
    return made


def write_config(etcd: EtcdServer, wanted: dict[str, Any]) -> None:
    """Put the network config where flanneld reads it."""
    etcd.put(f"{PREFIX}/config", json.dumps(wanted))


def write(etcd: EtcdServer, made: dict[str, Any]) -> str:
    """Put a lease beside the config; returns the last part of its key."""
    parsed = from_dict(made)
    etcd.put(f"{PREFIX}/subnets/{encode_key(parsed)}", encode_value(parsed))
    return encode_key(parsed)


def read(etcd: EtcdServer) -> dict[str, dict[str, Any]]:
    """All leases by the last part of their keys."""
    stored = {key.rsplit("/", 1)[1]: text for key, text in etcd.get(f"{PREFIX}/subnets/").items()}
    return {key: to_dict(decode(key, text)) for key, text in stored.items()}


def options(
    number: int, peers: list[int], backend: str = "vxlan", *, ipv6: bool = False, **more: Any
) -> dict[str, Any]:
    """The module's options for node `number` with these peers, without files and firewall."""
    return {
        "network_config": config(backend, ipv6=ipv6, **more),
        "lease": lease(number, backend, ipv6=ipv6),
        "peers": [lease(peer, backend, ipv6=ipv6) for peer in peers],
        "firewall": "none",
        "subnet_file": "",
    }
