# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""pod_network_probe by port, from a pod's own namespace, through real nftables rules that drop, reject and let pass."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.filter.policy_probes import policy_probes
from ansible_collections.podnet.cni.tests.integration._netns import Host, Segment
from ansible_collections.podnet.cni.tests.integration._warm import run_module

# A TCP server, and UDP servers of which one answers and one is silent, for both families.
SERVER = """
import selectors, socket
ready = selectors.DefaultSelector()
for kind, port in ((socket.SOCK_STREAM, 8080), (socket.SOCK_STREAM, 8081), (socket.SOCK_STREAM, 8082),
                   (socket.SOCK_STREAM, 8083),
                   (socket.SOCK_DGRAM, 8080), (socket.SOCK_DGRAM, 8081)):
    opened = socket.socket(socket.AF_INET6, kind)
    opened.bind(("::", port))
    if kind == socket.SOCK_STREAM:
        opened.listen(64)
    ready.register(opened, selectors.EVENT_READ)
print("ready", flush=True)
while True:
    for key, _events in ready.select():
        if key.fileobj.type == socket.SOCK_STREAM:
            key.fileobj.accept()[0].close()
        else:
            data, sender = key.fileobj.recvfrom(65536)
            if key.fileobj.getsockname()[1] == 8080:
                key.fileobj.sendto(data, sender)
"""
# 8081 is dropped and 8082 rejected for all, 8083 dropped for a stranger.
POLICY = """
table inet isolate {{
  chain input {{
    type filter hook input priority 0; policy accept;
    tcp dport 8081 drop
    tcp dport 8082 reject with icmpx admin-prohibited
    tcp dport 8083 ip saddr {stranger} drop
  }}
}}
"""


# Other tests on this machine have hosts with the addresses of a segment, but not these.
OWN = {4: f"198.19.{os.getpid() // 127 % 256}.{os.getpid() % 127 + 1}", 6: f"fd00:18:{os.getpid() % 65536:x}::1"}
STRANGER = f"198.19.{os.getpid() // 127 % 256}.{os.getpid() % 127 + 128}"


def probe(**options: Any) -> dict[str, Any]:
    return run_module("pod_network_probe", {"count": 2, "interval": 0.01, "timeout": 0.3, **options})


@contextlib.contextmanager
def server(host: Host) -> Iterator[None]:
    child = subprocess.Popen(host.enter(sys.executable, "-c", SERVER), stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None and child.stdout.readline() == "ready\n"
        yield
    finally:
        child.terminate()
        child.communicate(timeout=30)


@pytest.fixture(scope="module")
def pods() -> Iterator[list[Host]]:
    """Three pods; the second serves, and is isolated."""
    if os.geteuid() != 0:
        pytest.skip("making namespaces needs root")
    for program in ("nft", "ping"):
        if not shutil.which(program):
            pytest.skip(f"{program} is missing: install nftables and iputils-ping")
    with Segment(3) as segment:
        rules = POLICY.format(stranger=STRANGER)
        subprocess.run(segment.hosts[1].enter("nft", "-f", "-"), input=rules, text=True, check=True)
        back = [*OWN.values(), STRANGER]
        segment.hosts[1].shell(*(f"ip route add {address} dev eth0" for address in back))
        segment.hosts[2].shell(f"ip address add {STRANGER} dev eth0")
        segment.hosts[0].shell(*(f"ip address add {address} dev eth0" for address in OWN.values()))
        segment.hosts[0].shell("ip route add unreachable 198.18.9.9", "ip -6 route add unreachable fd00:18:9::9")
        with server(segment.hosts[1]):
            yield segment.hosts


@pytest.mark.parametrize("version", [4, 6])
def test_each_kind_of_answer(pods: list[Host], version: int) -> None:
    source, target, _stranger = pods
    address = target.public_ip if version == 4 else target.public_ipv6
    nowhere = "198.18.9.9" if version == 4 else "fd00:18:9::9"
    result = probe(
        netns=source.name,
        source="web",
        targets=[
            {"name": "echo", "address": address},
            {"name": "open", "address": address, "protocol": "tcp", "port": 8080},
            {"name": "dropped", "address": address, "protocol": "tcp", "port": 8081},
            {"name": "rejected", "address": address, "protocol": "tcp", "port": 8082},
            {"name": "no way", "address": nowhere, "protocol": "tcp", "port": 8080},
            {"name": "closed", "address": address, "protocol": "tcp", "port": 9},
            {"name": "answers", "address": address, "protocol": "udp", "port": 8080},
            {"name": "silent", "address": address, "protocol": "udp", "port": 8081},
            {"name": "no listener", "address": address, "protocol": "udp", "port": 9},
        ],
        largest_packet=True,
    )
    assert not result.get("failed"), result
    found = {each["target"]: each for each in result["probes"]}
    # The kernel keeps an ICMP error to itself that arrives while connect(2) has not returned yet.
    assert found.pop("rejected")["answer"] in ("failed", "none")
    assert {name: each["answer"] for name, each in found.items()} == {
        "echo": "replied",
        "open": "accepted",
        "dropped": "none",
        "no way": "failed",
        "closed": "refused",
        "answers": "replied",
        "silent": "none",
        "no listener": "refused",
    }
    assert found["echo"]["largest_packet"] == 1500 and "largest_packet" not in found["open"]
    assert found["open"]["rtt_avg"] > 0 and found["open"]["loss"] == 0
    assert found["dropped"]["rtt_avg"] is None and found["dropped"]["loss"] == 100
    assert found["no way"]["error"] == "No route to host"
    assert {each["source"] for each in result["probes"]} == {"web"}


def test_one_task_proves_what_is_denied_and_what_is_allowed(pods: list[Host]) -> None:
    source, target, _stranger = pods
    own = OWN[4]
    allowed = {"name": "shop", "address": target.public_ip, "protocol": "tcp", "port": 8080, "expect": "reachable"}
    denied = {"name": "admin", "address": target.public_ip, "protocol": "tcp", "port": 8081, "expect": "unreachable"}
    proof = probe(source_address=own, targets=[allowed, denied])
    assert not proof.get("failed") and proof["changed"] is False
    assert [each["as_expected"] for each in proof["probes"]] == [True, True]
    assert {each["source"] for each in proof["probes"]} == {own}

    wrong = probe(
        netns=source.name,
        source="web",
        targets=[{**allowed, "expect": "unreachable"}, {**denied, "expect": "reachable"}, {"address": "198.18.0.2"}],
        expect="any",
    )
    assert wrong["failed"]
    assert "web reaches shop (198.18.0.2 tcp port 8080), which it should not" in wrong["msg"]
    assert "web loses 100 % to admin (198.18.0.2 tcp port 8081)" in wrong["msg"]
    assert [each["as_expected"] for each in wrong["probes"]] == [False, False, True]


def test_a_refusal_counts_as_asked(pods: list[Host]) -> None:
    source, target, _stranger = pods
    closed = [{"name": "closed", "address": target.public_ip, "protocol": "tcp", "port": 9}]
    through = probe(netns=source.name, source="web", targets=closed, expect="unreachable")
    assert "the port refused, so the packet came through" in through["msg"]
    shut = probe(netns=source.name, targets=closed, expect="unreachable", refusal="unreachable")
    assert not shut.get("failed") and shut["probes"][0]["answer"] == "refused"


@pytest.mark.parametrize("version", [4, 6])
def test_a_pod_without_a_name_is_found_by_its_address(pods: list[Host], version: int) -> None:
    """Container runtimes need not keep a name: then a process of the pod leads to its namespace."""
    source, target, _stranger = pods
    holder = subprocess.Popen(source.enter("sh", "-c", "echo ready; exec sleep 60"), stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "ready\n"
    # The name in /run/netns is bound over the namespace's file; without the name only the process holds it.
    bind = f"/run/netns/{source.name}"
    try:
        subprocess.run(["umount", bind], check=True)
        result = probe(
            source_address=OWN[version],
            targets=[{"address": target.public_ip, "protocol": "tcp", "port": 8080, "expect": "reachable"}],
        )
        assert not result.get("failed"), result
    finally:
        subprocess.run(["mount", "--bind", f"/proc/{holder.pid}/ns/net", bind], check=True)
        holder.terminate()
        holder.communicate(timeout=30)


def test_an_address_that_nobody_or_two_have_is_told(pods: list[Host]) -> None:
    targets = [{"address": pods[1].public_ip}]
    nobody = probe(source_address="198.18.77.7", targets=targets)
    assert "source_address is 198.18.77.7, which none of the" in nobody["msg"]
    assert "Run the task on the node of the pod." in nobody["msg"]
    with Segment(1) as other:
        other.hosts[0].shell(f"ip address add {OWN[4]} dev eth0")
        two = probe(source_address=OWN[4], targets=targets)
        assert two["failed"] and "Give the right one as netns." in two["msg"]
        assert other.hosts[0].name in two["msg"] and pods[0].name in two["msg"]


def test_verdicts_are_proved_on_the_wire(pods: list[Host], tmp_path: Path) -> None:
    """What the policies promise is measured from the pods themselves; without enforcement the proof fails."""
    addresses = {"web": OWN[4], "db": pods[1].public_ip, "stranger": STRANGER}
    documents: list[dict[str, Any]] = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}]
    documents += [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"namespace": "shop", "name": name, "labels": {"app": name}},
            "spec": {"nodeName": "node-1", "containers": []},
            "status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]},
        }
        for name, address in addresses.items()
    ]
    ingress = {
        "from": [{"podSelector": {"matchLabels": {"app": "web"}}}],
        "ports": [{"protocol": "TCP", "port": 8083}],
    }
    documents.append(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"namespace": "shop", "name": "db"},
            "spec": {"podSelector": {"matchLabels": {"app": "db"}}, "policyTypes": ["Ingress"], "ingress": [ingress]},
        }
    )
    source = tmp_path / "cluster.json"
    source.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": documents}))
    flows = [{"from": f"shop/{name}", "to": "shop/db", "port": 8083} for name in ("web", "stranger")]
    impact = run_module("network_policy_impact_info", {"src": [str(source)], "flows": flows})
    plan = policy_probes(impact["verdicts"])
    assert [(entry["source"], entry["node"], entry["targets"][0]["expect"]) for entry in plan] == [
        ("shop/web", "node-1", "reachable"),
        ("shop/stranger", "node-1", "unreachable"),
    ]

    def prove() -> list[bool]:
        runs = [
            probe(source=each["source"], source_address=each["source_address"], targets=each["targets"])
            for each in plan
        ]
        return [not run.get("failed", False) for run in runs]

    assert prove() == [True, True]
    pods[1].shell("nft flush ruleset")
    assert prove() == [True, False]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"netns": "no-such-pod"}, "cannot be opened"),
        ({"source_address": "web"}, "source_address is 'web'"),
        ({"netns": "a", "source_address": "198.18.0.1"}, "mutually exclusive"),
        ({"payload": "\u2603"}, "payload holds '\u2603'"),
        ({"count": 0}, "count is 0"),
    ],
)
def test_wrong_input_is_named(options: dict[str, Any], message: str) -> None:
    result = probe(targets=[{"address": "198.18.0.2", "protocol": "tcp", "port": 80}], **options)
    assert result["failed"] and message in result["msg"]
