# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a new network config changes for a flannel that runs.

Private to podnet.cni: may change in any release.

What may change while flanneld runs: flannel v0.28.9 Documentation/running.md.
"""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError, PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import loose_config, udp_ports
from ansible_collections.podnet.cni.plugins.module_utils._flannel import network_config as config_codec
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields

_IDENTIFYING = ("VNI", "Port", "GBP", "ListenPort", "ListenPortV6", "Mode")
_ALL_NODES = "until every flanneld has restarted, nodes with the old and with the new setting do not reach each other"
# flannel v0.28.9 pkg/backend/vxlan/device.go, vxlanLinksIncompat: two ports differ only where both are named.
_PORT_STAYS = (
    "; flanneld leaves the port of its link as it is while the network config names none, on the way back too, so name "
    "the port that is in use, 8472 unless somebody chose another, in a run before"
)
_KEY_CHANGE = f"the preshared key: {_ALL_NODES}"


def network_changes(config_map: Mapping[str, Any] | None, wanted: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Changes of the network that interrupt it, each with what breaks, and what is only worth a warning."""
    text = fields.at(config_map, "data", "net-conf.json")
    if text is None:
        return ["its network config cannot be read, so what would change is not known"], []
    new = config_codec.parse(wanted, check_ranges=False)
    try:
        old = config_codec.parse(text, check_ranges=False)
    except PodnetError as error:
        return _changes_of_invalid(str(text), new, str(error))
    changes, warnings = _range_changes((old.network, old.ipv6_network), new)
    if old.backend.type != new.backend.type:
        changes.append(_backend_change(old.backend.type, new))
    else:
        changes += _option_changes(old, new)
    if old.enable_nftables != new.enable_nftables:
        warnings.append("EnableNFTables changes: each node's rules are rewritten when its flanneld restarts.")
    return changes, warnings


def _range_changes(old: tuple[Any, Any], new: config_codec.NetworkConfig) -> tuple[list[str], list[str]]:
    changes, warnings = [], []
    for name, before, after in zip(("Network", "IPv6Network"), old, (new.network, new.ipv6_network)):
        if before == after:
            continue
        if before is not None and after is not None and _contains(after, before):
            warnings.append(
                f"{name} grows from {before} to {after}: change it in kube-proxy and controller-manager too."
            )
        else:
            changes.append(
                f"{name} {before or 'none'} -> {after or 'none'}: flanneld exits on every node whose podCIDR is not in "
                "the new range, and running pods keep their old addresses"
            )
    return changes, warnings


def _backend_change(before: str, new: config_codec.NetworkConfig) -> str:
    return f"backend {before} -> {new.backend.type}: {_ALL_NODES}, and old links and routes stay there"


def _changes_of_invalid(text: str, new: config_codec.NetworkConfig, error: str) -> tuple[list[str], list[str]]:
    """The same for a network config that this collection refuses, although an older flanneld may run with it."""
    try:
        old = loose_config.read(text)
    except InputError:
        old = None
    if old is None or not old.backend:
        return [f"its network config cannot be compared, because it is not valid: {error}"], []
    changes, warnings = _range_changes((old.network, old.ipv6_network), new)
    if old.backend != new.backend.type:
        changes.append(_backend_change(old.backend, new))
    else:
        for name in _IDENTIFYING:
            before, after = old.options.get(name.lower()), new.backend.options.get(name)
            if before is not None and str(before) != str(after):
                changes.append(f"{name} {before} -> {after}: {_ALL_NODES}")
        if str(old.options.get("psk") or "") != str(new.backend.options.get("PSK") or ""):
            changes.append(_KEY_CHANGE)
    warnings.append(f"The network config of the installation is not valid and is replaced: {error}")
    return changes, warnings


def _option_changes(old: config_codec.NetworkConfig, new: config_codec.NetworkConfig) -> list[str]:
    had, gets = old.backend.options, new.backend.options
    same_ports = udp_ports.of(old) == udp_ports.of(new)
    changes = []
    for name in _IDENTIFYING:
        before, after = had.get(name), gets.get(name)
        if before == after or (name == "Port" and same_ports):
            continue
        unnamed = name == "Port" and old.backend.type == "vxlan" and not (before and after)
        changes.append(f"{name} {before} -> {after}: {_ALL_NODES}{_PORT_STAYS if unnamed else ''}")
    if had.get("PSK") != gets.get("PSK"):
        changes.append(_KEY_CHANGE)
    return changes


def _contains(outer: Any, inner: Any) -> bool:
    return not isinstance(inner, str) and bool(outer.version == inner.version and inner.subnet_of(outer))
