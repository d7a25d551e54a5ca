# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nodes with pods and a real kube-network-policies each: namespaces of this machine, objects in a real API server.

A node is as flannel's host-gw leaves it: pods on a bridge, whose packets br_netfilter shows to netfilter, and a route
to the other node's pods.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import ssl
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.podnet.cni.plugins.module_utils._network_policy.parse import Inventory, Source, inventory
from ansible_collections.podnet.cni.tests.integration import _kernel
from ansible_collections.podnet.cni.tests.tools import cache
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._network_policy import cases

PROBER = Path(__file__).with_name("_prober.py")
ACCOUNT = Path("/run/secrets/kubernetes.io/serviceaccount")
HUB = "198.18.0.254"
COLLECTIONS = {"Namespace": "", "Pod": "", "NetworkPolicy": "networking.k8s.io"}
PATHS = {
    "Namespace": "/api/v1/namespaces",
    "Pod": "/api/v1/pods",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/networkpolicies",
}


class Pod(NamedTuple):
    """A pod with the numbers of its named ports by protocol."""

    name: str
    node: int
    labels: dict[str, str]
    named: dict[str, int]
    number: int

    @property
    def addresses(self) -> tuple[str, str]:
        """Of IPv4 and of IPv6."""
        return f"10.244.{self.node}.{self.number}", f"fd00:10:244:{self.node}::{self.number}"

    def manifest(self) -> dict[str, Any]:
        """The object with its status."""
        ports = [(f"web-{protocol.lower()}", number, protocol) for protocol, number in self.named.items()]
        addresses = ",".join(self.addresses)
        return cases.pod(self.name, addresses, self.labels, ports=ports, nodeName=f"node{self.node}")


class Api:
    """The API server outside of the guest, asked as its administrator."""

    def __init__(self) -> None:
        self.access = json.loads(Path(os.environ[_kernel.API]).read_text(encoding="utf-8"))
        self._context = ssl.create_default_context(cadata=self.access["ca"])
        self._url = urllib.parse.urlsplit(self.access["url"])
        self._connection = http.client.HTTPSConnection(
            str(self._url.hostname), self._url.port, timeout=60, context=self._context
        )

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """A request. Raises RuntimeError for 400 and above."""
        headers = {"Authorization": f"Bearer {self.access['token']}", "Content-Type": "application/json"}
        if method == "PATCH":
            headers["Content-Type"] = "application/merge-patch+json"
        text = None if body is None else json.dumps(body)
        try:
            self._connection.request(method, path, text, headers)
            answer = self._connection.getresponse()
        except (http.client.RemoteDisconnected, ConnectionError):
            # The server closes a connection that was idle for a while; what was asked on it did not arrive.
            self._connection.close()
            self._connection.request(method, path, text, headers)
            answer = self._connection.getresponse()
        said = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {said.decode()}")
        return json.loads(said)

    def create(self, item: dict[str, Any]) -> None:
        """An object, with its status if it has one."""
        metadata = item["metadata"]
        path = PATHS[item["kind"]]
        if "namespace" in metadata:
            path = path.replace("/v1/", f"/v1/namespaces/{metadata['namespace']}/")
        self.ask("POST", path, {key: value for key, value in item.items() if key != "status"})
        if "status" in item:
            self.ask("PATCH", f"{path}/{metadata['name']}/status", {"status": item["status"]})

    def drop_policies(self, namespaces: Sequence[str]) -> None:
        """Remove the policies of these namespaces."""
        for namespace in namespaces:
            self.ask("DELETE", f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies")

    def inventory(self) -> Inventory:
        """The cluster as the verdict engine takes it."""
        sources = []
        for kind, path in PATHS.items():
            for item in self.ask("GET", path)["items"]:
                sources.append(Source(COLLECTIONS[kind], kind, {**item, "kind": kind}, "server"))
        return inventory(sources)


class Prober:
    """The process of a pod."""

    def __init__(self, netns: str, ports: Sequence[tuple[str, int]]) -> None:
        command = ["ip", "netns", "exec", netns, sys.executable, "-S", "-E", str(PROBER), json.dumps(ports)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def wait(self) -> None:
        """Until it listens."""
        assert self._line() == "ready\n"

    def ask(self, seconds: float, targets: Sequence[tuple[str, str, int]]) -> None:
        """Have it try these targets."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([seconds, targets]) + "\n")
        self._process.stdin.flush()

    def answer(self) -> list[bool]:
        """What came of the last request."""
        return list(json.loads(self._line()))

    def end(self) -> None:
        """End the process."""
        self._process.communicate("")

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


def network(nodes: Sequence[int], pods: Sequence[Pod]) -> Iterator[str]:
    """The commands that make nodes and pods. Nodes reach the API server through the guest, by its address."""
    yield "modprobe br_netfilter"
    yield "sysctl -qw net.ipv4.ip_forward=1"
    yield "ip link add hub type bridge && ip link set hub up && ip address add 198.18.0.254/24 dev hub"
    chain = "type nat hook postrouting priority 100; ip saddr 198.18.0.0/24 masquerade;"
    yield f"nft -f - <<END\ntable ip hub {{ chain c {{ {chain} }}; }}\nEND"
    for node in nodes:
        name = f"node{node}"
        yield f"ip netns add {name}"
        yield f"ip link add {name} type veth peer name eth0 netns {name} && ip link set {name} master hub up"
        yield f"ip -n {name} link set lo up && ip -n {name} link set eth0 up"
        yield f"ip -n {name} address add 198.18.0.{node}/24 dev eth0 && ip -n {name} route add default via {HUB}"
        yield f"ip -n {name} address add fd00:18::{node}/64 dev eth0 nodad"
        yield f"ip -n {name} link add cni0 type bridge && ip -n {name} link set cni0 up"
        yield f"ip -n {name} address add 10.244.{node}.1/24 dev cni0"
        yield f"ip -n {name} address add fd00:10:244:{node}::1/64 dev cni0 nodad"
        yield (
            f"ip netns exec {name} sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1"
            " net.bridge.bridge-nf-call-iptables=1 net.bridge.bridge-nf-call-ip6tables=1"
        )
        for other in nodes:
            if other != node:
                yield f"ip -n {name} route add 10.244.{other}.0/24 via 198.18.0.{other}"
                yield f"ip -n {name} route add fd00:10:244:{other}::/64 via fd00:18::{other}"
    for pod in pods:
        netns, node, link = space(pod), f"node{pod.node}", f"veth{pod.number}"
        yield f"ip netns add {netns} && ip -n {netns} link set lo up"
        yield f"ip -n {node} link add {link} type veth peer name eth0 netns {netns}"
        yield f"ip -n {node} link set {link} master cni0 up && ip -n {netns} link set eth0 up"
        yield f"ip -n {netns} address add {pod.addresses[0]}/24 dev eth0"
        yield f"ip -n {netns} address add {pod.addresses[1]}/64 dev eth0 nodad"
        yield f"ip -n {netns} route add default via 10.244.{pod.node}.1"
        yield f"ip -n {netns} route add default via fd00:10:244:{pod.node}::1"


def space(pod: Pod) -> str:
    """The network namespace of a pod."""
    return pod.name.replace("/", "-")


@contextlib.contextmanager
def made(nodes: Sequence[int], pods: Sequence[Pod]) -> Iterator[None]:
    """The namespaces, gone afterwards."""
    try:
        done = subprocess.run(
            ["sh", "-ec", "\n".join(network(nodes, pods))], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        yield
    finally:
        for name in [*map(space, pods), *(f"node{node}" for node in nodes)]:
            if Path(f"/run/netns/{name}").exists():
                subprocess.run(["ip", "netns", "del", name], check=True)
        subprocess.run(["sh", "-c", "ip link del hub; nft delete table ip hub"], check=False, capture_output=True)


@contextlib.contextmanager
def agents(
    nodes: Sequence[int], access: dict[str, str], directory: Path
) -> Iterator[dict[int, subprocess.Popen[bytes]]]:
    """A kube-network-policies on each node, as its pod would start it; what it says is kept in the directory."""
    ACCOUNT.mkdir(parents=True, exist_ok=True)
    (ACCOUNT / "token").write_text(access["token"], encoding="ascii")
    (ACCOUNT / "ca.crt").write_text(access["ca"], encoding="ascii")
    url = urllib.parse.urlsplit(access["url"])
    environment = {"KUBERNETES_SERVICE_HOST": str(url.hostname), "KUBERNETES_SERVICE_PORT": str(url.port)}
    program = str(cache.find("kube-network-policies"))
    processes: dict[int, subprocess.Popen[bytes]] = {}
    try:
        for node in nodes:
            options = [f"--hostname-override=node{node}", "--disable-nri"]
            command = ["ip", "netns", "exec", f"node{node}", program, *options]
            with (directory / f"agent{node}.log").open("wb") as log:
                processes[node] = subprocess.Popen(command, env={**os.environ, **environment}, stdout=log, stderr=log)
        yield processes
    finally:
        for process in processes.values():
            process.kill()
            process.wait()
