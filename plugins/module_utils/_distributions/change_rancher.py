# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A change of the network of a cluster that Rancher provisions: its object in the management cluster; no I/O.

Values of charts go to C(spec.rkeConfig.chartValues), keys of k3s to C(spec.rkeConfig.machineGlobalConfig). Rancher's
agents write the files on the machines, and restart k3s themselves; for values of charts they restart nothing.
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._distributions import rancher, sources
from ansible_collections.podnet.cni.plugins.module_utils._distributions.change import Change, Plan
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields

CONSENT = (
    "give distribution_network_management_kubeconfig and distribution_network_management_cluster, so that its "
    f"cluster's object is changed ({sources.RANCHER_CONFIG})"
)


def into(plan: Plan, management: Mapping[str, Any] | None, name: str) -> Plan:
    """The plan of a cluster's owner turned into one for the object C(name) (namespace/name) of a management cluster.

    C(management) are its facts, None where none is known. What stands in the way is among the problems.
    """
    plan.title = "Rancher"
    found = [
        each
        for each in fields.mappings(management, "rancher_clusters")
        if f"{fields.text(each, 'namespace')}/{fields.text(each, 'name')}" == name
    ]
    if not found:
        there = [
            f"{fields.text(each, 'namespace')}/{fields.text(each, 'name')}"
            for each in fields.mappings(management, "rancher_clusters")
        ]
        if management is not None:
            plan.problems.append(
                f"the management cluster has no Cluster {name or 'that is named'}: it has {', '.join(there) or 'none'}"
            )
        plan.problems.append(f"Rancher owns this cluster: {CONSENT}")
        return plan
    item = found[0]
    spec = fields.mapping(item, "spec")
    where = ["rkeConfig", "chartValues", plan.chart] if plan.chart else ["rkeConfig", "machineGlobalConfig"]
    plan.changes = _once(plan.changes)
    values = plan.values if plan.chart else _keys(plan)
    plan.object = f"Cluster {name}"
    plan.kind = "Cluster"
    plan.values = _below(where, values)
    names = plan.flat if plan.chart else values
    plan.seen = {".".join([*where, key]): fields.at(spec, *where, *key.split(".")) for key in names}
    plan.changes = [replace(each, where=f"{plan.object} {'.'.join(['spec', *where])}") for each in plan.changes]
    plan.files, plan.drain = {}, False
    plan.unfinished = plan.unfinished or item.get("unfinished") is True
    if not plan.chart:
        plan.servers, plan.agents, plan.restart = [], [], []
        plan.lost.append("Rancher's agents restart k3s on the machines, in an order of Rancher's")
    plan.warnings.append(f"Rancher leaves out keys that its metadata of {rancher.release(item)} does not have")
    return plan


def _keys(plan: Plan) -> dict[str, Any]:
    """The keys of k3s for all machines; what needs a file on each machine is refused."""
    made: dict[str, Any] = {}
    for each in plan.changes:
        if each.name == "flannel-backend":
            plan.problems.append(
                "backend: Rancher restarts k3s on the machines by itself, and links of the former backend stay: set "
                "spec.rkeConfig.machineGlobalConfig.flannel-backend of the cluster's object by hand, and reboot all "
                f"machines, servers first ({sources.K3S_NETWORK})"
            )
        elif each.name == "flannel-conf" or each.name.startswith("Backend."):
            plan.problems.append(
                f"{each.name}: it needs a file on each machine, which Rancher does not write ({sources.RANCHER_CONFIG})"
            )
        else:
            made[each.name] = {"true": True, "false": False}.get(each.after, each.after)
    return made


def _below(path: list[str], values: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = dict(values)
    for key in reversed(path):
        made = {key: made} if made else {}
    return made


def _once(changes: list[Change]) -> list[Change]:
    """One change for each key: the object counts for all machines."""
    found: dict[str, Change] = {}
    for each in changes:
        found.setdefault(each.name, replace(each, on="cluster"))
    return list(found.values())
