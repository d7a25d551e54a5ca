# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Building blocks of recognisers: start a record from DaemonSets, read a ConfigMap, note ranges.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Any, Callable, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._discovery import cidrs, objects
from ansible_collections.podnet.cni.plugins.module_utils._discovery.objects import Obj
from ansible_collections.podnet.cni.plugins.module_utils._discovery.record import Cidr, Record
from ansible_collections.podnet.cni.plugins.module_utils._discovery.snapshot import (
    FORBIDDEN,
    Snapshot,
    config_map_path,
    config_ref,
)
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields

SIGNATURE = 95
LABEL_ONLY = 60
CONFIG_BONUS = 10

IsDaemon = Callable[[Obj], bool]


def by_namespace(daemonsets: Sequence[Obj]) -> dict[str, list[Obj]]:
    """DaemonSets grouped by namespace; in each group the one that runs on most nodes comes first."""
    groups: dict[str, list[Obj]] = {}
    for daemonset in daemonsets:
        groups.setdefault(objects.namespace(daemonset), []).append(daemonset)
    for group in groups.values():
        group.sort(key=lambda item: (-fields.number(item, "status", "desiredNumberScheduled"), objects.name(item)))
    return groups


def daemon_of(daemonset: Obj, is_daemon: IsDaemon) -> Obj | None:
    """The container that is the network daemon; the first container when none looks like it."""
    found = objects.containers(daemonset)
    return next((item for item in found if is_daemon(item)), found[0] if found else None)


def start(plugin: str, daemonsets: Sequence[Obj], is_daemon: IsDaemon, match: Callable[[Obj], int]) -> Record:
    """A record with all that DaemonSets of one installation say; the first of them is the main one."""
    main = daemonsets[0]
    daemon = daemon_of(main, is_daemon)
    record = Record(
        plugin=plugin,
        namespace=objects.namespace(main),
        install_method=objects.install_method(main),
        labels=objects.labels(main),
        annotations=objects.visible_annotations(main),
    )
    if daemon is not None:
        record.version, record.version_build = objects.version_of(daemon)
        record.version_confidence = "image-tag" if record.version else "none"
    for daemonset in daemonsets:
        record.workloads.append(objects.workload(daemonset, daemon_of(daemonset, is_daemon)))
        where = f"{objects.namespace(daemonset)}/{objects.name(daemonset)}"
        weight = match(daemonset)
        fact = "containers match" if weight >= SIGNATURE else "labels or name match"
        record.add_evidence("DaemonSet", where, fact, weight)
    return record


def add_cidrs(record: Record, kind: str, value: Any, source: str, confidence: str = "high") -> None:
    """Note ranges of kind C(pod) or C(service); a text that is not a range becomes evidence, never a range."""
    good, bad = cidrs.parse_cidrs(value, source, confidence)
    current = record.networking.pod_cidrs if kind == "pod" else record.networking.service_cidrs
    merged: list[Cidr] = cidrs.unique([*current, *good])
    if kind == "pod":
        record.networking.pod_cidrs = merged
    else:
        record.networking.service_cidrs = merged
    for raw in bad:
        record.add_evidence("invalid", source, f"{kind} range {raw!r} is not a CIDR", 0)
        record.warnings.append(f"{source}: {raw!r} is not a {kind} range in CIDR form; it was left out.")


def read_config_map(record: Record, snapshot: Snapshot, namespace: str, name: str, key: str | None) -> Obj | None:
    """The data of a ConfigMap that was asked for, with a reference and, where unreadable, a warning."""
    path = config_map_path(namespace, name)
    record.config_refs.append(config_ref(snapshot, namespace, name, key, path))
    remedy = (
        f"Grant get on it, for one with discovery_rbac_config_maps: [{name}] of the role podnet.cni.discovery_rbac."
    )
    note_access(record, snapshot, path, f"ConfigMap {namespace}/{name}", remedy)
    body = snapshot.body(path)
    if body is None:
        return None
    record.add_evidence("ConfigMap", f"{namespace}/{name}", "referenced configuration exists", CONFIG_BONUS)
    return fields.mapping(body, "data")


def note_access(record: Record, snapshot: Snapshot, path: str, what: str, remedy: str = "") -> None:
    """Say in the record that something could not be read because it is not allowed, and what would help."""
    if snapshot.status(path) == FORBIDDEN:
        record.scope = "partial"
        record.warnings.append(f"{what} could not be read: forbidden. What it says is missing here. {remedy}".rstrip())


def integer(value: Any) -> int | None:
    """An int out of JSON or text; None for anything else and for nothing."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    try:
        return int(str(value).strip())
    except ValueError:
        return None


def set_mtu(record: Record, value: Any) -> None:
    """A configured MTU; 0 and nothing mean that the plugin works it out itself."""
    number = integer(value)
    record.networking.mtu = number or None
    record.networking.mtu_auto = not number
