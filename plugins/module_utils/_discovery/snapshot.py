# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was read from one cluster, and what a recogniser is.

A recogniser is one file in C(recognisers): pure functions over a Snapshot, and hints that keep the requests narrow.
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, List, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._discovery.objects import Obj
from ansible_collections.podnet.cni.plugins.module_utils._discovery.record import ConfigRef, Record
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields

FOUND = "found"
ABSENT = "absent"
FORBIDDEN = "forbidden"
UNREAD = "unread"


@dataclass(frozen=True)
class Fetched:
    """The answer to one GET: C(body) is set only when C(status) is C(found)."""

    status: str
    body: Obj | None = None


@dataclass
class Snapshot:
    """Objects of one cluster; C(objects) maps an API path to what a GET of it gave.

    C(nodes) is a page of them, C(nodes_total) their number; C(servers) are control plane Nodes beyond that page, with
    their metadata alone. C(scope) is C(partial) once something was forbidden without which absence proves nothing.
    C(unsought) says where nobody looked although it was allowed, because the options say so. C(searched) says by what
    DaemonSets were looked for: C(labels) and names that are known, also the pods of one C(node), also C(images), or
    C(all) of them were read.
    """

    server_version: str | None = None
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    daemonsets: list[Obj] = field(default_factory=list)
    nodes: list[Obj] = field(default_factory=list)
    nodes_total: int = 0
    servers: list[Obj] = field(default_factory=list)
    objects: dict[str, Fetched] = field(default_factory=dict)
    scope: str = "cluster"
    warnings: list[str] = field(default_factory=list)
    unsought: list[str] = field(default_factory=list)
    searched: str = "labels"

    @property
    def conclusive(self) -> bool:
        """Whether a plugin that was not found is not there."""
        return self.scope == "cluster" and not self.unsought

    def status(self, path: str) -> str:
        return self.objects[path].status if path in self.objects else UNREAD

    def body(self, path: str) -> Obj | None:
        return self.objects[path].body if path in self.objects else None

    def items(self, path: str) -> list[Obj]:
        """The objects of a list that was fetched; empty when it was not found."""
        return fields.mappings(self.body(path), "items")

    def api(self, group: str, *preferred: str) -> str | None:
        """Path of an API group in the first preferred version it serves, else its first; None when absent."""
        versions = self.groups.get(group)
        if not versions:
            return None
        version = next((item for item in preferred if item in versions), versions[0])
        return f"/apis/{group}/{version}"


Matcher = Callable[[Obj], int]
Wanter = Callable[[Snapshot, Sequence[Obj]], List[str]]
Builder = Callable[[Snapshot, Sequence[Obj]], List[Record]]


def wants_nothing(_snapshot: Snapshot, _daemonsets: Sequence[Obj]) -> list[str]:
    """For plugins that say all they say on their DaemonSet."""
    return []


@dataclass(frozen=True)
class Recogniser:
    """How one CNI plugin is found and described.

    C(match) gives the weight with which a DaemonSet belongs to the plugin, 0 for not at all; recognisers are asked in
    C(order) and the first that says yes has it. C(wants) names the further objects to GET, as API paths; it is asked
    again when they have arrived. C(recognise) makes the records.

    Hints: C(labels) are label keys and values of the DaemonSet objects; C(names) are DaemonSets without labels, asked
    for only where one of C(api_groups) is served or a Node condition has C(node_reason). C(late_labels) are asked for
    on the same condition. C(node_annotations) are the prefixes the plugin writes on Nodes. C(left_behind) are its
    ConfigMaps by namespace and name, which tell of an installation whose workload is gone. A C(fallback) is asked only
    when no other recogniser has found what carries the pods.
    """

    plugin: str
    order: int
    match: Matcher
    recognise: Builder
    wants: Wanter = wants_nothing
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    late_labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    api_groups: tuple[str, ...] = ()
    node_reason: str = ""
    node_annotations: tuple[str, ...] = ()
    left_behind: tuple[tuple[str, str], ...] = ()
    fallback: bool = False


def config_map_path(namespace: str, name: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps/{name}"


def config_ref(snapshot: Snapshot, namespace: str | None, name: str, key: str | None, path: str) -> ConfigRef:
    """Reference to an object that was asked for, whatever the answer was."""
    body = snapshot.body(path)
    metadata: Mapping[str, Any] = (body or {}).get("metadata") or {}
    kind = "ConfigMap" if "/configmaps/" in path else str((body or {}).get("kind") or path.rsplit("/", 2)[-2])
    return ConfigRef(kind, namespace, name, key, metadata.get("resourceVersion"), body is not None)
