# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What flanneld wrote to Nodes is taken back, and nothing that others wrote."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._adoption.flannel import node_marks

PREFIX = "flannel.alpha.coreos.com"


def node(reason: str = "", **annotations: str) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": "True"}]
    conditions += [{"type": "NetworkUnavailable", "status": "False", "reason": reason}] if reason else []
    notes = {f"{PREFIX}/{key.replace('_', '-')}": value for key, value in annotations.items()}
    return {"metadata": {"name": "n1", "annotations": notes}, "status": {"conditions": conditions}}


@pytest.mark.parametrize(
    ("item", "cleaned", "annotations", "condition"),
    [
        (node("FlannelIsUp", public_ip="x", backend_type="vxlan"), ["n1"], ["backend-type", "public-ip"], "delete"),
        (node("FlannelIsUp", public_ip_overwrite="x"), [], [], "True"),
        (node("FlannelIsRemoved"), ["n1"], [], "delete"),
        (node("CiliumIsUp", public_ip="x"), ["n1"], ["public-ip"], None),
        (node("CiliumIsUp", public_ip="x"), [], ["public-ip"], None),
    ],
)
def test_a_node(item: dict[str, Any], cleaned: list[str], annotations: list[str], condition: str | None) -> None:
    (change,) = node_marks.plan([item], cleaned, PREFIX)
    assert [key.partition("/")[2] for key in change.annotations] == annotations
    found = change.condition and (change.condition.get("$patch") or change.condition.get("status"))
    assert found == condition


@pytest.mark.parametrize("item", [node(), node("FlannelIsRemoved"), node("CalicoIsUp"), {"metadata": {"name": "n2"}}])
def test_a_node_that_needs_nothing(item: dict[str, Any]) -> None:
    assert list(node_marks.plan([item], [], PREFIX)) == []


def test_the_difference_shows_what_goes() -> None:
    item = node("FlannelIsUp", public_ip="x")
    (change,) = node_marks.plan([item], [], PREFIX)
    diff = node_marks.shown(item, change)
    assert diff["before"]["annotations"] == {f"{PREFIX}/public-ip": "x"}
    assert diff["after"]["annotations"] == {}
    assert (diff["before"]["condition"]["status"], diff["after"]["condition"]["status"]) == ("False", "True")
    (change,) = node_marks.plan([item], ["n1"], PREFIX)
    assert "condition" not in node_marks.shown(item, change)["after"]
