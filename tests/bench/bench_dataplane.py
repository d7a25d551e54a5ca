# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Seconds to program a node's peers, beside iproute2's batch mode and pyroute2's own calls in the same run.

Run as root: python tests/bench/bench_dataplane.py [--peers 500 1000 5000] [--rounds 3]
with the collection on PYTHONPATH as ansible_collections.podnet.cni. Each figure is the best of the rounds; every
round starts from a host of its own, a network namespace that only has its underlay.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute

from ansible_collections.podnet.cni.plugins.module_utils._dataplane import backends, peers, plan, rtnetlink
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.kernel import Kernel
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.model import (
    fdb_text,
    mac_text,
    neighbour_text,
    route_text,
    to_text,
)
from ansible_collections.podnet.cni.plugins.module_utils._flannel import network_config
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import from_dict

CLONE_NEWNET = 0x40000000
MODULE = "ansible_collections.podnet.cni.plugins.modules.flannel_dataplane"
CONFIG = {
    4: {"Network": "10.64.0.0/10", "Backend": {"Type": "vxlan"}},
    10: {
        "EnableIPv6": True,
        "Network": "10.64.0.0/10",
        "IPv6Network": "fd00:10::/32",
        "Backend": {"Type": "vxlan"},
    },
}
INPUT: dict[str, Any] = {"firewall": "none", "subnet_file": ""}


def lease(number: int) -> dict[str, Any]:
    """The lease of node `number`; 0 is the node that is programmed."""
    high, low = divmod(number, 256)
    return {
        "name": f"node-{number}",
        "subnet": f"10.{64 + high}.{low}.0/24",
        "ipv6_subnet": f"fd00:10:{number:x}::/64",
        "public_ip": f"198.18.{high}.{low or 250}" if number else "198.19.255.1",
        "public_ipv6": f"fd00:18::{number + 16:x}" if number else "fd00:18::1",
        "backend_type": "vxlan",
        "backend_data": {"VNI": 1, "VtepMAC": f"02:00:00:04:{high:02x}:{low:02x}"},
        "backend_v6_data": {"VNI": 1, "VtepMAC": f"02:00:00:06:{high:02x}:{low:02x}"},
    }


def new_host() -> None:
    """Move this process into a fresh network namespace with an underlay."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")
    for line in (
        "link set lo up",
        "link add eth0 type veth peer name far",
        "link set far up",
        "link set eth0 up",
        "address add 198.19.255.1/15 dev eth0",
        "address add fd00:18::1/64 dev eth0 nodad",
    ):
        subprocess.run(["ip", *line.split()], check=True)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds that `work` takes, and what it returns."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def in_child(work: Callable[[], dict[str, float]]) -> dict[str, float]:
    """Run `work` in a process of its own on a host of its own and return its figures."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reader)
            new_host()
            with os.fdopen(writer, "w") as stream:
                json.dump(work(), stream)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader) as stream:
        text = stream.read()
    if os.waitpid(child, 0)[1]:
        raise SystemExit("a measurement failed; its reason is above")
    figures: dict[str, float] = json.loads(text)
    return figures


def measure_steps(count: int, families: int) -> dict[str, float]:
    """The module's steps in one process: read and check the peers, observe, plan, apply, and all again."""
    config = network_config.parse(CONFIG[families])
    raw = [lease(number) for number in range(1, count + 1)]
    own = peers.read_own(config, from_dict(lease(0)))
    figures = {}

    def desired(kernel: Kernel) -> Any:
        nodes = peers.read_peers(config, own, [from_dict(item) for item in raw]).peers
        return backends.build(config, own, nodes, kernel.underlay(peers.public_ips(own), None), {})

    with Kernel("bench") as kernel:
        figures["desired"], wanted = timed(lambda: desired(kernel))
        steps = plan.make(wanted, kernel.observe(wanted))
        figures["apply"], _none = timed(lambda: kernel.apply(steps, wanted, print))
        figures["observe"], observed = timed(lambda: kernel.observe(wanted))
        figures["plan"], again = timed(lambda: plan.make(wanted, observed))
        if again:
            raise SystemExit(f"not idempotent: {again.actions()[:3]}")
    return figures


def measure_module(count: int, families: int) -> dict[str, float]:
    """The whole module process, as Ansible starts it: from empty, and unchanged; and its memory in MiB."""
    arguments = {
        **INPUT,
        "network_config": CONFIG[families],
        "lease": lease(0),
        "peers": [lease(number) for number in range(1, count + 1)],
    }
    text = json.dumps({"ANSIBLE_MODULE_ARGS": arguments})

    def run() -> Any:
        done = subprocess.run([sys.executable, "-m", MODULE], input=text, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    figures = {}
    figures["module from empty"], first = timed(run)
    figures["module unchanged"], second = timed(run)
    if not first["changed"] or second["changed"]:
        raise SystemExit("the module is not idempotent")
    figures["module MiB"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return figures


def entries(count: int, families: int) -> tuple[Any, Any]:
    """The data plane of `count` peers, and a kernel whose links are made, with nothing else."""
    config = network_config.parse(CONFIG[families])
    own = peers.read_own(config, from_dict(lease(0)))
    nodes = peers.read_peers(config, own, [from_dict(lease(number)) for number in range(1, count + 1)]).peers
    kernel = Kernel("bench")
    underlay = kernel.underlay(peers.public_ips(own), None)
    empty = backends.build(config, own, [], underlay, {})
    kernel.apply(plan.make(empty, kernel.observe(empty)), empty, print)
    return backends.build(config, own, nodes, underlay, {}), kernel


def measure_batch(count: int, families: int) -> dict[str, float]:
    """`ip -batch` and `bridge -batch` of the same entries."""
    wanted, _kernel = entries(count, families)
    with tempfile.TemporaryDirectory() as directory:
        ip_file, bridge_file = Path(directory, "ip"), Path(directory, "bridge")
        lines = [f"neigh replace {neighbour_text(entry)}" for entry in wanted.neighbours]
        lines += [f"route replace {route_text(entry)}" for entry in wanted.routes]
        ip_file.write_text("\n".join(lines) + "\n", encoding="ascii")
        bridge_file.write_text("".join(f"fdb replace {fdb_text(entry)}\n" for entry in wanted.fdb), encoding="ascii")
        seconds, _none = timed(
            lambda: [
                subprocess.run(["bridge", "-batch", str(bridge_file)], check=True),
                subprocess.run(["ip", "-batch", str(ip_file)], check=True),
            ]
        )
    return {"batch": seconds}


def measure_bulk(count: int, families: int) -> dict[str, float]:
    """The same entries, links made, through the packed messages alone, kind by kind."""
    wanted, kernel = entries(count, families)
    indexes = {name: index for index, name in socket.if_nameindex()}
    figures = {}
    with rtnetlink.Connection() as connection:
        for name, encode, items in (
            ("bulk FDB", rtnetlink.encode_fdb, wanted.fdb),
            ("bulk neighbours", rtnetlink.encode_neighbour, wanted.neighbours),
            ("bulk routes", rtnetlink.encode_route, wanted.routes),
        ):
            figures[name], failures = timed(
                lambda encode=encode, items=items: connection.send(
                    [encode(entry, indexes[entry.link]) for entry in items]
                )
            )
            if failures:
                raise SystemExit(f"{name}: {failures[0].text()}")
    figures["bulk"] = sum(figures.values())
    if plan.make(wanted, kernel.observe(wanted)):
        raise SystemExit("the packed messages did not make what was wanted")
    return figures


def measure_pyroute2(count: int, families: int) -> dict[str, float]:
    """pyroute2's own calls, one per entry."""
    wanted, kernel = entries(count, families)
    indexes = {link.name: seen.ifindex for link in wanted.links for seen in [kernel.observe(wanted).links[link.name]]}

    def work() -> None:
        with IPRoute() as ipr:
            for entry in wanted.fdb:
                ipr.fdb(
                    "append", ifindex=indexes[entry.link], lladdr=mac_text(entry.mac), dst=to_text(entry.destination)
                )
            for entry in wanted.neighbours:
                ipr.neigh(
                    "replace",
                    ifindex=indexes[entry.link],
                    dst=to_text(entry.address),
                    lladdr=mac_text(entry.mac),
                    state="permanent",
                )
            for route in wanted.routes:
                ipr.route(
                    "replace",
                    dst=f"{to_text(route.destination)}/{route.prefixlen}",
                    gateway=to_text(route.gateway),
                    oif=indexes[route.link],
                    flags="onlink",
                )

    return {"pyroute2 calls": timed(work)[0]}


MEASUREMENTS = (measure_steps, measure_bulk, measure_module, measure_batch, measure_pyroute2)


def main() -> None:
    """Print a table per number of peers and families."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", type=int, nargs="+", default=[500, 1000, 5000])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    best: dict[tuple[int, int], dict[str, float]] = {}
    for count in options.peers:
        for families in CONFIG:
            figures = best.setdefault((count, families), {})
            for _round in range(options.rounds):
                for measure in MEASUREMENTS:
                    found = in_child(lambda measure=measure, count=count, families=families: measure(count, families))
                    for name, value in found.items():
                        figures[name] = min(value, figures.get(name, value))
    print_table(best)
    print_targets(best, max(options.peers), min(options.peers))


LABELS = {
    "desired": "read, check and build the wanted state",
    "apply": "apply from empty, links and all",
    "observe": "observe",
    "plan": "plan",
    "bulk FDB": "bulk: FDB entries",
    "bulk neighbours": "bulk: neighbours",
    "bulk routes": "bulk: routes",
    "bulk": "bulk, together",
    "module from empty": "the whole module process from empty",
    "module unchanged": "the whole module process, nothing to do",
    "module MiB": "its memory, MiB",
    "batch": "batch",
    "pyroute2 calls": "pyroute2 calls",
}


def print_table(best: dict[tuple[int, int], dict[str, float]]) -> None:
    """The table of docs/dataplane.md: a row per figure, a column per number of peers and families."""
    columns = [f"{count:,} {'IPv4' if families == 4 else 'dual'}" for count, families in best]
    print(f"| seconds | {' | '.join(columns)} |")
    print("|---" * (len(columns) + 1) + "|")
    for name, label in LABELS.items():
        digits = 0 if name.endswith("MiB") else 3
        print(f"| {label} | " + " | ".join(f"{figures[name]:.{digits}f}" for figures in best.values()) + " |")


def print_targets(best: dict[tuple[int, int], dict[str, float]], largest: int, smallest: int) -> None:
    """The table of docs/dataplane.md that says whether what was aimed at is met, at the largest number of peers."""
    top, dual, low = best[largest, 4], best[largest, 10], best[smallest, 4]
    rows = [
        ("apply, in times of batch", top["bulk"] / top["batch"], 1.2, ""),
        ("the whole module process from empty", top["module from empty"], 2.0, " s"),
        ("re-check: observe and plan, with no write", top["observe"] + top["plan"], 0.6, " s"),
        ("memory", top["module MiB"], 120, " MiB"),
        ("apply dual stack, in times of IPv4", dual["bulk"] / top["bulk"], 2.2, ""),
    ]
    if largest != smallest:
        # Linear is ten times for ten times the peers; a tenth more is let pass.
        most = 1.1 * largest / smallest
        grown = f"growth from {smallest:,} to {largest:,} peers"
        rows += [
            (f"{grown}, {label}", top[name] / low[name], most, "")
            for name, label in (
                ("module from empty", "the whole module process"),
                ("observe", "observe"),
                ("bulk", "apply"),
            )
        ]
    print(f"\n| {largest:,} peers, IPv4 | aimed at, at most | measured | |")
    print("|---|---|---|---|")
    for label, figure, most, unit in rows:
        verdict = "met" if figure <= most else "missed"
        print(f"| {label} | {most:g}{unit} | {figure:.{0 if unit == ' MiB' else 2}f}{unit} | {verdict} |")
    if largest != smallest:
        parts = ("bulk FDB", "bulk neighbours", "bulk routes", "batch")
        print("\nGrowth in parts: " + ", ".join(f"{name} {top[name] / low[name]:.1f}" for name in parts))


if __name__ == "__main__":
    main()
