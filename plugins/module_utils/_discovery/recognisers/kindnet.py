# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""kindnet: kind's own and the stand-alone one.

Sources: kind pkg/build/nodeimage/const_cni.go; kindnet install-kindnet.yaml.
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Sequence

from ansible_collections.podnet.cni.plugins.module_utils._discovery import build, objects
from ansible_collections.podnet.cni.plugins.module_utils._discovery.objects import Obj
from ansible_collections.podnet.cni.plugins.module_utils._discovery.record import Record
from ansible_collections.podnet.cni.plugins.module_utils._discovery.snapshot import Recogniser, Snapshot
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields


def is_kindnet(container: Obj) -> bool:
    return objects.image_is(container, "kindnetd") or fields.text(container, "name") == "kindnet-cni"


def match(daemonset: Obj) -> int:
    if any(is_kindnet(container) for container in objects.containers(daemonset)):
        return build.SIGNATURE
    labelled = objects.labels(daemonset)
    return build.LABEL_ONLY if "kindnet" in (labelled.get("app"), labelled.get("k8s-app")) else 0


def recognise(_snapshot: Snapshot, daemonsets: Sequence[Obj]) -> list[Record]:
    records = []
    for group in build.by_namespace(daemonsets).values():
        record = build.start("kindnet", group, is_kindnet, match)
        record.cni.conf_name = "10-kindnet.conflist"
        record.networking.ipam = "node-podcidr"
        record.networking.encapsulation = "none"
        record.networking.mtu_auto = True
        daemon = build.daemon_of(group[0], is_kindnet)
        environment = objects.environment(daemon) if daemon is not None else {}
        # Only kind's variant has it; the other one takes what each Node was given.
        build.add_cidrs(record, "pod", environment.get("POD_SUBNET"), "kindnet environment POD_SUBNET")
        records.append(record)
    return records


RECOGNISER = Recogniser(
    plugin="kindnet",
    order=80,
    match=match,
    recognise=recognise,
    labels={"app": ("kindnet",)},
)
