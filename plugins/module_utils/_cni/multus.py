# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Configurations of Multus, which come first in the directory by design and hand pods on to another network. Pure.

Private to podnet.cni: may change in any release.

Source: multus-cni v4.2 docs/configuration.md, docs/thick-plugin.md: C(delegates) holds configurations, the first of
which is the pods' default network; C(clusterNetwork) names that network by its name, by a file, or by a
NetworkAttachmentDefinition. Without either Multus copies the first other file of the directory when it starts.
"""

from __future__ import annotations

import json
import os
from typing import Any, Mapping, NamedTuple

TYPES = ("multus", "multus-cni", "multus-shim")


class Delegation(NamedTuple):
    """The network that pods get by default: its name or file, empty when it is not told, and the copy that is kept."""

    target: str
    copy: Mapping[str, Any] | None


def delegation(document: Any) -> Delegation | None:
    """Return what a configuration of Multus hands pods on to, None for one that is not of Multus."""
    if not isinstance(document, Mapping):
        return None
    plugins = document.get("plugins", [document])
    if not isinstance(plugins, list):
        return None
    for plugin in plugins:
        if isinstance(plugin, Mapping) and plugin.get("type") in TYPES:
            return _of(plugin)
    return None


def _of(plugin: Mapping[str, Any]) -> Delegation:
    named = plugin.get("clusterNetwork")
    if isinstance(named, str) and named:
        return Delegation(named, None)
    delegates = plugin.get("delegates")
    first = delegates[0] if isinstance(delegates, list) and delegates else None
    if not isinstance(first, Mapping):
        return Delegation("", None)
    return Delegation(str(first.get("name") or ""), first)


def reaches(target: str, file: str, network: str) -> bool:
    """Tell whether what Multus hands pods on to is that file or that network."""
    return bool(target) and (target == network or os.path.basename(target) == file)


def problem(meta_file: str, text: str | None, filename: str, network: str, document: Any) -> str:
    """Return what a user has to know of Multus's file before ours, empty when it hands pods on to ours as it is.

    C(document) is the configuration in C(filename), C(network) its name.
    """
    found = delegation(_json(text))
    if found is None:
        return ""
    order = (
        f"{meta_file} is of Multus and comes first by design. Leave it there: Multus hands pods on to its own default"
    )
    if not found.target:
        return f"{order}, which it does not name. See whether that is {network} of {filename}"
    if not reaches(found.target, filename, network):
        return (
            f"{order}, and that is {found.target}, not {network} of {filename}. Set Multus's clusterNetwork to "
            f"{network}; where Multus takes the first other file by name, choose a filename that sorts first, and "
            "restart Multus on this node"
        )
    if found.copy is not None and _plain(found.copy) != _plain(document):
        return f"{order}, of which it keeps a copy that differs from {filename}: restart Multus on this node"
    return ""


def _json(text: str | None) -> Any:
    try:
        return json.loads(text or "")
    except ValueError:
        return None


def _plain(document: Any) -> str:
    return json.dumps(document, sort_keys=True)
