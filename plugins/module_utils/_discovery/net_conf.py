# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a cluster's net-conf.json says, read without judging it.

In Kubernetes mode flanneld checks no subnet lengths or bounds (flannel v0.28.9 pkg/subnet/kube/kube.go), so discovery
reads the file more leniently than the network config parser for etcd does. No text of the file is repeated in an
error: it may hold a pre-shared key. Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import json
from typing import Any, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._discovery import build, cidrs
from ansible_collections.podnet.cni.plugins.module_utils._discovery.record import Record

KEY = "net-conf.json"
CNI_KEY = "cni-conf.json"

ENCAPSULATION: Mapping[str, str] = {
    "vxlan": "vxlan",
    "host-gw": "host-gw",
    "wireguard": "wireguard",
    "ipip": "ipip",
    "ipsec": "ipsec",
    "udp": "udp",
    "alloc": "none",
    "tencent-vpc": "cloud",
}
# Option in lower case -> name in the record. Secrets are not in it.
_OPTIONS: Mapping[str, str] = {
    "vni": "vni",
    "port": "port",
    "directrouting": "direct_routing",
    "mtu": "mtu",
    "gbp": "gbp",
    "learning": "learning",
    "macprefix": "mac_prefix",
    "mode": "mode",
    "listenport": "listen_port",
    "listenportv6": "listen_port_v6",
    "persistentkeepaliveinterval": "persistent_keepalive_interval",
    "udpencap": "udp_encap",
}


def apply(record: Record, text: Any, where: str) -> None:
    """Fill the record's networking from the text of a net-conf.json found at C(where)."""
    fields = _decode(record, text, where)
    if fields is None:
        return
    networking = record.networking
    networking.nftables = fields.get("enablenftables") is True
    ipv4 = fields.get("enableipv4") is not False
    ipv6 = fields.get("enableipv6") is True
    if ipv4:
        _network(record, fields, "Network", 4, where)
    if ipv6:
        _network(record, fields, "IPv6Network", 6, where)
    if not ipv4 and not ipv6:
        record.config_error = f"{where}: EnableIPv4 and EnableIPv6 are both false; flanneld does not start with that."
    _backend(record, fields.get("backend"), where)


def chained_plugins(text: Any) -> list[str]:
    """Types of the plugins behind the first one in a CNI configuration list; empty when it cannot be read."""
    try:
        plugins = json.loads(text)["plugins"]
        return [str(plugin["type"]) for plugin in plugins[1:]]
    except (ValueError, TypeError, KeyError):
        return []


def _decode(record: Record, text: Any, where: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text if isinstance(text, str) else "")
    except ValueError as error:
        position = f"line {error.lineno} column {error.colno}" if isinstance(error, json.JSONDecodeError) else "?"
        record.config_error = f"{where} is not JSON ({position}). Correct the ConfigMap, then restart the pods."
        return None
    if not isinstance(value, dict):
        record.config_error = f"{where} is no JSON object. Correct the ConfigMap, then restart the pods."
        return None
    return _lower(value)


def _lower(value: Mapping[str, Any]) -> dict[str, Any]:
    """Keys in lower case, the last of equal ones wins: Go's decoder ignores their case."""
    return {str(key).lower(): item for key, item in value.items()}


def _network(record: Record, fields: Mapping[str, Any], key: str, family: int, where: str) -> None:
    raw = fields.get(key.lower())
    if raw is None or raw == "":
        record.config_error = f"{where} has no {key}; flanneld gives no pod range without it."
        return
    good, _bad = cidrs.parse_cidrs(raw if isinstance(raw, str) else [raw], where)
    if len(good) != 1 or good[0].family != family:
        record.config_error = f"{where}: {key} is {raw!r}, which is no IPv{family} range in CIDR form."
        record.add_evidence("invalid", where, f"{key} is {raw!r}", 0)
        return
    build.add_cidrs(record, "pod", raw, where)


def _backend(record: Record, raw: Any, where: str) -> None:
    networking = record.networking
    if raw is None or raw == {}:
        record.warnings.append(
            f"backend_defaulted_udp: {where} has no Backend; flanneld then uses udp, whatever its documentation says."
        )
        raw = {"Type": "udp"}
    if not isinstance(raw, Mapping):
        record.config_error = f"{where}: Backend is no JSON object."
        return
    options = _lower(raw)
    kind = options.get("type")
    if not isinstance(kind, str) or not kind:
        record.config_error = f"{where}: Backend has no Type; flanneld does not start with that."
        return
    kind = kind.lower()
    backend: dict[str, Any] = {"type": kind}
    backend.update({name: options[key] for key, name in _OPTIONS.items() if key in options})
    if kind == "vxlan":
        backend.setdefault("vni", 1)
    if kind in ("wireguard", "ipsec"):
        backend["psk_set"] = bool(options.get("psk"))
    networking.backend = backend
    networking.encapsulation = ENCAPSULATION.get(kind)
    build.set_mtu(record, backend.get("mtu"))
