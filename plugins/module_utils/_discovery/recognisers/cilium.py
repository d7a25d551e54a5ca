# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Cilium: as the network, or chained behind another plugin.

Source: cilium v1.17 install/kubernetes/cilium/templates (cilium-agent/daemonset.yaml, cilium-configmap.yaml).
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._discovery import build, objects
from ansible_collections.podnet.cni.plugins.module_utils._discovery.objects import Obj
from ansible_collections.podnet.cni.plugins.module_utils._discovery.record import Record
from ansible_collections.podnet.cni.plugins.module_utils._discovery.snapshot import (
    Recogniser,
    Snapshot,
    config_map_path,
)
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields

CONFIGMAP = "cilium-config"
_IPAM: Mapping[str, str] = {
    "cluster-pool": "cluster-pool",
    "multi-pool": "cluster-pool",
    "kubernetes": "node-podcidr",
    "eni": "cloud",
    "azure": "cloud",
    "alibabacloud": "cloud",
    # Azure CNI Powered by Cilium: azure-cns hands out the addresses.
    "delegated-plugin": "cloud",
}

CHAINING: Mapping[str, bool] = {
    "none": False,
    "portmap": False,
    "aws-cni": True,
    "azure": True,
    "calico": True,
    "flannel": True,
    "generic-veth": True,
}
"""Value of cni-chaining-mode -> whether another plugin is the network and Cilium hangs behind it. With portmap it is
the other way round: that plugin adds host ports to Cilium's own network, as RKE2's chart has it.
Source: cilium v1.17 Documentation/installation/cni-chaining-*.rst, operator/option and daemon/cmd/cni/config.go."""


def is_cilium(container: Obj) -> bool:
    return objects.image_is(container, "cilium") or fields.text(container, "name") == "cilium-agent"


def match(daemonset: Obj) -> int:
    if any(is_cilium(container) for container in objects.containers(daemonset)):
        return build.SIGNATURE
    return build.LABEL_ONLY if objects.labels(daemonset).get("k8s-app") == "cilium" else 0


def wants(_snapshot: Snapshot, daemonsets: Sequence[Obj]) -> list[str]:
    return [config_map_path(namespace, CONFIGMAP) for namespace in build.by_namespace(daemonsets)]


def recognise(snapshot: Snapshot, daemonsets: Sequence[Obj]) -> list[Record]:
    return [record_of("cilium", snapshot, group) for group in build.by_namespace(daemonsets).values()]


def record_of(plugin: str, snapshot: Snapshot, group: Sequence[Obj]) -> Record:
    """A record from the agent's DaemonSets and its ConfigMap; shared with GKE Dataplane V2."""
    record = build.start(plugin, group, is_cilium, match)
    record.cni.conf_name = "05-cilium.conflist"
    record.policy.provider = "cilium"
    record.networking.mtu_auto = True
    data = build.read_config_map(record, snapshot, objects.namespace(group[0]), CONFIGMAP, None)
    if data is not None:
        _from_config(record, data)
    return record


def _from_config(record: Record, data: Mapping[str, str]) -> None:
    networking = record.networking
    chaining = data.get("cni-chaining-mode", "none") or "none"
    if chaining not in CHAINING:
        record.warnings.append(
            f"cni-chaining-mode is {chaining!r}, which is not known here: Cilium is taken for the network of the pods."
        )
    if CHAINING.get(chaining):
        record.role = "chained"
        record.cni.conf_name = None
        networking.backend = {"chaining_mode": chaining}
    mode = data.get("routing-mode") or ("native" if data.get("tunnel") == "disabled" else "tunnel")
    protocol = data.get("tunnel-protocol") or data.get("tunnel") or "vxlan"
    if record.role != "chained":
        networking.encapsulation = "none" if mode == "native" else protocol
        port = build.integer(data.get("tunnel-port"))
        networking.backend = {"type": networking.encapsulation, "routing_mode": mode, "port": port or None}
        if chaining != "none":
            networking.backend["chaining_mode"] = chaining
            record.cni.chained_plugins = ["portmap"] if chaining == "portmap" else []
        ipam = data.get("ipam", "")
        networking.ipam = _IPAM.get(ipam, "other") if ipam else None
        if networking.ipam == "cluster-pool":
            for family in ("4", "6"):
                key = f"cluster-pool-ipv{family}-cidr"
                if data.get(f"enable-ipv{family}", "true") != "false":
                    build.add_cidrs(record, "pod", data.get(key), f"ConfigMap {CONFIGMAP} key {key}")
    build.set_mtu(record, data.get("mtu"))
    masquerade = data.get("enable-ipv4-masquerade") or data.get("masquerade")
    networking.masquerade = None if masquerade is None else masquerade == "true"


RECOGNISER = Recogniser(
    plugin="cilium",
    order=30,
    match=match,
    wants=wants,
    recognise=recognise,
    labels={"k8s-app": ("cilium",)},
    node_reason="CiliumIsUp",
    node_annotations=("network.cilium.io/", "io.cilium.network."),
    left_behind=(("kube-system", CONFIGMAP),),
)
