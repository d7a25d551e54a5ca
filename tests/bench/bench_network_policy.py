# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Seconds for the whole impact report of a large cluster, beside trying every policy on every pod in the same run.

Run: python tests/bench/bench_network_policy.py [--policies 2000] [--pods 10000] [--namespaces 200 1] [--rounds 3]
[--admin-policies 100]
with the collection on PYTHONPATH as ansible_collections.podnet.cni. It needs no cluster. Each figure is the best of
the rounds; behind it stand processor seconds, which say more on a machine that has other things to do. Half of the
policies select by label, a quarter by expression, a quarter select their whole namespace; peers are selectors across
namespaces and blocks. Then the same with ClusterNetworkPolicies of 20 rules, nine tenths of them in the Admin tier. The
yardstick only matches selectors, and a tenth of the policies, scaled up.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from ansible_collections.podnet.cni.plugins.module_utils._network_policy.parse import Inventory
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.profile import Profile
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.report import build
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.sources import from_files
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._network_policy import cases

NODES = 200
APPS = 400
FLOWS = 1000


def cluster(policies: int, pods: int, namespaces: int) -> list[dict[str, Any]]:
    """Objects of a cluster; each Pod has a label of its own, as those of a StatefulSet have."""
    chance = random.Random(policies + pods + namespaces)
    spaces = [f"team-{number}" for number in range(namespaces)]
    objects = [cases.namespace(name, stage=chance.choice(("test", "live"))) for name in [*spaces, "kube-system"]]
    for number in range(NODES):
        objects.append(
            {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {
                    "name": f"node-{number}",
                    "annotations": {"flannel.alpha.coreos.com/backend-type": "vxlan"},
                },
                "spec": {"podCIDRs": [f"10.244.{number}.0/24"]},
                "status": {"addresses": [{"type": "InternalIP", "address": f"198.18.0.{number}"}]},
            }
        )
    for number in range(pods):
        node, place = number % NODES, number // NODES + 2
        labels = {
            "app": f"app-{chance.randrange(APPS)}",
            "tier": chance.choice(("web", "store", "job")),
            "statefulset.kubernetes.io/pod-name": f"pod-{number}",
        }
        address = f"10.244.{node}.{place}" if place < 255 else ""
        objects.append(
            cases.pod(
                f"{spaces[number % namespaces]}/pod-{number}",
                address,
                labels,
                nodeName=f"node-{node}",
                ports=[("web", 8080, "TCP")],
            )
        )
    for number in range(2):
        objects.append(cases.pod(f"kube-system/dns-{number}", f"10.245.0.{number + 1}", {"k8s-app": "kube-dns"}))
    objects += [policy(number, spaces[number % namespaces], chance) for number in range(policies)]
    return objects


def policy(number: int, space: str, chance: random.Random) -> dict[str, Any]:
    app = f"app-{chance.randrange(APPS)}"
    selectors: list[dict[str, Any]] = [
        {"matchLabels": {"app": app}},
        {"matchLabels": {"app": app, "tier": "web"}},
        {"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["job", f"none-{number}"]}]},
        {},
    ]
    peers: list[dict[str, Any]] = [
        {"podSelector": {"matchLabels": {"app": f"app-{chance.randrange(APPS)}"}}},
        {
            "namespaceSelector": {"matchLabels": {"stage": "live"}},
            "podSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": [app, "app-1"]}]},
        },
        {"ipBlock": {"cidr": f"10.{number % 250}.0.0/16", "except": [f"10.{number % 250}.1.0/24"]}},
    ]
    ports = [{"port": 8080}, {"port": "web"}, {"protocol": "UDP", "port": 53}]
    return cases.policy(
        f"{space}/policy-{number}",
        podSelector=selectors[number // 7 % 4],
        types=["Ingress", "Egress"],
        ingress=[{"from": chance.sample(peers, 2), "ports": ports[:2]}],
        egress=[{"to": chance.sample(peers, 2), "ports": ports}, {"to": [peers[0]]}],
    )


def admin_policy(number: int, chance: random.Random) -> dict[str, Any]:
    """A ClusterNetworkPolicy of ten rules for each direction, the last of which passes what is left."""
    subjects: list[dict[str, Any]] = [
        {"namespaces": {"matchLabels": {"stage": "live"}}},
        {"pods": {"namespaceSelector": {}, "podSelector": {"matchLabels": {"tier": "web"}}}},
    ]
    rules: dict[str, list[dict[str, Any]]] = {}
    for direction, key in (("ingress", "from"), ("egress", "to")):
        rules[direction] = []
        for place in range(10):
            app = {"matchLabels": {"app": f"app-{chance.randrange(APPS)}"}}
            peers: list[dict[str, Any]] = [{"pods": {"namespaceSelector": {}, "podSelector": app}}]
            if direction == "egress":
                peers.append({"networks": [f"10.{number % 250}.{place}.0/24"]})
            rule: dict[str, Any] = {"action": chance.choice(("Accept", "Deny", "Pass")), key: peers}
            if place % 2:
                rule["protocols"] = [{"tcp": {"destinationPort": {"number": 8080}}}]
            rules[direction].append(rule)
        rules[direction].append({"action": "Pass", key: [{"namespaces": {}}]})
    tier = "Baseline" if number % 10 == 9 else "Admin"
    subject = subjects[number % 2]
    return cases.admin_policy(
        "ClusterNetworkPolicy", f"admin-{number}", tier=tier, priority=number, subject=subject, **rules
    )


def timed(rounds: int, call: Callable[[], Any]) -> tuple[float, float, Any]:
    """Seconds and processor seconds of the fastest round, and what it gave."""
    best: tuple[float, float, Any] = (float("inf"), 0.0, None)
    for _round in range(rounds):
        wall, used = time.perf_counter(), time.process_time()
        result = call()
        taken = (time.perf_counter() - wall, time.process_time() - used, result)
        best = min(best, taken, key=lambda item: item[0])
    return best


def naive(found: Inventory) -> int:
    """Match a tenth of the policies with all Pods; returns the pairs that match."""
    pairs = 0
    for each in list(found.policies.values())[::10]:
        for pod in found.pods.values():
            pairs += pod.namespace == each.namespace and each.pods.matches(pod.labels)
    return pairs


def show(title: str, measured: tuple[float, float, Any], remark: str = "") -> None:
    print(f"  {title:44} {measured[0]:7.2f} s {measured[1]:7.2f} s cpu   {remark}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policies", type=int, default=2000)
    parser.add_argument("--pods", type=int, default=10000)
    parser.add_argument("--namespaces", type=int, nargs="+", default=[200, 1])
    parser.add_argument("--admin-policies", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    for namespaces in options.namespaces:
        objects = cluster(options.policies, options.pods, namespaces)
        print(f"{options.policies} policies, {options.pods} Pods, {namespaces} namespaces, {NODES} Nodes")
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "all.json"
            path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
            size = path.stat().st_size
            read = timed(options.rounds, partial(from_files, [str(path)]))
        show("read and parse JSON", read, f"{size / 1e6:.1f} MB")
        found = read[2]
        labels = list(found.pods)
        chance = random.Random(1)
        flows = [
            {"from": chance.choice(labels), "to": chance.choice(labels), "port": 8080, "protocol": "TCP"}
            for _flow in range(FLOWS)
        ]
        for title, given in (("report", []), (f"report with {FLOWS} flows", flows)):
            built = timed(options.rounds, partial(build, found, Profile.parse("v1.1.1"), flows=given))
            summary = built[2]["summary"]
            show(title, built, f"{summary['isolated_ingress']} Pods isolated, {len(built[2]['findings'])} findings")
        chance = random.Random(options.admin_policies)
        items = [admin_policy(number, chance) for number in range(options.admin_policies)]
        found.admin_policies = cases.read(*items).admin_policies
        for title, given in (("with admin policies", []), (f"with admin policies and {FLOWS} flows", flows)):
            built = timed(options.rounds, partial(build, found, Profile.parse("v1.1.1-npa-v1alpha2"), flows=given))
            show(title, built, f"{built[2]['summary']['admin_policies']} admin policies")
        result = timed(1, partial(json.dumps, built[2]))
        show("report as JSON", result, f"{len(result[2]) / 1e6:.1f} MB")
        wall, used, pairs = timed(1, partial(naive, found))
        show("yardstick: every policy on every Pod", (wall * 10, used * 10, None), f"about {pairs * 10} pairs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
