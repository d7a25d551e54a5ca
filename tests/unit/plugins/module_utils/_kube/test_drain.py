# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which pods leave a node that is drained, what would be lost, and whose cordon is taken back."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._kube import drain


def pod(kind: str = "ReplicaSet", **more: Any) -> dict[str, Any]:
    owners = [{"kind": kind}] if kind else []
    return {"metadata": {"name": "p", "namespace": "n", "ownerReferences": owners}, **more}


@pytest.mark.parametrize(
    ("item", "leaves", "lost"),
    [
        (pod(), True, ""),
        (pod("DaemonSet"), False, ""),
        (pod(""), True, "nobody makes it anew"),
        (pod(spec={"volumes": [{"name": "v", "emptyDir": {}}]}), True, "it has data in an emptyDir"),
        (pod(status={"phase": "Succeeded"}), False, ""),
        ({"metadata": {"annotations": {"kubernetes.io/config.mirror": "x"}}}, False, "nobody makes it anew"),
    ],
)
def test_pods(item: dict[str, Any], leaves: bool, lost: str) -> None:
    assert (drain.moves(item), drain.is_lost(item)) == (leaves, lost)


def test_a_cordon_of_somebody_else_stays() -> None:
    ours = drain.cordoned({"spec": {}})
    assert ours == {"metadata": {"annotations": {drain.MARK: "true"}}, "spec": {"unschedulable": True}}
    assert drain.cordoned({"spec": {"unschedulable": True}}) is None
    assert drain.released({"metadata": {}, "spec": {"unschedulable": True}}) is None
    assert drain.released(ours) == {"metadata": {"annotations": {drain.MARK: None}}, "spec": {"unschedulable": None}}
