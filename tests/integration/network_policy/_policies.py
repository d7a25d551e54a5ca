# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""NetworkPolicies that a seed makes: each field of the API's, alone and together, over a few pods."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._network_policy.cases import policy

KEYS, VALUES = ("app", "tier"), ("one", "two")
PORTS = (80, 81)
PROTOCOLS = ("TCP", "UDP", "SCTP")


class Maker:
    """Makes policies for these namespaces; `blocks` are the values of ipBlock to choose from."""

    def __init__(self, seed: int, namespaces: Sequence[str], blocks: Sequence[dict[str, Any]]) -> None:
        self._random = random.Random(seed)
        self._namespaces = namespaces
        self._blocks = blocks

    def policies(self, count: int, start: int) -> list[dict[str, Any]]:
        """So many policies, named by number from `start`."""
        return [self._policy(f"policy-{number}") for number in range(start, start + count)]

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
