# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""flannel: as a DaemonSet under any name and label, and inside the k3s and rke2 processes.

Sources: flannel v0.28.9 Documentation/kube-flannel.yml, Documentation/kustomization, chart/kube-flannel,
pkg/subnet/kube/annotations.go; k3s https://docs.k3s.io/networking/basic-network-options.
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._discovery import (
    build,
    flannel_nodes,
    net_conf,
    nodes,
    objects,
    targets,
)
from ansible_collections.podnet.cni.plugins.module_utils._discovery.objects import Obj
from ansible_collections.podnet.cni.plugins.module_utils._discovery.record import Record
from ansible_collections.podnet.cni.plugins.module_utils._discovery.snapshot import (
    FORBIDDEN,
    Recogniser,
    Snapshot,
    config_map_path,
)
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields

PREFIX = flannel_nodes.PREFIX
CONF_NAME = "10-flannel.conflist"
CONDITION_REASON = "FlannelIsUp"
_LABELS: Mapping[str, Sequence[str]] = {"k8s-app": ("flannel",), "app": ("flannel",)}
_MAX_CONFIGMAPS = 3

# https://docs.k3s.io/cli/server: what a server uses when its arguments are silent.
_K3S_PODS = "10.42.0.0/16"
_K3S_SERVICES = "10.43.0.0/16"
_K3S_BACKENDS: Mapping[str, str] = {"wireguard-native": "wireguard"}


def is_flanneld(container: Obj) -> bool:
    """Whether the container runs flanneld: by its image, its command, or the flag of Kubernetes mode."""
    words = objects.arguments(container)
    if objects.switch(words, "kube-subnet-mgr") or (words and words[0].rsplit("/", 1)[-1] == "flanneld"):
        return True
    return objects.image_is(container, "flannel")


def match(daemonset: Obj) -> int:
    if any(is_flanneld(container) for container in objects.containers(daemonset)):
        return build.SIGNATURE
    labelled = objects.labels(daemonset)
    if any(labelled.get(key) in values for key, values in _LABELS.items()) and objects.config_map_volumes(daemonset):
        return build.LABEL_ONLY
    return 0


def wants(_snapshot: Snapshot, daemonsets: Sequence[Obj]) -> list[str]:
    """The ConfigMaps the DaemonSets themselves mount, whatever their name."""
    paths: list[str] = []
    for namespace, group in build.by_namespace(daemonsets).items():
        paths.extend(config_map_path(namespace, name) for name in _config_maps(group))
    return paths


def recognise(snapshot: Snapshot, daemonsets: Sequence[Obj]) -> list[Record]:
    """A record per installation with flannel DaemonSets; else one for what the Nodes tell."""
    records = []
    for namespace, items in build.by_namespace(daemonsets).items():
        for group in targets.installations(items):
            if _plausible(snapshot, namespace, group):
                records.append(_from_daemonsets(snapshot, namespace, group))
    if not records:
        found = _from_nodes(snapshot)
        records = [found] if found else []
    return records


def read_daemon(record: Record, daemonset: Obj) -> str:
    """What flanneld's own arguments say; gives the prefix of its Node annotations. Shared with Canal."""
    daemon = next((item for item in objects.containers(daemonset) if is_flanneld(item)), None)
    words = objects.arguments(daemon) if daemon is not None else []
    record.networking.masquerade = objects.switch(words, "ip-masq")
    selection = {
        "iface": objects.flags(words, "iface"),
        "iface_regex": objects.flags(words, "iface-regex"),
        "can_reach": objects.flag(words, "iface-can-reach"),
    }
    record.networking.interface_selection = selection if any(selection.values()) else None
    return flannel_nodes.annotation_prefix(objects.flag(words, "kube-annotation-prefix"))


def in_etcd(daemonset: Obj) -> bool:
    """Whether flanneld takes network config and leases from etcd, so that the API has neither."""
    daemon = next((item for item in objects.containers(daemonset) if is_flanneld(item)), {})
    words = objects.arguments(daemon)
    names = [fields.text(item, "name") for item in fields.sequence(daemon, "env")]
    if objects.switch(words, "kube-subnet-mgr") or "FLANNELD_KUBE_SUBNET_MGR" in names:
        return False
    flags = any(word.lstrip("-").startswith("etcd-") for word in words if word.startswith("-"))
    return flags or any(name.startswith("FLANNELD_ETCD_") for name in names)


def read_net_conf(
    record: Record, snapshot: Snapshot, namespace: str, names: Sequence[str], etcd: bool = False
) -> Obj | None:
    """Apply the first of the ConfigMaps that holds a net-conf.json; note an error when none does.

    With C(etcd) none has to: what a ConfigMap says beside it is given all the same.
    """
    if etcd:
        record.networking.ipam = "other"
        record.warnings.append(
            "network_config_in_etcd: flanneld reads its network config from etcd, which is not visible from here. "
            "podnet.cni.flannel_lease_info reads it there."
        )
        for name in names:
            build.read_config_map(record, snapshot, namespace, name, None)
        return next((fields.mapping(snapshot.body(config_map_path(namespace, name)), "data") for name in names), None)
    for name in names:
        data = snapshot.body(config_map_path(namespace, name))
        content = fields.mapping(data, "data")
        if net_conf.KEY in content:
            build.read_config_map(record, snapshot, namespace, name, net_conf.KEY)
            net_conf.apply(record, content[net_conf.KEY], f"ConfigMap {namespace}/{name} key {net_conf.KEY}")
            return content
    for name in names:
        build.read_config_map(record, snapshot, namespace, name, net_conf.KEY)
    if any(snapshot.status(config_map_path(namespace, name)) == FORBIDDEN for name in names):
        return None
    where = ", ".join(f"{namespace}/{name}" for name in names)
    record.config_error = (
        f"no {net_conf.KEY} in ConfigMap {where}: it is missing or lacks the key."
        if names
        else "the pods mount no ConfigMap; the configuration cannot be read from the API."
    )
    return None


def _config_maps(group: Sequence[Obj]) -> list[str]:
    names: list[str] = []
    for daemonset in group:
        names.extend(name for name in objects.config_map_volumes(daemonset) if name not in names)
    return names[:_MAX_CONFIGMAPS]


def _plausible(snapshot: Snapshot, namespace: str, group: Sequence[Obj]) -> bool:
    """A label alone makes no flannel: the ConfigMap must not turn out to be something else."""
    if any(match(daemonset) >= build.SIGNATURE for daemonset in group):
        return True
    for name in _config_maps(group):
        path = config_map_path(namespace, name)
        if snapshot.status(path) == FORBIDDEN or net_conf.KEY in fields.mapping(snapshot.body(path), "data"):
            return True
    return False


def _from_daemonsets(snapshot: Snapshot, namespace: str, group: Sequence[Obj]) -> Record:
    record = build.start("flannel", group, is_flanneld, match)
    selector = fields.mapping(group[0], "spec", "selector", "matchLabels")
    if record.install_method == "manifest" and selector.get("k8s-app") == "flannel":
        record.install_method = "kustomize"
    record.distribution = _distribution(group)
    record.cni.conf_name = CONF_NAME
    record.networking.ipam = "node-podcidr"
    record.policy.provider = _policy_provider(group)
    prefix = read_daemon(record, group[0])
    content = read_net_conf(record, snapshot, namespace, _config_maps(group), in_etcd(group[0]))
    if content:
        record.cni.chained_plugins = net_conf.chained_plugins(content.get(net_conf.CNI_KEY))
    _node_evidence(record, flannel_nodes.annotated(snapshot.nodes, prefix))
    # With leases in etcd no Node is annotated, and none lacks that.
    if not in_etcd(group[0]):
        flannel_nodes.describe(record, snapshot, prefix)
    return record


def _distribution(group: Sequence[Obj]) -> str | None:
    """Installers that have their own manifest: Kubespray's is per architecture, RKE1's drops the label C(app)."""
    names = [objects.name(daemonset) for daemonset in group]
    if "kube-flannel" not in names:
        return None
    if any(name.startswith("kube-flannel-ds-") for name in names):
        return "kubespray"
    labelled = objects.labels(group[names.index("kube-flannel")])
    return "rke1" if labelled.get("k8s-app") == "flannel" and "app" not in labelled else None


def _policy_provider(group: Sequence[Obj]) -> str:
    sidecars = [container for daemonset in group for container in objects.containers(daemonset)]
    return "kube-network-policies" if any(objects.image_is(c, "kube-network-policies") for c in sidecars) else "none"


def _node_evidence(record: Record, known: Sequence[Obj]) -> None:
    if not known:
        return
    up = [node for node in known if flannel_nodes.condition_reason(node) == CONDITION_REASON]
    if up:
        record.add_evidence("Node", objects.name(up[0]), f"annotations, and condition reason {CONDITION_REASON}", 70)
    else:
        record.add_evidence("Node", objects.name(known[0]), "flannel annotations", 25)


def _from_nodes(snapshot: Snapshot) -> Record | None:
    known = flannel_nodes.annotated(snapshot.nodes, PREFIX)
    if not known:
        return None
    record = Record(plugin="flannel")
    record.cni.conf_name = CONF_NAME
    record.networking.ipam = "node-podcidr"
    _node_evidence(record, known)
    embedding = [node for node in known if _embeds(node)]
    server, args = nodes.server([*snapshot.nodes, *snapshot.servers])
    off = objects.flag(args, "flannel-backend") == "none"
    if embedding and not off:
        _embedded(record, embedding[0], server, args)
        flannel_nodes.describe(record, snapshot, PREFIX)
        return record
    # A DaemonSet that may not be seen is not a reason to think that there is none.
    record.stale_suspected = off or snapshot.scope == "cluster"
    up = any(flannel_nodes.condition_reason(node) == CONDITION_REASON for node in known)
    if record.stale_suspected and (off or not up):
        record.role = "leftover"
    return record


def _embeds(node: Obj) -> bool:
    """k3s everywhere and rke2 on Windows run flannel inside their own process."""
    version = fields.text(node, "status", "nodeInfo", "kubeletVersion")
    windows = fields.text(node, "status", "nodeInfo", "operatingSystem") == "windows"
    return "+k3s" in version or ("+rke2" in version and windows)


def _embedded(record: Record, node: Obj, server: str, args: Sequence[str]) -> None:
    record.install_method = "embedded"
    where = f"Node {server} annotation node-args"
    version = fields.text(node, "status", "nodeInfo", "kubeletVersion")
    record.add_evidence("kubelet", objects.name(node), f"kubelet {version} embeds flannel", 70)
    for kind, name, default in (("pod", "cluster-cidr", _K3S_PODS), ("service", "service-cidr", _K3S_SERVICES)):
        given = [value for value in objects.flags(args, name) if value]
        if given:
            record.add_evidence("node-args", where, f"--{name} is given", 70)
            build.add_cidrs(record, kind, ",".join(given), where)
        else:
            build.add_cidrs(record, kind, default, "default of k3s and rke2", "low")
    kind = objects.flag(args, "flannel-backend") or "vxlan"
    kind = _K3S_BACKENDS.get(kind, kind)
    backend: dict[str, object] = {"type": kind}
    if kind == "vxlan":
        backend.update({"vni": 1, "port": 8472})
    record.networking.backend = backend
    record.networking.encapsulation = net_conf.ENCAPSULATION.get(kind)
    record.networking.mtu_auto = True
    record.networking.masquerade = True
    interfaces = objects.flags(args, "flannel-iface")
    if interfaces:
        record.networking.interface_selection = {"iface": interfaces, "iface_regex": [], "can_reach": None}
    record.policy.provider = "none" if objects.switch(args, "disable-network-policy") else "kube-router"


RECOGNISER = Recogniser(
    plugin="flannel",
    order=90,
    match=match,
    wants=wants,
    recognise=recognise,
    labels={key: tuple(values) for key, values in _LABELS.items()},
    node_reason=CONDITION_REASON,
    node_annotations=(PREFIX,),
    left_behind=(("kube-flannel", "kube-flannel-cfg"), ("kube-system", "kube-flannel-cfg")),
)
