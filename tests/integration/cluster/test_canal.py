# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The doctor on Canal on three real nodes, of which flannel's part is real.

The role canal installs it: a real flanneld in a DaemonSet of both containers. Images of Calico are not here, so that in
their place a shell sleeps under their names, and the nodes get a CNI configuration from the test.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.podnet.cni.tests.integration import _cluster
from ansible_collections.podnet.cni.tests.integration._cluster import CLIENT, Cluster, Run
from ansible_collections.podnet.cni.tests.unit import _canal_manifest as builder

pytestmark = pytest.mark.cluster

CALICO = "3.32.1"
# Kinds that a release has besides those of the small manifest.
MORE = {
    "bgpconfigurations": "BGPConfiguration",
    "globalnetworksets": "GlobalNetworkSet",
    "hostendpoints": "HostEndpoint",
    "networkpolicies": "NetworkPolicy",
    "networksets": "NetworkSet",
}
SLEEP = ["/bin/sh", "-c", "sleep 86400"]
NOTHING = ["/bin/sh", "-c", "true"]


def manifest() -> list[builder.Obj]:
    """Canal's objects with commands that a shell has, and without the controllers, which need Calico."""
    made = [item for item in builder.manifest(CALICO) if item["kind"] not in ("Deployment", "PodDisruptionBudget")]
    place = made.index(builder.find(made, "CustomResourceDefinition"))
    made[place:place] = [builder.crd(plural, kind) for plural, kind in MORE.items()]
    pod = builder.find(made, "DaemonSet")["spec"]["template"]["spec"]
    for container in pod["initContainers"]:
        container["command"] = NOTHING
    calico, flanneld = pod["containers"]
    calico["command"] = SLEEP
    del calico["readinessProbe"]
    flanneld["env"].append({"name": "POD_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}})
    return made


def conflist(subnet: str) -> str:
    """A configuration for pods of a node, under the name of Canal's."""
    ipam = {"type": "host-local", "subnet": subnet}
    bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipam": ipam}
    return json.dumps({"cniVersion": "1.0.0", "name": "k8s-pod-network", "plugins": [bridge]})


@pytest.fixture(scope="module", name="canal")
def fixture_canal() -> Iterator[Cluster]:
    with _cluster.running(3) as cluster:
        cluster.await_("a range for every node", lambda: len(ranges(cluster)) == 3)
        for node, subnet in ranges(cluster).items():
            # Calico's agent switches it on.
            cluster.inside(node, "sysctl", "-qw", "net.ipv4.ip_forward=1")
            for name in ("node", "cni"):
                cluster.inside(node, "ctr", "-n", "k8s.io", "images", "tag", CLIENT, f"quay.io/calico/{name}:v{CALICO}")
            cluster.inside(node, "sh", "-ec", 'echo "$1" > /etc/cni/net.d/10-canal.conflist', "sh", conflist(subnet))
        file = cluster.folder / "canal.yaml"
        file.write_text(builder.text(manifest()))
        cluster.role(
            "canal",
            canal_manifest=str(file),
            canal_kubeconfig=str(cluster.kubeconfig),
            canal_flannel_version="0.28.9",
            # The nodes are ready by the file of this test, which no CNI put there.
            canal_allow_unknown_network=True,
        ).ok()
        cluster.await_ready()
        yield cluster


def ranges(cluster: Cluster) -> dict[str, str]:
    """The podCIDR of each Node that has one."""
    return {
        each["metadata"]["name"]: each["spec"]["podCIDR"]
        for each in cluster.get("nodes")["items"]
        if each["spec"].get("podCIDR")
    }


def doctor(cluster: Cluster, **variables: Any) -> tuple[Run, dict[str, Any]]:
    """A visit, and the document that it wrote."""
    kept = cluster.folder / "status.json"
    run = cluster.playbook(
        "doctor",
        doctor_cluster="yes",
        doctor_kubeconfig=str(cluster.kubeconfig),
        doctor_files={"json": str(kept)},
        # Of the machine that the nodes are on.
        doctor_checks_skip=["host.cgroup", "host.runtime_version"],
        **variables,
    ).ok()
    return run, json.loads(kept.read_text())


def failed(made: dict[str, Any]) -> dict[tuple[str, str], str]:
    return {(each["id"], each["subject"]): each["seen"] for each in made["findings"] if each["status"] == "failed"}


def test_nothing_is_found_where_canal_works_and_what_is_lost_is_found_and_repaired(canal: Cluster) -> None:
    _run, made = doctor(canal)
    assert (failed(made), made["verdict"]["state"]) == ({}, "well"), made["verdict"]
    assert [pairs["fine"] for pairs in made["pairs"]] == [6]
    assert {host["runs"] for host in made["hosts"]} == {"pod"}

    canal.inside("node1", "ip", "route", "del", ranges(canal)["node2"])
    canal.inside("node3", "sysctl", "-qw", "net.ipv4.ip_forward=0")
    run, made = doctor(canal, doctor_repair="yes")
    for name in ("dataplane.peers_missing on node1", "way.dataplane", "host.forwarding on node3"):
        assert name in run.flat, run.text
    assert (failed(made), made["verdict"]["state"]) == ({}, "well"), (failed(made), made["verdict"])
    assert [pairs["fine"] for pairs in made["pairs"]] == [6]
