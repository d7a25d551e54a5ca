# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why a workload is not rolled out, told from what the API shows."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._kube import causes, wait
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import Listing
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import Forbidden, NotFound

CONTROLLER = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kube-controller-manager"
PODS = "/api/v1/namespaces/n/pods"
EVENTS = "/api/v1/namespaces/n/events"
REVISIONS = "/apis/apps/v1/namespaces/n/controllerrevisions"


class Cluster:
    """Objects and lists by path; what is not there is not found, and a path in *denied* is refused."""

    def __init__(self, items: dict[str, Any], denied: tuple[str, ...] = ()) -> None:
        self.items = items
        self.denied = denied

    def get(self, path: str) -> Any:
        if path in self.denied:
            raise Forbidden("no", status=403)
        if path not in self.items:
            raise NotFound("no", status=404)
        return self.items[path]

    def list(self, path: str, _query: Any = None) -> Listing:
        if path in self.denied:
            raise Forbidden("no", status=403)
        return Listing(self.items.get(path, []), "1", "List")


def lease(seconds: float) -> dict[str, Any]:
    moment = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=seconds)
    return {"spec": {"holderIdentity": "c1", "renewTime": moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}}


def daemonset(wanted: int, available: int, seen: int = 1, **spec: Any) -> dict[str, Any]:
    return {
        "kind": "DaemonSet",
        "metadata": {"namespace": "n", "name": "d", "uid": "u", "generation": 1},
        "spec": {"selector": {"matchLabels": {"app": "d"}}, "template": {"spec": {}}, **spec},
        "status": {
            "observedGeneration": seen,
            "desiredNumberScheduled": wanted,
            "updatedNumberScheduled": wanted,
            "numberAvailable": available,
        },
    }


def pod(node: str, ready: bool = True, revision: str = "new", **metadata: Any) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": str(ready)}]
    return {
        "metadata": {"name": f"p-{node}", "labels": {causes.HASH: revision}, **metadata},
        "spec": {"nodeName": node},
        "status": {"conditions": conditions},
    }


def node(name: str, status: str = "True", **labels: str) -> dict[str, Any]:
    ready = {"type": "Ready", "status": status, "reason": "R", "message": "M"}
    return {"metadata": {"name": name, "labels": labels}, "status": {"conditions": [ready]}}


def nodes(*found: dict[str, Any]) -> dict[str, Any]:
    named = {f"/api/v1/nodes/{each['metadata']['name']}": each for each in found}
    return {"/api/v1/nodes": list(found), **named}


def texts(found: causes.Shortage) -> list[str]:
    return [f"{cause.object}: {cause.problem}" for cause in found.causes]


@pytest.mark.parametrize(
    ("age", "denied", "says"),
    [
        (1, (), ""),
        (300, (), "s ago (by c1): it does not run"),
        (None, (), "it never ran here, or runs without leader election"),
        (None, (CONTROLLER,), ""),
    ],
)
def test_a_controller_manager_that_does_not_run(age: float | None, denied: Any, says: str) -> None:
    items = {} if age is None else {CONTROLLER: lease(age)}
    found = causes.leader(Cluster(items, denied), "kube-controller-manager")
    assert (found == "") is (says == "")
    assert says in found


def test_a_version_that_nobody_has_seen() -> None:
    found = causes.shortage(Cluster({CONTROLLER: lease(90)}), daemonset(1, 1, seen=0))
    assert "kube-controller-manager: its Lease" in texts(found)[0]


def test_pods_with_their_reasons_and_their_nodes() -> None:
    items = {PODS: [pod("n1"), pod("n2", False), pod("n3", deletionTimestamp="T")]}
    found = causes.shortage(Cluster({**items, **nodes(node("n2", "False"), node("n3"))}), daemonset(3, 1))
    assert texts(found) == [
        "Pod n/p-n2 on n2: it is not ready; its Node is NotReady (R: M)",
        "Pod n/p-n3 on n3: it is being deleted since T",
    ]
    assert found.excused == ()


@pytest.mark.parametrize("left_out", [[], ["n2"]])
def test_a_node_that_can_never_fulfil_it_is_excused(left_out: list[str]) -> None:
    status = "False" if left_out else "Unknown"
    items = {PODS: [pod("n1"), pod("n2", False, deletionTimestamp="T")], **nodes(node("n2", status))}
    found = causes.shortage(Cluster(items), daemonset(2, 1), left_out)
    assert found.excused == ("n2",)
    assert "its Node is NotReady" in texts(found)[0]


def test_a_silent_node_without_a_pod_is_excused_if_the_daemonset_selects_it() -> None:
    items = {PODS: [pod("n1")], **nodes(node("n1"), node("n2", "Unknown", os="linux"), node("w", "Unknown", os="win"))}
    template = {"spec": {"nodeSelector": {"os": "linux"}}}
    assert causes.shortage(Cluster(items), daemonset(2, 1, template=template)).excused == ("n2",)
    assert causes.shortage(Cluster(items), daemonset(3, 1, template=template)).excused == ()


def test_another_node_that_lacks_its_pod_is_waited_for() -> None:
    items = {PODS: [pod("n1", False), pod("n2", False)], **nodes(node("n1"), node("n2", "Unknown"))}
    assert causes.shortage(Cluster(items), daemonset(2, 0)).excused == ()


def test_pods_of_an_older_template() -> None:
    revisions = [{"revision": n, "metadata": {"labels": {causes.HASH: h}}} for n, h in ((1, "old"), (2, "new"))]
    items = {PODS: [pod("n1", revision="old"), pod("n2")], REVISIONS: revisions, **nodes(node("n1"))}
    item = daemonset(2, 2)
    item["status"]["updatedNumberScheduled"] = 1
    assert texts(causes.shortage(Cluster(items), item)) == ["Pod n/p-n1 on n1: it is of an older template"]
    item["spec"]["updateStrategy"] = {"type": "OnDelete"}
    assert texts(causes.shortage(Cluster(items), item)) == []


def test_pods_that_are_not_made() -> None:
    event = {"type": "Warning", "message": "exceeded quota"}
    assert texts(causes.shortage(Cluster({EVENTS: [event]}), daemonset(1, 0))) == ["DaemonSet n/d: exceeded quota"]
    assert "kube-controller-manager" in texts(causes.shortage(Cluster({}), daemonset(1, 0)))[0]


def test_a_pod_that_nobody_schedules() -> None:
    lone = {"metadata": {"name": "p", "labels": {}}, "spec": {}, "status": {"phase": "Pending"}}
    found = texts(causes.shortage(Cluster({PODS: [lone]}), daemonset(1, 0)))
    assert found[0] == "Pod n/p: it is not ready"
    assert found[1].startswith("kube-scheduler: there is no Lease")


def test_who_may_not_look_is_told_nothing_wrong() -> None:
    assert causes.shortage(Cluster({}, (PODS,)), daemonset(2, 1)) == causes.Shortage()
    items = {PODS: [pod("n1", False)]}
    denied = ("/api/v1/nodes/n1", "/api/v1/nodes", EVENTS, CONTROLLER)
    found = causes.shortage(Cluster(items, denied), daemonset(1, 0))
    assert (texts(found), found.excused) == (["Pod n/p-n1 on n1: it is not ready"], ())


@pytest.mark.parametrize(
    ("at_once", "other", "stands"),
    [(1, "True", True), ("30%", "True", True), (2, "True", False), (0, "True", False), (1, "False", False)],
)
def test_a_silent_node_that_keeps_the_others_from_their_update(at_once: Any, other: str, stands: bool) -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": at_once}}
    item = daemonset(3, 2, updateStrategy=strategy)
    item["status"]["updatedNumberScheduled"] = 0
    revisions = [
        {"revision": number, "metadata": {"labels": {causes.HASH: name}}} for number, name in ((1, "old"), (2, "new"))
    ]
    old = [pod("n1", revision="old"), pod("n2", other == "True", "old"), pod("n3", False, "old", deletionTimestamp="T")]
    items = {PODS: old, REVISIONS: revisions, **nodes(node("n1"), node("n2"), node("n3", "Unknown"))}
    found = causes.shortage(Cluster(items), item)
    assert found.excused == ()
    assert bool(found.remedy) is stands
    if stands:
        assert [cause.node for cause in found.causes] == ["n3"]
        assert "Bring n3 back" in found.remedy
        path = "/apis/apps/v1/namespaces/n/daemonsets/d"
        params = {name: spec.get("default") for name, spec in {**wait.ARGUMENT_SPEC, **wait.TOLD}.items()}
        asked = {"kind": "DaemonSet", "namespace": "n", "name": "d", "left_out": []}
        with pytest.raises(InputError, match=r"n3: it is being deleted.*Waiting does not help\. No other"):
            wait.run(
                Cluster({**items, path: item}), {**params, "ready": False, "rollouts": [asked], "explain": True}, False
            )


def waited(cluster: Cluster, explain: bool) -> tuple[list[str], list[str]]:
    item = {"kind": "DaemonSet", "namespace": "n", "name": "d", "left_out": []}
    params = {name: spec.get("default") for name, spec in {**wait.ARGUMENT_SPEC, **wait.TOLD}.items()}
    remarks: list[str] = []
    found = wait.look(cluster, {**params, "ready": False, "rollouts": [item], "explain": explain}, remarks)
    return [str(each) for each in found], remarks


def test_a_wait_names_the_cause_and_ends_where_it_can_never_be_fulfilled() -> None:
    path = "/apis/apps/v1/namespaces/n/daemonsets/d"
    items = {path: daemonset(2, 1), PODS: [pod("n1"), pod("n2", False)]}
    lacking = "DaemonSet n/d: 1 of 2 pods are available"
    ill = Cluster({**items, **nodes(node("n2", "False"))})
    assert waited(ill, False) == ([lacking], [])
    assert waited(ill, True)[0] == [lacking, "Pod n/p-n2 on n2: it is not ready; its Node is NotReady (R: M)"]
    missing, remarks = waited(Cluster({**items, **nodes(node("n2", "Unknown"))}), True)
    assert missing == []
    assert remarks[0].startswith("DaemonSet n/d is not awaited on n2: Pod n/p-n2 on n2: it is not ready")


def test_a_wait_for_pod_cidrs_names_a_controller_manager_that_does_not_run() -> None:
    params = {name: spec.get("default") for name, spec in {**wait.ARGUMENT_SPEC, **wait.TOLD}.items()}
    params = {**params, "ready": False, "pod_cidrs": ["ipv4"], "explain": True}
    found = wait.look(Cluster({"/api/v1/nodes": [node("n1")]}), params, [])
    assert [each.object for each in found] == ["Node n1", "kube-controller-manager"]
    assert wait.describe(found).startswith(
        "waiting for Node n1: it has no podCIDR of IPv4 yet; kube-controller-manager:"
    )
