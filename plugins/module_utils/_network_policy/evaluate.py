# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The verdict for one connection, and the policy that gives it.

Private to podnet.cni: may change in any release.

Both ends decide: egress of the source and ingress of the destination. A verdict is about the first packet of a
connection; its replies pass. Destinations are what is left after a Service was resolved.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.cluster import Cluster
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.model import (
    EGRESS,
    INGRESS,
    Address,
    Group,
    Node,
    Pod,
    Policy,
    Rule,
)
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.profile import Profile

ICMP = "ICMP"
PROTOCOLS = ("TCP", "UDP", "SCTP", ICMP)

_NAMED = 5
"""A reason for people names that many policies."""


class End(NamedTuple):
    """One end as policy sees it. C(group) is None for what has no labels: hosts, nodes, Pods on the host's network.

    C(node) is the node the end is or runs on, empty when unknown. C(addresses) may have none for a Pod not started.
    """

    text: str
    pod: Pod | None
    group: Group | None
    node: str
    addresses: tuple[Address, ...]

    @property
    def is_node(self) -> bool:
        """Whether the traffic is a node's own."""
        return self.group is None and bool(self.node)


class Question(NamedTuple):
    """What an end is asked: C(group) and C(address) are the other end, C(destination) the Pod that names ports."""

    direction: str
    group: Group | None
    address: Address | None
    destination: Pod | None
    protocol: str
    port: int


class Grant(NamedTuple):
    """The first rule that allows something: its policy and its place among the policy's rules of the direction."""

    policy: Policy
    rule: int


class Side(NamedTuple):
    """What one end says: isolated or not, allowed or not, the rule that allows, the policies that isolate."""

    isolated: bool
    allowed: bool
    grant: Grant | None
    policies: Sequence[Policy]
    note: str


class Verdict(NamedTuple):
    """C(family) is 0 when an end has no address. C(seen) is the source address at the destination."""

    allowed: bool
    family: int
    seen: str
    egress: Side
    ingress: Side


_OPEN = Side(False, True, None, (), "")


class Evaluator:
    """Judges connections in a cluster under a profile."""

    def __init__(self, cluster: Cluster, profile: Profile) -> None:
        self.cluster = cluster
        self.profile = profile

    def end(self, text: str, where: str) -> End:
        """An end from C(namespace/pod) or an IP address. Raises InputError for a Pod that does not exist."""
        try:
            address = Address.parse(text)
        except ValueError:
            pod = self.cluster.inventory.pods.get(text)
            if pod is None:
                raise InputError(
                    f"{where} is {text!r}, which is no IP address and no Pod. Write a Pod as namespace/name."
                ) from None
            # A Pod that is finished sends nothing any more, neither for itself nor for its node.
            return End(text, pod, self.cluster.group(pod), "" if pod.finished else pod.node, pod.addresses)
        pod = self.cluster.pod_at(address)
        if pod is not None:
            return End(text, pod, self.cluster.group(pod), pod.node, (address,))
        node = self.cluster.node_at(address)
        return End(text, None, None, node.name if node is not None else "", (address,))

    def grant(self, policies: Sequence[Policy], question: Question) -> Grant | None:
        """The first rule of these policies that allows what is asked."""
        for policy in policies:
            for number, rule in enumerate(policy.rules[question.direction]):
                if _ports_match(rule, question) and self._peers_match(rule, policy.namespace, question):
                    return Grant(policy, number)
        return None

    def _peers_match(self, rule: Rule, namespace: str, question: Question) -> bool:
        if not rule.peers:
            return True
        group, address = question.group, question.address
        for each in rule.peers:
            if each.block is not None:
                if address is not None and each.block.covers(address):
                    return True
            elif group is not None and self.cluster.peer_matches(each, namespace, group):
                return True
        return False

    def verdicts(self, source: End, target: End, protocol: str, port: int) -> list[Verdict]:
        """One verdict for each address family that both ends have; none when they share no family."""
        families = _families(source, target)
        return [self._verdict(source, target, protocol, port, family) for family in families]

    def _verdict(self, source: End, target: End, protocol: str, port: int, family: int) -> Verdict:
        to_address = _of_family(target.addresses, family)
        egress = self._egress(source, target, to_address, protocol, port)
        seen = self._seen(source, target, family)
        sides = [self._ingress(source, target, address, protocol, port) for address in seen]
        # Where the node's address is not certain, every candidate has to be allowed.
        ingress = next((side for side in sides if not side.allowed), sides[0])
        shown = " or ".join(address.text for address in seen if address is not None)
        return Verdict(egress.allowed and ingress.allowed, family, shown, egress, ingress)

    def _egress(self, source: End, target: End, address: Address | None, protocol: str, port: int) -> Side:
        if source.group is None:
            return _OPEN
        policies = source.group.policies[EGRESS]
        if not policies:
            return _OPEN
        if target.is_node and target.node == source.node and not self.profile.sees_egress_to_own_node:
            return Side(True, True, None, policies, "traffic to the pod's own node is not judged")
        peer_pod = target.pod if target.group is not None else None
        grant = self.grant(policies, Question(EGRESS, target.group, address, peer_pod, protocol, port))
        return Side(True, grant is not None, grant, policies, _named_hint(policies, grant, peer_pod))

    def _ingress(self, source: End, target: End, seen: Address | None, protocol: str, port: int) -> Side:
        if target.group is None:
            return _OPEN
        policies = target.group.policies[INGRESS]
        if not policies:
            return _OPEN
        grant = self.grant(policies, Question(INGRESS, source.group, seen, target.pod, protocol, port))
        note = ""
        if grant is None and source.is_node and source.node == target.node:
            if self.profile.own_node_always_reaches:
                return Side(True, True, None, policies, "a pod's own node always reaches it")
            if not self.profile.cuts_probes:
                note = "what root sends on the pod's own node, like kubelet's probes, passes all the same"
        return Side(True, grant is not None, grant, policies, note)

    def _seen(self, source: End, target: End, family: int) -> list[Address | None]:
        """Source addresses as the destination's node sees them; more than one where the backend is unknown."""
        given = _of_family(source.addresses, family)
        node = self.cluster.inventory.nodes.get(source.node)
        if source.group is not None or target.group is None or node is None or not _is_own(node, given):
            return [given]
        found = node.seen_here(family) if source.node == target.node else node.seen_elsewhere(family)
        return list(found) or [given]


def _is_own(node: Node, address: Address | None) -> bool:
    """Whether it is an address of the node itself; one of the overlay or the bridge is already what is seen."""
    return address is None or address in node.addresses


def _families(source: End, target: End) -> list[int]:
    ours = {address.family for address in source.addresses}
    theirs = {address.family for address in target.addresses}
    if not ours or not theirs:
        return sorted(ours | theirs) or [0]
    return sorted(ours & theirs)


def _of_family(addresses: Sequence[Address], family: int) -> Address | None:
    return next((address for address in addresses if address.family == family), None)


def _ports_match(rule: Rule, question: Question) -> bool:
    if not rule.ports:
        return True
    destination = question.destination
    for item in rule.ports:
        if item.protocol != question.protocol:
            continue
        if not item.name:
            if item.first <= question.port <= item.last:
                return True
        elif destination is not None and destination.ports.get((item.name, item.protocol)) == question.port:
            return True
    return False


def _named_hint(policies: Sequence[Policy], grant: Grant | None, destination: Pod | None) -> str:
    if grant is not None or destination is not None:
        return ""
    named = any(item.name for policy in policies for rule in policy.rules[EGRESS] for item in rule.ports)
    return "a named port never matches a destination that is no pod" if named else ""


def describe(verdict: Verdict) -> dict[str, Any]:
    """A verdict as a dictionary: what decides, in which direction, by which policy and rule, and why."""
    decider, direction = verdict.egress, EGRESS
    if verdict.egress.allowed and (not verdict.ingress.allowed or verdict.ingress.isolated):
        decider, direction = verdict.ingress, INGRESS
    if not decider.isolated:
        direction = ""
    policy = None
    if decider.grant is not None:
        policy = decider.grant.policy
    elif not decider.allowed:
        policy = decider.policies[0]
    return {
        "verdict": "allow" if verdict.allowed else "deny",
        "family": f"ipv{verdict.family}" if verdict.family else None,
        "seen_from": verdict.seen or None,
        "direction": direction or None,
        "policy": policy.label if policy is not None else None,
        "rule": decider.grant.rule if decider.grant is not None else None,
        "reason": _reason(decider, direction),
        "egress": _side(verdict.egress),
        "ingress": _side(verdict.ingress),
    }


def _side(side: Side) -> dict[str, Any]:
    return {
        "isolated": side.isolated,
        "allowed": side.allowed,
        "policy": side.grant.policy.label if side.grant is not None else None,
        "rule": side.grant.rule if side.grant is not None else None,
        "policies": [policy.label for policy in side.policies],
        "note": side.note or None,
    }


def _reason(side: Side, direction: str) -> str:
    if not side.isolated:
        return "no policy selects the source for egress or the destination for ingress"
    end = "source" if direction == EGRESS else "destination"
    if side.grant is not None:
        return f"{direction} rule {side.grant.rule} of {side.grant.policy.label} allows it"
    if side.allowed:
        return side.note
    names = ", ".join(policy.label for policy in side.policies[:_NAMED])
    if len(side.policies) > _NAMED:
        names += f" and {len(side.policies) - _NAMED} more"
    text = f"the {end} is isolated for {direction} by {names}, and no rule allows it"
    return f"{text}; {side.note}" if side.note else text
