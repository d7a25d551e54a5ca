# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wrong with policies as they are written, and what a release of the agent does not enforce.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Any, Iterator, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._network_policy.cluster import Cluster
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.model import (
    EGRESS,
    INGRESS,
    AdminPolicy,
    Block,
    Group,
    Peer,
    Policy,
    PortItem,
)
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.profile import FIRST, Profile

ENGINES = {
    "kube-network-policies": "kube-network-policies",
    "calico-node": "calico",
    "node": "calico",
    "cilium": "cilium",
    "antrea-agent-ubuntu": "antrea",
    "antrea-ubuntu": "antrea",
    "kube-router": "kube-router",
    "aws-network-policy-agent": "aws-network-policy-agent",
    "weave-npc": "weave",
    "kube-ovn": "kube-ovn",
    "ovn-kube-f": "ovn-kubernetes",
}
"""Last part of an image's name -> the engine that enforces NetworkPolicies from there."""


def engine_of(image: str) -> tuple[str, str]:
    """Engine and tag of an image, empty texts when it is not one that enforces NetworkPolicies."""
    path = image.split("@", 1)[0]
    head, _slash, last = path.rpartition("/")
    name, _colon, tag = last.partition(":")
    if name == "node" and not head.endswith("calico"):
        return "", ""
    return ENGINES.get(name, ""), tag


def engines(cluster: Cluster) -> list[dict[str, Any]]:
    """What already enforces policies, recognised by the images of running Pods."""
    found: dict[tuple[str, str, str], int] = {}
    for group in cluster.groups:
        for pod in group.pods:
            for engine, tag in {engine_of(image) for image in pod.images}:
                if engine:
                    key = (engine, pod.namespace, tag)
                    found[key] = found.get(key, 0) + 1
    return [
        {"engine": engine, "namespace": namespace, "version": tag, "pods": found[engine, namespace, tag]}
        for engine, namespace, tag in sorted(found)
    ]


class Findings:
    """Collects the findings of all policies; C(entries) is what the report shows."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.entries: list[dict[str, Any]] = []
        self._families = cluster.families()
        self._clusters_own = [
            address for service in cluster.inventory.services.values() for address in service.addresses
        ]
        self._peers_seen: dict[tuple[str | None, Peer], bool] = {}
        self._blocks_seen: dict[Block, tuple[bool, bool]] = {}

    def _add(
        self, kind: str, policy: Policy | AdminPolicy, message: str, direction: str = "", rule: int | None = None
    ) -> None:
        self.entries.append(
            {
                "kind": kind,
                "policy": policy.label,
                "direction": direction or None,
                "rule": rule,
                "message": message,
            }
        )

    def check(self, policy: Policy) -> None:
        """Look at one policy."""
        groups = self.cluster.select(policy.namespace, policy.pods)
        subjects = [group for group in groups if not group.host_network]
        if not groups:
            text = f"podSelector {str(policy.pods) or '{}'} matches no Pod of namespace {policy.namespace}"
            self._add("selector_matches_nothing", policy, f"{text}; it acts as soon as one starts")
        for direction in policy.ignored:
            message = f"{direction} rules do nothing, because policyTypes lacks {direction.capitalize()}"
            self._add("rules_ignored", policy, message, direction)
        for direction, rules in policy.rules.items():
            for number, rule in enumerate(rules):
                for peer in rule.peers:
                    for kind, message in self._peer(peer, policy, direction):
                        self._add(kind, policy, message, direction, number)
                if self._family_gap(rule.peers):
                    message = "its blocks are of one address family only, Pods have both; the other one stays closed"
                    self._add("family_gap", policy, message, direction, number)
                for item in rule.ports:
                    # Egress names belong to the peers' Pods, ingress names to the selected ones.
                    if item.name and (direction == EGRESS or subjects):
                        message = self._unresolved(item, subjects, policy, direction, rule.peers)
                        if message:
                            self._add("named_port_unresolved", policy, message, direction, number)

    def check_admin(self, policies: Sequence[AdminPolicy]) -> None:
        """Look at admin policies: what they select, and whether their order says which one decides."""
        of_place: dict[tuple[str, int], list[AdminPolicy]] = {}
        for policy in policies:
            of_place.setdefault((policy.tier, policy.priority), []).append(policy)
            if not self._matches(policy.subject):
                text = f"subject {policy.subject} matches no Pod; it acts as soon as one starts"
                self._add("selector_matches_nothing", policy, text)
            for direction, rules in policy.rules.items():
                for number, rule in enumerate(rules):
                    for peer in rule.peers:
                        if peer.pods is not None and not self._matches(peer.pods):
                            text = f"the peer {peer} matches no Pod"
                            self._add("peer_matches_nothing", policy, text, direction, number)
        for (tier, priority), same in of_place.items():
            for policy in same[1:]:
                text = (
                    f"{same[0].label} has priority {priority} in tier {tier} too; the API leaves open which one decides"
                )
                self._add("same_priority", policy, text)

    def _matches(self, peer: Peer) -> bool:
        """Whether a peer that names its namespaces matches a Pod."""
        key = (None, peer)
        if key not in self._peers_seen:
            self._peers_seen[key] = any(True for _group in self.cluster.peer_groups(peer, ""))
        return self._peers_seen[key]

    def _peer(self, peer: Peer, policy: Policy, direction: str) -> Iterator[tuple[str, str]]:
        if peer.block is None:
            key = (policy.namespace if peer.namespaces is None else None, peer)
            if key not in self._peers_seen:
                self._peers_seen[key] = any(True for _group in self.cluster.peer_groups(peer, policy.namespace))
            if not self._peers_seen[key]:
                yield "peer_matches_nothing", f"the peer {peer} matches no Pod"
            return
        if peer.block not in self._blocks_seen:
            services = any(peer.block.covers(address) for address in self._clusters_own)
            self._blocks_seen[peer.block] = (self.cluster.block_has_pods(peer.block), services)
        has_pods, has_services = self._blocks_seen[peer.block]
        if peer.block.cidr in ("0.0.0.0/0", "::/0"):
            return
        if has_pods:
            text = f"{peer.block} covers addresses of Pods; which address is seen depends on address translation"
            yield "ipblock_covers_pods", text
        elif has_services and direction == EGRESS:
            text = f"{peer.block} covers addresses of Services, which are replaced before policy looks; name their Pods"
            yield "ipblock_covers_services", text

    def _family_gap(self, peers: Sequence[Peer]) -> bool:
        families = {peer.block.family for peer in peers if peer.block is not None}
        only_blocks = all(peer.block is not None for peer in peers)
        return len(self._families) == 2 and bool(peers) and only_blocks and len(families) == 1

    def _unresolved(
        self, item: PortItem, subjects: Sequence[Group], policy: Policy, direction: str, peers: Sequence[Peer]
    ) -> str:
        groups: list[Group] = list(subjects)
        if direction == EGRESS:
            if not peers:
                return ""
            groups = [
                group
                for peer in peers
                if peer.block is None
                for group in self.cluster.peer_groups(peer, policy.namespace)
            ]
        key = (item.name, item.protocol)
        in_init = False
        for group in groups:
            for pod in group.pods:
                if key in pod.ports:
                    return ""
                in_init = in_init or key in pod.init_ports
        whose = "selected Pod" if direction == INGRESS else "Pod among the peers"
        text = f"no {whose} has a port named {item.name} of protocol {item.protocol}"
        return f"{text}; init containers have, but the agent does not look there" if in_init else text


def limits(groups: Sequence[Group], admin_policies: Sequence[AdminPolicy], profile: Profile) -> list[dict[str, Any]]:
    """What the profile does not enforce, or enforces in a way that hurts, with the policies that select the groups."""
    host = sorted({policy.label for group in groups for policy in group.enrolled})
    acting = {direction: _acting(groups, direction) for direction in (INGRESS, EGRESS)}
    everything = sorted({*acting[INGRESS], *acting[EGRESS]})
    rows: list[tuple[bool, str, str, str, list[str]]] = [
        (
            True,
            "host_network_subject",
            "Pods on the host's network are not protected by policies that select them",
            "protect the node by other means",
            host,
        ),
        (
            profile.enrols_node_address,
            "node_address_enrolled",
            "a policy that selects a Pod on the host's network makes the agent judge the node's own traffic",
            f"use {FIRST['host-network-judged']} or newer",
            host,
        ),
        (
            bool(profile.release) and not profile.sees_egress_to_own_node,
            "own_node_egress_unseen",
            "traffic of a Pod to its own node is not judged, the API server on that node included",
            f"use {FIRST['own-node-unseen']} or newer",
            acting[EGRESS],
        ),
        (
            profile.cuts_probes,
            "probes_judged",
            "kubelet's probes are judged, so isolated Pods become unready",
            f"use {FIRST['probes-judged']} or newer",
            acting[INGRESS],
        ),
        (
            profile.keeps_established,
            "established_kept",
            "connections that exist survive a policy that forbids them",
            _END_THEM if profile.never_strict else f"use {FIRST['strict-mode']} or newer",
            everything,
        ),
        (
            profile.revives_established,
            "established_revived",
            "a connection that a changed policy ends continues once its other end sends what policies let it send",
            _END_THEM,
            everything,
        ),
        (
            profile.forward_only,
            "ipvs_unseen",
            "traffic of IPVS services may pass unseen",
            f"use {FIRST['ipvs-unseen']} or newer",
            everything,
        ),
        (
            profile.fails_closed,
            "fails_closed",
            "while the agent is down, new connections of selected Pods are dropped",
            f"start it with --fail-open=true, or use {FIRST['fails_open']} or newer",
            everything,
        ),
    ]
    found = [
        {"kind": kind, "message": message, "remedy": remedy, "policies": policies}
        for holds, kind, message, remedy, policies in rows
        if holds and policies
    ]
    return found + [
        {"kind": kind, "message": message, "remedy": remedy, "policies": sorted(each.label for each in policies)}
        for kind, message, remedy, policies in _admin_limits(admin_policies, profile)
        if policies
    ]


_END_THEM = "restart the Pods whose connections have to end"
_FLAVOURS = {
    "ClusterNetworkPolicy": "-npa-v1alpha2",
    "AdminNetworkPolicy": "-npa-v1alpha1",
    "BaselineAdminNetworkPolicy": "-npa-v1alpha1",
}


def _admin_limits(
    policies: Sequence[AdminPolicy], profile: Profile
) -> Iterator[tuple[str, str, str, Sequence[AdminPolicy]]]:
    for flavour in sorted(set(_FLAVOURS.values())):
        unsupported = [each for each in policies if _FLAVOURS[each.kind] == flavour and not profile.supports(each.kind)]
        kinds = " and ".join(sorted({each.kind for each in unsupported}))
        remedy = f"take an image tag of {FIRST['cluster_network_policy']} or newer with the flavour {flavour}"
        yield "admin_policy_unsupported", f"this image does not enforce {kinds}", remedy, unsupported
    supported = [each for each in policies if profile.supports(each.kind)]
    named = [
        each
        for each in supported
        if any(port.name for rules in each.rules.values() for rule in rules for port in rule.ports)
    ]
    if profile.ignores_number_of_names:
        text = "a rule with a named port matches every port and protocol of a Pod that has the name"
        yield "named_port_matches_all", text, "write the number of the port", named
    nodes = [
        each for each in supported if any(peer.nodes is not None for rule in each.rules[EGRESS] for peer in rule.peers)
    ]
    if profile.release:
        text = "connections that exist survive an admin policy that forbids them"
        if not profile.keeps_established:
            text += ", until a NetworkPolicy for Pods of the node changes as well"
        yield "established_kept", text, _END_THEM, supported
    if profile.takes_pods_for_nodes:
        text = "a peer nodes means the Pods on these nodes, and not the nodes"
        yield "node_peers_match_pods", text, "write the nodes' addresses as networks", nodes


def _acting(groups: Sequence[Group], direction: str) -> list[str]:
    return sorted(policy.label for policy in {each for group in groups for each in group.policies[direction]})
