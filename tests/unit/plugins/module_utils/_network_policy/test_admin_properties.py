# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Any small cluster with admin policies: the evaluator against a plain reading of the tiers, rule after rule."""

from __future__ import annotations

import ipaddress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.module_utils._network_policy.evaluate import ALLOW, DENY
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._network_policy.cases import (
    admin_policy,
    evaluator,
    namespace,
    pod,
)
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._network_policy.test_properties import (
    PROBES,
    Naive,
    clusters,
    naive_selects,
    selector,
)

VERSION = "v1.1.1-npa-v1alpha2"
pods_peer = st.one_of(
    st.builds(lambda chosen: {"namespaces": chosen}, selector),
    st.builds(lambda one, other: {"pods": {"namespaceSelector": one, "podSelector": other}}, selector, selector),
)
any_peer = pods_peer | st.just({"networks": ["198.18.0.0/31"]}) | st.just({"networks": ["0.0.0.0/0"]})
protocol = st.sampled_from(
    [
        {"tcp": {"destinationPort": {"number": 80}}},
        {"tcp": {"destinationPort": {"range": {"start": 80, "end": 81}}}},
        {"udp": {"destinationPort": {"number": 80}}},
    ]
)


def rules_of(key: str, peer: Any) -> Any:
    fixed = {"action": st.sampled_from(("Accept", "Deny", "Pass")), key: st.lists(peer, min_size=1, max_size=2)}
    return st.lists(
        st.fixed_dictionaries(fixed, optional={"protocols": st.lists(protocol, min_size=1, max_size=2)}), max_size=3
    )


@st.composite
def admin_policies(draw: Any) -> list[dict[str, Any]]:
    """Up to four, of different priorities, in both tiers."""
    found = []
    for number, priority in enumerate(draw(st.lists(st.integers(0, 9), max_size=4, unique=True))):
        found.append(
            admin_policy(
                "ClusterNetworkPolicy",
                f"admin-{number}",
                tier=draw(st.sampled_from(("Admin", "Baseline"))),
                priority=priority,
                subject=draw(pods_peer),
                ingress=draw(rules_of("from", pods_peer)),
                egress=draw(rules_of("to", any_peer)),
            )
        )
    return found


class Tiers(Naive):
    """Admin tier, NetworkPolicies, Baseline tier, for each end."""

    def __init__(self, spaces: list[Any], pods: list[Any], chosen: list[Any], admin: list[Any]) -> None:
        super().__init__(spaces, pods, chosen)
        self.admin = sorted((item["spec"] for item in admin), key=lambda spec: spec["priority"])

    def side(self, subject_ip: str, direction: str, other: str, probe: tuple[str, int, str]) -> bool:
        first = self.tier("Admin", subject_ip, direction, other, probe)
        if first != "Pass":
            return first == "Accept"
        if self.selected(subject_ip):
            return super().side(subject_ip, direction, other, probe)
        return self.tier("Baseline", subject_ip, direction, other, probe) != "Deny"

    def selected(self, address: str) -> bool:
        subject = self.by_ip[address]["metadata"]
        return any(
            item["metadata"]["namespace"] == subject["namespace"]
            and naive_selects(item["spec"]["podSelector"], subject["labels"])
            for item in self.policies
        )

    def tier(self, tier: str, subject: str, direction: str, other: str, probe: tuple[str, int, str]) -> str:
        key = {"ingress": "from", "egress": "to"}[direction]
        for spec in self.admin:
            if spec["tier"] != tier or not self.is_peer(spec["subject"], subject):
                continue
            for rule in spec[direction]:
                ports = rule.get("protocols")
                if ports is not None and not any(self.is_port(item, probe) for item in ports):
                    continue
                if any(self.is_peer(item, other) for item in rule[key]):
                    return str(rule["action"])
        return "Pass"

    def is_peer(self, peer: dict[str, Any], address: str) -> bool:
        if "networks" in peer:
            return any(ipaddress.ip_address(address) in ipaddress.ip_network(each) for each in peer["networks"])
        item = self.by_ip[address]["metadata"]
        space = {**self.spaces[item["namespace"]], "kubernetes.io/metadata.name": item["namespace"]}
        if "namespaces" in peer:
            return naive_selects(peer["namespaces"], space)
        both = peer["pods"]
        return naive_selects(both["namespaceSelector"], space) and naive_selects(both["podSelector"], item["labels"])

    @staticmethod
    def is_port(item: dict[str, Any], probe: tuple[str, int, str]) -> bool:
        ((name, value),) = item.items()
        port = value["destinationPort"]
        first, last = port.get("number"), port.get("number")
        if "range" in port:
            first, last = port["range"]["start"], port["range"]["end"]
        return name.upper() == probe[2] and first <= probe[1] <= last


@settings(max_examples=300, deadline=None)
@given(clusters(), admin_policies())
def test_the_tiers_are_asked_one_after_the_other(cluster: Any, admin: list[dict[str, Any]]) -> None:
    spaces, pods, policies = cluster
    judge = evaluator(*spaces, *pods, *policies, *admin, version=VERSION)
    naive = Tiers(spaces, pods, policies, admin)
    addresses = sorted(naive.by_ip)
    for source in addresses:
        for target in addresses:
            if source == target:
                continue
            for number, protocol_name in PROBES:
                (found,) = judge.verdicts(judge.end(source, ""), judge.end(target, ""), protocol_name, number)
                wanted = naive.allows(source, target, number, protocol_name)
                assert found.value == (ALLOW if wanted else DENY), (source, target, number, protocol_name)


def test_the_yardstick_denies_and_allows() -> None:
    """So that the property above compares something."""
    spaces, pods = [namespace("east")], [pod("east/a", "198.18.0.1"), pod("east/b", "198.18.0.2")]
    deny = admin_policy("ClusterNetworkPolicy", egress=[{"action": "Deny", "to": [{"namespaces": {}}]}], ingress=[])
    assert Tiers(spaces, pods, [], []).allows("198.18.0.1", "198.18.0.2", 80, "TCP")
    assert not Tiers(spaces, pods, [], [deny]).allows("198.18.0.1", "198.18.0.2", 80, "TCP")
