# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The start order on a real API server: what is awaited, in which order, and what is said when the time is up."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._errors import __file__ as imported
from ansible_collections.podnet.cni.plugins.module_utils._kube import wait
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.tests.integration import _kube
from ansible_collections.podnet.cni.tests.integration.etcd._lab import environment, run_module
from ansible_collections.podnet.cni.tests.integration.kube.test_apply import item

pytestmark = pytest.mark.kube

MERGE = "application/merge-patch+json"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@dataclass(frozen=True)
class Waited:
    """What a run of a module by ansible came to, and what it printed."""

    result: dict[str, Any]
    output: str

    @property
    def lines(self) -> list[str]:
        """Lines of progress, without the time."""
        return re.findall(r"^kube_(?:wait|apply): (.*), \d+ s$", self.output, re.MULTILINE)


def waited(kube: _kube.KubeServer, directory: Path, then: Callable[[], object] | None = None, **options: Any) -> Waited:
    """Run kube_wait with its action plugin, as a task does; C(then) is done when the first progress is printed."""
    return played("kube_wait", {"kubeconfig": str(kube.admin), "poll": 0.2, **options}, directory, then)


def played(module: str, arguments: dict[str, Any], directory: Path, then: Callable[[], object] | None = None) -> Waited:
    """Run a module by ansible-playbook."""
    kept = directory / "result.json"
    tasks = [
        {f"podnet.cni.{module}": arguments, "register": "done", "ignore_errors": True},
        {"ansible.builtin.copy": {"dest": str(kept), "content": "{{ done | to_json }}", "mode": "0600"}},
    ]
    book = directory / "play.yml"
    book.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "connection": "local", "tasks": tasks}]))
    places = [str(Path(imported).parents[5]), *filter(None, [os.environ.get("ANSIBLE_COLLECTIONS_PATH")])]
    command = [
        *(sys.executable, "-m", "ansible", "playbook", "-i", "localhost,", str(book)),
        *("-e", f"ansible_python_interpreter={sys.executable}"),
    ]
    variables = {
        **environment(),
        "ANSIBLE_COLLECTIONS_PATH": os.pathsep.join(places),
        "ANSIBLE_NOCOLOR": "true",
        # Into a pipe, Ansible writes what it displays only when the buffer is full.
        "PYTHONUNBUFFERED": "1",
    }
    output = ""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=variables
    ) as running:
        assert running.stdout is not None
        for line in running.stdout:
            output += line
            if then is not None and line.startswith(f"{module}: "):
                then()
                then = None
    assert running.returncode == 0, output
    return Waited(json.loads(kept.read_text()), output)


def look(kube: _kube.KubeServer, *, check: bool = True, **options: Any) -> dict[str, Any]:
    """One look of the module."""
    return run_module("kube_wait", {"kubeconfig": str(kube.admin), **options}, check=check)


def crd(plural: str, kind: str, group: str = "order.example.org", **names: str) -> dict[str, Any]:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    spec = {
        "group": group,
        "names": {"kind": kind, "plural": plural, **names},
        "scope": "Cluster",
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
    }
    return item("CustomResourceDefinition", f"{plural}.{group}", version="apiextensions.k8s.io/v1", spec=spec)


@pytest.fixture
def taken(kube: _kube.KubeServer) -> Iterator[dict[str, Any]]:
    """A definition whose names another one of its group has already."""
    first, second = crd("firsts", "First"), crd("seconds", "Second", listKind="FirstList")
    kube.api("POST", DEFINITIONS, first)
    time.sleep(0.5)
    yield second
    for each in (first, second):
        kube.api("DELETE", f"{DEFINITIONS}/{each['metadata']['name']}")


def test_names_that_are_taken(kube: _kube.KubeServer, taken: dict[str, Any], tmp_path: Path) -> None:
    given = {"kubeconfig": str(kube.admin), "wait_timeout": 1.5}
    after = item("ConfigMap", "after", "default")
    refused = run_module("kube_apply", {**given, "definitions": [taken, after]})
    assert "after 1.5 s: CustomResourceDefinition seconds.order.example.org: NamesAccepted is False" in refused["msg"]
    assert "reason ListKindConflict" in refused["msg"]
    assert '"FirstList" is already in use' in refused["msg"]
    with pytest.raises(RuntimeError, match="404"):
        kube.api("GET", "/api/v1/namespaces/default/configmaps/after")

    again = run_module("kube_apply", {**given, "definitions": [taken, after]})
    assert "NamesAccepted is False" in again["msg"], "one that is there, but not accepted, is waited for too"

    over = waited(kube, tmp_path, crds=["seconds.order.example.org", "absent.order.example.org"], timeout=1)
    assert over.result["failed"]
    assert "seconds.order.example.org: NamesAccepted is False, reason ListKindConflict" in over.result["msg"]
    assert "absent.order.example.org: it does not exist" in over.result["msg"]
    assert [each["object"] for each in over.result["missing"]] == [
        "CustomResourceDefinition seconds.order.example.org",
        "CustomResourceDefinition absent.order.example.org",
    ]


def test_a_manifest_in_any_order(kube: _kube.KubeServer) -> None:
    group = "any.example.org"
    kinds = [crd(f"things{number}", f"Thing{number}", group) for number in range(4)]
    things = [item(f"Thing{number}", "one", version=f"{group}/v1") for number in range(4)]
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "a", "image": "a"}]}}
    daemons = item("DaemonSet", "d", "any-order", "apps/v1", spec={"selector": {"matchLabels": {"a": "b"}}})
    daemons["spec"]["template"] = template
    manifest = [daemons, *things, item("ConfigMap", "c", "any-order"), *kinds, item("Namespace", "any-order")]
    given = {"kubeconfig": str(kube.admin), "definitions": manifest, "wait_timeout": 30}

    refused = run_module("kube_apply", given)
    assert "order=start" in refused["msg"], refused
    with pytest.raises(RuntimeError, match="404"):
        kube.api("GET", "/api/v1/namespaces/any-order")

    mark = kube.audit_mark()
    done = run_module("kube_apply", {**given, "order": "start"})
    assert [action.split()[1] for action in done["actions"]] == [
        *("Namespace", *["CustomResourceDefinition"] * 4, "ConfigMap", "Thing0", "Thing1", "Thing2", "Thing3"),
        "DaemonSet",
    ], done
    reads = [each["requestURI"] for each in kube.audit(mark) if each["verb"] == "list"]
    assert {uri.split("?")[0] for uri in reads} >= {f"/apis/{group}/v1/things{number}" for number in range(4)}
    assert not run_module("kube_apply", {**given, "order": "start"})["changed"]

    ready = look(kube, check=False, crds=[each["metadata"]["name"] for each in kinds])
    assert ready["missing"] == []
    gone = run_module("kube_apply", {**given, "order": "start", "state": "absent"})
    assert gone["actions"][0] == "delete DaemonSet any-order/d"
    assert gone["actions"][-1] == "delete Namespace any-order"


def test_a_server_that_is_away_and_comes_back(own_kube: _kube.KubeServer, tmp_path: Path) -> None:
    own_kube.stop_apiserver()
    assert "cannot connect" in look(own_kube)["missing"][0]["problem"], "check mode says that it is away, and continues"
    over = waited(own_kube, tmp_path, timeout=1)
    assert f"API server {own_kube.url}" in over.result["msg"]
    assert "cannot connect" in over.result["msg"]

    done = waited(own_kube, tmp_path, own_kube.start_apiserver, timeout=90)
    assert done.result["missing"] == []
    assert "cannot connect" in done.lines[0]


def test_a_server_that_goes_away_in_between(own_kube: _kube.KubeServer, tmp_path: Path) -> None:
    def restart() -> None:
        own_kube.stop_apiserver(kill=True)
        own_kube.start_apiserver()
        own_kube.api("POST", DEFINITIONS, crd("lates", "Late"))

    done = waited(own_kube, tmp_path, restart, crds=["lates.order.example.org"], timeout=90)
    assert done.result["missing"] == []
    assert "it does not exist" in done.lines[0]


def test_a_definition_that_becomes_good_late(kube: _kube.KubeServer, taken: dict[str, Any], tmp_path: Path) -> None:
    second = item("Second", "s", version="order.example.org/v1")
    given = {
        "kubeconfig": str(kube.admin),
        "definitions": [taken, second],
        "wait_timeout": 60,
        "_task": {"patience": 0.5},
    }

    def make_room() -> None:
        changed = crd("firsts", "First", listKind="OtherList")
        kube.api("PATCH", f"{DEFINITIONS}/firsts.order.example.org", {"spec": changed["spec"]}, MERGE)

    done = played("kube_apply", given, tmp_path, make_room)
    assert not done.result["failed"], done.output
    assert "seconds.order.example.org: NamesAccepted is False" in done.lines[0]
    assert done.result["changed"]
    assert done.result["done"]
    assert done.result["actions"] == [
        "create CustomResourceDefinition seconds.order.example.org",
        "create Second s",
    ], "what several runs did is told once"
    assert [each["action"] for each in done.result["objects"]] == ["create", "create"]
    assert [each["after_header"] for each in done.result["diff"]] == [
        "CustomResourceDefinition seconds.order.example.org",
        "Second s",
    ]

    over = played(
        "kube_apply",
        {**given, "definitions": [crd("thirds", "Third", listKind="FirstList")], "wait_timeout": 2},
        tmp_path,
    )
    assert over.result["failed"]
    assert "after 2 s: CustomResourceDefinition thirds.order.example.org: NamesAccepted is False" in over.result["msg"]
    assert over.result["changed"], "it was made, and stays"
    kube.api("DELETE", f"{DEFINITIONS}/thirds.order.example.org")


def test_deletion_that_is_held_up(kube: _kube.KubeServer, tmp_path: Path) -> None:
    held = item("ConfigMap", "held", "default")
    held["metadata"]["finalizers"] = ["example.org/hold"]
    kube.api("POST", "/api/v1/namespaces/default/configmaps", held)
    given = {
        "kubeconfig": str(kube.admin),
        "definitions": [held],
        "state": "absent",
        "wait": True,
        "_task": {"patience": 0.5},
    }

    def let_go() -> None:
        kube.api("PATCH", "/api/v1/namespaces/default/configmaps/held", {"metadata": {"finalizers": None}}, MERGE)

    done = played("kube_apply", given, tmp_path, let_go)
    assert done.lines[0] == "waiting for ConfigMap default/held is not gone, held up by example.org/hold"
    assert done.result["actions"] == ["delete ConfigMap default/held"]


class _Starting(BaseHTTPRequestHandler):
    """A server whose checks are not all good yet; a real one is in that condition for moments only."""

    def do_GET(self) -> None:
        """Answer as k8s.io/apiserver does."""
        body = b"[+]ping ok\n[-]poststarthook/rbac/bootstrap-roles failed: reason withheld\nreadyz check failed\n"
        self.send_response(500)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Be silent."""


def test_a_server_that_is_up_but_not_ready() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Starting) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        try:
            found = run_module("kube_wait", {"host": url, "pod_cidrs": ["ipv4"]})
        finally:
            server.shutdown()
            thread.join()
    problem = "/readyz: poststarthook/rbac/bootstrap-roles failed: reason withheld"
    assert found["missing"] == [{"object": f"API server {url}", "problem": problem}], found
    assert not found["done"]


def test_pod_cidrs_that_come_late(own_kube: _kube.KubeServer, tmp_path: Path) -> None:
    options = {"pod_cidrs": ["ipv4"], "networks": ["10.244.0.0/16"]}
    assert look(own_kube, check=False, **options)["missing"] == [], "a cluster without nodes lacks nothing"
    windows = _kube.node("win")
    windows["metadata"]["labels"] = {"kubernetes.io/os": "windows"}
    for each in (_kube.node("early", ["10.244.1.0/24"]), _kube.node("late"), windows):
        own_kube.api("POST", "/api/v1/nodes", each)

    lacking = {"object": "Node late", "problem": "it has no podCIDR of IPv4 yet"}
    assert (look(own_kube, **options)["missing"], look(own_kube, **options)["done"]) == ([lacking], True)
    over = waited(own_kube, tmp_path, timeout=1, **options)
    said = "after 1 s: Node late: it has no podCIDR of IPv4 yet; kube-controller-manager: there is no Lease"
    assert over.result["msg"].startswith(said), over.result["msg"]

    def assign() -> None:
        spec = {"podCIDR": "10.244.2.0/24", "podCIDRs": ["10.244.2.0/24"]}
        own_kube.api("PATCH", "/api/v1/nodes/late", {"spec": spec}, MERGE)

    done = waited(own_kube, tmp_path, assign, timeout=60, **options)
    assert done.result["missing"] == []
    assert done.lines == ["waiting for Node late: it has no podCIDR of IPv4 yet"]

    outside = look(own_kube, check=False, pod_cidrs=["ipv4"], networks=["10.9.0.0/16"])
    assert outside["failed"], "what waiting cannot mend is not waited for"
    assert "Node early: its podCIDR 10.244.1.0/24 is not inside 10.9.0.0/16" in outside["msg"]


def test_nodes_and_rollouts(kube: _kube.KubeServer) -> None:
    kube.api("POST", "/api/v1/nodes", _kube.node("unready"))
    condition = {"type": "Ready", "status": "False", "reason": "KubeletNotReady", "message": "cni plugin not ready"}
    kube.api("PATCH", "/api/v1/nodes/unready/status", {"status": {"conditions": [condition]}}, MERGE)
    options = {"nodes_ready": True, "rollouts": [{"namespace": "default", "name": "none"}]}
    found = look(kube, check=False, **options)
    assert not found["done"]
    assert found["missing"] == [
        {"object": "Node unready", "problem": "Ready is False, reason KubeletNotReady: cni plugin not ready"},
        {"object": "DaemonSet default/none", "problem": "it does not exist"},
    ]
    assert look(kube, nodes_ready=True, node_selector={"pool": "other"})["missing"] == []
    kube.api("DELETE", "/api/v1/nodes/unready")


def test_pods_that_nobody_replaces_are_warned_about(kube: _kube.KubeServer) -> None:
    labels = {"app": "owned"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "c"}]}}
    daemons = item("DaemonSet", "owned", "default", "apps/v1")
    daemons["spec"] = {
        "selector": {"matchLabels": labels},
        "template": template,
        "updateStrategy": {"type": "OnDelete"},
    }
    path = "/apis/apps/v1/namespaces/default/daemonsets"
    kube.api("POST", path, daemons)
    counts = {"currentNumberScheduled": 3, "numberMisscheduled": 0, "numberReady": 3, "numberAvailable": 3}
    status = {**counts, "desiredNumberScheduled": 3, "updatedNumberScheduled": 1, "observedGeneration": 1}
    kube.api("PATCH", f"{path}/owned/status", {"status": status}, MERGE)
    looked = look(kube, check=False, rollouts=[{"namespace": "default", "name": "owned"}])
    applied = run_module("kube_apply", {"kubeconfig": str(kube.admin), "definitions": [daemons], "wait": True})
    for result in (looked, applied):
        assert result["done"], result
        assert "2 of 3 pods are of an older template and stay so" in str(result["warnings"])
    kube.api("DELETE", f"{path}/owned")


def test_pods_that_are_not_ready_are_named(kube: _kube.KubeServer) -> None:
    labels = {"app": "explained"}
    container = {"name": "c", "image": "c"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    daemons = item("DaemonSet", "explained", "default", "apps/v1")
    daemons["spec"] = {"selector": {"matchLabels": labels}, "template": template}
    pod = item("Pod", "explained-1", "default", spec={"containers": [container], "nodeName": "n1"})
    pod["metadata"]["labels"] = labels
    kube.api("POST", "/apis/apps/v1/namespaces/default/daemonsets", daemons)
    kube.api("POST", "/api/v1/namespaces/default/pods", pod)
    state = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
    status = {"containerStatuses": [{"name": "c", "image": "c", "imageID": "", "ready": False, "restartCount": 0}]}
    status["containerStatuses"][0]["state"] = state
    kube.api("PATCH", "/api/v1/namespaces/default/pods/explained-1/status", {"status": status}, MERGE)
    wanted = [{"namespace": "default", "name": "explained"}]
    assert len(look(kube, rollouts=wanted)["missing"]) == 1
    defaults = {name: spec.get("default") for name, spec in {**wait.ARGUMENT_SPEC, **wait.TOLD}.items()}
    params = {
        **defaults,
        "ready": True,
        "explain": True,
        "rollouts": [{**wanted[0], "kind": "DaemonSet", "left_out": []}],
    }
    with KubeClient.from_options({"kubeconfig": str(kube.admin)}) as client:
        explained = wait.run(client, params, True)
    assert explained["missing"][1] == {
        "object": "Pod default/explained-1 on n1",
        "problem": "container c is in ImagePullBackOff: no such image; its Node is gone",
    }
    kube.api("DELETE", "/apis/apps/v1/namespaces/default/daemonsets/explained")
    kube.api("DELETE", "/api/v1/namespaces/default/pods/explained-1?gracePeriodSeconds=0")


def test_a_right_that_is_missing_is_not_waited_for(kube: _kube.KubeServer) -> None:
    blind = kube.limited_kubeconfig("waits-blindly", [])
    refused = look(kube, check=False, kubeconfig=str(blind), pod_cidrs=["ipv4"])
    assert refused["failed"]
    assert "cannot list resource" in refused["msg"]
