# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The stand-in of the unit tests says what a real API server says, in everything the client looks at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._kube import errors
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.tests.integration import _kube
from ansible_collections.podnet.cni.tests.unit._kube_standin import KubeStandIn

pytestmark = pytest.mark.kube

NODES = "/api/v1/nodes"
Story = Callable[[KubeClient], Any]


def node(name: str, **labels: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}


def failure(action: Callable[[], Any]) -> tuple[str, int, str]:
    """Class, status and reason of the error that an action ends with."""
    with pytest.raises(errors.KubeError) as caught:
        action()
    return type(caught.value).__name__, caught.value.status, caught.value.reason


def names(listing: Any) -> list[str]:
    return [item["metadata"]["name"] for item in listing.items]


def paged(client: KubeClient) -> Any:
    listing = client.list(NODES, limit=2)
    return names(listing), listing.kind, client.requests


def selected(client: KubeClient) -> Any:
    by_label = client.list(NODES, {"labelSelector": "role=edge"})
    by_key = client.list(NODES, {"labelSelector": "role"})
    by_name = client.list(NODES, {"fieldSelector": "metadata.name=c"})
    return names(by_label), names(by_key), names(by_name)


def metadata_only(client: KubeClient) -> Any:
    listing = client.list(NODES, metadata_only=True)
    return names(listing), listing.kind, [sorted({"metadata", "spec", "status"} & set(item)) for item in listing.items]


def absent(client: KubeClient) -> Any:
    return failure(lambda: client.get(f"{NODES}/nobody")), failure(lambda: client.patch(f"{NODES}/nobody", {}))


def created_twice(client: KubeClient) -> Any:
    return failure(lambda: client.create(NODES, node("a")))


def patched(client: KubeClient) -> Any:
    body = {"metadata": {"labels": {"role": None, "new": "1"}}}
    return client.patch(f"{NODES}/b", body)["metadata"]["labels"]


def patched_through_status(client: KubeClient) -> Any:
    body = {"metadata": {"annotations": {"example.org/x": "1"}}}
    return client.patch(f"{NODES}/a/status", body, "strategic")["metadata"]["annotations"]


def patched_an_old_version(client: KubeClient) -> Any:
    old = client.get(f"{NODES}/a")["metadata"]["resourceVersion"]
    client.patch(f"{NODES}/a", {"metadata": {"labels": {"x": "1"}}})
    body = {"metadata": {"resourceVersion": old, "labels": {"x": "2"}}}
    return failure(lambda: client.patch(f"{NODES}/a", body))


def patched_to_the_same(client: KubeClient) -> Any:
    before = client.get(f"{NODES}/a")["metadata"]["resourceVersion"]
    after = client.patch(f"{NODES}/a", {"metadata": {"labels": {"role": "edge"}}})["metadata"]["resourceVersion"]
    return before == after


def watched(client: KubeClient) -> Any:
    start = client.list(NODES).resource_version
    client.create(NODES, node("d"))
    client.patch(f"{NODES}/d", {"metadata": {"labels": {"x": "1"}}})
    client.delete(f"{NODES}/d")
    events = [event for event in client.watch(NODES, start, seconds=1) if event.type != "BOOKMARK"]
    versions = [int(event.resource_version) for event in events]
    return [(event.type, event.object["metadata"]["name"]) for event in events], versions == sorted(set(versions))


STORIES: list[Story] = [
    paged,
    selected,
    metadata_only,
    absent,
    created_twice,
    patched,
    patched_through_status,
    patched_an_old_version,
    patched_to_the_same,
    watched,
]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_both_tell_the_same(kube: _kube.KubeServer, story: Story) -> None:
    kube.api("DELETE", NODES)
    with KubeStandIn() as standin:
        told = []
        for options in ({"kubeconfig": str(kube.admin)}, {"host": standin.url}):
            with KubeClient.from_options(options) as setup:
                for name, labels in (("a", {"role": "edge"}), ("b", {"role": "edge"}), ("c", {})):
                    setup.create(NODES, node(name, **labels))
            with KubeClient.from_options(options) as client:
                told.append(story(client))
    kube.api("DELETE", NODES)
    assert told[0] == told[1]
