# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Weave Net, archived in 2022 and still found. Source: weave v2.8.1 prog/weave-kube/weave-daemonset-k8s-1.11.yaml.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Sequence

from ansible_collections.podnet.cni.plugins.module_utils._discovery import build, objects
from ansible_collections.podnet.cni.plugins.module_utils._discovery.objects import Obj
from ansible_collections.podnet.cni.plugins.module_utils._discovery.record import Record
from ansible_collections.podnet.cni.plugins.module_utils._discovery.snapshot import Recogniser, Snapshot
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields

_DEFAULT_RANGE = "10.32.0.0/12"


def is_weave(container: Obj) -> bool:
    return objects.image_is(container, "weave-kube") or fields.text(container, "name") == "weave"


def match(daemonset: Obj) -> int:
    if any(objects.image_is(container, "weave-kube") for container in objects.containers(daemonset)):
        return build.SIGNATURE
    return build.LABEL_ONLY if objects.labels(daemonset).get("name") == "weave-net" else 0


def recognise(_snapshot: Snapshot, daemonsets: Sequence[Obj]) -> list[Record]:
    records = []
    for group in build.by_namespace(daemonsets).values():
        record = build.start("weave", group, is_weave, match)
        record.cni.conf_name = "10-weave.conflist"
        record.networking.ipam = "other"
        daemon = build.daemon_of(group[0], is_weave)
        environment = objects.environment(daemon) if daemon is not None else {}
        given = environment.get("IPALLOC_RANGE")
        build.add_cidrs(record, "pod", given, "weave environment IPALLOC_RANGE")
        if not given:
            build.add_cidrs(record, "pod", _DEFAULT_RANGE, "default of Weave Net", "medium")
        build.set_mtu(record, environment.get("WEAVE_MTU"))
        names = [fields.text(container, "name") for container in objects.containers(group[0])]
        record.policy.provider = "weave" if "weave-npc" in names else "none"
        records.append(record)
    return records


RECOGNISER = Recogniser(
    plugin="weave",
    order=75,
    match=match,
    recognise=recognise,
    late_labels={"name": ("weave-net",)},
    node_reason="WeaveIsUp",
)
