# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Clusters out of the table tests/fixtures/discovery/renderings.yml, and the records that are kept of them.

As a program it writes the records anew, for whoever has changed what discovery says; read the difference before it is
committed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery import fakes
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery.fakes import Cluster, discovered

FOLDER = Path(__file__).resolve().parents[5] / "tests/fixtures/discovery"
KEPT = FOLDER / "records.json"
# What is another one at each run, or says nothing about a rendering.
_LEFT_OUT = ("collected_at", "cluster", "schema_version", "kind")

Row = dict[str, Any]


def rows() -> dict[str, Row]:
    """The table by the names of the renderings."""
    return dict(yaml.safe_load((FOLDER / "renderings.yml").read_text(encoding="utf-8")))


def _k3s(*arguments: str, announced: bool = True) -> Callable[[str, str], list[Row]]:
    def nodes(version: str, _system: str) -> list[Row]:
        notes = {"k3s.io/node-args": json.dumps(["server", *arguments])}
        make = fakes.flannel_node if announced else lambda name, _number, **options: fakes.node(name, **options)
        return [make("server", 1, annotations=notes, version=version, pod_cidrs=["10.42.0.0/24"])]

    return nodes


def _named(reason: str = "", **options: Any) -> Callable[[str, str], list[Row]]:
    return lambda version, _system: [fakes.node(name, reason=reason, version=version, **options) for name in ("a", "b")]


def _flannel(**options: Any) -> Callable[[str, str], list[Row]]:
    def nodes(version: str, _system: str) -> list[Row]:
        return [fakes.flannel_node(name, number, version=version, **options) for number, name in ((1, "a"), (2, "b"))]

    return nodes


def _with_windows(version: str, _system: str) -> list[Row]:
    linux, windows = _flannel()(version, "")
    windows["status"]["nodeInfo"]["operatingSystem"] = "windows"
    return [linux, windows]


NODES: dict[str, Callable[[str, str], list[Row]]] = {
    "plain": _named(),
    "flannel": _flannel(),
    "calico": _named("CalicoIsUp"),
    "cilium": _named("CiliumIsUp"),
    "weave": _named("WeaveIsUp"),
    "eks": _named(),
    "gke": _named(pod_cidrs=["10.8.0.0/24"]),
    "aks": _named(labels={"kubernetes.azure.com/cluster": "c"}),
    "kind": lambda version, _system: [
        {**node, "spec": {**node["spec"], "providerID": "kind://docker/kind/a"}} for node in _named()(version, "")
    ],
    "minikube": _flannel(labels={"minikube.k8s.io/name": "minikube"}),
    "rke2": _flannel(),
    "rke2-plain": _named(),
    "rke2-windows": _with_windows,
    "k3s": _k3s(),
    "k3s-wireguard": _k3s("--flannel-backend=wireguard-native", "--cluster-cidr=10.52.0.0/16"),
    "k3s-none": _k3s("--flannel-backend=none", announced=False),
}


def _daemonset(
    namespace: str, name: str, labels: dict[str, str], containers: list[Any], more: Row | None = None
) -> Row:
    options = dict(more or {})
    first = containers[0]
    env = {**(first[3] if len(first) > 3 else {}), **options.pop("env", {})}
    architecture, mounts = options.pop("arch", None), options.pop("mounts_cni", False)
    others = [{"name": one[0], "image": one[1], "args": one[2]} for one in containers[1:]]
    item = fakes.daemonset(
        name, namespace, first[1], labels=labels, container=first[0], args=first[2], env=env, others=others, **options
    )
    pod = item["spec"]["template"]["spec"]
    if architecture:
        pod["nodeSelector"] = {"kubernetes.io/arch": architecture}
    if mounts:
        pod["volumes"].append({"name": "cni", "hostPath": {"path": "/etc/cni/net.d"}})
    return item


def cluster_of(row: Row) -> Cluster:
    """The cluster that a row describes."""
    version = row.get("version", "v1.36.2")
    cluster = Cluster(version, row.get("groups"))
    cluster.nodes(*NODES[row["nodes"]](version, ""))
    cluster.daemonsets(*(_daemonset(*item) for item in row.get("daemonsets") or []))
    for namespace, name, data in row.get("configmaps") or []:
        cluster.configmaps({"metadata": {"name": name, "namespace": namespace, "resourceVersion": "7"}, "data": data})
    for group, resource, name, spec, *rest in row.get("custom") or []:
        cluster.custom(group, resource, {"metadata": {"name": name}, "spec": spec}, version=rest[0] if rest else "v1")
    if int(version.split(".")[1]) >= 33:
        cluster.service_cidrs(row.get("service_cidrs", ["10.96.0.0/12"]))
    return cluster


def records_of(row: Row) -> list[Row]:
    """What discovery says of it, without what is another one at each run."""
    return [
        {key: value for key, value in record.items() if key not in _LEFT_OUT} for record in discovered(cluster_of(row))
    ]


def main() -> None:
    found = {name: records_of(row) for name, row in rows().items()}
    lines = [f"{json.dumps(name)}: {json.dumps(found[name], sort_keys=True)}" for name in sorted(found)]
    KEPT.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    print(f"{len(found)} renderings in {KEPT}")


if __name__ == "__main__":
    main()
