# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The CNI configuration template in Canal's ConfigMap; no I/O.

Private to podnet.cni: may change in any release.

It is JSON but for the placeholder of the MTU, which stands where a number has to (calico v3.32
cni-plugin/pkg/install/install.go). How host-local gets the Node's ranges: cni-plugin/internal/pkg/utils/utils.go.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError

_MTU = "__CNI_MTU__"
_QUOTED = '"\\u0000mtu"'


def change(text: str, name: str, dual_stack: bool) -> str:
    """The template with the network's name and both families; as it was when neither is to change.

    Raises InputError for a template that is not a CNI configuration.
    """
    document = load(text)
    if name in ("", document.get("name")) and not dual_stack:
        return text
    if name:
        document["name"] = name
    if dual_stack:
        _both_families(document)
    return json.dumps(document, indent=2).replace(_QUOTED, _MTU)


def load(text: str) -> dict[str, Any]:
    """The template as an object, with a string for the MTU. Raises InputError."""
    try:
        document = json.loads(text.replace(_MTU, _QUOTED))
    except ValueError as error:
        raise InputError(f"cni_network_config in the manifest is not JSON: {error}. The file is damaged.") from error
    plugins = document.get("plugins") if isinstance(document, dict) else None
    if not isinstance(plugins, list) or not plugins or not all(isinstance(each, dict) for each in plugins):
        raise InputError("cni_network_config in the manifest has no plugins: the file is damaged.")
    return dict(document)


def _both_families(document: Mapping[str, Any]) -> None:
    for plugin in document["plugins"]:
        ipam = plugin.get("ipam") or {}
        if ipam.get("type") == "host-local":
            ipam.pop("subnet", None)
            ipam["ranges"] = [[{"subnet": "usePodCidr"}], [{"subnet": "usePodCidrIPv6"}]]
            return
    raise InputError("cni_network_config in the manifest has no host-local ranges, so it cannot have two families.")


def digest(data: Mapping[str, Any]) -> str:
    """A checksum over the data of a ConfigMap."""
    return hashlib.sha256(json.dumps(dict(data), sort_keys=True).encode()).hexdigest()
