# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Seconds, requests and bytes to find flannel among few and many DaemonSets, beside kubectl in the same run.

Run: python tests/bench/bench_discovery.py [--crowd 20 5000] [--clusters 1 50] [--rounds 3]
with the collection on PYTHONPATH as ansible_collections.podnet.cni. It starts an API server of its own. Each figure is
the best of the rounds. DaemonSets are spread over a tenth as many namespaces and carry what kubectl apply leaves.

Bytes of ours are bodies as they came over the wire. Those of kubectl are all that came, TLS included, since nothing
else can be seen from outside; its own cache of the API's groups is warm in all but the first round. The plugin itself
is timed in a process of its own: cold with what it imports, warm as a second look of that process, and from the run's
cache.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ansible_collections.podnet.cni.plugins.module_utils._discovery.cluster import Scope, discover
from ansible_collections.podnet.cni.plugins.module_utils._discovery.recognisers import load_all
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.tests.integration import _kube, _kube_binaries
from ansible_collections.podnet.cni.tests.integration.discovery.conftest import complete
from ansible_collections.podnet.cni.tests.integration.etcd._relay import Relay
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery import fakes

DAEMONSETS = "/apis/apps/v1/namespaces/{}/daemonsets"
SERVERS_NODES = 20
# As many pods as kubelet takes on a Node by default.
PODS = 110


def create(client: KubeClient, item: dict[str, Any]) -> None:
    """Create a DaemonSet, its namespace being there."""
    whole = complete(item)
    whole.pop("status")
    applied = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps(whole)}
    whole["metadata"]["annotations"] = applied
    client.create(DAEMONSETS.format(whole["metadata"]["namespace"]), whole)


def crowd(client: KubeClient, first: int, last: int) -> None:
    """Fill the cluster with DaemonSets that are no network."""
    for number in range(first // 10, (last + 9) // 10):
        name = f"team-{number}"
        client.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    def one(number: int) -> None:
        env = {f"SETTING_{index}": "x" * 40 for index in range(8)}
        create(client, fakes.daemonset(f"agent-{number}", f"team-{number // 10}", "example.com/agent:1.0", env=env))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, range(first, last)))


def pod(client: KubeClient, name: str, namespace: str, daemonset: str, image: str) -> None:
    """Create the pod that the controller of a DaemonSet makes on node-0."""
    owner = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": daemonset, "uid": "0", "controller": True}
    spec = {"nodeName": "node-0", "containers": [{"name": "main", "image": image}]}
    metadata = {"name": name, "namespace": namespace, "ownerReferences": [owner]}
    item = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    client.create(f"/api/v1/namespaces/{namespace}/pods", item)


def best(rounds: int, call: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of the fastest round, and what it gave."""
    results = []
    for _round in range(rounds):
        started = time.perf_counter()
        result = call()
        results.append((time.perf_counter() - started, result))
    return min(results, key=lambda item: item[0])


def ours(kubeconfig: Path, sought: str = "") -> tuple[str, int, int]:
    """One discovery: what was found, requests, bytes."""
    with KubeClient.from_options({"kubeconfig": str(kubeconfig)}) as client:
        records = discover(client, Scope(sought=sought), load_all())
        found = ",".join(f"{record.plugin} in {record.namespace}" for record in records)
        return found, client.requests, client.bytes


def kubectl(kubeconfig: Path, *arguments: str) -> tuple[str, int, int]:
    """One call of kubectl through a relay that counts what the server sends."""
    content = json.loads(kubeconfig.read_text(encoding="utf-8"))
    cluster = content["clusters"][0]["cluster"]
    with Relay(int(cluster["server"].rsplit(":", 1)[1])) as relay:
        cluster["server"] = f"https://127.0.0.1:{relay.port}"
        through = kubeconfig.with_suffix(".relay")
        through.write_text(json.dumps(content), encoding="utf-8")
        program = str(_kube_binaries.program("kubectl"))
        command = [program, f"--kubeconfig={through}", f"--cache-dir={kubeconfig.parent / 'kubectl'}"]
        subprocess.run([*command, "get", "daemonsets", "-A", *arguments], capture_output=True, check=True)
        return " ".join(arguments), 0, relay.received


PLUGIN = """
import json, time
from ansible.plugins.loader import init_plugin_loader, lookup_loader
init_plugin_loader()
found = {}
def run(name, **options):
    began = time.perf_counter()
    lookup_loader.get("podnet.cni.flannel").run([], {}, **options)
    found[name] = time.perf_counter() - began
run("cold", run_cache=False)
run("warm", run_cache=False)
run("fill")
run("cached")
print(json.dumps(found))
"""


def plugin(kubeconfig: Path, directory: Path) -> dict[str, float]:
    """Seconds in LookupModule.run and in loading it, by case."""
    environment = {**os.environ, "K8S_AUTH_KUBECONFIG": str(kubeconfig), "ANSIBLE_LOCAL_TEMP": str(directory)}
    done = subprocess.run([sys.executable, "-c", PLUGIN], capture_output=True, check=True, env=environment)
    return dict(json.loads(done.stdout))


MANY = """
import json, resource, sys, time
from ansible.plugins.loader import init_plugin_loader, lookup_loader
init_plugin_loader()
began = time.perf_counter()
found = lookup_loader.get("podnet.cni.flannel").run(sys.argv[1:], {}, run_cache=False)
seconds = time.perf_counter() - began
print(json.dumps([seconds, len(found), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]))
"""


def clusters(kubeconfig: Path, number: int) -> tuple[float, int, int]:
    """One lookup of as many contexts, each of which counts as a cluster: seconds, records, peak of memory in KiB."""
    content = json.loads(kubeconfig.read_text(encoding="utf-8"))
    [context] = content["contexts"]
    content["contexts"] = [{**context, "name": f"cluster-{each}"} for each in range(number)]
    many = kubeconfig.with_suffix(".many")
    many.write_text(json.dumps(content), encoding="utf-8")
    environment = {**os.environ, "K8S_AUTH_KUBECONFIG": str(many)}
    names = [each["name"] for each in content["contexts"]]
    done = subprocess.run([sys.executable, "-c", MANY, *names], capture_output=True, check=True, env=environment)
    seconds, records, peak = json.loads(done.stdout)
    return seconds, records, peak


def lookup(kubeconfig: Path) -> tuple[str, int, int]:
    """A whole run of Ansible with one lookup in it."""
    template = "{{ query('podnet.cni.flannel') | map(attribute='namespace') }}"
    environment = {**os.environ, "K8S_AUTH_KUBECONFIG": str(kubeconfig)}
    command = [sys.executable, "-m", "ansible", "adhoc", "localhost", "-m", "debug", "-a", f"msg={template}"]
    subprocess.run(command, capture_output=True, check=True, env=environment)
    return "ansible -m debug", 0, 0


def report(title: str, measured: tuple[float, tuple[str, int, int]]) -> None:
    seconds, (found, requests, size) = measured
    received = f"{size / 1e6:8.3f}" if size else "       -"
    print(f"  {title:44} {seconds:7.3f} s {requests or '-':>4} requests {received} MB   {found}")


def flannel(kube: _kube.KubeServer, client: KubeClient, labels: dict[str, str], namespace: str) -> None:
    """Install flannel as an API server sees it."""
    kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    create(client, fakes.daemonset("overlay", namespace, fakes.IMAGE, labels=labels, configmap="kube-flannel-cfg"))
    kube.apply(complete(fakes.flannel_configmap(namespace)))
    path = f"{DAEMONSETS.format(namespace)}/overlay/status"
    client.patch(path, {"status": {"desiredNumberScheduled": 20, "currentNumberScheduled": 20, "numberReady": 20}})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--crowd", type=int, nargs="+", default=[20, 5000])
    parser.add_argument("--clusters", type=int, nargs="+", default=[1, 50])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    try:
        _kube_binaries.find()
        _kube_binaries.program("kubectl")
    except _kube_binaries.Missing as reason:
        print(f"no API server: {reason}")
        return 0
    with _kube.running() as kube, KubeClient.from_options({"kubeconfig": str(kube.admin)}) as client:
        for number in range(SERVERS_NODES):
            item = complete(fakes.flannel_node(f"node-{number}", number + 1))
            item["status"]["images"] = [
                {"names": [f"registry.example.com/team/image-{index}@sha256:{'0' * 64}"], "sizeBytes": 1}
                for index in range(50)
            ]
            kube.api("POST", "/api/v1/nodes", item)
        for number in range(PODS - 1):
            pod(client, f"pod-{number}", "default", f"agent-{number}", "example.com/agent:1.0")
        there = 0
        for size in sorted(options.crowd):
            crowd(client, there, size)
            there = size
            print(f"{size} DaemonSets in {max(1, size // 10)} namespaces, {SERVERS_NODES} Nodes")
            cases = (
                ("with a known label", {"app": "flannel"}, True),
                ("without labels", {}, True),
                ("without labels or pods", {}, False),
            )
            for title, labels, runs in cases:
                flannel(kube, client, labels, "net-x")
                if runs:
                    pod(client, "overlay-0", "net-x", "overlay", fakes.IMAGE)
                print(f" flannel {title}")
                report("discovery, flannel", best(options.rounds, lambda: ours(kube.admin, "flannel")))
                report("discovery, any plugin", best(options.rounds, lambda: ours(kube.admin)))
                client.delete(f"{DAEMONSETS.format('net-x')}/overlay")
                client.delete("/api/v1/namespaces/net-x/configmaps/kube-flannel-cfg")
                if runs:
                    client.delete("/api/v1/namespaces/net-x/pods/overlay-0?gracePeriodSeconds=0")
            flannel(kube, client, {"app": "flannel"}, "net-x")
            print(" the lookup podnet.cni.flannel")
            runs = [plugin(kube.admin, kube.directory / "ansible") for _round in range(options.rounds)]
            for case in ("cold", "warm", "cached"):
                report(f"the plugin, {case}", (min(run[case] for run in runs), ("", 0, 0)))
            print(" contexts of this server, eight at a time")
            for number in options.clusters:
                seconds, records, peak = clusters(kube.admin, number)
                print(f"  {number:3} clusters: {seconds:7.3f} s, {records} records, at most {peak / 1024:.0f} MiB")
            print(" yardsticks")
            report("kubectl", best(options.rounds, lambda: kubectl(kube.admin, "-l", "app=flannel")))
            report("kubectl", best(options.rounds, lambda: kubectl(kube.admin, "-o", "json")))
            report("the lookup and all of Ansible", best(options.rounds, lambda: lookup(kube.admin)))
            client.delete(f"{DAEMONSETS.format('net-x')}/overlay")
            client.delete("/api/v1/namespaces/net-x/configmaps/kube-flannel-cfg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
