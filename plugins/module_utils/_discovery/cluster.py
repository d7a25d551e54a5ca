# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read one cluster and say what its network is: the requests, in an order that keeps them few.

Label- and name-narrowed requests come first, then the pods of one Node; all DaemonSets are listed only when those find
nothing that carries the pods. Never are all Pods, all ConfigMaps or any Secret asked for, and nothing is ever written.
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any, Iterator, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._discovery import (
    cidr_sources,
    cidrs,
    health,
    nodes,
    objects,
    owners,
    roles,
)
from ansible_collections.podnet.cni.plugins.module_utils._discovery.objects import Obj
from ansible_collections.podnet.cni.plugins.module_utils._discovery.record import Record, sort_key
from ansible_collections.podnet.cni.plugins.module_utils._discovery.snapshot import (
    ABSENT,
    FORBIDDEN,
    FOUND,
    Fetched,
    Recogniser,
    Snapshot,
    config_map_path,
    config_ref,
)
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import TABLE, KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import Forbidden, NotFound

# Where network plugins live, for users who may not list DaemonSets of all namespaces.
NAMESPACES = (
    "kube-flannel",
    "kube-system",
    "calico-system",
    "cilium",
    "tigera-operator",
    "antrea-system",
    "ovn-kubernetes",
    "openshift-ovn-kubernetes",
)
_DAEMONSETS = "/apis/apps/v1/daemonsets"
_NODES = "/api/v1/nodes"
_PODS = "/api/v1/pods"
_CONTROL_PLANE_LABEL = "node-role.kubernetes.io/control-plane"
# What a cluster with a plugin that is found by its label is asked at most.
REQUESTS = 8
# More likely ones than these are read faster with all the others.
_LIKELY = 3
# A recogniser may ask for more once the first objects are there; none needs more rounds than this.
_ROUNDS = 3

# Which plugins a distribution brings itself; what else runs there was installed by its owner.
_BUNDLED: Mapping[str, Sequence[str]] = {
    "rke1": ("flannel", "canal", "calico", "weave"),
    "rke2": ("canal", "calico", "cilium", "flannel", "multus"),
    "kubespray": ("flannel",),
    "talos": ("flannel",),
    "kops": ("flannel", "canal", "calico", "cilium", "kube-router", "aws-vpc-cni", "kindnet"),
    "kind": ("kindnet",),
    "microshift": ("ovn-kubernetes", "multus"),
    "eks": ("aws-vpc-cni",),
    "aks": ("azure-cni", "cilium"),
    "gke": ("gke-dataplane-v2", "calico"),
}


@dataclass(frozen=True)
class Scope:
    """How far to look.

    C(mode) is C(auto), C(labels) (never all DaemonSets), C(full) (all of them at once) or C(namespaces) (only those).
    C(sought) names a plugin whose absence has to be certain. C(nodes) bounds how many Nodes are read.
    """

    mode: str = "auto"
    namespaces: tuple[str, ...] = NAMESPACES
    nodes: int = 50
    page_size: int = 500
    sought: str = ""


def discover(client: KubeClient, scope: Scope, known: Sequence[Recogniser], cluster: str = "") -> list[Record]:
    """The components of one cluster, sorted, as the recognisers C(known) see them.

    With C(sought) only those of that plugin, which may be none.

    Raises the client's errors for everything but 403 and 404: those become warnings or missing evidence.
    """
    before = client.requests
    reader = _Reader(client, scope, known)
    records = reader.run()
    if scope.sought:
        records = _only(records, scope.sought, reader.snapshot)
    for record in records:
        record.cluster = cluster
        record.api_calls = client.requests - before
        record.server_version = reader.snapshot.server_version
        record.collected_at = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return sorted(records, key=sort_key)


def _only(records: Sequence[Record], plugin: str, snapshot: Snapshot) -> list[Record]:
    """The records of one plugin; C(unknown) instead of none where not everything was read."""
    found = [record for record in records if record.plugin == plugin]
    if found or snapshot.conclusive:
        return found
    unknown = Record(plugin="unknown", scope=snapshot.scope)
    unknown.warnings = list(snapshot.warnings)
    if snapshot.scope == "partial":
        unknown.warnings.append(f"{plugin} may be installed where this identity may not look.")
    unknown.warnings.extend(f"{plugin} may be installed: {reason}" for reason in snapshot.unsought)
    nodes.summarise(unknown, snapshot, ())
    return [unknown]


def _unsought(scope: Scope) -> list[str]:
    """Where these options let discovery not look, as sentences."""
    found = []
    if scope.mode == "labels":
        found.append("mode=labels misses what has none of the known labels; use mode=auto.")
    elif scope.mode == "namespaces":
        found.append(f"mode=namespaces looks only into {', '.join(scope.namespaces)}; use mode=auto.")
    if not scope.nodes:
        found.append("nodes=0 reads no Node, and flannel inside k3s or RKE2 shows on Nodes alone; use nodes=1 or more.")
    return found


class _Reader:
    """One run over one cluster."""

    def __init__(self, client: KubeClient, scope: Scope, known: Sequence[Recogniser]) -> None:
        self.client = client
        self.scope = scope
        self.snapshot = Snapshot(
            scope="namespace" if scope.mode == "namespaces" else "cluster", unsought=_unsought(scope)
        )
        self.snapshot.searched = "namespaces" if scope.mode == "namespaces" else "labels"
        self._before = client.requests
        self.known = known
        self.listing_allowed = True
        self._seen: set[str] = set()

    def run(self) -> list[Record]:
        self._server()
        self._nodes()
        self._daemonsets()
        records = self._recognise()
        for look in (self._by_node, self._by_image):
            if self._needs_all(records) and look():
                records = self._recognise()
        if self._needs_all(records):
            self._list_daemonsets({})
            records = self._recognise()
        records = self._with_fallback(self._with_leftovers(records))
        self._finish(records)
        return records

    # -- requests ---------------------------------------------------------------------------------------------------

    def _fetch(self, path: str) -> Fetched:
        """GET a path once; what is absent or forbidden is an answer too."""
        if path not in self.snapshot.objects:
            try:
                answer = Fetched(FOUND, self.client.get(path))
            except NotFound:
                answer = Fetched(ABSENT)
            except Forbidden:
                answer = Fetched(FORBIDDEN)
            self.snapshot.objects[path] = answer
        return self.snapshot.objects[path]

    def _server(self) -> None:
        self.snapshot.server_version = fields.text(self._fetch("/version").body, "gitVersion") or None
        groups = self._fetch("/apis")
        for group in fields.sequence(groups.body, "groups"):
            versions = [fields.text(item, "version") for item in fields.sequence(group, "versions")]
            self.snapshot.groups[fields.text(group, "name")] = tuple(filter(None, versions))
        if groups.status == FORBIDDEN:
            self._partly("The list of API groups is forbidden; custom resources of network plugins were not read.")

    def _nodes(self) -> None:
        if not self.scope.nodes:
            return
        try:
            page = self.client.get(_NODES, {"limit": self.scope.nodes})
        except Forbidden:
            self._partly("Nodes may not be listed: their ranges, annotations and conditions are missing here.")
            return
        self.snapshot.nodes = fields.mappings(page, "items")
        left = fields.number(page, "metadata", "remainingItemCount")
        self.snapshot.nodes_total = len(self.snapshot.nodes) + left
        self._control_plane_nodes(left)

    def _control_plane_nodes(self, left: int) -> None:
        """The servers of a large k3s or rke2 cluster need not be on the first page; their annotations suffice."""
        embedding = any(map(nodes.embeds_network, self.snapshot.nodes))
        if left and embedding and not nodes.server_arguments(self.snapshot.nodes):
            query = {"labelSelector": _CONTROL_PLANE_LABEL}
            self.snapshot.servers = list(self.client.list(_NODES, query, metadata_only=True).items)

    def _daemonsets(self) -> None:
        if self.scope.mode == "namespaces":
            self._list_namespaces()
            return
        if self.scope.mode == "full":
            self._list_daemonsets({})
            return
        labels: dict[str, set[str]] = {}
        for recogniser in self.known:
            for hint in (recogniser.labels, recogniser.late_labels if self._hinted(recogniser) else {}):
                for key, values in hint.items():
                    labels.setdefault(key, set()).update(values)
        queries = [{"labelSelector": f"{key} in ({','.join(sorted(labels[key]))})"} for key in sorted(labels)]
        names = sorted({name for item in self.known if self._hinted(item) for name in item.names})
        queries += [{"fieldSelector": f"metadata.name={name}"} for name in names]
        # From the API server's own cache, where a selector costs it milliseconds; a consistent read may make it decode
        # every DaemonSet. The cache may lag, but "not there" is never said on its word: the full list follows.
        cached = {"resourceVersion": "0"} if self.scope.mode == "auto" else {}
        for query in queries:
            if self.listing_allowed:
                self._list_daemonsets({**query, **cached})

    def _hinted(self, recogniser: Recogniser) -> bool:
        """Whether the API groups or a Node condition make it worthwhile to ask for a plugin that has no labels."""
        if any(group in self.snapshot.groups for group in recogniser.api_groups):
            return True
        reasons = [nodes.condition(node, "NetworkUnavailable")[1] for node in self.snapshot.nodes]
        return bool(recogniser.node_reason) and recogniser.node_reason in reasons

    def _list_daemonsets(self, query: Mapping[str, Any]) -> None:
        try:
            self._add(self.client.list(_DAEMONSETS, query, limit=self.scope.page_size).items)
            if not query:
                self.snapshot.searched = "all"
        except Forbidden:
            self.listing_allowed = False
            self._partly("DaemonSets of all namespaces may not be listed; the usual namespaces were tried instead.")
            self._list_namespaces()

    def _by_node(self) -> bool:
        """Look at the pods of one Ready Node of Linux, and then at their DaemonSets that are likely; whether any are.

        A network has a pod on every Node, and the API server keeps an index of pods by Node: this costs the same
        however large the cluster is. Source: Kubernetes 1.36, pkg/registry/core/pod/strategy.go, Indexers.
        """
        ready = [
            each
            for each in self.snapshot.nodes
            if nodes.condition(each, "Ready")[0] == "True"
            and fields.text(each, "status", "nodeInfo", "operatingSystem") != "windows"
        ]
        if not ready:
            return False
        query = {"fieldSelector": f"spec.nodeName={objects.name(ready[0])}", "resourceVersion": "0"}
        try:
            pods = self.client.list(_PODS, query, limit=self.scope.page_size).items
        except Forbidden:
            # Not among the rights that discovery asks for; the list of DaemonSets tells as much.
            return False
        run = filter(None, map(_daemonset_of, pods))
        found = self._read_likely({objects.name(item) for item in run if any(one.match(item) for one in self.known)})
        if found:
            self.snapshot.searched = "node"
        return found

    def _by_image(self) -> bool:
        """Look at names and images alone, and then at the DaemonSets that these make likely; whether there are any.

        All DaemonSets as a table of their names and images are one answer, a tenth of what they are as objects. What
        only its arguments tell is not seen here. Source:
        https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables.
        """
        try:
            page = self.client.request("GET", _DAEMONSETS, query={"includeObject": "None"}, accept=TABLE).body
        except Forbidden:
            # The list that comes next says so.
            return False
        if fields.text(page, "kind") != "Table":
            # A server that has no tables answers with the objects.
            self._add(fields.mappings(page, "items"))
            self.snapshot.searched = "all"
            return True
        self.snapshot.searched = "images"
        return self._read_likely({name for name, item in _rows(page) if any(one.match(item) for one in self.known)})

    def _read_likely(self, names: set[str]) -> bool:
        """Read the DaemonSets of these names that were not seen before; whether there were any, and few enough."""
        unseen = sorted(names - {objects.name(item) for item in self.snapshot.daemonsets})
        if len(unseen) > _LIKELY:
            return False
        for name in unseen:
            self._list_daemonsets({"fieldSelector": f"metadata.name={name}", "resourceVersion": "0"})
        return bool(unseen)

    def _list_namespaces(self) -> None:
        refused = []
        for namespace in self.scope.namespaces:
            path = f"/apis/apps/v1/namespaces/{namespace}/daemonsets"
            try:
                self._add(self.client.list(path, limit=self.scope.page_size).items)
            except Forbidden:
                refused.append(namespace)
        if refused:
            self._partly(f"DaemonSets may not be listed in namespace {', '.join(refused)}.")

    def _add(self, items: Sequence[Obj]) -> None:
        for item in items:
            key = f"{objects.namespace(item)}/{objects.name(item)}"
            if key not in self._seen:
                self._seen.add(key)
                self.snapshot.daemonsets.append(item)

    def _partly(self, warning: str) -> None:
        self.snapshot.scope = "partial"
        self.snapshot.warnings.append(warning)

    # -- recognition ------------------------------------------------------------------------------------------------

    def _claims(self) -> dict[str, list[Obj]]:
        """Each DaemonSet goes to the first recogniser that knows it."""
        claims: dict[str, list[Obj]] = {item.plugin: [] for item in self.known}
        for daemonset in self.snapshot.daemonsets:
            owner = next((item for item in self.known if item.match(daemonset)), None)
            if owner is not None:
                claims[owner.plugin].append(daemonset)
        return claims

    def _recognise(self) -> list[Record]:
        claims = self._claims()
        for _round in range(_ROUNDS):
            asked = [path for item in self.known for path in item.wants(self.snapshot, claims[item.plugin])]
            missing = [path for path in asked if path not in self.snapshot.objects]
            for path in missing:
                self._fetch(path)
            if not missing:
                break
        found = [
            record
            for item in self.known
            if not item.fallback
            for record in item.recognise(self.snapshot, claims[item.plugin])
        ]
        if any(record.plugin == "canal" for record in found):
            # Canal's own flannel writes the same annotations.
            found = [record for record in found if record.plugin != "flannel" or record.workloads]
        return found

    def _needs_all(self, records: Sequence[Record]) -> bool:
        """Whether labels and names were not enough to know what carries the pods, or that the sought one is absent."""
        if self.scope.mode != "auto" or not self.listing_allowed:
            return False
        carrying = [item for item in records if item.role == "primary" and item.active and not item.stale_suspected]
        if not carrying or any(map(self._runs_unseen, records)):
            return True
        return bool(self.scope.sought) and not any(
            item.plugin == self.scope.sought and not item.stale_suspected for item in records
        )

    def _runs_unseen(self, record: Record) -> bool:
        """Whether Nodes name a plugin as the one that runs there, and no workload of it was found."""
        if record.workloads or record.install_method == "embedded":
            return False
        reasons = {item.node_reason for item in self.known if item.plugin == record.plugin} - {""}
        return any(nodes.condition(node, "NetworkUnavailable")[1] in reasons for node in self.snapshot.nodes)

    def _with_leftovers(self, records: list[Record]) -> list[Record]:
        """With what ConfigMaps tell of plugins whose workload is gone, where all DaemonSets were read."""
        if self.snapshot.searched != "all":
            return records
        found = {record.plugin for record in records}
        for item in self.known:
            if item.plugin in found or self.scope.sought not in ("", item.plugin):
                continue
            for namespace, name in item.left_behind:
                path = config_map_path(namespace, name)
                if self._fetch(path).status == FOUND:
                    record = Record(plugin=item.plugin, role="leftover", namespace=namespace, stale_suspected=True)
                    record.config_refs.append(config_ref(self.snapshot, namespace, name, None, path))
                    record.add_evidence("ConfigMap", f"{namespace}/{name}", "is there without a workload", 10)
                    records.append(record)
        return records

    def _with_fallback(self, records: list[Record]) -> list[Record]:
        roles.assign(records)
        if any(record.role == "primary" for record in records):
            return records
        fallbacks = [item for item in self.known if item.fallback]
        return records + [record for item in fallbacks for record in item.recognise(self.snapshot, [])]

    # -- completion -------------------------------------------------------------------------------------------------

    def _finish(self, records: Sequence[Record]) -> None:
        prefixes = {item.plugin: item.node_annotations for item in self.known}
        primary = next((record for record in records if record.role == "primary"), None)
        if primary is not None:
            self._complete(primary)
        distribution = nodes.distribution(self.snapshot)
        for record in records:
            if primary is not None and not record.networking.service_cidrs and record.role != "leftover":
                record.networking.service_cidrs = list(primary.networking.service_cidrs)
            record.distribution = distribution or record.distribution
            if record.install_method == "manifest" and record.plugin in _BUNDLED.get(record.distribution or "", ()):
                record.install_method = "distro"
            record.settings_owner = owners.of(record)
            networking = record.networking
            networking.ip_families = cidrs.families(networking.service_cidrs, networking.pod_cidrs)
            nodes.summarise(record, self.snapshot, prefixes.get(record.plugin, ()))
            if self.snapshot.scope != "cluster" and record.scope == "cluster":
                record.scope = self.snapshot.scope
            record.searched = self.snapshot.searched
            record.warnings.extend(self.snapshot.warnings)
            health.judge(record)

    def _complete(self, record: Record) -> None:
        """Ask the further sources, one after the other, for what the plugin does not say."""
        for source in cidr_sources.SOURCES:
            wanted = [kind for kind in cidr_sources.lacking(record) if kind in source.kinds]
            if not wanted or (source.as_pods and record.install_method == "embedded"):
                continue
            path = source.path(self.snapshot) if source.path else ""
            if path == cidr_sources.KUBEADM and self._too_many(record):
                continue
            if source.spare and record.workloads and self.client.requests - self._before >= REQUESTS:
                continue
            if source.path and (not path or self._fetch(path).status != FOUND):
                continue
            for kind in wanted:
                _read_source(source, record, self.snapshot, path, kind)
        if not record.networking.pod_cidrs and record.networking.ipam != "cloud":
            cidr_sources.from_single_node(record, self.snapshot)
        for kind in cidr_sources.lacking(record):
            for source in cidr_sources.SOURCES:
                path = source.path(self.snapshot) if source.path and kind in source.kinds and not source.spare else ""
                if path and self.snapshot.status(path) == FORBIDDEN:
                    record.scope = "partial"
                    record.warnings.append(f"The {kind} range was looked for in {path}, which may not be read.")

    def _too_many(self, record: Record) -> bool:
        """Whether kubeadm's configuration, and kube-proxy's after it, would be more requests than are promised.

        Where no pod of the control plane is to be seen, it is hosted elsewhere, and kubeadm's is rarely there.
        """
        if not record.workloads or self.snapshot.items(cidr_sources.control_plane_path(self.snapshot)):
            return False
        further = 1 + (cidr_sources.PODS in cidr_sources.lacking(record))
        return self.client.requests - self._before + further > REQUESTS


def _daemonset_of(pod: Obj) -> Obj | None:
    """The DaemonSet that a pod is of, as far as its pod shows it."""
    for owner in fields.sequence(pod, "metadata", "ownerReferences"):
        if fields.text(owner, "kind") == "DaemonSet":
            metadata = {"name": fields.text(owner, "name"), "namespace": objects.namespace(pod)}
            return {"metadata": metadata, "spec": {"template": pod}}
    return None


def _rows(table: Any) -> Iterator[tuple[str, Obj]]:
    """Each DaemonSet of a table by its name, as far as an object can be made of the columns."""
    columns = [fields.text(item, "name") for item in fields.sequence(table, "columnDefinitions")]
    for row in fields.sequence(table, "rows"):
        cells = dict(zip(columns, fields.sequence(row, "cells")))
        name = fields.text(cells, "Name")
        names, images = (fields.text(cells, key).split(",") for key in ("Containers", "Images"))
        containers = [{"name": one, "image": image} for one, image in zip(names, images)]
        yield name, {"metadata": {"name": name}, "spec": {"template": {"spec": {"containers": containers}}}}


def _read_source(source: cidr_sources.Source, record: Record, snapshot: Snapshot, path: str, kind: str) -> None:
    """What a source says replaces what was only assumed; where it says nothing, the assumption stays."""
    networking = record.networking
    before = networking.pod_cidrs, networking.service_cidrs
    if kind == cidr_sources.PODS:
        networking.pod_cidrs = []
    else:
        networking.service_cidrs = []
    source.read(record, snapshot, path, kind)
    networking.pod_cidrs = networking.pod_cidrs or before[0]
    networking.service_cidrs = networking.service_cidrs or before[1]
