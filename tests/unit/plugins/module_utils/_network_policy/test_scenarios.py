# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The scenarios of the Kubernetes end-to-end suite, kubernetes v1.34 test/e2e/network/netpol/network_policy.go.

Each says who reaches whom; Pods talking to themselves are left out, as the suite leaves them out.
"""

from __future__ import annotations

from typing import Any, Iterable

import pytest

from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._network_policy.cases import (
    ALL,
    address,
    allowed,
    end_to_end,
    evaluator,
    policy,
)

Objects = list[dict[str, Any]]

A = {"pod": "a"}
BOTH = ["Ingress", "Egress"]


def ns(*names: str, key: str = "ns", operator: str = "In") -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(names)}]}


def pods(*names: str) -> dict[str, Any]:
    return {"matchLabels": {"pod": names[0]}} if len(names) == 1 else ns(*names, key="pod")


def into(*rules: Any, name: str = "x/one", **spec: Any) -> dict[str, Any]:
    """An ingress policy on Pod a, or on what C(pods) says."""
    return policy(name, types=["Ingress"], ingress=list(rules), **{"pods": A, **spec})


def out(*rules: Any, name: str = "x/one", **spec: Any) -> dict[str, Any]:
    return policy(name, types=["Egress"], egress=list(rules), **{"pods": A, **spec})


def tcp(port: Any, protocol: str = "TCP") -> dict[str, Any]:
    return {"protocol": protocol, "port": port}


def of(*spaces: str) -> set[str]:
    return {label for label in ALL if label[0] in spaces}


NOT_X = {"namespaceSelector": ns("x", operator="NotIn")}
FROM_Y = [{"namespaceSelector": ns("y")}]
DENY_X = policy("x/deny", types=["Ingress"])

# name -> (policies, who of all reaches x/a on TCP 80, and on TCP 81)
INGRESS: dict[str, tuple[Objects, set[str], set[str]]] = {
    "1 deny all ingress": ([DENY_X], set(), set()),
    "3 own namespace, one pod": ([into({"from": [{"podSelector": pods("b")}]})], {"x/b"}, {"x/b"}),
    "4 deny beside allow all": (
        [DENY_X, into({"from": [{"namespaceSelector": {}, "podSelector": {}}]})],
        set(ALL),
        set(ALL),
    ),
    "5 all namespaces": ([into({"from": [{"namespaceSelector": {}}]})], set(ALL), set(ALL)),
    "6 other namespaces": ([into({"from": [NOT_X]})], of("y", "z"), of("y", "z")),
    "7 expression on pods": ([into({"from": [{"podSelector": ns("b", key="pod")}]})], {"x/b"}, {"x/b"}),
    "8 expression on namespaces": ([into({"from": FROM_Y})], of("y"), of("y")),
    "9 either of two": (
        [into({"from": [NOT_X, {"podSelector": pods("b")}]})],
        of("y", "z") | {"x/b"},
        of("y", "z") | {"x/b"},
    ),
    "10 both in one": ([into({"from": [{**NOT_X, "podSelector": pods("b")}]})], {"y/b", "z/b"}, {"y/b", "z/b"}),
    "11 both, several pods": (
        [into({"from": [{**NOT_X, "podSelector": pods("b", "c")}]})],
        {"y/b", "y/c", "z/b", "z/c"},
        {"y/b", "y/c", "z/b", "z/c"},
    ),
    "12 two pods": (
        [into({"from": [{"podSelector": pods("b")}, {"podSelector": pods("c")}]})],
        {"x/b", "x/c"},
        {"x/b", "x/c"},
    ),
    "13 one pod of one namespace": (
        [into({"from": [{"namespaceSelector": ns("y"), "podSelector": pods("a")}]})],
        {"y/a"},
        {"y/a"},
    ),
    "14 namespace and port": ([into({"from": FROM_Y, "ports": [tcp(81)]})], set(), of("y")),
    "15 stacked": (
        [into({"from": FROM_Y, "ports": [tcp(81)]}), into({"from": FROM_Y, "ports": [tcp(80)]}, name="x/two")],
        of("y"),
        of("y"),
    ),
    "16 empty rule": ([into({})], set(ALL), set(ALL)),
    "17 named port": ([into({"ports": [tcp("serve-81-tcp")]})], set(), set(ALL)),
    "18 namespace and named port": ([into({"from": FROM_Y, "ports": [tcp("serve-80-tcp")]})], of("y"), set()),
    "20 updated to deny": ([into()], set(), set()),
    "21 namespace without the label": ([into({"from": [{"namespaceSelector": ns("new", key="ns2")}]})], set(), set()),
    "23 own namespace": ([policy("x/one", ingress=[{"from": [{"podSelector": {}}]}])], of("x"), of("x")),
    "24 no pod selected": ([policy("x/one", pods={"target": "isolated"})], set(ALL), set(ALL)),
    "30 protocol without port": ([into({"ports": [{"protocol": "TCP"}]})], set(ALL), set(ALL)),
    "31 deny and allow": ([into(), into({}, name="x/two")], set(ALL), set(ALL)),
    "33 deleted again": ([], set(ALL), set(ALL)),
    "38 SCTP allowed": ([DENY_X, into({"ports": [tcp(81, "SCTP")]})], set(), set()),
    "39 SCTP only": ([into({"ports": [tcp(80, "SCTP")]})], set(), set()),
    "40 UDP only": ([into({"ports": [tcp(81, "UDP")]})], set(), set()),
    "41 namespace by name": (
        [into({"from": [{"namespaceSelector": ns("y", key="kubernetes.io/metadata.name")}]})],
        of("y"),
        of("y"),
    ),
}


@pytest.mark.parametrize("name", INGRESS)
def test_who_reaches_x_a(name: str) -> None:
    policies, on_80, on_81 = INGRESS[name]
    judge = evaluator(*end_to_end(), *policies)
    for port, expected in ((80, on_80), (81, on_81)):
        reached = {label for label in ALL if allowed(judge, label, "x/a", port)}
        assert reached - {"x/a"} == expected - {"x/a"}, port
        # None of these isolates egress, and none a Pod of another namespace.
        assert all(allowed(judge, "x/a", label, port) for label in of("y", "z"))


BLOCK = "198.18.0.0/24"
TO_B = {"ipBlock": {"cidr": f"{address('x/b')}/32"}}
BUT_B = {"ipBlock": {"cidr": BLOCK, "except": [f"{address('x/b')}/32"]}}

# name -> (policies, whom of all x/a reaches on TCP 80, and on TCP 81)
EGRESS: dict[str, tuple[Objects, set[str], set[str]]] = {
    "2 deny all": ([policy("x/one", types=BOTH)], set(), set()),
    "19 named port": ([out({"ports": [tcp("serve-80-tcp")]})], set(ALL), set()),
    "25 none": ([out()], set(), set()),
    "27 ingress and egress": (
        [
            policy(
                "x/one",
                pods=A,
                types=BOTH,
                ingress=[{"from": [{"podSelector": pods("b")}]}],
                egress=[{"ports": [tcp(80)]}],
            )
        ],
        set(ALL),
        set(),
    ),
    "28 the client decides": (
        [out({"to": [{"podSelector": pods("b")}]}), into({}, name="y/two")],
        {"x/b"},
        {"x/b"},
    ),
    "29 one pod of one namespace": (
        [out({"to": [{"namespaceSelector": ns("y"), "podSelector": pods("a")}]})],
        {"y/a"},
        {"y/a"},
    ),
    "32 deny and allow": ([out(), out({}, name="x/two")], set(ALL), set(ALL)),
    "34 one address": ([out({"to": [TO_B]})], {"x/b"}, {"x/b"}),
    "35 a block without": ([out({"to": [BUT_B]})], {"x/c"}, {"x/c"}),
    "36 the exception allowed": (
        [out({"to": [BUT_B]}), out({"to": [TO_B]}, name="x/two")],
        {"x/b", "x/c"},
        {"x/b", "x/c"},
    ),
    "42 not that namespace": (
        [out({"to": [{"namespaceSelector": ns("y", key="kubernetes.io/metadata.name", operator="NotIn")}]})],
        of("x", "z"),
        of("x", "z"),
    ),
}


@pytest.mark.parametrize("name", EGRESS)
def test_whom_x_a_reaches(name: str) -> None:
    policies, on_80, on_81 = EGRESS[name]
    judge = evaluator(*end_to_end(), *policies)
    for port, expected in ((80, on_80), (81, on_81)):
        reached = {label for label in ALL if allowed(judge, "x/a", label, port)}
        assert reached - {"x/a"} == expected - {"x/a"}, port


def test_2_and_26_a_whole_namespace() -> None:
    both = evaluator(*end_to_end(), policy("x/one", types=BOTH))
    assert not any(allowed(both, label, "x/b") for label in of("y", "z"))
    quiet = evaluator(*end_to_end(), policy("y/one", types=["Egress"]))
    assert not any(allowed(quiet, label, target) for label in of("y") for target in of("x", "z"))
    assert all(allowed(quiet, label, target) for label in of("x", "z") for target in of("y"))


def test_21_22_24_labels_that_appear() -> None:
    by_namespace = into({"from": [{"namespaceSelector": ns("updated", key="ns2")}]})
    labelled = evaluator(*end_to_end(y={"ns2": "updated"}), by_namespace)
    assert {label for label in ALL if allowed(labelled, label, "x/a")} - {"x/a"} == of("y")
    by_pod = into({"from": [{"podSelector": ns("updated", key="pod2")}]})
    assert not allowed(evaluator(*end_to_end(), by_pod), "x/b", "x/a")
    assert allowed(evaluator(*end_to_end(x_b={"pod2": "updated"}), by_pod), "x/b", "x/a")
    isolated = evaluator(*end_to_end(x_a={"target": "isolated"}), policy("x/one", pods={"target": "isolated"}))
    assert [label for label in sorted(of("x")) if not allowed(isolated, "y/a", label)] == ["x/a"]


def test_27_and_37_directions_are_independent() -> None:
    judge = evaluator(
        *end_to_end(), into({"from": [{"podSelector": pods("b")}]}), out({"ports": [tcp(80)]}, name="x/two")
    )
    assert allowed(judge, "x/b", "x/a", 81)
    assert not allowed(judge, "x/c", "x/a", 80)
    assert allowed(judge, "x/a", "y/a", 80)
    assert not allowed(judge, "x/a", "y/a", 81)


@pytest.mark.parametrize("protocol", ["UDP", "SCTP"])
def test_43_to_48_other_protocols(protocol: str) -> None:
    denied = evaluator(*end_to_end(), DENY_X)
    assert not allowed(denied, "y/a", "x/a", 80, protocol)
    ported = evaluator(*end_to_end(), into({"from": FROM_Y, "ports": [tcp(81, protocol)]}))
    assert allowed(ported, "y/a", "x/a", 81, protocol)
    assert not allowed(ported, "y/a", "x/a", 80, protocol)
    assert not allowed(ported, "y/a", "x/a", 81, "TCP")
    other = evaluator(*end_to_end(), into({"from": [{"namespaceSelector": ns("y"), "podSelector": pods("a")}]}))
    assert [label for label in ALL if label != "x/a" and allowed(other, label, "x/a", 80, protocol)] == ["y/a"]


def matrix(judge: Any, ends: Iterable[str]) -> set[tuple[str, str]]:
    return {(one, other) for one in ends for other in ends if allowed(judge, one, other)}


def test_order_of_policies_does_not_matter() -> None:
    chosen = [DENY_X, into({"from": FROM_Y}), out({"to": [TO_B]}, name="x/three")]
    forward = matrix(evaluator(*end_to_end(), *chosen), ALL)
    assert forward == matrix(evaluator(*end_to_end(), *reversed(chosen)), ALL)
