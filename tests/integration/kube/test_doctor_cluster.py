# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the doctor finds in a cluster by the objects of a real API server: each fault by name, and none without one."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.podnet.cni.plugins.module_utils._network_policy_sidecar.objects import CONTAINER, RULES
from ansible_collections.podnet.cni.plugins.module_utils._preflight import network_pods
from ansible_collections.podnet.cni.plugins.module_utils._status import document
from ansible_collections.podnet.cni.tests.integration import _kube, _warm
from ansible_collections.podnet.cni.tests.integration.etcd._lab import run_module
from ansible_collections.podnet.cni.tests.integration.kube.test_apply import item
from ansible_collections.podnet.cni.tests.integration.kube.test_preflight_cluster import (
    MERGE,
    NET_CONF,
    PREFIX,
    Cluster,
)
from ansible_collections.podnet.cni.tests.integration.rollout import _agents

pytestmark = pytest.mark.kube

PODS = "/api/v1/namespaces/kube-flannel/pods"
STARTED = "2026-01-01T10:00:00Z"
WRITTEN = "2026-01-01T10:00:05Z"


class WithPods(Cluster):
    """The same, with a pod of flannel that is ready on each node; nobody listens where the kubelets are to be."""

    def __init__(self, server: _kube.KubeServer) -> None:
        super().__init__(server)
        self.owner = server.api("GET", "/apis/apps/v1/namespaces/kube-flannel/daemonsets/kube-flannel-ds")
        for number in (1, 2, 3):
            self.kubelet(number)
            self.pod(number)
            self.written(number, WRITTEN)

    def kubelet(self, number: int, port: int = 1) -> None:
        addresses = [
            {"type": "InternalIP", "address": f"198.18.0.{number}"},
            {"type": "Hostname", "address": "127.0.0.1"},
        ]
        status = {"addresses": addresses, "daemonEndpoints": {"kubeletEndpoint": {"Port": port}}}
        self.server.api("PATCH", f"/api/v1/nodes/n{number}/status", {"status": status}, MERGE)

    def pod(self, number: int) -> None:
        container = self.owner["spec"]["template"]["spec"]["containers"][0]
        spec = {"nodeName": f"n{number}", "hostNetwork": True, "containers": [container]}
        body = item("Pod", f"flannel-n{number}", "kube-flannel", spec=spec)
        metadata = self.owner["metadata"]
        owner = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": metadata["name"], "uid": metadata["uid"]}
        body["metadata"].update(labels={"app": "flannel"}, ownerReferences=[{**owner, "controller": True}])
        body["spec"]["containers"] = [{key: value for key, value in container.items() if key != "volumeMounts"}]
        self.server.api("POST", PODS, body)
        self.runs(number, {"running": {"startedAt": STARTED}}, ready=True)

    def runs(self, number: int, state: dict[str, Any], *, ready: bool) -> None:
        """The state of a pod's container as its kubelet tells it."""
        container = {
            "name": "kube-flannel",
            "ready": ready,
            "restartCount": 0,
            "image": self.owner["spec"]["template"]["spec"]["containers"][0]["image"],
            "imageID": "",
            "state": state,
        }
        status = {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "containerStatuses": [container],
        }
        self.server.api("PATCH", f"{PODS}/flannel-n{number}/status", {"status": status}, MERGE)

    def written(self, number: int, time: str, ready: str = "True") -> None:
        """The conditions of a Node: its daemon wrote that of the network at that time."""
        network = {"type": "NetworkUnavailable", "status": "False", "reason": "FlannelIsUp", "lastHeartbeatTime": time}
        conditions = [{"type": "Ready", "status": ready}, network]
        self.server.api("PATCH", f"/api/v1/nodes/n{number}/status", {"status": {"conditions": conditions}}, MERGE)

    def found(self) -> dict[tuple[str, str], dict[str, Any]]:
        """What the doctor says failed of the cluster, by check and subject."""
        asked = {"kubeconfig": str(self.server.admin), "network_pods": True}
        facts = run_module("preflight_cluster_info", asked)["facts"]
        assert facts["reasons"] == {}
        made = document.build({"cluster": facts, "network_config": NET_CONF, "hosts": {}})
        return {
            (each["id"], each["subject"]): each
            for each in made["findings"]
            if each["status"] == "failed" and each["id"].startswith("cluster.")
        }


@pytest.fixture(scope="module", name="cluster")
def fixture_cluster() -> Iterator[WithPods]:
    _kube.require()
    with _kube.running() as server:
        yield WithPods(server)


def kubelets(found: dict[tuple[str, str], Any]) -> set[tuple[str, str]]:
    """What is found besides the kubelets that cannot be reached."""
    return {key for key in found if key[0] != "cluster.logs"}


def test_kubelets_that_the_api_server_cannot_reach_and_nothing_else(cluster: WithPods) -> None:
    found = cluster.found()
    assert kubelets(found) == set(), found
    assert {subject for name, subject in found if name == "cluster.logs"} == {"n1", "n2", "n3"}
    finding = found["cluster.logs", "n1"]
    assert "127.0.0.1:1" in finding["seen"]
    assert "leave the gate out by name: flannel_rollout_gates=[node]" in finding["remedy"]
    assert "TCP port 10250" in finding["remedy"], finding
    # The API server reaches them.
    answering = _agents.kubelet(cluster.server, {f"flannel-n{number}": _agents.GOOD_LOG for number in (1, 2, 3)})
    thread = threading.Thread(target=answering.serve_forever, args=(0.05,))
    thread.start()
    try:
        for number in (1, 2, 3):
            cluster.kubelet(number, answering.server_port)
        assert cluster.found() == {}
    finally:
        answering.shutdown()
        answering.server_close()
        thread.join()
        for number in (1, 2, 3):
            cluster.kubelet(number)


def test_a_pod_that_is_ready_and_has_not_programmed_its_node(cluster: WithPods) -> None:
    cluster.written(2, "2026-01-01T09:00:00Z")
    found = cluster.found()
    assert kubelets(found) == {("cluster.programmed", "n2")}
    assert "from an earlier start" in found["cluster.programmed", "n2"]["seen"]
    assert found["cluster.programmed", "n2"]["repair"] == "pod"
    cluster.written(2, WRITTEN)
    cluster.server.api(
        "PATCH", "/api/v1/nodes/n3", {"metadata": {"annotations": {f"{PREFIX}/backend-type": None}}}, MERGE
    )
    assert ("cluster.programmed", "n3") in cluster.found()
    cluster.server.api(
        "PATCH", "/api/v1/nodes/n3", {"metadata": {"annotations": {f"{PREFIX}/backend-type": "vxlan"}}}, MERGE
    )
    assert kubelets(cluster.found()) == set()


def test_a_node_and_a_pod_that_are_not_ready(cluster: WithPods) -> None:
    cluster.written(2, WRITTEN, ready="Unknown")
    refused = {"waiting": {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "flannel:v0.28.9"'}}
    cluster.runs(3, refused, ready=False)
    found = cluster.found()
    assert kubelets(found) == {("cluster.nodes", "n2"), ("cluster.pods", "n3")}, found
    assert "its kubelet does not report any more" in found["cluster.nodes", "n2"]["seen"]
    assert "systemctl status kubelet" in found["cluster.nodes", "n2"]["remedy"]
    assert "ImagePullBackOff" in found["cluster.pods", "n3"]["seen"]
    assert "kubectl -n kube-flannel describe pod flannel-n3" in found["cluster.pods", "n3"]["remedy"]
    cluster.written(2, WRITTEN)
    cluster.runs(3, {"running": {"startedAt": STARTED}}, ready=True)
    assert kubelets(cluster.found()) == set()


def test_a_cluster_that_cannot_be_asked(cluster: WithPods, tmp_path: Path) -> None:
    """Refused, and away: neither is a network without faults."""
    config = yaml.safe_load(cluster.server.admin.read_text())
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    away = tmp_path / "kubeconfig"
    away.write_text(yaml.safe_dump(config))
    for kubeconfig in (away, tmp_path / "nowhere"):
        told = run_module("preflight_cluster_info", {"kubeconfig": str(kubeconfig), "network_pods": True})
        facts = told.get("facts") or {"msg": told["msg"]}
        made = document.build({"cluster": facts, "network_config": NET_CONF, "hosts": {}})
        [question] = [each for each in made["findings"] if each["id"] == "cluster.asked"]
        assert (question["status"], made["verdict"]["state"]) in (("unknown", "not_known"), ("unknown", "broken"))
        assert "127.0.0.1:1" in question["seen"] or "nowhere" in question["seen"], question


def test_a_second_daemonset_in_another_namespace(cluster: WithPods) -> None:
    cluster.daemonset("kube-flannel-ds", "kube-system")
    found = cluster.found()
    path = "/apis/apps/v1/namespaces/kube-system/daemonsets/kube-flannel-ds"
    cluster.server.api("DELETE", path)
    assert kubelets(found) == {("cluster.network", "cluster")}, found
    assert "duplicate_install" in found["cluster.network", "cluster"]["seen"]
    assert kubelets(cluster.found()) == set()


def test_a_sidecar_without_its_rights(cluster: WithPods) -> None:
    path = "/apis/apps/v1/namespaces/kube-flannel/daemonsets/kube-flannel-ds"
    containers = cluster.owner["spec"]["template"]["spec"]["containers"]

    def put(*more: dict[str, Any]) -> None:
        template = {"spec": {"containers": [*containers, *more], "serviceAccountName": "flannel"}}
        cluster.server.api("PATCH", path, {"spec": {"template": template}}, MERGE)
        status = {"observedGeneration": cluster.server.api("GET", path)["metadata"]["generation"]}
        cluster.server.api("PATCH", f"{path}/status", {"status": status}, MERGE)

    put({"name": CONTAINER, "image": "registry.k8s.io/networking/kube-network-policies:v1.1.0"})
    found = cluster.found()
    assert kubelets(found) == {("cluster.sidecar_rights", "cluster")}, found
    assert "kube-flannel/flannel may not list pods, watch pods" in found["cluster.sidecar_rights", "cluster"]["seen"]
    cluster.server.apply(
        _kube.cluster_role("sidecar", RULES), _kube.cluster_role_binding("sidecar", "flannel", "kube-flannel")
    )
    deadline = time.monotonic() + 30
    while kubelets(cluster.found()) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert kubelets(cluster.found()) == set()
    put()


def test_canal_without_its_kinds(cluster: WithPods) -> None:
    path = "/apis/apps/v1/namespaces/kube-flannel/daemonsets/kube-flannel-ds"
    felix = {"name": "calico-node", "image": "quay.io/calico/node:v3.32.0"}
    containers = cluster.owner["spec"]["template"]["spec"]["containers"]
    patch = {"spec": {"template": {"spec": {"containers": [*containers, felix]}}}}
    cluster.server.api("PATCH", path, patch, MERGE)
    status = {"observedGeneration": cluster.server.api("GET", path)["metadata"]["generation"]}
    cluster.server.api("PATCH", f"{path}/status", {"status": status}, MERGE)
    group, needed = network_pods.KINDS["canal"]
    found = cluster.found()
    assert all(name in found["cluster.kinds", "cluster"]["seen"] for name in needed)
    assert "podnet.cni.canal" in found["cluster.kinds", "cluster"]["remedy"]
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    for plural in needed:
        names = {"plural": plural, "kind": f"K{plural}", "listKind": f"K{plural}List", "singular": f"k{plural}"}
        definition = item("CustomResourceDefinition", f"{plural}.{group}", "", "apiextensions.k8s.io/v1")
        definition["spec"] = {"group": group, "scope": "Cluster", "names": names, "versions": [version]}
        cluster.server.api("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition)
    deadline = time.monotonic() + 30
    while ("cluster.kinds", "cluster") in cluster.found() and time.monotonic() < deadline:
        time.sleep(0.5)
    assert ("cluster.kinds", "cluster") not in cluster.found()


def test_while_a_new_pod_does_not_come_up_the_others_keep_theirs(cluster: WithPods, tmp_path: Path) -> None:
    """No kubelet is here that ends a pod, and no controller that makes another."""

    def role(part: str, **more: Any) -> dict[str, Any]:
        return {"ansible.builtin.include_role": {"name": "podnet.cni.doctor", "tasks_from": part}, **more}

    loop = {"loop_var": "_doctor_node_name", "index_var": "_doctor_turn"}
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "tasks": [
            role("cluster", vars={"_doctor_renewed": []}),
            role(
                "renew",
                vars={"_doctor_to_renew": ["n1", "n2"], "_doctor_patience": 2},
                loop=["n1", "n2"],
                loop_control=loop,
            ),
        ],
    }
    book = tmp_path / "book.yml"
    book.write_text(yaml.safe_dump([play]))
    variables = {"ansible_python_interpreter": _warm.interpreter(), "doctor_kubeconfig": str(cluster.server.admin)}
    done = _warm.ansible("playbook", "-i", "localhost,", "-e", json.dumps(variables), str(book))
    assert done.returncode == 0, done.stdout + done.stderr
    going = {pod["metadata"]["name"] for pod in cluster.server.api("GET", PODS)["items"] if _is_going(pod)}
    assert going == {"flannel-n1"}, done.stdout


def _is_going(pod: dict[str, Any]) -> bool:
    return "deletionTimestamp" in pod["metadata"]
