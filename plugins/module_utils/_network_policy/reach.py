# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a default-deny would cut beside traffic between pods: DNS, the API server both ways, and nodes' own traffic.

Private to podnet.cni: may change in any release.

Whether a policy allows something to or from outside does not depend on the pods it selects, so it is asked once for
each policy. Only where admin policies select pods too, and their order decides, each group of pods is asked.
"""

from __future__ import annotations

from typing import Any, Iterable, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._kube import selectors
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.cluster import DNS_PODS
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.evaluate import Evaluator
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.model import (
    EGRESS,
    INGRESS,
    Address,
    Block,
    Group,
    Node,
    Pod,
    Policy,
    Rule,
)
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.parse import ApiServer, Callback, Service
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.tiers import Question

DNS_NAMESPACE = "kube-system"
DNS_PORT = 53
ALL = "all"
SOME = "some"
NONE = "none"
UNKNOWN = "unknown"


class Reach:
    """Answers about one cluster under one profile."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator
        self.cluster = evaluator.cluster
        groups = self.cluster.select(DNS_NAMESPACE, DNS_PODS)
        self.dns_pods: list[Pod] = [pod for group in groups for pod in group.pods]
        egress = [policy for policy in self.cluster.policies if EGRESS in policy.rules]
        self._to_dns = [
            frozenset(
                policy for policy in egress if any(self._egress_to(policy, pod, protocol) for pod in self.dns_pods)
            )
            for protocol in ("UDP", "TCP")
        ]
        self._to_api = {
            server: frozenset(policy for policy in egress if evaluator.grant([policy], self._to_server(server)))
            for server in self.cluster.inventory.api_servers
        }
        self._let_in: dict[tuple[frozenset[Block], frozenset[int], str], str] = {}
        self._outsiders = {
            policy: _outsiders(policy.rules[INGRESS]) for policy in self.cluster.policies if INGRESS in policy.rules
        }

    def dns(self, group: Group) -> str:
        """Whether a group reaches some DNS Pod over UDP and some over TCP: ALL, NONE or UNKNOWN."""
        if self.evaluator.admin(group):
            answers = [
                _best(
                    self._asked(group, question) for pod in self.dns_pods for question in self._questions(pod, protocol)
                )
                for protocol in ("UDP", "TCP")
            ]
            return next((each for each in (NONE, UNKNOWN) if each in answers), ALL)
        closed = group.policies[EGRESS] and any(
            granting.isdisjoint(group.policies[EGRESS]) for granting in self._to_dns
        )
        return NONE if closed else ALL

    def _asked(self, group: Group, question: Question) -> str:
        side = self.evaluator.side(group, question)
        if side.doubts:
            return UNKNOWN
        return ALL if side.allowed else NONE

    def _questions(self, pod: Pod, protocol: str) -> list[Question]:
        """To a DNS Pod, one for each of its addresses."""
        group = self.cluster.group(pod)
        resolver = pod if group is not None else None
        addresses: Sequence[Address | None] = pod.addresses or (None,)
        return [Question(EGRESS, group, address, resolver, protocol, DNS_PORT, pod.node) for address in addresses]

    def _egress_to(self, policy: Policy, pod: Pod, protocol: str) -> bool:
        return any(self.evaluator.grant([policy], question) for question in self._questions(pod, protocol))

    def api_servers(self, group: Group) -> str:
        """Which API servers' own addresses a group reaches: ALL, SOME, NONE or UNKNOWN.

        The Service kubernetes spreads connections over all of them. Those of a family that the Pods lack do not count.
        """
        families = _families(group)
        servers = [server for server in self._to_api if not families or server.address.family in families]
        if self.evaluator.admin(group):
            answers = {self._asked(group, self._to_server(server)) for server in servers}
            if UNKNOWN in answers:
                return UNKNOWN
            return SOME if len(answers) > 1 else next(iter(answers), ALL)
        if not group.policies[EGRESS]:
            return ALL
        return _how_many(not self._to_api[server].isdisjoint(group.policies[EGRESS]) for server in servers)

    def _to_server(self, server: ApiServer) -> Question:
        node = self.cluster.node_at(server.address)
        return Question(EGRESS, None, server.address, None, "TCP", server.port, node.name if node is not None else "")

    def sources(self, group: Group) -> tuple[bool, frozenset[Block]]:
        """What lets addresses in that are not Pods: a rule for any peer, and the blocks of the other rules."""
        outsiders = [self._outsiders[policy] for policy in group.policies[INGRESS]]
        return any(anything for anything, _blocks in outsiders), frozenset().union(
            *(blocks for _any, blocks in outsiders)
        )

    def nodes(self, group: Group) -> str:
        """Of which other nodes an ingress-isolated group lets in what they send themselves: ALL, SOME or NONE."""
        anything, blocks = self.sources(group)
        if anything:
            return ALL
        if not blocks:
            return NONE
        places = {pod.node for pod in group.pods}
        own = places.pop() if len(places) == 1 else ""
        key = (blocks, _families(group), own)
        if key not in self._let_in:
            self._let_in[key] = _how_many(
                any(block.covers(address) for block in blocks)
                for name, node in self.cluster.inventory.nodes.items()
                if name != own
                for family in sorted(key[1])
                for address in node.seen_elsewhere(family)
            )
        return self._let_in[key]

    def node_sources(self) -> list[dict[str, Any]]:
        """For each address a node sends from, how many isolated Pods it cannot reach on any port."""
        closed = _Count()
        partly: dict[frozenset[Block], _Count] = {}
        for group in self.cluster.groups:
            if not group.policies[INGRESS]:
                continue
            anything, blocks = self.sources(group)
            if anything:
                continue
            counts = partly.setdefault(blocks, _Count()) if blocks else closed
            for pod in group.pods:
                counts.add(pod.node)
        known = frozenset().union(*partly)
        rows = []
        for name in sorted(self.cluster.inventory.nodes):
            for device, address, here in _own_sources(self.cluster.inventory.nodes[name]):
                cut = closed.of(name, here)
                covering = {block for block in known if block.covers(address)}
                cut += sum(counts.of(name, here) for blocks, counts in partly.items() if covering.isdisjoint(blocks))
                row = {"node": name, "device": device, "address": address.text, "cut_pods": cut}
                rows.append({**row, "seen_by": "own_node" if here else "other_nodes"})
        return rows

    def callbacks(self) -> list[dict[str, Any]]:
        """Webhooks and aggregated APIs in the cluster, and whether API servers still reach their Pods."""
        return [self._callback(callback) for callback in self.cluster.inventory.callbacks]

    def _callback(self, callback: Callback) -> dict[str, Any]:
        row: dict[str, Any] = {
            "kind": callback.kind,
            "name": callback.name,
            "service": callback.service,
            "port": callback.port,
            "pods": [],
            "cut_pods": [],
            "cut_addresses": [],
        }
        service = self.cluster.inventory.services.get(callback.service)
        if service is None or not service.selector:
            return row
        cut: set[str] = set()
        for pod, group in self._backends(service):
            row["pods"].append(pod.label)
            closed = self._closed_addresses(pod, group, service.ports.get(callback.port, callback.port))
            if closed:
                row["cut_pods"].append(pod.label)
                cut.update(closed)
        row["cut_addresses"] = sorted(cut)
        return row

    def _backends(self, service: Service) -> list[tuple[Pod, Group]]:
        groups = self.cluster.select(service.label.split("/", 1)[0], selectors.from_labels(service.selector))
        return [(pod, group) for group in groups for pod in group.pods]

    def _closed_addresses(self, pod: Pod, group: Group, target: Any) -> list[str]:
        """Addresses that API servers are seen from and that the Pod does not let in."""
        policies = group.policies[INGRESS]
        port = target if isinstance(target, int) else next(iter(pod.ports.get((str(target), "TCP"), (0,))))
        if not policies:
            return []
        return [
            address.text
            for address in self._server_sources(pod)
            if not self.evaluator.grant(policies, Question(INGRESS, None, address, pod, "TCP", port))
        ]

    def _server_sources(self, pod: Pod) -> list[Address]:
        found: dict[Address, None] = {}
        families = {address.family for address in pod.addresses}
        for server in self.cluster.inventory.api_servers:
            node = self.cluster.node_at(server.address)
            if node is not None and node.name == pod.node:
                # An API server runs as root, and what root sends on the Pod's own node is not judged.
                continue
            if node is None:
                found[server.address] = None
                continue
            for family in families:
                for address in node.seen_elsewhere(family):
                    found[address] = None
        return [address for address in found if address.family in families]


def _families(group: Group) -> frozenset[int]:
    return frozenset(address.family for pod in group.pods for address in pod.addresses)


def _best(answers: Iterable[str]) -> str:
    """ALL where one of them is, else UNKNOWN where one of them is."""
    found = set(answers)
    return next((each for each in (ALL, UNKNOWN) if each in found), NONE)


def _how_many(answers: Iterable[bool]) -> str:
    """ALL, SOME or NONE of them; ALL where there is none to ask for."""
    found = set(answers)
    if found == {True, False}:
        return SOME
    return NONE if found == {False} else ALL


def _own_sources(node: Node) -> list[tuple[str, Address, bool]]:
    """Device, address and whether it is seen by Pods on the node (else by Pods on the others)."""
    rows = [("bridge", address, True) for family in (4, 6) for address in node.seen_here(family)]
    for family in (4, 6):
        for address in node.seen_elsewhere(family):
            rows.append(("overlay" if address in node.overlay else "underlay", address, False))
    return [("underlay" if address in node.addresses else device, address, here) for device, address, here in rows]


def _outsiders(rules: Sequence[Rule]) -> tuple[bool, frozenset[Block]]:
    blocks = frozenset(peer.block for rule in rules for peer in rule.peers if peer.block is not None)
    return any(not rule.peers for rule in rules), blocks


class _Count:
    """Pods by node."""

    def __init__(self) -> None:
        self._total = 0
        self._by_node: dict[str, int] = {}

    def add(self, node: str) -> None:
        self._total += 1
        self._by_node[node] = self._by_node.get(node, 0) + 1

    def of(self, node: str, here: bool) -> int:
        """Pods on the node, or on all the others."""
        on_node = self._by_node.get(node, 0)
        return on_node if here else self._total - on_node
