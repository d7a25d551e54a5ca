# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The few things of a network config that matter to its neighbours, read from one that is not valid here.

An older flanneld runs with backends that are gone (C(gce), C(ali-vpc)), and with values that this collection refuses.
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass
from typing import Any, Mapping

from ansible_collections.podnet.cni.plugins.module_utils import _go_json


@dataclass(frozen=True)
class LooseConfig:
    """The ranges, as texts where they are no networks, and the backend with its options by lower-case names."""

    network: Any
    ipv6_network: Any
    backend: str
    options: Mapping[str, Any]


def read(text: str) -> LooseConfig:
    """Raises ValueError for what is no JSON object or has no backend that could be told."""
    try:
        data = json.loads(text)
    except RecursionError as error:
        raise ValueError(str(error)) from error
    if not isinstance(data, Mapping):
        raise ValueError("it is no object")
    known, _other = _go_json.fold(data, ("Network", "IPv6Network", "EnableIPv4", "EnableIPv6", "Backend"))
    backend = known.get("Backend", {"Type": "udp"})
    options = {str(key).lower(): value for key, value in backend.items()} if isinstance(backend, Mapping) else {}
    kind = options.pop("type", None)
    if not isinstance(kind, str) or not kind:
        raise ValueError("its backend has no type")
    return LooseConfig(
        _network(known.get("Network")) if known.get("EnableIPv4", True) else None,
        _network(known.get("IPv6Network")) if known.get("EnableIPv6") else None,
        kind.lower(),
        options,
    )


def _network(value: Any) -> Any:
    if not value:
        return None
    try:
        return ipaddress.ip_network(str(value), strict=False)
    except ValueError:
        return str(value)
