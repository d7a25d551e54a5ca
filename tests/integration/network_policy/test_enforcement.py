# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The verdict engine and packets agree: a real kube-network-policies on each node, behind a real API server."""

from __future__ import annotations

import os
import subprocess
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
from ansible_collections.podnet.cni.tests.integration.network_policy._policies import PORTS, PROTOCOLS, Maker
from ansible_collections.podnet.cni.tests.tools import cache
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._network_policy import cases

pytestmark = needs("nft_queue", "SCTP", "API server outside of it")

FULL = os.environ.get("PODNET_FULL", "") not in ("", "0")
SEED = int(os.environ.get("PODNET_SEED") or 18)
BATCH = 10
BATCHES = 20 if FULL else 2
NODES = (1, 2)
SPACES = ("east", "west")
CANARIES = "canary"
TOOLS = next(each for each in cache.all_sets() if "kube-network-policies" in each.programs.values())
AGENT = Profile.parse(cache.module_version(TOOLS))
LISTENING = [(protocol, port) for protocol in PROTOCOLS for port in PORTS]
ASKED = [("TCP", 80), ("TCP", 81), ("UDP", 80), ("UDP", 81), ("SCTP", 80)]
BLOCKS = [
    {"cidr": "10.244.1.0/24"},
    {"cidr": "10.244.0.0/16", "except": ["10.244.1.2/31", "10.244.2.4/32"]},
    {"cidr": "0.0.0.0/0", "except": ["10.244.2.0/24"]},
    {"cidr": "fd00:10:244:2::/64"},
    {"cidr": "fd00:10:244::/48", "except": ["fd00:10:244:1::3/128"]},
    {"cidr": "198.19.0.0/16"},
]
# Seconds without an answer after which nothing more comes, and for agents to have read what was written.
QUIET, SETTLED = 3.0, 120.0
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
        api: _enforced.Api,
        maker: Maker,
        members: Sequence[_enforced.Pod],
        agents: dict[int, subprocess.Popen[bytes]],
        probers: dict[str, _enforced.Prober],
    ) -> None:
        self.api = api
        self.maker = maker
        self.pods = {pod.name: pod for pod in members}
        self.agents = agents
        self.probers = probers
        self._open = PORTS[0]

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
            self.probers[source].ask(seconds, targets)
        found = {}
        for source, own in by_source.items():
            found.update(zip(own, self.probers[source].answer(), strict=True))
        return found

    def policies(self, items: Sequence[dict[str, Any]]) -> None:
        """Put these policies in place of those that are there, and wait until each agent has read them.

        The policy of the canaries is written last and opens the other port: an agent reads in the order of writing.
        """
        self.api.drop_policies(SPACES)
        for item in items:
            self.api.create(item)
        self._open = PORTS[1 - PORTS.index(self._open)]
        path = f"/apis/networking.k8s.io/v1/namespaces/{CANARIES}/networkpolicies"
        spec = {"podSelector": {}, "ingress": [{"ports": [{"port": self._open}]}]}
        wanted = cases.policy(f"{CANARIES}/canary", **spec)
        try:
            self.api.ask("PUT", f"{path}/canary", wanted)
        except RuntimeError:
            self.api.ask("POST", path, wanted)
        flows = [
            Flow(f"{CANARIES}/c{node}0", f"{CANARIES}/c{node}1", "TCP", port, 4) for node in NODES for port in PORTS
        ]
        end = time.monotonic() + SETTLED
        while {flow: flow.port == self._open for flow in flows} != self.reached(flows, 1.0):
            assert time.monotonic() < end, "an agent does not follow the canaries' policy"
        # The sets of pods are written a moment after that.
        time.sleep(1.0)

    def verdicts(self, flows: Sequence[Flow]) -> dict[Flow, str]:
        """What the engine says of the objects in the API server."""
        judge = Evaluator(Cluster(self.api.inventory()), AGENT)
        found = {}
        for flow in flows:
            ends = judge.end(flow.source, ""), judge.end(flow.target, "")
            for verdict in judge.verdicts(*ends, flow.protocol, flow.port):
                if verdict.family == flow.family:
                    found[flow] = verdict.value
        return found


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    maker = Maker(SEED, SPACES, BLOCKS)
    members = pods(maker)
    api = _enforced.Api()
    for space in (*SPACES, CANARIES):
        api.create(cases.namespace(space, **maker.labels()))
    for pod in members:
        api.create(pod.manifest())
    logs = tmp_path_factory.mktemp("agents")
    with _enforced.made(NODES, members), _enforced.agents(NODES, api.access, logs) as agents:
        probers = {pod.name: _enforced.Prober(_enforced.space(pod), LISTENING) for pod in members}
        try:
            for prober in probers.values():
                prober.wait()
            yield Running(api, maker, members, agents, probers)
        finally:
            for prober in probers.values():
                prober.end()
            api.drop_policies([*SPACES, CANARIES])
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


def test_engine_and_packets_agree(running: Running) -> None:
    """And once everything is open, everything is reached: otherwise a denial would say nothing."""
    running.policies([])
    said = running.verdicts(running.flows)
    assert set(said.values()) == {"allow"}
    assert disagreements(running, said)[0] == []
    counts = {"allow": 0, "deny": 0}
    found = []
    for number in range(BATCHES):
        running.policies(running.maker.policies(BATCH, number * BATCH))
        said = running.verdicts(running.flows)
        assert set(said) == set(running.flows)
        differ, again = disagreements(running, said)
        found += [f"batch {number}: {each}" for each in differ]
        for verdict in said.values():
            counts[verdict] += 1
        print(f"{BATCH * (number + 1)} policies, {counts}, {again} asked again, {len(found)} disagreements", flush=True)
    assert [agent.poll() for agent in running.agents.values()] == [None] * len(NODES), "an agent ended by itself"
    assert found == []
    assert min(counts.values()) > sum(counts.values()) / 10, f"nearly all the same: {counts}"


def test_a_killed_agent_leaves_pods_closed_until_its_rules_are_removed(running: Running) -> None:
    """As the engine's profile of this release says."""
    assert AGENT.fails_closed
    inside = Flow("east/pod-0", "east/pod-2", "TCP", 80, 4)
    running.policies([cases.policy("east/open", ingress=[{}])])
    assert disagreements(running, {inside: "allow"})[0] == []
    running.agents[NODES[0]].kill()
    running.agents[NODES[0]].wait()
    assert disagreements(running, {inside: "deny"})[0] == []
    netns = f"node{NODES[0]}"
    assert run_module("network_policy_host_info", {}, netns=netns)["leftover"] is True
    assert run_module("network_policy_cleanup", {}, netns=netns)["changed"]
    assert disagreements(running, {inside: "allow"})[0] == []
