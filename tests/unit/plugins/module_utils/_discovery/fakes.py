# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stand-in for an API server that discovery can read: lists, selectors, pages, refusals, and a log of requests."""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ansible_collections.podnet.cni.plugins.module_utils._discovery.cluster import Scope, discover
from ansible_collections.podnet.cni.plugins.module_utils._discovery.recognisers import load_all
from ansible_collections.podnet.cni.plugins.module_utils._discovery.record import to_dict
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient

CORE_GROUPS = {"apps": ["v1"], "networking.k8s.io": ["v1"]}
_NAMESPACED = re.compile(r"^(/api/v1|/apis/[^/]+/[^/]+)/namespaces/([^/]+)/([^/]+)(?:/([^/]+))?$")
_PLAIN = re.compile(r"^(/api/v1|/apis/[^/]+/[^/]+)/([^/]+)(?:/([^/]+))?$")


class Cluster:
    """Objects by collection path; C(forbidden) are patterns of paths that answer 403."""

    def __init__(self, version: str = "v1.33.1", groups: dict[str, list[str]] | None = None) -> None:
        self.version = version
        self.groups = {**CORE_GROUPS, **(groups or {})}
        self.collections: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self.forbidden: list[str] = []
        self.expire_on_page = 0
        self.tables = True
        self.requests: list[tuple[str, str]] = []

    def add(self, base: str, resource: str, *items: dict[str, Any]) -> Cluster:
        self.collections.setdefault((base, resource), []).extend(items)
        return self

    def daemonsets(self, *items: dict[str, Any]) -> Cluster:
        return self.add("/apis/apps/v1", "daemonsets", *items)

    def configmaps(self, *items: dict[str, Any]) -> Cluster:
        return self.add("/api/v1", "configmaps", *items)

    def nodes(self, *items: dict[str, Any]) -> Cluster:
        return self.add("/api/v1", "nodes", *items)

    def custom(self, group: str, resource: str, *items: dict[str, Any], version: str = "v1") -> Cluster:
        """Custom resources, and their API group."""
        self.groups[group] = [version]
        return self.add(f"/apis/{group}/{version}", resource, *items)

    def pods(self, *items: dict[str, Any]) -> Cluster:
        return self.add("/api/v1", "pods", *items)

    def service_cidrs(self, *cidrs: list[str], ready: str = "True", version: str = "v1") -> Cluster:
        items = [
            {
                "metadata": {"name": "kubernetes" if index == 0 else f"extra-{index}"},
                "spec": {"cidrs": value},
                "status": {"conditions": [{"type": "Ready", "status": ready}]},
            }
            for index, value in enumerate(cidrs)
        ]
        return self.add(f"/apis/networking.k8s.io/{version}", "servicecidrs", *items)

    def paths(self) -> list[str]:
        return [path for _method, path in self.requests]

    # -- answering --------------------------------------------------------------------------------------------------

    def answer(self, method: str, url: str) -> tuple[int, dict[str, Any]]:
        parts = urlsplit(url)
        query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        self.requests.append((method, url))
        if any(re.search(pattern, parts.path) for pattern in self.forbidden):
            return 403, _status(403, "Forbidden", f"{parts.path} is forbidden")
        if parts.path == "/version":
            return 200, {"gitVersion": self.version}
        if parts.path == "/apis":
            groups = [
                {"name": name, "versions": [{"version": item} for item in versions]}
                for name, versions in self.groups.items()
            ]
            return 200, {"kind": "APIGroupList", "groups": groups}
        return self._objects(parts.path, query)

    def _objects(self, path: str, query: dict[str, str]) -> tuple[int, dict[str, Any]]:
        matched = _NAMESPACED.match(path)
        if matched:
            base, namespace, resource, name = matched.groups()
        else:
            matched = _PLAIN.match(path)
            if not matched:
                return 404, _status(404, "NotFound", path)
            base, resource, name = matched.groups()
            namespace = None
        found = self.collections.get((base, resource))
        if found is None and resource not in ("daemonsets", "configmaps", "nodes", "pods"):
            return 404, _status(404, "NotFound", f"the server could not find {path}")
        items = [item for item in found or [] if namespace in (None, item["metadata"].get("namespace"))]
        if name:
            for item in items:
                if item["metadata"]["name"] == name:
                    return 200, item
            return 404, _status(404, "NotFound", f"{path} not found")
        # A list is in the order of the keys in etcd.
        items = sorted((item for item in items if _selected(item, query)), key=_key)
        return self._page(items, query)

    def _page(self, items: list[dict[str, Any]], query: dict[str, str]) -> tuple[int, dict[str, Any]]:
        limit = int(query.get("limit", "0") or 0)
        start = int(query.get("continue", "0") or 0)
        if self.expire_on_page and start and start // limit + 1 == self.expire_on_page:
            self.expire_on_page = 0
            return 410, _status(410, "Expired", "The provided continue parameter is too old")
        metadata: dict[str, Any] = {"resourceVersion": "1000"}
        page = items[start:]
        if limit and len(page) > limit:
            metadata["continue"] = str(start + limit)
            metadata["remainingItemCount"] = len(page) - limit
            page = page[:limit]
        return 200, {"kind": "List", "metadata": metadata, "items": page}


def _table(daemonsets: list[dict[str, Any]]) -> dict[str, Any]:
    """DaemonSets as the API server prints them with wide columns: pkg/printers/internalversion of Kubernetes 1.36."""
    names = ["Name", "Desired", "Current", "Ready", "Up-to-date", "Available", "Node Selector", "Age"]
    rows = []
    for item in daemonsets:
        containers = item["spec"]["template"]["spec"]["containers"]
        listed = [",".join(str(one.get(key, "")) for one in containers) for key in ("name", "image")]
        rows.append(
            {"cells": [item["metadata"]["name"], 1, 1, 1, 1, 1, "<none>", "1d", *listed, "app=x"], "object": None}
        )
    columns = [{"name": name} for name in [*names, "Containers", "Images", "Selector"]]
    return {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "columnDefinitions": columns, "rows": rows}


def _key(item: dict[str, Any]) -> tuple[str, str]:
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]


def _selected(item: dict[str, Any], query: dict[str, str]) -> bool:
    labels = item["metadata"].get("labels") or {}
    for field in filter(None, query.get("fieldSelector", "").split(",")):
        key, _sign, value = field.partition("=")
        part, _dot, name = key.partition(".")
        if (item.get(part) or {}).get(name) != value:
            return False
    selector = query.get("labelSelector", "")
    inset = re.fullmatch(r"(\S+) in \(([^)]*)\)", selector)
    if inset:
        return labels.get(inset.group(1)) in inset.group(2).split(",")
    key, equals, value = selector.partition("=")
    return not selector or (labels.get(key) == value if equals else key in labels)


def _status(code: int, reason: str, message: str) -> dict[str, Any]:
    return {"kind": "Status", "code": code, "reason": reason, "message": message}


@contextlib.contextmanager
def serving(cluster: Cluster) -> Iterator[str]:
    """Address of an HTTP server that answers for the cluster."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Headers and body in one packet: two small ones cost the 40 ms of a delayed acknowledgement.
        wbufsize = -1

        def _reply(self) -> None:
            status, body = cluster.answer(self.command, self.path)
            if cluster.tables and "as=Table" in self.headers.get("Accept", "") and body.get("kind") == "List":
                body = _table(body["items"])
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _reply

        def log_message(self, *_args: Any) -> None:
            """The cluster keeps its own log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def discovered(cluster: Cluster, **scope: Any) -> list[dict[str, Any]]:
    """The records discovery makes of a cluster, as plain data."""
    with serving(cluster) as host, KubeClient.from_options({"host": host}) as client:
        return [to_dict(record) for record in discover(client, Scope(**scope), load_all(), "test")]


def cidrs(record: dict[str, Any], kind: str = "pod") -> list[str]:
    """The ranges of a record, of kind pod or service."""
    return [item["cidr"] for item in record["networking"][f"{kind}_cidrs"]]


# -- objects ----------------------------------------------------------------------------------------------------------


def daemonset(
    name: str,
    namespace: str,
    image: str,
    *,
    labels: dict[str, str] | None = None,
    args: list[str] | None = None,
    command: list[str] | None = None,
    container: str = "main",
    env: dict[str, str] | None = None,
    configmap: str | None = None,
    others: list[dict[str, Any]] | None = None,
    pod_labels: dict[str, str] | None = None,
    selector: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
    owner: str | None = None,
    desired: int = 2,
    ready: int | None = None,
) -> dict[str, Any]:
    """A DaemonSet as an API server returns it, rolled out unless told otherwise."""
    main = {"name": container, "image": image, "command": command or [], "args": args or []}
    main["env"] = [{"name": key, "value": value} for key, value in (env or {}).items()]
    volumes: list[dict[str, Any]] = [{"name": "run", "hostPath": {"path": "/run"}}]
    if configmap:
        volumes.append({"name": "config", "configMap": {"name": configmap}})
    number = desired if ready is None else ready
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": namespace,
        "uid": f"uid-{namespace}-{name}",
        "generation": 1,
        "labels": labels or {},
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", **(annotations or {})},
    }
    if owner:
        metadata["ownerReferences"] = [{"kind": owner, "name": "default"}]
    return {
        "metadata": metadata,
        "spec": {
            "selector": {"matchLabels": selector or {"app": name}},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
            "template": {
                "metadata": {"labels": pod_labels or {"app": name}},
                "spec": {"containers": [main, *(others or [])], "volumes": volumes},
            },
        },
        "status": {
            "desiredNumberScheduled": desired,
            "currentNumberScheduled": desired,
            "updatedNumberScheduled": desired,
            "numberReady": number,
            "numberAvailable": number,
            "observedGeneration": 1,
        },
    }


def configmap(name: str, namespace: str, **data: str) -> dict[str, Any]:
    keys = {key.replace("__", "-").replace("_json", ".json"): value for key, value in data.items()}
    return {"metadata": {"name": name, "namespace": namespace, "resourceVersion": "7"}, "data": keys}


def node(
    name: str,
    *,
    pod_cidrs: list[str] | None = None,
    annotations: dict[str, str] | None = None,
    reason: str = "",
    unavailable: str = "False",
    version: str = "v1.33.1",
    system: str = "linux",
    **metadata: Any,
) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": "True"}]
    if reason:
        conditions.append({"type": "NetworkUnavailable", "status": unavailable, "reason": reason})
    cidrs = pod_cidrs or []
    return {
        "metadata": {"name": name, "annotations": annotations or {}, **metadata},
        "spec": {"podCIDR": cidrs[0], "podCIDRs": cidrs} if cidrs else {},
        "status": {
            "conditions": conditions,
            "nodeInfo": {"kubeletVersion": version, "operatingSystem": system, "architecture": "amd64"},
        },
    }


FLANNEL = "flannel.alpha.coreos.com/"
NET_CONF = '{"Network": "10.244.0.0/16", "EnableNFTables": false, "Backend": {"Type": "vxlan"}}'
CNI_CONF = '{"name": "cbr0", "plugins": [{"type": "flannel"}, {"type": "portmap"}]}'
IMAGE = "ghcr.io/flannel-io/flannel:v0.28.9"
ARGS = ["--ip-masq", "--kube-subnet-mgr"]


def flannel_node(name: str, number: int, **options: Any) -> dict[str, Any]:
    """A Node that flanneld with the vxlan backend has announced."""
    notes = {
        f"{FLANNEL}kube-subnet-manager": "true",
        f"{FLANNEL}backend-type": "vxlan",
        f"{FLANNEL}backend-data": json.dumps({"VNI": 1, "VtepMAC": f"02:00:00:00:00:{number:02x}"}),
        f"{FLANNEL}public-ip": f"198.18.0.{number}",
    }
    notes.update(options.pop("annotations", {}))
    return node(
        name,
        pod_cidrs=options.pop("pod_cidrs", [f"10.244.{number}.0/24"]),
        annotations=notes,
        reason=options.pop("reason", "FlannelIsUp"),
        **options,
    )


def flannel_daemonset(name: str = "kube-flannel-ds", namespace: str = "kube-flannel", **options: Any) -> dict[str, Any]:
    """The DaemonSet of flannel's manifests, in the labels of Documentation/kube-flannel.yml unless told otherwise."""
    options.setdefault("labels", {"tier": "node", "app": "flannel", "k8s-app": "flannel"})
    options.setdefault("configmap", "kube-flannel-cfg")
    options.setdefault("args", ARGS)
    options.setdefault("command", ["/opt/bin/flanneld"])
    options.setdefault("selector", {"app": "flannel"})
    return daemonset(name, namespace, options.pop("image", IMAGE), container="kube-flannel", **options)


def flannel_configmap(
    namespace: str = "kube-flannel", net_conf: str = NET_CONF, name: str = "kube-flannel-cfg"
) -> dict[str, Any]:
    return configmap(name, namespace, net__conf_json=net_conf, cni__conf_json=CNI_CONF)


def flannel_cluster(**options: Any) -> Cluster:
    """A healthy cluster with flannel from its own manifest."""
    cluster = Cluster(**options)
    cluster.daemonsets(flannel_daemonset()).configmaps(flannel_configmap())
    cluster.nodes(flannel_node("a", 1), flannel_node("b", 2)).service_cidrs(["10.96.0.0/12"])
    return cluster
