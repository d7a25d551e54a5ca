# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts on which flanneld runs under systemd: nothing is found on healthy ones, each fault by name, with its repair."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._dataplane.plan import Plan
from ansible_collections.podnet.cni.plugins.module_utils._status import document, repairs
from ansible_collections.podnet.cni.plugins.module_utils._status.checks_flanneld import telling
from ansible_collections.podnet.cni.tests.unit._gathered import (
    differs,
    failed,
    measured,
    network,
    open_questions,
    route,
)

UNIT = "podnet-cni-flanneld.service"
ERROR = "2026-11-29T03:00:00+0000 node2 flanneld[7]: E1129 03:00:00.000001 7 main.go:365] no such luck"
LOG = ["2026-11-29T03:00:00+0000 node2 systemd[1]: Started", ERROR]


def flannelds() -> dict[str, Any]:
    """Three hosts, each with a flanneld that works and renews its lease."""
    gathered = network()
    for lease, entry in zip(gathered["store"]["leases"], gathered["hosts"].values()):
        lease["ttl"] = 86000
        entry["daemon"] = {
            "unit": {"name": UNIT, "load": "loaded", "active": "active", "enabled": "enabled", "pid": 7},
            "problems": [],
            "outdated": [],
            "others": [],
            "overlay": {"restores": False, "restore_dir": ""},
            "subnet": lease["subnet"],
            "ipv6_subnet": lease["ipv6_subnet"],
            "evidence": {"status": 0, "journal": LOG},
        }
    return gathered


def test_nothing_is_found_where_flanneld_works() -> None:
    made = document.build(measured(flannelds()))
    assert (made["verdict"]["state"], failed(made), open_questions(made)) == ("well", set(), set())
    assert {host["runs"] for host in made["hosts"]} == {"flanneld"}


# What flanneld_info says of node2, the check, a word of what it says, and what repairs it.
FAULTS: list[tuple[dict[str, Any], str, str, str]] = [
    ({"problems": [f"{UNIT} is failed"]}, "flanneld.unit", "no such luck", repairs.FLANNELD),
    ({"unit": {"load": "not-found"}, "problems": ["it is inactive"]}, "flanneld.installed", "not-found", ""),
    ({"outdated": ["/opt/podnet-cni-flanneld/flanneld"]}, "flanneld.outdated", "/opt/podnet-cni-flanneld", ""),
    ({"others": [{"pid": 0, "unit": "flanneld.service", "pod": False}]}, "flanneld.others", "flanneld.service", ""),
    ({"others": [{"pid": 9, "unit": "", "pod": True}]}, "flanneld.others", "process 9 of a pod", ""),
    ({"overlay": {"restores": True}}, "flanneld.others", "podnet-cni-restore.service", ""),
    ({"subnet": "10.244.99.0/24"}, "flanneld.lease", "10.244.99.0/24 in its subnet file", repairs.FLANNELD),
]


@pytest.mark.parametrize(("told", "name", "words", "repair"), FAULTS)
def test_each_fault_is_found(told: dict[str, Any], name: str, words: str, repair: str) -> None:
    gathered = flannelds()
    gathered["hosts"]["node2"]["daemon"].update(told)
    made = document.build(measured(gathered))
    assert failed(made) == {(name, "node2")}
    [finding] = [each for each in made["findings"] if each["status"] == "failed"]
    assert words in finding["seen"]
    assert finding["repair"] == repair


def test_a_lease_that_nobody_renews_is_found_in_etcd_only() -> None:
    gathered = flannelds()
    gathered["store"]["leases"][1]["ttl"] = None
    assert failed(document.build(measured(gathered))) == {("flanneld.lease", "node2")}
    gathered["store"]["kind"] = "kubernetes"
    assert failed(document.build(measured(gathered))) == set()


def test_a_host_without_systemd_is_not_known() -> None:
    gathered = flannelds()
    gathered["hosts"]["node2"]["daemon"] = {"msg": "this host does not run systemd, which starts flanneld"}
    made = document.build(measured(gathered))
    assert (made["verdict"]["state"], failed(made)) == ("not_known", set())
    assert open_questions(made) == {("flanneld.unit", "node2")}


def test_what_a_flanneld_lost_is_repaired_by_its_restart() -> None:
    gathered = flannelds()
    differs(gathered, "node1", Plan(set_routes=[route(2)]))
    made = document.build(measured(gathered))
    [finding] = [each for each in made["findings"] if each["status"] == "failed"]
    assert (finding["id"], finding["repair"]) == ("dataplane.peers_missing", repairs.FLANNELD)
    assert "restarts flanneld" in finding["remedy"]


def test_what_flanneld_never_removes_is_for_a_person() -> None:
    gathered = flannelds()
    differs(gathered, "node1", Plan(remove_routes=[route(9)]))
    [finding] = [each for each in document.build(measured(gathered))["findings"] if each["status"] == "failed"]
    assert (finding["id"], finding["repair"]) == ("dataplane.stale", "")
    assert "ip route" in finding["remedy"]


def test_a_missing_lease_is_taken_by_a_restart_of_flanneld_and_by_a_run_of_the_overlay() -> None:
    for gathered, repair, words in (
        (flannelds(), "flanneld", "restarts flanneld"),
        (network(), "", "podnet.cni.overlay"),
    ):
        del gathered["store"]["leases"][0]
        gathered["hosts"]["node1"]["dataplane"] = {"msg": "it has no lease to compare with"}
        made = document.build(measured(gathered))
        [finding] = [each for each in made["findings"] if each["id"] == "host.lease"]
        assert finding["repair"] == repair
        assert words in finding["remedy"]


def test_the_subnet_file_is_told_of_once() -> None:
    gathered = flannelds()
    gathered["hosts"]["node2"]["facts"]["subnet_file"] = {"path": "/run/x", "present": False, "values": {}}
    gathered["hosts"]["node2"]["daemon"]["problems"] = [f"{UNIT} runs, and /run/x does not exist"]
    assert failed(document.build(measured(gathered))) == {("flanneld.unit", "node2")}


def test_errors_of_a_log_come_before_its_last_lines() -> None:
    assert telling(LOG) == [ERROR]
    assert telling(["a", "b", "c", "d"]) == ["b", "c", "d"]
