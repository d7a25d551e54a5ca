# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the API server refuses is what we refuse, and nothing else: generated policies, tried on a real one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.module_utils._network_policy import admission
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.parse_policy import parse_policy
from ansible_collections.podnet.cni.tests.integration import _kube

pytestmark = pytest.mark.kube

POLICIES = "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies?dryRun=All"

GOOD_KEYS = ["app", "a.b/c", "A_b.c", "x" * 63, "example.com/" + "y" * 63]
BAD_KEYS = ["", "a/b/c", "-a", "a-", "x" * 64, "Example.com/a", "/a", "a/", "a b", "a..b/c"]
GOOD_VALUES = ["", "web", "A.b_c-d", "9", "v" * 63]
BAD_VALUES: list[Any] = ["-a", "a/b", "v" * 64, "ä", "a b", 5, True, None]
GOOD_CIDRS = ["10.0.0.0/8", "10.1.0.0/16", "0.0.0.0/0", "10.1.2.3/32", "2001:db8::/32", "::/0", "2001:DB8::/32"]
BAD_CIDRS: list[Any] = [
    "10.0.0.5/8", "10.0.0.0", "10.0.0.0/33", "010.0.0.0/8", "10.0.0.0/08", "2001:db8::1/32", "", None, 10, "x",
    "::ffff:10.0.0.0/104", "10.0.0.0/8 ", "10.0.0/8", "10.0.0.0/+8",
]  # fmt: skip
GOOD_PORTS: list[Any] = [1, 80, 65535, "http", "a", "1a", "dns-tcp", "x" * 15, None]
BAD_PORTS: list[Any] = [0, -1, 65536, 2**31, "80", "", "x" * 16, "-a", "a-", "a--b", "Http", "a_b", True, 80.5, [1]]
ENDS: list[Any] = [None, None, None, 79, 80, 90, 65535, 65536, 0, "90", True, 2**31]
PROTOCOLS: list[Any] = [None, "TCP", "UDP", "SCTP", "tcp", "", "ICMP", 6]
TYPES: list[Any] = [
    None, [], ["Ingress"], ["Egress"], ["Ingress", "Egress"], ["Ingress", "Ingress"], ["Ingress", "Egress", "Egress"],
    ["ingress"], ["Ingress", ""], "Ingress", [None], [5],
]  # fmt: skip
NAMES: list[Any] = ["np", "np.a", "9", "n" * 253, "n" * 254, "Np", "np_", "-np", "np..a", 5]


def often(good: list[Any], bad: list[Any]) -> st.SearchStrategy[Any]:
    """Mostly what is good, so that the fault is often the only one."""
    return st.sampled_from([*(good * 3 * max(1, len(bad) // len(good))), *bad])


KEYS, VALUES, CIDRS = often(GOOD_KEYS, BAD_KEYS), often(GOOD_VALUES, BAD_VALUES), often(GOOD_CIDRS, BAD_CIDRS)
EXPRESSIONS = st.fixed_dictionaries(
    {"key": KEYS, "operator": often(["In", "NotIn", "Exists", "DoesNotExist"], ["in", "", None])},
    optional={"values": st.one_of(st.lists(VALUES, max_size=2), st.sampled_from([None, "web"]))},
)
SELECTORS = st.one_of(
    st.sampled_from([None, {}, {}, [], "all"]),
    st.fixed_dictionaries({"matchLabels": st.dictionaries(KEYS, VALUES, max_size=2)}),
    st.fixed_dictionaries({"matchExpressions": st.lists(EXPRESSIONS, max_size=2)}),
)
BLOCKS = st.fixed_dictionaries({"cidr": CIDRS}, optional={"except": st.one_of(st.none(), st.lists(CIDRS, max_size=2))})
PEERS = st.one_of(
    st.fixed_dictionaries({"ipBlock": BLOCKS}),
    st.fixed_dictionaries({"podSelector": SELECTORS}),
    st.fixed_dictionaries({}, optional={"podSelector": SELECTORS, "namespaceSelector": SELECTORS, "ipBlock": BLOCKS}),
    st.none(),
)
PORTS = st.fixed_dictionaries(
    {"port": often(GOOD_PORTS, BAD_PORTS)},
    optional={"protocol": st.sampled_from(PROTOCOLS), "endPort": st.sampled_from(ENDS)},
)


def rules(key: str) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries(
        {},
        optional={
            key: st.one_of(st.none(), st.lists(PEERS, max_size=2)),
            "ports": st.one_of(st.none(), st.lists(PORTS, max_size=2)),
        },
    )


SPECS = st.fixed_dictionaries(
    {},
    optional={
        "podSelector": SELECTORS,
        "policyTypes": often([["Ingress"], ["Ingress", "Egress"]], TYPES),
        "ingress": st.one_of(st.none(), st.lists(rules("from"), max_size=2)),
        "egress": st.one_of(st.none(), st.lists(rules("to"), max_size=2)),
    },
)
METADATA = st.fixed_dictionaries(
    {"name": often(["np"], NAMES)},
    optional={
        "labels": st.one_of(st.none(), st.dictionaries(KEYS, VALUES, max_size=1)),
        "annotations": st.one_of(st.none(), st.dictionaries(KEYS, st.sampled_from(["any Ä", "", 5]), max_size=1)),
    },
)
DOCUMENTS = st.fixed_dictionaries({"metadata": METADATA}, optional={"spec": st.one_of(st.none(), SPECS)})


def refusal(kube: _kube.KubeServer, policy: dict[str, Any]) -> str:
    item = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", **policy}
    try:
        kube.api("POST", POLICIES, item)
    except RuntimeError as error:
        assert any(code in str(error) for code in ("400", "422")), error
        return str(error)
    return ""


def one(spec: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": "np"}, "spec": spec}


def atoms() -> list[dict[str, Any]]:
    """Each value that the generator knows, alone in a policy that is good otherwise."""
    found = [{"metadata": {"name": name}, "spec": {}} for name in NAMES]
    found += [one({"podSelector": {"matchLabels": {key: "x"}}}) for key in GOOD_KEYS + BAD_KEYS]
    found += [one({"podSelector": {"matchLabels": {"app": value}}}) for value in GOOD_VALUES + BAD_VALUES]
    found += [{"metadata": {"name": "np", "labels": {key: "x"}}} for key in GOOD_KEYS + BAD_KEYS]
    found += [{"metadata": {"name": "np", "annotations": {key: "x"}}} for key in GOOD_KEYS + BAD_KEYS]
    found += [{"metadata": {"name": "np", "labels": {"app": value}}} for value in GOOD_VALUES + BAD_VALUES]
    found += [one({"ingress": [{"from": [{"ipBlock": {"cidr": cidr}}]}]}) for cidr in GOOD_CIDRS + BAD_CIDRS]
    found += [
        one({"egress": [{"to": [{"ipBlock": {"cidr": cidr, "except": [hole]}}]}]})
        for cidr in ("10.0.0.0/8", "::/0")
        for hole in GOOD_CIDRS + BAD_CIDRS
    ]
    found += [
        one({"ingress": [{"ports": [{"port": port, **more}]}]})
        for port in GOOD_PORTS + BAD_PORTS
        for more in ({}, {"endPort": 80}, {"protocol": "UDP"})
    ]
    found += [one({"ingress": [{"ports": [{"port": 80, "endPort": end}]}]}) for end in ENDS]
    found += [one({"ingress": [{"ports": [{"port": 80, "protocol": protocol}]}]}) for protocol in PROTOCOLS]
    found += [one({"policyTypes": types}) for types in TYPES]
    return found


def test_every_value_alone(kube: _kube.KubeServer) -> None:
    differing = []
    verdicts = set()
    for policy in atoms():
        ours, theirs = list(admission.problems(policy)), refusal(kube, policy)
        verdicts.add(bool(theirs))
        if bool(ours) != bool(theirs):
            differing.append((policy, ours, theirs))
    assert not differing, "\n".join(map(str, differing))
    assert verdicts == {True, False}


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(policy=DOCUMENTS)
def test_whole_policies(kube: _kube.KubeServer, policy: dict[str, Any]) -> None:
    ours = list(admission.problems(policy))
    assert bool(refusal(kube, policy)) == bool(ours), ours
    if not ours:
        parse_policy(policy)
