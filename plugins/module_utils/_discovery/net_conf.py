# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a cluster's net-conf.json says, and whether flanneld starts with it.

In Kubernetes mode flanneld checks no subnet lengths or bounds (flannel v0.28.9 pkg/subnet/kube/kube.go). What is
refused fills the record as far as it can be read. Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import json
from typing import Any, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._discovery import build
from ansible_collections.podnet.cni.plugins.module_utils._discovery.record import Record
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import backend_options, loose_config, network_config

KEY = "net-conf.json"
_SUBNET_OPTIONS = ("SubnetLen", "SubnetMin", "SubnetMax", "IPv6SubnetLen", "IPv6SubnetMin", "IPv6SubnetMax")
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
    text = text if isinstance(text, str) else ""
    try:
        config = network_config.parse(text, check_ranges=False)
    except InputError as error:
        _refused(record, text, where, error)
        return
    record.networking.nftables = config.enable_nftables
    for network in (config.network, config.ipv6_network):
        if network is not None:
            build.add_cidrs(record, "pod", str(network), where)
    given = config.given.get("Backend")
    if given is None:
        record.warnings.append(
            f"backend_defaulted_udp: {where} has no Backend; flanneld then uses udp, whatever its documentation says."
        )
    _backend(record, config.backend.type, {key.lower(): value for key, value in (given or {}).items()})
    unread = [name for name in _SUBNET_OPTIONS if name in config.given]
    if unread:
        _warn_of_subnet_options(record, text, where, unread)


def _warn_of_subnet_options(record: Record, text: str, where: str, names: Sequence[str]) -> None:
    try:
        network_config.parse(text)
    except InputError as error:
        record.warnings.append(
            f"subnet_options_unread: {where}: {error}. flanneld starts all the same, since with Kubernetes it reads no "
            f"{', '.join(names)}: the controller manager decides the ranges of Nodes. Remove what does not count; a "
            "flanneld with etcd would refuse it."
        )


def chained_plugins(text: Any) -> list[str]:
    """Types of the plugins behind the first one in a CNI configuration list; empty when it cannot be read."""
    try:
        plugins = json.loads(text)["plugins"]
        return [str(plugin["type"]) for plugin in plugins[1:]]
    except (ValueError, TypeError, KeyError):
        return []


def _refused(record: Record, text: str, where: str, error: InputError) -> None:
    """Say what is wrong, and tell what can be told; a backend that was removed is right for the release that had it."""
    try:
        found = loose_config.read(text)
    except InputError:
        record.config_error = f"{where}: {error}. Correct the ConfigMap, then restart the pods."
        return
    for key, network, family in (("Network", found.network, 4), ("IPv6Network", found.ipv6_network, 6)):
        if getattr(network, "version", None) == family:
            build.add_cidrs(record, "pod", str(network), where)
        elif network is not None:
            record.add_evidence("invalid", where, f"{key} is {str(network)!r}", 0)
    _backend(record, found.backend, found.options)
    if found.backend in backend_options.REMOVED:
        record.warnings.append(f"backend_removed: {where}: no flanneld since v0.20 has the backend {found.backend}.")
        return
    record.config_error = f"{where}: {error}. Correct the ConfigMap, then restart the pods."


def _backend(record: Record, kind: str, options: Mapping[str, Any]) -> None:
    """C(options) are the given ones, by lower-case names."""
    if not kind:
        return
    backend: dict[str, Any] = {"type": kind}
    backend.update({name: options[key] for key, name in _OPTIONS.items() if key in options})
    if kind == "vxlan":
        backend.setdefault("vni", 1)
    if kind in ("wireguard", "ipsec"):
        backend["psk_set"] = bool(options.get("psk"))
    record.networking.backend = backend
    record.networking.encapsulation = ENCAPSULATION.get(kind)
    build.set_mtu(record, backend.get("mtu"))
