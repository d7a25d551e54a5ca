# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Seconds to copy the leases of hosts between etcd and a real API server, to prove that they are equal, and to go back.

Run: python tests/bench/bench_migration.py [HOSTS ...]                          (default: 100 1000)
with the collection on PYTHONPATH as ansible_collections.podnet.cni. It starts an etcd and an API server of its own.
Each row is one run of the module flannel_lease_migration as a process of its own; behind its seconds stand those of the
processor, of that process alone. What the bridge needs is the time from a lease that changes to the other store.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible_collections.podnet.cni.tests.integration import _etcd, _kube
from ansible_collections.podnet.cni.tests.integration.etcd._lab import VXLAN, Lab, node

NODES = "/api/v1/nodes"
DATA = "flannel.alpha.coreos.com/backend-data"
INTERVAL = 1.0
CHANGES = 5


class Move:
    """So many hosts, whose flannelds all use one store."""

    def __init__(self, kube: _kube.KubeServer, lab: Lab, count: int) -> None:
        self.kube = kube
        self.lab = lab
        self.names = [f"node-{number}" for number in range(count)]
        self.subnets = [f"10.{number // 256 + 1}.{number % 256}.0/24" for number in range(count)]
        self.store = "etcd"

    def run(self, to: str, **params: Any) -> dict[str, Any]:
        """Run the module."""
        hosts = [
            {"name": name, "subnet": subnet, "store": self.store} for name, subnet in zip(self.names, self.subnets)
        ]
        options = {"to": to, "hosts": hosts, "kubeconfig": str(self.kube.admin), "lock": "bench", "unlock": True}
        known = {"network_config": {**VXLAN, "Network": "10.0.0.0/8"}}
        done = self.lab.module("flannel_lease_migration", via=(), **{**options, **known, **params})
        if done.get("failed"):
            raise SystemExit(done["msg"])
        return done


def timed(work: Callable[[], dict[str, Any]], changed: bool) -> str:
    """Seconds on the clock, and of the processor."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = work()
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done["changed"] != changed:
        raise SystemExit(f"changed is not {changed}: {done['actions'][:5]}")
    return f"{wall:.1f} ({after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime:.1f})"


def bridge(move: Move) -> str:
    """Seconds from a new MAC in etcd to the Node, the interval included."""
    move.run("kubernetes", unlock=False)
    found = []
    with ThreadPoolExecutor(1) as threads:
        job = threads.submit(move.run, "kubernetes", state="bridged", interval=INTERVAL)
        while not move.lab.etcd.get(f"{move.lab.prefix}/migration-bridge"):
            time.sleep(0.1)
        for number in range(CHANGES):
            key = f"{move.lab.prefix}/subnets/{move.subnets[0].replace('/', '-')}"
            value = json.loads(move.lab.etcd.get(key, prefix=False)[key])
            mac = value["BackendData"]["VtepMAC"] = f"02:00:5e:00:00:{number:02x}"
            move.lab.etcd.put(key, json.dumps(value, separators=(",", ":")))
            start = time.perf_counter()
            while mac not in move.kube.api("GET", f"{NODES}/{move.names[0]}")["metadata"]["annotations"][DATA]:
                time.sleep(0.02)
            found.append(time.perf_counter() - start)
        move.run("kubernetes")
        job.result()
    return f"{sorted(found)[len(found) // 2]:.1f} ({min(found):.1f} to {max(found):.1f})"


def measure(kube: _kube.KubeServer, etcd: _etcd.EtcdServer, count: int) -> dict[str, str]:
    """Return the seconds of each row for so many hosts."""
    lab = Lab(etcd, f"/bench-{count}/network")
    lab.write_config({**VXLAN, "Network": "10.0.0.0/8"})
    move = Move(kube, lab, count)
    nodes = [node(number, subnet=subnet) for number, subnet in enumerate(move.subnets)]
    if not lab.module("flannel_lease", via=(), nodes=nodes, ttl=86400)["changed"]:
        raise SystemExit("no leases")
    kube.create(NODES, (_kube.node(name, [subnet]) for name, subnet in zip(move.names, move.subnets)))
    rows = {
        "to Kubernetes: the copy, read back": timed(lambda: move.run("kubernetes"), True),
        "again: the proof alone": timed(lambda: move.run("kubernetes"), False),
        "the bridge: a changed lease in the other store": bridge(move),
    }
    move.store = "kubernetes"
    rows["all hosts moved: the ends taken from the leases in etcd"] = timed(lambda: move.run("kubernetes"), True)
    rows["etcd emptied"] = timed(lambda: move.run("kubernetes", state="emptied"), True)
    rows["to etcd: the copy, read back"] = timed(lambda: move.run("etcd"), True)
    rows["again: the proof alone, on the way back"] = timed(lambda: move.run("etcd"), False)
    move.store = "etcd"
    rows["Nodes emptied"] = timed(lambda: move.run("etcd", state="emptied"), True)
    kube.api("DELETE", NODES)
    return rows


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("hosts", nargs="*", type=int, default=[100, 1000])
    arguments = parser.parse_args()
    with _etcd.running(durable=True) as etcd, _kube.running() as kube:
        results = {count: measure(kube, etcd, count) for count in arguments.hosts}
    print("| seconds (of the processor) | " + " | ".join(f"{count} hosts" for count in results) + " |")
    print("|---|" + "---|" * len(results))
    for row in next(iter(results.values())):
        print(f"| {row} | " + " | ".join(result[row] for result in results.values()) + " |")


if __name__ == "__main__":
    main()
