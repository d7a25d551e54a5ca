# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cluster whose network runs in pods: nothing is found in a healthy one, each fault by name; no Node is left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._dataplane.plan import Plan
from ansible_collections.podnet.cni.plugins.module_utils._status import document, repairs
from ansible_collections.podnet.cni.tests.unit._gathered import (
    differs,
    failed,
    measured,
    network,
    open_questions,
    route,
)


def cluster() -> dict[str, Any]:
    """Three hosts that are Nodes of a cluster in which flannel runs well."""
    gathered = network(ipv6=False)
    gathered["store"]["kind"] = "kubernetes"
    nodes, pods = [], []
    for lease, name in zip(gathered["store"]["leases"], gathered["hosts"]):
        lease["name"] = name
        nodes.append(
            {
                "name": name,
                "os": "linux",
                "kubelet": "v1.36.2",
                "pod_cidrs": [lease["subnet"]],
                "internal_ips": [lease["public_ip"]],
                "external_ips": [],
                "ready": "True",
                "network_unavailable": "False",
                "network_reason": "FlannelIsUp",
                "annotations": {"public-ip": lease["public_ip"], "backend-type": "vxlan"},
            }
        )
        pods.append(
            {
                "node": name,
                "daemonset": "kube-flannel/kube-flannel-ds",
                "namespace": "kube-flannel",
                "pod": f"kube-flannel-ds-{name}",
                "state": "ok",
                "cause": "",
                "reason": "",
                "log": [],
                "log_problem": "",
                "log_refused": False,
            }
        )
    workload = {"namespace": "kube-flannel", "name": "kube-flannel-ds"}
    component = {"plugin": "flannel", "role": "primary", "scope": "cluster", "workloads": [workload]}
    gathered["cluster"] = {
        "subject": "cluster",
        "api": {"answers": True, "ready": True, "problem": ""},
        "version": "v1.36.2",
        "nodes": nodes,
        "network_pods": pods,
        "kinds": {},
        "components": [{**component, "health": {"state": "healthy", "reasons": []}}],
        "namespace": {
            "name": "kube-flannel",
            "exists": True,
            "labels": {"pod-security.kubernetes.io/enforce": "privileged"},
        },
        "webhooks": [],
        "policies": [],
        "controller_manager": {"visible": False, "flags": {}},
        "kube_proxy": {"found": True, "mode": "iptables"},
        "host_ports": [],
        "reasons": {},
    }
    return gathered


def errors(made: dict[str, Any]) -> set[tuple[str, str]]:
    """Check and subject of what failed and is more than a hint."""
    grave = {(each["id"], each["subject"]) for each in made["findings"] if each["severity"] != "info"}
    return failed(made) & grave


def test_a_healthy_cluster_has_no_finding() -> None:
    made = document.build(measured(cluster()))
    assert (made["verdict"]["state"], errors(made)) == ("well", set()), made["findings"]
    assert {host["runs"] for host in made["hosts"]} == {"pod"}


def change(place: int, **values: Any) -> Callable[[dict[str, Any]], None]:
    """A fault in the network's pod of a node."""
    return lambda facts: facts["network_pods"][place].update(values)


CRASH = {"state": "broken", "cause": "pod", "reason": "container kube-flannel is in CrashLoopBackOff", "log": ["E no"]}
BEFORE = {"state": "wait", "cause": "node", "reason": "the Node's condition is from an earlier start"}
REFUSED = {"log_problem": "pods/log is forbidden", "log_refused": True}
LOST = {"log_problem": "dial tcp 198.18.0.3:10250: connect: connection refused"}
KINDS = {"crd.projectcalico.org": {"needed": ["ippools", "networksets"], "missing": ["ippools"]}}
# A fault, the check, the subject, a word of what is said or to be done, what repairs it.
FAULTS: list[tuple[Callable[[dict[str, Any]], None], str, str, str, str]] = [
    (lambda facts: facts["nodes"][1].update(ready="Unknown"), "cluster.nodes", "node2", "does not report", ""),
    (lambda facts: facts["nodes"][1].update(ready="False"), "cluster.nodes", "node2", "is not True", ""),
    (change(1, **CRASH), "cluster.pods", "node2", "CrashLoopBackOff; its log: E no", ""),
    (
        change(1, state="wait", cause="absent", pod="", reason="there is no pod yet"),
        "cluster.pods",
        "node2",
        "daemonset/",
        "",
    ),
    (change(1, **BEFORE), "cluster.programmed", "node2", "an earlier start", repairs.POD),
    (change(1, **LOST), "cluster.logs", "node2", "10250", ""),
    (change(1, **REFUSED), "cluster.logs", "node2", "Grant get for pods/log", ""),
    (lambda facts: facts.update(kinds=KINDS), "cluster.kinds", "cluster", "ippools", ""),
    (
        lambda facts: facts["components"].append(
            {"plugin": "flannel", "role": "duplicate", "workloads": [{"namespace": "kube-system", "name": "old"}]}
        ),
        "cluster.network",
        "cluster",
        "kube-system/old",
        "",
    ),
]


@pytest.mark.parametrize(("fault", "name", "subject", "words", "repair"), FAULTS)
def test_each_fault_is_found(
    fault: Callable[[dict[str, Any]], None], name: str, subject: str, words: str, repair: str
) -> None:
    gathered = cluster()
    fault(gathered["cluster"])
    made = document.build(measured(gathered))
    assert errors(made) == {(name, subject)}
    [finding] = [each for each in made["findings"] if each["id"] == name]
    assert words in f"{finding['seen']} {finding['remedy']}"
    assert finding["repair"] == repair


RIGHTS = {"account": "kube-flannel/flannel", "missing": ["watch networkpolicies"]}
QUEUE = [{"check": "queue", "level": "error", "text": "the kernel lacks the nftables queue statement"}]
OLD = [{"check": "kernel", "level": "warning", "text": "kernel 5.10 is older than 5.13"}]


def test_a_sidecar_that_enforces_is_no_finding() -> None:
    gathered = cluster()
    gathered["cluster"]["sidecar"] = {**RIGHTS, "missing": []}
    for entry in gathered["hosts"].values():
        entry["sidecar"] = {"findings": OLD, "running": True, "can_enforce": "yes"}
    made = document.build(measured(gathered))
    assert (made["verdict"]["state"], errors(made)) == ("well", set())


@pytest.mark.parametrize(
    ("told", "rights", "name", "words"),
    [
        ({"findings": QUEUE, "running": False}, {}, "host.policy_sidecar", "lacks the nftables queue"),
        ({"findings": [], "running": False}, {}, "host.policy_sidecar", "nobody listens on its queue"),
        ({"findings": [], "running": True}, RIGHTS, "cluster.sidecar_rights", "watch networkpolicies"),
    ],
)
def test_a_sidecar_that_does_not_enforce(told: dict[str, Any], rights: dict[str, Any], name: str, words: str) -> None:
    gathered = cluster()
    gathered["cluster"]["sidecar"] = rights
    gathered["hosts"]["node2"]["sidecar"] = told
    made = document.build(measured(gathered))
    assert {each for each, _subject in errors(made)} == {name}
    assert words in next(each["seen"] for each in made["findings"] if each["id"] == name)


def test_a_node_on_which_the_sidecar_was_not_looked_at_is_not_known() -> None:
    gathered = cluster()
    gathered["hosts"]["node2"]["sidecar"] = {"msg": "only root may ask the kernel"}
    assert document.build(measured(gathered))["verdict"]["state"] == "not_known"


def test_a_node_that_is_not_in_the_inventory_is_silent() -> None:
    gathered = cluster()
    del gathered["hosts"]["node3"]
    gathered["store"]["leases"].pop()
    made = document.build(measured(gathered))
    assert [(host["name"], host["state"], host["expected_by"]) for host in made["hosts"]][2:] == [
        ("node3", "silent", "node")
    ]
    assert made["verdict"]["state"] == "not_known"
    gathered["left_out"] = ["node3"]
    assert document.build(measured(gathered))["verdict"]["state"] == "well"


def test_a_host_that_is_not_a_node_is_none_of_the_network() -> None:
    gathered = cluster()
    gathered["hosts"]["controller"] = {"reason": "it was left out"}
    assert [host["name"] for host in document.build(measured(gathered))["hosts"]] == ["node1", "node2", "node3"]


def test_a_host_with_another_name_than_its_node_has_the_findings_of_that() -> None:
    gathered = cluster()
    gathered["hosts"]["web-1"] = {**gathered["hosts"].pop("node1"), "node_name": "node1"}
    change(0, **BEFORE)(gathered["cluster"])
    assert errors(document.build(measured(gathered))) == {("cluster.programmed", "web-1")}


def test_what_a_node_lost_is_repaired_by_a_new_pod() -> None:
    gathered = cluster()
    differs(gathered, "node1", Plan(set_routes=[route(2)]))
    made = document.build(measured(gathered))
    [finding] = [each for each in made["findings"] if each["id"] == "dataplane.peers_missing"]
    assert finding["repair"] == repairs.POD
    assert "pod there made anew" in finding["remedy"]


def test_what_a_container_may_not_set_is_no_difference() -> None:
    gathered = cluster()
    operation = {"action": "change", "kind": "link", "attribute": "accept_ra", "text": "change accept_ra"}
    gathered["hosts"]["node1"]["dataplane"].update(parts={"kernel": ["change accept_ra"]}, operations=[operation])
    assert errors(document.build(measured(gathered))) == set()


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"msg": "no configuration was found"}, "no configuration"),
        ({"api": {"answers": False, "ready": False, "problem": "cannot connect"}}, "cannot connect"),
        ({"api": {"answers": True}, "components": [], "network_pods": []}, "no flannel or Canal"),
    ],
)
def test_a_cluster_that_tells_nothing_is_not_known(told: dict[str, Any], words: str) -> None:
    gathered = cluster()
    gathered["cluster"] = told
    made = document.build(measured(gathered))
    assert made["verdict"]["state"] in ("not_known", "broken")
    assert ("cluster.asked", "network") in open_questions(made)
    assert words in next(each["seen"] for each in made["findings"] if each["id"] == "cluster.asked")


def test_pods_that_could_not_be_read_are_not_known() -> None:
    gathered = cluster()
    del gathered["cluster"]["network_pods"]
    gathered["cluster"]["reasons"] = {"network_pods": "the right to list pods is missing"}
    made = document.build(measured(gathered))
    assert ("cluster.pods", "network") in open_questions(made)
