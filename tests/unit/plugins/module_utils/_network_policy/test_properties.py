# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Any small cluster: the evaluator against a plain reading of the API's rules, and what an allow rule may change."""

from __future__ import annotations

import ipaddress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._network_policy.cases import (
    allowed,
    evaluator,
    namespace,
    pod,
    policy,
)

SPACES = ("east", "west")
KEYS = ("app", "tier")
VALUES = ("one", "two")
OUTSIDE = "198.19.0.9"
PROBES = [(80, "TCP"), (81, "TCP"), (80, "UDP")]

labels = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES), max_size=2)
values = st.lists(st.sampled_from(VALUES), min_size=1, max_size=2, unique=True)
expression = st.one_of(
    st.builds(
        lambda key, operator, chosen: {"key": key, "operator": operator, "values": chosen},
        st.sampled_from(KEYS),
        st.sampled_from(("In", "NotIn")),
        values,
    ),
    st.builds(
        lambda key, operator: {"key": key, "operator": operator},
        st.sampled_from(KEYS),
        st.sampled_from(("Exists", "DoesNotExist")),
    ),
)
selector = st.one_of(
    st.just({}),
    st.builds(lambda pairs: {"matchLabels": pairs}, labels),
    st.builds(lambda items: {"matchExpressions": items}, st.lists(expression, max_size=2)),
)
block = st.sampled_from(
    [
        {"cidr": "198.18.0.0/24"},
        {"cidr": "198.18.0.0/24", "except": ["198.18.0.2/31"]},
        {"cidr": "0.0.0.0/0", "except": ["198.18.0.0/31", "198.18.0.4/32"]},
        {"cidr": "198.19.0.0/16"},
    ]
)
peer = st.one_of(
    st.builds(lambda chosen: {"podSelector": chosen}, selector),
    st.builds(lambda chosen: {"namespaceSelector": chosen}, selector),
    st.builds(lambda one, other: {"namespaceSelector": one, "podSelector": other}, selector, selector),
    st.builds(lambda chosen: {"ipBlock": chosen}, block),
)
port = st.sampled_from(
    [
        {"port": 80},
        {"port": 80, "endPort": 81, "protocol": "TCP"},
        {"port": "web"},
        {"port": "web", "protocol": "UDP"},
        {"protocol": "UDP"},
    ]
)


def rule_of(key: str) -> Any:
    return st.fixed_dictionaries({}, optional={key: st.lists(peer, max_size=2), "ports": st.lists(port, max_size=2)})


@st.composite
def policies(draw: Any, name: str) -> dict[str, Any]:
    spec: dict[str, Any] = {"podSelector": draw(selector)}
    types = draw(st.sampled_from([None, ["Ingress"], ["Egress"], ["Ingress", "Egress"]]))
    for direction, key in (("ingress", "from"), ("egress", "to")):
        rules = draw(st.none() | st.lists(rule_of(key), max_size=2))
        if rules is not None:
            spec[direction] = rules
    return policy(f"{draw(st.sampled_from(SPACES))}/{name}", types=types, **spec)


@st.composite
def clusters(draw: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    """Namespaces, Pods and policies; Pods map the port name web to different numbers."""
    spaces = [namespace(name, **draw(labels)) for name in SPACES]
    pods = []
    for number in range(4):
        ports = [("web", draw(st.sampled_from((80, 81))), draw(st.sampled_from(("TCP", "UDP"))))]
        label = f"{draw(st.sampled_from(SPACES))}/pod-{number}"
        pods.append(pod(label, f"198.18.0.{number + 1}", draw(labels), ports=ports))
    count = draw(st.integers(0, 3))
    return spaces, pods, [draw(policies(f"policy-{number}")) for number in range(count)]


def naive_selects(chosen: Any, tags: dict[str, str]) -> bool:
    for key, value in chosen.get("matchLabels", {}).items():
        if tags.get(key) != value:
            return False
    for each in chosen.get("matchExpressions", []):
        there, value = each["key"] in tags, tags.get(each["key"])
        answers = {
            "In": there and value in each.get("values", []),
            "NotIn": not there or value not in each.get("values", []),
            "Exists": there,
            "DoesNotExist": not there,
        }
        if not answers[each["operator"]]:
            return False
    return True


class Naive:
    """The rules of the API, read off the objects for each question anew."""

    def __init__(self, spaces: list[Any], pods: list[Any], chosen: list[Any]) -> None:
        self.spaces = {item["metadata"]["name"]: item["metadata"]["labels"] for item in spaces}
        self.by_ip = {item["status"]["podIPs"][0]["ip"]: item for item in pods}
        self.policies = chosen

    def allows(self, source: str, target: str, number: int, protocol: str) -> bool:
        probe = (target, number, protocol)
        return self.side(source, "egress", target, probe) and self.side(target, "ingress", source, probe)

    def side(self, subject_ip: str, direction: str, other: str, probe: tuple[str, int, str]) -> bool:
        subject = self.by_ip.get(subject_ip)
        isolated = False
        for item in self.policies:
            spec, space = item["spec"], item["metadata"]["namespace"]
            types = spec.get("policyTypes") or (["Ingress", "Egress"] if spec.get("egress") else ["Ingress"])
            if subject is None or subject["metadata"]["namespace"] != space or direction.capitalize() not in types:
                continue
            if not naive_selects(spec["podSelector"], subject["metadata"]["labels"]):
                continue
            isolated = True
            key = "from" if direction == "ingress" else "to"
            for rule in spec.get(direction) or []:
                peers, ports = rule.get(key) or [], rule.get("ports") or []
                if (not peers or any(self.peer(each, space, other) for each in peers)) and (
                    not ports or any(self.port(each, probe) for each in ports)
                ):
                    return True
        return not isolated

    def peer(self, item: Any, space: str, ip: str) -> bool:
        if "ipBlock" in item:
            address, whole = ipaddress.ip_address(ip), item["ipBlock"]
            return address in ipaddress.ip_network(whole["cidr"]) and not any(
                address in ipaddress.ip_network(hole) for hole in whole.get("except", [])
            )
        found = self.by_ip.get(ip)
        if found is None:
            return False
        metadata = found["metadata"]
        if "namespaceSelector" not in item:
            if metadata["namespace"] != space:
                return False
        elif not naive_selects(item["namespaceSelector"], self.spaces[metadata["namespace"]]):
            return False
        return naive_selects(item.get("podSelector", {}), metadata["labels"])

    def port(self, item: Any, probe: tuple[str, int, str]) -> bool:
        target, number, protocol = probe
        if item.get("protocol", "TCP") != protocol:
            return False
        if "port" not in item:
            return True
        if isinstance(item["port"], int):
            return item["port"] <= number <= item.get("endPort", item["port"])
        found = self.by_ip.get(target)
        served = found["spec"]["containers"][0]["ports"] if found else []
        return any(
            (each["name"], each["protocol"], each["containerPort"]) == (item["port"], protocol, number)
            for each in served
        )


@settings(max_examples=80)
@given(clusters())
def test_agrees_with_a_plain_reading(cluster: Any) -> None:
    spaces, pods, chosen = cluster
    judge = evaluator(*spaces, *pods, *chosen)
    naive = Naive(spaces, pods, chosen)
    ends = [item["status"]["podIPs"][0]["ip"] for item in pods] + [OUTSIDE]
    for source in ends:
        for target in ends:
            for number, protocol in PROBES:
                expected = naive.allows(source, target, number, protocol)
                assert allowed(judge, source, target, number, protocol) == expected, (source, target, number, protocol)


@settings(max_examples=60)
@given(clusters(), st.data())
def test_a_new_rule_never_removes_a_flow(cluster: Any, data: Any) -> None:
    """Adding a rule to a direction that a policy already isolates can only allow more."""
    spaces, pods, chosen = cluster
    ends = [item["status"]["podIPs"][0]["ip"] for item in pods] + [OUTSIDE]
    probes = [(one, other, *probe) for one in ends for other in ends for probe in PROBES]
    # A policy without policyTypes gets a further type by its first egress rule, which does isolate.
    index = data.draw(st.integers(0, len(chosen) - 1)) if chosen else None
    if index is None or "policyTypes" not in chosen[index]["spec"]:
        return
    before = evaluator(*spaces, *pods, *chosen)
    spec = chosen[index]["spec"]
    direction, key = data.draw(st.sampled_from((("ingress", "from"), ("egress", "to"))))
    rules = [*(spec.get(direction) or []), data.draw(rule_of(key))]
    changed = {**chosen[index], "spec": {**spec, direction: rules}}
    after = evaluator(*spaces, *pods, *chosen[:index], changed, *chosen[index + 1 :])
    lost = [probe for probe in probes if allowed(before, *probe) and not allowed(after, *probe)]
    assert lost == []
