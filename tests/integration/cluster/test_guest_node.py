# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A node as users have them, with a kernel, cgroup v2 and systemd of its own, beside a node of namespaces.

flannel with its policy sidecar, a reboot, an upgrade. The tests build on one another: one cluster serves all, in order.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._errors import MissingError
from ansible_collections.podnet.cni.plugins.module_utils._lab import guest_kernel
from ansible_collections.podnet.cni.tests.integration import _cluster
from ansible_collections.podnet.cni.tests.integration._cluster import Cluster
from ansible_collections.podnet.cni.tests.integration.cluster import _workload

OTHER = "node1"
GUEST = "node2"
# Without KVM a pod of the guest is there after a minute, on a busy machine after some.
PATIENCE = 1200
ASKED = {
    "flannel_readiness_probe": {"initialDelaySeconds": 1, "periodSeconds": 2, "timeoutSeconds": 15},
    "flannel_liveness_probe": {"initialDelaySeconds": 10, "periodSeconds": 30, "timeoutSeconds": 15},
    "flannel_wait_timeout": PATIENCE,
    "flannel_netpol_enabled": True,
    "flannel_netpol_hosts": [OTHER, GUEST],
    "flannel_netpol_image_tag": "v0.8.0",
    "flannel_netpol_unenforced": "accept",
    # flannel's own image of these tests has no program that waits.
    "flannel_netpol_proof_image": _cluster.CLIENT,
}
OLD = {"flannel_image_tag": "v0.27.4", "flannel_cni_image_tag": "v1.8.0-flannel1"}
CLOSED = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "closed", "namespace": "default"},
    "spec": {"podSelector": {"matchLabels": {"app": "echo"}}, "policyTypes": ["Ingress"]},
}


@pytest.fixture(scope="module", name="cluster")
def fixture_cluster() -> Iterator[Cluster]:
    try:
        guest_kernel.kernel()
    except MissingError as reason:
        pytest.skip(f"no guest: {reason}")
    with _cluster.unmade(2, guests=(GUEST,)) as cluster:
        cluster.patience = PATIENCE
        yield cluster


def by_node(cluster: Cluster, key: str) -> dict[str, str]:
    """One word of what each Node says of its machine."""
    return {node["metadata"]["name"]: node["status"]["nodeInfo"][key] for node in cluster.get("nodes")["items"]}


def heard(cluster: Cluster, source: str) -> set[str]:
    """The nodes whose pods answer the pod of a node."""
    there = _workload.pods(cluster)
    # After a boot a pod has no address at first.
    assert all("podIP" in pod["status"] for pod in there.values()), there
    answers = {
        name: _workload.ask(cluster, there[source], _workload.address(pod), _workload.PORT)
        for name, pod in there.items()
    }
    return {name for name, answer in answers.items() if answer == there[name]["metadata"]["name"]}


def test_a_guest_joins_a_node_of_namespaces(cluster: Cluster) -> None:
    cluster.lab().ok()
    kernels = by_node(cluster, "kernelVersion")
    assert kernels == {OTHER: os.uname().release, GUEST: guest_kernel.kernel().release}
    assert cluster.inside(GUEST, "stat", "-f", "-c", "%T", "/sys/fs/cgroup").strip() == "cgroup2fs"
    assert cluster.inside(GUEST, "systemctl", "is-active", "kubelet").strip() == "active"
    assert cluster.lab().ok().changed == 0


def queues() -> bool:
    """Whether the kernel of this machine, which is that of the other node, has queues of packets."""
    rules = "add table ip t; add chain ip t c { type filter hook input priority 0; }; add rule ip t c queue num 7"
    command = ["unshare", "--net", "nft", "-f", "-"]
    return subprocess.run(command, input=rules, text=True, capture_output=True, check=False).returncode == 0


def obeyed(cluster: Cluster) -> None:
    """A policy that denies is obeyed on the guest, and on the other node where its kernel can."""
    enforcing = set(cluster.nodes) if queues() else {GUEST}
    cluster.await_("all heard", lambda: heard(cluster, OTHER) == set(cluster.nodes))
    cluster.apply(CLOSED)
    # A pod reaches itself, whatever the policy.
    still = {OTHER, *cluster.nodes} - (enforcing - {OTHER})
    cluster.await_("the policy", lambda: heard(cluster, OTHER) == still)
    cluster.kubectl("delete", "networkpolicy", "closed")
    cluster.await_("the way free", lambda: heard(cluster, OTHER) == set(cluster.nodes))


def test_flannel_joins_pods_of_both_and_shows_that_policies_hold_on_the_guest(cluster: Cluster) -> None:
    said = cluster.role("flannel", **ASKED, **OLD).ok()
    assert "Show that a denied connection is denied" in said.flat
    assert ("is not shown on node1, because" in said.flat) == (not queues()), said.flat
    cluster.await_ready()
    cluster.apply(*_workload.echo())
    cluster.kubectl("rollout", "status", "daemonset/echo", f"--timeout={PATIENCE}s")
    for node in cluster.nodes:
        assert heard(cluster, node) == set(cluster.nodes)


def test_a_policy_is_obeyed_by_packets_to_a_pod_of_the_guest(cluster: Cluster) -> None:
    obeyed(cluster)


def test_the_guest_comes_back_from_a_reboot_by_itself(cluster: Cluster) -> None:
    boot = cluster.inside(GUEST, "cat", "/proc/sys/kernel/random/boot_id")
    reboot = {"ansible.builtin.reboot": {"reboot_timeout": PATIENCE, "connect_timeout": 120}}
    cluster.play([reboot], hosts=GUEST).ok()
    assert cluster.inside(GUEST, "cat", "/proc/sys/kernel/random/boot_id") != boot
    cluster.await_ready()
    cluster.await_(
        "pods that answer", lambda: all(heard(cluster, node) == set(cluster.nodes) for node in cluster.nodes)
    )
    obeyed(cluster)
    assert cluster.lab().ok().changed == 0


def test_an_upgrade_goes_through_the_guest(cluster: Cluster) -> None:
    variables: dict[str, Any] = {
        **ASKED,
        "upgrade_hosts": "kube_node",
        "flannel_kubeconfig": str(cluster.kubeconfig),
        "upgrade_directory": str(cluster.folder / "upgrade"),
        # Without KVM it takes minutes in the guest, and nothing of it is about a guest.
        "upgrade_preflight": False,
        "upgrade_wave_timeout": PATIENCE,
        "upgrade_lease_seconds": PATIENCE,
        "upgrade_soak": 1,
        "upgrade_poll": 1,
    }
    assert "2 nodes were upgraded in 2 waves" in cluster.playbook("upgrade", **variables).ok().flat
    images = {name: pod["spec"]["containers"][0]["image"] for name, pod in cluster.flannel().items()}
    assert images == dict.fromkeys(cluster.nodes, "ghcr.io/flannel-io/flannel:v0.28.9")
    assert heard(cluster, GUEST) == set(cluster.nodes)
