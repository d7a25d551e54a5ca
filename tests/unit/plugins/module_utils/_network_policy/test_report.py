# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report on a small cluster that has one of everything."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.findings import engine_of
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.profile import Profile
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.report import build
from ansible_collections.podnet.cni.plugins.module_utils._network_policy_sidecar import versions
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._network_policy.cases import (
    ADMIN_VERSIONS,
    admin_policy,
    namespace,
    node,
    pod,
    policy,
    read,
)

WEB, DB = {"app": "web"}, {"app": "db"}
DNS = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}
DNS_PORTS = [{"port": 53, "protocol": "UDP"}, {"port": 53}]


def service(label: str, selector: dict[str, str], ip: str, target: Any = 8443) -> dict[str, Any]:
    space, name = label.split("/")
    ports = [{"port": 443, "targetPort": target}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": space},
        "spec": {"selector": selector, "clusterIPs": [ip], "ports": ports},
    }


def webhook(label: str) -> dict[str, Any]:
    space, name = label.split("/")
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "checks"},
        "webhooks": [
            {"name": "check.example.com", "clientConfig": {"service": {"namespace": space, "name": name}}},
            {"name": "far.example.com", "clientConfig": {"url": "https://198.19.0.1/"}},
        ],
    }


API_SERVER = {
    "apiVersion": "discovery.k8s.io/v1",
    "kind": "EndpointSlice",
    "metadata": {"name": "kubernetes", "namespace": "default", "labels": {"kubernetes.io/service-name": "kubernetes"}},
    "endpoints": [{"addresses": ["198.18.0.1"]}],
    "ports": [{"name": "https", "port": 6443}],
}

CLUSTER = [
    namespace("shop"),
    namespace("kube-system"),
    node("one", 1),
    node("two", 2),
    API_SERVER,
    pod("kube-system/dns", "10.244.1.9", {"k8s-app": "kube-dns"}, nodeName="one"),
    pod("shop/web-0", "10.244.1.2", WEB, nodeName="one", ports=[("http", 8080, "TCP")]),
    pod("shop/web-1", "10.244.2.2", WEB, nodeName="two", ports=[("http", 8080, "TCP")]),
    pod("shop/db-0", "10.244.2.3", DB, nodeName="two"),
    pod("shop/agent", "198.18.0.2", {"app": "agent"}, hostNetwork=True, nodeName="two"),
]


def report(*more: dict[str, Any], version: str = "v1.1.1", **given: Any) -> dict[str, Any]:
    return build(read(*CLUSTER, *more), Profile.parse(version), **given)


def kinds(built: dict[str, Any]) -> list[tuple[str, str, Any, Any]]:
    return [(each["kind"], each["policy"], each["direction"], each["rule"]) for each in built["findings"]]


def flags(built: dict[str, Any]) -> dict[str, list[str]]:
    return {name: row["flags"] for row in built["isolated_pods"] for name in row["pods"]}


def test_nothing_happens_without_policies() -> None:
    built = report()
    assert built["isolated_pods"] == built["findings"] == built["limits"] == built["unknown"] == []
    assert built["summary"]["pods"] == 5
    assert [row["cut_pods"] for row in built["node_sources"]] == [0, 0, 0, 0]


def test_pods_that_become_isolated() -> None:
    built = report(policy("shop/deny", types=["Ingress", "Egress"], pods=WEB), policy("shop/db", pods=DB, ingress=[{}]))
    assert built["isolated_pods"] == [
        {
            "namespace": "shop",
            "pods": ["db-0"],
            "ingress": True,
            "egress": False,
            "ingress_policies": ["shop/db"],
            "egress_policies": [],
            "admin_policies": [],
            "flags": [],
        },
        {
            "namespace": "shop",
            "pods": ["web-0", "web-1"],
            "ingress": True,
            "egress": True,
            "ingress_policies": ["shop/deny"],
            "egress_policies": ["shop/deny"],
            "admin_policies": [],
            "flags": ["deny_all_ingress", "deny_all_egress", "nodes_cut", "no_dns", "no_apiserver"],
        },
    ]
    keys = ("node", "device", "address", "seen_by", "cut_pods")
    assert [tuple(row[key] for key in keys) for row in built["node_sources"]] == [
        ("one", "bridge", "10.244.1.1", "own_node", 1),
        ("one", "overlay", "10.244.1.0", "other_nodes", 1),
        ("two", "bridge", "10.244.2.1", "own_node", 1),
        ("two", "overlay", "10.244.2.0", "other_nodes", 1),
    ]
    assert {row["policy"]: (row["dormant"], row["pods"]) for row in built["policies"]} == {
        "shop/deny": (True, 2),
        "shop/db": (True, 1),
    }


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"to": [DNS], "ports": DNS_PORTS}, ["no_apiserver"]),
        ({"to": [DNS], "ports": DNS_PORTS[:1]}, ["no_dns", "no_apiserver"]),
        ({"to": [{"ipBlock": {"cidr": "198.18.0.0/24"}}]}, ["no_dns"]),
        ({"to": [{"ipBlock": {"cidr": "198.18.0.0/24"}}], "ports": [{"port": 443}]}, ["no_dns", "no_apiserver"]),
        ({}, []),
    ],
)
def test_what_egress_rules_leave(rule: dict[str, Any], expected: list[str]) -> None:
    built = report(policy("shop/out", types=["Egress"], pods=DB, egress=[rule]))
    assert flags(built) == {"db-0": expected}


def test_a_block_lets_some_nodes_in() -> None:
    block = {"from": [{"ipBlock": {"cidr": "10.244.1.0/32"}}]}
    built = report(policy("shop/in", pods=DB, ingress=[block]))
    assert flags(built) == {"db-0": []}
    cut = {(row["node"], row["device"]): row["cut_pods"] for row in built["node_sources"]}
    assert cut == {("one", "overlay"): 0, ("one", "bridge"): 0, ("two", "overlay"): 0, ("two", "bridge"): 1}


def test_a_block_that_covers_no_node_lets_none_in() -> None:
    block = {"from": [{"ipBlock": {"cidr": "203.0.113.0/24"}}]}
    assert flags(report(policy("shop/in", pods=DB, ingress=[block]))) == {"db-0": ["nodes_cut"]}
    # The two are on two nodes, and only one of the nodes is let in.
    block = {"from": [{"ipBlock": {"cidr": "10.244.1.0/32"}}]}
    built = report(policy("shop/in", ingress=[block]))
    assert {name: found for name, found in flags(built).items() if name == "web-0"} == {"web-0": ["some_nodes_cut"]}


def test_every_api_server_has_to_be_reached() -> None:
    rule = {"to": [{"ipBlock": {"cidr": "198.18.0.0/24"}}, DNS]}
    further = copy.deepcopy(API_SERVER)
    further["metadata"]["name"] = "further"
    further["endpoints"] = [{"addresses": ["198.18.7.10"]}]
    of_other_family = copy.deepcopy(API_SERVER)
    of_other_family["metadata"]["name"] = "v6"
    of_other_family["endpoints"] = [{"addresses": ["fd00::1"]}]
    out = policy("shop/out", types=["Egress"], pods=DB, egress=[rule])
    assert flags(report(out, of_other_family)) == {"db-0": []}
    built = report(out, further)
    assert flags(built) == {"db-0": ["some_apiservers_cut"]}


def test_webhooks_need_the_servers_overlay_address() -> None:
    hook = [service("shop/hook", DB, "10.96.0.9"), webhook("shop/hook")]
    closed = report(*hook, policy("shop/in", pods=DB, ingress=[{"from": [{"podSelector": {}}]}]))
    assert [(row["name"], row["cut_pods"], row["cut_addresses"]) for row in closed["callbacks"]] == [
        ("checks/check.example.com", ["shop/db-0"], ["10.244.1.0"])
    ]
    assert flags(closed) == {"db-0": ["nodes_cut", "webhook_unreachable"]}
    block = {"from": [{"ipBlock": {"cidr": "10.244.1.0/32"}}], "ports": [{"port": 8443}]}
    opened = report(*hook, policy("shop/in", pods=DB, ingress=[block]))
    assert opened["callbacks"][0]["cut_pods"] == []


def test_mistakes_are_found() -> None:
    built = report(
        pod("shop/job", "fd00:18::1,10.244.2.9", {"app": "job"}, ports=[("run", 1, "UDP")]),
        service("shop/web", WEB, "10.96.0.10"),
        policy(
            "shop/a-typo", pods={"app": "wbe"}, ingress=[{"from": [{"podSelector": {"matchLabels": {"app": "x"}}}]}]
        ),
        policy("shop/b-ignored", types=["Egress"], pods=DB, ingress=[{}]),
        policy("shop/c-name", pods=WEB, ingress=[{"ports": [{"port": "http"}]}, {"ports": [{"port": "https"}]}]),
        policy("shop/d-pods", pods=WEB, ingress=[{"from": [{"ipBlock": {"cidr": "10.244.0.0/16"}}]}]),
        policy("shop/e-vip", types=["Egress"], pods=WEB, egress=[{"to": [{"ipBlock": {"cidr": "10.96.0.0/12"}}]}]),
        policy("shop/f-name", types=["Egress"], egress=[{"to": [{"podSelector": {}}], "ports": [{"port": "run"}]}]),
    )
    assert kinds(built) == [
        ("selector_matches_nothing", "shop/a-typo", None, None),
        ("peer_matches_nothing", "shop/a-typo", "ingress", 0),
        ("rules_ignored", "shop/b-ignored", "ingress", None),
        ("named_port_unresolved", "shop/c-name", "ingress", 1),
        ("ipblock_covers_pods", "shop/d-pods", "ingress", 0),
        ("family_gap", "shop/d-pods", "ingress", 0),
        ("ipblock_covers_services", "shop/e-vip", "egress", 0),
        ("family_gap", "shop/e-vip", "egress", 0),
        ("named_port_unresolved", "shop/f-name", "egress", 0),
    ]
    assert built["summary"]["select_nothing"] == 1


def test_a_port_of_an_init_container_is_named() -> None:
    helper = pod("shop/side", "10.244.2.9", {"app": "side"})
    helper["spec"]["initContainers"] = [{"name": "proxy", "ports": [{"name": "proxy", "containerPort": 1}]}]
    built = report(helper, policy("shop/p", pods={"app": "side"}, ingress=[{"ports": [{"port": "proxy"}]}]))
    assert "init containers have" in built["findings"][0]["message"]


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("api", ["host_network_subject"]),
        ("v1.1.1", ["host_network_subject", "established_revived"]),
        ("v1.1.0", ["host_network_subject", "node_address_enrolled", "established_revived"]),
        (
            "v1.0.0",
            ["host_network_subject", "node_address_enrolled", "own_node_egress_unseen", "established_revived"],
        ),
        ("v0.7.0", ["host_network_subject", "own_node_egress_unseen", "established_kept", "fails_closed"]),
        (
            "v0.4.0",
            [
                "host_network_subject",
                "own_node_egress_unseen",
                "probes_judged",
                "established_kept",
                "ipvs_unseen",
                "fails_closed",
            ],
        ),
    ],
)
def test_what_releases_do_not_enforce(version: str, expected: list[str]) -> None:
    built = report(policy("shop/deny", types=["Ingress", "Egress"]), version=version)
    assert [row["kind"] for row in built["limits"]] == expected
    assert all(row["policies"] == ["shop/deny"] for row in built["limits"])
    assert built["host_network_pods"] == [{"namespace": "shop", "pods": ["agent"], "policies": ["shop/deny"]}]
    assert ("probe_risk" in flags(built)["db-0"]) is (version == "v0.4.0")


@pytest.mark.parametrize(
    ("version", "kept"),
    [
        (
            "v1.1.1-npa-v1alpha2",
            {"ClusterNetworkPolicy p": "until a NetworkPolicy for Pods of the node changes as well"},
        ),
        ("v1.1.1-npa-v1alpha1", {"shop/deny": "a policy that forbids them", "AdminNetworkPolicy p": "an admin policy"}),
        ("v0.9.0-npa-v1alpha2", {"shop/deny": "a policy that forbids them", "ClusterNetworkPolicy p": "forbids them"}),
    ],
)
def test_what_flavours_leave_of_open_connections(version: str, kept: dict[str, str]) -> None:
    kind = "AdminNetworkPolicy" if version.endswith("1") else "ClusterNetworkPolicy"
    built = report(policy("shop/deny"), admin_policy(kind), version=version)
    rows = {row["policies"][0]: row for row in built["limits"] if row["kind"] == "established_kept"}
    assert list(rows) == list(kept)
    assert all(text in rows[label]["message"] for label, text in kept.items())
    # A release that looks at them is no remedy for a flavour that never does.
    assert ("v1.0.0" in rows.get("shop/deny", {"remedy": ""})["remedy"]) is (version == "v0.9.0-npa-v1alpha2")


@pytest.mark.parametrize("kind", sorted(ADMIN_VERSIONS))
def test_admin_policies_need_their_image(kind: str) -> None:
    found = report(admin_policy(kind))["limits"]
    name = "default" if kind.startswith("Baseline") else "p"
    assert [(row["kind"], row["policies"]) for row in found] == [("admin_policy_unsupported", [f"{kind} {name}"])]
    flavour = f"-npa-{ADMIN_VERSIONS[kind]}"
    assert flavour in found[0]["remedy"]
    # The remedy is one that helps, and one that the module sets up.
    limits = report(admin_policy(kind), version=f"v1.1.1{flavour}")["limits"]
    assert [(row["kind"], row["policies"]) for row in limits] == [("established_kept", [f"{kind} {name}"])]
    assert f"{kind[:-1].lower()}ies" in versions.flavour(f"v1.1.1{flavour}").kinds


def test_policies_of_a_running_engine_are_not_dormant() -> None:
    calico = pod("kube-system/calico", "198.18.0.1", hostNetwork=True, image="docker.io/calico/node:v3.30.0@sha256:00")
    built = report(calico, policy("shop/deny"))
    assert built["engines"] == [{"engine": "calico", "namespace": "kube-system", "version": "v3.30.0", "pods": 1}]
    assert [row["dormant"] for row in built["policies"]] == [False]
    assert engine_of("docker.io/library/node:22") == ("", "")


def test_flows_and_namespaces() -> None:
    flows = [
        {"from": "shop/web-0", "to": "shop/db-0", "port": 5432},
        {"from": "198.19.0.1", "to": "shop/db-0", "port": 5432, "protocol": "UDP"},
        {"from": "fd00:18::9", "to": "shop/db-0", "protocol": "ICMP"},
    ]
    in_shop = policy("shop/db", pods=DB, ingress=[{"from": [{"podSelector": {"matchLabels": WEB}}]}])
    everywhere = policy("kube-system/all")
    built = report(in_shop, everywhere, flows=flows, namespaces=["shop"], version="v0.5.1")
    assert [(row["flow"], row["verdict"], row["policy"], row["rule"]) for row in built["verdicts"]] == [
        (0, "allow", "shop/db", 0),
        (1, "deny", "shop/db", None),
        (2, "no_path", None, None),
    ]
    assert built["summary"]["denied_flows"] == 2
    assert [row["policy"] for row in built["policies"]] == ["shop/db"]
    assert {row["namespace"] for row in built["isolated_pods"]} == {"shop"}
    assert [row["policies"] for row in built["limits"]] == [["shop/db"], ["shop/db"]]


def test_verdicts_say_where_a_connection_begins_and_ends() -> None:
    two = pod("shop/two", "198.19.7.7,fd00:18:7::7", nodeName="n1")
    other = pod("shop/other", "198.19.8.8,fd00:18:8::8", nodeName="n2")
    flows = [
        {"from": "shop/two", "to": "shop/other", "port": 1},
        {"from": "198.18.99.1", "to": "shop/starts", "port": 1},
        {"from": "fd00:18::9", "to": "198.18.99.1", "port": 1},
    ]
    built = report(two, other, pod("shop/starts"), flows=flows)
    places = [(row["from_address"], row["to_address"], row["from_node"]) for row in built["verdicts"]]
    assert places == [
        ("198.19.7.7", "198.19.8.8", "n1"),
        ("fd00:18:7::7", "fd00:18:8::8", "n1"),
        ("198.18.99.1", None, None),
        (None, None, None),
    ]


def test_remarks_of_verdicts() -> None:
    done = pod("shop/done", "10.244.2.9", DB, phase="Failed")
    flows = [
        {"from": "shop/db-0", "to": "shop/db-0", "port": 1},
        {"from": "shop/db-0", "to": "shop/done", "port": 1},
        {"from": "shop/db-0", "to": "10.96.0.10", "port": 1},
    ]
    many = [policy(f"shop/deny-{number}", pods=DB) for number in range(7)]
    built = report(done, service("shop/web", WEB, "10.96.0.10"), *many, flows=flows)
    own, finished, virtual = (row["reason"] for row in built["verdicts"])
    assert "shop/deny-4 and 2 more, and no rule allows it" in own and "a Pod always reaches itself directly" in own
    assert "shop/done is finished" in finished
    assert "Service shop/web has no port 1 of protocol TCP" in virtual
    assert {row["verdict"] for row in built["verdicts"]} == {"unknown"}


@pytest.mark.parametrize(
    ("flow", "message"),
    [
        ({"from": "shop/web-0", "to": "shop/db-0"}, r"flows\[0\].port is None. Give the destination's port"),
        ({"from": "shop/web-0", "to": "shop/db-0", "port": 0}, "from 1 to 65535"),
        ({"from": "shop/web-0", "to": "shop/db-0", "port": 1, "protocol": "ICMP"}, "ICMP has no ports"),
        ({"from": "shop/web-0", "to": "shop/db-0", "port": 1, "protocol": "GRE"}, "Use TCP, UDP, SCTP, ICMP"),
        ({"from": "web-0", "to": "shop/db-0", "port": 1}, r"flows\[0\].from is 'web-0'"),
    ],
)
def test_flows_that_cannot_be_judged(flow: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        report(flows=[flow])


def test_a_namespace_that_does_not_exist() -> None:
    with pytest.raises(InputError, match="there is no namespace 'shpo'"):
        report(namespaces=["shpo"])


def test_addresses_of_nodes_are_taken_from_pods() -> None:
    """Nodes may be forbidden to read; what Pods say is enough to know the node's own address."""
    found = read(namespace("x"), pod("x/a", "10.244.1.2", nodeName="one", host_ip="198.18.0.1"))
    built = build(found, Profile.parse("v1.1.1"))
    assert [(row["device"], row["address"], row["seen_by"]) for row in built["node_sources"]] == [
        ("underlay", "198.18.0.1", "own_node"),
        ("underlay", "198.18.0.1", "other_nodes"),
    ]
