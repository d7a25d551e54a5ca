# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Leases as hosts of an inventory.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import to_dict
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields
from ansible_collections.podnet.cni.plugins.module_utils._kube.pods import condition
from ansible_collections.podnet.cni.plugins.module_utils._status.hosts import SILENT
from ansible_collections.podnet.cni.plugins.module_utils._status.saved import require_document
from ansible_collections.podnet.cni.plugins.module_utils._stores import options as etcd_options
from ansible_collections.podnet.cni.plugins.module_utils._stores.base import Problem
from ansible_collections.podnet.cni.plugins.module_utils._stores.etcd import EtcdStore
from ansible_collections.podnet.cni.plugins.module_utils._stores.etcd_client import EtcdClient
from ansible_collections.podnet.cni.plugins.module_utils._stores.kubernetes import open_store
from ansible_collections.podnet.cni.plugins.module_utils._stores.kubernetes_reading import NODES

# https://kubernetes.io/docs/reference/labels-annotations-taints/#topologykubernetesiozone
ZONE = "topology.kubernetes.io/zone"


class Answer(TypedDict):
    """What a store holds, as JSON can carry it: leases, Nodes (C(labels), C(ready)) by name, problems as text."""

    leases: list[dict[str, Any]]
    nodes: dict[str, dict[str, Any]]
    problems: list[str]


@dataclass(frozen=True)
class Host:
    """A host of the inventory: its name, its variables, and its groups beside that of all."""

    name: str
    variables: dict[str, Any]
    groups: list[str]


def read(options: Mapping[str, Any]) -> Answer:
    """Ask the store that the options of the inventory plugin name. Raises PodnetError."""
    if options["store"] == "etcd":
        listing = EtcdStore(EtcdClient(etcd_options.from_params(options))).list_leases(ttl=True)
        return {"leases": [to_dict(each) for each in listing.leases], "nodes": {}, "problems": _told(listing.problems)}
    store = open_store(options)
    # The families of the network decide what a Node needs for a lease.
    store.read_config()
    answer: Answer = {"leases": [], "nodes": {}, "problems": []}
    for node in store.client.list(NODES).items:
        entry, _blocked, problem = store.read_node(node)
        answer["problems"] += _told([problem] if problem else [])
        if entry:
            answer["leases"].append(to_dict(entry.lease))
            answer["nodes"][entry.lease.name] = _node(node)
    return answer


def read_document(file: Path | None) -> dict[str, Any]:
    """Return the status document in a file, an empty one for None.

    Raises InputError for a file that holds none, or one of a newer version.
    """
    if file is None:
        return {}
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"status_file {file} cannot be read: {error}; write it with report_format=json") from error
    try:
        return dict(require_document(found))
    except InputError as error:
        raise InputError(f"status_file {file}: {error}") from error


def hosts(answer: Answer, document: Mapping[str, Any], group: str, expiring_within: int) -> list[Host]:
    """Return a host for each lease, in the order of the leases. C(group) is what names of groups begin with."""
    taken = str(document.get("taken", ""))
    known = [{**host, "taken": taken} for host in document.get("hosts", [])]
    status = {address: host for host in known for address in host["public_ips"].values()}
    return [_host(lease, answer["nodes"], status, group, expiring_within) for lease in answer["leases"]]


def _host(
    lease: Mapping[str, Any],
    nodes: Mapping[str, Mapping[str, Any]],
    status: Mapping[str, Mapping[str, Any]],
    group: str,
    expiring_within: int,
) -> Host:
    address = lease["public_ip"] or lease["public_ipv6"]
    node = nodes.get(lease["name"])
    known = status.get(lease["public_ip"]) or status.get(lease["public_ipv6"])
    variables: dict[str, Any] = {"pod_network_lease": dict(lease)}
    if address:
        variables["ansible_host"] = address
    groups = [f"{group}_backend_{lease['backend_type'] or 'none'}"]
    late = lease["ttl"] is not None and lease["ttl"] <= expiring_within
    if node is not None:
        variables["pod_network_node"] = dict(node)
        if node["labels"].get(ZONE):
            groups.append(f"{group}_zone_{node['labels'][ZONE]}")
    if known is not None:
        variables["pod_network_status"] = {
            key: known[key] for key in ("verdict", "state", "compared", "drift", "taken")
        }
        if known["drift"]:
            groups.append(f"{group}_drift")
    if late or (node is not None and not node["ready"]) or (known is not None and known["state"] == SILENT):
        groups.append(f"{group}_silent")
    name = lease["name"] or (known["name"] if known is not None else "") or address or lease["subnet"]
    return Host(str(name), variables, groups)


def _node(node: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "labels": fields.mapping(node, "metadata", "labels"),
        "ready": condition(node, "Ready").get("status") == "True",
    }


def _told(problems: Iterable[Problem]) -> list[str]:
    return [f"{problem.message}; {problem.remedy}" for problem in problems]
