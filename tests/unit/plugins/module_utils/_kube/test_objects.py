# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What kube_apply decides without asking a server, and when a rollout is complete."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel.backend_options import SECRET_OPTIONS
from ansible_collections.podnet.cni.plugins.module_utils._kube import hiding, objects
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import NotFound
from ansible_collections.podnet.cni.plugins.module_utils._kube.rollout import rolled_out

MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "n"}}


def test_lists_are_taken_apart_and_empty_documents_left_out() -> None:
    inner = {"apiVersion": "v1", "kind": "ConfigMapList", "items": [MAP]}
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}
    found = objects.identify([None, space, inner])
    assert [str(identity) for identity, _item in found] == ["Namespace n", "ConfigMap n/a"]


@pytest.mark.parametrize(
    ("definitions", "message"),
    [
        ([["list"]], r"definitions\[0\] is list"),
        ([MAP, {"apiVersion": "v1", "kind": "Pod", "metadata": None}], r"definitions\[1\] has no metadata.name"),
        ([MAP, dict(MAP)], "ConfigMap n/a is in the list twice"),
    ],
)
def test_bad_lists(definitions: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        objects.identify(definitions)


def test_what_is_shown_hides_secrets_and_the_servers_own_fields() -> None:
    item = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "a", "uid": "1", "resourceVersion": "2", "managedFields": [], "labels": {"b": "c"}},
        "data": {"key": "dmFsdWU="},
        "status": {"x": 1},
    }
    shown = objects.shown(item)
    assert shown["metadata"] == {"name": "a", "labels": {"b": "c"}}
    assert "status" not in shown
    assert shown["data"]["key"].startswith("sha256:")
    assert hiding.secrets([{"items": [item]}, None, "text"]) == {"dmFsdWU="}


class OneNamespace:
    """An API server that has one namespace, with these labels; a dry run gives back what was sent."""

    def __init__(self, labels: dict[str, str] | None) -> None:
        self.labels = labels

    def get(self, path: str) -> dict[str, Any]:
        if path == "/api/v1":
            return {"resources": [{"kind": "Namespace", "name": "namespaces", "namespaced": False}]}
        if self.labels is None:
            raise NotFound(path, status=404)
        return {"metadata": {"name": "n", "labels": self.labels}}

    def patch(self, _path: str, body: dict[str, Any], _kind: str, **_more: Any) -> dict[str, Any]:
        return body


@pytest.mark.parametrize(
    ("labels", "present", "absent"),
    [
        (None, "create", ""),
        ({}, "", ""),
        ({"made-by": "another"}, "", ""),
        ({"made-by": "us"}, "update", "delete"),
    ],
)
def test_a_namespace_of_somebody_else_is_left_alone(labels: dict[str, str] | None, present: str, absent: str) -> None:
    wanted = {"made-by": "us", "pod-security.kubernetes.io/enforce": "restricted"}
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n", "labels": wanted}}
    client: Any = OneNamespace(labels)
    assert [step.action for step in objects.plan_present(client, [space], label="made-by")] == [present]
    assert [step.action for step in objects.plan_absent(client, [space], label="made-by")] == [absent]
    if labels is not None:
        assert [step.action for step in objects.plan_absent(client, [space])] == ["delete"], "only when asked"


def test_a_namespace_has_to_carry_the_label_it_is_known_by() -> None:
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}
    with pytest.raises(InputError, match="Namespace n has no label made-by"):
        objects.check_label([MAP, space], "made-by")


PSK = "bWluZSBpcyBhIGtleSBvZiAzMiBieXRlcywgcmVhbGx5IQ=="


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"Network": "10.0.0.0/8", "Backend": {"Type": "wireguard", "PSK": PSK}}, indent=2),
        json.dumps({"Backend": {"psk": PSK}}),
        '{"Backend": {"PSK": "' + PSK + '"}, oops',
        json.dumps({"data": {"net-conf.json": json.dumps({"Backend": {"PSK": PSK}})}}),
    ],
)
def test_preshared_keys_in_configmaps_are_hidden(text: str) -> None:
    notes = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps({"data": {"net-conf.json": text}})}
    item = {**MAP, "metadata": {"name": "a", "annotations": notes}, "data": {"net-conf.json": text, "other": "kept"}}
    assert PSK in hiding.secrets([{"items": [item]}])
    shown = objects.shown(item)
    assert PSK not in json.dumps(shown)
    assert shown["data"]["net-conf.json"].count("sha256:") == 1
    assert shown["data"]["other"] == "kept"
    other = {**item, "data": {"net-conf.json": text.replace(PSK, PSK[:-4] + "PQ==")}}
    assert objects.shown(other)["data"] != shown["data"], "a change of the key still shows"


def test_the_secrets_of_a_network_config_are_known() -> None:
    assert {name.lower() for name in SECRET_OPTIONS} <= hiding.SECRET_KEYS
    config = {"Backend": {"Type": "ali-vpc", "AccessKeySecret": 123456789012, "VNI": 1}}
    assert hiding.config_secrets({"net-conf.json": json.dumps([config])}) == {"123456789012"}


@given(st.text(min_size=1))
def test_a_key_of_any_letters_is_hidden(key: str) -> None:
    text = json.dumps({"Backend": {"PSK": f"<{key}>"}})
    assert f"<{key}>" in hiding.config_secrets({"net-conf.json": text})
    assert json.dumps(f"<{key}>")[1:-1] not in hiding.masked_config({"net-conf.json": text})["net-conf.json"]


def test_a_copy_of_a_secret_is_hidden() -> None:
    notes = {"kubectl.kubernetes.io/last-applied-configuration": '{"data":{"key":"dmFsdWU="}}'}
    item = {"kind": "Secret", "metadata": {"name": "a", "annotations": notes}, "data": {"key": "dmFsdWU="}}
    assert "dmFsdWU=" not in json.dumps(objects.shown(item))


DONE = {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2, "readyReplicas": 2}
DAEMONS = {
    "observedGeneration": 2,
    "desiredNumberScheduled": 3,
    "updatedNumberScheduled": 3,
    "numberAvailable": 3,
}


@pytest.mark.parametrize(
    ("kind", "status", "change", "complete"),
    [
        ("Deployment", DONE, {}, True),
        ("Deployment", DONE, {"observedGeneration": 1}, False),
        ("Deployment", DONE, {"updatedReplicas": 1}, False),
        ("Deployment", DONE, {"availableReplicas": 1}, False),
        ("Deployment", DONE, {"replicas": 3}, False),
        ("StatefulSet", DONE, {"availableReplicas": None}, True),
        ("StatefulSet", DONE, {"readyReplicas": 1}, False),
        ("DaemonSet", DAEMONS, {}, True),
        ("DaemonSet", DAEMONS, {"numberAvailable": 2}, False),
        ("DaemonSet", DAEMONS, {"updatedNumberScheduled": 0}, False),
    ],
)
def test_rollouts(kind: str, status: dict[str, Any], change: dict[str, Any], complete: bool) -> None:
    item = {"kind": kind, "metadata": {"generation": 2}, "spec": {"replicas": 2}, "status": {**status, **change}}
    assert rolled_out(item) is complete
