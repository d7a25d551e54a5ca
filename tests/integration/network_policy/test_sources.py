# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Under which address a pod sees what nodes and clients send, and under which the agent judges it.

The table "Which address is seen" of docs/network-policy.md, row by row: a real kube-network-policies and a real
kube-proxy on each node, behind a real API server, and each backend between them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from ansible_collections.podnet.cni.tests.integration._kernel import needs
from ansible_collections.podnet.cni.tests.integration.network_policy import _enforced
from ansible_collections.podnet.cni.tests.tools import cache
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._network_policy import cases

pytestmark = needs("nft_queue", "API server outside of it")

NODES = (1, 2)
SPACE = "sources"
WEB = _enforced.Pod(f"{SPACE}/web", 1, {"app": "web"}, {}, 2)
CLIENT = _enforced.Pod(f"{SPACE}/client", 2, {"app": "client"}, {}, 3)
PORT, STAYING = 80, 82
OUTSIDE, OUTSIDE_ADDRESS = "outside", "198.18.0.100"
NODE_PORTS = {"Cluster": 30080, "Local": 30081}
ROOT, NOBODY = 0, 65534
BRIDGE = ("10.244.1.1", "fd00:10:244:1::1")
TUNNEL = ("10.244.2.0", "fd00:10:244:2::")
OWN = ("198.18.0.2", "fd00:18::2")
# Over these the other node's packets leave by its own link.
DIRECT = ("host-gw", "vxlan-directrouting")
# Seconds for a connection, and for an agent and kube-proxy to do as is written.
PATIENCE, SETTLED = 3.0, 120.0


class Sender(NamedTuple):
    """Who connects and to what; the address that the pod sees, and the one that is judged: nothing if never."""

    netns: str
    user: int
    address: str
    port: int
    seen: str
    judged: str


def senders(backend: str) -> dict[str, Sender]:
    """The rows of the table that are about a pod of node 1, for each family that the backend carries."""
    elsewhere = OWN if backend in DIRECT else TUNNEL
    found = {}
    for number, family in enumerate(("IPv4", "IPv6") if _enforced.both_families(backend) else ("IPv4",)):
        web, bridge, other = WEB.addresses[number], BRIDGE[number], elsewhere[number]
        found[f"root of the node, {family}"] = Sender("node1", ROOT, web, PORT, bridge, "")
        found[f"another user of the node, {family}"] = Sender("node1", NOBODY, web, PORT, bridge, bridge)
        found[f"root of another node, {family}"] = Sender("node2", ROOT, web, PORT, other, other)
    ports, client = NODE_PORTS, OUTSIDE_ADDRESS
    found |= {
        "another node's port": Sender(OUTSIDE, ROOT, "198.18.0.2", ports["Cluster"], elsewhere[0], elsewhere[0]),
        "the node's port": Sender(OUTSIDE, ROOT, "198.18.0.1", ports["Cluster"], BRIDGE[0], client),
        "the node's port, Local": Sender(OUTSIDE, ROOT, "198.18.0.1", ports["Local"], client, client),
    }
    return found


def service(name: str, endpoint: str, **spec: Any) -> list[dict[str, Any]]:
    """A Service for TCP 80 with one endpoint."""
    port = {"port": PORT, "protocol": "TCP", **({"nodePort": spec.pop("node_port")} if "node_port" in spec else {})}
    labels = {"kubernetes.io/service-name": name}
    node = {"nodeName": "node1"} if endpoint in WEB.addresses else {}
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": SPACE},
            "spec": {"ports": [port], **spec},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": name, "namespace": SPACE, "labels": labels},
            "addressType": "IPv4",
            "ports": [{"name": "", "port": PORT, "protocol": "TCP"}],
            "endpoints": [{"addresses": [endpoint], "conditions": {"ready": True}, **node}],
        },
    ]


SERVICES = [
    *service("away", OUTSIDE_ADDRESS),
    *(
        item
        for policy, port in NODE_PORTS.items()
        for item in service(
            policy.lower(), WEB.addresses[0], type="NodePort", externalTrafficPolicy=policy, node_port=port
        )
    ),
]


class Running:
    """Nodes, pods, agents and proxies that run, with this backend."""

    def __init__(self, backend: str, api: _enforced.Api, programs: Sequence[_enforced.Programs]) -> None:
        self.backend = backend
        self.api = api
        self.programs = programs
        self.probers: dict[str, _enforced.Prober] = {}

    def heard(self, asked: Mapping[str, Sender]) -> dict[str, str]:
        """The address that each was seen under, nothing for those without a connection."""
        by_netns: dict[str, list[str]] = {}
        for name, sender in asked.items():
            by_netns.setdefault(sender.netns, []).append(name)
        for netns, names in by_netns.items():
            targets = [(asked[name].user, asked[name].address, asked[name].port) for name in names]
            self.probers[netns].ask("seen", PATIENCE, targets)
        found: dict[str, str] = {}
        for netns, names in by_netns.items():
            found.update(zip(names, self.probers[netns].answer(), strict=True))
        return found

    def becomes(self, asked: Mapping[str, Sender], expected: Mapping[str, str]) -> None:
        """Wait until all are seen as expected, twice in a row."""
        end = time.monotonic() + SETTLED
        alike = 0
        while alike < 2:
            found = self.heard(asked)
            alike = alike + 1 if found == expected else 0
            if time.monotonic() > end and not alike:
                assert found == expected, "\n".join(program.said() for program in self.programs)

    def policies(self, *items: dict[str, Any]) -> None:
        """Put these in place of those that are there."""
        self.api.drop_policies([SPACE], [])
        for item in items:
            self.api.create(item)


@pytest.fixture(scope="module", params=_enforced.BACKENDS)
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    directory = tmp_path_factory.mktemp("nodes")
    try:
        agent, proxy = _enforced.Release(cache.NETWORK_POLICY).program, cache.find("kube-proxy")
    except cache.Missing as reason:
        pytest.skip(str(reason))
    api = _enforced.Api()
    api.create(cases.namespace(SPACE))
    for node in NODES:
        api.create(_enforced.node_object(node, request.param))
    for item in (WEB.manifest(), CLIENT.manifest(), *SERVICES):
        api.create(item)
    agents = _enforced.Agents(agent, api.access, directory)
    proxies = _enforced.Proxies(proxy, api.access, directory)
    found = Running(request.param, api, [agents, proxies])
    with _enforced.made(NODES, [WEB, CLIENT], request.param, directory), _enforced.outside(OUTSIDE, OUTSIDE_ADDRESS):
        try:
            for node in NODES:
                agents.start(node)
                proxies.start(node)
            serving = {netns: [("TCP", PORT)] for netns in (_enforced.space(WEB), OUTSIDE)}
            for netns in (_enforced.space(WEB), _enforced.space(CLIENT), OUTSIDE, "node1", "node2"):
                found.probers[netns] = _enforced.Prober(netns, serving.get(netns, []), STAYING)
            for prober in found.probers.values():
                prober.wait()
            yield found
        finally:
            for programs in (agents, proxies):
                programs.end()
            for prober in found.probers.values():
                prober.end()
            found.policies()
            for item in SERVICES:
                api.remove(item)
            api.ask("DELETE", f"/api/v1/namespaces/{SPACE}/pods?gracePeriodSeconds=0")


def blocks(*addresses: str) -> dict[str, Any]:
    """A rule's peers: these addresses."""
    return {"from": [{"ipBlock": {"cidr": f"{each}/{128 if ':' in each else 32}"}} for each in addresses]}


def engine_agrees(running: Running) -> None:
    """The verdict engine goes by these addresses."""
    nodes = running.api.inventory([]).nodes
    here = [address.text for family in (4, 6) for address in nodes["node1"].seen_here(family)]
    assert here == list(BRIDGE)
    direct = running.backend == "vxlan-directrouting"
    other = replace(nodes["node2"], direct_routing=direct)
    elsewhere = {address.text for family in (4, 6) for address in other.seen_elsewhere(family)}
    # By which of them is not known.
    assert elsewhere == {*TUNNEL, *OWN} if direct else set(OWN if running.backend in DIRECT else TUNNEL)


def test_which_address_a_pod_sees_and_which_is_judged(running: Running) -> None:
    every = senders(running.backend)
    running.policies()
    running.becomes(every, {name: sender.seen for name, sender in every.items()})
    engine_agrees(running)
    allowed = [(), BRIDGE, TUNNEL, OWN, (OUTSIDE_ADDRESS,)]
    for addresses in allowed:
        running.policies(
            cases.policy(
                f"{SPACE}/p", pods=WEB.labels, types=["Ingress"], ingress=[blocks(*addresses)] if addresses else []
            )
        )
        passing = {"", *addresses}
        running.becomes(
            every, {name: sender.seen if sender.judged in passing else "" for name, sender in every.items()}
        )


def test_a_service_whose_endpoint_is_outside_is_judged_by_the_endpoint(running: Running) -> None:
    """As `kubernetes` is, whose endpoints are the API servers."""
    address = running.api.ask("GET", f"/api/v1/namespaces/{SPACE}/services/away")["spec"]["clusterIP"]
    asked = {"pod": Sender(_enforced.space(CLIENT), ROOT, address, PORT, OWN[0], "")}
    running.policies()
    running.becomes(asked, {"pod": OWN[0]})
    for allowed, seen in ((address, ""), (OUTSIDE_ADDRESS, OWN[0])):
        egress = [{"to": blocks(allowed)["from"]}]
        running.policies(cases.policy(f"{SPACE}/p", pods=CLIENT.labels, types=["Egress"], egress=egress))
        running.becomes(asked, {"pod": seen})
