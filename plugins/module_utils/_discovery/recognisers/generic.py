# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The answer where no known plugin is found. Private to podnet.cni: may change in any release."""

from __future__ import annotations

from typing import Sequence

from ansible_collections.podnet.cni.plugins.module_utils._discovery import nodes, objects
from ansible_collections.podnet.cni.plugins.module_utils._discovery.objects import Obj
from ansible_collections.podnet.cni.plugins.module_utils._discovery.record import Record
from ansible_collections.podnet.cni.plugins.module_utils._discovery.snapshot import Recogniser, Snapshot
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields

CNI_PATHS = ("/etc/cni/net.d", "/opt/cni/bin")
"""Where a network plugin of whatever name puts its configuration and its programs on each node."""


def installs_cni(daemonset: Obj) -> bool:
    """Whether its pods can put a CNI configuration or plugin on their nodes."""
    paths = [
        fields.text(volume, "hostPath", "path").rstrip("/")
        for volume in fields.sequence(daemonset, "spec", "template", "spec", "volumes")
    ]
    return any(path and (known == path or known.startswith(f"{path}/")) for path in paths for known in CNI_PATHS)


def match(_daemonset: Obj) -> int:
    return 0


def recognise(snapshot: Snapshot, _daemonsets: Sequence[Obj]) -> list[Record]:
    """C(generic) where the cluster was read; C(unknown) where not everything could be, or was not to be."""
    if not snapshot.conclusive:
        record = Record(plugin="unknown")
        if snapshot.scope == "partial":
            record.warnings.append(
                "Not all DaemonSets may be read: a network plugin may be installed where they may not."
            )
        record.warnings.extend(f"A network plugin may be installed: {reason}" for reason in snapshot.unsought)
        return [record]
    record = Record(plugin="generic")
    assigned = [objects.name(node) for node in snapshot.nodes if nodes.pod_cidrs(node)]
    if assigned:
        record.networking.ipam = "node-podcidr"
        record.add_evidence("Node", assigned[0], "has a podCIDR", 30)
    for daemonset in snapshot.daemonsets:
        if installs_cni(daemonset):
            where = f"{objects.namespace(daemonset)}/{objects.name(daemonset)}"
            record.add_evidence("DaemonSet", where, "mounts the nodes' CNI directories", 20)
    return [record]


RECOGNISER = Recogniser(plugin="generic", order=100, match=match, recognise=recognise, fallback=True)
