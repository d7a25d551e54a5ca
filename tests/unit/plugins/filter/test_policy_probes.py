# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Verdicts become probes with expectations."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.podnet.cni.plugins.filter.policy_probes import policy_probes
from ansible_collections.podnet.cni.plugins.module_utils._probe import measure as probe


def verdict(**more: Any) -> dict[str, Any]:
    return {
        "from": "shop/web-0",
        "to": "shop/db-0",
        "port": 5432,
        "protocol": "TCP",
        "verdict": "allow",
        "from_address": "10.244.1.7",
        "to_address": "10.244.2.9",
        "from_node": "node-1",
        **more,
    }


def test_a_source_gets_all_its_targets_and_each_expects_its_verdict() -> None:
    found = policy_probes(
        [
            verdict(),
            verdict(protocol="UDP", port=53, verdict="deny"),
            verdict(protocol="ICMP", port=None),
            verdict(**{"from": "192.0.2.9", "from_address": "192.0.2.9", "from_node": None}),
            verdict(),
        ]
    )
    assert [(each["node"], each["source"], each["source_address"]) for each in found] == [
        ("node-1", "shop/web-0", "10.244.1.7"),
        (None, "192.0.2.9", "192.0.2.9"),
    ]
    assert found[0]["targets"] == [
        {"name": "shop/db-0 tcp 5432", "address": "10.244.2.9", "protocol": "tcp", "port": 5432, "expect": "reachable"},
        {"name": "shop/db-0 udp 53", "address": "10.244.2.9", "protocol": "udp", "port": 53, "expect": "unreachable"},
        {"name": "shop/db-0 icmp", "address": "10.244.2.9", "protocol": "icmp", "expect": "reachable"},
    ]
    assert len(probe.parse_targets(found[0]["targets"])) == 3


@pytest.mark.parametrize(
    "more",
    [
        {"protocol": "SCTP"},
        {"verdict": "unknown"},
        {"verdict": "no_path", "from_address": None, "to_address": None},
        {"to_address": None},
        {"from_address": None},
    ],
)
def test_what_cannot_be_tried_is_left_out(more: dict[str, Any]) -> None:
    assert policy_probes([verdict(**more)]) == []


@pytest.mark.parametrize(
    ("verdicts", "message"),
    [
        ("deny", "needs a list of verdicts, not str"),
        ([{"from": "a"}], "entry 0 lacks to, port, protocol"),
        ([verdict(), None], "entry 1 lacks from"),
    ],
)
def test_what_are_no_verdicts_is_told(verdicts: Any, message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=message):
        policy_probes(verdicts)
