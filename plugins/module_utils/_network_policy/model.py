# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pods, nodes and policies as far as policy looks at them.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import Mapping, NamedTuple

from ansible_collections.podnet.cni.plugins.module_utils._kube.selectors import Selector

INGRESS = "ingress"
EGRESS = "egress"
DIRECTIONS = (INGRESS, EGRESS)

ADMIN, BASELINE = "Admin", "Baseline"
TIERS = (ADMIN, BASELINE)
"""Before NetworkPolicies and after them, see network-policy-api apis/v1alpha2/clusternetworkpolicy_types.go."""

ACCEPT, REFUSE, PASS = "Accept", "Deny", "Pass"
"""What a rule of a tier does. v1alpha1 writes C(Allow) for C(Accept)."""


class Address(NamedTuple):
    """An IP address: C(family) 4 or 6, C(value) as a number, and how it is written."""

    family: int
    value: int
    text: str

    @classmethod
    def parse(cls, text: str) -> Address:
        """Raises ValueError for a value that is not an address."""
        parsed = ipaddress.ip_address(text)
        return cls(parsed.version, int(parsed), str(parsed))


class Block(NamedTuple):
    """An ipBlock: C(ranges) are the first and last numbers of what is left of C(cidr) without its exceptions."""

    cidr: str
    excepts: tuple[str, ...]
    family: int
    ranges: tuple[tuple[int, int], ...]

    def covers(self, address: Address) -> bool:
        """Whether the address is in the block and in none of its exceptions."""
        if address.family != self.family:
            return False
        return any(first <= address.value <= last for first, last in self.ranges)

    def __str__(self) -> str:
        return f"{self.cidr} without {', '.join(self.excepts)}" if self.excepts else self.cidr


class Peer(NamedTuple):
    """One item of C(from) or C(to): a block, or selectors. C(namespaces) None means the policy's own namespace."""

    namespaces: Selector | None
    pods: Selector | None
    block: Block | None

    def __str__(self) -> str:
        if self.block is not None:
            return str(self.block)
        pods = f"pods {self.pods}" if self.pods is not None and self.pods.requirements else "all pods"
        if self.namespaces is None:
            return f"{pods} of this namespace"
        if self.namespaces.requirements:
            return f"{pods} of namespaces {self.namespaces}"
        return f"{pods} of all namespaces"


class PortItem(NamedTuple):
    """One item of C(ports). A name, or numbers from C(first) to C(last); neither: all ports of the protocol.

    A name without a protocol is of any.
    """

    protocol: str
    name: str
    first: int
    last: int

    def __str__(self) -> str:
        if self.name:
            return f"{self.protocol} {self.name}".strip()
        if (self.first, self.last) == (1, 65535):
            return self.protocol
        return f"{self.protocol} {self.first}" + (f"-{self.last}" if self.last != self.first else "")


class Rule(NamedTuple):
    """One rule. No C(peers) means any peer, even one that is not a pod; no C(ports) any port and protocol."""

    peers: tuple[Peer, ...]
    ports: tuple[PortItem, ...]

    def __str__(self) -> str:
        peers = "; ".join(str(peer) for peer in self.peers) or "anything"
        return f"{peers} on {', '.join(str(port) for port in self.ports) or 'any port'}"


@dataclass(frozen=True, eq=False)
class Policy:
    """A NetworkPolicy. C(rules) has a direction only if the policy is of that type, then with possibly no rule.

    C(ignored) are directions that have rules although the policy is not of that type. C(managed_by) is the value of
    the label app.kubernetes.io/managed-by.
    """

    namespace: str
    name: str
    pods: Selector
    rules: Mapping[str, tuple[Rule, ...]]
    ignored: tuple[str, ...] = ()
    managed_by: str = ""

    @property
    def label(self) -> str:
        """The policy's name in messages and reports."""
        return f"{self.namespace}/{self.name}"


class AdminPeer(NamedTuple):
    """One item of C(from) or C(to) of an admin policy, of which one field is set.

    C(pods) are Pods of namespaces, C(nodes) selects Nodes by label, C(blocks) are networks, C(domains) names.
    """

    pods: Peer | None = None
    nodes: Selector | None = None
    blocks: tuple[Block, ...] = ()
    domains: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.pods is not None:
            return str(self.pods)
        if self.nodes is not None:
            return f"nodes {self.nodes}" if self.nodes.requirements else "all nodes"
        return ", ".join((*(block.cidr for block in self.blocks), *self.domains))


class AdminRule(NamedTuple):
    """One rule of an admin policy. C(action) is ACCEPT, REFUSE or PASS; no C(ports) any port and protocol."""

    name: str
    action: str
    peers: tuple[AdminPeer, ...]
    ports: tuple[PortItem, ...]

    def __str__(self) -> str:
        peers = "; ".join(str(peer) for peer in self.peers)
        return f"{peers} on {', '.join(str(port) for port in self.ports) or 'any port'}"


@dataclass(frozen=True, eq=False)
class AdminPolicy:
    """A policy of policy.networking.k8s.io. The first rule that matches decides; C(priority) 0 comes first."""

    kind: str
    name: str
    tier: str
    priority: int
    subject: Peer
    rules: Mapping[str, tuple[AdminRule, ...]]

    @property
    def label(self) -> str:
        """The policy's name in messages and reports."""
        return f"{self.kind} {self.name}"

    @property
    def order(self) -> tuple[int, int, str]:
        """Its place among others: tier, priority, and the name where both are equal, as the agent has it."""
        return TIERS.index(self.tier), self.priority, self.name


@dataclass(frozen=True, eq=False)
class Pod:
    """A Pod. C(ports) and C(init_ports) map (name, protocol) of container ports to their numbers, in the order of the
    containers.

    C(finished) is a Pod of phase Succeeded or Failed. C(images) are those of its containers, C(host_addresses) those
    of its node.
    """

    namespace: str
    name: str
    labels: Mapping[str, str]
    node: str = ""
    addresses: tuple[Address, ...] = ()
    host_network: bool = False
    finished: bool = False
    ports: Mapping[tuple[str, str], tuple[int, ...]] = field(default_factory=dict)
    init_ports: Mapping[tuple[str, str], tuple[int, ...]] = field(default_factory=dict)
    images: tuple[str, ...] = ()
    host_addresses: tuple[Address, ...] = ()

    @property
    def label(self) -> str:
        """The Pod's name in messages, reports and flows."""
        return f"{self.namespace}/{self.name}"


@dataclass(eq=False)
class Group:
    """Pods of one namespace that no policy can tell apart. C(labels) are those that selectors look at.

    C(policies) are, for each direction, those that select the Pods; both are empty for Pods on the host's network.
    C(admin) are the admin policies that do, in their order.
    C(enrolled) are the policies that select them on paper, for Pods on the host's network.
    """

    namespace: str
    labels: Mapping[str, str]
    host_network: bool
    pods: list[Pod] = field(default_factory=list)
    policies: dict[str, list[Policy]] = field(default_factory=lambda: {INGRESS: [], EGRESS: []})
    enrolled: list[Policy] = field(default_factory=list)
    admin: list[AdminPolicy] = field(default_factory=list)


@dataclass(frozen=True)
class Node:
    """A Node: its own addresses, the first and second address of its pod subnets, and flannel's backend type.

    C(labels) are none where only its Pods tell of it. With C(direct_routing) packets to a node on its segment do not
    take the overlay's device, which no Node tells.
    The first address of the subnet is that of the overlay's device, the second that of the bridge (flannel v0.28.9
    pkg/backend/vxlan/vxlan.go; CNI bridge plugin with isGateway).
    """

    name: str
    addresses: tuple[Address, ...] = ()
    overlay: tuple[Address, ...] = ()
    bridge: tuple[Address, ...] = ()
    backend: str = ""
    labels: Mapping[str, str] | None = None
    direct_routing: bool = False

    def seen_elsewhere(self, family: int) -> tuple[Address, ...]:
        """Source addresses of the node's own traffic at a pod of another node."""
        direct = tuple(each for each in self.addresses if each.family == family)
        overlay = tuple(each for each in self.overlay if each.family == family)
        if self.backend in ("host-gw", "alloc") or not overlay:
            return direct[:1]
        if self.backend and not self.direct_routing:
            return overlay
        return overlay + direct[:1]

    def seen_here(self, family: int) -> tuple[Address, ...]:
        """Source addresses of the node's own traffic at a pod on it."""
        found = tuple(each for each in self.bridge if each.family == family)
        return found or tuple(each for each in self.addresses if each.family == family)[:1]
