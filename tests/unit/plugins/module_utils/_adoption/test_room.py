# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the diff says of objects whose fields are taken over."""

from __future__ import annotations

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._adoption.decision import Decision, Found
from ansible_collections.podnet.cni.plugins.module_utils._adoption.place import Place
from ansible_collections.podnet.cni.plugins.module_utils._adoption.room import Room
from ansible_collections.podnet.cni.plugins.module_utils._kube.objects import FIELD_MANAGER


@pytest.mark.parametrize("writer", ["kubectl", FIELD_MANAGER])
def test_what_is_taken_over_shows_whoever_wrote_it(writer: str) -> None:
    """A rollout that goes back updates, as the name under which the role applies."""
    entries = [
        {"manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": {"f:spec": {}}},
        {"manager": writer, "operation": "Update", "fieldsV1": {"f:spec": {"f:template": {}}}},
    ]
    daemonset = {"metadata": {"namespace": "kube-flannel", "name": "kube-flannel-ds", "managedFields": entries}}
    place = Place("kube-flannel", "kube-flannel-ds", "kube-flannel-cfg", "flannel")
    shown = Room.diff(Found(daemonsets=[daemonset]), Decision("upgrade", place, take_over=True))
    name = "DaemonSet kube-flannel/kube-flannel-ds"
    assert shown["before"][name] == {"managers": sorted([f"{FIELD_MANAGER} (Apply)", f"{writer} (Update)"])}
    assert shown["after"][name] == {"managers": [f"{FIELD_MANAGER} (Apply)"]}
