# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters of the role distribution: what they return, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.podnet.cni.plugins.filter.distribution_findings import distribution_findings
from ansible_collections.podnet.cni.plugins.filter.distribution_settings import distribution_settings
from ansible_collections.podnet.cni.plugins.filter.preflight_table import preflight_table
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._distributions import samples


def test_settings_and_findings_are_data(tmp_path: Path) -> None:
    hosts = {"a": samples.k3s(tmp_path / "a", "flannel-backend: host-gw\nflannel_iface: eth0\ncni: [\n")}
    made = distribution_settings(hosts, samples.cluster())
    assert json.loads(json.dumps(made)) == made
    assert [each["place"] for each in made["problems"]] == ["/etc/rancher/k3s/config.yaml:3"]
    found = distribution_findings(hosts)
    assert json.loads(json.dumps(found)) == found
    shown = preflight_table(found)
    assert "distribution.files" in shown and "1 error," in shown
    assert distribution_findings(hosts, skip=["distribution.files"])[0]["status"] == "ok"


@pytest.mark.parametrize("judge", [distribution_settings, distribution_findings])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [(([],), "needs a dictionary"), (({"a": 1},), "needs a dictionary"), (({}, 1), "cluster is 1")],
)
def test_other_facts_are_refused(judge: Any, arguments: Any, message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=message):
        judge(*arguments)


@pytest.mark.parametrize(("skip", "message"), [("distribution.files", "Give a list"), (["x"], "there is no check 'x'")])
def test_unknown_checks_are_refused(skip: Any, message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=message):
        distribution_findings({}, None, skip)
