# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What belongs to a DaemonSet."""

from __future__ import annotations

from typing import Any

from ansible_collections.podnet.cni.plugins.module_utils._backup import objects


def daemonset(**spec: Any) -> dict[str, Any]:
    return {"spec": {"template": {"spec": spec}}}


def test_config_maps_wherever_they_are_used() -> None:
    found = objects.config_maps(
        daemonset(
            volumes=[
                {"name": "a", "configMap": {"name": "mounted"}},
                {"name": "b", "projected": {"sources": [{"configMap": {"name": "projected"}}, {"secret": {}}]}},
                {"name": "c", "hostPath": {"path": "/"}},
            ],
            initContainers=[{"envFrom": [{"configMapRef": {"name": "all"}}]}],
            containers=[{"env": [{"valueFrom": {"configMapKeyRef": {"name": "one"}}}, {"value": "x"}]}, {}],
        )
    )
    assert found == ["mounted", "projected", "all", "one"]


def test_bindings_of_the_account_alone() -> None:
    mine = {"subjects": [{"kind": "User", "name": "x"}, {"kind": "ServiceAccount", "namespace": "n", "name": "a"}]}
    others: list[dict[str, Any]] = [
        {"subjects": [{"kind": "ServiceAccount", "namespace": "m", "name": "a"}]},
        {"subjects": [{"kind": "Group", "name": "system:serviceaccounts"}]},
        {},
    ]
    assert objects.bindings([*others, mine], "n", "a") == [mine]


def node(name: str, **notes: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "annotations": {key.replace("_", "/"): value for key, value in notes.items()}}}


def test_annotations_of_the_prefix_and_those_that_are_missing() -> None:
    kept = objects.node_notes([node("n1", a_x="1", ab_x="2", b_y="3"), node("n2", c_z="4")], ["a", "b/"])
    assert kept == {"n1": {"a/x": "1", "b/y": "3"}}
    assert objects.missing(kept, [node("n1", a_x="newer"), node("n3")]) == {"n1": {"b/y": "3"}}


def test_file_names_stay_in_their_directory() -> None:
    role = {"kind": "ClusterRole", "metadata": {"name": "system:node"}}
    assert objects.file_name(role) == "objects/clusterrole/_/system%3anode.json"


def test_network_config_before_other_config_maps() -> None:
    first = {"kind": "ConfigMap", "metadata": {"name": "first"}, "data": {}}
    net = {"kind": "ConfigMap", "metadata": {"name": "net"}, "data": {"net-conf.json": "{}"}}
    assert objects.network_config_map(["first", "net"], [net, first]) == net
    assert objects.network_config_map(["first"], [net, first]) == first
    assert objects.network_config_map([], [net, first]) is None
