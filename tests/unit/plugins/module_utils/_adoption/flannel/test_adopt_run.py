# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What flannel_adopt reads and writes, on a stand-in for the API."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._adoption.flannel import adopt_run, adoption
from ansible_collections.podnet.cni.plugins.module_utils._adoption.flannel.adoption import FlannelFound
from ansible_collections.podnet.cni.plugins.module_utils._adoption.room import Room
from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import Conflict
from ansible_collections.podnet.cni.plugins.module_utils._rollout import lock
from ansible_collections.podnet.cni.plugins.module_utils._rollout.state import ANNOTATION
from ansible_collections.podnet.cni.tests.unit._kube_standin import Fault, KubeStandIn

CONFIG = {"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}
BINDING = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/flannel"
PODS = "/api/v1/namespaces/kube-system/pods"
CONFIGMAP = "/api/v1/namespaces/kube-system/configmaps/our-cfg"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-flannel/leases/podnet-rollout-kube-flannel-ds"
OPTIONS = {
    "wanted": [],
    "adopt_values": "keep",
    "adopt_drop": [],
    "namespace": "kube-flannel",
    "network_config": CONFIG,
    "install_method": "manifest",
    "adopt": "in_place",
    "allow_network_change": False,
    "allow_unknown_network": False,
    "network_policy": None,
    "network_policy_version": "v1.1.1",
    "network_policy_nodes": {},
    "network_policy_unenforced": "refuse",
    "purpose": "install",
    "allow_foreign": False,
    "rollout": "refuse",
    "prepare": False,
    "wait_timeout": 1.0,
}


@pytest.fixture
def standin() -> Iterator[KubeStandIn]:
    with KubeStandIn() as server:
        server.put("/version", {"gitVersion": "v1.36.0"})
        server.put("/apis", {"groups": []})
        yield server


@pytest.fixture
def client(standin: KubeStandIn) -> Iterator[KubeClient]:
    with KubeClient.from_options({"host": standin.url}) as made:
        yield made


def pod(name: str, command: str = "/opt/bin/flanneld", **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "namespace": "kube-system",
            "generateName": "our-flannel-",
            "labels": {"app": "flannel"},
            **metadata,
        },
        "spec": {"serviceAccountName": "net", "containers": [{"name": "c", "image": "x", "command": [command]}]},
    }


def left_behind(standin: KubeStandIn) -> None:
    """As a run leaves it that was cut off between the deletion of the DaemonSet and the making of the new one."""
    subject = {"kind": "ServiceAccount", "name": "net", "namespace": "kube-system"}
    standin.put(BINDING, {"metadata": {"name": "flannel"}, "subjects": [subject]})
    metadata = {"name": "our-cfg", "namespace": "kube-system", "labels": {"app": "flannel"}}
    standin.put(CONFIGMAP, {"metadata": metadata, "data": {"net-conf.json": json.dumps(CONFIG)}})
    standin.put(f"{PODS}/other", pod("other", "/bin/helper"))


def test_a_run_after_one_that_was_cut_off_goes_on_where_flannel_was(standin: KubeStandIn, client: KubeClient) -> None:
    left_behind(standin)
    standin.put(f"{PODS}/owned", pod("owned", ownerReferences=[{"uid": "1"}]))
    result = adopt_run.run(client, OPTIONS, False)
    assert result["action"] == "replace"
    assert {key: result["place"][key] for key in ("namespace", "daemonset", "config_map", "service_account")} == {
        "namespace": "kube-system",
        "daemonset": "kube-flannel-ds",
        "config_map": "our-cfg",
        "service_account": "net",
    }
    standin.put(f"{PODS}/our-flannel-x", pod("our-flannel-x"))
    assert adopt_run.run(client, OPTIONS, False)["place"]["daemonset"] == "our-flannel"
    removed = adopt_run.run(client, {**OPTIONS, "purpose": "remove"}, False)
    assert (removed["action"], removed["place"]["namespace"]) == ("remove", "kube-system")


def test_a_binding_without_its_configmap_is_no_installation(standin: KubeStandIn, client: KubeClient) -> None:
    left_behind(standin)
    standin.remove(CONFIGMAP)
    result = adopt_run.run(client, OPTIONS, False)
    assert (result["action"], result["place"]["namespace"], result["warnings"]) == ("install", "kube-flannel", [])


def lease(seconds_ago: float) -> dict[str, Any]:
    moment = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=seconds_ago)
    return {
        "metadata": {"name": "podnet-rollout-kube-flannel-ds", "annotations": {ANNOTATION: "{}"}},
        "spec": {
            "holderIdentity": "ops:1",
            "leaseDurationSeconds": 60,
            "renewTime": moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        },
    }


def test_a_rollout_keeps_others_out(standin: KubeStandIn, client: KubeClient) -> None:
    lock.check(client, "kube-flannel", "kube-flannel-ds")
    standin.put(LEASE, lease(10))
    for goes_on in (False, True):
        with pytest.raises(ConflictError, match=r"by ops:1, whose Lease .* is good for \d+ s more"):
            lock.check(client, "kube-flannel", "kube-flannel-ds", goes_on=goes_on)
    standin.put(LEASE, lease(100))
    with pytest.raises(ConflictError, match="was interrupted or has failed"):
        lock.check(client, "kube-flannel", "kube-flannel-ds")
    lock.check(client, "kube-flannel", "kube-flannel-ds", goes_on=True)
    standin.faults.append(Fault(403))
    lock.check(client, "kube-flannel", "kube-flannel-ds")


class Disturbed:
    """A client whose object somebody else writes a number of times in the very moment."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.version = 1
        self.written: list[Any] = []

    def item(self) -> dict[str, Any]:
        entries = [{"manager": f"m{self.version}", "operation": "Update", "fieldsV1": {f"f:{self.version}": {}}}]
        metadata = {"name": "d", "namespace": "n", "resourceVersion": str(self.version), "managedFields": entries}
        return {"metadata": metadata, "spec": {}}

    def get(self, _path: str) -> dict[str, Any]:
        return self.item()

    def patch(self, path: str, body: Any, _kind: str) -> None:
        if self.times:
            self.times -= 1
            self.version += 1
        if body[1]["value"] != str(self.version):
            raise Conflict("changed", path=path)
        self.written = body[0]["value"]


@pytest.mark.parametrize("times", [0, 1, 4, 5])
def test_fields_are_taken_over_though_somebody_writes_meanwhile(times: int) -> None:
    client: Any = Disturbed(times)
    room = Room(client, 1.0, False, lambda _seconds: None)
    found = FlannelFound(daemonsets=[client.item()])
    decision = adoption.Decision(adoption.UPGRADE, adoption.new_place(), take_over=True)
    if times == 5:
        with pytest.raises(Conflict):
            room(found, decision)
        return
    assert room(found, decision) == ["take over the fields of DaemonSet n/d"]
    assert client.written[0]["fieldsV1"] == {f"f:{client.version}": {}}, "the fields of the newest version"


def test_what_is_taken_away_is_in_result_and_diff(standin: KubeStandIn, client: KubeClient) -> None:
    flags = ["--ip-masq", "--kube-subnet-mgr"]

    def daemonset(image: str, arguments: list[str], **metadata: Any) -> dict[str, Any]:
        container = {"name": "kube-flannel", "image": image, "command": ["/opt/bin/flanneld"], "args": arguments}
        pod = {"containers": [container], "volumes": [{"name": "cfg", "configMap": {"name": "kube-flannel-cfg"}}]}
        template = {"metadata": {"labels": {"app": "flannel"}}, "spec": pod}
        return {
            "kind": "DaemonSet",
            "metadata": {"name": "kube-flannel-ds", "namespace": "kube-flannel", **metadata},
            "spec": {"selector": {"matchLabels": {"app": "flannel"}}, "template": template},
        }

    labels = {"app": "flannel", "k8s-app": "flannel"}
    old = daemonset("flannel/flannel:v0.22.0", [*flags, "--iface=eth1"], uid="u", labels=labels, managedFields=[])
    standin.put("/apis/apps/v1/namespaces/kube-flannel/daemonsets/kube-flannel-ds", old)
    standin.put(
        "/api/v1/namespaces/kube-flannel/configmaps/kube-flannel-cfg",
        {
            "metadata": {"name": "kube-flannel-cfg", "namespace": "kube-flannel"},
            "data": {"net-conf.json": json.dumps(CONFIG)},
        },
    )
    options = {**OPTIONS, "wanted": [daemonset("x/flannel:v0.28.9", flags)], "prepare": True}
    result = adopt_run.run(client, options, True)
    assert (result["action"], result["adopted"]["settings"]) == ("upgrade", {"args": ["--iface=eth1"]})
    assert [entry["text"] for entry in result["takeover"] if entry["traffic"]] == [
        "--iface = eth1 (flannel_args): kept"
    ]
    assert result["diff"]["before"]["set by the former installation"]["--iface"] == "eth1"
    with pytest.raises(ConflictError, match="--iface = eth1"):
        adopt_run.run(client, {**options, "adopt_values": "drop"}, True)
