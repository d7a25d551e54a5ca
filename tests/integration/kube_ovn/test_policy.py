# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The admission policies on a real API server, held against the decision function."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn import catalogue, config, decision, policy
from ansible_collections.podnet.cni.tests.integration import _kube
from ansible_collections.podnet.cni.tests.integration.kube_ovn._cluster import (
    CIDR,
    ENABLED,
    GATEWAY,
    RECORD,
    ROUTES,
    SECURITY,
    annotate,
    apply,
    create,
    namespace,
    pod,
    remove,
    until,
)

pytestmark = pytest.mark.kube

NAME = "inherit-test"
OPT_OUT = "podnet.cni/inherit"
ATTACHED = "net1.default.ovn.kubernetes.io/routes"
CONFIG = config.parse(
    {
        "annotations": [
            "routes",
            {"annotation": "routes", "provider": "*"},
            {"annotation": "port_security", "mode": "enforce", "pod_selector": {"matchLabels": {"tier": "web"}}},
            {
                "annotation": "ingress_rate",
                "default": 100,
                "namespace_selector": {"matchExpressions": [{"key": "free", "operator": "DoesNotExist"}]},
            },
            {"annotation": "security_groups"},
            {"annotation": "snat"},
            {"annotation": "port_vips"},
            {"annotation": "aaps"},
        ]
    }
)
RATE = "ovn.kubernetes.io/ingress_rate"
SNAT = "ovn.kubernetes.io/snat"

NAMESPACES: dict[str, dict[str, Any]] = {
    "both": {"annotations": {ROUTES: GATEWAY, SECURITY: "true", ATTACHED: '[{"dst":"10.0.0.0/8","gw":"10.1.0.1"}]'}},
    "nothing": {"labels": {**ENABLED, "free": "yes"}},
    "default-only": {},
    "suppressed": {"annotations": {RATE: "", ROUTES: ""}},
    "broken": {"annotations": {ROUTES: '[{"gw":"10.16.0"}]', SECURITY: "True", RATE: "-1", SNAT: "fe80::1%eth0"}},
    "other": {"annotations": {ROUTES: GATEWAY}, "labels": {}},
    "groups": {"annotations": {"ovn.kubernetes.io/security_groups": "a, b.c", SNAT: "198.18.0.1"}},
}
PODS: list[dict[str, Any]] = [
    {},
    {"annotations": {}},
    {"annotations": {"example.org/own": "1"}, "labels": {"tier": "web"}},
    {"annotations": {ROUTES: "", SECURITY: "false"}, "labels": {"tier": "web"}},
    {"annotations": {SECURITY: "true"}, "labels": {"tier": "web"}},
    {"annotations": {OPT_OUT: "false"}, "labels": {"tier": "web"}},
    {"annotations": {OPT_OUT: "no"}},
    {"hostNetwork": True},
]


def long_routes(size: int) -> str:
    """Routes of so many octets, in the shortest entries that there are."""
    entry = '{"gw":"::"}'
    count = (size - 1) // (len(entry) + 1)
    text = f"[{','.join([entry] * count)}]"
    return text + " " * (size - len(text))


VALUES = {
    ROUTES: [
        "[]",
        " [ ]\n",
        '[{"gw":"10.16.0.1"}]',
        '[{"dst":"10.0.0.0/8"}]',
        '[{"dst":"10.0.0.5/8","gw":"10.16.0.1"}, {"gw" : "fd00::1","dst":"fd00::/8"}]',
        '[{"dst":"10.0.0.1","gw":"10.16.0.1"}]',
        '[{"dst":"fd00::/8","gw":"10.16.0.1"}]',
        '[{"gw":"10.16.0.1","gw":"10.16.0.2"}]',
        '[{"gw":"10.16.0.01"}]',
        '[{"gw":"::ffff:10.16.0.1"}]',
        '[{"gw":"::ffff:a10:1"}]',
        '[{"gw":"1::2::3"}]',
        '[{"dst":"10.0.0.0/33","gw":"10.16.0.1"}]',
        '[{"dst":"10.0.0.0/08","gw":"10.16.0.1"}]',
        '[{"dst":"/8","gw":"10.16.0.1"}]',
        '[{"dst":"","gw":"10.16.0.1"}]',
        '[{"DST":"10.0.0.0/8","gw":"10.16.0.1"}]',
        '[{"gw":"10.16.0.1","metric":"1"}]',
        '[{"gw":"10.16.0.1"},]',
        '{"gw":"10.16.0.1"}',
        "[{}]",
        "null",
        "[",
        long_routes(catalogue.ROUTES_LIMIT),
        long_routes(catalogue.ROUTES_LIMIT + 1),
        long_routes(4 * catalogue.ROUTES_LIMIT),
    ],
    SECURITY: ["true", "false", "True", "1", "yes", " true"],
    RATE: ["0", "1000", "-1", "1.5", "10M", "9999999999"],
    "ovn.kubernetes.io/security_groups": ["a", "a,b", "a, b", "a,,b", "A", "a b"],
    # Beside the longest routes, which must not take the others with them.
    "ovn.kubernetes.io/port_vips": ["198.18.0.1", "198.18.0.1,fd00::1", "198.18.0.1, fd00::1", "", "x", "1.2.3"]
    + ["198.18.0.9"] * 20,
    "ovn.kubernetes.io/aaps": ["vip-1", "vip-1, vip-2", "Vip", "a,,b"],
    SNAT: ["198.18.0.1", "fd00::1", "198.18.0", "198.18.0.1/32", "::ffff:198.18.0.1", "::"],
}


@pytest.fixture(scope="module")
def policies(kube: _kube.KubeServer) -> Iterator[_kube.KubeServer]:
    """The mutating policy and the one for enforced values, both in effect."""
    objects = [
        *policy.mutating_policy(CONFIG, NAME, "v1", "Fail"),
        *policy.enforcing_policy(CONFIG, f"{NAME}-enforced", "Fail"),
    ]
    for item in objects:
        apply(kube, item)
    kube.apply(namespace("probe", {ROUTES: GATEWAY}))
    until(lambda: ROUTES in create(kube, "probe", pod("probe"), dry_run=True), "the policy's taking effect")
    yield kube
    remove(kube, objects)
    # The API server continues applying them for a moment, also to the pods of tests that come next.
    until(lambda: ROUTES not in create(kube, "probe", pod("probe"), dry_run=True), "the policies' end")
    kube.api("DELETE", "/api/v1/namespaces/probe")


@pytest.mark.parametrize("name", NAMESPACES)
def test_policy_decides_as_the_function(policies: _kube.KubeServer, name: str) -> None:
    where = f"policy-{name}"
    made = namespace(where, **NAMESPACES[name])
    policies.apply(made)
    stored = decision.Namespace.from_object(policies.api("GET", f"/api/v1/namespaces/{where}"))
    for index, options in enumerate(PODS):
        item = pod(f"pod-{index}", **options)
        got = create(policies, where, item)
        wanted = decision.decide(item, stored, CONFIG)
        own = item["metadata"].get("annotations") or {}
        record = decision.read_record(got.pop(RECORD, None))
        assert got == {**own, **wanted.writes}, (name, options)
        assert record == {key: f"={value}" for key, value in wanted.writes.items()}
        assert all(decision.recorded(entry, got[key]) for key, entry in record.items())


def test_every_value_is_judged_alike(policies: _kube.KubeServer) -> None:
    """One namespace, many values: what the policy copies is what the function calls usable."""
    where = "policy-values"
    policies.apply(namespace(where, CIDR))
    path = f"/api/v1/namespaces/{where}"
    for values in itertools.zip_longest(*VALUES.values(), fillvalue=""):
        annotations: dict[str, str | None] = dict(zip(VALUES, values))
        annotate(policies, path, annotations)
        stored = decision.Namespace.from_object(policies.api("GET", path))
        item = pod("any", labels={"tier": "web"})
        wanted = decision.decide(item, stored, CONFIG)

        def is_wanted(item: dict[str, Any], writes: Any) -> bool:
            made = create(policies, where, item, dry_run=True)
            made.pop(RECORD, None)
            return made == writes

        # The policy sees the namespace through an informer, which may be a moment behind.
        until(partial(is_wanted, item, wanted.writes), f"{annotations} -> {wanted.writes}", 5)


def test_enforced_values_cannot_be_edited(policies: _kube.KubeServer) -> None:
    where = "policy-enforced"
    policies.apply(namespace(where, {SECURITY: "true"}))
    create(policies, where, pod("web", labels={"tier": "web"}))
    create(policies, where, pod("db"))
    path = f"/api/v1/namespaces/{where}/pods"
    with pytest.raises(RuntimeError, match="the namespace enforces"):
        annotate(policies, f"{path}/web", {SECURITY: "false"})
    with pytest.raises(RuntimeError, match="the namespace enforces"):
        annotate(policies, f"{path}/web", {SECURITY: None})
    annotate(policies, f"{path}/web", {"example.org/else": "1"})
    annotate(policies, f"{path}/db", {SECURITY: "false"})


def test_bad_namespace_values_are_refused(kube: _kube.KubeServer) -> None:
    where = "policy-refused"
    path = f"/api/v1/namespaces/{where}"
    kube.apply(namespace(where, {SECURITY: "yes", **CIDR}))
    objects = policy.namespace_policy(CONFIG, f"{NAME}-values", "Fail")
    for item in objects:
        apply(kube, item)

    tries = itertools.count(1)

    def refused() -> bool:
        # A value that got through before the policy took effect is old by the next try, and old values are not judged.
        try:
            annotate(kube, path, {ROUTES: "[" * next(tries)})
        except RuntimeError as error:
            assert "annotation routes must be a JSON array" in str(error)
            return True
        return False

    until(refused, "the refusal")
    for value in ("1", "True"):
        with pytest.raises(RuntimeError, match="must be the text true or false"):
            annotate(kube, path, {SECURITY: value})
    with pytest.raises(RuntimeError, match="must be a JSON array"):
        annotate(kube, path, {ATTACHED: '[{"dst":"10.0.0.1","gw":"10.16.0.1"}]'})
    with pytest.raises(RuntimeError, match="must be a JSON array"):
        kube.apply(namespace("policy-new", {ROUTES: "x"}))
    # Neither an old bad value nor one of a key that nobody inherits stands in the way of other changes.
    annotate(kube, path, {"example.org/else": "1", "ovn.kubernetes.io/mirror": "maybe", ROUTES: GATEWAY})
    remove(kube, objects)
