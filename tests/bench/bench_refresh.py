# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measure how long a peer's new VTEP MAC takes from its store to the kernel: one run of overlay_refresh, and flanneld.

Run as root: python tests/bench/bench_refresh.py [--rounds N] [LEASES ...]        (default: 5 rounds, 100 1000)

flanneld v0.28.9 has to be among the test tools (make tools). The timer's interval is not in the figures: a change waits
for the next run, on average half of overlay_refresh_interval. Nodes have a list of images as kubelets write it, about
10 KiB each.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ansible_collections.podnet.cni.tests.integration import _etcd, _flanneld, _kube
from ansible_collections.podnet.cni.tests.integration._netns import Host, Segment
from ansible_collections.podnet.cni.tests.integration.dataplane import _leases
from ansible_collections.podnet.cni.tests.integration.etcd._relay import Relay
from ansible_collections.podnet.cni.tests.integration.kube._leases import NODES, PREFIX
from ansible_collections.podnet.cni.tests.integration.refresh._node import CONFIG, Node, Store, listener

PEER = 2
# Leases of other hosts lie behind those of the two that measure.
FIRST = 10
POLL = 0.002
PATIENCE = 30.0


def value(number: int, mac: str = "") -> str:
    """The value of a lease of node *number*."""
    lease = _leases.lease(number)
    data = {**lease["backend_data"], **({"VtepMAC": mac} if mac else {})}
    return json.dumps(
        {"PublicIP": lease["public_ip"], "BackendType": "vxlan", "BackendData": data}, separators=(",", ":")
    )


def fill(etcd: _etcd.EtcdServer, count: int) -> list[int]:
    """Write leases in pieces that etcd takes, and return their numbers."""
    numbers = [number for number in range(FIRST, FIRST + 2 * count) if number % 250][:count]
    for start in range(0, count, 100):
        lines = []
        for number in numbers[start : start + 100]:
            subnet = _leases.lease(number)["subnet"].replace("/", "-")
            lines.append(f"put {_etcd.PREFIX}/subnets/{subnet} {json.dumps(value(number))}\n")
        etcd.ctl("txn", text="\n" + "".join(lines) + "\n\n")
    return numbers


def appears(host: Host, mac: str) -> None:
    """Wait until the kernel sends to the peer with this MAC."""
    deadline = time.monotonic() + PATIENCE
    while mac not in host.shell(f"ip neigh show 10.5.{PEER}.0 dev flannel.1"):
        if time.monotonic() > deadline:
            raise TimeoutError(mac)
        time.sleep(POLL)


def seconds(rounds: int, store: Store, react: Callable[[], None], host: Host, tag: int) -> list[float]:
    """From the moment in which etcd has each change to that in which the kernel has it."""
    found = []
    for number in range(rounds):
        mac = f"02:00:5e:{tag:02x}:00:{number:02x}"
        store.put(PEER, value(PEER, mac))
        start = time.monotonic()
        react()
        appears(host, mac)
        found.append(time.monotonic() - start)
    return found


def idle(node: Node, rounds: int) -> float:
    """Processor seconds of a run that has nothing to do."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for _round in range(rounds):
        refresh(node)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / rounds


def refresh(node: Node) -> None:
    """One run of the program."""
    code, said = node.refreshed()
    if code:
        raise SystemExit(said)


def measure_nodes(leases: int, rounds: int, directory: Path) -> None:
    """Measure the refresh alone with so many Nodes in a cluster."""
    with contextlib.ExitStack() as stack:
        kube = stack.enter_context(_kube.running())
        (host,) = stack.enter_context(Segment(1)).hosts
        relay = stack.enter_context(Relay(kube.port, listener(host, kube.port)))
        # Fifty images with two names each, the same ones on all Nodes.
        digests = [hashlib.sha256(bytes([number])).hexdigest() for number in range(50)]
        images = [{"names": [f"registry.example.org/{tag}@{digest}" for tag in ("a", "b")]} for digest in digests]
        numbers = [1, PEER, *(number for number in range(FIRST, FIRST + 2 * leases) if number % 250)][: leases + 2]
        items = []
        for number in numbers:
            lease = _leases.lease(number)
            annotations = {
                PREFIX + "kube-subnet-manager": "true",
                PREFIX + "backend-type": "vxlan",
                PREFIX + "public-ip": lease["public_ip"],
                PREFIX + "backend-data": json.dumps(lease["backend_data"], separators=(",", ":")),
            }
            item = _kube.node(lease["name"], [lease["subnet"]], annotations)
            items.append({**item, "status": {"images": images}})
        kube.create(NODES, items)
        store = {"store": "kubernetes", "kubeconfig": str(kube.admin), "kube_timeout": 60}
        node = Node(host, directory, store)
        node.made(*numbers[1:])
        received = relay.received
        print(f"{leases} Nodes, refresh with nothing to do: {idle(node, rounds):.2f} processor s")
        print(f"{leases} Nodes, received by a run: {(relay.received - received) / rounds / 1024:.0f} KiB")
        found = []
        for number in range(rounds):
            mac = f"02:00:5e:03:00:{number:02x}"
            data = json.dumps({"VNI": 1, "VtepMAC": mac}, separators=(",", ":"))
            body = {"metadata": {"annotations": {PREFIX + "backend-data": data}}}
            kube.api("PATCH", f"{NODES}/node-{PEER}/status", body, "application/merge-patch+json")
            start = time.monotonic()
            refresh(node)
            appears(node.host, mac)
            found.append(time.monotonic() - start)
        print(f"{leases} Nodes, refresh: {spread(found)}")


def reached(etcd: _etcd.EtcdServer, host: Host) -> Relay:
    """Let a host reach the etcd, on its own loopback."""
    return Relay(etcd.port, listener(host, etcd.port))


def measure(leases: int, rounds: int, directory: Path) -> None:
    """Measure both with so many leases in the store."""
    with _etcd.running(today=True) as etcd, Segment(3) as segment, reached(etcd, segment.hosts[0]):
        store = Store(etcd)
        store.config()
        store.lease(1)
        store.lease(PEER)
        numbers = fill(etcd, leases)
        node = Node(segment.hosts[0], directory, etcd.options)
        node.made(PEER, *numbers)

        spent = idle(node, rounds)
        print(f"{leases} leases, refresh: {spread(seconds(rounds, store, lambda: refresh(node), node.host, 1))}")
        print(f"{leases} leases, refresh with nothing to do: {spent:.2f} processor s")
        daemon = _flanneld.Flanneld(segment.hosts[2], etcd, _etcd.PREFIX, directory)
        daemon.start()
        try:
            daemon.wait(_flanneld.READY)
            appears(segment.hosts[2], "02:00:5e:01:")
            print(f"{leases} leases, flanneld: {spread(seconds(rounds, store, lambda: None, segment.hosts[2], 2))}")
        finally:
            daemon.kill()


def spread(found: list[float]) -> str:
    """The median, and the range."""
    return f"{statistics.median(found):.3f} s ({min(found):.3f} to {max(found):.3f})"


def main() -> None:
    """Measure each size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("leases", nargs="*", type=int, default=[100, 1000])
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    print(f"network {CONFIG['Network']}, {arguments.rounds} rounds")
    for leases in arguments.leases:
        with tempfile.TemporaryDirectory(prefix="podnet-refresh-") as directory:
            measure(leases, arguments.rounds, Path(directory))
        with tempfile.TemporaryDirectory(prefix="podnet-refresh-") as directory:
            measure_nodes(leases, arguments.rounds, Path(directory))


if __name__ == "__main__":
    main()
