# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pure part of a Kubernetes cluster on lab hosts: what each host has to be, what is refused, which steps follow."""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._lab import kubernetes as model

PAUSE = model.Archive("/images/pause.tar", {"registry.k8s.io/pause:3.10": "sha256:1"})
FLANNEL = model.Archive("/images/flannel.tar", {"ghcr.io/flannel-io/flannel:v0.28.9": "sha256:2"})
PEM = {name: f"<{name}>" for name in ("ca.crt", "ca.key", "sa.key", "sa.pub")}


def cluster(**changes: Any) -> model.Cluster:
    want = model.Cluster(
        control=model.Member("control1", ("198.18.0.9",)),
        nodes=(model.Member("node1", ("198.18.0.11",)), model.Member("node2", ("198.18.0.12",))),
        programs={name: f"/bin/{name}" for name in (*model.PROGRAMS, *model.CNI_PLUGINS)},
        pod_cidrs=("10.244.0.0/16",),
        service_cidrs=("10.96.0.0/16",),
        endpoint=("127.0.0.1", 6443),
        archives=(PAUSE, FLANNEL),
        sandbox_image="registry.k8s.io/pause:3.10",
        extra_args={},
        path="/bin",
        cgroup="podnet-lab/demo",
    )
    return dataclasses.replace(want, **changes)


def pem() -> defaultdict[str, str]:
    return defaultdict(str, PEM)


def made(part: model.Part, **changes: Any) -> model.Found:
    """What a host looks like once it is what it has to be."""
    found = model.Found(
        {file.path: model.digest(file.text) for file in part.files},
        {process.name: process.revision for process in part.processes},
        frozenset(model.CNI_PLUGINS),
        frozenset({name for archive in (PAUSE, FLANNEL) for pair in archive.images.items() for name in pair}),
        part.routes,
    )
    return dataclasses.replace(found, **changes)


def steps(want: model.Part, have: model.Found) -> list[str]:
    return [str(step) for step in model.plan("node1", want, have, (PAUSE, FLANNEL), plugins=True)]


def node_part(want: model.Cluster) -> model.Part:
    return model.node_part(want, want.nodes[0], pem())


def test_a_node_that_is_what_it_has_to_be_needs_nothing() -> None:
    part = node_part(cluster())
    assert steps(part, made(part)) == []


def test_an_empty_node_is_made_in_order() -> None:
    part = node_part(cluster())
    listed = steps(part, model.Found({}, {}))
    assert listed[: len(part.files)] == [f"write {file.path} in node1" for file in part.files]
    assert listed[len(part.files) :] == [
        "install the CNI plugins bridge, host-local, loopback, portmap in node1",
        "start containerd in node1",
        "start kubelet in node1",
        "start kube-proxy in node1",
        "import /images/pause.tar in node1",
        "import /images/flannel.tar in node1",
    ]


def test_a_changed_argument_restarts_its_program_and_no_other() -> None:
    before = node_part(cluster())
    after = node_part(cluster(extra_args={"kubelet": ("--v=4",)}))
    assert steps(after, made(before)) == ["restart kubelet in node1"]


def test_a_new_certificate_restarts_the_programs_that_read_it() -> None:
    want = cluster()
    part = model.node_part(want, want.nodes[0], defaultdict(str, {**PEM, "kubelet-node1.crt": "renewed"}))
    listed = steps(part, made(node_part(want)))
    assert [line for line in listed if "start" in line] == ["restart kubelet in node1"]


def test_an_image_of_the_same_name_and_another_content_is_imported() -> None:
    part = node_part(cluster())
    present = frozenset({*PAUSE.images, *PAUSE.images.values(), *FLANNEL.images, "sha256:old"})
    assert steps(part, made(part, images=present)) == ["import /images/flannel.tar in node1"]


def test_the_api_server_has_a_way_to_the_pods_of_each_family_by_the_first_node() -> None:
    nodes = (model.Member("node1", ("198.18.0.11", "fd00:198::11")), model.Member("node2", ("198.18.0.12",)))
    part = model.control_part(cluster(nodes=nodes, pod_cidrs=("10.244.0.0/16", "fd00:10:244::/56")), pem())
    assert part.routes == {"10.244.0.0/16": "198.18.0.11", "fd00:10:244::/56": "fd00:198::11"}
    assert steps(part, made(part)) == []
    other = made(part, routes={"10.244.0.0/16": "198.18.0.12"})
    assert steps(part, other) == [
        "route 10.244.0.0/16 from node1 to a node",
        "route fd00:10:244::/56 from node1 to a node",
    ]


def test_each_node_has_a_control_group_of_its_own() -> None:
    roots = set()
    want = cluster()
    for node in want.nodes:
        files = {file.path: file.text for file in model.node_part(want, node, pem()).files}
        roots.add(json.loads(files["/etc/kubernetes/kubelet.yaml"])["cgroupRoot"])
    assert roots == {"/podnet-lab/demo/node1/pods", "/podnet-lab/demo/node2/pods"}


def test_the_systemd_of_a_guest_has_its_control_groups_and_no_other_node_has_one() -> None:
    want = cluster(nodes=(model.Member("node1", ("198.18.0.11",)), model.Member("node2", ("198.18.0.12",), guest=True)))
    says = {}
    for node in want.nodes:
        files = {file.path: file.text for file in model.node_part(want, node, pem()).files}
        kubelet = json.loads(files["/etc/kubernetes/kubelet.yaml"])
        containerd = "SystemdCgroup = true" in files["/etc/containerd/config.toml"]
        says[node.name] = (kubelet["cgroupDriver"], kubelet["failCgroupV1"], "cgroupRoot" in kubelet, containerd)
    assert says == {"node1": ("cgroupfs", False, True, False), "node2": ("systemd", True, False, True)}


def test_the_api_server_is_known_by_every_address_that_it_is_reached_at() -> None:
    want = cluster(endpoint=("127.0.0.5", 7000), service_cidrs=("10.96.0.0/16", "fd00:10:96::/112"))
    [server] = [identity for identity in model.identities(want) if identity.name == "apiserver"]
    assert {"127.0.0.5", "198.18.0.9", "10.96.0.1", "fd00:10:96::1", "localhost"} <= set(server.names)


@pytest.mark.parametrize(
    ("cidrs", "problem"),
    [
        ([], "empty"),
        (["10.0.0.1/16"], "has host bits set"),
        (["10.0.0.0/16", "10.1.0.0/16"], "one of IPv4 and one of IPv6"),
        (["198.18.0.0/16"], "overlaps 198.18.0.0/24 of the underlay"),
    ],
)
def test_networks_that_cannot_serve_are_refused(cidrs: list[str], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        model.check_networks("pod_cidrs", cidrs, [("the underlay", "198.18.0.0/24")])


@pytest.mark.parametrize(
    "text", ["198.18.0.1:6443", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", "localhost:6443", ""]
)
def test_an_endpoint_off_the_loopback_device_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"127\.0\.0\.1:6443"):
        model.parse_endpoint(text)


@given(st.ip_addresses(network="127.0.0.0/8"), st.integers(1, 65535))
def test_every_loopback_endpoint_is_understood(address: object, port: int) -> None:
    assert model.parse_endpoint(f"{address}:{port}") == (str(address), port)


def test_the_pause_image_is_found_by_its_name_or_named() -> None:
    assert model.sandbox_image([FLANNEL, PAUSE]) == "registry.k8s.io/pause:3.10"
    other = model.Archive("/o.tar", {"example.org/sandbox:1": "sha256:3"})
    assert model.sandbox_image([PAUSE, other], "example.org/sandbox:1") == "example.org/sandbox:1"


def test_without_a_pause_image_nothing_is_begun() -> None:
    with pytest.raises(InputError, match=r"a pause image.*flannel:v0\.28\.9.*docker save"):
        model.sandbox_image([FLANNEL])


def test_too_little_memory_is_told_with_what_is_needed() -> None:
    model.check_memory(model.CONTROL_MIB + 3 * model.NODE_MIB, 3, control=True)
    with pytest.raises(InputError, match=r"A control plane and 3 nodes need about \d+ MiB of memory, and 900 MiB"):
        model.check_memory(900, 3, control=True)
    with pytest.raises(InputError, match=r"^1 nodes need"):
        model.check_memory(10, 1, control=False)


def test_missing_programs_are_named_with_where_each_comes_from() -> None:
    text = model.missing_programs(["kubelet", "runc"], ["/opt/k8s"])
    assert "apt-get install runc." in text
    assert "Kubernetes' releases have kubelet" in text
    assert "/opt/k8s" in text
