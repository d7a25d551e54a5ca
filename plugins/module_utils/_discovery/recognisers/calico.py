# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Calico: from its manifest or from the Tigera operator, as the network or as policy only.

Source: calico v3.30 manifests/calico.yaml and manifests/tigera-operator.yaml.
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Sequence

from ansible_collections.podnet.cni.plugins.module_utils._discovery import build, objects
from ansible_collections.podnet.cni.plugins.module_utils._discovery.objects import Obj
from ansible_collections.podnet.cni.plugins.module_utils._discovery.record import Record
from ansible_collections.podnet.cni.plugins.module_utils._discovery.snapshot import (
    Recogniser,
    Snapshot,
    config_map_path,
    config_ref,
)
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields

_CONFIGMAP = "calico-config"
_OFF = ("", "Never")


def is_calico(container: Obj) -> bool:
    """Whether the container runs calico-node, under the upstream image name or a re-packager's."""
    path, base, _tag = objects.split_image(fields.text(container, "image"))
    if path.endswith("calico/node") or base in ("calico-node", "hardened-calico"):
        return True
    return base.endswith("-calico-node") or fields.text(container, "name") == "calico-node"


def match(daemonset: Obj) -> int:
    if any(is_calico(container) for container in objects.containers(daemonset)):
        return build.SIGNATURE
    return build.LABEL_ONLY if objects.labels(daemonset).get("k8s-app") == "calico-node" else 0


def _installation(snapshot: Snapshot) -> str | None:
    base = snapshot.api("operator.tigera.io", "v1")
    return f"{base}/installations/default" if base else None


def _pools(snapshot: Snapshot) -> str | None:
    base = snapshot.api("crd.projectcalico.org", "v1") or snapshot.api("projectcalico.org", "v3")
    return f"{base}/ippools" if base else None


def wants(snapshot: Snapshot, daemonsets: Sequence[Obj]) -> list[str]:
    if not daemonsets:
        return []
    paths = [path for path in (_installation(snapshot), _pools(snapshot)) if path]
    if not _operated(daemonsets[0]):
        paths = [path for path in paths if path != _installation(snapshot)]
        paths.append(config_map_path(objects.namespace(daemonsets[0]), _CONFIGMAP))
    return paths


def recognise(snapshot: Snapshot, daemonsets: Sequence[Obj]) -> list[Record]:
    return [_record(snapshot, namespace, group) for namespace, group in build.by_namespace(daemonsets).items()]


def _operated(daemonset: Obj) -> bool:
    owners = fields.sequence(daemonset, "metadata", "ownerReferences")
    return any(fields.text(owner, "kind") == "Installation" for owner in owners)


def _record(snapshot: Snapshot, namespace: str, group: Sequence[Obj]) -> Record:
    record = build.start("calico", group, is_calico, match)
    record.cni.conf_name = "10-calico.conflist"
    record.policy.provider = "calico"
    record.networking.ipam = "calico-ipam"
    record.networking.mtu_auto = True
    daemon = build.daemon_of(group[0], is_calico)
    environment = objects.environment(daemon) if daemon is not None else {}
    if environment.get("CALICO_NETWORKING_BACKEND") == "none":
        record.role = "policy"
    if _operated(group[0]):
        record.install_method = "operator"
        _from_installation(record, snapshot)
    else:
        _from_config_map(record, snapshot, namespace)
    if record.role != "policy":
        _from_pools(record, snapshot)
        if not record.networking.pod_cidrs:
            for variable in ("CALICO_IPV4POOL_CIDR", "CALICO_IPV6POOL_CIDR"):
                build.add_cidrs(
                    record, "pod", environment.get(variable), f"calico-node environment {variable}", "medium"
                )
    else:
        record.cni.conf_name = None
        record.networking.ipam = None
    if environment.get("FELIX_NFTABLESMODE"):
        record.networking.nftables = environment["FELIX_NFTABLESMODE"] == "Enabled"
    return record


def _from_installation(record: Record, snapshot: Snapshot) -> None:
    path = _installation(snapshot)
    if path is None:
        return
    record.config_refs.append(config_ref(snapshot, None, "default", None, path))
    build.note_access(record, snapshot, path, "Installation default")
    body = snapshot.body(path)
    if body is None:
        return
    record.add_evidence("Installation", "default", "operator configuration exists", build.CONFIG_BONUS)
    if fields.text(body, "spec", "cni", "type") not in ("", "Calico"):
        record.role = "policy"
    network = fields.mapping(body, "spec", "calicoNetwork")
    build.set_mtu(record, network.get("mtu") or fields.at(body, "status", "mtu"))
    for pool in fields.sequence(network, "ipPools"):
        build.add_cidrs(record, "pod", fields.text(pool, "cidr"), "Installation default spec.calicoNetwork.ipPools")
    build.add_cidrs(record, "service", fields.sequence(body, "spec", "serviceCIDRs"), "Installation default", "medium")
    if network.get("linuxDataplane"):
        record.networking.nftables = network["linuxDataplane"] == "Nftables"


def _from_config_map(record: Record, snapshot: Snapshot, namespace: str) -> None:
    data = build.read_config_map(record, snapshot, namespace, _CONFIGMAP, None)
    if data is None:
        return
    build.set_mtu(record, data.get("veth_mtu"))
    if data.get("calico_backend") == "none":
        record.role = "policy"
    if '"host-local"' in fields.text(data, "cni_network_config"):
        record.networking.ipam = "node-podcidr"


def _from_pools(record: Record, snapshot: Snapshot) -> None:
    path = _pools(snapshot)
    if path is None:
        return
    build.note_access(record, snapshot, path, "IPPool list")
    modes = set()
    for pool in snapshot.items(path):
        spec = fields.mapping(pool, "spec")
        if spec.get("disabled") is True:
            continue
        build.add_cidrs(record, "pod", spec.get("cidr"), f"IPPool {objects.name(pool)}")
        if fields.text(spec, "vxlanMode") not in _OFF:
            modes.add("vxlan")
        elif fields.text(spec, "ipipMode") not in _OFF:
            modes.add("ipip")
        else:
            modes.add("none")
    if modes:
        record.add_evidence("IPPool", path, "address pools exist", build.CONFIG_BONUS)
        record.networking.encapsulation = modes.pop() if len(modes) == 1 else "mixed"


RECOGNISER = Recogniser(
    plugin="calico",
    order=20,
    match=match,
    wants=wants,
    recognise=recognise,
    labels={"k8s-app": ("calico-node",)},
    node_reason="CalicoIsUp",
    node_annotations=("projectcalico.org/",),
    left_behind=(("kube-system", _CONFIGMAP),),
)
