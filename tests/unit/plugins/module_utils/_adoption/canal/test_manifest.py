# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Is it the manifest of one Canal, whole, and of which release?"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._adoption.canal import manifest
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.tests.unit._canal_manifest import Obj, documents, find
from ansible_collections.podnet.cni.tests.unit._canal_manifest import manifest as release


@pytest.mark.parametrize("version", ["3.26.5", "3.28.2", "3.29.1", "3.30.7", "3.31.7", "3.32.1"])
def test_every_release_is_read(version: str) -> None:
    items = release(version)
    found = manifest.read(documents(items))
    assert found.calico == version
    assert found.flannel == "0.24.4"
    assert (found.namespace, found.service_account) == ("kube-system", "canal")
    assert (found.node_container, found.flannel_container) == ("calico-node", "kube-flannel")
    assert list(found.objects) == items
    assert len(found.crds) == sum(item["kind"] == "CustomResourceDefinition" for item in items)


def test_lists_are_taken_apart_and_custom_resources_may_be_there() -> None:
    extra = {"apiVersion": "crd.projectcalico.org/v1", "kind": "FelixConfiguration", "metadata": {"name": "default"}}
    whole = {"apiVersion": "v1", "kind": "List", "items": [*release(), extra]}
    assert manifest.read(documents([whole])).objects[-1] == extra


def test_what_its_pods_need_is_what_their_rights_name_and_what_the_release_brought() -> None:
    items = release("3.32.1")
    role = find(items, "ClusterRole", "calico-node")
    role["rules"].append(
        {"apiGroups": ["crd.projectcalico.org"], "resources": ["globalfelixconfigs", "bgppeers/status", "bgppeers"]}
    )
    role["rules"].append({"apiGroups": ["kubevirt.io"], "resources": ["virtualmachineinstancemigrations"]})
    needed = manifest.read(documents(items)).needed
    assert {"bgppeers.crd.projectcalico.org", "tiers.crd.projectcalico.org"} <= set(needed)
    assert "clusternetworkpolicies.policy.networking.k8s.io" in needed
    assert not any("globalfelixconfigs" in name or "/" in name or "kubevirt" in name for name in needed)


@pytest.mark.parametrize("version", ["3.26.5", "3.28.2", "3.29.1", "3.30.7", "3.31.7", "3.32.1"])
def test_a_release_has_all_that_it_needs(version: str) -> None:
    found = manifest.read(documents(release(version)))
    assert set(found.needed) <= set(found.crds)


class Lazy(dict[str, Any]):
    """As Ansible's own containers: a copy by the copy module takes the template engine along."""

    def __deepcopy__(self, _memo: object) -> Lazy:
        raise AssertionError("copied with all that hangs on it")


def test_copies_are_plain_and_share_nothing() -> None:
    inner = Lazy(names=["a"])
    value = Lazy(spec=inner, many=(inner, 1))
    found = manifest.plain_copy(value)
    assert found == {"spec": {"names": ["a"]}, "many": [{"names": ["a"]}, 1]}
    assert [type(each) for each in (found, found["spec"], found["many"][0])] == [dict, dict, dict]
    found["spec"]["names"].append("b")
    assert inner["names"] == ["a"]


def _drop(kind: str) -> Callable[[list[Any]], None]:
    def change(items: list[Any]) -> None:
        items[:] = [item for item in items if item["kind"] != kind]

    return change


def _containers(items: list[Any]) -> list[Obj]:
    return find(items, "DaemonSet")["spec"]["template"]["spec"]["containers"]


def _second(items: list[Any]) -> None:
    other = copy.deepcopy(find(items, "DaemonSet"))
    other["metadata"]["name"] = "canal-two"
    items.append(other)


def _old_node(items: list[Any]) -> None:
    _containers(items)[0]["image"] = "docker.io/calico/node:v3.20.0"


CASES: list[tuple[Callable[[list[Any]], Any], str]] = [
    (lambda items: items.clear(), "canal_manifest holds no object: name the file canal.yaml"),
    (lambda items: items.append("text"), r"line \d+: there is a str where an object should be"),
    (lambda items: items.append({"kind": "ConfigMap"}), r"line \d+: the object has no apiVersion"),
    (lambda items: items.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": []}), "has no metadata.name"),
    (lambda items: items.append(items[4]), r"ConfigMap canal-config stands twice, in canal.yaml, line 41 and in"),
    (
        lambda items: items.append({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}}),
        "Secret x is nothing that Canal's manifest holds",
    ),
    (
        lambda items: items.append(
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": "web"},
                "spec": {"template": {"spec": {"containers": [{"name": "web", "image": "nginx:1"}]}}},
            }
        ),
        "Deployment web is nothing that Canal's manifest holds",
    ),
    (_drop("DaemonSet"), "holds no DaemonSet with both flannel and Calico"),
    (_drop("ServiceAccount"), "needs ServiceAccount canal, which the manifest does not hold: the file is not whole"),
    (_drop("ClusterRole"), "ClusterRoleBinding .* needs ClusterRole .*: the file is not whole"),
    (_second, "holds 2 DaemonSets with both flannel and Calico"),
    (_drop("ConfigMap"), "reads ConfigMap canal-config, which the manifest does not hold: the file is not whole"),
    (lambda items: _containers(items).pop(), "is Calico without flannel: this is not a manifest of Canal"),
    (lambda items: _containers(items).pop(0), "is flannel without Calico: .* Use the role flannel"),
    (
        lambda items: find(items, "ConfigMap")["data"].pop("veth_mtu"),
        "ConfigMap canal-config has no veth_mtu: this is not a release's manifest",
    ),
    (
        lambda items: find(items, "ConfigMap")["data"].update(etcd_endpoints="http://x"),
        "keeps Calico's data in etcd",
    ),
    (_old_node, "the images are of different releases: docker.io/calico/node:v3.20.0, quay.io"),
    (lambda items: _containers(items)[0].update(image="calico/node:master"), "has no release as its tag"),
    (lambda items: find(items, "DaemonSet")["metadata"].pop("namespace"), "has no metadata.namespace"),
]


@pytest.mark.parametrize(("change", "message"), CASES)
def test_what_is_refused(change: Callable[[list[Any]], Any], message: str) -> None:
    items: list[Any] = release()
    change(items)
    with pytest.raises(InputError, match=message):
        manifest.read(documents(items))


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("quay.io/calico/node:v3.32.1", "3.32.1"),
        ("docker.io/flannel/flannel:0.28.9", "0.28.9"),
        ("registry:5000/a/flannel:v0.28.9-build20260101@sha256:00", "0.28.9"),
        ("flannel", ""),
        ("flannel:latest", ""),
        ("flannel@sha256:00", ""),
    ],
)
def test_release_of_an_image(image: str, version: str) -> None:
    assert manifest.release_of(image) == version
