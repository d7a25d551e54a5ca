# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The conformance cases of kubernetes-sigs/network-policy-api (main of 2026-07), for each API that can say them.

What is from there are facts: who may reach whom under which rules. Four namespaces of two Pods each serve TCP 80 (named
web) and 8080, UDP 53 (named dns) and 5353, SCTP 9003 and 9005; a fifth has Pods on the host's network.
"""

from __future__ import annotations

from typing import Any, Sequence

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._network_policy.evaluate import Evaluator
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._network_policy.cases import (
    admin_policy,
    evaluator,
    namespace,
    node,
    pod,
    policy,
)

HOUSES = ("gryffindor", "slytherin", "hufflepuff", "ravenclaw")
PORTS = {"TCP": (80, 8080), "UDP": (53, 5353), "SCTP": (9003, 9005)}
NAMED = [("web", 80, "TCP"), ("dns", 53, "UDP")]
OLD, NEW = "v1alpha1", "v1alpha2"
PROFILES = {OLD: ("api", "v1.1.1-npa-v1alpha1"), NEW: ("api", "v1.1.1-npa-v1alpha2")}
EVERY = [(api, profile) for api, profiles in PROFILES.items() for profile in profiles]
each_api = pytest.mark.parametrize(("api", "profile"), EVERY)
each_tier = pytest.mark.parametrize("tier", ["Admin", "Baseline"])


def cluster(**labels: str) -> list[dict[str, Any]]:
    """C(labels) are other values of the label house of namespaces."""
    objects: list[dict[str, Any]] = [node("one", 1), node("two", 2)]
    for number, house in enumerate(HOUSES):
        objects.append(namespace(house, house=labels.get(house, house)))
        for place in (0, 1):
            address = f"10.244.{place + 1}.{10 + number}"
            name = ("one", "two")[place]
            objects.append(pod(f"{house}/{place}", address, {"house": house}, nodeName=name, ports=NAMED))
    objects.append(namespace("forest"))
    for place, name in enumerate(("one", "two")):
        objects.append(pod(f"forest/{place}", f"198.18.0.{place + 1}", hostNetwork=True, nodeName=name))
    return objects


def space(house: str) -> dict[str, Any]:
    return {"namespaces": {"matchLabels": {"kubernetes.io/metadata.name": house}}}


def pods(house: str) -> dict[str, Any]:
    labels = {"matchLabels": {"house": house}}
    return {"pods": {"namespaceSelector": labels, "podSelector": labels}}


def port(api: str, protocol: str, number: Any) -> dict[str, Any]:
    """A number, a name, or a pair that is a range."""
    if isinstance(number, str):
        return {"namedPort": number} if api == OLD else {"destinationNamedPort": number}
    if isinstance(number, tuple):
        ends = {"start": number[0], "end": number[1]}
        if api == OLD:
            return {"portRange": {"protocol": protocol, **ends}}
        return {protocol.lower(): {"destinationPort": {"range": ends}}}
    if api == OLD:
        return {"portNumber": {"protocol": protocol, "port": number}}
    return {protocol.lower(): {"destinationPort": {"number": number}}}


def rule(api: str, direction: str, action: str, peers: Any, ports: Sequence[tuple[str, Any]] = ()) -> dict[str, Any]:
    """C(peers) is the name of a namespace, or a list of peers."""
    found: dict[str, Any] = {
        "name": f"{action} {peers}"[:100],
        "action": "Allow" if api == OLD and action == "Accept" else action,
        {"ingress": "from", "egress": "to"}[direction]: [space(peers)] if isinstance(peers, str) else peers,
    }
    if ports:
        found["ports" if api == OLD else "protocols"] = [port(api, *each) for each in ports]
    return found


def of_tier(api: str, tier: str, name: str, subject: dict[str, Any], priority: int = 6, **rules: Any) -> dict[str, Any]:
    """C(rules) are lists by direction."""
    if api == NEW:
        return admin_policy("ClusterNetworkPolicy", name, tier=tier, priority=priority, subject=subject, **rules)
    if tier == "Baseline":
        return admin_policy("BaselineAdminNetworkPolicy", subject=subject, **rules)
    return admin_policy("AdminNetworkPolicy", name, subject=subject, priority=priority, **rules)


def known(judge: Evaluator, source: str, target: str, protocol: str, number: int) -> str:
    """The verdict, as the three values have it."""
    found = judge.verdicts(judge.end(source, ""), judge.end(target, ""), protocol, number)
    assert len(found) == 1
    return found[0].value


def expect(judge: Evaluator, source: str, target: str, passing: dict[str, tuple[int, ...]]) -> None:
    """Every port of every protocol, from either Pod to either Pod; C(passing) are those that are allowed."""
    for protocol, numbers in PORTS.items():
        for number in numbers:
            wanted = "allow" if number in passing.get(protocol, ()) else "deny"
            for one in (0, 1):
                for two in (0, 1):
                    found = known(judge, f"{source}/{one}", f"{target}/{two}", protocol, number)
                    assert found == wanted, f"{source} to {target}, {protocol} {number}"


def without(*closed: tuple[str, int]) -> dict[str, tuple[int, ...]]:
    return {each: tuple(n for n in numbers if (each, n) not in closed) for each, numbers in PORTS.items()}


# Direction, protocol, subject, who is let in, who is denied at a port, who is let in at a port alone.
PROTOCOLS = [
    ("egress", "TCP", "gryffindor", "ravenclaw", ("slytherin", 80), ("hufflepuff", 8080)),
    ("egress", "UDP", "hufflepuff", "ravenclaw", ("slytherin", 5353), ("gryffindor", 53)),
    ("egress", "SCTP", "ravenclaw", "gryffindor", ("slytherin", 9003), ("hufflepuff", 9003)),
    ("ingress", "TCP", "gryffindor", "ravenclaw", ("slytherin", 80), ("hufflepuff", 80)),
    ("ingress", "UDP", "hufflepuff", "ravenclaw", ("slytherin", 5353), ("gryffindor", 53)),
    ("ingress", "SCTP", "ravenclaw", "gryffindor", ("slytherin", 9003), ("hufflepuff", 9003)),
]


@each_api
@each_tier
@pytest.mark.parametrize("case", PROTOCOLS, ids=lambda case: f"{case[0]}-{case[1]}")
def test_rules_of_one_protocol_in_their_order(api: str, profile: str, tier: str, case: Any) -> None:
    direction, protocol, subject, friend, partly, only = case
    actions = ["Accept", "Deny"] + (["Pass"] if tier == "Admin" else [])
    to_friend = [rule(api, direction, action, friend) for action in actions]
    to_partly = [rule(api, direction, action, partly[0], [(protocol, partly[1])]) for action in actions[1:]]
    to_only = [rule(api, direction, "Accept", only[0], [(protocol, only[1])]), rule(api, direction, "Deny", only[0])]

    def judged(*rules: dict[str, Any]) -> Evaluator:
        return evaluator(
            *cluster(), of_tier(api, tier, "p", space(subject), **{direction: list(rules)}), version=profile
        )

    def check(judge: Evaluator, house: str, passing: dict[str, tuple[int, ...]]) -> None:
        ends = (subject, house) if direction == "egress" else (house, subject)
        expect(judge, *ends, passing)

    judge = judged(*to_friend, *to_partly, *to_only)
    check(judge, friend, PORTS)
    check(judge, partly[0], without((protocol, partly[1])))
    check(judge, only[0], {protocol: (only[1],)})
    # The first that matches decides: deny stands before accept, then pass before both.
    check(judged(to_friend[1], to_friend[0], *to_friend[2:]), friend, {})
    if tier == "Admin":
        check(judged(to_friend[2], to_friend[1], to_friend[0]), friend, PORTS)
        check(judged(*reversed(to_partly)), partly[0], PORTS)


COMBINED = {
    "egress": [("TCP", 8080), ("UDP", 5353), ("SCTP", 9003)],
    "ingress": [("TCP", 80), ("UDP", 5353), ("SCTP", 9003)],
}


@each_api
@each_tier
def test_both_directions_and_all_protocols_in_one_policy(api: str, profile: str, tier: str) -> None:
    closed = [("TCP", 80), ("UDP", 53), ("SCTP", 9003)]
    rules = {
        direction: [
            rule(api, direction, "Accept", "ravenclaw"),
            rule(api, direction, "Deny", "ravenclaw"),
            rule(api, direction, "Deny", "slytherin", closed),
            rule(api, direction, "Accept", "hufflepuff", ports),
            rule(api, direction, "Deny", "hufflepuff"),
        ]
        for direction, ports in COMBINED.items()
    }
    judge = evaluator(*cluster(), of_tier(api, tier, "gress", space("gryffindor"), **rules), version=profile)
    for direction, ports in COMBINED.items():
        order = slice(None) if direction == "egress" else slice(None, None, -1)
        for house, passing in (
            ("ravenclaw", PORTS),
            ("slytherin", without(*closed)),
            ("hufflepuff", {protocol: (number,) for protocol, number in ports}),
        ):
            expect(judge, *("gryffindor", house)[order], passing)


@each_api
def test_a_lower_number_comes_first(api: str, profile: str) -> None:
    """Deny at 50, pass at 60 and then at 40, and a baseline that accepts."""

    def made(tier: str, name: str, action: str, priority: int) -> dict[str, Any]:
        rules = {each: [rule(api, each, action, [pods("slytherin")])] for each in ("ingress", "egress")}
        return of_tier(api, tier, name, pods("gryffindor"), priority, **rules)

    for priority, passing in ((60, {}), (40, PORTS)):
        made_all = (
            made("Admin", "fifty", "Deny", 50),
            made("Admin", "moves", "Pass", priority),
            made("Baseline", "default", "Accept", 10),
        )
        judge = evaluator(*cluster(), *made_all, version=profile)
        expect(judge, "slytherin", "gryffindor", passing)
        expect(judge, "gryffindor", "slytherin", passing)


@each_api
def test_tiers_before_and_after_network_policies(api: str, profile: str) -> None:
    """The Admin tier denies or passes, a NetworkPolicy accepts, and without it the Baseline tier denies."""
    peer = [{"namespaces": {"matchLabels": {"house": "slytherin"}}}]
    selected = [{"namespaceSelector": {"matchLabels": {"house": "slytherin"}}}]
    allows = policy(
        "gryffindor/allow", types=["Ingress", "Egress"], ingress=[{"from": selected}], egress=[{"to": selected}]
    )
    subject = {"namespaces": {"matchLabels": {"house": "gryffindor"}}}

    def judged(inwards: str, outwards: str, *more: dict[str, Any]) -> Evaluator:
        first = {"ingress": [rule(api, "ingress", inwards, peer)], "egress": [rule(api, "egress", outwards, peer)]}
        last = {each: [rule(api, each, "Deny", peer)] for each in ("ingress", "egress")}
        found = (
            of_tier(api, "Admin", "pass", subject, 10, **first),
            of_tier(api, "Baseline", "b", subject, 10, **last),
        )
        return evaluator(*cluster(), *found, *more, version=profile)

    for inwards, outwards, more, comes_in, goes_out in (
        ("Deny", "Deny", [allows], {}, {}),
        ("Pass", "Deny", [allows], PORTS, {}),
        ("Pass", "Pass", [allows], PORTS, PORTS),
        ("Pass", "Pass", [], {}, {}),
    ):
        judge = judged(inwards, outwards, *more)
        expect(judge, "slytherin", "gryffindor", comes_in)
        expect(judge, "gryffindor", "slytherin", goes_out)


@each_api
@each_tier
def test_networks_as_peers(api: str, profile: str, tier: str) -> None:
    """Networks cover Pods too; a label that a namespace loses, and single addresses let in before."""
    rules = [
        rule(api, "egress", "Accept", [pods("slytherin")]),
        rule(api, "egress", "Deny", [{"networks": ["0.0.0.0/0", "::/0"]}]),
    ]

    def judged(more: list[dict[str, Any]], **labels: str) -> Evaluator:
        made = of_tier(api, tier, "cidr", pods("gryffindor"), 85, egress=[*more, *rules])
        return evaluator(*cluster(**labels), made, version=profile)

    for house in ("ravenclaw", "hufflepuff"):
        expect(judged([]), "gryffindor", house, {})
    expect(judged([]), "gryffindor", "slytherin", PORTS)
    expect(judged([], slytherin="other"), "gryffindor", "slytherin", {})
    single = [{"networks": ["10.244.1.13/32", "10.244.1.12/32"]}]
    judge = judged([rule(api, "egress", "Accept", single)])
    for house in ("ravenclaw", "hufflepuff"):
        for place, wanted in ((0, "allow"), (1, "deny")):
            assert known(judge, "gryffindor/1", f"{house}/{place}", "TCP", 80) == wanted


@each_api
@each_tier
@pytest.mark.parametrize("case", [("web", "TCP", 80, 8080), ("dns", "UDP", 53, 5353)], ids=lambda case: case[0])
def test_named_ports(api: str, profile: str, tier: str, case: tuple[str, str, int, int]) -> None:
    """The agent for v1alpha1 lets every port pass of a Pod that has the name."""
    name, protocol, number, other = case
    for direction in ("ingress", "egress"):
        rules = [
            rule(api, direction, "Accept", "hufflepuff", [(protocol, name)]),
            rule(api, direction, "Deny", "hufflepuff"),
        ]
        made = of_tier(api, tier, "p", space("gryffindor"), **{direction: rules})
        judge = evaluator(*cluster(), made, version=profile)
        ends = ("gryffindor", "hufflepuff") if direction == "egress" else ("hufflepuff", "gryffindor")
        expect(judge, *ends, PORTS if profile.endswith(OLD) else {protocol: (number,)})
        assert known(judge, f"{ends[0]}/0", f"{ends[1]}/0", protocol, other) == (
            "allow" if profile.endswith(OLD) else "deny"
        )


@pytest.mark.parametrize(("api", "profile"), [each for each in EVERY if not each[1].endswith(OLD)])
def test_nodes_as_peers(api: str, profile: str) -> None:
    """Accept, pass and deny towards nodes, Pods and everything else."""
    nodes = [{"nodes": {"matchLabels": {"kubernetes.io/os": "linux"}}}]
    everything = [{"networks": ["0.0.0.0/0", "::/0"]}]
    made = of_tier(
        api,
        "Admin",
        "nodes",
        pods("gryffindor"),
        75,
        egress=[
            rule(api, "egress", "Accept", nodes, [("TCP", 36363)]),
            rule(api, "egress", "Pass", nodes, [("UDP", 34346)]),
            rule(api, "egress", "Deny", [pods("slytherin"), *nodes, *everything]),
        ],
    )
    judge = evaluator(*cluster(), made, version=profile)
    for protocol, number, wanted in (
        ("TCP", 36363, "allow"),
        ("UDP", 34346, "allow"),
        ("TCP", 36364, "deny"),
        ("UDP", 34347, "deny"),
        ("SCTP", 9003, "deny"),
    ):
        assert known(judge, "gryffindor/1", "forest/0", protocol, number) == wanted
    expect(judge, "gryffindor", "slytherin", {})
    baseline = of_tier(
        api,
        "Baseline",
        "nodes",
        pods("gryffindor"),
        egress=[
            rule(api, "egress", "Accept", nodes, [("TCP", (36363, 36364))]),
            rule(api, "egress", "Deny", [*nodes, *everything]),
        ],
    )
    judge = evaluator(*cluster(), baseline, version=profile)
    for protocol, number, wanted in (("TCP", 36363, "allow"), ("TCP", 36364, "allow"), ("UDP", 34346, "deny")):
        assert known(judge, "gryffindor/1", "forest/0", protocol, number) == wanted
