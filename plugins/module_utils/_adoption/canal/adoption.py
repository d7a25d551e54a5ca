# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What to do about a network that a cluster has already, when Canal is to be installed: decisions, no requests.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._adoption import ownership
from ansible_collections.podnet.cni.plugins.module_utils._adoption.canal import pod_config
from ansible_collections.podnet.cni.plugins.module_utils._adoption.changes import network_changes
from ansible_collections.podnet.cni.plugins.module_utils._adoption.decision import (
    CARRIES_NO_PODS,
    INSTALL,
    REPLACE,
    UPGRADE,
    Decision,
    Found,
    refuse_unknown,
    refuse_unread,
)
from ansible_collections.podnet.cni.plugins.module_utils._adoption.ownership import full_name
from ansible_collections.podnet.cni.plugins.module_utils._adoption.place import Place
from ansible_collections.podnet.cni.plugins.module_utils._discovery import objects
from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError, InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import addresses
from ansible_collections.podnet.cni.plugins.module_utils._flannel import network_config as config_codec
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields, selectors

POLICIES = ("in_place", "never")
PURPOSES = ("install", "from_flannel", "to_flannel", "remove")
FORMER_CRDS = (
    "adminnetworkpolicies.policy.networking.k8s.io",
    "baselineadminnetworkpolicies.policy.networking.k8s.io",
    "clusternetworkpolicies.policy.networking.k8s.io",
)
"""Not in every release's manifest: the first two in 3.29 and 3.30 to 3.31, the third since 3.32."""
GROUPS = ("crd.projectcalico.org", "policy.networking.k8s.io")

_HARMLESS = ("canal", "generic", "unknown")
_SHOWN = 4


@dataclass(frozen=True)
class Wanted:
    """What the role is asked for; C(place) is the manifest's own, C(pod_labels) are those of the manifest's pods.

    C(node_names) are the Nodes whose files somebody changes in the same run, None when nothing is said about it.
    """

    place: Place
    pod_labels: Mapping[str, str]
    network_config: Mapping[str, Any]
    policy: str = "in_place"
    allow_network_change: bool = False
    allow_unknown_network: bool = False
    purpose: str = "install"
    node_names: Sequence[str] | None = None
    allow_missing_nodes: bool = False


@dataclass(frozen=True)
class CanalFound(Found):
    """What the cluster has of Canal, the Nodes, and a flannel's objects.

    C(left_config_map) is what stands at the wanted place; without a DaemonSet, an interrupted run left it.
    """

    nodes: Sequence[Mapping[str, Any]] = ()
    flannels: Sequence[Mapping[str, Any]] = ()
    flannel_config_map: Mapping[str, Any] | None = None
    flannel_binding: Mapping[str, Any] | None = None
    left_config_map: Mapping[str, Any] | None = None


def decide(wanted: Wanted, found: CanalFound, manager: str) -> Decision:
    """Decide; C(manager) is the name under which our writes are recorded. Raises ConflictError with the reason."""
    told = _compare_nodes(wanted, found)
    decision = _decide(wanted, found, manager)
    return replace(decision, warnings=(*told, *decision.warnings))


def _decide(wanted: Wanted, found: CanalFound, manager: str) -> Decision:
    if wanted.purpose != "remove":
        _refuse_others(wanted, found)
        if wanted.purpose == "install" and not wanted.allow_unknown_network:
            refuse_unknown(found, plugin="canal", option="canal_allow_unknown_network")
        _refuse_nodes(wanted, found)
    if not found.daemonsets:
        return _in_place_of_flannel(wanted, found)
    if len(found.daemonsets) > 1:
        names = ", ".join(sorted(full_name(item) for item in found.daemonsets))
        raise ConflictError(
            f"Canal is installed more than once: {names}. They share links, files and rights: delete all but one."
        )
    main = found.daemonsets[0]
    _refuse_owned(main)
    if wanted.policy == "never" and not ownership.is_ours(main, manager):
        raise ConflictError(
            f"Canal is installed already: DaemonSet {full_name(main)}, which this role did not make. Adopt it with "
            "canal_adopt in_place, or remove it."
        )
    changes, warnings = _changes(wanted, found.config_map, full_name(main))
    return _in_place(wanted, found, manager, changes, warnings)


def _compare_nodes(wanted: Wanted, found: CanalFound) -> list[str]:
    """Warnings about Nodes whose files nobody changes. Raises ConflictError where that leaves them without a network.

    Without Canal's rights its plugin can make no pod, so a Node that keeps Canal's file is lost. flannel's file is
    harmless beside Canal's, which sorts first.
    """
    if wanted.node_names is None or wanted.purpose == "install":
        return []
    names = sorted(str(node["metadata"]["name"]) for node in found.nodes)
    missing = [name for name in names if name not in wanted.node_names]
    strange = sorted(set(wanted.node_names) - set(names))
    shown = f"{_some(missing)} of the cluster's {len(names)} nodes"
    ends_canal = wanted.purpose in ("to_flannel", "remove")
    if missing and ends_canal and not wanted.allow_missing_nodes:
        raise ConflictError(
            f"The files of {shown} are not changed in this run: no host that was reached has that name. They would "
            "keep Canal's configuration, and no new pod would start there. Put every node into the inventory "
            "(canal_node_hosts), leave --limit out, and name a host's Node with canal_node_name where they differ. "
            "canal_allow_missing_nodes continues without them."
        )
    told = []
    if missing and ends_canal:
        told.append(f"{shown} keep Canal's configuration: remove 10-canal.conflist there, or no new pod starts.")
    elif missing:
        told.append(f"{shown} keep flannel's file beside Canal's: remove 10-flannel.conflist there.")
    if strange:
        told.append(f"No Node has the name of {_some(strange)}, although canal_node_hosts has such a host.")
    return told


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _changes(wanted: Wanted, config_map: Mapping[str, Any] | None, where: str) -> tuple[list[str], list[str]]:
    if wanted.purpose == "remove":
        return [], []
    changes, warnings = network_changes(config_map, wanted.network_config)
    if changes and not wanted.allow_network_change:
        raise ConflictError(
            f"The network of {where} would change: " + "; ".join(changes) + ". Set the variables to what the cluster "
            "has, or plan an interruption and set canal_allow_network_change."
        )
    return changes, warnings


def _in_place_of_flannel(wanted: Wanted, found: CanalFound) -> Decision:
    """A new installation; a flannel that it replaces hands on its network."""
    left = network_name(found.left_config_map, "cni_network_config")
    if not found.flannels or wanted.purpose != "from_flannel":
        return Decision(INSTALL, wanted.place, network_name=left)
    changes, warnings = _changes(wanted, found.flannel_config_map, full_name(found.flannels[0]))
    for item in found.flannels:
        release = ownership.release(item)
        if release:
            warnings.append(
                f"The record of the Helm release {release} stays: delete it with `kubectl -n "
                f"{item['metadata']['namespace']} delete secret -l owner=helm,name={release}`."
            )
    return Decision(
        INSTALL,
        wanted.place,
        network_name=network_name(found.flannel_config_map, "cni-conf.json") or left,
        replaced=flannel_objects(found),
        changes=changes,
        warnings=warnings,
    )


def flannel_objects(found: CanalFound) -> list[Mapping[str, Any]]:
    """What a flannel consists of, but for its namespace and its ClusterRole, which Canal's own has the name of."""
    made: list[Mapping[str, Any]] = []
    for item in found.flannels:
        namespace = str(item["metadata"]["namespace"])
        made.append(_identity("apps/v1", "DaemonSet", str(item["metadata"]["name"]), namespace))
        account = fields.text(item, "spec", "template", "spec", "serviceAccountName")
        subject = {"kind": "ServiceAccount", "name": account, "namespace": namespace}
        for each in fields.sequence(found.flannel_binding, "subjects"):
            if {key: each.get(key) for key in subject} == subject:
                made.insert(0, _identity("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "flannel"))
                made.insert(0, _identity("v1", "ServiceAccount", account, namespace))
    if found.flannel_config_map is not None:
        metadata = found.flannel_config_map["metadata"]
        made.insert(0, _identity("v1", "ConfigMap", str(metadata["name"]), str(metadata["namespace"])))
    return made


def _identity(api_version: str, kind: str, name: str, namespace: str = "") -> Mapping[str, Any]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}


def network_name(config_map: Mapping[str, Any] | None, key: str) -> str:
    """The name of the network in a CNI configuration that a ConfigMap holds; empty when it cannot be read."""
    try:
        return str(pod_config.load(str(fields.at(config_map, "data", key) or "")).get("name") or "")
    except InputError:
        return ""


def _in_place(
    wanted: Wanted, found: CanalFound, manager: str, changes: Sequence[str], warnings: Sequence[str]
) -> Decision:
    main = found.daemonsets[0]
    pod = fields.mapping(main, "spec", "template", "spec")
    selector = fields.mapping(main, "spec", "selector")
    labels = dict(selector.get("matchLabels") or {})
    keeps = selectors.matches(selector, {**wanted.pod_labels, **labels})
    place = Place(
        namespace=str(main["metadata"]["namespace"]),
        daemonset=str(main["metadata"]["name"]),
        config_map=objects.name(found.config_map or {}) or wanted.place.config_map,
        service_account=str(pod.get("serviceAccountName") or wanted.place.service_account),
        selector=selector if keeps else wanted.place.selector,
        labels={key: value for key, value in labels.items() if wanted.pod_labels.get(key) != value} if keeps else {},
    )
    settled = ownership.is_ours(main, manager) and not ownership.written_otherwise(main, manager)
    return Decision(
        UPGRADE if keeps else REPLACE,
        place,
        network_name=network_name(found.config_map, "cni_network_config"),
        replaced=flannel_objects(found) if wanted.purpose == "from_flannel" else (),
        remove=() if keeps else (place.daemonset,),
        orphan=not keeps and selectors.matches(place.selector, objects.template_labels(main)),
        take_over=not settled,
        changes=changes,
        warnings=warnings,
    )


def _refuse_others(wanted: Wanted, found: CanalFound) -> None:
    for record in found.records:
        if record["plugin"] in _HARMLESS or record["role"] in CARRIES_NO_PODS:
            continue
        where = f"{record['plugin']} in namespace {record['namespace'] or '-'}"
        if record["plugin"] == "flannel":
            if record["install_method"] == "embedded":
                raise ConflictError(
                    f"{record.get('distribution') or 'k3s'} runs flannel inside its own process. Start its servers "
                    "with --flannel-backend=none before you install Canal. The playbook podnet.cni.distribution shows "
                    "which file decides, and podnet.cni.distribution_network changes backend, MTU and more there: "
                    "docs/distributions.md."
                )
            if wanted.purpose != "install":
                continue
            raise ConflictError(
                f"{where} carries the pods of this cluster. Canal can take its place, node by node: run the playbook "
                "podnet.cni.canal_migrate."
            )
        raise ConflictError(
            f"{where} carries the pods of this cluster. Two networks under the same pods break both: remove it first, "
            "or leave Canal out."
        )
    refuse_unread(found)


def _refuse_owned(daemonset: Mapping[str, Any]) -> None:
    """A chart's release writes its objects again, so only its owner can change them for good."""
    release = ownership.release(daemonset)
    if not release and objects.name(daemonset).startswith("rke2-"):
        release = objects.name(daemonset)
    if release.startswith("rke2-"):
        raise ConflictError(
            f"DaemonSet {full_name(daemonset)} belongs to RKE2, whose Helm controller writes it again with each start "
            f"of a server. Set its values with a HelmChartConfig called {release} in kube-system, into which the "
            "playbook podnet.cni.distribution_network merges them, or start the servers with another cni. The playbook "
            "podnet.cni.distribution shows who owns which value (docs/distributions.md)."
        )
    if release:
        raise ConflictError(
            f"DaemonSet {full_name(daemonset)} belongs to the Helm release {release}: change its values there, or "
            f"uninstall the release first."
        )


def _refuse_nodes(wanted: Wanted, found: CanalFound) -> None:
    """flanneld ends at once on a Node whose range is not inside the network."""
    if wanted.allow_network_change:
        return
    config = config_codec.parse(dict(wanted.network_config), check_ranges=False)
    networks: dict[int, Any] = {}
    if config.network is not None:
        networks[4] = config.network
    if config.ipv6_network is not None:
        networks[6] = config.ipv6_network
    for node in found.nodes:
        spec = node.get("spec") or {}
        ranges = spec.get("podCIDRs") or [spec["podCIDR"]] if spec.get("podCIDR") else []
        for text in ranges:
            mine = addresses.parse_cidr(text)
            network = networks.get(mine.version)
            if network is not None and not _inside(mine, network):
                raise ConflictError(
                    f"Node {node['metadata']['name']} has podCIDR {text}, which is not in {network}: flanneld would "
                    "end there. Set canal_pod_cidr to what controller-manager's --cluster-cidr says."
                )
        if ranges and len(ranges) < len(networks):
            raise ConflictError(
                f"Node {node['metadata']['name']} has podCIDR {ranges[0]} only, but two families are wanted. A Node's "
                "ranges cannot be changed: make dual-stack clusters with two ranges in --cluster-cidr."
            )


def _inside(inner: Any, outer: Any) -> bool:
    return bool(inner.version == outer.version and inner.subnet_of(outer))


def missing_crds(served: Mapping[str, Sequence[str]], kept: Sequence[str], needed: Sequence[str]) -> list[str]:
    """Names of definitions that the manifest's pods need and that are neither in it nor served.

    C(served) has the names of resources by API version.
    """
    there = {f"{plural}.{version.partition('/')[0]}" for version, plurals in served.items() for plural in plurals}
    return [name for name in needed if name not in kept and name not in there]


def refuse_missing_crds(missing: Sequence[str]) -> None:
    """Raise InputError when there are any: Calico waits for kinds that it cannot read, and no pod gets a network."""
    if missing:
        raise InputError(
            f"canal_manifest is not whole: its pods need {_some(missing)}, which it does not define "
            "and the API server does not serve. Take manifests/canal.yaml of the Calico release whose images you run, "
            "or apply these definitions first."
        )


def former_crds(served: Mapping[str, Sequence[str]], kept: Sequence[str]) -> list[tuple[str, str]]:
    """Calico's CustomResourceDefinitions that the manifest lacks: name, and the API version they are served in.

    C(served) has the names of resources by API version.
    """
    found: dict[str, str] = {}
    for version, plurals in served.items():
        group = version.partition("/")[0]
        for plural in plurals:
            name = f"{plural}.{group}"
            if name not in kept and (group == GROUPS[0] or name in FORMER_CRDS):
                found.setdefault(name, version)
    return sorted(found.items())
