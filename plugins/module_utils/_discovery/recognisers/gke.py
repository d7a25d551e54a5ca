# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""GKE Dataplane V2: Google's build of Cilium, in the DaemonSet anetd.

Source: https://cloud.google.com/kubernetes-engine/docs/concepts/dataplane-v2.
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Sequence

from ansible_collections.podnet.cni.plugins.module_utils._discovery import build, objects
from ansible_collections.podnet.cni.plugins.module_utils._discovery.objects import Obj
from ansible_collections.podnet.cni.plugins.module_utils._discovery.recognisers import cilium
from ansible_collections.podnet.cni.plugins.module_utils._discovery.record import Record
from ansible_collections.podnet.cni.plugins.module_utils._discovery.snapshot import Recogniser, Snapshot


def match(daemonset: Obj) -> int:
    return build.SIGNATURE if objects.name(daemonset) == "anetd" else 0


def recognise(snapshot: Snapshot, daemonsets: Sequence[Obj]) -> list[Record]:
    records = []
    for group in build.by_namespace(daemonsets).values():
        record = cilium.record_of("gke-dataplane-v2", snapshot, group)
        # Nodes get their ranges from the cloud; the cluster's range is not in the Kubernetes API.
        record.networking.ipam = "cloud"
        records.append(record)
    return records


RECOGNISER = Recogniser(
    plugin="gke-dataplane-v2",
    order=25,
    match=match,
    wants=cilium.wants,
    recognise=recognise,
    labels={"k8s-app": ("cilium",)},
    node_annotations=("network.cilium.io/",),
)
