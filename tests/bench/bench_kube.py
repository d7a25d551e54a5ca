# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Seconds from 5,000 Node objects to leases, beside kubectl in the same run, and what importing the client costs.

Run: python tests/bench/bench_kube.py [--nodes 5000] [--rounds 3] [--wait 120]
with the collection on PYTHONPATH as ansible_collections.podnet.cni. It starts an API server of its own. Each figure is
the best of the rounds. Every Node carries a status of realistic size (a kubelet reports up to 50 images). The wait is
for a definition that nobody makes, by ansible-playbook: what it costs in processor time is ours, not the server's.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._stores.kubernetes import KubernetesStore, Settings
from ansible_collections.podnet.cni.tests.integration import _kube, _kube_binaries

PREFIX = "flannel.alpha.coreos.com/"
NODES = "/api/v1/nodes"
IMAGES = 50
PACKAGE = "ansible_collections.podnet.cni.plugins.module_utils"

IMPORTS = {
    "interpreter alone": "pass",
    "our client, no cluster asked": f"import {PACKAGE}._kube.client",
    "our client, ready to send": (
        f"from {PACKAGE}._kube.client import KubeClient; KubeClient.from_options({{'host': 'https://192.0.2.1'}})"
    ),
    "lease store, ready to send": (
        f"from {PACKAGE}._stores.kubernetes import open_store; open_store({{'host': 'https://192.0.2.1'}})"
    ),
    "kubernetes.client.CoreV1Api()": "from kubernetes.client import CoreV1Api; CoreV1Api()",
}


def node(number: int) -> dict[str, Any]:
    """A Node as flanneld, kubelet and controller manager leave it."""
    high, low = divmod(number, 256)
    made = _kube.node(
        f"node-{number:05}",
        [f"10.{64 + high}.{low}.0/24"],
        {
            PREFIX + "backend-data": f'{{"VNI":1,"VtepMAC":"02:00:00:00:{high:02x}:{low:02x}"}}',
            PREFIX + "backend-type": "vxlan",
            PREFIX + "kube-subnet-manager": "true",
            PREFIX + "public-ip": f"198.18.{high}.{low}",
        },
    )
    digest = "0123456789abcdef" * 4
    names = [f"registry.example.org/team/application-{index}" for index in range(IMAGES)]
    images = [{"names": [f"{name}@sha256:{digest}", f"{name}:v1.2.3"], "sizeBytes": 123456789} for name in names]
    made["status"] = {"images": images}
    return made


def fill(kubeconfig: str, count: int) -> None:
    """Create the Nodes over a few connections at once."""
    with KubeClient.from_options({"kubeconfig": kubeconfig}) as client, ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: client.create(NODES, node(number)), range(count)))


def best(rounds: int, action: Callable[[], Any]) -> float:
    """Seconds of the fastest round."""
    times = []
    for _round in range(rounds):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)


def leases(kubeconfig: str, count: int) -> tuple[int, int]:
    """Read all leases with a client made for it; the requests and bytes that took."""
    with KubeClient.from_options({"kubeconfig": kubeconfig}) as client:
        found = KubernetesStore(client, Settings()).list_leases()
        if len(found.entries) != count or found.problems:
            raise SystemExit(f"{len(found.entries)} leases and {len(found.problems)} problems, {count} leases wanted")
        return client.requests, client.bytes


def run(command: list[str]) -> None:
    """Run a command and throw its output away."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)


def wait(kubeconfig: str, limit: int) -> tuple[float, int]:
    """Processor seconds of a playbook that waits in vain, and the lines of progress that it prints."""
    task = {
        "name": "Wait",
        "podnet.cni.kube_wait": {"kubeconfig": kubeconfig, "crds": ["absent.example.org"], "timeout": limit},
    }
    play = [{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [task]}]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as book:
        json.dump(play, book)
        book.flush()
        python = f"ansible_python_interpreter={sys.executable}"
        before = os.times()
        done = subprocess.run(
            [sys.executable, "-m", "ansible", "playbook", "-i", "localhost,", "-e", python, book.name],
            capture_output=True,
            text=True,
            check=False,
        )
        after = os.times()
    if "absent.example.org" not in done.stdout:
        raise SystemExit(done.stdout + done.stderr)
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return spent, done.stdout.count("kube_wait: waiting for")


def main() -> None:
    """Print one line for each figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--wait", type=int, default=120, help="seconds of a wait in vain; 0 leaves it out")
    options = parser.parse_args()
    for name, code in IMPORTS.items():
        print(f"{best(options.rounds, lambda code=code: run([sys.executable, '-c', code])):8.3f} s  {name}")
    try:
        with _kube.running() as server:
            kubeconfig = str(server.admin)
            fill(kubeconfig, options.nodes)
            seconds = best(options.rounds, lambda: leases(kubeconfig, options.nodes))
            before = time.process_time()
            requests, received = leases(kubeconfig, options.nodes)
            spent = time.process_time() - before
            what = f"{spent:.3f} s of it CPU here, {requests} requests, {received / 1e6:.1f} MB received"
            print(f"{seconds:8.3f} s  {options.nodes} Nodes to leases, {what}")
            if options.wait:
                spent, lines = wait(kubeconfig, options.wait)
                print(f"{spent:8.3f} s  CPU of a wait of {options.wait} s, which prints {lines} lines")
            kubectl = str(_kube_binaries.program("kubectl"))
            command = [kubectl, f"--kubeconfig={kubeconfig}", "get", "nodes", "-o", "json"]
            print(f"{best(options.rounds, lambda: run(command)):8.3f} s  kubectl get nodes -o json")
    except _kube_binaries.Missing as reason:
        print(f"         no figures for Nodes: {reason}")


if __name__ == "__main__":
    main()
