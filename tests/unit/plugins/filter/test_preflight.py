# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.podnet.cni.plugins.filter.preflight_findings import preflight_findings
from ansible_collections.podnet.cni.plugins.filter.preflight_table import preflight_table
from ansible_collections.podnet.cni.tests.unit._private_filters import private

preflight_wanted = private("preflight_wanted")

HOSTS = {"node1": {"sysctls": {"net.ipv4.ip_forward": "0"}}}


def test_a_cluster_tells_what_hosts_are_compared_with():
    assert preflight_wanted({}) == {}
    with pytest.raises(AnsibleFilterError, match="needs the facts"):
        preflight_wanted(None)


def test_facts_become_findings_and_a_table():
    found = preflight_findings(HOSTS)
    assert {"id": "host.forwarding", "subject": "node1", "status": "failed"}.items() <= found[0].items()
    assert "host.forwarding" in preflight_table(found)
    assert "1 error," in preflight_table(found)
    assert "1 error," not in preflight_table(found, fail_at="error")
    assert preflight_table([]).startswith("0 findings")
    assert "ok" in preflight_table(found, everything=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([],), "needs a dictionary"),
        (({"a": 1},), "needs a dictionary"),
        ((HOSTS, 1), "cluster is 1"),
        ((HOSTS, None, "x"), "wanted is 'x'"),
        ((HOSTS, None, {"skip": ["x"]}), "there is no check 'x'"),
    ],
)
def test_what_cannot_be_judged_is_refused(arguments, message):
    with pytest.raises(AnsibleFilterError, match=message):
        preflight_findings(*arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (({},), "needs a list"),
        (([1],), "needs a list"),
        (([{"id": "x"}],), "entry 0 is not a finding"),
        (([], "fatal"), "fail_at is 'fatal'"),
    ],
)
def test_what_cannot_be_laid_out_is_refused(arguments, message):
    with pytest.raises(AnsibleFilterError, match=message):
        preflight_table(*arguments)
