# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What evaluators get wrong: ports, address families, nodes, and Pods that policy does not see."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.evaluate import describe
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.parse_policy import parse_policy
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.profile import Profile
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._network_policy.cases import (
    allowed,
    evaluator,
    namespace,
    node,
    pod,
    policy,
)

DENY = policy("x/deny", types=["Ingress", "Egress"])


def test_a_name_is_resolved_on_the_destination() -> None:
    first = pod("x/one", "10.244.1.2", {"app": "db"}, ports=[("web", 80, "TCP")])
    second = pod("x/two", "10.244.1.3", {"app": "db"}, ports=[("web", 8080, "TCP")])
    client = pod("x/client", "10.244.1.4")
    rule = {"ports": [{"port": "web"}]}
    inwards = evaluator(first, second, client, policy("x/p", pods={"app": "db"}, ingress=[rule]))
    outwards = evaluator(first, second, client, policy("x/p", types=["Egress"], egress=[rule]))
    for judge in (inwards, outwards):
        assert allowed(judge, "x/client", "x/one", 80)
        assert allowed(judge, "x/client", "x/two", 8080)
        assert not allowed(judge, "x/client", "x/one", 8080)
        assert not allowed(judge, "x/client", "x/one", 80, "UDP")
    verdict = outwards.verdicts(outwards.end("x/client", ""), outwards.end("198.19.0.1", ""), "TCP", 80)[0]
    assert "named port never matches" in describe(verdict)["reason"]


@pytest.mark.parametrize(("port", "expected"), [(31999, False), (32000, True), (32768, True), (32769, False)])
def test_bounds_of_a_range(port: int, expected: bool) -> None:
    ranged = policy("x/p", ingress=[{"ports": [{"port": 32000, "endPort": 32768}]}])
    judge = evaluator(pod("x/a", "10.244.1.2"), pod("x/b", "10.244.1.3"), ranged)
    assert allowed(judge, "x/b", "x/a", port) is expected


def test_icmp_passes_only_rules_without_ports() -> None:
    pods = [pod("x/a", "10.244.1.2"), pod("x/b", "10.244.1.3")]
    assert allowed(evaluator(*pods, policy("x/p", ingress=[{}])), "x/a", "x/b", 0, "ICMP")
    assert not allowed(evaluator(*pods, policy("x/p", ingress=[{"ports": [{"port": 80}]}])), "x/a", "x/b", 0, "ICMP")


def test_families_are_judged_apart() -> None:
    wide = policy("x/p", ingress=[{"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}])
    judge = evaluator(pod("x/a", "10.244.1.2,fd00:18::2"), pod("y/b", "10.244.1.3,fd00:18::3"), wide)
    found = judge.verdicts(judge.end("y/b", ""), judge.end("x/a", ""), "TCP", 80)
    assert [(each.family, each.allowed) for each in found] == [(4, True), (6, False)]
    assert judge.verdicts(judge.end("198.19.0.1", ""), judge.end("fd00:18::2", ""), "TCP", 80) == []


def test_pods_of_the_host_have_no_labels_and_no_policies() -> None:
    objects = [
        pod("x/agent", "198.18.0.2", {"app": "agent"}, hostNetwork=True, nodeName="two"),
        pod("x/web", "10.244.1.2", {"app": "web"}, nodeName="one"),
        node("one", 1),
        node("two", 2),
        DENY,
    ]
    by_label = policy("x/label", ingress=[{"from": [{"podSelector": {"matchLabels": {"app": "agent"}}}]}])
    by_block = policy("x/block", ingress=[{"from": [{"ipBlock": {"cidr": "10.244.2.0/32"}}]}])
    assert not allowed(evaluator(*objects, by_label), "x/agent", "x/web")
    assert allowed(evaluator(*objects, by_block), "x/agent", "x/web"), "not seen from flannel.1"
    assert allowed(evaluator(*objects), "198.19.0.1", "x/agent"), "selected although it is on the host's network"


@pytest.mark.parametrize(
    ("backend", "seen", "reached"),
    [("vxlan", "10.244.2.0", False), ("host-gw", "198.18.0.2", True), ("", "10.244.2.0 or 198.18.0.2", False)],
)
def test_the_backend_decides_what_other_nodes_look_like(backend: str, seen: str, reached: bool) -> None:
    by_node = policy("x/node", ingress=[{"from": [{"ipBlock": {"cidr": "198.18.0.0/24"}}]}])
    judge = evaluator(pod("x/web", "10.244.1.2", nodeName="one"), node("one", 1), node("two", 2, backend), by_node)
    verdict = judge.verdicts(judge.end("198.18.0.2", ""), judge.end("x/web", ""), "TCP", 80)[0]
    assert (verdict.seen, verdict.allowed) == (seen, reached)


@pytest.mark.parametrize(
    ("version", "to_pod", "to_node"),
    [("api", True, True), ("v1.0.0", False, True), ("v1.1.1", False, False), ("v0.4.0", False, True)],
)
def test_the_own_node(version: str, to_pod: bool, to_node: bool) -> None:
    judge = evaluator(pod("x/web", "10.244.1.2", nodeName="one"), node("one", 1), DENY, version=version)
    assert allowed(judge, "198.18.0.1", "x/web") is to_pod
    assert allowed(judge, "x/web", "198.18.0.1") is to_node
    reason = describe(judge.verdicts(judge.end("198.18.0.1", ""), judge.end("x/web", ""), "TCP", 80)[0])["reason"]
    assert ("probes, passes" in reason) is (version not in ("api", "v0.4.0"))


def test_finished_pods_are_no_pods_and_terminating_ones_still_are() -> None:
    done = pod("x/done", "10.244.1.2", phase="Succeeded")
    reused = pod("y/new", "10.244.1.2")
    leaving = pod("x/leaving", "10.244.1.3")
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    judge = evaluator(done, reused, leaving, DENY)
    assert judge.end("10.244.1.2", "").pod.label == "y/new"
    assert allowed(judge, "y/new", "x/done")
    assert not allowed(judge, "y/new", "x/leaving")


def test_a_pod_without_an_address_is_judged_by_its_labels() -> None:
    own = policy("x/p", ingress=[{"from": [{"podSelector": {"matchLabels": {"app": "new"}}}]}])
    judge = evaluator(pod("x/new", "", {"app": "new"}), pod("x/web", "10.244.1.2", {"app": "web"}), own)
    assert allowed(judge, "x/new", "x/web")
    assert not allowed(judge, "x/web", "x/new")


def test_the_policy_and_the_rule_are_named() -> None:
    web = policy(
        "x/web",
        pods={"app": "web"},
        ingress=[{"from": [{"podSelector": {"matchLabels": {"app": "other"}}}]}, {"from": [{"namespaceSelector": {}}]}],
    )
    judge = evaluator(namespace("y"), pod("x/web", "10.244.1.2", {"app": "web"}), pod("y/c", "10.244.1.3"), web)
    there = describe(judge.verdicts(judge.end("y/c", ""), judge.end("x/web", ""), "TCP", 80)[0])
    assert (there["verdict"], there["direction"], there["policy"], there["rule"]) == ("allow", "ingress", "x/web", 1)
    outside = describe(judge.verdicts(judge.end("198.19.0.1", ""), judge.end("x/web", ""), "TCP", 80)[0])
    assert (outside["verdict"], outside["policy"], outside["rule"]) == ("deny", "x/web", None)
    assert outside["ingress"]["policies"] == ["x/web"]
    back = describe(judge.verdicts(judge.end("x/web", ""), judge.end("y/c", ""), "TCP", 80)[0])
    assert (back["verdict"], back["policy"], back["direction"]) == ("allow", None, None)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"ingress": [{"from": [{}]}]}, r"spec.ingress\[0\].from\[0\] names no peer"),
        ({"ingress": [{"from": [{"podSelector": {}, "ipBlock": {"cidr": "10.0.0.0/8"}}]}]}, "ipBlock stands alone"),
        ({"ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["11.0.0.0/9"]}}]}]}, "not a part of"),
        ({"ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.0.0.0/8"]}}]}]}, "not a part of"),
        ({"ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.1"}}]}]}, "no network"),
        ({"ingress": [{"ports": [{"port": 80, "endPort": 79}]}]}, "endPort 79 is below port 80"),
        ({"ingress": [{"ports": [{"port": "web", "endPort": 81}]}]}, "needs a number"),
        ({"ingress": [{"ports": [{"endPort": 81}]}]}, "endPort needs port"),
        ({"ingress": [{"ports": [{"port": "80"}]}]}, "without quotes"),
        ({"ingress": [{"ports": [{"port": 0}]}]}, "from 1 to 65535"),
        ({"ingress": [{"ports": [{"port": 80, "protocol": "ICMP"}]}]}, "Use TCP, UDP, SCTP"),
        ({"policyTypes": ["Both"]}, "Use Ingress or Egress"),
        ({"podSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}, "needs values"),
        ({"podSelector": {"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]}}, "no values"),
        ({"podSelector": {"matchExpressions": [{"key": "a", "operator": "Like"}]}}, "no operator 'Like'"),
        ({"podSelector": {"matchLabels": {"on": True}}}, "Quote it"),
        ({"ingress": {}}, "spec.ingress is not a list"),
    ],
)
def test_what_the_api_server_would_refuse(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_policy({"metadata": {"name": "bad", "namespace": "x"}, "spec": spec})


def test_policy_types_have_defaults() -> None:
    def types(**spec: Any) -> list[str]:
        return list(parse_policy({"metadata": {"name": "p"}, "spec": spec}).rules)

    assert types() == ["ingress"]
    assert types(egress=[]) == ["ingress"]
    assert types(egress=[{}]) == ["ingress", "egress"]
    assert types(policyTypes=["Egress"], ingress=[{}]) == ["egress"]


def test_versions() -> None:
    assert Profile.parse("1.1.1-npa-v1alpha2").supports("ClusterNetworkPolicy")
    assert not Profile.parse("v1.1.1").supports("AdminNetworkPolicy")
    with pytest.raises(InputError, match=r"Use an image tag like v1.1.1, or api"):
        Profile.parse("latest")


def test_an_end_that_does_not_exist() -> None:
    judge = evaluator(pod("x/web", "10.244.1.2"))
    with pytest.raises(InputError, match=r"flows\[3\].to is 'x/wbe', neither an IP address nor a Pod"):
        judge.end("x/wbe", "flows[3].to")
