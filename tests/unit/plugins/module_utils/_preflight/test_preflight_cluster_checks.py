# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The checks of a cluster: each fault is found, none is invented, and partial facts are borne."""

from __future__ import annotations

import copy
import ipaddress
import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.module_utils._preflight.cluster_checks import CLUSTER_CHECKS
from ansible_collections.podnet.cni.plugins.module_utils._preflight.cluster_checks_admission import ENFORCE
from ansible_collections.podnet.cni.plugins.module_utils._preflight.finding import SEVERITIES, STATUSES

WANTED = {
    "plugin": "flannel",
    "flannel": "v0.28.9",
    "namespace": "kube-flannel",
    "health_port": 8081,
    "network_config": {"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}},
}
DUAL = {
    "EnableIPv6": True,
    "Network": "10.244.0.0/16",
    "IPv6Network": "fd00:10:244::/56",
    "Backend": {"Type": "vxlan"},
}


def node(number, **changes):
    annotations = {
        "backend-type": "vxlan",
        "public-ip": f"198.18.0.{number}",
        "backend-data": json.dumps({"VNI": 1, "VtepMAC": f"0a:00:00:00:00:{number:02x}"}),
        "kube-subnet-manager": "true",
    }
    return {
        "name": f"n{number}",
        "os": "linux",
        "kubelet": "v1.36.2",
        "pod_cidrs": [f"10.244.{number}.0/24"],
        "internal_ips": [f"198.18.0.{number}"],
        "external_ips": [],
        "ready": "True",
        "network_unavailable": "False",
        "network_reason": "FlannelIsUp",
        "annotations": annotations,
        **changes,
    }


def component(plugin="flannel", role="primary", **changes):
    return {
        "plugin": plugin,
        "role": role,
        "install_method": "manifest",
        "scope": "cluster",
        "stale_suspected": False,
        "health": {"state": "healthy", "reasons": []},
        "workloads": [{"namespace": "kube-flannel", "name": "kube-flannel-ds"}],
        "networking": {"service_cidrs": [{"cidr": "10.96.0.0/16", "family": 4}]},
        "warnings": [],
        **changes,
    }


POD_RULE = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"], "scope": "*"}


def webhook(**changes):
    return {
        "kind": "ValidatingWebhookConfiguration",
        "configuration": "guard",
        "name": "guard.example.org",
        "failure_policy": "Fail",
        "match_policy": "Equivalent",
        "rules": [POD_RULE],
        "namespace_selector": {},
        "object_selector": {},
        "match_conditions": [],
        "service": "guard/guard",
        "url": "",
        "backend": {"ready": 2, "host_network": False},
        **changes,
    }


def policy(**changes):
    return {
        "kind": "ValidatingAdmissionPolicy",
        "name": "no-host-network",
        "failure_policy": "Fail",
        "match_policy": "Equivalent",
        "rules": [POD_RULE],
        "excluded": [],
        "namespace_selector": {},
        "object_selector": {},
        "bindings": [{"name": "everywhere", "actions": ["Deny"], "namespace_selector": {}, "object_selector": {}}],
        **changes,
    }


def healthy():
    return {
        "subject": "cluster",
        "api": {"answers": True, "ready": True, "problem": ""},
        "version": "v1.36.2",
        "nodes": [node(number) for number in (1, 2, 3)],
        "namespace": {"name": "kube-flannel", "exists": True, "labels": {ENFORCE: "privileged"}},
        "components": [component()],
        "webhooks": [webhook(failure_policy="Ignore"), webhook(namespace_selector={"matchLabels": {"guard": "on"}})],
        "policies": [policy(bindings=[])],
        "controller_manager": {
            "visible": True,
            "flags": {"allocate-node-cidrs": "true", "cluster-cidr": "10.244.0.0/16"},
        },
        "kube_proxy": {"found": True, "mode": "iptables"},
        "host_ports": [
            {"daemonset": "kube-flannel/kube-flannel-ds", "container": "kube-flannel", "port": 8081},
            {"daemonset": "monitoring/node-exporter", "container": "node-exporter", "port": 9100},
        ],
        "reasons": {},
        "requests": 20,
    }


def asked(facts, wanted=None):
    return [finding for check in CLUSTER_CHECKS for finding in check(facts, WANTED if wanted is None else wanted)]


def of(name, facts, wanted=None):
    return [finding for finding in asked(facts, wanted) if finding.id == f"cluster.{name}"]


def put(facts, *path_and_value):
    *path, last, value = path_and_value
    changed = copy.deepcopy(facts)
    place = changed
    for step in path:
        place = place[step]
    place[last] = value
    return changed


def test_nothing_is_found_in_a_healthy_cluster():
    findings = asked(healthy())
    assert {finding.status for finding in findings} <= {"ok", "skipped"}, [f for f in findings if f.status == "failed"]
    assert {finding.id for finding in findings} == {check.id for check in CLUSTER_CHECKS}


def test_nothing_is_found_in_an_empty_cluster():
    facts = {
        **healthy(),
        "nodes": [],
        "components": [component("generic", workloads=[])],
        "namespace": {"name": "kube-flannel", "exists": False, "labels": {}},
        "controller_manager": {"visible": False, "flags": {}},
        "kube_proxy": {"found": False, "mode": ""},
        "webhooks": [],
        "policies": [],
        "host_ports": [],
    }
    unsure = {finding.id for finding in asked(facts) if finding.status not in ("ok", "skipped")}
    assert unsure == {"cluster.allocate_node_cidrs"}, "an empty cluster does not show who gives out podCIDRs"


def test_ids_are_unique_and_titled():
    ids = [check.id for check in CLUSTER_CHECKS]
    assert len(set(ids)) == len(ids)
    assert all(check.title and check.id.startswith("cluster.") for check in CLUSTER_CHECKS)


WINDOWS = {"kubelet": "v1.36.2", "os": "windows", "annotations": {}}
HIDDEN = {"visible": False, "flags": {}}
BARE = [node(1, pod_cidrs=[]), node(2, pod_cidrs=[])]
NFT = {**WANTED, "network_config": {**WANTED["network_config"], "EnableNFTables": True}}


@pytest.mark.parametrize(
    ("name", "path", "says", "severity", "wanted"),
    [
        ("api", ("api", {"answers": True, "ready": False, "problem": "/readyz: etcd failed"}), "etcd", "error", None),
        ("api", ("api", {"answers": False, "ready": False, "problem": "cannot connect"}), "connect", "error", None),
        ("pod_cidr", ("nodes", 1, "pod_cidrs", []), "no podCIDR of IPv4", "error", None),
        ("pod_cidr", ("version", "v1.36.2"), "no podCIDR of IPv6", "error", {**WANTED, "network_config": DUAL}),
        ("pod_cidr_range", ("nodes", 0, "pod_cidrs", ["10.9.0.0/24"]), "10.9.0.0/24", "error", None),
        ("pod_cidr_unique", ("nodes", 0, "pod_cidrs", ["10.244.2.128/25"]), "of Node/n2", "error", None),
        ("pod_cidr_unique", ("nodes", 2, "pod_cidrs", ["10.244.1.0/24"]), "overlaps 10.244.1.0/24", "error", None),
        (
            "network_overlap",
            ("components", 0, "networking", "service_cidrs", [{"cidr": "10.244.128.0/20"}]),
            "Service range 10.244.128.0/20",
            "error",
            None,
        ),
        ("network_overlap", ("nodes", 0, "internal_ips", ["10.244.9.9"]), "its address 10.244.9.9", "error", None),
        ("capacity", ("version", "v1.36.2"), "256 subnets of /24 for 257", "error", {**WANTED, "nodes": 257}),
        ("capacity", ("version", "v1.36.2"), "for 240 nodes", "warning", {**WANTED, "nodes": 240}),
        ("capacity", ("nodes", [node(1, pod_cidrs=["10.244.0.0/14"])]), "wider than 10.244.0.0/16", "error", None),
        ("capacity", ("version", "v1.36.2"), "10.244.0.0/16 has 256", "warning", {**WANTED, "nodes": 231}),
        (
            "allocate_node_cidrs",
            ("controller_manager", "flags", {"cluster-cidr": "10.244.0.0/16"}),
            "controller manager with --cluster-cidr",
            "warning",
            None,
        ),
        (
            "allocate_node_cidrs",
            ("controller_manager", "flags", {"allocate-node-cidrs": "true", "cluster-cidr": "10.9.0.0/16"}),
            "10.9.0.0/16",
            "error",
            None,
        ),
        ("pod_security", ("namespace", "labels", {ENFORCE: "baseline"}), "baseline", "error", None),
        ("pod_security", ("namespace", "labels", {}), "no label", "warning", None),
        ("network", ("components", [component("cilium")]), "cilium is primary", "error", None),
        ("network", ("components", [component("canal")]), "canal is primary", "error", None),
        ("network", ("components", [component(), component("calico", "leftover")]), "is gone", "warning", None),
        ("network", ("components", [component(), component(role="duplicate")]), "a second one", "error", None),
        ("network", ("components", 0, "install_method", "embedded"), "the distribution", "error", None),
        ("network", ("components", 0, "stale_suspected", True), "is gone", "warning", None),
        ("webhooks", ("webhooks", [webhook()]), "for CREATE pods, and asks guard/guard", "warning", None),
        (
            "webhooks",
            ("webhooks", [webhook(backend={"ready": 0, "host_network": False})]),
            "no ready endpoint",
            "error",
            None,
        ),
        ("webhooks", ("webhooks", [webhook(service="", url="https://198.18.0.9/")]), "https://", "info", None),
        ("webhooks", ("webhooks", [webhook(backend=None)]), "need the network", "warning", None),
        ("admission_policies", ("policies", [policy()]), "judges CREATE pods through everywhere", "info", None),
        ("windows", ("nodes", 0, {**node(1), **WINDOWS}), "VNI 1, Port 8472", "error", None),
        ("kube_proxy", ("kube_proxy", "mode", "nftables"), "mode nftables, EnableNFTables false", "warning", None),
        (
            "health_port",
            ("host_ports", [{"daemonset": "a/b", "container": "c", "port": 8081}]),
            "container c of DaemonSet a/b",
            "error",
            None,
        ),
        ("public_ip", ("nodes", 0, "annotations", "public-ip", "198.18.0.2"), "on n1, n2", "error", None),
        (
            "public_ip",
            ("nodes", 0, "annotations", "public-ip", "198.18.9.9"),
            "the Node's addresses are",
            "warning",
            None,
        ),
        ("backend_type", ("nodes", 0, "annotations", "backend-type", "host-gw"), "host-gw on n1", "error", None),
        (
            "backend_type",
            ("version", "v1.36.2"),
            "vxlan on n1, n2, n3",
            "warning",
            {**WANTED, "network_config": {"Network": "10.244.0.0/16", "Backend": {"Type": "host-gw"}}},
        ),
        (
            "vtep_mac",
            ("nodes", 0, "annotations", "backend-data", json.dumps({"VNI": 1, "VtepMAC": "0A:00:00:00:00:02"})),
            "0a:00:00:00:00:02 on n",
            "error",
            None,
        ),
        ("network_unavailable", ("nodes", 0, "network_unavailable", "True"), "is True", "warning", None),
        ("versions", ("version", "v1.36.2"), "nftables", "error", {**NFT, "flannel": "v0.24.0"}),
        ("version_skew", ("nodes", 0, "kubelet", "v1.30.1"), "kubelet v1.30.1", "warning", None),
        ("version_skew", ("version", "v1.35.1"), "API server v1.35.1", "warning", None),
    ],
)
def test_a_fault_is_found(name, path, says, severity, wanted):
    found = [each for each in of(name, put(healthy(), *path), wanted) if each.status == "failed"]
    assert found, of(name, put(healthy(), *path), wanted)
    assert says in found[0].seen
    assert found[0].severity == severity
    assert found[0].expected
    assert found[0].remedy
    assert "ok" not in {each.status for each in of(name, put(healthy(), *path), wanted)}, "not well and ill at once"


def test_every_check_that_can_fail_is_tried():
    tried = {mark.args[1][index][0] for mark in test_a_fault_is_found.pytestmark for index in range(len(mark.args[1]))}
    assert {check.id for check in CLUSTER_CHECKS} - {f"cluster.{name}" for name in tried} == {"cluster.gathered"}


NEEDS = [
    ("api", "api"),
    *(("nodes", name) for name in ("pod_cidr", "pod_cidr_range", "pod_cidr_unique", "network_overlap", "capacity")),
    *(("nodes", name) for name in ("windows", "public_ip", "backend_type", "vtep_mac", "network_unavailable")),
    *(("components", name) for name in ("network", "network_overlap", "network_unavailable", "health_port")),
    ("namespace", "pod_security"),
    ("webhooks", "webhooks"),
    ("policies", "admission_policies"),
    ("kube_proxy", "kube_proxy"),
    ("host_ports", "health_port"),
]


@pytest.mark.parametrize(("fact", "name"), NEEDS)
def test_a_missing_right_is_named_and_nothing_is_claimed(fact, name):
    facts = healthy()
    del facts[fact]
    facts["reasons"] = {fact: f"the right to list {fact} is missing"}
    (one,) = of(name, facts)
    assert one.status == "unknown"
    assert f"the right to list {fact} is missing" in one.seen
    (all_of_them,) = of("gathered", facts)
    assert all_of_them.status == "unknown"
    assert fact in all_of_them.seen


def test_without_any_facts_all_is_unknown_or_does_not_arise():
    assert {finding.status for finding in asked({"reasons": {"api": "no"}})} <= {"unknown", "skipped", "ok"}
    assert not [finding for finding in asked({}) if finding.status == "failed"]


@pytest.mark.parametrize(
    ("nodes", "manager", "events", "status", "says"),
    [
        ([node(1)], HIDDEN, [], "ok", "all 1 nodes have podCIDRs"),
        (BARE, HIDDEN, [], "failed", "no node has a podCIDR"),
        ([*BARE, node(3)], HIDDEN, [], "unknown", "1 of 3 nodes have podCIDRs"),
        ([*BARE, node(3)], None, [], "unknown", "1 of 3 nodes have podCIDRs; it was not gathered"),
        (BARE, HIDDEN, [{"node": "n1", "message": "no room"}], "failed", "CIDRNotAvailable: no room"),
        ([], HIDDEN, [], "unknown", "no nodes yet"),
        (BARE, {"visible": True, "flags": {}}, [], "failed", "none of its flags"),
        (BARE, {"visible": True, "flags": {"allocate-node-cidrs": "true"}}, [], "ok", "allocate-node-cidrs=true"),
    ],
)
def test_who_gives_out_pod_cidrs(nodes, manager, events, status, says):
    facts = {**healthy(), "nodes": nodes, "controller_manager": manager, "events": events}
    found = of("allocate_node_cidrs", facts)
    assert [each.status for each in found] == [status]
    assert says in found[0].seen


def test_the_range_of_the_controller_manager_counts_where_it_is_known():
    flags = {"allocate-node-cidrs": "true", "cluster-cidr": "10.244.0.0/22", "node-cidr-mask-size": "26"}
    facts = put(healthy(), "controller_manager", "flags", flags)
    assert "10.244.0.0/22 has 4 subnets of /24 for 3 nodes" in of("capacity", facts)[0].seen
    (one,) = of("capacity", {**facts, "nodes": []}, {**WANTED, "nodes": 2})
    assert "10.244.0.0/22 has 16 subnets of /26 for 2 nodes" in one.seen


def test_both_families_are_judged():
    nodes = [node(number, pod_cidrs=[f"10.244.{number}.0/24", f"fd00:10:244:{number}::/64"]) for number in (1, 2)]
    facts = {**healthy(), "nodes": nodes, "controller_manager": HIDDEN}
    wanted = {**WANTED, "network_config": DUAL}
    assert {each.status for name in ("pod_cidr", "pod_cidr_range", "capacity") for each in of(name, facts, wanted)} == {
        "ok"
    }
    facts = put(facts, "nodes", 0, "pod_cidrs", 1, "fd00:99::/64")
    assert "fd00:99::/64" in of("pod_cidr_range", facts, wanted)[0].seen


OWN = {"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-flannel"]}]}


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"failure_policy": "Ignore"}, "ok"),
        ({"namespace_selector": OWN}, "ok"),
        ({"namespace_selector": {"matchLabels": {ENFORCE: "privileged"}}}, "failed"),
        ({"object_selector": {"matchLabels": {"app": "other"}}}, "ok"),
        ({"object_selector": {"matchLabels": {"app": "flannel"}}}, "failed"),
        ({"object_selector": {"matchLabels": 7}}, "failed"),
        ({"rules": [{**POD_RULE, "operations": ["DELETE"]}]}, "ok"),
        ({"rules": [{**POD_RULE, "resources": ["pods/exec"]}]}, "ok"),
        ({"rules": [{**POD_RULE, "scope": "Cluster"}]}, "ok"),
        ({"rules": [{**POD_RULE, "apiGroups": ["apps"]}]}, "ok"),
        ({"rules": [{**POD_RULE, "apiVersions": ["v2"]}]}, "failed"),
        ({"rules": [{**POD_RULE, "apiVersions": ["v2"]}], "match_policy": "Exact"}, "ok"),
        ({"rules": [{**POD_RULE, "resources": ["nodes"], "operations": ["*"]}]}, "failed"),
        ({"rules": [{**POD_RULE, "resources": ["nodes/*"], "operations": ["UPDATE"]}]}, "failed"),
        ({"match_conditions": ["!('system:nodes' in request.userInfo.groups)"]}, "unknown"),
        ({"backend": {"ready": 1, "host_network": True}}, "ok"),
    ],
)
def test_which_webhooks_are_in_the_way(change, status):
    found = of("webhooks", {**healthy(), "webhooks": [webhook(**change)]})
    assert [each.status for each in found] == [status]


def test_a_namespace_that_is_yet_to_be_made_gets_our_label():
    facts = {**healthy(), "namespace": {"name": "kube-flannel", "exists": False, "labels": {}}}
    facts["webhooks"] = [webhook(namespace_selector={"matchLabels": {ENFORCE: "privileged"}})]
    assert of("webhooks", facts)[0].status == "failed"
    assert of("pod_security", facts)[0].status == "skipped"
    assert of("pod_security", {**facts, "namespace": {"exists": True}}, {"namespace": "kube-system"})[0].status == "ok"


def test_pods_of_canal_have_other_labels():
    facts = {**healthy(), "webhooks": [webhook(object_selector={"matchLabels": {"k8s-app": "canal"}})]}
    assert of("webhooks", facts)[0].status == "ok"
    assert of("webhooks", facts, {**WANTED, "plugin": "canal"})[0].status == "failed"
    assert of("webhooks", facts, {**WANTED, "pod_labels": {"k8s-app": "canal"}})[0].status == "failed"


@pytest.mark.parametrize(
    "change",
    [
        {"bindings": []},
        {"bindings": [{"name": "b", "actions": ["Audit", "Warn"]}]},
        {"bindings": [{"name": "b", "actions": ["Deny"], "namespace_selector": OWN}]},
        {"excluded": [POD_RULE]},
        {"namespace_selector": OWN},
    ],
)
def test_policies_that_do_not_matter(change):
    assert [each.status for each in of("admission_policies", {**healthy(), "policies": [policy(**change)]})] == ["ok"]


def test_a_mutating_policy_counts_without_actions():
    one = policy(kind="MutatingAdmissionPolicy", bindings=[{"name": "b", "actions": []}])
    assert of("admission_policies", {**healthy(), "policies": [one]})[0].status == "failed"


def test_windows_nodes_that_can_join():
    facts = put(healthy(), "nodes", 0, {**node(1), **WINDOWS})
    backend = {"Type": "vxlan", "VNI": 4096, "Port": 4789}
    good = {**WANTED, "network_config": {"Network": "10.244.0.0/16", "Backend": backend}}
    assert of("windows", facts, good)[0].status == "ok"
    for name in ("DirectRouting", "GBP"):
        bad = {**WANTED, "network_config": {"Network": "10.244.0.0/16", "Backend": {**backend, name: True}}}
        assert name in of("windows", facts, bad)[0].seen
    assert of("windows", facts, {"plugin": "flannel"})[0].status == "skipped"


def test_a_version_that_the_matrix_does_not_have():
    facts = {**healthy(), "version": "v1.99.0"}
    found = [each for each in of("versions", facts) if each.status == "unknown"]
    assert "kubernetes v1.99.0 is not in the matrix" in found[0].seen


def test_an_overwritten_public_ip_is_meant():
    facts = put(healthy(), "nodes", 0, "annotations", "public-ip", "198.18.9.9")
    assert of("public_ip", put(facts, "nodes", 0, "annotations", "public-ip-overwrite", "198.18.9.9"))[0].status == "ok"


def test_an_external_address_is_the_nodes_own_too():
    facts = put(healthy(), "nodes", 0, "annotations", "public-ip", "198.18.9.9")
    assert of("public_ip", put(facts, "nodes", 0, "external_ips", ["198.18.9.9"]))[0].status == "ok"


def test_a_network_that_may_be_hidden():
    facts = put(healthy(), "components", 0, "scope", "partial")
    assert of("network", facts)[0].status == "unknown"


@given(st.lists(st.tuples(st.integers(0, 255), st.integers(16, 28)), min_size=1, max_size=12))
def test_overlaps_are_found_whatever_the_order(given_ranges):
    ranges = [f"10.244.{third}.0/{length}" for third, length in given_ranges]
    nodes = [node(number % 250 + 1, pod_cidrs=[text]) for number, text in enumerate(ranges)]
    held = [ipaddress.ip_network(text, strict=False) for text in ranges]
    overlapping = any(one.overlaps(other) for one, other in itertools.combinations(held, 2))
    found = of("pod_cidr_unique", {**healthy(), "nodes": nodes})
    assert (found[0].status == "failed") == overlapping


def paths_in(value, way=()):
    yield way
    if isinstance(value, (dict, list)):
        for name, member in value.items() if isinstance(value, dict) else enumerate(value):
            yield from paths_in(member, (*way, name))


PATHS = [way for way in paths_in(healthy()) if way]
JUNK = st.sampled_from(
    [None, "", "x", 0, -1, 1.5, True, [], {}, [None], ["x"], {"x": None}, [[]], [{}], {"a": {"b": 1}}]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PATHS), JUNK, st.booleans()), max_size=6), st.booleans())
def test_no_check_fails_on_partial_or_strange_facts(changes, with_config):
    facts = healthy()
    facts["webhooks"].append(webhook())
    for way, value, drop in changes:
        target = facts
        try:
            for name in way[:-1]:
                target = target[name]
            if drop:
                del target[way[-1]]
            else:
                target[way[-1]] = value
        except (KeyError, IndexError, TypeError):
            continue
    for one in asked(facts, WANTED if with_config else {}):
        assert one.status in STATUSES
        assert one.severity in SEVERITIES
        assert one.seen
        assert (one.status == "failed") <= bool(one.remedy)


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.sampled_from(list(healthy())), JUNK),
    st.dictionaries(st.sampled_from([*WANTED, "kubernetes", "nodes", "pod_labels"]), JUNK),
)
def test_no_check_fails_on_nonsense(facts, wanted):
    asked(facts, wanted)


@pytest.mark.parametrize(
    ("state", "status"),
    [("broken", "failed"), ("disabled", "failed"), ("degraded", "failed"), ("unknown", "unknown"), ("healthy", "ok")],
)
def test_the_network_is_as_well_as_discovery_says(state, status):
    facts = {**healthy(), "components": [component(health={"state": state, "reasons": ["no_pod_ready"]})]}
    assert [one.status for one in of("network", facts)] == [status]


def test_nodes_that_are_ready_have_a_network_known_or_not():
    facts = {**healthy(), "components": [component("generic", workloads=[])]}
    (one,) = of("network", facts)
    assert one.status == "failed"
    assert "3 of 3 nodes are Ready" in one.seen
    facts["nodes"] = [node(number, ready="False") for number in (1, 2, 3)]
    assert [one.status for one in of("network", facts)] == ["ok"]
