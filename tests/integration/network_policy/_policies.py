# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Policies that a seed makes: each field of the APIs', alone and together, over a few pods."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._network_policy.cases import admin_policy, policy

KEYS, VALUES = ("app", "tier"), ("one", "two")
PORTS = (80, 81)
PROTOCOLS = ("TCP", "UDP", "SCTP")
# So few that some policies share one: then the agent goes by their names.
PRIORITIES = range(1, 12)


class Maker:
    """Makes policies for these namespaces; `blocks` are the values of ipBlock to choose from."""

    def __init__(self, seed: int, namespaces: Sequence[str], blocks: Sequence[dict[str, Any]]) -> None:
        self._random = random.Random(seed)
        self._namespaces = namespaces
        self._blocks = blocks

    def policies(self, count: int, start: int) -> list[dict[str, Any]]:
        """So many policies, named by number from `start`."""
        return [self._policy(f"policy-{number}") for number in range(start, start + count)]

    def admin_policies(self, kinds: Sequence[str], count: int, start: int) -> list[dict[str, Any]]:
        """So many admin policies of these kinds; the last is the one BaselineAdminNetworkPolicy that there can be."""
        several = [kind for kind in kinds if kind != "BaselineAdminNetworkPolicy"]
        made = [
            self._admin_policy(self._random.choice(several), f"admin-{number}")
            for number in range(start, start + count - len(kinds) + len(several))
        ]
        return made + [self._admin_policy(kind, "default") for kind in kinds if kind not in several]

    def labels(self) -> dict[str, str]:
        """None, one or both of the labels."""
        return {key: self._random.choice(VALUES) for key in KEYS if self._random.random() < 0.6}

    def _policy(self, name: str) -> dict[str, Any]:
        types = self._random.choice([None, ["Ingress"], ["Egress"], ["Ingress", "Egress"]])
        spec: dict[str, Any] = {"podSelector": self._selector()}
        for direction, key in (("ingress", "from"), ("egress", "to")):
            if self._random.random() < 0.8:
                spec[direction] = [self._rule(key) for _number in range(self._random.randint(0, 2))]
        return policy(f"{self._random.choice(self._namespaces)}/{name}", types=types, **spec)

    def _rule(self, key: str) -> dict[str, Any]:
        rule: dict[str, Any] = {}
        if self._random.random() < 0.8:
            rule[key] = [self._peer() for _number in range(self._random.randint(1, 2))]
        if self._random.random() < 0.6:
            rule["ports"] = [self._port() for _number in range(self._random.randint(1, 3))]
        return rule

    def _peer(self) -> dict[str, Any]:
        return self._random.choice(
            [
                lambda: {"podSelector": self._selector()},
                lambda: {"namespaceSelector": self._selector()},
                lambda: {"namespaceSelector": self._selector(), "podSelector": self._selector()},
                lambda: {"ipBlock": self._random.choice(self._blocks)},
            ]
        )()

    def _admin_policy(self, kind: str, name: str) -> dict[str, Any]:
        spec: dict[str, Any] = {"subject": self._admin_pods()}
        if kind != "BaselineAdminNetworkPolicy":
            spec["priority"] = self._random.choice(PRIORITIES)
        if kind == "ClusterNetworkPolicy":
            spec["tier"] = self._random.choice(["Admin", "Baseline"])
        for direction, key in (("ingress", "from"), ("egress", "to")):
            if self._random.random() < 0.7:
                spec[direction] = [self._admin_rule(kind, key) for _number in range(self._random.randint(1, 3))]
        return admin_policy(kind, name, **spec)

    def _admin_rule(self, kind: str, key: str) -> dict[str, Any]:
        actions = ["Accept" if kind == "ClusterNetworkPolicy" else "Allow", "Deny"]
        if kind != "BaselineAdminNetworkPolicy":
            actions.append("Pass")
        peers = [self._admin_peer(key) for _number in range(self._random.randint(1, 2))]
        rule = {"action": self._random.choice(actions), key: peers}
        if self._random.random() < 0.6:
            # Only pods have names for ports.
            named = all(peer.keys() <= {"namespaces", "pods"} for peer in peers)
            make = self._admin_protocol if kind == "ClusterNetworkPolicy" else self._admin_port
            field = "protocols" if kind == "ClusterNetworkPolicy" else "ports"
            rule[field] = [make(named) for _number in range(self._random.randint(1, 3))]
        return rule

    def _admin_peer(self, key: str) -> dict[str, Any]:
        if key == "to" and self._random.random() < 0.4:
            blocks = self._random.sample(self._blocks, self._random.randint(1, 2))
            networks = {"networks": [block["cidr"] for block in blocks]}
            return self._random.choice([networks, {"nodes": self._selector()}])
        return self._admin_pods()

    def _admin_pods(self) -> dict[str, Any]:
        pods = {"namespaceSelector": self._selector(), "podSelector": self._selector()}
        return self._random.choice([{"namespaces": self._selector()}, {"pods": pods}])

    def _admin_port(self, named: bool) -> dict[str, Any]:
        protocol = self._random.choice(PROTOCOLS)
        choices = [
            {"portNumber": {"protocol": protocol, "port": self._random.choice(PORTS)}},
            {"portRange": {"protocol": protocol, "start": PORTS[0], "end": PORTS[1]}},
        ]
        return self._random.choice([*choices, {"namedPort": f"web-{protocol.lower()}"}] if named else choices)

    def _admin_protocol(self, named: bool) -> dict[str, Any]:
        protocol = self._random.choice(PROTOCOLS).lower()
        choices: list[dict[str, Any]] = [
            {protocol: {"destinationPort": {"number": self._random.choice(PORTS)}}},
            {protocol: {"destinationPort": {"range": {"start": PORTS[0], "end": PORTS[1]}}}},
        ]
        return self._random.choice([*choices, {"destinationNamedPort": f"web-{protocol}"}] if named else choices)

    def _port(self) -> dict[str, Any]:
        protocol = self._random.choice(PROTOCOLS)
        number = self._random.choice(PORTS)
        return self._random.choice(
            [
                {"port": number, "protocol": protocol},
                {"port": number},
                {"port": PORTS[0], "endPort": PORTS[1], "protocol": protocol},
                {"port": f"web-{protocol.lower()}", "protocol": protocol},
                {"protocol": protocol},
            ]
        )

    def _selector(self) -> dict[str, Any]:
        key, value = self._random.choice(KEYS), self._random.choice(VALUES)
        return self._random.choice(
            [
                {},
                {"matchLabels": {key: value}},
                {"matchExpressions": [{"key": key, "operator": "In", "values": [value]}]},
                {"matchExpressions": [{"key": key, "operator": "NotIn", "values": [value]}]},
                {"matchExpressions": [{"key": key, "operator": "Exists"}]},
                {"matchExpressions": [{"key": key, "operator": "DoesNotExist"}]},
            ]
        )
