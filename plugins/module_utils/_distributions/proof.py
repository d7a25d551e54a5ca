# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The proof of a network, for people: which link packets to other nodes take, and which of them arrived; no I/O.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._distributions import k3s, report
from ansible_collections.podnet.cni.plugins.module_utils._distributions.checks_host import normal
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields

_NAMED = 4
"""So many other nodes are named, and of more their number."""


def announced(cluster: Mapping[str, Any], nodes: Mapping[str, str], backend: str) -> list[str]:
    """Nodes whose annotations do not say that flannel made C(backend) there, each with what it says.

    C(cluster) has the facts of C(distribution_cluster_info), C(nodes) maps hosts to their Nodes. The annotation is
    C(flannel.alpha.coreos.com/backend-type) (flannel v0.28.9 pkg/subnet/kube/annotations.go).
    """
    found = []
    for node in fields.mappings(cluster, "nodes"):
        said = fields.text(node, "flannel", "backend-type")
        if fields.text(node, "name") in nodes.values() and said != backend:
            found.append(f"{fields.text(node, 'name')}: flannel has announced {said or 'nothing'}, not {backend}")
    return found


def unlike(cluster: Mapping[str, Any], nodes: Mapping[str, str], keys: Mapping[str, Any]) -> list[str]:
    """Nodes whose k3s does not run with C(keys) yet, each with what it runs with.

    C(cluster) and C(nodes) as above. A Node says by C(k3s.io/node-args) what its k3s was started with; keys of servers
    are looked for on servers.
    """
    found = []
    for node in fields.mappings(cluster, "nodes"):
        command, flags = report.node_flags(node)
        if fields.text(node, "name") not in nodes.values():
            continue
        for key, value in keys.items():
            wanted = str(value).lower() if isinstance(value, bool) else str(value)
            has = normal(key, flags, k3s.DEFAULTS)
            if has != wanted and (command == "server" or key not in k3s.SERVER_KEYS):
                found.append(f"{fields.text(node, 'name')}: k3s runs with {key} {has or 'not set'}, not {wanted}")
    return found


def text(
    plan: Mapping[str, Any],
    hosts: Sequence[str],
    ways: Sequence[Sequence[Any]],
    probes: Sequence[Sequence[Any]],
    size: int,
) -> str:
    """What was proved on each of C(hosts), in whose order the others are.

    C(ways) is what C(distribution_network_info) returned of each, C(probes) what C(pod_network_probe) did, whose
    packets had C(size) octets of payload. A host without a way has proved nothing, and the text says so.
    """
    wanted = fields.text(plan, "expect", "device") or "a link of the underlay"
    lines = [f"Proof: packets to pods of other nodes take {wanted}"]
    for name, of_host, measured in zip(hosts, ways, probes):
        if not of_host:
            lines.append(f"{name}: not proved, since there is no other node with a range of pods")
            continue
        devices = sorted({fields.text(each, "dev") for each in of_host})
        sent = sum(fields.number(each, "sent") for each in measured)
        received = sum(fields.number(each, "received") for each in measured)
        to = sorted({fields.text(each, "target") for each in measured})
        arrived = (
            f"{received} of {sent} packets with {size} octets answered by {_named(to)}"
            if sent
            else "no packets were sent"
        )
        ranges = f"{len(of_host)} range{'s' if len(of_host) > 1 else ''} of pods"
        lines.append(f"{name}: {', '.join(devices)} to {ranges}; {arrived}")
    return "\n".join(lines)


def _named(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= _NAMED else f"{len(names)} nodes"
