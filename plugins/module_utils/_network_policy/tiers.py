# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the policies of one tier say to a connection; no I/O.

Private to podnet.cni: may change in any release.

The first rule that matches decides. A rule whose match is not known leaves two outcomes: the rule's, and what comes
after it. So a tier answers with all outcomes that are possible.
"""

from __future__ import annotations

from typing import Iterator, NamedTuple, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._network_policy.cluster import Cluster
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.model import (
    PASS,
    Address,
    AdminPeer,
    AdminPolicy,
    AdminRule,
    Group,
    Node,
    Pod,
)
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.profile import Profile

YES, NO, MAYBE = "yes", "no", "maybe"


class Question(NamedTuple):
    """What an end is asked: C(group) and C(address) are the other end, C(destination) the Pod that names ports.

    C(node) is the name of the Node that the other end is or runs on, empty when unknown.
    """

    direction: str
    group: Group | None
    address: Address | None
    destination: Pod | None
    protocol: str
    port: int
    node: str = ""


class Outcome(NamedTuple):
    """A possible answer: the policy and the place of its rule, none where no rule of the tier matches."""

    action: str
    policy: AdminPolicy | None
    rule: int
    doubt: str = ""


def outcomes(policies: Sequence[AdminPolicy], question: Question, cluster: Cluster, profile: Profile) -> list[Outcome]:
    """All outcomes that are possible; those of no action in common have a doubt each, but for the last.

    C(policies) are those of one tier that select the end, in their order.
    """
    found: list[Outcome] = []
    for same in _by_priority(policies):
        answers = [each for each in (_first(policy, question, cluster, profile) for policy in same) if each]
        every = [one for several in answers for one in several]
        if profile.release or len({each.action for each in every}) < 2:
            # The agent takes policies of one priority by their names.
            for several in answers:
                found += several
                if not several[-1].doubt:
                    return found
            continue
        names = " and ".join(sorted({each.policy.label for each in every if each.policy is not None}))
        doubt = f"{names} have the priority {same[0].priority}, and the API leaves open which decides"
        found += [each._replace(doubt=each.doubt or doubt) for each in every]
        if not all(each.doubt for each in every):
            return found
    return [*found, Outcome(PASS, None, 0)]


def _by_priority(policies: Sequence[AdminPolicy]) -> Iterator[list[AdminPolicy]]:
    rest = list(policies)
    while rest:
        same = [each for each in rest if each.priority == rest[0].priority]
        rest = rest[len(same) :]
        yield same


def _first(policy: AdminPolicy, question: Question, cluster: Cluster, profile: Profile) -> list[Outcome]:
    """The outcomes of one policy: rules that may match, and the first that does. Empty when none can."""
    found: list[Outcome] = []
    for number, rule in enumerate(policy.rules[question.direction]):
        if not _ports_match(rule, question, profile):
            continue
        answers = [_peer_matches(peer, question, cluster, profile) for peer in rule.peers]
        if YES in answers:
            return [*found, Outcome(rule.action, policy, number)]
        if MAYBE in answers:
            peer = rule.peers[answers.index(MAYBE)]
            doubt = f"whether {peer} is the other end is not known, of which {policy.label} has a rule"
            found.append(Outcome(rule.action, policy, number, doubt))
    return found


def _ports_match(rule: AdminRule, question: Question, profile: Profile) -> bool:
    if not rule.ports:
        return True
    pod = question.destination
    for item in rule.ports:
        if item.name:
            if pod is None:
                continue
            if profile.ignores_number_of_names:
                if any(name == item.name for name, _protocol in pod.ports):
                    return True
            elif question.port in pod.ports.get((item.name, question.protocol), ()):
                return True
        elif item.protocol == question.protocol and item.first <= question.port <= item.last:
            return True
    return False


def _peer_matches(peer: AdminPeer, question: Question, cluster: Cluster, profile: Profile) -> str:
    if peer.pods is not None:
        return _yes(question.group is not None and cluster.peer_matches(peer.pods, "", question.group))
    if peer.domains:
        return MAYBE
    if peer.nodes is not None:
        return _node_matches(peer, question, cluster, profile)
    if question.address is None:
        return MAYBE
    return _yes(any(block.covers(question.address) for block in peer.blocks))


def _node_matches(peer: AdminPeer, question: Question, cluster: Cluster, profile: Profile) -> str:
    nodes = list(cluster.inventory.nodes.values())
    if profile.takes_pods_for_nodes:
        # This agent looks at the Node of the Pod at the other end, and at nothing that is not a Pod.
        if question.group is None:
            return NO
        found = [node for node in nodes if node.name == question.node]
        return _labels_match(peer, found) if found else MAYBE
    if question.group is not None:
        return NO
    if question.address is None or not any(node.labels is not None for node in nodes):
        return MAYBE
    return _labels_match(peer, [node for node in nodes if question.address in node.addresses])


def _labels_match(peer: AdminPeer, nodes: Sequence[Node]) -> str:
    if any(node.labels is None for node in nodes):
        return MAYBE
    return _yes(any(peer.nodes is not None and peer.nodes.matches(node.labels or {}) for node in nodes))


def _yes(answer: bool) -> str:
    return YES if answer else NO
