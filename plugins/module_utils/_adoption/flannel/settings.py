# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""flannel's settings, named as its Helm chart names them, made into a network config or into values of the chart.

Private to podnet.cni: may change in any release.

Source: flannel v0.28.9 chart/kube-flannel/values.yaml and templates/config.yaml.
"""

from __future__ import annotations

import copy
import json
from typing import Any, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import network_config as config_codec

# Which of the settings a backend has, and how the network config calls them.
OPTIONS: Mapping[str, Mapping[str, str]] = {
    "vxlan": {
        "vni": "VNI",
        "backendPort": "Port",
        "mtu": "MTU",
        "GBP": "GBP",
        "directRouting": "DirectRouting",
        "macPrefix": "MacPrefix",
    },
    "wireguard": {
        "backendPort": "ListenPort",
        "backendPortv6": "ListenPortV6",
        "psk": "PSK",
        "mtu": "MTU",
        "tunnelMode": "Mode",
        "keepaliveInterval": "PersistentKeepaliveInterval",
    },
    "ipip": {"directRouting": "DirectRouting"},
    "udp": {"backendPort": "Port"},
    "host-gw": {},
}
# The chart's template has no options for these backends.
_BARE_IN_CHART = ("ipip",)
SETTINGS = sorted({name for options in OPTIONS.values() for name in options})


def network_config(values: Mapping[str, Any], *, windows: bool = False) -> dict[str, Any]:
    """The network config for settings by the chart's names; C(windows) says that Windows nodes share it.

    Raises InputError for what flanneld would refuse, or silently ignore.
    """
    flannel = values["flannel"]
    backend = str(flannel["backend"])
    if backend not in OPTIONS:
        raise InputError(f"The backend is {backend!r}: use one of {', '.join(sorted(OPTIONS))}.")
    options = OPTIONS[backend]
    given = [name for name in SETTINGS if flannel.get(name) is not None]
    alien = [name for name in given if name not in options and flannel[name] not in (False, 0, "")]
    if alien:
        raise InputError(
            f"The backend {backend} has no setting {', '.join(alien)}: leave that out, or choose a backend that has it."
        )
    config: dict[str, Any] = {}
    if values.get("podCidr"):
        config["Network"] = values["podCidr"]
    else:
        config["EnableIPv4"] = False
    if values.get("podCidrv6"):
        config.update(IPv6Network=values["podCidrv6"], EnableIPv6=True)
    config["EnableNFTables"] = bool(flannel["enableNFTables"])
    config["Backend"] = {"Type": backend}
    config["Backend"].update({options[name]: flannel[name] for name in given if name in options})
    parsed = config_codec.parse(config, check_ranges=False)
    problems = config_codec.mixed_cluster_problems(parsed) if windows else []
    if problems:
        raise InputError("Windows nodes cannot share this network. " + " ".join(problems))
    return config


def chart_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values for the chart, without what is not set. Raises InputError for what the chart cannot express.

    The chart writes tunnelMode into the JSON without quotes, so the quotes have to be part of the value.
    """
    network_config(values)
    flannel = values["flannel"]
    if flannel["backend"] in _BARE_IN_CHART and any(flannel.get(name) for name in OPTIONS[flannel["backend"]]):
        raise InputError(
            f"The chart has no options for the backend {flannel['backend']}: use the install method manifest."
        )
    result = {str(key): value for key, value in _without_nulls(copy.deepcopy(dict(values))).items()}
    if result["flannel"].get("tunnelMode"):
        result["flannel"]["tunnelMode"] = json.dumps(result["flannel"]["tunnelMode"])
    return result


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return value
