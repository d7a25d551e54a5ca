# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The few things of a network config that matter to its neighbours, read from one that is refused.

An older flanneld runs with backends that are gone (C(gce), C(ali-vpc)), and a broken ConfigMap says something all the
same. Whether a config is good is for network_config.parse alone to say.
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._flannel import (
    addresses,
    backend_options,
    go_json,
    network_config,
)

_PLATFORMS = [
    options for spec in backend_options.BACKENDS.values() for options in (spec.linux, spec.windows) if options
]
_OPTIONS = ("Type", *(name for options in _PLATFORMS for name in options))


@dataclass(frozen=True)
class LooseConfig:
    """The ranges of the enabled families, as texts where they are not networks and None where there are none.

    The backend is empty where it cannot be told; its options have lower-case names.
    """

    network: Any
    ipv6_network: Any
    backend: str
    options: Mapping[str, Any]
    nftables: bool = False


def read(text: str) -> LooseConfig:
    """Raises InputError for a value that is not a JSON object."""
    data = go_json.load_object(text, "network config", secret=True)
    known, _other = go_json.fold(
        data, ("Network", "IPv6Network", "EnableIPv4", "EnableIPv6", "EnableNFTables", "Backend")
    )
    backend = known.get("Backend", {"Type": "udp"})
    options = {str(key).lower(): value for key, value in backend.items()} if isinstance(backend, Mapping) else {}
    kind = options.pop("type", None)
    return LooseConfig(
        _network(known.get("Network")) if known.get("EnableIPv4") is not False else None,
        _network(known.get("IPv6Network")) if known.get("EnableIPv6") is True else None,
        kind.lower() if isinstance(kind, str) else "",
        options,
        known.get("EnableNFTables") is True,
    )


def members(text: str) -> dict[str, Any]:
    """Return the members of the config, those of its backend too, by upstream's names whatever their case.

    Raises InputError for a value that is not a JSON object.
    """
    known, other = go_json.fold(go_json.load_object(text, "network config", secret=True), network_config.FIELDS)
    found = {**other, **known}
    if isinstance(known.get("Backend"), Mapping):
        options, rest = go_json.fold(known["Backend"], _OPTIONS)
        found["Backend"] = {**rest, **options}
    return found


def _network(value: Any) -> Any:
    if value in (None, ""):
        return None
    try:
        return addresses.parse_cidr(go_json.raw(value))
    except ValueError:
        return str(value)
