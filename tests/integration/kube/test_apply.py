# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The modules kube_apply and kube_api_info on a real API server."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from ansible_collections.podnet.cni.tests.integration import _kube
from ansible_collections.podnet.cni.tests.integration.etcd._lab import run_module

pytestmark = pytest.mark.kube


def item(kind: str, name: str, namespace: str = "", version: str = "v1", **content: Any) -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **content}


def apply(kube: _kube.KubeServer, *definitions: Any, check: bool = False, **options: Any) -> dict[str, Any]:
    given = {"kubeconfig": str(kube.admin), "definitions": list(definitions), **options}
    return run_module("kube_apply", given, check=check, diff=True)


WIDGET = "apply.example.org"
DEFINITION = item(
    "CustomResourceDefinition",
    f"widgets.{WIDGET}",
    version="apiextensions.k8s.io/v1",
    spec={
        "group": WIDGET,
        "names": {"kind": "Widget", "plural": "widgets"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"size": {"type": "integer"}}}},
            }
        ],
    },
)
MANIFEST = [
    item("Namespace", "apply-one"),
    DEFINITION,
    None,
    {"kind": "List", "items": [item("Widget", "w", "apply-one", f"{WIDGET}/v1", size=1)]},
    item("Secret", "s", "apply-one", stringData={"key": "very-secret"}),
    item("ConfigMap", "c", "apply-one", data={"a": "1", "b": "2"}),
]


def test_apply_again_change_remove(kube: _kube.KubeServer) -> None:
    planned = apply(kube, *MANIFEST, check=True)
    assert planned["actions"] == [
        "create Namespace apply-one",
        f"create CustomResourceDefinition widgets.{WIDGET}",
        "create Widget apply-one/w",
        "create Secret apply-one/s",
        "create ConfigMap apply-one/c",
    ], planned
    done = apply(kube, *MANIFEST)
    assert done["actions"] == planned["actions"]
    assert "very-secret" not in json.dumps(done)
    assert base64.b64encode(b"very-secret").decode() not in json.dumps(done)
    # Every apply of stringData looks like a change to nobody: the server compares data.
    again = apply(kube, *MANIFEST)
    assert again["actions"] == []
    changed = item("ConfigMap", "c", "apply-one", data={"a": "2"})
    assert apply(kube, changed, check=True)["actions"] == ["update ConfigMap apply-one/c"]
    assert apply(kube, changed)["changed"]
    stored = kube.api("GET", "/api/v1/namespaces/apply-one/configmaps/c")
    assert stored["data"] == {"a": "2"}, "a field that is no longer named is removed"
    gone = apply(kube, *MANIFEST[1:], state="absent", wait=True, wait_timeout=20)
    assert gone["actions"][0] == "delete ConfigMap apply-one/c"
    assert gone["actions"][-1] == f"delete CustomResourceDefinition widgets.{WIDGET}"
    assert not apply(kube, *MANIFEST[1:], state="absent")["changed"]


def test_fields_of_others_are_left_alone_and_equal_ones_adopted(kube: _kube.KubeServer) -> None:
    path = "/api/v1/namespaces/default/configmaps"
    kube.api("POST", path, item("ConfigMap", "shared", data={"theirs": "1", "ours": "1"}))
    wanted = item("ConfigMap", "shared", "default", data={"ours": "1"})
    assert apply(kube, wanted)["actions"] == ["adopt ConfigMap default/shared"]
    assert not apply(kube, wanted)["changed"]
    assert kube.api("GET", f"{path}/shared")["data"] == {"theirs": "1", "ours": "1"}
    kube.api("DELETE", f"{path}/shared")


def test_a_refused_object_stops_everything(kube: _kube.KubeServer) -> None:
    good = item("ConfigMap", "fine", "default", data={"a": "1"})
    bad = item("ConfigMap", "Not_A_Name", "default")
    assert "Not_A_Name" in apply(kube, good, bad)["msg"]
    with pytest.raises(RuntimeError, match="404"):
        kube.api("GET", "/api/v1/namespaces/default/configmaps/fine")


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ("text", "definitions[0] is str"),
        ({"kind": "ConfigMap"}, "no apiVersion"),
        (item("ConfigMap", ""), "no metadata.name"),
        (item("ConfigMap", "a"), "give metadata.namespace"),
        (item("Namespace", "a", "b"), "leave metadata.namespace out"),
        (item("Widget", "a", "b", "none.example.org/v1"), "no kind Widget"),
        ({"kind": "List", "items": [item("Namespace", "a"), item("Namespace", "a")]}, "twice"),
    ],
)
def test_bad_definitions(kube: _kube.KubeServer, definition: Any, message: str) -> None:
    assert message in apply(kube, definition)["msg"]


def test_waiting_for_a_rollout(kube: _kube.KubeServer) -> None:
    spec = {
        "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "a", "image": "a"}]}},
    }
    deployment = item("Deployment", "waiting", "default", "apps/v1", spec=spec)
    refused = apply(kube, deployment, wait=True, wait_timeout=1)
    assert "after 1 s: Deployment default/waiting is not rolled out: its controller has not seen" in refused["msg"]
    status = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1}
    path = "/apis/apps/v1/namespaces/default/deployments/waiting"
    kube.api("PATCH", f"{path}/status", {"status": status}, "application/merge-patch+json")
    assert not apply(kube, deployment, wait=True)["changed"]
    kube.api("DELETE", path)


def test_what_is_served(kube: _kube.KubeServer) -> None:
    given = {"kubeconfig": str(kube.admin), "groups": ["apps", "", "none.example.org"]}
    info = run_module("kube_api_info", given)
    assert info["version"].startswith("v1.")
    assert sorted(info["resources"]) == ["apps/v1", "v1"]
    assert "deployments" in info["resources"]["apps/v1"]
