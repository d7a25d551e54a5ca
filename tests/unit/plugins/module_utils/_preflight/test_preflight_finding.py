# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._preflight import finding
from ansible_collections.podnet.cni.plugins.module_utils._preflight.finding import Finding, check


@check("host.example", "warning", "An example")
def example(facts, wanted):
    if facts.get("bad"):
        yield finding.failed("it is bad", "good", "Make it good.")
        yield finding.failed("and worse", "good", "Make it good.", subject="Node/a", severity="error")
    else:
        yield finding.ok("it is good", "good")


def test_a_check_returns_findings_with_its_id_severity_and_subject():
    assert example({"subject": "a"}, {}) == [Finding("host.example", "a", "ok", "warning", "it is good", "good", "")]
    assert example({"bad": True}, {}) == [
        Finding("host.example", "cluster", "failed", "warning", "it is bad", "good", "Make it good."),
        Finding("host.example", "Node/a", "failed", "error", "and worse", "good", "Make it good."),
    ]


def test_a_check_knows_what_the_documentation_says_of_it():
    assert (example.id, example.severity, example.title) == ("host.example", "warning", "An example")


def test_a_check_with_an_unknown_severity_cannot_be_declared():
    with pytest.raises(ValueError, match="severity 'fatal' of check x"):
        check("x", "fatal", "x")


def test_severities_are_ordered():
    assert sorted(["error", "info", "warning"], key=finding.rank) == ["info", "warning", "error"]


def test_a_finding_says_from_which_host_the_cluster_was_asked():
    asked = example({"subject": "cluster", "asked_from": "node1"}, {})
    assert [one.subject for one in asked] == ["cluster, asked from node1"]
    assert example({"bad": True, "asked_from": "node1"}, {})[1].subject == "Node/a"
