# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A plan of an upgrade as people read it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.podnet.cni.tests.unit._private_filters import private
from ansible_collections.podnet.cni.tests.unit._upgrade_plans import daemonset, made, template

upgrade_plan_text = private("upgrade_plan_text")


def test_nothing_to_do() -> None:
    found = made(daemonset(["n1"], after=template()))
    assert upgrade_plan_text(found)[-1] == "Nothing to do: every node runs what is wanted."


def test_plan_as_text() -> None:
    config = {"net-conf.json": '{"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan", "VNI": 4096}}'}
    found = made(daemonset([f"n{number}" for number in range(1, 26)], config_after=config), ill=("n10",))
    text = "\n".join(upgrade_plan_text(found))
    for part in (
        "flannel: 0.27.4 -> 0.28.9",
        "kube-flannel/kube-flannel-ds: net-conf.json: Backend.VNI: (none) -> 4096",
        " 1  canary         linux       1  n1",
        "Left out, because they are not ready\n  n10",
        "no files of nodes, because none is in the inventory",
        "and 9 more",
    ):
        assert part in text, text


@pytest.mark.parametrize("data", [None, {}, [], "plan", {"network": "x"}])
def test_no_plan_no_text(data: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="this is not a plan"):
        upgrade_plan_text(data)
