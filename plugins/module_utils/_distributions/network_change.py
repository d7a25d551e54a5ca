# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of a change of the network, by whoever owns it, from what was read of hosts and cluster; no I/O.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._distributions import (
    change,
    change_k3s,
    change_rancher,
    change_rke2,
    evidence,
    helm,
)
from ansible_collections.podnet.cni.plugins.module_utils._distributions.service import RANCHER_DROPIN
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields
from ansible_collections.podnet.cni.plugins.module_utils._rollout import waves

_CLUSTER = ("nodes", "helm_charts", "helm_chart_configs", "addons")


def plan(
    hosts: Mapping[str, Mapping[str, Any]],
    cluster: Mapping[str, Any] | None,
    options: Mapping[str, Any],
    *,
    dropin: str = change_k3s.DROPIN,
    management: Mapping[str, Any] | None = None,
    management_cluster: str = "",
    prove: bool = False,
) -> dict[str, Any]:
    """The plan as plain data, in the fields of C(change.Plan), with C(text) for people.

    C(hosts) maps names of the inventory to facts of C(distribution_node_info), C(cluster) has those of
    C(distribution_cluster_info), C(options) is what C(change.wanted) takes. C(management) has those of a
    management cluster of Rancher, and C(management_cluster) names the object there as namespace/name. What stands in
    the way is in C(problems), and then nothing may be changed. With C(prove) nothing need be asked for. Raises
    InputError for options that are not valid.
    """
    wanted = change.wanted(options, nothing=prove)
    found = evidence.collect(hosts, cluster)
    products = sorted({item.product.name for items in found.services.values() for item in items})
    problems = [
        f"{name} does not answer, or was not read as root: nothing is changed while a host of the cluster is missing"
        for name, facts in hosts.items()
        if facts.get("root") is not True
    ]
    problems += [
        f"the cluster was not read: {reason}"
        for name, reason in fields.mapping(
            cluster or {"reasons": {"nodes": "no API server is known"}}, "reasons"
        ).items()
        if name in _CLUSTER
    ]
    if len(products) != 1:
        made = change.Plan("", ", ".join(products) or "nobody")
        problems.append(
            "the hosts run neither k3s nor RKE2" if not products else "hosts run both k3s and RKE2: name one cluster"
        )
    elif products == ["k3s"]:
        made = change_k3s.plan(found, wanted, dropin)
    else:
        made = change_rke2.plan(found, wanted)
    if len(products) == 1 and found.nodes:
        problems += _unproved(found, made)
    # Without a change nothing is asked of Rancher; a change that was cut off shows in its own cluster alone.
    if len(products) == 1 and _is_of_rancher(found) and (made.changes or management is not None):
        made = change_rancher.into(made, management, management_cluster)
    made.problems = [*problems, *made.problems]
    return made.to_dict()


def _unproved(found: evidence.Evidence, made: change.Plan) -> list[str]:
    """Why the way of packets could not be proved on the hosts afterwards, empty where it can be."""
    if not made.nodes:
        return ["none of the hosts is a Node of this cluster, and so nothing could be proved: name its nodes as hosts"]
    names = set(made.nodes.values())
    bare = sorted(
        fields.text(node, "name") for node in found.nodes if node.get("name") in names and not node.get("pod_cidrs")
    )
    if not bare:
        return []
    return [
        f"Nodes without a podCIDR: {', '.join(bare)}. flannel has no range for their pods, and the way of packets to "
        "them could not be proved: podnet.cni.preflight of the cluster says what hands ranges out"
    ]


def _is_of_rancher(found: evidence.Evidence) -> bool:
    """Whether Rancher writes the owner's files or values."""
    files = any(
        item.host.text(f"{item.dropins}/{RANCHER_DROPIN}") is not None
        for items in found.services.values()
        for item in items
    )
    configs = fields.mappings(found.cluster, "helm_chart_configs")
    return files or any(helm.is_of_rancher(each, found.addons) for each in configs)


def order(made: Mapping[str, Any], hosts: Sequence[str], batch: Sequence[Any]) -> list[list[str]]:
    """The waves in which C(hosts) are restarted: servers one by one, then agents in batches. Raises InputError.

    C(batch) are sizes as C(_rollout.waves) has them; the last one repeats.
    """
    sizes = [waves.parse_batch(each) for each in batch]
    agents = [name for name in made["agents"] if name in set(hosts)]
    servers = [[name] for name in made["servers"] if name in set(hosts)]
    return servers + waves.cut(agents, waves.counts(sizes, len(agents)))
