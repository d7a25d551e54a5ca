# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every finding of the doctor has a row on its page, with its repair, and a test that seeds its fault."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml

from ansible_collections.podnet.cni.plugins.module_utils._preflight import report
from ansible_collections.podnet.cni.plugins.module_utils._preflight.cluster_checks import CLUSTER_CHECKS
from ansible_collections.podnet.cni.plugins.module_utils._status import checks, document
from ansible_collections.podnet.cni.plugins.module_utils._status.explain import EXPLANATIONS

ROOT = Path(__file__).resolve().parents[2]
INTEGRATION = ROOT / "tests" / "integration"
PAGE = ROOT / "docs" / "findings.md"
FOUND = {check.id for check in (*checks.CHECKS, *report.CHECKS)} - set(document.MEASURED_HERE)
SEEDED_IN_ONE = "kube/test_preflight_cluster.py::test_every_seeded_fault_is_found_and_gone_after_its_remedy"
# Where a fault is seeded that is in none of the tables of faults: a file of tests/integration and the function there.
ELSEWHERE = {
    "host.silent": "status/test_doctor.py::test_faults_are_found_and_repaired",
    "host.forwarding": "status/test_doctor.py::test_faults_are_found_and_repaired",
    "dataplane.peers_missing": "status/test_doctor.py::test_faults_are_found_and_repaired",
    "dataplane.wrong_vtep": "status/test_doctor.py::test_faults_are_found_and_repaired",
    "way.mtu": "status/test_doctor.py::test_faults_are_found_and_repaired",
    "dataplane.compared": "status/test_doctor.py::hosts_that_fail",
    "host.clock": "status/test_doctor.py::hosts_that_fail",
    "host.gathered": "status/test_doctor.py::hosts_that_fail",
    "way.unexplained": "status/test_doctor.py::hosts_that_fail",
    "way.not_measured": "status/test_doctor.py::hosts_that_fail",
    "network.store": "status/test_doctor.py::store_that_is_away",
    "network.config": "status/test_doctor.py::store_that_is_away",
    "host.duplicates": "status/test_doctor.py::one_address_on_all",
    "host.underlay": "status/test_doctor.py::one_address_on_all",
    "host.policy_sidecar": "network_policy/test_host.py::doctor_says",
    "host.kernel_links": "preflight/test_seeded.py::test_a_kernel_that_cannot_make_the_backends_links",
    "host.firewall": "preflight/test_seeded.py::test_a_kernel_that_takes_no_rules_of_flannels_firewall",
    "host.cgroup": "preflight/test_seeded.py::test_cgroups_of_version_1",
    "host.runtime_version": "preflight/test_seeded.py::test_an_old_containerd",
    "host.networkd": "preflight/test_seeded.py::test_networkd_that_takes_the_overlays_links",
    "host.neighbour_table": "preflight/test_seeded.py::test_more_peers_than_the_neighbour_table_has_room_for",
    "cluster.asked": "kube/test_doctor_cluster.py::test_a_cluster_that_cannot_be_asked",
    "cluster.nodes": "kube/test_doctor_cluster.py::test_a_node_and_a_pod_that_are_not_ready",
    "cluster.pods": "kube/test_doctor_cluster.py::test_a_node_and_a_pod_that_are_not_ready",
    "cluster.programmed": "kube/test_doctor_cluster.py::test_a_pod_that_is_ready_and_has_not_programmed_its_node",
    "cluster.logs": "kube/test_doctor_cluster.py::test_kubelets_that_the_api_server_cannot_reach_and_nothing_else",
    "cluster.kinds": "kube/test_doctor_cluster.py::test_canal_without_its_kinds",
    "cluster.sidecar_rights": "kube/test_doctor_cluster.py::test_a_sidecar_without_its_rights",
    "cluster.gathered": "kube/test_preflight_cluster.py::test_missing_rights_are_named",
    "cluster.api": "kube/test_preflight_cluster.py::test_a_server_that_does_not_answer",
}


def rows() -> list[tuple[str, str]]:
    """Finding and repair of each row of the page."""
    return re.findall(r"^\| `([\w.]+)` \| (.+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def in_tables() -> set[str]:
    """Findings in the tables of faults: those of lab hosts, of the preflight's hosts, and of hosts with flanneld."""
    tree = ast.parse((INTEGRATION / "status" / "_faults.py").read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    names = {call.args[0].value for call in calls if call.func.id == "Fault" and isinstance(call.args[0], ast.Constant)}
    faults = yaml.safe_load((ROOT / "molecule" / "preflight" / "vars" / "faults.yml").read_text(encoding="utf-8"))
    names |= {name for host in faults["faults"].values() for name in host["ids"]}
    plays = (ROOT / "molecule" / "flanneld" / "doctor.yml").read_text(encoding="utf-8")
    return names | (set(re.findall(r"\bflanneld\.\w+", plays)) & FOUND)


def source(place: str) -> str:
    """The text of a function of the integration tests, "" where it is not there."""
    path, name = place.split("::")
    text = (INTEGRATION / path).read_text(encoding="utf-8")
    found = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef) and node.name == name]
    return ast.get_source_segment(text, found[0]) or "" if found else ""


def test_the_page_has_every_finding_once_and_a_repair_for_it() -> None:
    names = [name for name, _repair in rows()]
    assert sorted(names) == sorted(FOUND)


def test_the_page_says_which_repairs_the_doctor_makes() -> None:
    starred = {name for name, repair in rows() if repair.startswith("* ")}
    assert starred == {name for name, each in EXPLANATIONS.items() if each.repair}


def test_the_fault_of_every_finding_is_seeded() -> None:
    of_cluster = {check.id for check in CLUSTER_CHECKS} - {"cluster.api", "cluster.gathered"}
    seeded = in_tables() | set(ELSEWHERE) | of_cluster
    assert FOUND - seeded == set(), "seed it, and say where"
    assert "CLUSTER_CHECKS" in source(SEEDED_IN_ONE)


@pytest.mark.parametrize(("name", "place"), ELSEWHERE.items())
def test_where_a_fault_is_seeded_it_is_named(name: str, place: str) -> None:
    assert re.search(rf"\b{re.escape(name)}\b", source(place)), f"{place} says nothing of {name}"
