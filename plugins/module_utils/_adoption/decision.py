# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is found in a cluster before a network is installed or taken over there, and what is decided about it.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._adoption.place import Place
from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields

INSTALL = "install"
UPGRADE = "upgrade"
REPLACE = "replace"
MOVE = "move"
REMOVE = "remove"
_SHOWN = 5
CARRIES_NO_PODS = ("policy", "part", "chained", "meta", "leftover")
"""Roles of discovery records that leave room for a network."""


@dataclass(frozen=True)
class Found:
    """What the cluster has: discovery records, and of the network in question the DaemonSets and its ConfigMap."""

    records: Sequence[Mapping[str, Any]] = ()
    daemonsets: Sequence[Mapping[str, Any]] = ()
    config_map: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Decision:
    """What is to be done.

    C(remove) are DaemonSets to delete before the new one is made, with C(orphan) leaving their pods for it;
    C(take_over) says that fields of other writers become ours. C(leftovers) are objects to delete afterwards,
    C(replaced) those of another network that this one takes the place of. C(release) is the
    Helm release that owns what is there, C(network_name) the name under which host-local keeps the addresses in use.
    C(network_policy) says whether what is applied next has to bring the policy sidecar, C(sidecar_added) whether it is
    not there yet.
    """

    action: str
    place: Place
    remove: Sequence[str] = ()
    orphan: bool = False
    leftovers: Sequence[Mapping[str, Any]] = ()
    take_over: bool = False
    release: str = ""
    network_name: str = ""
    replaced: Sequence[Mapping[str, Any]] = ()
    changes: Sequence[str] = ()
    warnings: Sequence[str] = ()
    network_policy: bool = False
    sidecar_added: bool = False


def refuse_unread(found: Found) -> None:
    """Raise ConflictError where rights are missing to see a network that may be installed already."""
    unknown = [record for record in found.records if record["plugin"] == "unknown"]
    if unknown and not found.daemonsets:
        raise ConflictError(
            "Not everything may be read, so a network that is installed already could be overlooked: "
            + " ".join(unknown[0].get("warnings") or [])
        )


def _annotated(record: Mapping[str, Any]) -> bool:
    return bool(fields.at(record, "nodes", "annotated"))


def refuse_unknown(found: Found, *, plugin: str, option: str) -> None:
    """Raise ConflictError where nodes serve pods and discovery knows of no network that does it.

    A kubelet calls its Node Ready only when the runtime has a CNI configuration, so there is one. What an
    installation of C(plugin) left on Nodes explains it; a ConfigMap alone does not. C(option) is what the message
    names to continue anyway.
    """
    unknown = [record for record in found.records if record["plugin"] == "generic"]
    explained = any(record["plugin"] == plugin and _annotated(record) for record in found.records)
    nodes = (unknown[0].get("nodes") or {}) if unknown else {}
    if found.daemonsets or explained or not nodes.get("ready"):
        return
    seen = [each["ref"] for each in unknown[0].get("evidence") or [] if each["source"] == "DaemonSet"]
    installers = f" DaemonSets that mount the nodes' CNI directories: {', '.join(seen[:_SHOWN])}." if seen else ""
    raise ConflictError(
        f"{nodes['ready']} of {nodes.get('total')} Nodes are Ready, so their pods get a network, and it is none that "
        f"is known here.{installers} Two networks under the same pods break both: remove that one first, "
        f"with its files in the nodes' CNI configuration directory, or set {option} if it carries no pods."
    )
