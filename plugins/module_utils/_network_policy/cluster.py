# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An inventory with indexes: which pods a selector means, which policies select a pod, whose an address is.

Private to podnet.cni: may change in any release.

Pods of one namespace that agree in every label that some selector looks at are one group. Policies are matched with
groups through an index of labels, so the work grows with what selectors match and not with policies times pods.
"""

from __future__ import annotations

import bisect
from typing import FrozenSet, Iterable, Tuple

from ansible_collections.podnet.cni.plugins.module_utils._kube.selectors import EVERYTHING, Selector, from_labels
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.label_index import LabelIndex
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.model import (
    EGRESS,
    INGRESS,
    Address,
    Block,
    Group,
    Node,
    Peer,
    Pod,
    Policy,
)
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.parse import Inventory

_FEW = 8
"""Up to that many namespaces are searched one by one, more through the index of all pods."""

DNS_PODS = from_labels({"k8s-app": "kube-dns"})
"""Both CoreDNS and kube-dns carry the label, see kubernetes v1.34 cluster/addons/dns."""

_Key = Tuple[str, FrozenSet[Tuple[str, str]], bool]


class Cluster:
    """C(groups) holds all Pods that are not finished, C(policies) every policy in the order of its name."""

    def __init__(self, inventory: Inventory) -> None:
        self.inventory = inventory
        self.policies: list[Policy] = [inventory.policies[label] for label in sorted(inventory.policies)]
        self._keys = _looked_at(inventory)
        self._group_of: dict[Pod, Group] = {}
        self.groups: list[Group] = self._make_groups()
        self._everywhere: LabelIndex[Group] = LabelIndex()
        self._by_namespace: dict[str, LabelIndex[Group]] = {}
        for group in self.groups:
            self._everywhere.add(group.labels, group)
            self._by_namespace.setdefault(group.namespace, LabelIndex()).add(group.labels, group)
        self._namespaces: LabelIndex[str] = LabelIndex()
        for name, labels in inventory.namespaces.items():
            self._namespaces.add(labels, name)
        self._namespace_sets: dict[Selector, frozenset[str]] = {}
        self._assign_policies()
        self._assign_admin_policies()
        self._pod_of: dict[tuple[int, int], Pod] = {}
        self._values: dict[int, list[int]] = {4: [], 6: []}
        self._index_addresses()
        self._node_of: dict[tuple[int, int], Node] = {}
        for node in inventory.nodes.values():
            for address in node.addresses + node.overlay + node.bridge:
                self._node_of.setdefault(address[:2], node)

        self._service_of = {
            address[:2]: service.label for service in inventory.services.values() for address in service.addresses
        }

    def _make_groups(self) -> list[Group]:
        groups: dict[_Key, Group] = {}
        for label in sorted(self.inventory.pods):
            pod = self.inventory.pods[label]
            if pod.finished:
                continue
            labels = {key: value for key, value in pod.labels.items() if key in self._keys}
            key = (pod.namespace, frozenset(labels.items()), pod.host_network)
            group = groups.get(key)
            if group is None:
                group = groups[key] = Group(pod.namespace, labels, pod.host_network)
            group.pods.append(pod)
            self._group_of[pod] = group
        return list(groups.values())

    def _assign_policies(self) -> None:
        for policy in self.policies:
            for group in self.select(policy.namespace, policy.pods):
                if group.host_network:
                    group.enrolled.append(policy)
                    continue
                for direction in policy.rules:
                    group.policies[direction].append(policy)

    def _assign_admin_policies(self) -> None:
        for policy in sorted(self.inventory.admin_policies.values(), key=lambda each: each.order):
            for group in self.peer_groups(policy.subject, ""):
                group.admin.append(policy)

    def _index_addresses(self) -> None:
        for group in self.groups:
            if not group.host_network:
                for pod in group.pods:
                    for address in pod.addresses:
                        self._pod_of[address[:2]] = pod
        for family, value in sorted(self._pod_of):
            self._values[family].append(value)

    def group(self, pod: Pod) -> Group | None:
        """The group that policies see, none for Pods that are finished or on the host's network."""
        group = self._group_of.get(pod)
        return None if group is None or group.host_network else group

    def pod_at(self, address: Address) -> Pod | None:
        """The running Pod with that address of its own."""
        return self._pod_of.get(address[:2])

    def node_at(self, address: Address) -> Node | None:
        """The Node that has the address, on its own links, the overlay's or the bridge's."""
        return self._node_of.get(address[:2])

    def service_at(self, address: Address) -> str:
        """The Service with that cluster address, empty when there is none."""
        return self._service_of.get(address[:2], "")

    def select(self, namespace: str, selector: Selector) -> list[Group]:
        """The groups of one namespace that a selector matches, those on the host's network included."""
        index = self._by_namespace.get(namespace)
        return index.find(selector) if index is not None else []

    def namespaces(self, selector: Selector) -> frozenset[str]:
        """Names of the namespaces that a selector matches."""
        found = self._namespace_sets.get(selector)
        if found is None:
            found = self._namespace_sets[selector] = frozenset(self._namespaces.find(selector))
        return found

    def peer_groups(self, peer: Peer, namespace: str) -> Iterable[Group]:
        """The groups that a peer of selectors means in a policy of C(namespace)."""
        pods = EVERYTHING if peer.pods is None else peer.pods
        if peer.namespaces is None:
            names: frozenset[str] = frozenset((namespace,))
        else:
            names = self.namespaces(peer.namespaces)
        if len(names) <= _FEW:
            found: Iterable[Group] = (group for name in sorted(names) for group in self.select(name, pods))
        else:
            found = (group for group in self._everywhere.find(pods) if group.namespace in names)
        return (group for group in found if not group.host_network)

    def peer_matches(self, peer: Peer, namespace: str, group: Group) -> bool:
        """Whether a peer of selectors in a policy of C(namespace) means the group."""
        if peer.namespaces is None:
            if group.namespace != namespace:
                return False
        elif group.namespace not in self.namespaces(peer.namespaces):
            return False
        return peer.pods is None or peer.pods.matches(group.labels)

    def block_has_pods(self, block: Block) -> bool:
        """Whether a block covers the address of a Pod."""
        values = self._values[block.family]
        for first, last in block.ranges:
            place = bisect.bisect_left(values, first)
            if place < len(values) and values[place] <= last:
                return True
        return False

    def families(self) -> frozenset[int]:
        """Address families that Pods have."""
        return frozenset(family for family, values in self._values.items() if values)

    def isolated(self, group: Group) -> tuple[bool, bool]:
        """Whether a group is isolated for ingress and for egress."""
        return bool(group.policies[INGRESS]), bool(group.policies[EGRESS])


def _looked_at(inventory: Inventory) -> frozenset[str]:
    """Keys of the labels that some selector of Pods looks at; in all other labels Pods may differ."""
    selectors = [DNS_PODS]
    for policy in inventory.policies.values():
        selectors.append(policy.pods)
        for rules in policy.rules.values():
            selectors += [peer.pods for rule in rules for peer in rule.peers if peer.pods is not None]
    for admin in inventory.admin_policies.values():
        peers = [admin.subject, *(each.pods for rules in admin.rules.values() for rule in rules for each in rule.peers)]
        selectors += [peer.pods for peer in peers if peer is not None and peer.pods is not None]
    keys = {requirement.key for selector in selectors for requirement in selector.requirements}
    for callback in inventory.callbacks:
        service = inventory.services.get(callback.service)
        keys.update(service.selector if service is not None else ())
    return frozenset(keys)
