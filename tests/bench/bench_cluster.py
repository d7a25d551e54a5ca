# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a real cluster costs, and what the roles cost on it: seconds, and memory of the processes, for 1 and 3 nodes.

Run as root with the root of ansible_collections on PYTHONPATH: python tests/bench/bench_cluster.py [NODES ...]
It needs what `make tools` builds. Each cluster is removed at the end.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible_collections.podnet.cni.plugins.module_utils._lab import containers
from ansible_collections.podnet.cni.plugins.module_utils._lab.plan import lab_key
from ansible_collections.podnet.cni.tests.integration import _cluster

OLD = {"flannel_image_tag": "v0.27.4", "flannel_cni_image_tag": "v1.8.0-flannel1"}
MORE = {"flannel_resources": {"requests": {"cpu": "100m", "memory": "60Mi"}}}
WAVES = {"flannel_rollout": True, "flannel_rollout_canary_nodes": ["node1"], "flannel_rollout_batch": ["100%"]}
SHOWN = (
    "kube-apiserver",
    "kube-controller",
    "kube-scheduler",
    "etcd",
    "kubelet",
    "kube-proxy",
    "containerd",
    "flanneld",
)


def memory(cluster: _cluster.Cluster) -> dict[str, float]:
    """MiB of resident memory by program, and of all that runs in the control groups of the lab."""
    found = dict.fromkeys((*SHOWN, "all"), 0.0)
    group = f"/{containers.PARENT}/{lab_key('/run/podnet-lab', cluster.name)}/"
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if group not in (process / "cgroup").read_text():
                continue
            status = (process / "status").read_text().splitlines()
        except OSError:
            continue
        values = dict(line.split(":", 1) for line in status if ":" in line)
        mib = int(values.get("VmRSS", "0 kB").split()[0]) / 1024
        found["all"] += mib
        name = values["Name"].strip()
        if name in found:
            found[name] += mib
    return found


def timed(nodes: int, what: str, work: Callable[[], Any]) -> None:
    """Do something and print how long it took."""
    begin = time.perf_counter()
    work()
    print(f"{nodes:>5}  {what:<34}  {time.perf_counter() - begin:>7.1f}", flush=True)


def measure(nodes: int) -> None:
    """Make a cluster, install, change, upgrade, and say what runs."""
    with _cluster.unmade(nodes) as cluster:

        def install() -> None:
            cluster.role("flannel", **OLD).ok()
            cluster.await_ready()

        upgrade = {
            "upgrade_hosts": "kube_node",
            "flannel_kubeconfig": str(cluster.kubeconfig),
            "upgrade_directory": str(cluster.folder / "upgrade"),
        }
        timed(nodes, "cluster from nothing", lambda: cluster.lab().ok())
        timed(nodes, "cluster again", lambda: cluster.lab().ok())
        timed(nodes, "flannel, until all nodes are ready", install)
        timed(nodes, "flannel again", lambda: cluster.role("flannel", **OLD).ok())
        timed(nodes, "rollout, soak 30 s for each wave", lambda: cluster.role("flannel", **OLD, **MORE, **WAVES).ok())
        timed(nodes, "upgrade, soak 30 s for each wave", lambda: cluster.playbook("upgrade", **MORE, **upgrade).ok())
        found = memory(cluster)
        print(f"{nodes:>5}  MiB: " + ", ".join(f"{name} {mib:.0f}" for name, mib in found.items()), flush=True)
        timed(nodes, "remove the cluster", cluster.remove)


def main() -> None:
    """Print the table."""
    print("nodes  what                                seconds")
    for nodes in map(int, sys.argv[1:] or ("1", "3")):
        measure(nodes)


if __name__ == "__main__":
    main()
