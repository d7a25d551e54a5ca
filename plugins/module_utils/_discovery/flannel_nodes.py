# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What flanneld's Node annotations say, and where they disagree with each other or with the configuration.

Sources: flannel v0.28.9 pkg/subnet/kube/annotations.go and kube.go. Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Any, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._discovery import cidrs, nodes, objects
from ansible_collections.podnet.cni.plugins.module_utils._discovery.objects import Obj
from ansible_collections.podnet.cni.plugins.module_utils._discovery.record import Record
from ansible_collections.podnet.cni.plugins.module_utils._discovery.snapshot import Snapshot
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import addresses, go_json

PREFIX = "flannel.alpha.coreos.com/"
MANAGED = "kube-subnet-manager"
_MAX_LISTED = 20
_MAX_NAMES = 3


def annotation_prefix(given: str | None) -> str:
    """The prefix completed as flanneld completes it: C(x.org) to C(x.org/), C(x.org/y) to C(x.org/y-)."""
    prefix = given or PREFIX
    if "/" not in prefix:
        prefix += "/"
    return prefix if prefix.endswith(("/", "-")) else f"{prefix}-"


def annotated(all_nodes: Sequence[Obj], prefix: str) -> list[Obj]:
    """Nodes that flanneld has announced; their peers ignore all others."""
    return [node for node in all_nodes if objects.notes(node).get(prefix + MANAGED) == "true"]


def condition_reason(node: Obj) -> str:
    """Reason of the condition NetworkUnavailable, which names the plugin that cleared it."""
    return nodes.condition(node, "NetworkUnavailable")[1]


def describe(record: Record, snapshot: Snapshot, prefix: str) -> None:
    """Fill sample and inconsistencies of the record's nodes."""
    found: list[str] = []
    silent: list[str] = []
    kinds: dict[str, list[str]] = {}
    vnis: dict[str, list[str]] = {}
    for node in snapshot.nodes:
        name = objects.name(node)
        notes = objects.notes(node)
        sample: dict[str, Any] | None = None
        if len(record.nodes.sample) < nodes.MAX_SAMPLE:
            sample = nodes.sample_of(node)
            record.nodes.sample.append(sample)
        found.extend(_pod_cidrs(record, node))
        if notes.get(prefix + MANAGED) != "true":
            foreign = [key for key in notes if key.endswith(MANAGED) and key != prefix + MANAGED]
            what = f"has annotations under another prefix ({foreign[0]})" if foreign else "has no flannel annotations"
            silent.append(f"node {name} {what}; its peers ignore it")
            continue
        kind = notes.get(f"{prefix}backend-type", "")
        vni, wrong = _read(notes, prefix)
        kinds.setdefault(kind, []).append(name)
        if vni is not None:
            vnis.setdefault(str(vni), []).append(name)
        if wrong:
            found.append(f"node {name}: flannel annotations are incomplete: {wrong}")
        if sample is not None:
            sample.update(public_ip=notes.get(f"{prefix}public-ip"), backend_type=kind, vni=vni)
    # Nodes that the DaemonSet is not meant for, such as ones with another system, have nothing to announce.
    spared = snapshot.nodes_total - record.desired if record.workloads else 0
    found.extend(silent if len(silent) > spared else [])
    found.extend(_differences("backend-type", kinds))
    found.extend(_differences("VNI", vnis))
    found.extend(_pending(record, kinds, vnis))
    record.nodes.inconsistencies = _shorten(found)


def _read(notes: dict[str, str], prefix: str) -> tuple[int | None, str]:
    """The VNI, and what is missing or cannot be read; flanneld skips a node whose annotations do not parse."""
    wrong = []
    vni = None
    for data_key, ip_key in (("backend-data", "public-ip"), ("backend-v6-data", "public-ipv6")):
        data, address = notes.get(prefix + data_key), notes.get(prefix + ip_key)
        if data is None and address is None:
            continue
        if data is None or address is None:
            wrong.append(f"{data_key if data is None else ip_key} is missing")
            continue
        try:
            addresses.parse_ip(address)
        except ValueError:
            wrong.append(f"{ip_key} {address!r} is not an address")
        try:
            value = go_json.load(data, data_key) if data else None
        except InputError:
            wrong.append(f"{data_key} is not JSON")
            continue
        published = go_json.member(value, "VNI")
        vni = published if isinstance(published, int) else vni
    if not wrong and f"{prefix}public-ip" not in notes and f"{prefix}public-ipv6" not in notes:
        wrong.append("public-ip is missing")
    return vni, ", ".join(wrong)


def _pod_cidrs(record: Record, node: Obj) -> list[str]:
    """Each podCIDR must lie in a configured range, and there may be two at most (kube.go, newSubnet)."""
    given = nodes.pod_cidrs(node)
    name = objects.name(node)
    found = []
    if len(given) > 2:
        found.append(f"node {name} has {len(given)} podCIDRs; flanneld takes two at most")
    ranges = [item for item in record.networking.pod_cidrs if item.confidence == "high"]
    for text in given:
        good, bad = cidrs.parse_cidrs([text], f"Node {name} podCIDR")
        if bad:
            found.append(f"node {name}: podCIDR {text!r} is not a CIDR")
            continue
        same_family = [item for item in ranges if item.family == good[0].family]
        if same_family and not cidrs.contains(same_family, text):
            listed = ", ".join(item.cidr for item in same_family)
            found.append(f"node {name}: podCIDR {text} lies outside {listed}")
    return found


def _differences(what: str, groups: dict[str, list[str]]) -> list[str]:
    if len(groups) < 2:
        return []
    parts = [f"{value or 'none'} on {_names(names)}" for value, names in sorted(groups.items())]
    return [f"{what} differs between nodes: {'; '.join(parts)}"]


def _pending(record: Record, kinds: dict[str, list[str]], vnis: dict[str, list[str]]) -> list[str]:
    """flanneld reads its configuration only at start: a difference to the annotations is a restart that is due."""
    backend = record.networking.backend
    if not backend or not kinds:
        return []
    found = []
    wanted = str(backend.get("type"))
    # udp, alloc and tencent-vpc announce an empty type.
    others = {kind: names for kind, names in kinds.items() if kind and kind != wanted}
    if others:
        kind, names = sorted(others.items())[0]
        found.append(f"the configuration says backend {wanted}, {_names(names)} still run {kind}: restart pending")
    vni = backend.get("vni")
    stale = {value: names for value, names in vnis.items() if vni is not None and value != str(vni)}
    if stale and not others:
        value, names = sorted(stale.items())[0]
        found.append(f"the configuration says VNI {vni}, {_names(names)} still use {value}: restart pending")
    return found


def _names(names: Sequence[str]) -> str:
    more = len(names) - _MAX_NAMES
    return ", ".join(names[:_MAX_NAMES]) + (f" and {more} more" if more > 0 else "")


def _shorten(lines: list[str]) -> list[str]:
    more = len(lines) - _MAX_LISTED
    return lines[:_MAX_LISTED] + ([f"and {more} more"] if more > 0 else [])
