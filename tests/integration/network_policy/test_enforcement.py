# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The verdict engine and packets agree: a real kube-network-policies on each node, behind a real API server.

Each test runs for each release and flavour of the agent on nodes behind host-gw, and for one release behind backends
with a tunnel. All but that release behind vxlan are left to PODNET_FULL=1, whose guest has them (tests/gate/guest.py).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._network_policy.cluster import Cluster
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.evaluate import Evaluator
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.profile import Profile
from ansible_collections.podnet.cni.tests.integration._kernel import needs
from ansible_collections.podnet.cni.tests.integration._warm import run_module
from ansible_collections.podnet.cni.tests.integration.network_policy import _enforced
from ansible_collections.podnet.cni.tests.integration.network_policy._policies import (
    KEYS,
    PORTS,
    PROTOCOLS,
    VALUES,
    Maker,
)
from ansible_collections.podnet.cni.tests.tools import cache
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._network_policy import cases

pytestmark = needs("nft_queue", "SCTP", "API server outside of it")

FULL = os.environ.get("PODNET_FULL", "") not in ("", "0")
SEED = int(os.environ.get("PODNET_SEED") or 18)
# NetworkPolicies at a time, and of each kind where there are admin policies too.
BATCH, ADMIN_BATCH = 10, (4, 8)
BATCHES = 20 if FULL else 2
NODES = (1, 2)
SPACES = ("east", "west")
CANARIES = "canary"
RELEASES = [
    _enforced.Release(cache.NETWORK_POLICY),
    *(_enforced.Release(cache.NEWER_NETWORK_POLICY, flavour) for flavour in ("", *cache.ADMIN_POLICIES)),
]
CASES = [*((release, "host-gw") for release in RELEASES), (RELEASES[0], "vxlan"), (RELEASES[0], "wireguard")]
ADMIN_CASES = [case for case in CASES if case[0].flavour]
LISTENING = [(protocol, port) for protocol in PROTOCOLS for port in PORTS]
# The port of connections that are open before a policy, who has them, and with whom: on its node and on the other.
STAYING, KEEPS, KEPT = 82, "west/pod-1", ("east/pod-0", "east/pod-4")
ASKED = [("TCP", 80), ("TCP", 81), ("UDP", 80), ("UDP", 81), ("SCTP", 80)]
BLOCKS = [
    {"cidr": "10.244.1.0/24"},
    {"cidr": "10.244.0.0/16", "except": ["10.244.1.2/31", "10.244.2.4/32"]},
    {"cidr": "0.0.0.0/0", "except": ["10.244.2.0/24"]},
    {"cidr": "fd00:10:244:2::/64"},
    {"cidr": "fd00:10:244::/48", "except": ["fd00:10:244:1::3/128"]},
    {"cidr": "198.19.0.0/16"},
]
# Seconds without an answer after which nothing more comes, for agents to have read what was written, and then to have
# written the sets of pods: newer releases do that once a second at most.
QUIET, SETTLED, WRITTEN = 3.0, 120.0, 3.0
# Seconds for an agent to look at open connections, which newer ones do every 30 s at most, and for the kernel to repeat
# what was lost meanwhile.
LOOKED, REPEATED = 60.0, 120.0
# How often what differs from the engine is asked again, each time with more patience: a slow machine answers late.
AGAIN = 3


class Flow(NamedTuple):
    """A connection of one address family."""

    source: str
    target: str
    protocol: str
    port: int
    family: int

    def __str__(self) -> str:
        return f"{self.source} -> {self.target} {self.protocol}/{self.port} over IPv{self.family}"


def pods(maker: Maker) -> list[_enforced.Pod]:
    """Three on each node with labels by chance; a name means port 80 on some and 81 on others. Two canaries on each."""
    made = []
    for number in range(6):
        named = {protocol: PORTS[(number + place) % 2] for place, protocol in enumerate(PROTOCOLS)}
        name = f"{SPACES[number % 2]}/pod-{number}"
        made.append(_enforced.Pod(name, NODES[number // 3], maker.labels(), named, 2 + number % 3))
    for node in NODES:
        made += [_enforced.Pod(f"{CANARIES}/c{node}{place}", node, {}, {}, 8 + place) for place in (0, 1)]
    return made


class Running:
    """Nodes, pods and agents that run, and the API server. `maker` makes policies for them."""

    def __init__(
        self,
        release: _enforced.Release,
        api: _enforced.Api,
        maker: Maker,
        members: Sequence[_enforced.Pod],
        agents: _enforced.Agents,
    ) -> None:
        self.profile = Profile.parse(release.tag)
        self.api = api
        self.maker = maker
        self.pods = {pod.name: pod for pod in members}
        self.agents = agents
        self.probers: dict[str, _enforced.Prober] = {}
        self._open = PORTS[0]

    @property
    def strict(self) -> bool:
        """Whether the release looks at open connections."""
        return "strict-mode" in self.profile.traits

    @property
    def admin(self) -> list[str]:
        """The kinds of admin policies that the agent enforces."""
        return [kind for kind in sorted(cases.ADMIN_VERSIONS) if self.profile.supports(kind)]

    @property
    def flows(self) -> list[Flow]:
        """Every pair of pods, every port, both families."""
        names = [name for name in self.pods if not name.startswith(CANARIES)]
        return [
            Flow(source, target, protocol, port, family)
            for source in names
            for target in names
            if source != target
            for protocol, port in ASKED
            for family in (4, 6)
        ]

    def reached(self, flows: Sequence[Flow], seconds: float = QUIET) -> dict[Flow, bool]:
        """What packets say, all at once."""
        by_source: dict[str, list[Flow]] = {}
        for flow in flows:
            by_source.setdefault(flow.source, []).append(flow)
        for source, own in by_source.items():
            targets = [(flow.protocol, self.pods[flow.target].addresses[flow.family == 6], flow.port) for flow in own]
            self.probers[source].ask("try", seconds, targets)
        found = {}
        for source, own in by_source.items():
            found.update(zip(own, self.probers[source].answer(), strict=True))
        return found

    def policies(self, items: Sequence[dict[str, Any]]) -> None:
        """Put these policies in place of those that are there, and wait until each agent has read them.

        The policies of the canaries are written last and open the other port: an agent reads in the order of writing.
        """
        self.api.drop_policies((*SPACES, CANARIES), self.admin)
        for item in items:
            self.api.create(item)
        closed, self._open = self._open, PORTS[1 - PORTS.index(self._open)]
        # With admin policies they are asked by UDP, which the NetworkPolicy lets pass.
        kinds = [kind for kind in self.admin if kind != "BaselineAdminNetworkPolicy"]
        for kind in kinds:
            self.api.create(canaries(kind, self._open, closed))
        ports = [{"port": self._open}, *([{"protocol": "UDP"}] if kinds else [])]
        self.api.create(cases.policy(f"{CANARIES}/canary", ingress=[{"ports": ports}]))
        flows = [
            Flow(f"{CANARIES}/c{node}0", f"{CANARIES}/c{node}1", protocol, port, 4)
            for node in NODES
            for port in PORTS
            for protocol in ("TCP", *(["UDP"] if kinds else []))
        ]
        end = time.monotonic() + SETTLED
        while {flow: flow.port == self._open for flow in flows} != self.reached(flows, 1.0):
            late = time.monotonic() > end
            assert not late, f"an agent does not follow the canaries' policies:\n{self.agents.said()}"
        time.sleep(WRITTEN if self.strict else 1.0)

    def verdicts(self, flows: Sequence[Flow]) -> dict[Flow, str]:
        """What the engine says of the objects in the API server."""
        judge = Evaluator(Cluster(self.api.inventory(self.admin)), self.profile)
        found = {}
        for flow in flows:
            ends = judge.end(flow.source, ""), judge.end(flow.target, "")
            for verdict in judge.verdicts(*ends, flow.protocol, flow.port):
                if verdict.family == flow.family:
                    found[flow] = verdict.value
        return found


def canaries(kind: str, opened: int, closed: int) -> dict[str, Any]:
    """An admin policy that decides the canaries' UDP and nothing else, before all others."""
    every, allow = [{"namespaces": {}}], "Accept" if kind == "ClusterNetworkPolicy" else "Allow"

    def rule(action: str, port: int) -> dict[str, Any]:
        if kind == "ClusterNetworkPolicy":
            return {"action": action, "from": every, "protocols": [{"udp": {"destinationPort": {"number": port}}}]}
        return {"action": action, "from": every, "ports": [{"portNumber": {"protocol": "UDP", "port": port}}]}

    return cases.admin_policy(
        kind,
        "canary",
        priority=0,
        subject={"namespaces": {"matchLabels": {"ns": CANARIES}}},
        ingress=[rule(allow, opened), rule("Deny", closed), {"action": "Pass", "from": every}],
        egress=[{"action": "Pass", "to": every}],
    )


def case_name(case: tuple[_enforced.Release, str]) -> str:
    """The release, and the backend unless it is host-gw."""
    return case[0].name + (f"-{case[1]}" if case[1] != "host-gw" else "")


@pytest.fixture(scope="module", params=CASES, ids=case_name)
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    release, backend = request.param
    directory = tmp_path_factory.mktemp("nodes")
    try:
        program, definitions = release.program, release.definitions
    except cache.Missing as reason:
        pytest.skip(str(reason))
    maker = Maker(SEED, SPACES, BLOCKS)
    members = pods(maker)
    api = _enforced.Api()
    for space in (*SPACES, CANARIES):
        api.create(cases.namespace(space, **maker.labels()))
    for node in NODES:
        made = _enforced.node_object(node, backend)
        made["metadata"]["labels"][KEYS[0]] = VALUES[node - 1]
        api.create(made)
    for pod in members:
        api.create(pod.manifest())
    agents = _enforced.Agents(program, api.access, directory)
    found = Running(release, api, maker, members, agents)
    api.define(definitions, found.admin)
    with _enforced.made(NODES, members, backend, directory):
        try:
            for node in NODES:
                agents.start(node)
            for pod in members:
                found.probers[pod.name] = _enforced.Prober(_enforced.space(pod), LISTENING, STAYING)
            for prober in found.probers.values():
                prober.wait()
            yield found
        finally:
            agents.end()
            for prober in found.probers.values():
                prober.end()
            api.drop_policies([*SPACES, CANARIES], found.admin)
            for space in (*SPACES, CANARIES):
                api.ask("DELETE", f"/api/v1/namespaces/{space}/pods?gracePeriodSeconds=0")


def disagreements(running: Running, said: dict[Flow, str]) -> tuple[list[str], int]:
    """Where packets say something else than the engine, and how many flows had to be asked again for that."""
    flows, again = list(said), 0
    for attempt in range(1 + AGAIN):
        packets = running.reached(flows, QUIET * (1 + attempt))
        flows = [flow for flow in flows if packets[flow] != (said[flow] == "allow")]
        again += len(flows)
        if not flows:
            break
    return [f"{flow}: the engine says {said[flow]}, {'' if packets[flow] else 'not '}reached" for flow in flows], again


def asked(running: Running, addresses: Sequence[str], wanted: bool, seconds: float) -> list[bool]:
    """What comes back on the connections that are kept, once all are as wanted or this time is over."""
    end = time.monotonic() + seconds
    while True:
        found = running.probers[KEEPS].told("ask", QUIET)
        if set(found) == {wanted} or time.monotonic() > end:
            assert len(found) == len(addresses)
            return found


@pytest.fixture
def kept(running: Running) -> Iterator[list[str]]:
    """The addresses to which connections are open while everything is: on one node and across two, in both families."""
    addresses = [address for name in KEPT for address in running.pods[name].addresses]
    running.policies([])
    assert running.probers[KEEPS].told("keep", QUIET, addresses) == [True] * len(addresses)
    assert running.probers[KEEPS].told("ask", QUIET) == [True] * len(addresses)
    yield addresses
    running.probers[KEEPS].told("drop")


def test_engine_and_packets_agree(running: Running) -> None:
    """And once everything is open, everything is reached: otherwise a denial would say nothing."""
    running.policies([])
    said = running.verdicts(running.flows)
    assert set(said.values()) == {"allow"}
    assert disagreements(running, said)[0] == []
    counts = {"allow": 0, "deny": 0}
    found = []
    for number in range(BATCHES):
        standard, admin = ADMIN_BATCH if running.admin else (BATCH, 0)
        policies = running.maker.policies(standard, number * standard)
        if running.admin:
            policies += running.maker.admin_policies(running.admin, admin, number * admin)
        running.policies(policies)
        said = running.verdicts(running.flows)
        assert set(said) == set(running.flows)
        differ, again = disagreements(running, said)
        found += [f"batch {number}: {each}" for each in differ]
        for verdict in said.values():
            counts[verdict] += 1
        many = (standard + admin) * (number + 1)
        print(f"{many} policies, {counts}, {again} asked again, {len(found)} disagreements", flush=True)
    assert running.agents.ended() == [], "an agent ended by itself"
    assert found == []
    assert min(counts.values()) > sum(counts.values()) / 10, f"nearly all the same: {counts}"


def news() -> list[Flow]:
    """New connections beside those that are kept."""
    return [Flow(KEEPS, target, "TCP", 80, family) for target in KEPT for family in (4, 6)]


def test_connections_that_were_open_before_a_policy(running: Running, kept: list[str]) -> None:
    """What the engine's profile says of them, while new ones are denied; and they go on when they may again."""
    running.policies([cases.policy("east/closed", types=["Ingress"])])
    assert disagreements(running, dict.fromkeys(news(), "deny"))[0] == []
    stay = running.profile.keeps_established
    if running.strict:
        # In silence: of those that are used meanwhile some do not stop.
        time.sleep(LOOKED)
    assert asked(running, kept, stay, QUIET) == [stay] * len(kept)
    if not stay:
        # What the other end says passes, so the agent lets all of the connection pass again.
        assert running.profile.revives_established
        for name in KEPT:
            running.probers[name].told("say")
        assert running.probers[KEEPS].told("hear", QUIET) == [True] * len(kept)
        assert asked(running, kept, True, REPEATED) == [True] * len(kept)
    running.policies([])
    assert disagreements(running, dict.fromkeys(news(), "allow"))[0] == []
    assert asked(running, kept, True, REPEATED) == [True] * len(kept)


@pytest.mark.parametrize("running", ADMIN_CASES, indirect=True, scope="module", ids=case_name)
def test_connections_that_were_open_before_an_admin_policy(running: Running, kept: list[str]) -> None:
    """They stay, until a NetworkPolicy for Pods of the node changes: then a strict agent looks at all of them."""
    subject = {"namespaces": {"matchLabels": {"ns": "east"}}}
    ingress = [{"action": "Deny", "from": [{"namespaces": {}}]}]
    policies = [cases.admin_policy(kind, "closed", subject=subject, ingress=ingress) for kind in running.admin]
    # What was written last has been looked at.
    time.sleep(LOOKED)
    running.api.create(policies[0])
    assert disagreements(running, dict.fromkeys(news(), "deny"))[0] == []
    time.sleep(LOOKED)
    assert asked(running, kept, True, QUIET) == [True] * len(kept)
    running.policies(policies)
    time.sleep(LOOKED)
    stay = running.profile.keeps_established
    assert asked(running, kept, stay, QUIET) == [stay] * len(kept)


def test_a_killed_agent_leaves_rules_that_the_module_removes(running: Running) -> None:
    """Pods are closed or open until then, as the engine's profile of this release says."""
    closed = running.profile.fails_closed
    inside = Flow("east/pod-0", "east/pod-2", "TCP", 80, 4)
    before, after = ("allow", "deny") if closed else ("deny", "allow")
    running.policies([cases.policy("east/p", types=["Ingress"], **({"ingress": [{}]} if closed else {}))])
    assert disagreements(running, {inside: before})[0] == []
    running.agents.kill(NODES[0])
    assert disagreements(running, {inside: after})[0] == []
    netns = f"node{NODES[0]}"
    assert run_module("network_policy_host_info", {}, netns=netns)["leftover"] is True
    assert run_module("network_policy_cleanup", {}, netns=netns)["changed"]
    assert disagreements(running, {inside: "allow"})[0] == []
