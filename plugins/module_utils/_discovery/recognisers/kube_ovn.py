# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kube-OVN, whose DaemonSets carry no labels at all.

Source: kube-ovn v1.15 dist/images/install.sh, charts/kube-ovn.
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Sequence

from ansible_collections.podnet.cni.plugins.module_utils._discovery import build, objects
from ansible_collections.podnet.cni.plugins.module_utils._discovery.objects import Obj
from ansible_collections.podnet.cni.plugins.module_utils._discovery.record import Record
from ansible_collections.podnet.cni.plugins.module_utils._discovery.snapshot import (
    ABSENT,
    Recogniser,
    Snapshot,
    config_ref,
)
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields

_DAEMONSET = "kube-ovn-cni"
_SUBNET = "ovn-default"


def is_kube_ovn(container: Obj) -> bool:
    return objects.image_is(container, "kube-ovn") or fields.text(container, "name") == "cni-server"


def match(daemonset: Obj) -> int:
    """The DaemonSet that installs and serves the CNI plugin; ovs-ovn and the pinger run beside it."""
    named = objects.name(daemonset) == _DAEMONSET or objects.template_labels(daemonset).get("app") == _DAEMONSET
    if not named:
        return 0
    return build.SIGNATURE if any(map(is_kube_ovn, objects.containers(daemonset))) else build.LABEL_ONLY


def _subnets(snapshot: Snapshot) -> str | None:
    base = snapshot.api("kubeovn.io", "v1")
    return f"{base}/subnets" if base else None


def wants(snapshot: Snapshot, daemonsets: Sequence[Obj]) -> list[str]:
    """The default subnet by its usual name; the list only where that name is not in use."""
    path = _subnets(snapshot)
    if path is None or not daemonsets:
        return []
    named = f"{path}/{_SUBNET}"
    return [named, path] if snapshot.status(named) == ABSENT else [named]


def recognise(snapshot: Snapshot, daemonsets: Sequence[Obj]) -> list[Record]:
    return [_record(snapshot, group) for group in build.by_namespace(daemonsets).values()]


def _record(snapshot: Snapshot, group: Sequence[Obj]) -> Record:
    record = build.start("kube-ovn", group, is_kube_ovn, match)
    record.cni.conf_name = "01-kube-ovn.conflist"
    record.policy.provider = "ovn"
    record.networking.ipam = "kube-ovn"
    record.networking.mtu_auto = True
    words = [word for container in objects.containers(group[0]) for word in objects.arguments(container)]
    if objects.switch(words, "non-primary-cni-mode"):
        record.role = "secondary"
    services = objects.flag(words, "service-cluster-ip-range")
    build.add_cidrs(record, "service", services, f"{_DAEMONSET} --service-cluster-ip-range", "medium")
    path = _subnets(snapshot)
    if path is None:
        return record
    named = f"{path}/{_SUBNET}"
    build.note_access(record, snapshot, named, f"Subnet {_SUBNET}")
    body = snapshot.body(named)
    subnet = body or next((item for item in snapshot.items(path) if fields.at(item, "spec", "default") is True), None)
    record.config_refs.append(config_ref(snapshot, None, _SUBNET, None, named))
    if subnet is None:
        return record
    where = f"Subnet {objects.name(subnet)}"
    record.add_evidence("Subnet", objects.name(subnet), "default subnet exists", build.CONFIG_BONUS)
    build.add_cidrs(record, "pod", fields.text(subnet, "spec", "cidrBlock"), f"{where} spec.cidrBlock")
    build.set_mtu(record, fields.at(subnet, "spec", "mtu"))
    underlay = bool(fields.text(subnet, "spec", "vlan"))
    record.networking.encapsulation = "none" if underlay else "geneve"
    record.networking.masquerade = fields.at(subnet, "spec", "natOutgoing") is True
    return record


RECOGNISER = Recogniser(
    plugin="kube-ovn",
    order=60,
    match=match,
    wants=wants,
    recognise=recognise,
    names=(_DAEMONSET,),
    api_groups=("kubeovn.io",),
    node_annotations=("ovn.kubernetes.io/",),
)
