# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Antrea. Source: antrea v2.3 build/yamls/antrea.yml, build/charts/antrea/conf.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Sequence

from ansible_collections.podnet.cni.plugins.module_utils._discovery import build, net_conf, objects
from ansible_collections.podnet.cni.plugins.module_utils._discovery.objects import Obj
from ansible_collections.podnet.cni.plugins.module_utils._discovery.record import Record
from ansible_collections.podnet.cni.plugins.module_utils._discovery.snapshot import (
    Recogniser,
    Snapshot,
    config_map_path,
)
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields

_AGENT = "antrea-agent.conf"
_CONTROLLER = "antrea-controller.conf"
_DEFAULT_CONFIGMAP = "antrea-config"


def is_antrea(container: Obj) -> bool:
    return fields.text(container, "name") == "antrea-agent" or objects.image_is(
        container, "antrea-agent", "antrea-agent-ubuntu", "antrea-agent-ubi", "antrea-ubuntu", "antrea-windows"
    )


def match(daemonset: Obj) -> int:
    if any(is_antrea(container) for container in objects.containers(daemonset)):
        return build.SIGNATURE
    return build.LABEL_ONLY if objects.labels(daemonset).get("app") == "antrea" else 0


def _config_map(daemonset: Obj) -> str:
    """The one the agent mounts: older releases put a hash into its name."""
    names = [name for name in objects.config_map_volumes(daemonset) if name.startswith(_DEFAULT_CONFIGMAP)]
    return names[0] if names else _DEFAULT_CONFIGMAP


def wants(_snapshot: Snapshot, daemonsets: Sequence[Obj]) -> list[str]:
    groups = build.by_namespace(daemonsets)
    return [config_map_path(namespace, _config_map(group[0])) for namespace, group in groups.items()]


def recognise(snapshot: Snapshot, daemonsets: Sequence[Obj]) -> list[Record]:
    return [_record(snapshot, namespace, group) for namespace, group in build.by_namespace(daemonsets).items()]


def _record(snapshot: Snapshot, namespace: str, group: Sequence[Obj]) -> Record:
    record = build.start("antrea", group, is_antrea, match)
    record.cni.conf_name = "10-antrea.conflist"
    record.policy.provider = "antrea"
    record.networking.ipam = "node-podcidr"
    record.networking.mtu_auto = True
    name = _config_map(group[0])
    data = build.read_config_map(record, snapshot, namespace, name, _AGENT)
    if data is None:
        return record
    where = f"ConfigMap {namespace}/{name}"
    agent, controller = fields.text(data, _AGENT), fields.text(data, _CONTROLLER)
    mode = objects.yaml_value(agent, "trafficEncapMode") or "encap"
    tunnel = objects.yaml_value(agent, "tunnelType") or "geneve"
    port = build.integer(objects.yaml_value(agent, "tunnelPort"))
    record.networking.backend = {"type": tunnel, "mode": mode, "port": port or None}
    record.networking.encapsulation = {"encap": tunnel, "hybrid": "mixed"}.get(mode, "none")
    record.networking.masquerade = objects.yaml_value(agent, "noSNAT") != "true"
    if mode == "networkPolicyOnly":
        record.role = "chained"
    build.set_mtu(record, objects.yaml_value(agent, "defaultMTU"))
    if objects.yaml_value(controller, "enableNodeIPAM") == "true":
        pods, services = objects.yaml_value(controller, "clusterCIDRs"), objects.yaml_value(controller, "serviceCIDR")
        build.add_cidrs(record, "pod", pods, f"{where} nodeIPAM.clusterCIDRs")
        build.add_cidrs(record, "service", services, f"{where} nodeIPAM.serviceCIDR", "medium")
    build.add_cidrs(record, "service", objects.yaml_value(agent, "serviceCIDR"), f"{where} serviceCIDR", "medium")
    record.cni.chained_plugins = net_conf.chained_plugins(data.get("antrea-cni.conflist"))
    return record


RECOGNISER = Recogniser(
    plugin="antrea",
    order=40,
    match=match,
    wants=wants,
    recognise=recognise,
    labels={"app": ("antrea",)},
    node_annotations=("node.antrea.io/",),
)
