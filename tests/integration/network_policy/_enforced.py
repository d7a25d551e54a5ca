# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nodes with pods and a real kube-network-policies each: namespaces of this machine, objects in a real API server.

A node has pods on a bridge, whose packets br_netfilter shows to netfilter, and the data plane of a backend, which the
module makes.
"""

from __future__ import annotations

import abc
import base64
import contextlib
import functools
import http.client
import json
import os
import ssl
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.podnet.cni.plugins.module_utils._lab.kubernetes import proxy_config
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.parse import Inventory, Source, inventory
from ansible_collections.podnet.cni.tests.integration import _kernel
from ansible_collections.podnet.cni.tests.integration._warm import run_module
from ansible_collections.podnet.cni.tests.integration.dataplane._leases import lease_in
from ansible_collections.podnet.cni.tests.tools import cache
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._network_policy import cases

PROBER = Path(__file__).with_name("_prober.py")
ACCOUNT = Path("/run/secrets/kubernetes.io/serviceaccount")
HUB = "198.18.0.254"
NETWORK, IPV6_NETWORK = "10.244.0.0/16", "fd00:10:244::/48"
BACKENDS: dict[str, dict[str, Any]] = {
    "host-gw": {"Type": "host-gw"},
    "vxlan": {"Type": "vxlan"},
    "vxlan-directrouting": {"Type": "vxlan", "DirectRouting": True},
    "ipip": {"Type": "ipip"},
    "wireguard": {"Type": "wireguard"},
}
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
PATHS = {
    "Namespace": "/api/v1/namespaces",
    "Node": "/api/v1/nodes",
    "Pod": "/api/v1/pods",
    "Service": "/api/v1/services",
    "EndpointSlice": "/apis/discovery.k8s.io/v1/endpointslices",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/networkpolicies",
    "AdminNetworkPolicy": "/apis/policy.networking.k8s.io/v1alpha1/adminnetworkpolicies",
    "BaselineAdminNetworkPolicy": "/apis/policy.networking.k8s.io/v1alpha1/baselineadminnetworkpolicies",
    "ClusterNetworkPolicy": "/apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies",
}
# Seconds until the server serves a definition.
SERVED = 60.0
# Lines of an agent's log that a failure shows.
LAST = 20


class Release(NamedTuple):
    """An agent that tests/tools pins: its set, and its flavour as image tags have it."""

    tools: cache.ToolSet
    flavour: str = ""

    @property
    def tag(self) -> str:
        """The tag of its image."""
        version = cache.module_version(self.tools)
        return f"{version}-{self.flavour}" if self.flavour else version

    @property
    def name(self) -> str:
        """The tag without the last number, as the names of tests have it."""
        version = cache.module_version(self.tools).rpartition(".")[0]
        return f"{version}-{self.flavour}" if self.flavour else version

    @property
    def program(self) -> Path:
        """The path of the agent. Raises cache.Missing."""
        if self.tools == cache.NETWORK_POLICY:
            return cache.find("kube-network-policies", self.tools)
        return cache.find(f"kube-network-policies-{self.flavour or 'standard'}", self.tools)

    @property
    def definitions(self) -> list[Path]:
        """The files with the definitions of the kinds that it watches. Raises cache.Missing."""
        return cache.files(cache.ADMIN_POLICIES[self.flavour]) if self.flavour else []


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
        if isinstance(body, bytes):
            headers["Content-Type"] = "application/yaml"
        text = body if body is None or isinstance(body, bytes) else json.dumps(body)
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

    def define(self, files: Sequence[Path], kinds: Sequence[str]) -> None:
        """Kinds that the server does not have from the start, from the files with their definitions."""
        for file in files:
            self.once(DEFINITIONS, file.read_bytes())
        end = time.monotonic() + SERVED
        for kind in kinds:
            while not self._serves(kind):
                assert time.monotonic() < end, f"the server does not serve {kind}"
                time.sleep(1.0)

    def _serves(self, kind: str) -> bool:
        try:
            self.ask("GET", PATHS[kind])
        except RuntimeError:
            return False
        return True

    def once(self, path: str, item: Any) -> None:
        """An object that an earlier test may have made."""
        try:
            self.ask("POST", path, item)
        except RuntimeError as error:
            if ": 409 " not in str(error):
                raise

    def create(self, item: dict[str, Any]) -> None:
        """An object, with its status if it has one. Namespaces and Nodes stay; a Node gets these annotations."""
        metadata, path = item["metadata"], collection(item)
        make = self.once if item["kind"] in ("Namespace", "Node") else functools.partial(self.ask, "POST")
        make(path, {key: value for key, value in item.items() if key != "status"})
        if item["kind"] == "Node":
            self.ask("PATCH", f"{path}/{metadata['name']}", {"metadata": {"annotations": metadata["annotations"]}})
        if "status" in item:
            self.ask("PATCH", f"{path}/{metadata['name']}/status", {"status": item["status"]})

    def remove(self, item: dict[str, Any]) -> None:
        """Delete an object."""
        self.ask("DELETE", f"{collection(item)}/{item['metadata']['name']}")

    def drop_policies(self, namespaces: Sequence[str], kinds: Sequence[str]) -> None:
        """Remove the NetworkPolicies of these namespaces, and all admin policies of these kinds."""
        for namespace in namespaces:
            self.ask("DELETE", f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies")
        for kind in kinds:
            self.ask("DELETE", PATHS[kind])

    def inventory(self, kinds: Sequence[str]) -> Inventory:
        """The cluster as the verdict engine takes it, with admin policies of these kinds."""
        sources = []
        for kind in ("Namespace", "Node", "Pod", "NetworkPolicy", *kinds):
            group = PATHS[kind].split("/")[2] if PATHS[kind].startswith("/apis/") else ""
            for item in self.ask("GET", PATHS[kind])["items"]:
                sources.append(Source(group, kind, {**item, "kind": kind}, "server"))
        return inventory(sources)


def collection(item: dict[str, Any]) -> str:
    """The path under which the server has objects of this kind, in its namespace."""
    path, metadata = PATHS[item["kind"]], item["metadata"]
    return path.replace("/v1/", f"/v1/namespaces/{metadata['namespace']}/") if "namespace" in metadata else path


class Prober:
    """The process of a pod."""

    def __init__(self, netns: str, ports: Sequence[tuple[str, int]], stay: int) -> None:
        arguments = [str(PROBER), json.dumps(ports), str(stay)]
        command = ["ip", "netns", "exec", netns, sys.executable, "-S", "-E", *arguments]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def wait(self) -> None:
        """Until it listens."""
        assert self._line() == "ready\n"

    def ask(self, what: str, *arguments: Any) -> None:
        """Have it do something that _prober.py names."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([what, *arguments]) + "\n")
        self._process.stdin.flush()

    def answer(self) -> list[Any]:
        """What came of the last request."""
        return list(json.loads(self._line()))

    def told(self, what: str, *arguments: Any) -> list[Any]:
        """Ask, and wait for the answer."""
        self.ask(what, *arguments)
        return self.answer()

    def end(self) -> None:
        """End the process."""
        self._process.communicate("")

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


def network(nodes: Sequence[int], pods: Sequence[Pod]) -> Iterator[str]:
    """The commands that make nodes and pods. Nodes reach the API server through the guest, by its address."""
    yield "modprobe br_netfilter"
    # The nodes' switch shows its packets to nobody.
    yield "sysctl -qw net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0"
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


def node_object(number: int, backend: str) -> dict[str, Any]:
    """The Node as flannel leaves it in a cluster of both families."""
    made = cases.node(f"node{number}", number, BACKENDS[backend]["Type"])
    made["spec"]["podCIDR"] = made["spec"]["podCIDRs"][0]
    made["spec"]["podCIDRs"].append(f"fd00:10:244:{number}::/64")
    made["status"]["addresses"].append({"type": "InternalIP", "address": f"fd00:18::{number}"})
    return made


def join(nodes: Sequence[int], backend: str, directory: Path) -> None:
    """Make the backend's data plane on each node, with every other node as its peer; keys are in the directory."""
    config = {"Network": NETWORK, "Backend": BACKENDS[backend]}
    if both_families(backend):
        config |= {"EnableIPv6": True, "IPv6Network": IPV6_NETWORK}
    keys = {node: {"wireguard_key_file": str(directory / f"key{node}")} for node in nodes}
    leases = {}
    for node in nodes:
        prepared = _module("flannel_dataplane_prepare", node, network_config=config, **keys[node])
        leases[node] = _lease(node, config, prepared["public_key"] or "")
    for node in nodes:
        peers = [lease for other, lease in leases.items() if other != node]
        made = _module("flannel_dataplane", node, network_config=config, lease=leases[node], peers=peers, **keys[node])
        assert made["changed"], made


def both_families(backend: str) -> bool:
    """Whether it carries IPv6, too (flannel v0.28.9 pkg/backend/ipip/ipip.go)."""
    return backend != "ipip"


def _lease(node: int, config: dict[str, Any], public_key: str) -> dict[str, Any]:
    made = lease_in(config, node, public_key) | {"subnet": f"10.244.{node}.0/24"}
    return made | ({"ipv6_subnet": f"fd00:10:244:{node}::/64"} if "ipv6_subnet" in made else {})


def _module(name: str, node: int, **options: Any) -> dict[str, Any]:
    result = run_module(name, {"subnet_file": "", **options}, netns=f"node{node}")
    assert not result.get("failed"), result
    return result


@contextlib.contextmanager
def made(nodes: Sequence[int], pods: Sequence[Pod], backend: str, directory: Path) -> Iterator[None]:
    """The namespaces with this backend between the nodes, gone afterwards. Keys are made in the directory."""
    try:
        done = subprocess.run(
            ["sh", "-ec", "\n".join(network(nodes, pods))], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        join(nodes, backend, directory)
        yield
    finally:
        # A namespace ends a while after it was deleted; what is to be made anew is deleted by itself.
        links = "".join(f"ip link del node{node}; " for node in nodes)
        command = ["sh", "-c", f"{links}ip link del hub; nft delete table ip hub"]
        subprocess.run(command, check=False, capture_output=True)
        for name in [*map(space, pods), *(f"node{node}" for node in nodes)]:
            if Path(f"/run/netns/{name}").exists():
                subprocess.run(["ip", "netns", "del", name], check=True)


@contextlib.contextmanager
def outside(name: str, address: str) -> Iterator[None]:
    """A namespace beside the nodes that is none, on their segment; gone afterwards."""
    link = f"ip link add {name} type veth peer name eth0 netns {name} && ip link set {name} master hub up"
    up = f"ip -n {name} link set lo up && ip -n {name} link set eth0 up"
    made = f"ip netns add {name} && {link} && {up} && ip -n {name} address add {address}/24 dev eth0"
    subprocess.run(["sh", "-ec", made], check=True)
    try:
        yield
    finally:
        subprocess.run(["sh", "-ec", f"ip link del {name}; ip netns del {name}"], check=True)


class Programs(abc.ABC):
    """A process on each node; what it says is kept in the directory."""

    name: str

    def __init__(self, directory: Path, environment: dict[str, str] | None = None) -> None:
        self._directory = directory
        self._environment = {**os.environ, **(environment or {})}
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    @abc.abstractmethod
    def command(self, node: int) -> list[str]:
        """The program and its arguments on a node."""

    def start(self, node: int) -> None:
        """Start one."""
        command = ["ip", "netns", "exec", f"node{node}", *self.command(node)]
        with (self._directory / f"{self.name}{node}.log").open("ab") as log:
            self._processes[node] = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log)

    def kill(self, node: int) -> None:
        """End one in such a way that it can do nothing about it."""
        self._processes[node].kill()
        self._processes[node].wait()

    def ended(self) -> list[int]:
        """The nodes whose process does not run any more."""
        return [node for node, process in self._processes.items() if process.poll() is not None]

    def said(self) -> str:
        """The last lines of each."""
        logs = sorted(self._directory.glob(f"{self.name}*.log"))
        return "\n".join(line for log in logs for line in [log.name, *log.read_text().splitlines()[-LAST:]])

    def end(self) -> None:
        """End all."""
        for node in self._processes:
            self.kill(node)


class Agents(Programs):
    """kube-network-policies, as its pod would start it."""

    name = "agent"

    def __init__(self, program: Path, access: dict[str, str], directory: Path) -> None:
        ACCOUNT.mkdir(parents=True, exist_ok=True)
        (ACCOUNT / "token").write_text(access["token"], encoding="ascii")
        (ACCOUNT / "ca.crt").write_text(access["ca"], encoding="ascii")
        url = urllib.parse.urlsplit(access["url"])
        server = {"KUBERNETES_SERVICE_HOST": str(url.hostname), "KUBERNETES_SERVICE_PORT": str(url.port)}
        super().__init__(directory, server)
        self._program = program

    def command(self, node: int) -> list[str]:
        return [str(self._program), f"--hostname-override=node{node}", "--disable-nri"]


class Proxies(Programs):
    """kube-proxy with its rules in nftables, as the role lab sets it up."""

    name = "proxy"

    def __init__(self, program: Path, access: dict[str, str], directory: Path) -> None:
        super().__init__(directory)
        self._program = program
        self._kubeconfig = directory / "kubeconfig"
        cluster = {
            "server": access["url"],
            "certificate-authority-data": base64.b64encode(access["ca"].encode()).decode(),
        }
        content = {
            "clusters": [{"name": "c", "cluster": cluster}],
            "users": [{"name": "u", "user": {"token": access["token"]}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "c",
        }
        self._kubeconfig.write_text(json.dumps(content), encoding="ascii")

    def command(self, node: int) -> list[str]:
        config = proxy_config(f"node{node}", [NETWORK, IPV6_NETWORK])
        config["clientConnection"]["kubeconfig"] = str(self._kubeconfig)
        file = self._directory / f"{self.name}{node}.json"
        file.write_text(json.dumps(config), encoding="ascii")
        return [str(self._program), f"--config={file}"]
