# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""OVN-Kubernetes: upstream, in OpenShift and in MicroShift. Its DaemonSets carry no labels.

Sources: ovn-kubernetes helm/ovn-kubernetes; microshift assets/components/ovn.
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import configparser
from typing import Sequence

from ansible_collections.podnet.cni.plugins.module_utils._discovery import build, cidrs, objects, openshift
from ansible_collections.podnet.cni.plugins.module_utils._discovery.objects import Obj
from ansible_collections.podnet.cni.plugins.module_utils._discovery.record import Record
from ansible_collections.podnet.cni.plugins.module_utils._discovery.snapshot import (
    Recogniser,
    Snapshot,
    config_map_path,
)
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields

_DAEMONSET = "ovnkube-node"
_UPSTREAM = "ovn-config"
_OPENSHIFT = "ovnkube-config"
_OPENSHIFT_KEY = "ovnkube.conf"


def is_ovnkube(container: Obj) -> bool:
    name = fields.text(container, "name")
    return name.startswith("ovnkube") or objects.split_image(fields.text(container, "image"))[1].startswith("ovn-kube")


def match(daemonset: Obj) -> int:
    """The node daemon; identity, control plane and ovs run beside it."""
    named = objects.name(daemonset).startswith(_DAEMONSET)
    if not named and objects.template_labels(daemonset).get("app") != _DAEMONSET:
        return 0
    return build.SIGNATURE if any(map(is_ovnkube, objects.containers(daemonset))) else build.LABEL_ONLY


def _config_map(namespace: str) -> str:
    return _OPENSHIFT if namespace.startswith("openshift-") else _UPSTREAM


def wants(snapshot: Snapshot, daemonsets: Sequence[Obj]) -> list[str]:
    if not daemonsets:
        return []
    network = openshift.network_path(snapshot)
    if network:
        return [network]
    return [config_map_path(namespace, _config_map(namespace)) for namespace in build.by_namespace(daemonsets)]


def recognise(snapshot: Snapshot, daemonsets: Sequence[Obj]) -> list[Record]:
    return [_record(snapshot, namespace, group) for namespace, group in build.by_namespace(daemonsets).items()]


def _record(snapshot: Snapshot, namespace: str, group: Sequence[Obj]) -> Record:
    record = build.start("ovn-kubernetes", group, is_ovnkube, match)
    record.cni.conf_name = "10-ovn-kubernetes.conf"
    record.policy.provider = "ovn"
    record.networking.ipam = "other"
    record.networking.encapsulation = "geneve"
    record.networking.mtu_auto = True
    if openshift.network_path(snapshot):
        openshift.apply(record, snapshot)
        return record
    name = _config_map(namespace)
    where = f"ConfigMap {namespace}/{name}"
    if name == _UPSTREAM:
        data = build.read_config_map(record, snapshot, namespace, name, "net_cidr")
        if data is not None:
            _ranges(record, where, data.get("net_cidr"), data.get("svc_cidr"), data.get("mtu"))
        return record
    data = build.read_config_map(record, snapshot, namespace, name, _OPENSHIFT_KEY)
    if data is not None:
        _from_ini(record, where, fields.text(data, _OPENSHIFT_KEY))
    return record


def _from_ini(record: Record, where: str, text: str) -> None:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(text)
    except configparser.Error as error:
        record.config_error = f"{where} key {_OPENSHIFT_KEY} is not INI text: {type(error).__name__}."
        return
    # The file has a section called [default], which is not the parser's own [DEFAULT].
    _ranges(
        record,
        where,
        parser.get("default", "cluster-subnets", fallback=None),
        parser.get("kubernetes", "service-cidrs", fallback=None),
        parser.get("default", "mtu", fallback=None),
    )


def _ranges(record: Record, where: str, pods: str | None, services: str | None, mtu: str | None) -> None:
    build.add_cidrs(record, "pod", cidrs.strip_host_prefix((pods or "").strip("\"'")), where)
    build.add_cidrs(record, "service", (services or "").strip("\"'"), where)
    build.set_mtu(record, (mtu or "").strip("\"'"))


RECOGNISER = Recogniser(
    plugin="ovn-kubernetes",
    order=50,
    match=match,
    wants=wants,
    recognise=recognise,
    names=(_DAEMONSET,),
    api_groups=("k8s.ovn.org", "config.openshift.io"),
    node_annotations=("k8s.ovn.org/",),
)
