# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook distribution_network on two hosts whose k3s is a stand-in with k3s's files and a real flanneld."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.tests.integration import _flanneld, _kube, _kube_binaries, _plain, _warm
from ansible_collections.podnet.cni.tests.integration._as_typed import as_typed
from ansible_collections.podnet.cni.tests.integration._kernel import needs
from ansible_collections.podnet.cni.tests.integration._reach import reachable_from
from ansible_collections.podnet.cni.tests.integration.distribution import _standin
from ansible_collections.podnet.cni.tests.integration.distribution._hosts import K3S, Hosts
from ansible_collections.podnet.cni.tests.integration.distribution.conftest import item, serve

pytestmark = pytest.mark.kube

SERVER, AGENT = "node1", "node2"
DROPIN = "/etc/rancher/k3s/config.yaml.d/60-podnet-network.yaml"
CONF = "/etc/rancher/k3s/podnet-flannel.json"
STATE = "/etc/podnet-cni/distribution-network.json"


class Cluster(Hosts):
    """A server and an agent, with flannel's own objects in a real API server."""

    def __init__(self, path: Path, server: _kube.KubeServer) -> None:
        super().__init__(path, server)
        self.names = (SERVER, AGENT)

    def begin(self) -> None:
        """Leave what k3s leaves on each host, and start it."""
        for number, name in enumerate(self.names, 1):
            node = _kube.node(name, [f"10.42.{number}.0/24"])
            node["metadata"]["labels"] = {"kubernetes.io/hostname": name}
            self.server.api("POST", "/api/v1/nodes", node)
            status = {
                "nodeInfo": {"kubeletVersion": K3S, "operatingSystem": "linux"},
                "conditions": [{"type": "Ready", "status": "True"}],
            }
            path = f"/api/v1/nodes/{name}/status"
            self.server.api("PATCH", path, {"status": status}, "application/merge-patch+json")
            command = "server" if name == SERVER else "agent"
            self.k3s(
                name, f"k3s {command}", "cluster-cidr: 10.42.0.0/16\n" if name == SERVER else "token: do-not-tell\n"
            )
            self.stand_in(name)
        for name in self.names:
            self.systemctl(name, "start")
        for name in self.names:
            self.until(name)

    def stand_in(self, host: str, **more: Any) -> None:
        """Put the stand-in into a host, in the place of systemctl and journalctl."""
        settings = {
            "url": self.server.url,
            "ca": str(self.server.authority.certificate),
            "certificate": str(self.server.directory / "admin.crt"),
            "key": str(self.server.directory / "admin.key"),
            "kubeconfig": str(self.server.admin),
            "flanneld": _flanneld.program(),
            "plugins": [
                str(_kube_binaries.program(name)) for name in ("flannel", "bridge", "host-local", "loopback", "portmap")
            ],
            "shared": str(self.path / "control.json"),
            **more,
        }
        shell = f'#!/bin/sh\nexec {sys.executable} {Path(_standin.__file__).resolve()} {{0}} "$@"\n'
        self.write(
            host,
            {
                "opt/standin/settings.json": json.dumps(settings),
                "opt/standin/systemctl": shell.replace("{0}", "systemctl"),
                "opt/standin/journalctl": shell.replace("{0}", "journalctl"),
            },
        )
        for name in ("systemctl", "journalctl"):
            if not self.inside(host, "sh", "-c", f"grep -l standin /usr/bin/{name} || :"):
                self.inside(host, "mount", "--bind", f"/opt/standin/{name}", f"/usr/bin/{name}")

    def unit(self, host: str) -> str:
        return "k3s" if host == SERVER else "k3s-agent"

    def systemctl(self, host: str, verb: str) -> str:
        return self.inside(host, "systemctl", verb, self.unit(host))

    def until(self, host: str) -> None:
        deadline = time.monotonic() + _kube.START_TIMEOUT
        while "ActiveState=active" not in self.systemctl(host, "show"):
            assert time.monotonic() < deadline, self.inside(host, "journalctl")
            time.sleep(0.2)

    def change(self, *options: str, code: int = 0, **variables: Any) -> str:
        """What a run of the playbook shows; C(variables) without their prefix."""
        given = {f"distribution_network_{name}": value for name, value in variables.items()}
        given.setdefault("distribution_network_kubeconfig", str(self.server.admin))
        done = _warm.ansible(
            "playbook",
            *("-i", str(self.inventory), "--diff", *options, "podnet.cni.distribution_network"),
            *("-e", json.dumps(as_typed("distribution_network", given))),
            *("-e", json.dumps({"distribution_network_left_out": ["localhost"]})),
        )
        assert done.returncode == code, done.stdout + done.stderr
        if not code:
            assert _plain.faults(done.stdout) == []
        return re.sub(r"[ \n]+", " ", done.stdout)

    def links(self, host: str) -> dict[str, dict[str, Any]]:
        found = json.loads(self.inside(host, "ip", "-d", "-j", "link", "show"))
        return {each["ifname"]: each for each in found if each["ifname"].startswith("flannel")}

    def there(self, host: str, path: str) -> bool:
        return bool(self.inside(host, "sh", "-c", f"test -e {path} && echo yes || :"))

    def way(self, host: str, number: int) -> str:
        """The link over which a packet to a pod of a node leaves."""
        return str(json.loads(self.inside(host, "ip", "-j", "route", "get", f"10.42.{number}.2"))[0]["dev"])


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if os.geteuid() != 0:
        pytest.skip("making namespaces needs root")
    _kube.require()
    _flanneld.program()
    path = tmp_path_factory.mktemp("k3s")
    with _kube.running() as server, contextlib.ExitStack() as stack:
        made = Cluster(path, server)
        try:
            made.lab(lab_etcd=False, lab_hosts=2)
            for name in made.names:
                stack.enter_context(reachable_from(partial(made.enter, name), server.port))
            made.begin()
            yield made
        finally:
            for name in made.names:
                with contextlib.suppress(Exception):
                    made.systemctl(name, "stop")
            made.lab(lab_state="absent", lab_etcd=False)


def everywhere(cluster: Cluster, backend: str) -> None:
    """All nodes have announced this backend, and none is left unschedulable or half-changed."""
    for node in cluster.server.api("GET", "/api/v1/nodes")["items"]:
        assert node["metadata"]["annotations"]["flannel.alpha.coreos.com/backend-type"] == backend
        assert "unschedulable" not in node["spec"] and "podnet.cni/cordoned" not in node["metadata"]["annotations"]
    assert not any(cluster.there(name, STATE) for name in cluster.names)


def says(shown: str, *texts: str) -> None:
    """All of that is shown; otherwise what was shown is."""
    missing = [text for text in texts if text not in shown]
    assert not missing, f"{missing} not in {shown[-9000:]}"


def pod(name: str, node: str, *, owned: bool = True) -> dict[str, Any]:
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "1", "controller": True}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", **({"ownerReferences": [owner]} if owned else {})},
        "spec": {
            "nodeName": node,
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "c", "image": "x"}],
            "tolerations": [{"operator": "Exists"}],
        },
    }


def test_from_vxlan_to_host_gw_and_what_does_not_start_goes_back(cluster: Cluster) -> None:
    everywhere(cluster, "vxlan")
    assert cluster.way(SERVER, 2) == "flannel.1"

    # The plan: nothing is changed, and all of it is shown.
    shown = cluster.change("--check", backend="host-gw")
    says(shown, "node1: flannel-backend: vxlan -> host-gw", "+flannel-backend: host-gw")
    says(shown, "Wave 1 of 2: drain, restart, prove: node1 (k3s)", "node2 (k3s-agent)")
    assert not cluster.there(SERVER, DROPIN)

    # A host that cannot be written to: the file of the other one goes back, and nothing was restarted.
    cluster.inside(AGENT, "sh", "-c", "mkdir /etc/podnet-cni && mount -t tmpfs -o ro none /etc/podnet-cni")
    shown = cluster.change(code=2, backend="host-gw")
    says(shown, "node2: cannot write /etc/podnet-cni", "Read-only", "The former files were put back")
    assert not cluster.there(SERVER, DROPIN) and not cluster.there(SERVER, STATE)
    cluster.inside(AGENT, "umount", "/etc/podnet-cni")
    everywhere(cluster, "vxlan")

    cluster.server.api("POST", "/api/v1/namespaces/default/pods", pod("web-1", AGENT))
    cluster.change(backend="host-gw")
    everywhere(cluster, "host-gw")
    assert cluster.server.api("GET", "/api/v1/namespaces/default/pods")["items"] == []
    for number, name in enumerate(cluster.names, 1):
        assert cluster.links(name) == {}
        assert cluster.way(name, 3 - number).startswith("eth")
    assert cluster.inside(SERVER, "cat", DROPIN).endswith("flannel-backend: host-gw\n")
    assert not cluster.there(AGENT, DROPIN)

    assert "changed=1" not in cluster.change(backend="host-gw")

    # The kernel has no wireguard: flanneld ends, and k3s with it.
    shown = cluster.change(code=2, backend="wireguard")
    says(
        shown,
        "k3s is activating",
        "could not create wireguard interface",
        "every service that had been restarted runs with them",
    )
    assert cluster.inside(SERVER, "cat", DROPIN).endswith("flannel-backend: host-gw\n")
    everywhere(cluster, "host-gw")


def test_mtu_vni_and_port_in_a_file_on_every_node(cluster: Cluster) -> None:
    wish = {"backend": "vxlan", "mtu": 1400, "vni": 7, "port": 8473}
    before = cluster.way(SERVER, 2)
    # A firewall on the way: links and routes are right, and nothing arrives.
    drop = (
        "add table ip t; add chain ip t i { type filter hook input priority 0; }; add rule ip t i udp dport 8473 drop"
    )
    cluster.inside(AGENT, "nft", drop)
    shown = cluster.change(code=2, **wish)
    says(shown, "node1: ", "The former files were put back, and every service that had been restarted runs with them.")
    assert cluster.way(SERVER, 2) == before and not cluster.there(AGENT, CONF)
    cluster.inside(AGENT, "nft", "delete table ip t")

    cluster.change(**wish)
    everywhere(cluster, "vxlan")
    for name in cluster.names:
        [(link, found)] = cluster.links(name).items()
        data = found["linkinfo"]["info_data"]
        assert (link, found["mtu"], data["id"], data["port"]) == ("flannel.7", 1350, 7, 8473)
        assert cluster.there(name, CONF)


def test_one_value_more_and_the_others_stay(cluster: Cluster) -> None:
    cluster.change(backend="vxlan", vni=7, mtu=1400)
    cluster.change(mtu=1450)
    found = {(link, found["mtu"]) for name in cluster.names for link, found in cluster.links(name).items()}
    assert found == {("flannel.7", 1400)}
    assert "changed=1" not in cluster.change(mtu=1450)


def test_what_is_in_the_way_is_told_and_nothing_stays_half_changed(cluster: Cluster) -> None:
    backend = "host-gw" if cluster.links(SERVER) else "vxlan"
    before = cluster.way(SERVER, 2)
    # A file of a later order.
    cluster.write(SERVER, {"etc/rancher/k3s/config.yaml.d/99-mine.yaml": "flannel-backend: wireguard-native\n"})
    says(cluster.change(code=2, backend=backend), "node1: /etc/rancher/k3s/config.yaml.d/99-mine.yaml:1 sets")
    cluster.inside(SERVER, "rm", "/etc/rancher/k3s/config.yaml.d/99-mine.yaml")
    # No right in the cluster.
    nobody = cluster.server.limited_kubeconfig("nobody", [])
    shown = cluster.change(code=2, backend=backend, kubeconfig=str(nobody))
    says(shown, "the right to list nodes is missing")
    # A host that does not answer.
    ghost = cluster.path / "ghost.yml"
    address = {"ansible_host": "127.0.0.1", "ansible_port": 1, "ansible_connection": "ssh"}
    ghost.write_text(json.dumps({"all": {"hosts": {"ghost": address}}}))
    says(cluster.change("-i", str(ghost), code=4, backend=backend), "ghost does not answer")
    # A pod that nobody makes anew.
    cluster.server.api("POST", "/api/v1/namespaces/default/pods", pod("lone", SERVER, owned=False))
    shown = cluster.change(code=2, backend=backend)
    says(shown, "default/lone (nobody makes it anew)", "The former files were put back")
    cluster.server.api("DELETE", "/api/v1/namespaces/default/pods/lone")
    # A backend that does not start, and a service that may not be stopped on the way back. The next run finishes that.
    cluster.stand_in(SERVER, stops=1)
    shown = cluster.change(code=2, backend="wireguard")
    says(shown, "Not everything could be put back: node1:", "Access denied")
    assert cluster.there(SERVER, STATE) and not cluster.there(AGENT, STATE)
    cluster.stand_in(SERVER)
    says(cluster.change(backend="host-gw" if backend == "vxlan" else "vxlan"), "Wave 1 of 1")
    assert cluster.way(SERVER, 2) == before
    assert not any(cluster.there(name, STATE) for name in cluster.names)


class Rancher(threading.Thread):
    """Writes keys of its cluster's object into the file of each machine and restarts k3s there, when it is let."""

    OBJECT = "/apis/provisioning.cattle.io/v1/namespaces/fleet-default/clusters/prod"
    FILE = "etc/rancher/k3s/config.yaml.d/50-rancher.yaml"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__()
        self.cluster = cluster
        self.ended, self.works = threading.Event(), threading.Event()
        where = "fleet-default"
        spec = {"kubernetesVersion": "v1.36.3+k3s1", "rkeConfig": {"machineGlobalConfig": {"token": "t"}}}
        cluster.server.apply(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": where}},
            item("Cluster", "prod", "provisioning.cattle.io/v1", where, spec=spec),
        )
        self.last = ""
        self.write(self.keys())

    def keys(self) -> dict[str, Any]:
        return dict(self.cluster.server.api("GET", self.OBJECT)["spec"]["rkeConfig"]["machineGlobalConfig"])

    def write(self, keys: dict[str, Any]) -> bool:
        text = json.dumps(keys, sort_keys=True)
        if text == self.last:
            return False
        self.last = text
        for name in self.cluster.names:
            self.cluster.write(name, {self.FILE: text})
        return True

    def run(self) -> None:
        while not self.ended.wait(0.5):
            if self.works.is_set() and self.write(self.keys()):
                for name in self.cluster.names:
                    self.cluster.systemctl(name, "restart")

    def __enter__(self) -> Rancher:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.ended.set()
        self.join()
        for name in self.cluster.names:
            self.cluster.inside(name, "rm", f"/{self.FILE}")


def test_keys_of_k3s_in_the_object_of_rancher(cluster: Cluster) -> None:
    """Proved only after Rancher has brought them to the machines; told where it does not."""
    serve(cluster.server)
    management = {"management_kubeconfig": str(cluster.server.admin), "management_cluster": "fleet-default/prod"}
    with Rancher(cluster) as rancher:
        says(cluster.change(code=2, policy=False), "Rancher owns this cluster", "management_kubeconfig")
        says(cluster.change(code=2, backend="host-gw", **management), "reboot all machines, servers first")
        # Nobody brings it to the machines: the object is as it was.
        shown = cluster.change(code=2, policy=False, timeout=5, **management)
        says(
            shown,
            "Rancher has not brought it to the machines: node1: k3s runs with disable-network-policy false, not true",
        )
        assert rancher.keys() == {"token": "t"}
        rancher.works.set()
        shown = cluster.change(policy=False, **management)
        says(shown, "Cluster fleet-default/prod", "Proof: packets to pods of other nodes take")
        assert rancher.keys() == {"token": "t", "disable-network-policy": True}
        note = cluster.server.api("GET", f"/api/v1/nodes/{SERVER}")["metadata"]["annotations"]["k3s.io/node-args"]
        assert '"--disable-network-policy", "true"' in note
        assert "changed=1" not in cluster.change(policy=False, **management)


def test_the_network_is_proved_as_it_is(cluster: Cluster) -> None:
    """After an upgrade of k3s, say: nothing is asked for, and what is not as it should be is told."""
    backend = "vxlan" if cluster.links(SERVER) else "host-gw"
    says(cluster.change(code=2), "nothing is asked for", "or distribution_network_prove")
    shown = cluster.change(prove=True)
    says(shown, "Nothing differs from what is wanted.", "Proof: packets to pods of other nodes take")
    for one, other in (cluster.names, reversed(cluster.names)):
        assert re.search(
            rf"{one}: \S+ to 1 range of pods; [345] of 5 packets with \d+ octets answered by {other}", shown
        )
    assert "changed=1" not in shown and not cluster.there(SERVER, STATE)

    node = f"/api/v1/nodes/{AGENT}"
    note = {"metadata": {"annotations": {"flannel.alpha.coreos.com/backend-type": "ipip"}}}
    cluster.server.api("PATCH", node, note, "application/merge-patch+json")
    says(cluster.change(code=2, prove=True), f"{AGENT}: flannel has announced ipip, not {backend}")
    note["metadata"]["annotations"]["flannel.alpha.coreos.com/backend-type"] = backend
    cluster.server.api("PATCH", node, note, "application/merge-patch+json")

    cluster.systemctl(AGENT, "stop")
    says(cluster.change(code=2, prove=True), "node2: k3s-agent is inactive")
    cluster.systemctl(AGENT, "start")
    cluster.until(AGENT)


@needs("wireguard")
def test_to_wireguard(cluster: Cluster) -> None:
    """From vxlan, with the proof on the screen, and back."""
    shown = cluster.change(backend="wireguard")
    says(
        shown,
        "node1: flannel-backend: vxlan -> wireguard-native",
        "of other nodes take flannel-wg",
        "node2: flannel-wg to",
    )
    everywhere(cluster, "wireguard")
    for number, name in enumerate(cluster.names, 1):
        assert set(cluster.links(name)) == {"flannel-wg"}
        assert cluster.way(name, 3 - number) == "flannel-wg"
    cluster.change(backend="vxlan")
    everywhere(cluster, "vxlan")
