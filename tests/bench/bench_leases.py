# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Seconds to give nodes their leases in etcd, beside one request after the other in the same run.

Run: python tests/bench/bench_leases.py [--nodes 1000 5000] [--rounds 3]
with the collection on PYTHONPATH as ansible_collections.podnet.cni. It starts an etcd of its own. Each figure is the
best of the rounds, and every round starts from an empty network. Behind each figure stand the processor seconds of
the work itself, without etcd's: they say more on a machine that has other things to do.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

from ansible_collections.podnet.cni.tests.integration import _etcd
from ansible_collections.podnet.cni.tests.integration.etcd._lab import VXLAN, Lab, node

NETWORK = {**VXLAN, "Network": "10.0.0.0/8"}


def one_by_one(lab: Lab, items: list[dict[str, Any]]) -> None:
    """What flanneld sends for each node, a grant and a transaction, on one connection that stays open."""
    connection = http.client.HTTPConnection("127.0.0.1", lab.etcd.port)

    def post(path: str, body: dict[str, Any]) -> dict[str, Any]:
        connection.request("POST", f"/v3/{path}", json.dumps(body))
        return dict(json.loads(connection.getresponse().read()))

    for number, item in enumerate(items):
        grant = post("lease/grant", {"TTL": "86400"})["ID"]
        key = encode(f"{lab.prefix}/subnets/10.{number // 256 + 1}.{number % 256}.0-24")
        value = {"PublicIP": item["public_ip"], "PublicIPv6": None, "BackendType": "vxlan"}
        compare = [{"key": key, "target": "VERSION", "version": "0"}]
        put = {"request_put": {"key": key, "value": encode(json.dumps(value)), "lease": grant}}
        if not post("kv/txn", {"compare": compare, "success": [put]}).get("succeeded"):
            raise SystemExit(f"{lab.prefix} was not empty")
    connection.close()


def encode(text: str) -> str:
    """Return *text* as the gateway wants it."""
    return base64.b64encode(text.encode()).decode()


def module(lab: Lab, items: list[dict[str, Any]], *, changed: bool) -> None:
    """Run the module as a process of its own."""
    done = lab.module("flannel_lease", via=(), nodes=items)
    if done.get("changed") != changed or len(done.get("leases", ())) != len(items):
        raise SystemExit(f"flannel_lease: {done.get('msg', 'changed is not ' + str(changed))}")


def backup(lab: Lab, path: str, state: str) -> None:
    """Write the backup of a network, or restore it to another one."""
    done = lab.module("flannel_lease_backup", via=(), path=path, state=state)
    if not done.get("changed"):
        raise SystemExit(f"flannel_lease_backup: {done.get('msg', 'nothing changed')}")


def processor() -> float:
    """Return the processor seconds of this process and of its children that have ended."""
    spent = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in spent)


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Return how long *work* takes: on the clock, and of the processor."""
    start, spent = time.perf_counter(), processor()
    work()
    return time.perf_counter() - start, processor() - spent


def measure(etcd: _etcd.EtcdServer, count: int, rounds: int) -> dict[str, tuple[float, float]]:
    """Return the best seconds of each row for *count* nodes."""
    items = [node(number) for number in range(count)]
    best: dict[str, tuple[float, float]] = {}

    def note(row: str, work: Callable[[], object]) -> None:
        wall, spent = timed(work)
        best_wall, best_spent = best.get(row, (wall, spent))
        best[row] = min(wall, best_wall), min(spent, best_spent)

    for number in range(rounds):
        lab = Lab(etcd, f"/bench-{count}-{number}")
        lab.write_config(NETWORK)
        note("module, empty network", lambda lab=lab: module(lab, items, changed=True))
        note("module, unchanged", lambda lab=lab: module(lab, items, changed=False))
        note("module, one of them", lambda lab=lab: module(lab, items[:1], changed=False))
        note("module, info", lambda lab=lab: lab.module("flannel_lease_info", via=()))
        path = str(etcd.directory / f"leases-{count}-{number}.json")
        note("module, backup", lambda lab=lab, path=path: backup(lab, path, "present"))
        moved = Lab(etcd, f"/moved-{count}-{number}")
        note("module, restore to an empty prefix", lambda moved=moved, path=path: backup(moved, path, "restored"))
        note("module, release", lambda lab=lab: lab.module("flannel_lease", via=(), state="absent", nodes=items))
        note("store only, empty network", lambda lab=lab: lab.acquire(items))
        note("store only, unchanged", lambda lab=lab: lab.acquire(items))
        yard = Lab(etcd, f"/yard-{count}-{number}")
        note("yardstick: a grant and a transaction for each", lambda yard=yard: one_by_one(yard, items))
    return best


def main() -> int:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, nargs="+", default=[1000, 5000])
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with _etcd.running(durable=True) as etcd:
        results = {count: measure(etcd, count, arguments.rounds) for count in arguments.nodes}
    print(
        "| seconds, best of " + str(arguments.rounds) + " | " + " | ".join(f"{count} nodes" for count in results) + " |"
    )
    print("|---|" + "---|" * len(results))
    for row in next(iter(results.values())):
        print(f"| {row} | " + " | ".join("{:.2f} ({:.2f})".format(*result[row]) for result in results.values()) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
