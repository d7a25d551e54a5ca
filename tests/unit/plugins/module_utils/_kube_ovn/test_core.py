# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Linter, configuration, decision, patch and the plan for existing pods."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import Conflict
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn import (
    catalogue,
    config,
    decision,
    lint,
    namespace,
    sync,
)

ROUTES = "ovn.kubernetes.io/routes"
SECURITY = "ovn.kubernetes.io/port_security"
RATE = "ovn.kubernetes.io/ingress_rate"
RECORD = "podnet.cni/inherited"
LABELS = {"podnet.cni/kube-ovn-inheritance": "enabled"}
GATEWAY = '[{"gw":"10.16.0.1"}]'
CONFIG = config.parse({"annotations": ["routes", "port_security", "ingress_rate"]})


def team(annotations: dict[str, str] | None = None, **more: Any) -> decision.Namespace:
    return decision.Namespace("team", more.get("labels", LABELS), annotations or {})


def pod(annotations: Any = None, *, labels: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": "one", "uid": "u", "resourceVersion": "7", "labels": labels or {}}
    if annotations is not None:
        metadata["annotations"] = annotations
    return {"metadata": metadata, "spec": {}, "status": {"phase": "Running", "podIP": "10.16.0.9"}, **more}


def patched(item: dict[str, Any], patch: list[dict[str, Any]]) -> dict[str, Any]:
    """Apply the add operations of a JSON patch as the API server does."""
    result = copy.deepcopy(item)
    for operation in patch:
        *parents, last = operation["path"].split("/")[1:]
        place = result
        for part in parents:
            place = place[part.replace("~1", "/").replace("~0", "~")]
        place[last.replace("~1", "/").replace("~0", "~")] = operation["value"]
    return result


def test_routes_over_the_link_need_no_gateway() -> None:
    text = '[{"dst":"10.0.0.0/8"}]'
    assert lint.lint_value(ROUTES, text) == []
    assert lint.usable(catalogue.CATALOGUE["routes"], text)
    assert catalogue.render(catalogue.CATALOGUE["routes"], [{"dst": "10.0.0.0/8", "gw": None}], "routes") == text
    with pytest.raises(InputError, match="neither dst nor gw"):
        catalogue.render(catalogue.CATALOGUE["routes"], [{"gw": None}], "routes")


@pytest.mark.parametrize(
    ("name", "value", "good"),
    [
        ("port_vips", ["198.18.0.1", "fd00::1"], True),
        ("port_vips", "198.18.0.1, fd00::1", False),
        ("port_vips", "198.18.0.1/32", False),
        ("aaps", ["vip-1", "vip-2"], True),
        ("aaps", "Vip", False),
    ],
)
def test_further_addresses_of_pods(name: str, value: Any, good: bool) -> None:
    annotation = catalogue.CATALOGUE[name]
    text = catalogue.render(annotation, value, name)
    assert lint.usable(annotation, text) is good
    assert (lint.lint_value(f"ovn.kubernetes.io/{name}", text) == []) is good
    assert annotation.acts == catalogue.LIVE


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("{", "not JSON"),
        ('{"gw":"10.16.0.1"}', "not a JSON array"),
        ('["10.16.0.1"]', "entry 0 is not an object"),
        ('[{"dst":"10.0.0.1","gw":"10.16.0.1"}]', "dst of entry 0 is not a prefix"),
        ("[{}]", "entry 0 has neither dst nor gw"),
        ('[{"dst":"10.0.0.0"}]', "dst of entry 0 is not a prefix"),
        ('[{"dst":"10.0.0.0/8"},{"dst":"10.0.0.0/8","gw":"10.16.0.1"}]', "entry 0 again"),
        (json.dumps([{"dst": f"10.{one}.{two}.0/24"} for one in range(8) for two in range(200)]), "no pod"),
        ('[{"dst":"10.0.0.0/8","gw":"gateway"}]', "gw of entry 0 is not a plain address"),
        ('[{"DST":"10.0.0.0/8","gw":"10.16.0.1"}]', "the key 'DST'"),
        ('[{"gw":"10.16.0.1","metric":1}]', "the key 'metric'"),
        ('[{"gw":1}]', "gw of entry 0 is not text"),
        ('[{"dst":"fd00::/8","gw":"10.16.0.1"}]', "different families"),
        ('[{"gw":"10.99.0.1"}]', "outside the namespace's subnets"),
        ('[{"gw":"fd99::1"}]', "outside the namespace's subnets"),
        ('[{"gw":"10.16.0.1"},{"dst":"0.0.0.0/0","gw":"10.16.0.2"}]', "second default route"),
        ('[{"dst":"10.0.0.0/8","gw":"10.16.0.1"},{"dst":"10.0.0.0/8","gw":"10.16.0.2"}]', "entry 0 again"),
        ('[{"\\u0067w":"10.16.0.1"}]', "escapes"),
        (True, "annotations are text"),
        ([{"gw": "10.16.0.1"}], "annotations are text"),
    ],
)
def test_bad_routes(value: Any, reason: str) -> None:
    prefixes = lint.subnets({"ovn.kubernetes.io/cidr": "10.16.0.0/16,fd00:10:16::/112;10.17.0.0/24"})
    findings = lint.lint_value(ROUTES, value, prefixes)
    assert [finding.severity for finding in findings] == ["error"]
    assert reason in str(findings[0])
    assert findings[0].remedy


def test_good_routes() -> None:
    prefixes = lint.subnets({"ovn.kubernetes.io/cidr": "10.16.0.0/16,fd00:10:16::/112"})
    value = '[{"gw":"10.16.0.1"},{"gw":"fd00:10:16::1"},{"dst":"10.0.0.0/8","gw":"10.16.0.1"}]'
    assert lint.lint_value(ROUTES, value, prefixes) == []
    assert lint.lint_value("net1.default.ovn.kubernetes.io/routes", '[{"gw":"10.99.0.1"}]', prefixes) == []
    assert lint.lint_value(ROUTES, "", prefixes) == []


def test_host_bits_are_a_warning() -> None:
    (finding,) = lint.lint_value(ROUTES, '[{"dst":"10.0.0.7/8","gw":"10.16.0.1"}]')
    assert (finding.severity, finding.remedy) == ("warning", "Write 10.0.0.0/8")


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        (SECURITY, "True", "the text true or false"),
        (SECURITY, True, 'in quotes: "true"'),
        (RATE, "-1", "a whole number"),
        ("ovn.kubernetes.io/logical_switch", "a", "freeze the subnet choice"),
        ("ovn.kubernetes.io/eip", "198.18.0.1", "belongs to one pod"),
        ("ovn.kubernetes.io/unknown", "a", "knows no such annotation"),
        ("example.org/routes", "[]", "knows no such annotation"),
        ("ovn.kubernetes.io/snat", "198.18.0.1/32", "an IPv4 or IPv6 address"),
    ],
)
def test_bad_values(key: str, value: Any, reason: str) -> None:
    (finding,) = lint.lint_value(key, value)
    assert finding.severity == "error"
    assert reason in str(finding)


def test_too_many_annotations() -> None:
    findings = lint.lint_namespace({"example.org/big": "x" * lint.TOTAL_LIMIT, ROUTES: GATEWAY})
    assert [finding.key for finding in findings] == ["annotations"]


TEXTS = st.text(alphabet='[]{}":, dstgw0123456789abcf./\\u\n', max_size=60)
ENTRIES = st.dictionaries(
    st.sampled_from(["dst", "gw", "GW", "x"]),
    st.one_of(st.none(), st.integers(), st.text(max_size=8), st.ip_addresses().map(str), st.just("10.0.0.0/8")),
)


@given(st.one_of(TEXTS, st.text(), st.lists(ENTRIES).map(json.dumps), st.integers(), st.none(), st.booleans()))
def test_linter_judges_anything(value: Any) -> None:
    """No value breaks the linter, and what it lets through is usable."""
    for name in catalogue.CATALOGUE:
        key = catalogue.key_of(name)
        errors = [each for each in lint.lint_value(key, value) if each.severity == "error"]
        if not errors:
            assert value == "" or lint.usable(catalogue.CATALOGUE[name], value)


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({}, "annotations is empty"),
        ({"annotations": ["cidr"]}, "never inherited"),
        ({"annotations": ["route"]}, "unknown"),
        ({"annotations": [{"annotation": "routes", "mode": "force"}]}, "mode is 'force'"),
        ({"annotations": ["routes", "routes"]}, "twice"),
        ({"annotations": [{"annotation": "port_security", "default": "yes"}]}, "true or false"),
        ({"annotations": [{"annotation": "port_security", "provider": "*", "default": True}]}, "one provider"),
        ({"annotations": ["routes"], "prefix": "kubernetes.io"}, "belongs to Kubernetes"),
        ({"annotations": ["routes"], "prefix": "A b"}, "not a DNS name"),
        ({"annotations": ["routes"], "namespace_selector": {"matchLabels": {"a": True}}}, "Quote"),
        ({"annotations": ["routes"], "selector": {}}, "unknown key 'selector'"),
        (
            {
                "annotations": [
                    {"annotation": "routes", "pod_selector": {"matchExpressions": [{"key": "a", "operator": "Is"}]}}
                ]
            },
            "operator",
        ),
    ],
)
def test_bad_configuration(document: Any, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        config.parse(document)


def test_configuration_survives_a_round_trip() -> None:
    selector = {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "c", "operator": "Exists"}]}
    entry = {"annotation": "port_security", "mode": "enforce", "default": True, "pod_selector": selector}
    parsed = config.parse({"annotations": [entry, {"annotation": "routes", "provider": "*"}], "prefix": "example.org"})
    assert config.parse(json.loads(json.dumps(parsed.to_dict()))) == parsed
    assert parsed.takes_part("any", {"example.org/kube-ovn-inheritance": "enabled"})
    assert not parsed.takes_part("kube-system", {"example.org/kube-ovn-inheritance": "enabled"})


def test_precedence() -> None:
    parsed = config.parse({"annotations": [{"annotation": "ingress_rate", "default": 10}]})
    assert decision.decide(pod(), team(), parsed).writes == {RATE: "10"}
    assert decision.decide(pod(), team({RATE: "20"}), parsed).writes == {RATE: "20"}
    assert decision.decide(pod(), team({RATE: ""}), parsed).writes == {}
    assert decision.decide(pod({RATE: ""}), team({RATE: "20"}), parsed).writes == {}
    assert decision.decide(pod({"podnet.cni/inherit": "false"}), team({RATE: "20"}), parsed).writes == {}
    assert decision.decide(pod(), team({RATE: "-1"}), parsed) == decision.Decision(unusable={RATE: "-1"})


def test_enforce() -> None:
    parsed = config.parse({"annotations": [{"annotation": "port_security", "mode": "enforce"}]})
    own = {SECURITY: "false", "podnet.cni/inherit": "false"}
    assert decision.decide(pod(own), team({SECURITY: "true"}), parsed).writes == {SECURITY: "true"}
    assert decision.decide(pod(own), team({}), parsed).writes == {}
    same = decision.decide(pod({SECURITY: "true"}), team({SECURITY: "true"}), parsed)
    assert (same.writes, decision.build_patch(pod({SECURITY: "true"}), same, parsed)) == ({}, [])


def test_who_takes_no_part() -> None:
    values = {ROUTES: GATEWAY}
    assert decision.decide(pod(spec={"hostNetwork": True}), team(values), CONFIG).skipped
    assert decision.decide(pod({decision.MIRROR_KEY: "x"}), team(values), CONFIG).skipped
    assert decision.decide(pod(), team(values, labels={}), CONFIG).skipped


def test_any_provider_and_a_named_one() -> None:
    attached, other = "net1.default.ovn.kubernetes.io/routes", "net2.default.kubernetes.io/routes"
    parsed = config.parse(
        {"annotations": [{"annotation": "routes", "provider": "*"}, {"annotation": attached, "mode": "enforce"}]}
    )
    values = {ROUTES: GATEWAY, attached: GATEWAY, other: GATEWAY, "a.kubernetes.io/routes": GATEWAY}
    own = dict.fromkeys(values, "[]")
    assert set(decision.decide(pod(), team(values), parsed).writes) == {ROUTES, attached, other}
    assert set(decision.decide(pod(own), team(values), parsed).writes) == {attached}


KEYS = st.sampled_from([ROUTES, SECURITY, RATE, RECORD, "podnet.cni/inherit", "example.org/~a/b"])
VALUES = st.sampled_from(["true", "false", "", "7", GATEWAY, "{}", '{"ovn.kubernetes.io/routes":"=[]"}'])
MODES = st.sampled_from(["default", "enforce"])


@given(st.one_of(st.none(), st.dictionaries(KEYS, VALUES)), st.dictionaries(KEYS, VALUES), MODES)
def test_patch_is_idempotent_and_touches_only_listed_keys(own: Any, values: dict[str, str], mode: str) -> None:
    entries = [{"annotation": name, "mode": mode} for name in ("routes", "port_security", "ingress_rate")]
    parsed = config.parse({"annotations": entries})
    before = pod(own)
    after = patched(before, decision.build_patch(before, decision.decide(before, team(values), parsed), parsed))
    again = decision.decide(after, team(values), parsed)
    assert decision.build_patch(after, again, parsed) == []
    changed = {
        key
        for key in {*(own or {}), *after["metadata"].get("annotations", {})}
        if (own or {}).get(key) != after["metadata"].get("annotations", {}).get(key)
    }
    assert changed <= {ROUTES, SECURITY, RATE, RECORD}
    if mode == "default":
        assert changed & set(own or {}) <= {RECORD}


def inherited(values: dict[str, str]) -> dict[str, Any]:
    """A running pod that inherited the values at its creation."""
    item = pod()
    return patched(item, decision.build_patch(item, decision.decide(item, team(values), CONFIG), CONFIG))


def test_sync_finds_nothing_to_do() -> None:
    values = {ROUTES: GATEWAY, SECURITY: "true"}
    assert sync.plan_pod(inherited(values), team(values), CONFIG) is None
    assert sync.plan_pod(pod({SECURITY: "false"}), team({SECURITY: "true"}), CONFIG) is None


def test_sync_changes_live_keys_and_reports_the_rest() -> None:
    item = inherited({ROUTES: GATEWAY, RATE: "1"})
    plan = sync.plan_pod(item, team({ROUTES: "[]", RATE: "2", SECURITY: "true"}), CONFIG)
    assert plan is not None
    assert {key: plan.changes[key] for key in (RATE, SECURITY)} == {RATE: "2", SECURITY: "true"}
    assert plan.drift == (sync.Drift(ROUTES, GATEWAY, "[]", catalogue.SANDBOX),)
    record = decision.read_record(plan.changes[RECORD])
    assert record == {ROUTES: decision.digest(GATEWAY), RATE: decision.digest("2"), SECURITY: decision.digest("true")}
    item["metadata"]["annotations"].update(plan.changes)
    again = sync.plan_pod(item, team({ROUTES: "[]", RATE: "2", SECURITY: "true"}), CONFIG)
    assert again is not None
    assert not again.changes


def test_sync_gives_up_what_a_user_edited() -> None:
    item = inherited({RATE: "1", SECURITY: "true"})
    item["metadata"]["annotations"][RATE] = "5"
    plan = sync.plan_pod(item, team({RATE: "2", SECURITY: "true"}), CONFIG)
    assert plan is not None
    assert plan.changes == {RECORD: decision.write_record({SECURITY: decision.digest("true")})}


def test_sync_puts_enforced_values_back() -> None:
    parsed = config.parse({"annotations": [{"annotation": "port_security", "mode": "enforce"}]})
    plan = sync.plan_pod(pod({SECURITY: "false"}), team({SECURITY: "true"}), parsed)
    assert plan is not None
    assert plan.changes[SECURITY] == "true"


def test_protection_is_not_taken_without_the_word() -> None:
    item = inherited({SECURITY: "true"})
    plan = sync.plan_pod(item, team(), CONFIG)
    assert plan is not None
    assert (plan.changes, plan.held) == ({}, {SECURITY: "port security goes only by the word unprotect"})
    plan = sync.plan_pod(item, team(), CONFIG, unprotect=True)
    assert plan is not None
    assert plan.changes == {SECURITY: None, RECORD: None}
    plan = sync.plan_pod(item, team({SECURITY: "false"}), CONFIG)
    assert plan is not None
    assert plan.changes[SECURITY] == "false"


def test_a_bad_namespace_value_takes_nothing_from_running_pods() -> None:
    item = inherited({SECURITY: "true", RATE: "10"})
    plan = sync.plan_pod(item, team({SECURITY: "True", RATE: "10M"}), CONFIG, unprotect=True)
    assert plan is not None
    assert plan.changes == {}
    assert set(plan.held) == {SECURITY, RATE}
    assert plan.held[RATE] == "the namespace's value is unusable: it is not a whole number of at most nine digits: 10M"
    plan = sync.plan_pod(item, team({SECURITY: "True", RATE: "20"}), CONFIG)
    assert plan is not None
    assert decision.read_record(plan.changes[RECORD]).keys() == {SECURITY, RATE}, "the kept one stays on record"
    assert plan.changes[RATE] == "20"


def test_a_namespace_that_leaves_takes_nothing_from_running_pods() -> None:
    item = inherited({RATE: "10"})
    plan = sync.plan_pod(item, team({RATE: "10"}, labels={}), CONFIG, unprotect=True)
    assert plan is not None
    assert (plan.changes, list(plan.held)) == ({}, [RATE])
    assert "takes no part" in plan.held[RATE]
    plan = sync.plan_pod(item, team({RATE: "10"}, labels={}), CONFIG, withdraw=True)
    assert plan is not None
    assert plan.changes == {RATE: None, RECORD: None}
    assert sync.plan_pod(pod({RATE: "7"}), team({RATE: "10"}, labels={}), CONFIG) is None


def test_a_pod_that_waits_for_its_network_gets_the_right_routes() -> None:
    item = inherited({ROUTES: GATEWAY})
    item["status"] = {"phase": "Pending"}
    plan = sync.plan_pod(item, team({ROUTES: "[]"}), CONFIG)
    assert plan is not None
    assert (plan.changes[ROUTES], plan.drift) == ("[]", ())
    item["status"]["conditions"] = [{"type": "PodReadyToStartContainers", "status": "True"}]
    plan = sync.plan_pod(item, team({ROUTES: "[]"}), CONFIG)
    assert plan is not None
    assert plan.drift


def test_withdrawing_removes_exactly_what_was_inherited() -> None:
    item = inherited({ROUTES: GATEWAY, RATE: "1"})
    item["metadata"]["annotations"][SECURITY] = "true"
    plan = sync.plan_pod(item, team({ROUTES: GATEWAY}), CONFIG, withdraw=True)
    assert plan is not None
    assert plan.changes == {ROUTES: None, RATE: None, RECORD: None}


def test_a_record_of_a_policy_counts_too() -> None:
    item = pod({RATE: "1", RECORD: json.dumps({RATE: "=1"})})
    plan = sync.plan_pod(item, team({RATE: "2"}), CONFIG)
    assert plan is not None
    assert plan.changes == {RATE: "2", RECORD: decision.write_record({RATE: decision.digest("2")})}


@given(
    st.dictionaries(KEYS, VALUES),
    st.dictionaries(KEYS, VALUES),
    st.booleans(),
)
def test_sync_settles_and_never_touches_own_values(own: dict[str, str], values: dict[str, str], word: bool) -> None:
    item = pod(dict(own))
    owned = decision.ours(own, CONFIG)
    plan = sync.plan_pod(item, team(values), CONFIG, unprotect=word)
    if plan is None:
        return
    assert not {key for key in plan.changes if key in own and key not in owned} - {RECORD}
    for key, value in plan.changes.items():
        item["metadata"]["annotations"].pop(key, None)
        if value is not None:
            item["metadata"]["annotations"][key] = value
    again = sync.plan_pod(item, team(values), CONFIG, unprotect=word)
    assert again is None or not again.changes


def test_namespace_options() -> None:
    params = {
        "provider": "ovn",
        "routes": [{"dst": None, "gw": "10.16.0.1"}],
        "port_security": True,
        "annotations": {"mirror": False},
        "remove": ["net1.default.ovn.kubernetes.io/routes"],
        "inherit": True,
    }
    want = namespace.wanted(params)
    assert want.annotations == {
        ROUTES: GATEWAY,
        SECURITY: "true",
        "ovn.kubernetes.io/mirror": "false",
        "net1.default.ovn.kubernetes.io/routes": None,
    }
    item = {"metadata": {"name": "team", "resourceVersion": "3", "annotations": {SECURITY: "true"}}}
    plan = namespace.plan(item, want)
    assert plan.patch() == {
        "metadata": {
            "resourceVersion": "3",
            "annotations": {ROUTES: GATEWAY, "ovn.kubernetes.io/mirror": "false"},
            "labels": LABELS,
        }
    }


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({}, "nothing to do"),
        ({"annotations": {"cidr": "x"}}, "never inherited"),
        ({"remove": ["logical_switch"]}, "never inherited"),
        ({"routes": [], "remove": ["routes"]}, "name it once"),
        ({"annotations": {"port_security": 1}}, "give the text true or false"),
        ({"annotations": {"routes": [{"gw": "10.16.0.1", "via": "x"}]}}, "unknown key 'via'"),
        ({"provider": "Net"}, "provider 'Net'"),
    ],
)
def test_bad_namespace_options(params: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        namespace.wanted({"provider": "ovn", **params})


def test_a_gateway_outside_the_subnet_is_refused() -> None:
    item = {"metadata": {"name": "team", "annotations": {"ovn.kubernetes.io/cidr": "10.17.0.0/16"}}}
    with pytest.raises(InputError, match=r"namespace team: .*outside the namespace's subnets \(10.17.0.0/16\)"):
        namespace.plan(item, namespace.wanted({"provider": "ovn", "routes": [{"gw": "10.16.0.1"}]}))


class Contended:
    """An API whose namespace is changed by somebody else between our reading and our first writing."""

    def __init__(self, conflicts: int) -> None:
        self.conflicts = conflicts
        self.patches: list[Any] = []

    def get(self, path: str, query: Any = None) -> dict[str, Any]:
        return {"metadata": {"name": path.rsplit("/", 1)[1], "resourceVersion": str(len(self.patches))}}

    def patch(self, path: str, body: Any, kind: str = "merge") -> dict[str, Any]:
        self.patches.append(body)
        if len(self.patches) <= self.conflicts:
            raise Conflict("changed meanwhile", status=409)
        return {}


def test_a_namespace_that_was_changed_meanwhile_is_read_again() -> None:
    want = namespace.wanted({"provider": "ovn", "port_security": True})
    api = Contended(1)
    assert all(namespace.reconcile(api, ["team"], want, check_mode=False))
    assert [body["metadata"]["resourceVersion"] for body in api.patches] == ["0", "1"]
    with pytest.raises(Conflict):
        namespace.reconcile(Contended(99), ["team"], want, check_mode=False)
