# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is said of a proof: no more than was seen."""

from __future__ import annotations

from typing import Any

from ansible_collections.podnet.cni.plugins.module_utils._distributions import proof

PLAN = {"expect": {"device": "flannel-wg", "backend": "wireguard"}}


def way(number: int) -> dict[str, Any]:
    return {"peer": f"10.42.{number}.0/24", "dev": "flannel-wg"}


def probe(target: str, received: int) -> dict[str, Any]:
    return {"target": target, "sent": 5, "received": received}


def test_each_host_has_a_line_of_what_was_seen() -> None:
    """Packets, where there were some; a host without a way has proved nothing."""
    ways = [[way(2), way(3)], [way(1)], []]
    probes = [[probe("node3", 5), probe("node2", 4)], [], []]
    assert proof.text(PLAN, ["node1", "node2", "node3"], ways, probes, 1372).splitlines() == [
        "Proof: packets to pods of other nodes take flannel-wg",
        "node1: flannel-wg to 2 ranges of pods; 9 of 10 packets with 1372 octets answered by node2, node3",
        "node2: flannel-wg to 1 range of pods; no packets were sent",
        "node3: not proved, since there is no other node with a range of pods",
    ]


def test_of_many_nodes_the_number_is_told() -> None:
    """And a backend without a link of its own is called what it is."""
    names = [f"node{number}" for number in range(6)]
    shown = proof.text({"expect": {"device": ""}}, ["node9"], [[way(1)]], [[probe(name, 5) for name in names]], 56)
    assert "take a link of the underlay" in shown
    assert "30 of 30 packets with 56 octets answered by 6 nodes" in shown


def test_annotations_of_hosts_alone_are_compared() -> None:
    """A Node that says nothing is told, too."""
    nodes = [
        {"name": "a", "flannel": {"backend-type": "vxlan"}},
        {"name": "b", "flannel": {}},
        {"name": "c", "flannel": {"backend-type": "wireguard"}},
        {"name": "elsewhere", "flannel": {}},
    ]
    assert proof.announced({"nodes": nodes}, {"h1": "a", "h2": "b", "h3": "c"}, "wireguard") == [
        "a: flannel has announced vxlan, not wireguard",
        "b: flannel has announced nothing, not wireguard",
    ]
