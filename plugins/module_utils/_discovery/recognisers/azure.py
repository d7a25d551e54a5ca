# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Azure CNI with its node service azure-cns. The classic plugin leaves no DaemonSet and cannot be told from here.

Source: azure-container-networking cns/azure-cns.yaml.
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Sequence

from ansible_collections.podnet.cni.plugins.module_utils._discovery import build, objects
from ansible_collections.podnet.cni.plugins.module_utils._discovery.objects import Obj
from ansible_collections.podnet.cni.plugins.module_utils._discovery.record import Record
from ansible_collections.podnet.cni.plugins.module_utils._discovery.snapshot import Recogniser, Snapshot
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields


def is_cns(container: Obj) -> bool:
    return objects.image_is(container, "azure-cns") or fields.text(container, "name") == "cns-container"


def match(daemonset: Obj) -> int:
    if any(is_cns(container) for container in objects.containers(daemonset)):
        return build.SIGNATURE
    return build.LABEL_ONLY if objects.labels(daemonset).get("app") == "azure-cns" else 0


def recognise(_snapshot: Snapshot, daemonsets: Sequence[Obj]) -> list[Record]:
    records = []
    for group in build.by_namespace(daemonsets).values():
        record = build.start("azure-cni", group, is_cns, match)
        record.cni.conf_name = "10-azure.conflist"
        record.networking.ipam = "cloud"
        record.networking.encapsulation = "cloud"
        records.append(record)
    return records


RECOGNISER = Recogniser(
    plugin="azure-cni",
    order=67,
    match=match,
    recognise=recognise,
    labels={"app": ("azure-cns",), "k8s-app": ("azure-cns",)},
)
