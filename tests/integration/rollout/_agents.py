# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small controller that plays what a test cluster lacks: the DaemonSet controller, kubelets and flannel daemons."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import http.client
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ansible_collections.podnet.cni.plugins.module_utils._rollout.gates import HASH
from ansible_collections.podnet.cni.tests.integration import _kube

MERGE = "application/merge-patch+json"
GOOD_LOG = "Found network config - Backend type: vxlan\nRunning backend.\n"
PREFIX = "flannel.alpha.coreos.com"

Behaviour = Callable[[str, dict[str, Any]], str]
"""What a daemon does, from node and pod template: C(good), C(crash), C(unready), C(silent) or a text for its log."""


def daemonset(namespace: str, strategy: str = "OnDelete") -> dict[str, Any]:
    """A DaemonSet called agent."""
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "agent", "namespace": namespace},
        "spec": {
            "selector": {"matchLabels": {"app": "agent"}},
            "updateStrategy": {"type": strategy},
            "template": {
                "metadata": {"labels": {"app": "agent"}},
                "spec": {"hostNetwork": True, "containers": [{"name": "flannel", "image": "flannel:v1"}]},
            },
        },
    }


class Agents:
    """Plays for one DaemonSet until it is closed; C(replaced) names the nodes whose pods it replaced by itself.

    C(silent) names the nodes that are switched off: pods neither start nor end there. The first container of the
    template is the daemon. C(delay) is how long the start of a pod takes, C(pause) the time between two looks, in
    seconds.
    """

    def __init__(
        self,
        kube: _kube.KubeServer,
        namespace: str,
        nodes: list[str],
        *,
        name: str = "agent",
        delay: float = 0.0,
        pause: float = 0.05,
    ) -> None:
        self.kube = kube
        self.namespace = namespace
        self.nodes = nodes
        self.behave: Behaviour = lambda _node, _template: "good"
        self.replaced: list[str] = []
        self.silent: set[str] = set()
        self.labels: dict[str, dict[str, str]] = {}
        self.pod_cidrs: dict[str, list[str]] = {}
        self.logs: dict[str, str] = {}
        self.name = name
        self.delay = delay
        self.path = f"/apis/apps/v1/namespaces/{namespace}/daemonsets/{name}"
        self._pause = pause
        self._starting: dict[str, float] = {}
        self._serial = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._kubelet = kubelet(kube, self.logs)
        self._kubelet_thread = threading.Thread(target=self._kubelet.serve_forever, args=(0.05,))

    def __enter__(self) -> Agents:
        self._kubelet_thread.start()
        for name in self.nodes:
            self.add_node(name, self.labels.get(name))
        self._turn()
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stop.set()
        self._thread.join()
        self._kubelet.shutdown()
        self._kubelet.server_close()
        self._kubelet_thread.join()

    def add_node(self, name: str, labels: dict[str, str] | None = None) -> None:
        """Make a Node that is ready."""
        node = _kube.node(name, self.pod_cidrs.get(name, []))
        node["metadata"]["labels"] = labels or {}
        self.kube.apply(node)
        self._node_status(name, "2026-01-01T00:00:00Z")

    def ready(self, name: str, status: str) -> None:
        """Say whether a Node is ready."""
        self._node_status(name, "2026-01-01T00:00:00Z", status)

    def settle(self, seconds: float = 60.0) -> None:
        """Wait until every node has a pod."""
        deadline = time.monotonic() + seconds
        while len(self.images()) < len(self.nodes) and time.monotonic() < deadline:
            time.sleep(0.05)

    def images(self) -> dict[str, str]:
        """The image that each node runs."""
        return {pod["spec"]["nodeName"]: pod["spec"]["containers"][0]["image"] for pod in self.pods()}

    def pods(self) -> list[dict[str, Any]]:
        """The pods."""
        found = self.kube.api("GET", f"/api/v1/namespaces/{self.namespace}/pods")["items"]
        return [pod for pod in found if pod["metadata"]["ownerReferences"][0]["name"] == self.name]

    def daemonset(self) -> dict[str, Any]:
        """The DaemonSet."""
        return dict(self.kube.api("GET", self.path))

    def _run(self) -> None:
        while not self._stop.wait(self._pause):
            # A server that is restarted, or an object that another changed: the next turn sees to it.
            with contextlib.suppress(RuntimeError, OSError, http.client.HTTPException):
                self._turn()

    def _turn(self) -> None:
        daemonset = self.daemonset()
        newest = self._revision(daemonset)
        there = {}
        for pod in self.pods():
            name, node = pod["metadata"]["name"], pod["spec"]["nodeName"]
            if pod["metadata"].get("deletionTimestamp") and node not in self.silent:
                path = f"/api/v1/namespaces/{self.namespace}/pods/{name}?gracePeriodSeconds=0"
                self.kube.api("DELETE", path)
            else:
                there[node] = pod
        if daemonset["spec"]["updateStrategy"]["type"] == "RollingUpdate":
            self._replace_one(there, newest)
        for node in self.nodes:
            due = self._starting.setdefault(node, time.monotonic() + self.delay) if node not in there else 0.0
            if node not in there and time.monotonic() >= due:
                self._start(daemonset, newest, node)
                del self._starting[node]
        self._count(daemonset, there, newest)

    def _count(self, daemonset: dict[str, Any], there: dict[str, Any], newest: str) -> None:
        updated = sum(pod["metadata"]["labels"][HASH] == newest for pod in there.values())
        ready = sum(
            {"type": "Ready", "status": "True"}.items() <= each.items()
            for pod in there.values()
            for each in pod["status"].get("conditions") or []
        )
        status = {
            "desiredNumberScheduled": len(self.nodes),
            "currentNumberScheduled": len(there),
            "updatedNumberScheduled": updated,
            "numberReady": ready,
            "numberAvailable": ready,
            "numberMisscheduled": 0,
            "observedGeneration": daemonset["metadata"]["generation"],
        }
        if status.items() <= daemonset["status"].items():
            return
        self.kube.api("PATCH", f"{self.path}/status", {"status": status}, MERGE)

    def _replace_one(self, there: dict[str, Any], newest: str) -> None:
        for node, pod in there.items():
            if pod["metadata"]["labels"][HASH] != newest:
                self.replaced.append(node)
                self.kube.api("DELETE", f"/api/v1/namespaces/{self.namespace}/pods/{pod['metadata']['name']}")
                return

    def _revision(self, daemonset: dict[str, Any]) -> str:
        template = daemonset["spec"]["template"]
        digest = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:10]
        collection = f"/apis/apps/v1/namespaces/{self.namespace}/controllerrevisions"
        known = {
            item["metadata"]["labels"][HASH]: item
            for item in self.kube.api("GET", collection)["items"]
            if item["metadata"]["ownerReferences"][0]["name"] == self.name
        }
        last = max((item["revision"] for item in known.values()), default=0)
        if digest not in known or known[digest]["revision"] != last:
            if digest in known:
                # An old template that is back becomes the newest revision.
                self.kube.api("DELETE", f"{collection}/{self.name}-{digest}")
            body = {
                "apiVersion": "apps/v1",
                "kind": "ControllerRevision",
                "metadata": self._owned(daemonset, f"{self.name}-{digest}", digest),
                "data": {"spec": {"template": {**template, "$patch": "replace"}}},
                "revision": last + 1,
            }
            self.kube.api("POST", collection, body)
        return digest

    def _owned(self, daemonset: dict[str, Any], name: str, digest: str) -> dict[str, Any]:
        owner = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": self.name, "uid": daemonset["metadata"]["uid"]}
        labels = {**daemonset["spec"]["template"]["metadata"]["labels"], HASH: digest}
        return {"name": name, "labels": labels, "ownerReferences": [{**owner, "controller": True}]}

    def _start(self, daemonset: dict[str, Any], digest: str, node: str) -> None:
        self._serial += 1
        name = f"{self.name}-{self._serial}"
        template = daemonset["spec"]["template"]
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": self._owned(daemonset, name, digest),
            "spec": {**template["spec"], "nodeName": node, "restartPolicy": "Always"},
        }
        behaviour = self.behave(node, template)
        self.logs[name] = GOOD_LOG if behaviour in ("good", "silent", "crash", "unready") else behaviour
        collection = f"/api/v1/namespaces/{self.namespace}/pods"
        self.kube.api("POST", collection, pod)
        if node in self.silent:
            return
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        state = {"waiting": {"reason": "CrashLoopBackOff"}} if behaviour == "crash" else {"running": {"startedAt": now}}
        ready = behaviour not in ("crash", "unready")
        each = {"ready": ready, "restartCount": 0, "image": "i", "imageID": "i", "state": state}
        containers = [{**each, "name": container["name"]} for container in template["spec"]["containers"]]
        status = {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            "containerStatuses": containers,
        }
        self.kube.api("PATCH", f"{collection}/{name}/status", {"status": status}, MERGE)
        if behaviour not in ("crash", "silent"):
            self._node_status(node, now)
            notes = {f"{PREFIX}/backend-type": "vxlan", f"{PREFIX}/kube-subnet-manager": "true"}
            self.kube.api("PATCH", f"/api/v1/nodes/{node}", {"metadata": {"annotations": notes}}, MERGE)

    def _node_status(self, name: str, beat: str, ready: str = "True") -> None:
        status = {
            "conditions": [
                {"type": "Ready", "status": ready},
                {
                    "type": "NetworkUnavailable",
                    "status": "False",
                    "reason": "FlannelIsUp",
                    "lastHeartbeatTime": beat,
                },
            ],
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self._kubelet.server_port}},
        }
        self.kube.api("PATCH", f"/api/v1/nodes/{name}/status", {"status": status}, MERGE)


def kubelet(kube: _kube.KubeServer, logs: dict[str, str]) -> ThreadingHTTPServer:
    """What the API server asks for logs."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = logs.get(self.path.split("?")[0].split("/")[3], "").encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_arguments: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*kube.authority.server("kubelet"))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return server


@contextlib.contextmanager
def playing(kube: _kube.KubeServer, namespace: str, nodes: list[str], strategy: str = "OnDelete") -> Iterator[Agents]:
    """A namespace with the DaemonSet, running on the nodes; the nodes are gone afterwards."""
    kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    kube.apply(daemonset(namespace, strategy))
    try:
        with Agents(kube, namespace, nodes) as agents:
            yield agents
    finally:
        with contextlib.suppress(RuntimeError, OSError):
            kube.api("DELETE", "/api/v1/nodes")
