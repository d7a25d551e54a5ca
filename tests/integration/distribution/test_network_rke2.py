# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Values of RKE2's Canal on a real API server: the merge, the Helm controller's job, and the pods of the DaemonSet.

Helm controller, DaemonSet controller and kubelets are doubles; the links of the hosts are real.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.podnet.cni.tests.integration import _kube, _warm
from ansible_collections.podnet.cni.tests.integration._as_typed import as_typed
from ansible_collections.podnet.cni.tests.integration._warm import run_module
from ansible_collections.podnet.cni.tests.integration.distribution._hosts import Hosts
from ansible_collections.podnet.cni.tests.integration.distribution.conftest import chart_config, item, serve
from ansible_collections.podnet.cni.tests.integration.rollout._agents import MERGE, Agents

pytestmark = pytest.mark.kube

CONFIG = "/apis/helm.cattle.io/v1/namespaces/kube-system/helmchartconfigs/rke2-canal"
CHART = CONFIG.replace("helmchartconfigs", "helmcharts")
JOBS = "/apis/batch/v1/namespaces/kube-system/jobs"
FOREIGN = "version: 1.10\nflannel:\n  iface: eth0\ncalico:\n  felixIptablesMarkMask: 0xffff0000\n"
SHUT = (
    "add table ip6 shut; add chain ip6 shut in { type filter hook input priority -300; }; "
    "add rule ip6 shut in udp dport 8472 drop"
)
NOW = "2026-01-01T00:00:00Z"


class HelmController(threading.Thread):
    """Installs the chart rke2-canal whenever its values differ: a job, and the ConfigMap. Some MTUs fail, some hang."""

    FAILS, HANGS = 1234, 1235

    def __init__(self, server: _kube.KubeServer) -> None:
        super().__init__()
        self.server = server
        self.ended = threading.Event()
        self.seen = ""
        self.number = 0

    def run(self) -> None:
        while not self.ended.wait(0.1):
            with contextlib.suppress(RuntimeError, OSError):
                self.turn()

    def turn(self) -> None:
        try:
            content = self.server.api("GET", CONFIG)["spec"]["valuesContent"]
        except RuntimeError as error:
            if " 404 " not in str(error):
                raise
            content = ""
        if content == self.seen and self.number:
            return
        self.seen = content
        self.number += 1
        values = yaml.safe_load(content) or {}
        mtu = values.get("flannel", {}).get("mtu", 0)
        name = "helm-install-rke2-canal"
        with contextlib.suppress(RuntimeError):
            self.server.api("DELETE", f"{JOBS}/{name}?propagationPolicy=Background")
        container = {"name": "helm", "image": "x"}
        template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
        self.server.api("POST", JOBS, item("Job", name, "batch/v1", spec={"template": template}))
        self.server.api("PATCH", f"{CHART}/status", {"status": {"jobName": name}}, MERGE)
        if mtu == self.HANGS:
            return
        kinds = ("FailureTarget", "Failed") if mtu == self.FAILS else ("SuccessCriteriaMet", "Complete")
        conditions = [
            {"type": kind, "status": "True", "message": "no such value" if mtu == self.FAILS else ""} for kind in kinds
        ]
        status: dict[str, Any] = {"startTime": NOW, "conditions": conditions}
        if mtu != self.FAILS:
            status.update(completionTime=NOW, succeeded=1)
            backend = {"Type": "vxlan", **({"MTU": mtu} if mtu else {})}
            network = {"Network": "10.42.0.0/16", "Backend": backend}
            self.server.apply(item("ConfigMap", "rke2-canal-config", data={"net-conf.json": json.dumps(network)}))
        self.server.api("PATCH", f"{JOBS}/{name}/status", {"status": status}, MERGE)


class Cluster(Hosts):
    """Two nodes of RKE2, whose flannel.1 is made by hand and gets its MTU when a pod of the DaemonSet starts."""

    names = ("node1", "node2")

    def begin(self) -> None:
        serve(self.server)
        for number, name in enumerate(self.names, 1):
            other = 3 - number
            macs = {each: f"02:00:00:00:00:0{each}" for each in (number, other)}
            self.inside(
                name,
                "sh",
                "-ec",
                f"ip link add flannel.1 address {macs[number]} mtu 1450 type vxlan id 1 dev eth0 dstport 8472\n"
                f"ip address add 10.42.{number}.0/32 dev flannel.1\nip link set flannel.1 up\n"
                f"ip neighbour add 10.42.{other}.0 lladdr {macs[other]} dev flannel.1 nud permanent\n"
                f"bridge fdb add {macs[other]} dev flannel.1 dst 198.18.0.1{other}\n"
                f"ip route add 10.42.{other}.0/24 via 10.42.{other}.0 dev flannel.1 onlink\n"
                f"ip link add flannel-v6.1 address {macs[number]} mtu 1430 type vxlan id 1 dev eth0 dstport 8472 "
                f"local fd00:18::{10 + number:x}\n"
                f"ip address add fd00:42:{number}::/128 dev flannel-v6.1 nodad\nip link set flannel-v6.1 up\n"
                f"ip neighbour add fd00:42:{other}:: lladdr {macs[other]} dev flannel-v6.1 nud permanent\n"
                f"bridge fdb add {macs[other]} dev flannel-v6.1 dst fd00:18::{10 + other:x}\n"
                f"ip route add fd00:42:{other}::/64 via fd00:42:{other}:: dev flannel-v6.1 onlink\n",
            )
            unit = "rke2-server" if number == 1 else "rke2-agent"
            files = {
                f"etc/systemd/system/{unit}.service": f"[Service]\nExecStart=/usr/local/bin/rke2 {unit[5:]}\n",
                "etc/rancher/rke2/config.yaml": "cni: canal\n" if number == 1 else "token: do-not-tell\n",
            }
            self.write(name, files)
        self.server.apply(
            item("HelmChart", "rke2-canal", "helm.cattle.io/v1", spec={"failurePolicy": "abort"}), self.daemonset()
        )

    def daemonset(self) -> dict[str, Any]:
        labels = {"k8s-app": "canal"}
        spec = {
            "selector": {"matchLabels": labels},
            "updateStrategy": {"type": "RollingUpdate"},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "kube-flannel", "image": "f"}]},
            },
        }
        return item("DaemonSet", "rke2-canal", "apps/v1", spec=spec)

    def started(self, node: str, _template: dict[str, Any]) -> str:
        """What flanneld does with its link when a pod starts."""
        found = self.server.api("GET", "/api/v1/namespaces/kube-system/configmaps/rke2-canal-config")
        mtu = json.loads(found["data"]["net-conf.json"])["Backend"].get("MTU", 1500)
        self.inside(node, "ip", "link", "set", "flannel.1", "mtu", str(mtu - 50))
        return "good"

    def change(self, *options: str, code: int = 0, **variables: Any) -> str:
        given = {f"distribution_network_{name}": value for name, value in variables.items()}
        given["distribution_network_kubeconfig"] = str(self.server.admin)
        given.update(distribution_network_soak=0, distribution_network_timeout=10)
        done = _warm.ansible(
            "playbook",
            *("-i", str(self.inventory), "--diff", *options, "podnet.cni.distribution_network"),
            *("-e", json.dumps(as_typed("distribution_network", given))),
            *("-e", json.dumps({"distribution_network_left_out": ["localhost"]})),
        )
        assert done.returncode == code, done.stdout + done.stderr
        return " ".join(done.stdout.split())

    def mtus(self) -> set[int]:
        return {json.loads(self.inside(name, "ip", "-j", "link", "show", "flannel.1"))[0]["mtu"] for name in self.names}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if os.geteuid() != 0:
        pytest.skip("making namespaces needs root")
    _kube.require()
    with _kube.running() as server:
        made = Cluster(tmp_path_factory.mktemp("rke2"), server)
        try:
            made.lab(lab_etcd=False, lab_hosts=2)
            made.begin()
            controller = HelmController(server)
            controller.turn()
            agents = Agents(server, "kube-system", list(made.names), name="rke2-canal")
            agents.behave = made.started
            agents.labels = {name: {"kubernetes.io/hostname": name} for name in made.names}
            agents.pod_cidrs = {
                name: [f"10.42.{number}.0/24", f"fd00:42:{number}::/64"] for number, name in enumerate(made.names, 1)
            }
            with agents:
                for name in made.names:
                    status = {"nodeInfo": {"kubeletVersion": "v1.36.3+rke2r1", "operatingSystem": "linux"}}
                    server.api("PATCH", f"/api/v1/nodes/{name}/status", {"status": status}, MERGE)
                agents.settle()
                controller.start()
                try:
                    yield made
                finally:
                    controller.ended.set()
                    controller.join()
        finally:
            made.lab(lab_state="absent", lab_etcd=False, lab_hosts=2)


def says(shown: str, *texts: str) -> None:
    missing = [text for text in texts if text not in shown]
    assert not missing, f"{missing} not in {shown[-9000:]}"


def test_canals_mtu_with_all_other_values_kept_and_a_job_that_fails(cluster: Cluster) -> None:
    cluster.server.apply(chart_config(FOREIGN))
    shown = cluster.change("--check", mtu=1400)
    says(shown, "rke2-canal: flannel.mtu: not set -> 1400", "rke2-canal: calico.vethuMTU: 1450 -> 1350", "+ mtu: 1400")
    assert cluster.server.api("GET", CONFIG)["spec"]["valuesContent"] == FOREIGN

    cluster.change(mtu=1400)
    after = cluster.server.api("GET", CONFIG)
    assert after["spec"]["valuesContent"] == FOREIGN.replace("eth0\n", "eth0\n  mtu: 1400\n") + "  vethuMTU: 1350\n"
    assert cluster.mtus() == {1350} and "annotations" not in after["metadata"]
    assert "changed=1" not in cluster.change(mtu=1400)

    # As it is, by what flannel has announced and by packets between its links.
    says(cluster.change("--check", prove=True), "Nothing differs", "Not proved: check mode starts no pods")
    shown = cluster.change(prove=True)
    says(shown, "take flannel.1 node1: flannel-v6.1, flannel.1 to 2 ranges of pods; 10 of 10 packets")
    says(shown, "answered by 10.42.2.0, 10.42.2.0 over IPv6", "answered by 10.42.1.0, 10.42.1.0 over IPv6")
    assert "changed=1" not in shown
    cluster.inside("node2", "nft", SHUT)
    says(cluster.change(code=2, prove=True), "node1: ", "loses 100 % to 10.42.2.0 over IPv6 (fd00:42:2::)")
    cluster.inside("node2", "nft", "delete table ip6 shut")
    cluster.inside("node2", "ip", "route", "replace", "10.42.1.0/24", "dev", "eth0")
    says(cluster.change(code=2, prove=True), "node2: packets to 10.42.1.2 leave over eth0, not over flannel.1")
    cluster.inside("node2", "sh", "-c", "ip route replace 10.42.1.0/24 via 10.42.1.0 dev flannel.1 onlink")

    # The job of the new values fails.
    shown = cluster.change(code=2, mtu=HelmController.FAILS)
    says(shown, "job helm-install-rke2-canal has failed: no such value", "The former values were put back")
    assert cluster.server.api("GET", CONFIG)["spec"] == after["spec"] and cluster.mtus() == {1350}


class Rancher(threading.Thread):
    """Writes the chart values of its cluster's object into the HelmChartConfig, over whatever is there."""

    OBJECT = "/apis/provisioning.cattle.io/v1/namespaces/fleet-default/clusters/prod"

    def __init__(self, server: _kube.KubeServer, values: dict[str, Any]) -> None:
        super().__init__()
        self.server = server
        self.ended = threading.Event()
        spec = {"kubernetesVersion": "v1.36.3+rke2r1", "rkeConfig": {"chartValues": {"rke2-canal": values}}}
        where = "fleet-default"
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": where}}
        server.apply(namespace, item("Cluster", "prod", "provisioning.cattle.io/v1", where, spec=spec))

    def values(self) -> dict[str, Any]:
        return dict(self.server.api("GET", self.OBJECT)["spec"]["rkeConfig"]["chartValues"]["rke2-canal"])

    def run(self) -> None:
        while not self.ended.wait(0.1):
            with contextlib.suppress(RuntimeError, OSError):
                self.server.apply(
                    chart_config(json.dumps({**self.values(), "global": {"cattle": {"clusterId": "c-1"}}}))
                )

    def __enter__(self) -> Rancher:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.ended.set()
        self.join()


def test_the_values_of_a_cluster_that_rancher_provisions(cluster: Cluster) -> None:
    management = {"management_kubeconfig": str(cluster.server.admin), "management_cluster": "fleet-default/prod"}
    with Rancher(cluster.server, {"flannel": {"iface": "eth0"}}) as rancher:
        says(cluster.change(code=2, mtu=1420), "Rancher owns this cluster", "management_kubeconfig")
        shown = cluster.change("--check", mtu=1420, **management)
        says(shown, "Cluster fleet-default/prod", "flannel.mtu: not set -> 1420")
        assert rancher.values() == {"flannel": {"iface": "eth0"}}
        cluster.change(mtu=1420, **management)
        assert rancher.values() == {"flannel": {"iface": "eth0", "mtu": 1420}, "calico": {"vethuMTU": 1370}}
        assert cluster.mtus() == {1370}
        assert "changed=1" not in cluster.change(mtu=1420, **management)

        says(cluster.change(code=2, mtu=HelmController.FAILS, **management), "The former values were put back")
        assert rancher.values() == {"flannel": {"iface": "eth0", "mtu": 1420}, "calico": {"vethuMTU": 1370}}
        assert cluster.mtus() == {1370}
        assert not cluster.server.api("GET", Rancher.OBJECT)["metadata"].get("annotations")


def test_a_job_that_hangs_and_former_values_that_do_not_come_up_either(cluster: Cluster) -> None:
    cluster.server.apply(chart_config(f"flannel: {{mtu: {HelmController.FAILS}}}\n"))
    shown = cluster.change(code=2, mtu=HelmController.HANGS)
    says(shown, "has not ended", "Not everything could be put back: chart rke2-canal: job", "has failed")
    assert str(HelmController.FAILS) in cluster.server.api("GET", CONFIG)["spec"]["valuesContent"]


@pytest.fixture
def owners_config(owners: _kube.KubeServer) -> _kube.KubeServer:
    owners.apply(chart_config(FOREIGN))
    return owners


def merge(server: _kube.KubeServer, kubeconfig: Path | None = None, **options: Any) -> dict[str, Any]:
    wish = {"values": {"flannel": {"mtu": 9000}}, "seen": {"flannel.mtu": None}}
    given = {"kubeconfig": str(kubeconfig or server.admin), "name": "rke2-canal", **wish, **options}
    return run_module("distribution_network_values", given)


def test_values_of_others_stay_on_the_way_there_and_back(owners_config: _kube.KubeServer) -> None:
    server = owners_config
    assert merge(server)["changed"] and not merge(server)["changed"]
    other = server.api("GET", CONFIG)["spec"]["valuesContent"] + "theirs: 012\n"
    server.api("PATCH", CONFIG, {"spec": {"valuesContent": other}}, MERGE)
    assert merge(server, state="restored")["changed"]
    assert server.api("GET", CONFIG)["spec"]["valuesContent"] == FOREIGN + "theirs: 012\n"
    assert not merge(server, state="restored")["changed"]
    # One of the same values is a conflict, told with both.
    server.api("PATCH", CONFIG, {"spec": {"valuesContent": "flannel: {mtu: 1300}\n"}}, MERGE)
    found = merge(server)
    assert found["failed"] and "somebody set flannel.mtu to 1300" in found["msg"]
    assert server.api("GET", CONFIG)["spec"]["valuesContent"] == "flannel: {mtu: 1300}\n"


def test_an_object_that_was_made_goes_again_and_rights_are_named(owners: _kube.KubeServer) -> None:
    nobody = owners.limited_kubeconfig("nobody", [])
    found = merge(owners, nobody)
    assert found["failed"] and "helmchartconfigs" in found["msg"]
    assert merge(owners)["changed"]
    assert yaml.safe_load(owners.api("GET", CONFIG)["spec"]["valuesContent"]) == {"flannel": {"mtu": 9000}}
    assert merge(owners, state="restored")["changed"]
    with pytest.raises(RuntimeError, match="404"):
        owners.api("GET", CONFIG)
