# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a network config shows and means: without its secrets, and with everything alike that is all one to flanneld.

Private to podnet.cni: may change in any release. Pure: no input or output.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.podnet.cni.plugins.module_utils._flannel import addresses, network_config
from ansible_collections.podnet.cni.plugins.module_utils._flannel.backend_options import SECRET_OPTIONS
from ansible_collections.podnet.cni.plugins.module_utils._flannel.network_config import NetworkConfig

# Which subnets are handed out: means nothing where a cluster hands them out.
_HANDED_OUT = ("SubnetLen", "SubnetMin", "SubnetMax", "IPv6SubnetLen", "IPv6SubnetMin", "IPv6SubnetMax")


def public(config: NetworkConfig) -> dict[str, Any]:
    """Return the config by upstream's names with defaults filled in and without its secrets."""
    return _without_secrets(network_config.to_dict(config))


def meaning(config: NetworkConfig) -> dict[str, Any]:
    """The config with everything alike that is all one to flanneld: order, case, white space, written-out defaults.

    The range of a disabled family is not: flannel v0.28.9 makes firewall rules for it all the same.
    """
    ranges = {name: config.given.get(name) for name in ("Network", "IPv6Network")}
    found = {name: str(addresses.parse_cidr(text)) if text else None for name, text in ranges.items()}
    return {**network_config.to_dict(config), **found}


def differences(have: NetworkConfig, want: NetworkConfig, *, handed_out: bool = True) -> list[str]:
    """Return in which members two configs differ, each with both values; secrets are not compared.

    Without C(handed_out) it does not matter which subnets of the network are handed out.
    """
    mine, theirs = _flat(have), _flat(want)
    names = [name for name in {**mine, **theirs} if handed_out or name not in _HANDED_OUT]
    return [
        f"{name} is {mine.get(name)!r}, not {theirs.get(name)!r}"
        for name in names
        if mine.get(name) != theirs.get(name)
    ]


def _flat(config: NetworkConfig) -> dict[str, Any]:
    found = _without_secrets(meaning(config))
    backend = found.pop("Backend")
    return {**found, **{f"Backend.{name}": value for name, value in backend.items()}}


def _without_secrets(found: dict[str, Any]) -> dict[str, Any]:
    options = {name: value for name, value in found["Backend"].items() if name not in SECRET_OPTIONS}
    return {**found, "Backend": options}
