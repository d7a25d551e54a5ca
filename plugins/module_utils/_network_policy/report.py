# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What changes when policies are enforced, as one dictionary.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Any, Collection, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._network_policy import findings, services
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.cluster import Cluster
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.evaluate import (
    DENY,
    ICMP,
    NO_PATH,
    PROTOCOLS,
    UNKNOWN,
    Evaluator,
    describe,
    no_path,
    places,
)
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.model import (
    DIRECTIONS,
    INGRESS,
    AdminPolicy,
    Group,
    Policy,
)
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.parse import Inventory
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.profile import Profile
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.reach import NONE, SOME, Reach
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.reach import UNKNOWN as NOT_KNOWN


def build(
    inventory: Inventory,
    profile: Profile,
    *,
    flows: Sequence[Mapping[str, Any]] = (),
    namespaces: Collection[str] = (),
    unknown: Sequence[str] = (),
) -> dict[str, Any]:
    """The report. C(namespaces) narrows what is listed, not what is looked at; C(unknown) is passed through.

    Raises InputError for a flow that cannot be judged or a namespace that does not exist.
    """
    cluster = Cluster(inventory)
    _check_namespaces(inventory, namespaces)
    shown = [group for group in cluster.groups if not namespaces or group.namespace in namespaces]
    policies = [policy for policy in cluster.policies if not namespaces or policy.namespace in namespaces]
    evaluator = Evaluator(cluster, profile)
    reach = Reach(evaluator)
    callbacks = reach.callbacks()
    cut_backends = {label for row in callbacks for label in row["cut_pods"]}
    isolated = _isolated(shown, reach, profile, cut_backends)
    host = _host_network(shown)
    collected = findings.Findings(cluster)
    for policy in policies:
        collected.check(policy)
    engines = findings.engines(cluster)
    described = [_policy(policy, cluster, bool(engines)) for policy in policies]
    verdicts = [row for number, flow in enumerate(flows) for row in judge(evaluator, flow, number)]
    notes = list(unknown)
    if not reach.dns_pods:
        notes.append("no Pod k8s-app=kube-dns was found in kube-system: the flag no_dns is not given")
    if not inventory.api_servers:
        notes.append("the API server's addresses are not known: no_apiserver and webhook_unreachable are not given")
    admin = sorted(inventory.admin_policies.values(), key=lambda each: each.order)
    collected.check_admin(admin)
    acting = [kind for kind in sorted(inventory.hidden) if profile.may_enforce(kind)]
    if acting:
        notes.append(f"{', '.join(acting)} objects that could not be read may decide otherwise than the flags say")
    return {
        "summary": {
            "pods": sum(len(group.pods) for group in shown),
            "policies": len(policies),
            "admin_policies": len(admin),
            "dormant": sum(row["dormant"] for row in described),
            "select_nothing": sum(row["effect"] == "selects_nothing" for row in described),
            "isolated_ingress": sum(len(row["pods"]) for row in isolated if row["ingress"]),
            "isolated_egress": sum(len(row["pods"]) for row in isolated if row["egress"]),
            "host_network_pods": sum(len(group.pods) for group in shown if group.host_network),
            "unreadable": len(inventory.unreadable),
            "denied_flows": len({row["flow"] for row in verdicts if row["verdict"] in (DENY, NO_PATH)}),
            "unknown_flows": len({row["flow"] for row in verdicts if row["verdict"] == UNKNOWN}),
        },
        "engines": engines,
        "policies": described,
        "admin_policies": _admin_policies(admin, shown, profile),
        "isolated_pods": isolated,
        "host_network_pods": host,
        "findings": collected.entries,
        "limits": findings.limits(shown, admin, profile),
        "node_sources": reach.node_sources(),
        "api_servers": [{"address": each.address.text, "port": each.port} for each in inventory.api_servers],
        "callbacks": callbacks,
        "verdicts": verdicts,
        "unreadable": [{"source": each.source, "message": each.message} for each in inventory.unreadable],
        "unknown": notes,
    }


def judge(evaluator: Evaluator, flow: Mapping[str, Any], number: int) -> list[dict[str, Any]]:
    """The verdicts for one flow: one for each address family, or one C(no_path). Raises InputError naming the flow.

    A flow to a Service has the verdict that all of its backends share, else it is not known.
    """
    where = f"flows[{number}]"
    protocol = str(flow.get("protocol") or "TCP").upper()
    if protocol not in PROTOCOLS:
        raise InputError(f"{where}.protocol is {flow.get('protocol')!r}. Use {', '.join(PROTOCOLS)}.")
    port = flow.get("port")
    if protocol == ICMP:
        if port is not None:
            raise InputError(f"{where}.port is {port!r}, but ICMP has no ports. Leave it out.")
    elif not isinstance(port, int) or not 1 <= port <= 65535:
        raise InputError(f"{where}.port is {port!r}. Give the destination's port, from 1 to 65535.")
    source = evaluator.end(str(flow["from"]), f"{where}.from")
    target = evaluator.end(str(flow["to"]), f"{where}.to")
    head = {"from": source.text, "to": target.text, "port": port, "protocol": protocol, "flow": number}
    service = next(filter(None, map(evaluator.cluster.service_at, target.addresses)), "")
    if service:
        return [{**head, **services.judge(evaluator, (source, target), service, protocol, port or 0)}]
    verdicts = evaluator.verdicts(source, target, protocol, port or 0)
    if source.pod is not None and source.pod is target.pod:
        itself = "a Pod always reaches itself directly; give the Service's address for the way through it"
        verdicts = [each._replace(doubts=(*each.doubts, itself)) for each in verdicts]
    rows = [{**head, **places(source, target, each.family), **describe(each), "backends": []} for each in verdicts]
    return rows or [{**head, **places(source, target, 0), **no_path("the two have no address family in common")}]


def _check_namespaces(inventory: Inventory, namespaces: Collection[str]) -> None:
    for name in namespaces:
        if name not in inventory.namespaces:
            raise InputError(f"namespaces: there is no namespace {name!r}. Correct it or leave it out.")


def _isolated(groups: Sequence[Group], reach: Reach, profile: Profile, cut_backends: set[str]) -> list[dict[str, Any]]:
    """A row for the Pods that the same policies isolate with the same consequences."""
    rows: dict[Any, list[str]] = {}
    for group in groups:
        admin = tuple(reach.evaluator.admin(group))
        if not admin and not any(group.policies.values()):
            continue
        flags = _flags(group, reach, profile)
        policies = (*(tuple(group.policies[direction]) for direction in DIRECTIONS), admin)
        for pod in group.pods:
            every = (*flags, "webhook_unreachable") if pod.label in cut_backends else tuple(flags)
            rows.setdefault((group.namespace, policies, every), []).append(pod.name)
    return [
        {
            "namespace": namespace,
            "pods": sorted(names),
            "ingress": bool(ingress),
            "egress": bool(egress),
            "ingress_policies": [policy.label for policy in ingress],
            "egress_policies": [policy.label for policy in egress],
            "admin_policies": [policy.label for policy in admin],
            "flags": list(flags),
        }
        for (namespace, (ingress, egress, admin), flags), names in rows.items()
    ]


def _flags(group: Group, reach: Reach, profile: Profile) -> list[str]:
    flags = []
    for direction in DIRECTIONS:
        policies = group.policies[direction]
        if policies and not any(policy.rules[direction] for policy in policies):
            flags.append(f"deny_all_{direction}")
    if group.policies[INGRESS]:
        flags += {NONE: ["nodes_cut"], SOME: ["some_nodes_cut"]}.get(reach.nodes(group), [])
        if profile.cuts_probes:
            flags.append("probe_risk")
    if reach.dns_pods:
        flags += {NONE: ["no_dns"], NOT_KNOWN: ["dns_unknown"]}.get(reach.dns(group), [])
    of_servers = {NONE: ["no_apiserver"], SOME: ["some_apiservers_cut"], NOT_KNOWN: ["apiserver_unknown"]}
    flags += of_servers.get(reach.api_servers(group), [])
    return flags


def _host_network(groups: Sequence[Group]) -> list[dict[str, Any]]:
    return [
        {
            "namespace": group.namespace,
            "pods": [pod.name for pod in group.pods],
            "policies": [policy.label for policy in group.enrolled],
        }
        for group in groups
        if group.enrolled
    ]


def _admin_policies(policies: Sequence[AdminPolicy], groups: Sequence[Group], profile: Profile) -> list[dict[str, Any]]:
    counts: dict[AdminPolicy, int] = {}
    for group in groups:
        for policy in group.admin:
            counts[policy] = counts.get(policy, 0) + len(group.pods)
    return [
        {
            "policy": policy.label,
            "tier": policy.tier,
            "priority": policy.priority,
            "enforced": profile.may_enforce(policy.kind),
            "pods": counts.get(policy, 0),
            "rules": [
                {
                    "direction": direction,
                    "rule": number,
                    "name": rule.name or None,
                    "action": rule.action,
                    "peers": str(rule),
                }
                for direction, rules in policy.rules.items()
                for number, rule in enumerate(rules)
            ],
        }
        for policy in policies
    ]


def _policy(policy: Policy, cluster: Cluster, enforced: bool) -> dict[str, Any]:
    groups = cluster.select(policy.namespace, policy.pods)
    host = sum(len(group.pods) for group in groups if group.host_network)
    subjects = sum(len(group.pods) for group in groups) - host
    effect = "acts"
    if not subjects:
        effect = "selects_host_network_only" if host else "selects_nothing"
    return {
        "policy": policy.label,
        "effect": effect,
        "dormant": effect == "acts" and not enforced,
        "managed_by": policy.managed_by or None,
        "directions": list(policy.rules),
        "pods": subjects,
        "host_network_pods": host,
        "rules": [
            {"direction": direction, "rule": number, "allows": str(rule)}
            for direction, rules in policy.rules.items()
            for number, rule in enumerate(rules)
        ],
    }
