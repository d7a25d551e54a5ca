# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host outside the cluster joins its flannel network: Node, lease, data plane, and packets that arrive."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from ansible_collections.podnet.cni.tests.integration import _kube, _warm
from ansible_collections.podnet.cni.tests.integration._netns import Host, Segment
from ansible_collections.podnet.cni.tests.integration._reach import reachable_from
from ansible_collections.podnet.cni.tests.integration.kube._leases import NODES, PREFIX, Cluster

pytestmark = pytest.mark.kube

PAGE = Path(__file__).parents[3] / "docs" / "kubernetes-leases.md"


@pytest.fixture
def hosts() -> Iterator[list[Host]]:
    """A node of the cluster, and a host outside of it on the same segment."""
    if os.geteuid():
        pytest.skip("network namespaces need root")
    with Segment(2) as segment:
        yield segment.hosts


@pytest.fixture
def cluster(kube: _kube.KubeServer) -> Iterator[Cluster]:
    """A cluster with the Node "inside", annotated as its flanneld did it."""
    made = Cluster(kube)
    annotations = {
        PREFIX + "kube-subnet-manager": "true",
        PREFIX + "backend-type": "vxlan",
        PREFIX + "backend-data": '{"VNI":1,"VtepMAC":"b6:20:f3:27:16:83"}',
        PREFIX + "public-ip": "198.18.0.1",
    }
    kube.apply(_kube.node("inside", ["10.44.1.0/24"], annotations))
    yield made
    kube.api("DELETE", NODES)


@contextlib.contextmanager
def pinned(host: Host, directory: Path) -> Iterator[None]:
    """Pins of a host's namespaces as the connection plugin netns wants them: its network, own mounts and name."""
    directory.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", directory], check=True)
    subprocess.run(["mount", "--make-private", directory], check=True)
    try:
        for kind in ("net", "mnt", "uts"):
            (directory / kind).touch()
        subprocess.run(["mount", "--bind", f"/run/netns/{host.name}", directory / "net"], check=True)
        setup = "mount -t sysfs sysfs /sys; mount -t tmpfs tmpfs /run; mount -t tmpfs tmpfs /etc/systemd"
        # Not `ip netns exec`: pins made inside its mount namespace would be seen there only.
        enter = ["nsenter", f"--net=/run/netns/{host.name}", "unshare"]
        flags = [f"--mount={directory / 'mnt'}", f"--uts={directory / 'uts'}"]
        subprocess.run([*enter, *flags, "sh", "-ec", setup], check=True)
        yield
    finally:
        subprocess.run(["umount", "-l", directory], check=True)


def program(host: Host, name: str, cluster: Cluster) -> None:
    """Program a host from nothing but what the API server says."""
    info = cluster.module("flannel_lease_info")
    own = [lease for lease in info["leases"] if lease["name"] == name]
    peers = [lease for lease in info["leases"] if lease["name"] != name]
    done = host.module(
        network_config=info["network_config"], lease=own[0], peers=peers, firewall="none", subnet_file=""
    )
    assert done.get("changed"), done


def ping(host: Host, source: str, target: str) -> None:
    host.shell(f"ping -c 1 -W 2 -I {source} {target}")


def test_packets_cross_between_cluster_and_external_host(cluster: Cluster, hosts: list[Host]) -> None:
    inside, edge = hosts
    nodes = [{"name": "edge", "public_ip": edge.public_ip, "subnet": "10.44.240.0/24"}]
    joined = cluster.module("flannel_lease", nodes=nodes, create_nodes=True)
    assert joined["changed"], joined
    program(edge, "edge", cluster)
    program(inside, "inside", cluster)
    ping(edge, "10.44.240.0", "10.44.1.0")
    ping(inside, "10.44.1.0", "10.44.240.0")
    assert inside.shell("cat /sys/class/net/flannel.1/address").strip() == "b6:20:f3:27:16:83"

    cluster.module("flannel_lease", nodes=nodes, state="absent")
    program(inside, "inside", cluster)
    routes = [route["dst"] for route in inside.json("ip -j route show")]
    assert "10.44.240.0/24" not in routes


def test_an_external_host_reads_the_leases_itself(cluster: Cluster, hosts: list[Host]) -> None:
    _inside, edge = hosts
    nodes = [{"name": "edge", "public_ip": edge.public_ip, "subnet": "10.44.240.0/24"}]
    cluster.module("flannel_lease", nodes=nodes, create_nodes=True)
    options = {"store": "kubernetes", "kubeconfig": str(cluster.kubeconfig), "firewall": "none", "subnet_file": ""}
    with reachable_from(edge.enter, cluster.kube.port):
        done = edge.module(**options)
        assert (done.get("changed"), done.get("peers")) == (True, 1), done
        assert not edge.module(**options)["changed"]
    routes = [route["dst"] for route in edge.json("ip -j route show dev flannel.1")]
    assert routes == ["10.44.1.0/24"]


def annotate(cluster: Cluster, node: str, public_ip: str) -> None:
    """Have a Node publish an address that it does not hold, as its operator would for a host behind NAT."""
    body = {"metadata": {"annotations": {PREFIX + "public-ip-overwrite": public_ip}}}
    cluster.kube.api("PATCH", f"{NODES}/{node}", body, "application/merge-patch+json")


def test_an_external_host_behind_nat(cluster: Cluster, hosts: list[Host]) -> None:
    _inside, edge = hosts
    nodes = [{"name": "edge", "public_ip": edge.public_ip, "subnet": "10.44.240.0/24"}]
    cluster.module("flannel_lease", nodes=nodes, create_nodes=True)
    annotate(cluster, "edge", "198.18.7.7")
    assert cluster.module("flannel_lease", nodes=nodes)["changed"]
    options = {"store": "kubernetes", "kubeconfig": str(cluster.kubeconfig), "firewall": "none", "subnet_file": ""}
    with reachable_from(edge.enter, cluster.kube.port):
        assert "name it with lease" in edge.module(**options)["msg"]
        done = edge.module(**options, lease={"name": "edge"}, interface="eth0")
    assert (done.get("changed"), done.get("peers")) == (True, 1), done
    assert f"local {edge.public_ip} " in edge.shell("ip -d link show flannel.1")


@pytest.fixture
def assigning(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster with the real controller that hands out pod CIDRs."""
    _kube.require("kube-controller-manager")
    cluster.kube.start_controller_manager("10.44.0.0/16")
    yield cluster
    cluster.kube.stop_controller_manager()


def test_the_cluster_assigns_the_pod_cidr(assigning: Cluster) -> None:
    nodes = [
        {"name": "pinned", "public_ip": "198.18.0.8", "subnet": "10.44.0.0/24"},
        {"name": "free", "public_ip": "198.18.0.9"},
    ]
    joined = assigning.module("flannel_lease", nodes=nodes, create_nodes=True)
    assert joined.get("changed"), joined
    subnets = {lease["name"]: lease["subnet"] for lease in joined["leases"]}
    assert subnets["pinned"] == "10.44.0.0/24"
    assert subnets["free"] not in ("10.44.0.0/24", "10.44.1.0/24"), "neither the pinned block nor that of a Node"
    assert not assigning.module("flannel_lease", nodes=nodes, create_nodes=True)["changed"]


def play(edge: Host, cluster: Cluster, directory: Path, playbook: str, group: str, *arguments: str) -> str:
    """Run a playbook for the host "edge" as the shipped identity; returns what it printed."""
    (directory / "playbook.yml").write_text(playbook)
    variables = {
        "ansible_connection": "podnet.cni.netns",
        "ansible_netns_state_dir": str(directory),
        "ansible_netns_name": "edge",
        "ansible_host": edge.public_ip,
        "ansible_python_interpreter": _warm.interpreter(),
        "ansible_become": False,
    }
    inventory = {group: {"hosts": {"edge": variables}}}
    (directory / "inventory.yml").write_text(yaml.safe_dump(inventory))
    with pinned(edge, directory / "edge"):
        done = _warm.ansible(
            "playbook",
            *("-i", "inventory.yml", "playbook.yml", *arguments),
            directory=directory,
            environment={
                **os.environ,
                "ANSIBLE_LOCALHOST_WARNING": "false",
                "ANSIBLE_NOCOLOR": "true",
                "K8S_AUTH_KUBECONFIG": str(cluster.kubeconfig),
                "K8S_AUTH_CONTEXT": "podnet-leases",
            },
        )
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)


def test_the_documented_playbook(assigning: Cluster, hosts: list[Host], tmp_path: Path) -> None:
    """The playbook of the documentation, as it stands, lets a host join."""
    edge = hosts[1]
    text = PAGE.read_text(encoding="utf-8")
    (playbook,) = (block for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if "gateways" in block)
    play(edge, assigning, tmp_path, playbook, "gateways")
    assert "10.44.1.0/24 via 10.44.1.0 dev flannel.1 onlink" in edge.shell("ip route show")


ROLE = """
- hosts: overlay
  gather_facts: false
  tasks:
    - ansible.builtin.include_role: {name: podnet.cni.overlay, tasks_from: %s}
  vars:
    overlay_store: kubernetes
    overlay_kubeconfig: %s
    overlay_firewall: none
    overlay_subnet_file: ""
    overlay_restore_dir: ""
    overlay_conflist: false
"""


def test_the_role_overlay_joins_and_leaves(assigning: Cluster, hosts: list[Host], tmp_path: Path) -> None:
    edge = hosts[1]

    def run(tasks: str, *arguments: str) -> str:
        return play(edge, assigning, tmp_path, ROLE % (tasks, assigning.kubeconfig), "overlay", *arguments)

    assert "changed=0" in run("check")
    # What the cluster will give nobody knows; the check run continues with an example, to the same end.
    assert "changed=0" not in run("main", "--check")
    assert "changed=0" not in run("main")
    assert "10.44.1.0/24 via 10.44.1.0 dev flannel.1 onlink" in edge.shell("ip route show")
    assert assigning.kube.api("GET", f"{NODES}/edge")["spec"]["unschedulable"]
    assert "changed=0" in run("main")
    annotate(assigning, "edge", "198.18.7.7")
    assert "changed=0" not in run("main")
    annotations = assigning.kube.api("GET", f"{NODES}/edge")["metadata"]["annotations"]
    assert annotations[PREFIX + "public-ip"] == "198.18.7.7"
    assert f"local {edge.public_ip} " in edge.shell("ip -d link show flannel.1")
    run("uninstall")
    assert "flannel.1" not in edge.shell("ip link show")
    run("release")
    names = [node["metadata"]["name"] for node in assigning.kube.api("GET", NODES)["items"]]
    assert names == ["inside"]
