# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is not known is told so, in a third value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._network_policy.profile import Profile
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.report import build
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.sources import from_files
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._network_policy.cases import (
    admin_policy,
    namespace,
    node,
    pod,
    policy,
    read,
)

WEB, DB = {"app": "web"}, {"app": "db"}
OBJECTS = (
    namespace("shop"),
    node("n1", 1),
    node("n2", 2),
    pod("shop/web", "10.244.1.2", WEB, nodeName="n1"),
    pod("shop/db-0", "10.244.2.2", {**DB, "open": "no"}, nodeName="n2"),
    pod("shop/db-1", "10.244.2.3", {**DB, "open": "yes"}, nodeName="n2"),
)
CLOSED = policy("shop/closed", pods={"open": "no"})
FLOW = {"from": "shop/web", "to": "shop/db-0", "port": 80}


def judged(*objects: Any, version: str = "v1.1.1", **flow: Any) -> dict[str, Any]:
    rows = build(read(*OBJECTS, *objects), Profile.parse(version), flows=[{**FLOW, **flow}])["verdicts"]
    assert len(rows) == 1
    return dict(rows[0])


LATER = {"egress": [{"name": "x", "action": "Deny", "to": [{"serviceAccounts": {}}]}]}


@pytest.mark.parametrize(
    ("kind", "version", "verdict"),
    [
        ("ClusterNetworkPolicy", "v1.1.1-npa-v1alpha2", "unknown"),
        ("ClusterNetworkPolicy", "api", "unknown"),
        ("ClusterNetworkPolicy", "v1.1.1", "known"),
        ("ClusterNetworkPolicy", "v1.1.1-npa-v1alpha1", "known"),
        ("AdminNetworkPolicy", "v1.1.1-npa-v1alpha1", "unknown"),
        ("BaselineAdminNetworkPolicy", "v1.1.1-npa-v1alpha1", "unknown"),
        ("AdminNetworkPolicy", "v1.1.1", "known"),
    ],
)
def test_policies_that_cannot_be_read_leave_nothing_known(kind: str, version: str, verdict: str) -> None:
    """A field of a later release, in an object that a server has: what it means is not known."""
    item = admin_policy(kind, **LATER)
    item["metadata"]["uid"] = "0"
    for objects, known in (((), "allow"), ((CLOSED,), "deny")):
        row = judged(*objects, item, version=version)
        assert row["verdict"] == (known if verdict == "known" else "unknown")
        assert (f"{kind} objects may decide otherwise" in row["reason"]) is (verdict == "unknown")
        assert judged(*objects, version=version)["verdict"] == known
    host = judged(item, version=version, **{"from": "192.0.2.1", "to": "192.0.2.2"})
    assert host["verdict"] == "allow", "no policy is about two hosts"


def test_an_admin_policy_that_no_server_would_take_is_in_no_cluster() -> None:
    built = build(read(*OBJECTS, admin_policy("ClusterNetworkPolicy", **LATER)), Profile.parse("api"), flows=[FLOW])
    assert built["verdicts"][0]["verdict"] == "allow"
    assert "'serviceAccounts', which is not known" in built["unreadable"][0]["message"]


def test_admin_policies_that_may_not_be_listed_are_not_none() -> None:
    inventory = read(*OBJECTS)
    inventory.hidden = frozenset({"ClusterNetworkPolicy"})
    profile = Profile.parse("v1.1.1-npa-v1alpha2")
    assert build(inventory, profile, flows=[FLOW])["verdicts"][0]["verdict"] == "unknown"
    assert build(inventory, Profile.parse("v1.1.1"), flows=[FLOW])["verdicts"][0]["verdict"] == "allow"


def service(**spec: Any) -> dict[str, Any]:
    ports = [{"name": "web", "port": 443, "targetPort": 8443}, {"name": "dns", "port": 53, "protocol": "UDP"}]
    body = {"selector": DB, "clusterIPs": ["10.96.0.10"], "ports": ports, **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "db", "namespace": "shop"}, "spec": body}


def endpoints(*addresses: str, ready: bool | None = True, kind: str = "IPv4", port: int = 8443) -> dict[str, Any]:
    metadata = {"name": f"db-{kind}", "namespace": "shop", "labels": {"kubernetes.io/service-name": "db"}}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": metadata,
        "addressType": kind,
        "endpoints": [{"addresses": [each], "conditions": {"ready": ready}} for each in addresses],
        "ports": [{"name": "web", "port": port, "protocol": "TCP"}],
    }


BOTH = ("10.244.2.2", "10.244.2.3")
TO_SERVICE = {"to": "10.96.0.10", "port": 443}


@pytest.mark.parametrize(
    ("objects", "verdict", "reason"),
    [
        ((endpoints(*BOTH),), "allow", "judged for the backends of Service shop/db"),
        (
            (endpoints(*BOTH), CLOSED),
            "unknown",
            "the 2 backends of Service shop/db differ (1 allow, 1 deny, 0 unknown)",
        ),
        ((endpoints(BOTH[0]), CLOSED), "deny", "isolated for ingress by shop/closed"),
        ((endpoints(BOTH[1]), CLOSED), "allow", "no policy selects"),
        ((endpoints(*BOTH, ready=None), CLOSED), "unknown", "differ"),
        ((endpoints(*BOTH, ready=False),), "no_path", "no ready endpoint"),
        ((endpoints("fd00::2", kind="IPv6"),), "no_path", "no ready endpoint of this family"),
        ((), "unknown", "no EndpointSlice of Service shop/db is known"),
        ((endpoints("192.0.2.7"),), "allow", "no policy selects"),
    ],
)
def test_a_service_is_what_its_backends_are(objects: tuple[Any, ...], verdict: str, reason: str) -> None:
    row = judged(service(), *objects, **TO_SERVICE)
    assert row["verdict"] == verdict and reason in row["reason"], row
    assert row["to_address"] == "10.96.0.10"


def test_a_service_leads_to_the_port_of_its_slices() -> None:
    only_8443 = policy("shop/db", pods=DB, ingress=[{"ports": [{"port": 8443}]}])
    row = judged(service(), endpoints(BOTH[0]), only_8443, **TO_SERVICE)
    assert row["verdict"] == "allow"
    assert row["backends"] == [{"address": BOTH[0], "pod": "shop/db-0", "port": 8443, "verdict": "allow"}]
    assert judged(service(), endpoints(BOTH[0], port=8080), only_8443, **TO_SERVICE)["verdict"] == "deny"
    assert judged(service(), endpoints(BOTH[0]), to="10.96.0.10", port=8443)["verdict"] == "unknown"


def test_a_pod_that_reaches_itself_through_a_service() -> None:
    itself = {"from": "shop/db-0", **TO_SERVICE}
    assert judged(service(), endpoints(BOTH[0]), CLOSED, **itself)["verdict"] == "deny", "the agent judges the pair"
    assert judged(service(), endpoints(BOTH[0]), CLOSED, version="api", **itself)["verdict"] == "unknown"
    assert judged(CLOSED, **{"from": "shop/db-0", "to": "shop/db-0"})["verdict"] == "unknown"


def test_who_sends_on_the_own_node_is_not_known() -> None:
    """Root on the node passes, others do not; a probe from the node runs as root."""
    assert judged(CLOSED, **{"from": "10.244.2.1"})["verdict"] == "unknown"
    assert judged(CLOSED, **{"from": "10.244.2.1"}, version="api")["verdict"] == "allow"
    assert judged(CLOSED, **{"from": "10.244.1.0"})["verdict"] == "deny"


def test_an_address_that_is_seen_in_two_ways() -> None:
    lets_in = policy("shop/db", pods=DB, ingress=[{"from": [{"ipBlock": {"cidr": "10.244.9.0/32"}}]}])
    other = node("n9", 9, backend="")
    other["metadata"]["annotations"] = {}
    own = other["status"]["addresses"][0]["address"]
    row = judged(lets_in, other, **{"from": own})
    assert row["verdict"] == "unknown" and "not all of them are allowed" in row["reason"]


def test_icmp_is_left_open_by_the_api_only() -> None:
    flow = {"port": None, "protocol": "ICMP"}
    assert judged(CLOSED, **flow)["verdict"] == "deny"
    assert judged(CLOSED, version="api", **flow)["verdict"] == "unknown"


def test_a_pod_without_an_address_and_a_block() -> None:
    young = pod("shop/young", "", {"app": "young"}, nodeName="n1")
    block = policy("shop/db", pods={"open": "no"}, ingress=[{"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}])
    assert judged(young, block, **{"from": "shop/young"})["verdict"] == "unknown"
    assert judged(young, CLOSED, **{"from": "shop/young"})["verdict"] == "deny"


def test_one_name_in_two_containers_is_both_ports() -> None:
    containers = [{"name": str(port), "ports": [{"name": "http", "containerPort": port}]} for port in (8080, 9090)]
    double = pod("shop/double", "10.244.2.9", {"app": "double"}, nodeName="n2", containers=containers)
    named = policy("shop/named", pods={"app": "double"}, ingress=[{"ports": [{"port": "http"}]}])
    answers = [judged(double, named, to="shop/double", port=port)["verdict"] for port in (8080, 9090, 80)]
    assert answers == ["allow", "allow", "deny"]


POD = """
apiVersion: v1
kind: Pod
metadata: {name: %s, namespace: shop, labels: {app: %s}}
spec: {nodeName: n1, containers: []}
status: {podIP: %s}
---
"""
POLICY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny, namespace: shop%s}
spec: {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: %s}}]}]}
---
"""


@pytest.mark.parametrize(
    ("more", "verdict"),
    [
        (POLICY % ("", "10.0.0.5/8"), "allow"),
        (POLICY % (", uid: 0c5b", "10.0.0.5/8"), "allow"),
        (POLICY % (", uid: 0c5b", "192.0.2.5/24"), "deny"),
        (POLICY % (", uid: 0c5b", "nonsense"), "unknown"),
        ("{broken: [", "unknown"),
    ],
    ids=["refused", "stored", "stored and denying", "stored and unreadable", "no YAML"],
)
def test_what_could_not_be_read(tmp_path: Path, more: str, verdict: str) -> None:
    """A policy that the server refuses is in no cluster; one that it has stored counts, or leaves a doubt."""
    pytest.importorskip("yaml")
    path = tmp_path / "all.yaml"
    path.write_text(POD % ("a", "a", "10.244.1.2") + POD % ("b", "b", "10.244.1.3") + more)
    flows = [{"from": "shop/a", "to": "shop/b", "port": 80}]
    found = build(from_files([str(path)]), Profile.parse("v1.1.1"), flows=flows)
    assert found["verdicts"][0]["verdict"] == verdict, found["unreadable"]
    assert found["summary"]["unknown_flows"] == (verdict == "unknown")
