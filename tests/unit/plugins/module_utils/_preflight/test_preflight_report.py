# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._preflight import report
from ansible_collections.podnet.cni.plugins.module_utils._preflight.finding import Finding

FORWARDING = {"sysctls": {"net.ipv4.ip_forward": "0"}, "links": []}


def finding(subject, status="failed", severity="error", name="host.x"):
    remedy = "Do it." if status == "failed" else ""
    return Finding(name, subject, status, severity, "it is bad", "it is good", remedy)


def test_the_gravest_comes_first():
    found = report.findings({"b": FORWARDING, "a": FORWARDING}, None, {})
    grave = [one.severity for one in found if one.status == "failed"]
    assert grave == sorted(grave, key=("error", "warning", "info").index)
    statuses = [one.status for one in found]
    assert statuses == sorted(statuses, key=("failed", "unknown", "skipped", "ok").index)
    assert [one.subject for one in found if one.id == "host.forwarding"] == ["a", "b"]


def test_what_concerns_several_hosts_sees_all_of_them():
    underlay = {"name": "eth0", "public_ip": "198.18.0.1", "up": True}
    found = report.findings({"a": {"underlay": underlay}, "b": {"underlay": underlay}}, None, {})
    assert [one.subject for one in found if one.id == "host.duplicates" and one.status == "failed"] == ["a", "b"]


def test_checks_are_left_out_on_request():
    found = report.findings({"a": FORWARDING}, None, {"skip": ["host.forwarding"]})
    assert "host.forwarding" not in {one.id for one in found}


def test_a_check_to_leave_out_must_exist():
    with pytest.raises(InputError, match=r"no check 'host\.forward'.*host\.forwarding"):
        report.findings({}, None, {"skip": ["host.forward"]})


def test_findings_go_through_json():
    found = report.findings({"a": FORWARDING}, None, {})
    assert report.from_dicts(json.loads(json.dumps(report.to_dicts(found)))) == found


@pytest.mark.parametrize("entry", [{}, {"id": "x"}, {**report.to_dicts([finding("a")])[0], "severity": "fatal"}])
def test_what_is_no_finding_is_refused(entry):
    with pytest.raises(InputError, match="entry 0 is not a finding"):
        report.from_dicts([entry])


def test_failures_are_those_of_a_severity_or_worse():
    found = [finding("a", severity="info"), finding("b", severity="error"), finding("c", "ok")]
    assert [one.subject for one in report.failures(found, "warning")] == ["b"]
    assert [one.subject for one in report.failures(found, "info")] == ["a", "b"]


def test_the_table_puts_equal_findings_in_one_line():
    found = [finding(name) for name in ("a", "b", "c", "d", "e")] + [finding("f", "ok"), finding("f", "unknown")]
    assert report.table(found).splitlines() == [
        "FINDING  CHECK   ON                     SEEN",
        "error    host.x  a, b, c, d and 1 more  it is bad",
        "unknown  host.x  f                      it is bad",
        "",
        "What to do:",
        "  host.x: Do it.",
    ]
    assert report.counts(found) == "7 findings: 5 errors, 0 warnings, 0 hints, 1 unknown, 0 skipped, 1 ok."


def test_the_table_of_a_healthy_host_is_empty():
    assert report.table([finding("a", "ok")]) == ""
    assert report.counts([finding("a")]) == "1 finding: 1 error, 0 warnings, 0 hints, 0 unknown, 0 skipped, 0 ok."


def test_the_table_shows_everything_on_request():
    assert "ok       host.x  a" in "\n" + report.table([finding("a", "ok"), finding("a", "skipped")], everything=True)


def nodes_of_a_full_range(count, room):
    return [
        {"name": f"n{i}", "pod_cidrs": [f"10.244.{i}.0/24"] if i < room else [], "internal_ips": [f"198.18.0.{i}"]}
        for i in range(count)
    ]


def test_a_range_that_is_used_up_is_told_in_few_lines():
    facts = {
        "nodes": nodes_of_a_full_range(100, 64),
        "events": [{"node": f"n{i}", "message": f"Node n{i} has no room"} for i in range(64, 100)],
    }
    found = report.findings({}, facts, {"network_config": {"Network": "10.244.0.0/18", "Backend": {"Type": "vxlan"}}})
    failed = [one for one in found if one.status == "failed"]
    assert sorted(one.id for one in failed) == [
        "cluster.allocate_node_cidrs",
        "cluster.capacity",
        "cluster.pod_cidr",
    ]
    (missing,) = [one for one in failed if one.id == "cluster.pod_cidr"]
    assert missing.seen == "36 times: no podCIDR of IPv4 (Node/n64, Node/n65, Node/n66 and 33 more)"


def test_a_check_takes_few_lines_however_different_its_findings_are():
    found = [Finding("host.x", f"n{i}", "failed", "error", f"it is {i}", "good", f"Repair {i}.") for i in range(100)]
    text = report.table(found)
    assert len([line for line in text.splitlines() if line.startswith("error")]) == report.ROWS_SHOWN + 1
    assert f"and {100 - report.ROWS_SHOWN} findings more like these" in text
    assert len(text.splitlines()) < 3 * report.ROWS_SHOWN
