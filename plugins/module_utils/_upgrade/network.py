# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is different between two network configs, in words; no I/O. Private to podnet.cni: may change in any release."""

from __future__ import annotations

import json
from typing import Any, Iterator, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import loose_config
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields

SECRET_KEYS = ("PSK",)
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {"vxlan": {"VNI": 1, "Port": 8472}, "wireguard": {"ListenPort": 51820}}
"""What a Linux node takes for an option that is not there or 0 (flannel v0.28.9 pkg/backend)."""


def differences(before: str, after: str) -> list[str]:
    """Lines like C(Backend.VNI: 1 -> 4096). A text that is not a JSON object differs as a whole."""
    old, new = _parse(before), _parse(after)
    if old is None or new is None:
        return [] if before == after else ["(text)"]
    return list(_compare(old, new, ""))


def backend(text: str) -> str:
    """The backend's type, empty when there is none."""
    return str(fields.at(_parse(text), "Backend", "Type") or "").lower()


def identity(text: str) -> dict[str, Any]:
    """The options by which nodes tell packets of each other: all nodes need the same."""
    options = fields.mapping(_parse(text), "Backend")
    given = {key: options[key] for key in ("VNI", "Port", "ListenPort", "ListenPortV6", "PSK") if options.get(key)}
    return {**_DEFAULTS.get(backend(text), {}), **given}


def not_reversible(before: str, after: str) -> str:
    """What a way back does not bring back by itself, in words; empty when nodes of both configs reach each other."""
    kinds = backend(before), backend(after)
    if kinds[0] != kinds[1]:
        return (
            f"the backend ({kinds[0]} -> {kinds[1]}): nodes of either do not reach each other, on the way there and on "
            "the way back, until all of them are done"
        )
    if identity(before) != identity(after):
        return (
            "what identifies the packets (VNI, port or key): nodes before and after it do not reach each other until "
            "all of them are done, on the way back too"
        )
    return ""


def features(text: str) -> dict[str, Any]:
    """What a network config says of what the version matrix judges by; empty for an invalid one."""
    config = _parse(text)
    if not config:
        return {}
    return {
        "backend": backend(text),
        "enable_nftables": config.get("EnableNFTables") is True,
        "dual_stack": config.get("EnableIPv6") is True and config.get("EnableIPv4") is not False,
    }


def _parse(text: str) -> dict[str, Any] | None:
    try:
        return loose_config.members(text or "{}")
    except InputError:
        return None


def _compare(old: Mapping[str, Any], new: Mapping[str, Any], where: str) -> Iterator[str]:
    for key in sorted({*old, *new}):
        before, after = old.get(key), new.get(key)
        if before == after:
            continue
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from _compare(before, after, f"{where}{key}.")
        elif key in SECRET_KEYS:
            yield f"{where}{key}: (another secret)"
        else:
            yield f"{where}{key}: {_shown(before)} -> {_shown(after)}"


def _shown(value: Any) -> str:
    return "(none)" if value is None else json.dumps(value, sort_keys=True)
