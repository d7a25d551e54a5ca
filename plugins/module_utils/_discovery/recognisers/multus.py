# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Multus, which calls other plugins and carries no pods itself. Source: multus-cni deployments/multus-daemonset.yml.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Sequence

from ansible_collections.podnet.cni.plugins.module_utils._discovery import build, objects
from ansible_collections.podnet.cni.plugins.module_utils._discovery.objects import Obj
from ansible_collections.podnet.cni.plugins.module_utils._discovery.record import Record
from ansible_collections.podnet.cni.plugins.module_utils._discovery.snapshot import Recogniser, Snapshot
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields

# Upstream's manifest, and RKE2's chart.
_LABELS = ("multus", "rke2-multus")


def is_multus(container: Obj) -> bool:
    return objects.image_is(container, "multus-cni") or fields.text(container, "name") == "kube-multus"


def match(daemonset: Obj) -> int:
    if any(is_multus(container) for container in objects.containers(daemonset)):
        return build.SIGNATURE
    return build.LABEL_ONLY if objects.labels(daemonset).get("app") in _LABELS else 0


def recognise(_snapshot: Snapshot, daemonsets: Sequence[Obj]) -> list[Record]:
    records = []
    for group in build.by_namespace(daemonsets).values():
        record = build.start("multus", group, is_multus, match)
        record.role = "meta"
        record.cni.conf_name = "00-multus.conf"
        records.append(record)
    return records


RECOGNISER = Recogniser(
    plugin="multus",
    order=85,
    match=match,
    recognise=recognise,
    labels={"app": _LABELS},
)
