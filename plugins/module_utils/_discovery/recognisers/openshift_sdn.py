# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""OpenShift SDN, gone since OpenShift 4.17. Source: cluster-network-operator bindata/network/openshift-sdn.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Sequence

from ansible_collections.podnet.cni.plugins.module_utils._discovery import build, objects, openshift
from ansible_collections.podnet.cni.plugins.module_utils._discovery.objects import Obj
from ansible_collections.podnet.cni.plugins.module_utils._discovery.record import Record
from ansible_collections.podnet.cni.plugins.module_utils._discovery.snapshot import Recogniser, Snapshot
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields


def is_sdn(container: Obj) -> bool:
    return fields.text(container, "name") == "sdn"


def match(daemonset: Obj) -> int:
    found = objects.name(daemonset) == "sdn" and objects.namespace(daemonset) == "openshift-sdn"
    return build.SIGNATURE if found else 0


def wants(snapshot: Snapshot, daemonsets: Sequence[Obj]) -> list[str]:
    network = openshift.network_path(snapshot)
    return [network] if network and daemonsets else []


def recognise(snapshot: Snapshot, daemonsets: Sequence[Obj]) -> list[Record]:
    records = []
    for group in build.by_namespace(daemonsets).values():
        record = build.start("openshift-sdn", group, is_sdn, match)
        record.cni.conf_name = "80-openshift-network.conf"
        record.policy.provider = None
        record.networking.encapsulation = "vxlan"
        record.networking.ipam = "other"
        openshift.apply(record, snapshot)
        records.append(record)
    return records


RECOGNISER = Recogniser(
    plugin="openshift-sdn",
    order=55,
    match=match,
    wants=wants,
    recognise=recognise,
    names=("sdn",),
    api_groups=("network.openshift.io",),
)
