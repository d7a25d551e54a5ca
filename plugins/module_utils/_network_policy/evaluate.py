# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The verdict for one connection, and the policy that gives it.

Private to podnet.cni: may change in any release.

Both ends decide: egress of the source and ingress of the destination. A verdict is about the first packet of a
connection; its replies pass. Destinations are what is left after a Service was resolved. Each end asks the Admin tier
first, then its NetworkPolicies, and the Baseline tier where no NetworkPolicy selects it.
"""

from __future__ import annotations

from typing import Any, Iterator, NamedTuple, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._network_policy import tiers
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.cluster import Cluster
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.model import (
    ACCEPT,
    ADMIN,
    BASELINE,
    EGRESS,
    INGRESS,
    PASS,
    Address,
    AdminPolicy,
    Group,
    Node,
    Pod,
    Policy,
    Rule,
)
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.profile import Profile
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.tiers import Question

ICMP = "ICMP"
PROTOCOLS = ("TCP", "UDP", "SCTP", ICMP)

ALLOW, DENY, UNKNOWN = "allow", "deny", "unknown"
NO_PATH = "no_path"
ROOT_PASSES = "what root sends on the pod's own node, like kubelet's probes, passes all the same"

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


class Grant(NamedTuple):
    """The rule that decides: its policy and its place among the policy's rules of the direction.

    One of a NetworkPolicy always allows, one of an admin policy may deny.
    """

    policy: Policy | AdminPolicy
    rule: int


class Side(NamedTuple):
    """What one end says: isolated or not, allowed or not, the rule that decides, the policies that isolate.

    C(doubts) are reasons why C(allowed) is not known to hold.
    """

    isolated: bool
    allowed: bool
    grant: Grant | None
    policies: Sequence[Policy | AdminPolicy]
    note: str
    doubts: tuple[str, ...] = ()

    @property
    def judged(self) -> bool:
        """Whether a policy decides here."""
        return self.isolated or self.grant is not None


class Verdict(NamedTuple):
    """C(family) is 0 when an end has no address. C(seen) is the source address at the destination.

    C(doubts) are reasons why C(allowed) is not known to hold; it is what is known of the policies alone.
    """

    allowed: bool
    family: int
    seen: str
    egress: Side
    ingress: Side
    doubts: tuple[str, ...] = ()

    @property
    def value(self) -> str:
        """ALLOW, DENY or UNKNOWN."""
        if self.doubts:
            return UNKNOWN
        return ALLOW if self.allowed else DENY


_OPEN = Side(False, True, None, (), "")
_UNSEEN = "traffic to the pod's own node is not judged"
_NO_BASELINE = "NetworkPolicies of the other direction select it, so the agent asks no baseline policy"
_OTHER_DIRECTION = (
    "the API leaves open whether a baseline policy holds for Pods with NetworkPolicies of one direction only"
)


def _decided(outcome: tiers.Outcome) -> Side:
    """What a rule of an admin policy says. C(outcome) has a policy: only PASS comes without one."""
    if outcome.policy is None:
        return _OPEN
    doubts = (outcome.doubt,) if outcome.doubt else ()
    grant = Grant(outcome.policy, outcome.rule)
    return Side(False, outcome.action == ACCEPT, grant, (outcome.policy,), "", doubts)


class Evaluator:
    """Judges connections in a cluster under a profile."""

    def __init__(self, cluster: Cluster, profile: Profile) -> None:
        self.cluster = cluster
        self.profile = profile
        self._admin: dict[Group, tuple[AdminPolicy, ...]] = {}
        # Many groups have the same admin policies, and are asked about the same DNS Pods and API servers.
        self._outcomes: dict[tuple[tuple[AdminPolicy, ...], str, Question], list[tiers.Outcome]] = {}

    def end(self, text: str, where: str) -> End:
        """An end from C(namespace/pod) or an IP address. Raises InputError for a Pod that does not exist."""
        try:
            address = Address.parse(text)
        except ValueError:
            pod = self.cluster.inventory.pods.get(text)
            if pod is None:
                raise InputError(
                    f"{where} is {text!r}, neither an IP address nor a Pod. Write a Pod as namespace/name."
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
        ingress = next((side for side in sides if not side.allowed), sides[0])
        shown = " or ".join(address.text for address in seen if address is not None)
        found = Verdict(egress.allowed and ingress.allowed, family, shown, egress, ingress)
        differ = len({side.allowed for side in sides}) > 1
        return found._replace(doubts=tuple(self._doubts(source, target, protocol, found, differ)))

    def _doubts(self, source: End, target: End, protocol: str, found: Verdict, differ: bool) -> Iterator[str]:
        """Why it is not known whether the verdict of the NetworkPolicies holds."""
        if source.group is None and target.group is None:
            return
        acting = sorted({kind for kind in self.cluster.inventory.hidden if self.profile.may_enforce(kind)})
        if acting:
            yield f"{' and '.join(acting)} objects may decide otherwise, and not all of them could be read"
        sides = (found.egress, found.ingress)
        if all(side.allowed or side.doubts for side in sides):
            for side in sides:
                yield from side.doubts
        left_out = [each.source for each in self.cluster.inventory.unreadable if each.doubt]
        if left_out:
            yield f"{left_out[0]} could not be read"
        if found.egress.allowed and differ:
            yield f"the destination sees {found.seen}, and not all of them are allowed"
        if found.egress.allowed and found.ingress.note == ROOT_PASSES:
            yield f"it depends on who sends: {ROOT_PASSES}"
        isolated = found.egress.isolated or found.ingress.isolated
        if protocol == ICMP and isolated and not self.profile.release:
            yield "the API leaves open what policies mean for ICMP"
        for end in (source, target):
            if end.pod is not None and end.pod.finished:
                yield f"{end.text} is finished and has no traffic"
        for end, side, direction in ((target, found.egress, EGRESS), (source, found.ingress, INGRESS)):
            if not side.allowed and not end.addresses and _has_blocks(side.policies, direction):
                yield f"{end.text} has no address yet that a block could cover"

    def _egress(self, source: End, target: End, address: Address | None, protocol: str, port: int) -> Side:
        if source.group is None:
            return _OPEN
        unseen = target.is_node and target.node == source.node and not self.profile.sees_egress_to_own_node
        policies = source.group.policies[EGRESS]
        if unseen and self.profile.release:
            return Side(bool(policies), True, None, policies, _UNSEEN if policies else "")
        peer_pod = target.pod if target.group is not None else None
        question = Question(EGRESS, target.group, address, peer_pod, protocol, port, target.node)
        return self.side(source.group, question, _UNSEEN if unseen else "")

    def _ingress(self, source: End, target: End, seen: Address | None, protocol: str, port: int) -> Side:
        if target.group is None:
            return _OPEN
        question = Question(INGRESS, source.group, seen, target.pod, protocol, port, source.node)
        own_node = source.is_node and source.node == target.node
        always = own_node and self.profile.own_node_always_reaches
        found = self.side(target.group, question, "a pod's own node always reaches it" if always else "")
        if found.isolated and not found.allowed and own_node and not self.profile.cuts_probes:
            return found._replace(note=ROOT_PASSES)
        return found

    def side(self, group: Group, question: Question, always: str = "") -> Side:
        """What the policies of all tiers say to one end. C(always) is why NetworkPolicies let it pass in any case."""
        standard = self._standard(group, question, always)
        if not self.admin(group):
            return standard[0]
        possible: list[Side] = []
        for outcome in self._tier(ADMIN, group, question):
            if outcome.action == PASS:
                doubts = (outcome.doubt,) if outcome.doubt else ()
                possible += [each._replace(doubts=(*doubts, *each.doubts)) for each in standard]
            else:
                possible.append(_decided(outcome))
        if len({each.allowed for each in possible}) == 1:
            return possible[-1]._replace(doubts=())
        return possible[-1]._replace(doubts=tuple(dict.fromkeys(each for one in possible for each in one.doubts)))

    def admin(self, group: Group) -> tuple[AdminPolicy, ...]:
        """The admin policies that select the group, of the kinds that the profile enforces, in their order."""
        found = self._admin.get(group)
        if found is None:
            found = tuple(each for each in group.admin if self.profile.may_enforce(each.kind))
            self._admin[group] = found
        return found

    def _tier(self, tier: str, group: Group, question: Question) -> list[tiers.Outcome]:
        """The outcomes of a tier."""
        key = (self.admin(group), tier, question)
        found = self._outcomes.get(key)
        if found is None:
            policies = [each for each in key[0] if each.tier == tier]
            found = self._outcomes[key] = tiers.outcomes(policies, question, self.cluster, self.profile)
        return found

    def _standard(self, group: Group, question: Question, always: str) -> list[Side]:
        """What NetworkPolicies say, or the Baseline tier where they say nothing; several where it is not known."""
        policies = group.policies[question.direction]
        if policies:
            grant = self.grant(policies, question)
            if grant is None and always:
                return [Side(True, True, None, policies, always)]
            hint = _named_hint(policies, grant, question.destination) if question.direction == EGRESS else ""
            return [Side(True, grant is not None, grant, policies, hint)]
        if not self.admin(group):
            return [_OPEN]
        selected = any(group.policies.values())
        if selected and self.profile.release:
            return [_OPEN._replace(note=_NO_BASELINE)]
        found = [
            _OPEN if outcome.action == PASS else _decided(outcome) for outcome in self._tier(BASELINE, group, question)
        ]
        if selected and not all(each.allowed for each in found):
            found.append(_OPEN._replace(doubts=(_OTHER_DIRECTION,)))
        return found

    def _seen(self, source: End, target: End, family: int) -> list[Address | None]:
        """Source addresses as the destination's node sees them; more than one where the backend is unknown."""
        given = _of_family(source.addresses, family)
        node = self.cluster.inventory.nodes.get(source.node)
        if source.group is not None or target.group is None or node is None or not _is_own(node, given):
            return [given]
        found = node.seen_here(family) if source.node == target.node else node.seen_elsewhere(family)
        return list(found) or [given]


def _has_blocks(policies: Sequence[Policy | AdminPolicy], direction: str) -> bool:
    """Whether NetworkPolicies have blocks; what an admin policy says of an end without an address has its own doubt."""
    return any(
        peer.block is not None
        for policy in policies
        if isinstance(policy, Policy)
        for rule in policy.rules[direction]
        for peer in rule.peers
    )


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
        elif destination is not None and question.port in destination.ports.get((item.name, item.protocol), ()):
            return True
    return False


def _named_hint(policies: Sequence[Policy], grant: Grant | None, destination: Pod | None) -> str:
    if grant is not None or destination is not None:
        return ""
    named = any(item.name for policy in policies for rule in policy.rules[EGRESS] for item in rule.ports)
    return "a named port never matches a destination that is not a pod" if named else ""


def describe(verdict: Verdict) -> dict[str, Any]:
    """A verdict as a dictionary: what decides, in which direction, by which policy and rule, and why."""
    decider, direction = verdict.egress, EGRESS
    if verdict.egress.allowed and (not verdict.ingress.allowed or verdict.ingress.judged):
        decider, direction = verdict.ingress, INGRESS
    if not decider.judged:
        direction = ""
    policy: Policy | AdminPolicy | None = None
    if decider.grant is not None:
        policy = decider.grant.policy
    elif not decider.allowed:
        policy = decider.policies[0]
    return {
        "verdict": verdict.value,
        "family": f"ipv{verdict.family}" if verdict.family else None,
        "seen_from": verdict.seen or None,
        "direction": direction or None,
        "policy": policy.label if policy is not None else None,
        "rule": decider.grant.rule if decider.grant is not None else None,
        "reason": "; ".join([*(f"not known, for {doubt}" for doubt in verdict.doubts), _reason(decider, direction)]),
        "egress": _side(verdict.egress),
        "ingress": _side(verdict.ingress),
    }


def places(source: End, target: End, family: int) -> dict[str, Any]:
    """Where a connection of this family would begin and end: addresses, and the node of the source."""

    def address(end: End) -> str | None:
        return next((each.text for each in end.addresses if each.family == family), None)

    return {"from_address": address(source), "to_address": address(target), "from_node": source.node or None}


def no_path(reason: str) -> dict[str, Any]:
    """The verdict, as a dictionary, where no packet has a way whatever policies say."""
    nothing = dict.fromkeys(("family", "seen_from", "direction", "policy", "rule", "egress", "ingress"))
    return {**nothing, "verdict": NO_PATH, "reason": reason, "backends": []}


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
    if not side.judged:
        return "no policy selects the source for egress or the destination for ingress"
    end = "source" if direction == EGRESS else "destination"
    if side.grant is not None:
        verb = "allows" if side.allowed else "denies"
        return f"{direction} rule {side.grant.rule} of {side.grant.policy.label} {verb} it"
    if side.allowed:
        return side.note
    names = ", ".join(policy.label for policy in side.policies[:_NAMED])
    if len(side.policies) > _NAMED:
        names += f" and {len(side.policies) - _NAMED} more"
    text = f"the {end} is isolated for {direction} by {names}, and no rule allows it"
    return f"{text}; {side.note}" if side.note else text
