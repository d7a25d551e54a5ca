# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Canal: flannel carries the pods, Calico enforces policy; both run in one DaemonSet.

Source: calico v3.30 manifests/canal.yaml; rke2-charts packages/rke2-canal.
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Sequence

from ansible_collections.podnet.cni.plugins.module_utils._discovery import (
    build,
    flannel_nodes,
    net_conf,
    objects,
    targets,
)
from ansible_collections.podnet.cni.plugins.module_utils._discovery.objects import Obj
from ansible_collections.podnet.cni.plugins.module_utils._discovery.recognisers import calico, flannel
from ansible_collections.podnet.cni.plugins.module_utils._discovery.record import Record
from ansible_collections.podnet.cni.plugins.module_utils._discovery.snapshot import (
    Recogniser,
    Snapshot,
    config_map_path,
)

_LABELS = ("canal", "canal-node")


def match(daemonset: Obj) -> int:
    """A flannel container and a Calico container in the same pods."""
    found = objects.containers(daemonset)
    if any(flannel.is_flanneld(item) for item in found) and any(calico.is_calico(item) for item in found):
        return build.SIGNATURE
    return build.LABEL_ONLY if objects.labels(daemonset).get("k8s-app") in _LABELS else 0


def wants(_snapshot: Snapshot, daemonsets: Sequence[Obj]) -> list[str]:
    return [
        config_map_path(objects.namespace(daemonset), name)
        for daemonset in daemonsets
        for name in objects.config_map_volumes(daemonset)
    ]


def recognise(snapshot: Snapshot, daemonsets: Sequence[Obj]) -> list[Record]:
    return [
        _record(snapshot, namespace, group)
        for namespace, found in build.by_namespace(daemonsets).items()
        for group in targets.installations(found)
    ]


def _record(snapshot: Snapshot, namespace: str, group: Sequence[Obj]) -> Record:
    record = build.start("canal", group, flannel.is_flanneld, match)
    record.cni.conf_name = "10-canal.conflist"
    record.networking.ipam = "node-podcidr"
    record.policy.provider = "calico"
    prefix = flannel.read_daemon(record, group[0])
    names = objects.config_map_volumes(group[0])
    content = flannel.read_net_conf(record, snapshot, namespace, names, flannel.in_etcd(group[0]))
    if content:
        # The tunnel's own MTU is in net-conf.json; what pods get is veth_mtu, 0 meaning that Calico finds out.
        build.set_mtu(record, content.get("veth_mtu"))
        record.networking.masquerade = content.get("masquerade") == "true"
        interface, pattern = content.get("canal_iface"), content.get("canal_iface_regex")
        if interface or pattern:
            record.networking.interface_selection = {
                "iface": [interface] if interface else [],
                "iface_regex": [pattern] if pattern else [],
                "can_reach": None,
            }
        record.cni.chained_plugins = net_conf.chained_plugins(content.get("cni_network_config"))
    if not flannel.in_etcd(group[0]):
        flannel_nodes.describe(record, snapshot, prefix)
    return record


RECOGNISER = Recogniser(
    plugin="canal",
    order=10,
    match=match,
    wants=wants,
    recognise=recognise,
    labels={"k8s-app": _LABELS},
    node_reason=flannel.CONDITION_REASON,
    node_annotations=(flannel.PREFIX,),
    left_behind=(("kube-system", "canal-config"),),
)
