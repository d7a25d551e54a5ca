# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Backups of a real API server, and what comes back from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._backup import run
from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError, InputError
from ansible_collections.podnet.cni.tests.integration import _kube
from ansible_collections.podnet.cni.tests.integration.rollout._agents import MERGE, daemonset

pytestmark = pytest.mark.kube

RBAC = "rbac.authorization.k8s.io/v1"
PREFIX = "flannel.alpha.coreos.com"


def install(kube: _kube.KubeServer, namespace: str) -> None:
    """A network as its users install it."""
    item = daemonset(namespace)
    pod = item["spec"]["template"]["spec"]
    pod["serviceAccountName"] = "agent"
    pod["volumes"] = [{"name": "cfg", "configMap": {"name": "cfg"}}, {"name": "more", "configMap": {"name": "more"}}]
    place = {"namespace": namespace}
    kube.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": {"a": "b"}}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "agent", **place}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "more", **place}, "data": {"k": "old"}},
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "cfg", **place},
            "data": {"net-conf.json": "old"},
        },
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", **place}, "stringData": {"p": "hidden"}},
        item,
    )
    role = {"apiVersion": RBAC, "kind": "ClusterRole", "metadata": {"name": f"agent:{namespace}"}}
    rules = [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}]
    kube.api("PATCH", f"/apis/{RBAC}/clusterroles/agent:{namespace}?fieldManager=t", {**role, "rules": rules}, APPLY)
    subject = {"kind": "ServiceAccount", "name": "agent", "namespace": namespace}
    kube.apply(
        {
            "apiVersion": RBAC,
            "kind": "ClusterRoleBinding",
            "metadata": {"name": f"agent-{namespace}"},
            "subjects": [subject],
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": f"agent:{namespace}"},
        }
    )


APPLY = "application/apply-patch+yaml"


def params(kube: _kube.KubeServer, path: Path, **more: Any) -> dict[str, Any]:
    return {
        "kubeconfig": str(kube.admin),
        "path": str(path),
        "state": "present",
        "daemonsets": [],
        "custom_resource_groups": [],
        "annotation_prefixes": [PREFIX],
        "node_files": {},
        "records": {},
        **more,
    }


def test_everything_that_changed_comes_back(kube: _kube.KubeServer, tmp_path: Path) -> None:
    install(kube, "whole")
    node = _kube.node("whole-1")
    node["metadata"]["annotations"] = {f"{PREFIX}/backend-type": "vxlan", f"{PREFIX}/public-ip": "198.18.0.1"}
    kube.apply(node)
    wish = params(
        kube, tmp_path / "b", daemonsets=[{"namespace": "whole", "name": "agent"}], records={"plan": {"a": 1}}
    )
    assert run.run(wish, True)["changed"] is True
    assert list(tmp_path.iterdir()) == [], "check mode writes nothing"
    made = run.run(wish, False)
    assert [name for name in made["documents"] if name.startswith("objects/")] == [
        "objects/clusterrole/_/agent%3awhole.json",
        "objects/clusterrolebinding/_/agent-whole.json",
        "objects/configmap/whole/cfg.json",
        "objects/configmap/whole/more.json",
        "objects/daemonset/whole/agent.json",
        "objects/namespace/_/whole.json",
        "objects/serviceaccount/whole/agent.json",
    ]
    assert not [each for each in tmp_path.rglob("*.json") if "hidden" in each.read_text()]
    assert run.run(wish, False)["changed"] is False, "a backup is never written over"

    back = {**wish, "state": "restored"}
    assert run.run(back, False)["changed"] is False
    kube.api("PATCH", "/api/v1/namespaces/whole", {"metadata": {"labels": {"a": None}}}, MERGE)
    kube.api("PATCH", "/api/v1/namespaces/whole/configmaps/more", {"data": {"k": "new", "l": "new"}}, MERGE)
    kube.api("PATCH", "/api/v1/namespaces/whole/configmaps/cfg", {"data": {"net-conf.json": "new"}}, MERGE)
    kube.api("DELETE", "/api/v1/namespaces/whole/serviceaccounts/agent")
    kube.api("DELETE", f"/apis/{RBAC}/clusterrolebindings/agent-whole")
    kube.api("PATCH", f"/apis/{RBAC}/clusterroles/agent:whole", {"rules": []}, MERGE)
    notes = {f"{PREFIX}/backend-type": None, f"{PREFIX}/public-ip": "198.18.0.9"}
    kube.api("PATCH", "/api/v1/nodes/whole-1", {"metadata": {"annotations": notes}}, MERGE)

    planned = run.run(back, True)
    restored = run.run(back, False)
    assert (
        planned["actions"]
        == restored["actions"]
        == [
            "restore Namespace whole",
            "restore ServiceAccount whole/agent",
            "restore ClusterRole agent:whole",
            "restore ClusterRoleBinding agent-whole",
            "restore ConfigMap whole/more",
            "restore 1 annotations of Node whole-1",
        ]
    )
    assert kube.api("GET", "/api/v1/namespaces/whole/configmaps/more")["data"] == {"k": "old"}
    assert kube.api("GET", "/api/v1/namespaces/whole")["metadata"]["labels"]["a"] == "b"
    notes = kube.api("GET", "/api/v1/nodes/whole-1")["metadata"]["annotations"]
    assert (notes[f"{PREFIX}/backend-type"], notes[f"{PREFIX}/public-ip"]) == ("vxlan", "198.18.0.9")
    (left,) = restored["rollouts"]
    assert (left["name"], left["config_map"], left["config_backup"]) == ("agent", "cfg", back["path"])
    assert "config_data" not in left, "a network config can hold a preshared key"
    place = {"namespace": "whole", "config_map": "cfg", "config_backup": back["path"], "config_data": {}}
    assert run.with_config(place)["config_data"] == {"net-conf.json": "old"}
    with pytest.raises(InputError, match="holds no ConfigMap whole/other"):
        run.with_config({**place, "config_map": "other"})
    assert kube.api("GET", "/api/v1/namespaces/whole/configmaps/cfg")["data"] == {"net-conf.json": "new"}
    assert run.run(back, False)["changed"] is False


def test_daemonset_that_is_gone_is_made_again(kube: _kube.KubeServer, tmp_path: Path) -> None:
    install(kube, "gone")
    wish = params(kube, tmp_path / "b", daemonsets=[{"namespace": "gone", "name": "agent"}])
    run.run(wish, False)
    kube.api("DELETE", "/apis/apps/v1/namespaces/gone/daemonsets/agent")
    kube.api("DELETE", "/api/v1/namespaces/gone/configmaps/cfg")
    restored = run.run({**wish, "state": "restored"}, False)
    assert restored["actions"] == ["restore ConfigMap gone/cfg", "restore DaemonSet gone/agent"]
    assert restored["rollouts"] == []


def test_another_selector_is_refused_before_anything_is_written(kube: _kube.KubeServer, tmp_path: Path) -> None:
    install(kube, "selector")
    wish = params(kube, tmp_path / "b", daemonsets=[{"namespace": "selector", "name": "agent"}])
    run.run(wish, False)
    kube.api("DELETE", "/apis/apps/v1/namespaces/selector/daemonsets/agent")
    other = daemonset("selector")
    other["spec"]["selector"] = {"matchLabels": {"app": "other"}}
    other["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    kube.apply(other)
    kube.api("DELETE", "/api/v1/namespaces/selector/configmaps/more")
    with pytest.raises(ConflictError, match="DaemonSet selector/agent has another selector"):
        run.run({**wish, "state": "restored"}, False)
    with pytest.raises(RuntimeError, match="404"):
        kube.api("GET", "/api/v1/namespaces/selector/configmaps/more")


def definition(version: str) -> dict[str, Any]:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    served = {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "felixconfigurations", "singular": "felixconfiguration", "kind": "FelixConfiguration"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "felixconfigurations.crd.projectcalico.org"},
        "spec": {"group": "crd.projectcalico.org", "scope": "Cluster", "names": names, "versions": [served]},
    }


def test_custom_resources_come_back_and_definitions_stay(kube: _kube.KubeServer, tmp_path: Path) -> None:
    install(kube, "custom")
    kube.apply(definition("v1"))
    path = "/apis/crd.projectcalico.org/v1/felixconfigurations"
    item = {"apiVersion": "crd.projectcalico.org/v1", "kind": "FelixConfiguration", "metadata": {"name": "default"}}
    for _attempt in range(100):
        try:
            kube.api("POST", path, {**item, "spec": {"a": "old"}})
            break
        except RuntimeError as error:
            assert ": 404 " in str(error)
    wish = params(
        kube,
        tmp_path / "b",
        daemonsets=[{"namespace": "custom", "name": "agent"}],
        custom_resource_groups=["crd.projectcalico.org"],
    )
    made = run.run(wish, False)
    assert "objects/felixconfiguration/_/default.json" in made["documents"]
    kube.api("PATCH", f"{path}/default", {"spec": {"a": "new", "b": "new"}}, MERGE)
    restored = run.run({**wish, "state": "restored"}, False)
    assert restored["actions"] == ["restore FelixConfiguration default"]
    assert kube.api("GET", f"{path}/default")["spec"] == {"a": "old"}


def test_backup_of_another_cluster_is_refused(kube: _kube.KubeServer, tmp_path: Path) -> None:
    install(kube, "foreign")
    wish = params(kube, tmp_path / "b", daemonsets=[{"namespace": "foreign", "name": "agent"}])
    run.run(wish, False)
    _kube.require()
    with _kube.running() as other, pytest.raises(ConflictError, match="is of another cluster"):
        run.run({**params(other, tmp_path / "b"), "state": "restored"}, False)


def test_nothing_is_asked_for_nodes_alone(tmp_path: Path) -> None:
    wish = {**params_without_cluster(tmp_path), "node_files": {"n1": {"files": {}, "absent": []}}}
    assert run.run(wish, False)["changed"] is True
    assert run.run({**wish, "state": "restored"}, False)["node_files"] == wish["node_files"]
    with pytest.raises(InputError, match="cannot be the name of a file"):
        run.run({**wish, "path": str(tmp_path / "c"), "node_files": {"../n1": {}}}, False)


def params_without_cluster(path: Path) -> dict[str, Any]:
    return {
        "path": str(path / "b"),
        "state": "present",
        "daemonsets": [],
        "custom_resource_groups": [],
        "annotation_prefixes": [],
        "node_files": {},
        "records": {},
    }


def test_missing_daemonset_leaves_no_directory(kube: _kube.KubeServer, tmp_path: Path) -> None:
    wish = params(kube, tmp_path / "b", daemonsets=[{"namespace": "nowhere", "name": "agent"}])
    with pytest.raises(InputError, match="there is no DaemonSet nowhere/agent"):
        run.run(wish, False)
    assert list(tmp_path.iterdir()) == []
