# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Admin policies: what is left open, what the agent does otherwise, what definitions refuse, what the report says."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._network_policy.profile import Profile
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.report import build
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._network_policy.cases import (
    ADMIN_VERSIONS,
    admin_policy,
    namespace,
    node,
    pod,
    policy,
    read,
)

NEW, OLD = "v1.1.1-npa-v1alpha2", "v1.1.1-npa-v1alpha1"
CNP, ANP, BANP = "ClusterNetworkPolicy", "AdminNetworkPolicy", "BaselineAdminNetworkPolicy"
WEB, DB = {"app": "web"}, {"app": "db"}
EVERYWHERE = [{"networks": ["0.0.0.0/0", "::/0"]}]
OBJECTS = (
    namespace("shop"),
    namespace("kube-system"),
    node("one", 1),
    node("two", 2),
    pod("shop/web", "10.244.1.2", WEB, nodeName="one", ports=[("http", 8080, "TCP")]),
    pod("shop/db", "10.244.2.3", DB, nodeName="two", ports=[("http", 80, "TCP")]),
    pod("shop/starts", "", {"app": "starts"}),
    pod("kube-system/dns", "10.244.2.9", {"k8s-app": "kube-dns"}, nodeName="two"),
)


def rule(action: str, to: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {"action": action, "to": to, **more}


def outwards(*rules: dict[str, Any], name: str = "p", **spec: Any) -> dict[str, Any]:
    return admin_policy(CNP, name, egress=list(rules), **spec)


def verdict(*objects: Any, version: str = NEW, source: str = "shop/web", target: str = "shop/db", **flow: Any) -> Any:
    found = read(*OBJECTS, *objects)
    assert found.unreadable == []
    if flow.get("protocol") != "ICMP":
        flow.setdefault("port", 80)
    rows = build(found, Profile.parse(version), flows=[{"from": source, "to": target, **flow}])["verdicts"]
    assert len(rows) == 1
    return rows[0]


def test_the_rule_that_decides_is_named() -> None:
    row = verdict(outwards(rule("Pass", [{"networks": ["192.0.2.0/24"]}]), rule("Deny", EVERYWHERE)))
    assert (row["verdict"], row["direction"], row["policy"], row["rule"]) == ("deny", "egress", f"{CNP} p", 1)
    assert row["reason"] == f"egress rule 1 of {CNP} p denies it"
    inwards = admin_policy(CNP, ingress=[{"action": "Accept", "from": [{"namespaces": {}}]}])
    row = verdict(inwards, policy("shop/deny"))
    assert (row["verdict"], row["direction"], row["policy"], row["rule"]) == ("allow", "ingress", f"{CNP} p", 0)


def test_what_a_name_resolves_to_is_not_known() -> None:
    name = rule("Accept", [{"domainNames": ["*.example.com"]}])
    deny = rule("Deny", EVERYWHERE)
    row = verdict(outwards(name, deny), target="192.0.2.9")
    assert row["verdict"] == "unknown"
    assert "whether *.example.com is the other end is not known" in row["reason"]
    # Whatever it resolves to, the outcome is the same: accepted, or let through by nobody's denial.
    assert verdict(outwards(name), target="192.0.2.9")["verdict"] == "allow"
    assert verdict(outwards(deny, name), target="192.0.2.9")["verdict"] == "deny"
    # One end that denies for certain settles it.
    closed = policy("shop/closed", pods=DB)
    assert verdict(outwards(name, deny), closed)["verdict"] == "deny"


def test_policies_of_one_priority() -> None:
    """The API lets the implementation choose; the agent goes by the name."""
    first, second = outwards(rule("Deny", EVERYWHERE), name="a"), outwards(rule("Accept", EVERYWHERE), name="b")
    row = verdict(first, second, version="api")
    assert row["verdict"] == "unknown"
    assert f"{CNP} a and {CNP} b have the priority 5" in row["reason"]
    assert verdict(first, second)["policy"] == f"{CNP} a"
    elsewhere = outwards(rule("Accept", [{"networks": ["192.0.2.0/24"]}]), name="b")
    assert verdict(first, elsewhere, version="api")["verdict"] == "deny", "one of them says nothing about it"
    before = outwards(rule("Pass", EVERYWHERE), name="c", priority=4)
    assert verdict(first, second, before, version="api")["verdict"] == "allow"
    kinds = [
        (row["kind"], row["policy"]) for row in build(read(*OBJECTS, first, second), Profile.parse(NEW))["findings"]
    ]
    assert kinds == [("same_priority", f"{CNP} b")]


def test_the_baseline_and_policies_of_the_other_direction() -> None:
    """The agent asks no baseline policy about a Pod that any NetworkPolicy selects; the API leaves it open."""
    baseline = outwards(rule("Deny", EVERYWHERE), tier="Baseline")
    inwards = policy("shop/in", pods=WEB, ingress=[{}])
    assert verdict(baseline)["verdict"] == "deny"
    assert verdict(baseline, inwards)["verdict"] == "allow"
    row = verdict(baseline, inwards, version="api")
    assert row["verdict"] == "unknown"
    assert "of one direction only" in row["reason"]
    assert verdict(baseline, policy("shop/out", types=["Egress"], pods=WEB, egress=[{}]))["verdict"] == "allow"


def test_kinds_count_only_where_the_image_enforces_them() -> None:
    deny = [rule("Deny", EVERYWHERE)]
    for kind, version in ((CNP, NEW), (ANP, OLD), (BANP, OLD)):
        item = admin_policy(kind, egress=deny)
        assert verdict(item, version=version)["verdict"] == "deny"
        assert verdict(item, version="api")["verdict"] == "deny"
        other = OLD if version == NEW else NEW
        for without in ("v1.1.1", other):
            assert verdict(item, version=without)["verdict"] == "allow"


def test_what_is_no_pod_is_no_subject_and_no_ingress_peer() -> None:
    everything = admin_policy(
        CNP, ingress=[{"action": "Deny", "from": [{"namespaces": {}}]}], egress=[rule("Deny", EVERYWHERE)]
    )
    host = pod("shop/agent", "198.18.0.2", {"app": "agent"}, hostNetwork=True, nodeName="two")
    assert verdict(everything, host, source="shop/agent", target="192.0.2.9")["verdict"] == "allow"
    assert verdict(everything, source="192.0.2.9", target="shop/db")["verdict"] == "allow"
    assert verdict(everything, host, target="198.18.0.2")["verdict"] == "deny"


def test_icmp() -> None:
    wide, narrow = (
        rule("Deny", EVERYWHERE),
        rule("Deny", EVERYWHERE, protocols=[{"tcp": {"destinationPort": {"number": 80}}}]),
    )
    for version in (NEW, "api"):
        assert verdict(outwards(wide), protocol="ICMP", version=version)["verdict"] == "deny"
        assert verdict(outwards(narrow), protocol="ICMP", version=version)["verdict"] == "allow"


def test_nodes() -> None:
    one = [{"nodes": {"matchLabels": {"kubernetes.io/hostname": "one"}}}]
    cases = (("198.18.0.1", "deny"), ("198.18.0.2", "allow"), ("192.0.2.9", "allow"), ("shop/db", "allow"))
    for target, wanted in cases:
        assert verdict(outwards(rule("Deny", one)), target=target)["verdict"] == wanted
    # The agent for v1alpha1 asks on which Node a Pod runs.
    two = [{"nodes": {"matchLabels": {"kubernetes.io/hostname": "two"}}}]
    old = admin_policy(ANP, egress=[rule("Deny", two)])
    assert verdict(old, version=OLD)["verdict"] == "deny"
    assert verdict(old, version=OLD, target="198.18.0.2")["verdict"] == "allow"
    found = build(read(*OBJECTS, old), Profile.parse(OLD))["limits"]
    assert [row["kind"] for row in found] == ["established_kept", "node_peers_match_pods"]
    named = admin_policy(ANP, egress=[rule("Deny", [{"namespaces": {}}], ports=[{"namedPort": "http"}])])
    found = build(read(*OBJECTS, named), Profile.parse(OLD))["limits"]
    assert [row["kind"] for row in found] == ["named_port_matches_all", "established_kept"]


def test_nodes_that_could_not_be_read() -> None:
    """Pods tell the addresses of their Nodes and not the labels."""
    seen = [pod("shop/web", "10.244.1.2", WEB, nodeName="one", host_ip="198.18.0.1")]
    deny = outwards(rule("Deny", [{"nodes": {"matchLabels": {"zone": "a"}}}]))
    for target, wanted in (("198.18.0.7", "unknown"), ("198.18.0.1", "unknown")):
        found = read(namespace("shop"), *seen, deny)
        flow = {"from": "shop/web", "to": target, "port": 80}
        # Egress to the own node is looked at by this release too.
        assert build(found, Profile.parse(NEW), flows=[flow])["verdicts"][0]["verdict"] == wanted


def test_a_pod_without_an_address() -> None:
    deny = outwards(rule("Deny", [{"networks": ["10.244.0.0/16"]}]))
    row = verdict(deny, target="shop/starts")
    assert row["verdict"] == "unknown"
    assert "10.244.0.0/16 is the other end is not known" in row["reason"]


def test_the_own_node_by_the_text_of_the_api() -> None:
    """NetworkPolicies always let it pass; the Admin tier may deny it."""
    closed = policy("shop/closed", types=["Egress"], pods=WEB)
    deny = outwards(rule("Deny", [{"nodes": {}}]))
    assert verdict(closed, version="api", target="198.18.0.1")["verdict"] == "allow"
    assert verdict(closed, deny, version="api", target="198.18.0.1")["verdict"] == "deny"


def test_flags_ask_admin_policies_too() -> None:
    servers = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": "kubernetes"},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["198.18.0.9"]}],
        "ports": [{"name": "https", "port": 6443}],
    }
    subject = {"pods": {"namespaceSelector": {}, "podSelector": {"matchLabels": WEB}}}
    name = rule("Accept", [{"domainNames": ["api.example.com"]}])

    def flags(*objects: Any) -> Any:
        built = build(read(*OBJECTS, servers, *objects), Profile.parse(NEW))
        return {pod_name: row["flags"] for row in built["isolated_pods"] for pod_name in row["pods"]}.get("web")

    closed = policy("shop/closed", types=["Egress"], pods=WEB)
    assert flags() is None
    assert flags(outwards(rule("Deny", EVERYWHERE), subject=subject)) == ["no_dns", "no_apiserver"]
    assert flags(outwards(rule("Deny", [{"networks": ["198.18.0.9/32"]}]), subject=subject)) == ["no_apiserver"]
    assert flags(outwards(name, rule("Deny", EVERYWHERE), subject=subject)) == ["dns_unknown", "apiserver_unknown"]
    opened = outwards(rule("Accept", EVERYWHERE), subject=subject)
    assert flags(closed, opened) == ["deny_all_egress"], "the Admin tier opens what the NetworkPolicy closes"
    assert flags(closed) == ["deny_all_egress", "no_dns", "no_apiserver"]


def test_what_the_report_says_of_them() -> None:
    typo = admin_policy(
        CNP,
        "typo",
        priority=7,
        subject={"namespaces": {"matchLabels": {"a": "b"}}},
        ingress=[{"name": "in", "action": "Deny", "from": [{"namespaces": {"matchLabels": {"c": "d"}}}]}],
    )
    built = build(read(*OBJECTS, typo, outwards(rule("Deny", EVERYWHERE))), Profile.parse(NEW))
    assert [(row["policy"], row["priority"], row["pods"], row["enforced"]) for row in built["admin_policies"]] == [
        (f"{CNP} p", 5, 4, True),
        (f"{CNP} typo", 7, 0, True),
    ]
    assert built["admin_policies"][1]["rules"] == [
        {
            "direction": "ingress",
            "rule": 0,
            "name": "in",
            "action": "Deny",
            "peers": "all pods of namespaces c=d on any port",
        }
    ]
    found = [(row["kind"], row["policy"]) for row in built["findings"]]
    assert found == [("selector_matches_nothing", f"{CNP} typo"), ("peer_matches_nothing", f"{CNP} typo")]
    assert built["summary"]["admin_policies"] == 2


def test_a_pod_that_only_admin_policies_deny_is_described_like_any_other() -> None:
    row = verdict(outwards(rule("Deny", EVERYWHERE)))
    assert row["egress"] == {
        "isolated": False,
        "allowed": False,
        "policy": f"{CNP} p",
        "rule": 0,
        "policies": [f"{CNP} p"],
        "note": None,
    }


PODS = {"namespaces": {}}
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    (CNP, {"tier": "Middle"}, "spec.tier is 'Middle'"),
    (CNP, {"priority": 1001}, "spec.priority is 1001"),
    (CNP, {"priority": None}, "spec.priority is None"),
    (CNP, {"subject": {}}, "spec.subject has 0 of the fields"),
    (CNP, {"subject": {"namespaces": {}, "pods": {}}}, "spec.subject has 2 of the fields"),
    (CNP, {"egress": [{"action": "Allow", "to": [PODS]}]}, "action is 'Allow'. Use Accept, Deny, Pass"),
    (ANP, {"egress": [{"action": "Accept", "to": [PODS]}]}, "action is 'Accept'. Use Allow, Deny, Pass"),
    (BANP, {"egress": [{"action": "Pass", "to": [PODS]}]}, "action is 'Pass'. Use Allow, Deny."),
    (CNP, {"egress": [{"action": "Deny", "to": []}]}, "spec.egress[0].to has 0 entries"),
    (CNP, {"egress": [{"action": "Deny", "to": [{}]}]}, "spec.egress[0].to[0] has 0 of the fields"),
    (CNP, {"egress": [{"action": "Deny", "to": [PODS] * 26}]}, "Use 1 to 25"),
    (CNP, {"egress": [{"action": "Deny", "to": [PODS]}] * 26}, "There can be 25"),
    (ANP, {"egress": [{"action": "Deny", "to": [PODS]}] * 101}, "There can be 100"),
    (CNP, {"ingress": [{"action": "Deny", "from": [{"networks": ["10.0.0.0/8"]}]}]}, "'networks', which is not known"),
    (CNP, {"egress": [{"action": "Deny", "to": [{"networks": ["10.0.0.0"]}]}]}, "no network"),
    (CNP, {"egress": [{"action": "Deny", "to": [{"domainNames": ["a.b"]}]}]}, "does not accept"),
    (CNP, {"egress": [{"action": "Accept", "to": [{"domainNames": ["a.*.b"]}]}]}, "no name like"),
    (
        CNP,
        {"egress": [{"action": "Deny", "to": EVERYWHERE, "protocols": [{"destinationNamedPort": "web"}]}]},
        "nothing else has named ports",
    ),
    (
        CNP,
        {"egress": [{"action": "Deny", "to": [PODS], "protocols": [{"tcp": {"destinationPort": {"number": 0}}}]}]},
        "from 1 to 65535",
    ),
    (
        CNP,
        {
            "egress": [
                {
                    "action": "Deny",
                    "to": [PODS],
                    "protocols": [{"tcp": {"destinationPort": {"range": {"start": 9, "end": 8}}}}],
                }
            ]
        },
        "before its start 9",
    ),
    (
        ANP,
        {"egress": [{"action": "Deny", "to": [PODS], "ports": [{"portNumber": {"protocol": "ICMP", "port": 1}}]}]},
        "ICMP",
    ),
    (CNP, {"ingress": [{"action": "Deny", "from": [PODS], "name": "n" * 101}]}, "up to 100 characters"),
]


@pytest.mark.parametrize(("kind", "spec", "message"), REFUSED)
def test_what_a_definition_refuses(kind: str, spec: dict[str, Any], message: str) -> None:
    item = admin_policy(kind)
    item["spec"].update(spec)
    found = read(item)
    assert message in found.unreadable[0].message
    assert found.admin_policies == {} and not found.hidden
    item["metadata"]["uid"] = "0"
    assert read(item).hidden == {kind}, "what a server has and we cannot read may decide"


def test_every_kind_is_read() -> None:
    found = read(*(admin_policy(kind, egress=[rule("Deny", EVERYWHERE)]) for kind in ADMIN_VERSIONS))
    assert {label.split()[0] for label in found.admin_policies} == set(ADMIN_VERSIONS)
    wrong = admin_policy(BANP)
    wrong["metadata"]["name"] = "other"
    assert "named default" in read(wrong).unreadable[0].message
