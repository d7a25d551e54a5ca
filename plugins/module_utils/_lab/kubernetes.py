# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Kubernetes cluster on lab hosts: its certificates, files and processes, and the steps from what is there to that.

Private to podnet.cni: may change in any release. Pure: no command is run and no file is read here.

The settings of kubelet and kube-proxy follow what kind gives its nodes (kubernetes-sigs/kind v0.30.0,
pkg/cluster/internal/kubeadm/config.go), for the same reason: the machine under the node is somebody else's.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import json
import re
from dataclasses import dataclass, field
from typing import Any, Iterable, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._lab.plan import Process

PKI = "/etc/kubernetes/pki"
CONFIG = "/etc/kubernetes"
CONTAINERD_CONFIG = "/etc/containerd/config.toml"
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
CNI_BIN_DIR = "/opt/cni/bin"
API_PORT = 6443
DOMAIN = "cluster.local"

CONTROL_PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
NODE_PROGRAMS = ("kubelet", "kube-proxy", "containerd", "containerd-shim-runc-v2", "ctr", "runc", "nft")
PROCESSES = (*CONTROL_PROGRAMS, "containerd", "kubelet", "kube-proxy")
CNI_PLUGINS = ("bridge", "host-local", "loopback", "portmap")
FORWARD_PROGRAMS = ("systemd-socket-activate", "systemd-socket-proxyd")
PROGRAMS = (*CONTROL_PROGRAMS, *NODE_PROGRAMS, *FORWARD_PROGRAMS)
# Debian's names; what has none here is part of a Kubernetes release
PACKAGES = {
    "etcd": "etcd-server",
    "containerd": "containerd",
    "containerd-shim-runc-v2": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "nft": "nftables",
    "systemd-socket-activate": "systemd",
    "systemd-socket-proxyd": "systemd",
    **dict.fromkeys(CNI_PLUGINS, "containernetworking-plugins"),
}

# Measured, see docs/lab.md. A part of a machine's memory is always in use elsewhere.
CONTROL_MIB = 700
NODE_MIB = 300


@dataclass(frozen=True)
class Archive:
    """A file with container images: the digest of each image's configuration by the name of the image."""

    path: str
    images: Mapping[str, str]


@dataclass(frozen=True)
class Member:
    """A host of the cluster with its addresses on the underlay. A guest has a kernel and a systemd of its own."""

    name: str
    addresses: tuple[str, ...]
    guest: bool = False


@dataclass(frozen=True)
class Identity:
    """A certificate that the cluster's CA has to issue: for a user, for a server that is reached by names, or both."""

    name: str
    common_name: str
    organization: str = ""
    names: tuple[str, ...] = ()
    client: bool = True


@dataclass(frozen=True)
class File:
    """A file of a host."""

    path: str
    text: str = field(repr=False)
    mode: int = 0o644


@dataclass(frozen=True)
class Cluster:
    """All that is asked for. C(programs) are paths by name, C(endpoint) is where this machine reaches the API."""

    control: Member
    nodes: tuple[Member, ...]
    programs: Mapping[str, str]
    pod_cidrs: tuple[str, ...]
    service_cidrs: tuple[str, ...]
    endpoint: tuple[str, int]
    archives: tuple[Archive, ...]
    sandbox_image: str
    extra_args: Mapping[str, tuple[str, ...]]
    path: str
    cgroup: str


@dataclass(frozen=True)
class Part:
    """What a host has to be: its files, its processes in the order of their start, and gateways by destination."""

    files: tuple[File, ...]
    processes: tuple[Process, ...]
    routes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """What a host is: the digests of its files by path (None: no such file), the revisions of its processes, and
    the gateways of routes by destination.
    """

    files: Mapping[str, str | None]
    processes: Mapping[str, str]
    plugins: frozenset[str] = frozenset()
    images: frozenset[str] = frozenset()
    routes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """One step. C(kind) is write, plugins, route, restart, start, import or stop; C(what) a path, the name of a
    process or the destination of a route.
    """

    kind: str
    host: str
    what: str = ""

    def __str__(self) -> str:
        texts = {
            "write": f"write {self.what} in {self.host}",
            "plugins": f"install the CNI plugins {self.what} in {self.host}",
            "route": f"route {self.what} from {self.host} to a node",
            "restart": f"restart {self.what} in {self.host}",
            "start": f"start {self.what} in {self.host}",
            "import": f"import {self.what} in {self.host}",
        }
        return texts[self.kind]


def check_networks(option: str, cidrs: Sequence[str], taken: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Return the networks of an option: one, or one of each family. Raises InputError, also for an overlap.

    C(taken) are pairs of what has a network and that network.
    """
    networks = []
    for cidr in cidrs:
        try:
            networks.append(ipaddress.ip_network(cidr))
        except ValueError as error:
            raise InputError(f"{option} has {cidr!r}: {error}. Give a network such as 10.244.0.0/16.") from error
    if not networks or len({network.version for network in networks}) != len(networks):
        raise InputError(
            f"{option} is {', '.join(cidrs) or 'empty'}. Give one network, or one of IPv4 and one of IPv6."
        )
    for owner, text in taken:
        other = ipaddress.ip_network(text)
        for network in networks:
            if network[0] in other or other[0] in network:
                raise InputError(f"{option} has {network}, which overlaps {other} of {owner}. Choose another network.")
    return tuple(str(network) for network in networks)


def network_of(address: str) -> str:
    """Return the network of an address with a prefix length."""
    return str(ipaddress.ip_interface(address).network)


def parse_endpoint(text: str) -> tuple[str, int]:
    """Return address and port of an endpoint on the loopback device. Raises InputError."""
    address, _colon, port = text.rpartition(":")
    try:
        loopback = ipaddress.ip_address(address.strip("[]")).is_loopback
        number = int(port)
    except ValueError:
        loopback, number = False, 0
    if not loopback or not 0 < number < 65536:
        raise InputError(f"endpoint is {text!r}. Give a loopback address and a port, for example 127.0.0.1:6443.")
    return address.strip("[]"), number


def check_memory(available_mib: int, nodes: int, *, control: bool) -> None:
    """Raise InputError when the machine has less memory than the nodes, and the control plane, need."""
    needed = (CONTROL_MIB if control else 0) + nodes * NODE_MIB
    if available_mib < needed:
        what = f"{'A control plane and ' if control else ''}{nodes} nodes"
        raise InputError(
            f"{what} need about {needed} MiB of memory, and {available_mib} MiB are available. Ask "
            "for fewer nodes, end other programs, or use a larger machine."
        )


def missing_programs(names: Iterable[str], places: Sequence[str]) -> str:
    """Say which programs are missing, where was looked and how to get them."""
    lacking = list(names)
    packages = sorted({PACKAGES[name] for name in lacking if name in PACKAGES})
    release = [name for name in lacking if name not in PACKAGES]
    remedies = [f"On Debian: apt-get install {' '.join(packages)}."] if packages else []
    if release:
        remedies.append(
            f"Kubernetes' releases have {', '.join(release)} (https://dl.k8s.io); name their directory in programs."
        )
    return f"{', '.join(lacking)} cannot be found in {', '.join(places)} or on the system. {' '.join(remedies)}"


def sandbox_image(archives: Sequence[Archive], wanted: str = "") -> str:
    """Return the image that holds a pod's namespaces: the one asked for, or the one that is called pause.

    Raises InputError when no archive has it, as kubelet could start no pod.
    """
    names = [name for archive in archives for name in archive.images]
    found = [name for name in names if name == wanted or (not wanted and re.search(r"/pause(:|$)", name))]
    if found:
        return found[0]
    raise InputError(
        f"None of the images is {wanted or 'a pause image'}, and without it no pod starts. Archives in images hold "
        f"{', '.join(names) or 'nothing'}. On a machine with a network and docker: docker pull "
        "registry.k8s.io/pause:3.10 and docker save -o pause.tar registry.k8s.io/pause:3.10."
    )


def first_address(cidr: str) -> str:
    """Return the address of the Service kubernetes: the first of the network of Services."""
    return str(ipaddress.ip_network(cidr)[1])


def identities(cluster: Cluster) -> list[Identity]:
    """Return the certificates of the cluster."""
    control = cluster.control
    names = (
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        f"kubernetes.default.svc.{DOMAIN}",
        "localhost",
        control.name,
        *control.addresses,
        cluster.endpoint[0],
        "127.0.0.1",
        *(first_address(cidr) for cidr in cluster.service_cidrs),
    )
    unique = tuple(dict.fromkeys(names))
    return [
        Identity("apiserver", "kube-apiserver", names=unique, client=False),
        Identity("apiserver-kubelet-client", "kube-apiserver-kubelet-client", "system:masters"),
        Identity("admin", "kubernetes-admin", "system:masters"),
        Identity("controller-manager", "system:kube-controller-manager"),
        Identity("scheduler", "system:kube-scheduler"),
        Identity("proxy", "system:kube-proxy"),
        *(
            Identity(f"kubelet-{node.name}", f"system:node:{node.name}", "system:nodes", (node.name, *node.addresses))
            for node in cluster.nodes
        ),
    ]


def kubeconfig(server: str, authority: str, pair: tuple[str, str], user: str) -> str:
    """Return a kubeconfig with the certificates in it, all arguments but the address as PEM or plain text."""
    return _json(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": "lab", "cluster": {"server": server, "certificate-authority-data": _base64(authority)}}
            ],
            "users": [
                {
                    "name": user,
                    "user": {"client-certificate-data": _base64(pair[0]), "client-key-data": _base64(pair[1])},
                }
            ],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": user}}],
            "current-context": "lab",
        }
    )


def url(address: str, port: int = API_PORT) -> str:
    """Return the address of an HTTPS server."""
    return f"https://[{address}]:{port}" if ":" in address else f"https://{address}:{port}"


def control_part(cluster: Cluster, pem: Mapping[str, str]) -> Part:
    """Return files and processes of the control plane. C(pem) has certificates and keys by file name."""
    server = url(cluster.control.addresses[0])
    pairs = [f"{name}.{end}" for name in ("ca", "apiserver", "apiserver-kubelet-client") for end in ("crt", "key")]
    files = [File(f"{PKI}/{name}", pem[name], 0o600) for name in (*pairs, "sa.key", "sa.pub")]
    for user, file_name in (
        ("controller-manager", "controller-manager"),
        ("scheduler", "scheduler"),
        ("admin", "admin"),
    ):
        text = kubeconfig(server, pem["ca.crt"], (pem[f"{user}.crt"], pem[f"{user}.key"]), user)
        files.append(File(f"{CONFIG}/{file_name}.conf", text, 0o600))
    services = ",".join(cluster.service_cidrs)
    etcd = (
        "--name=lab",
        "--data-dir=/var/lib/etcd",
        "--listen-client-urls=http://127.0.0.1:2379",
        "--advertise-client-urls=http://127.0.0.1:2379",
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--initial-advertise-peer-urls=http://127.0.0.1:2380",
        "--initial-cluster=lab=http://127.0.0.1:2380",
        "--unsafe-no-fsync",
        "--log-level=warn",
    )
    apiserver = (
        f"--advertise-address={cluster.control.addresses[0]}",
        f"--secure-port={API_PORT}",
        "--etcd-servers=http://127.0.0.1:2379",
        f"--client-ca-file={PKI}/ca.crt",
        f"--tls-cert-file={PKI}/apiserver.crt",
        f"--tls-private-key-file={PKI}/apiserver.key",
        f"--kubelet-certificate-authority={PKI}/ca.crt",
        f"--kubelet-client-certificate={PKI}/apiserver-kubelet-client.crt",
        f"--kubelet-client-key={PKI}/apiserver-kubelet-client.key",
        "--kubelet-preferred-address-types=InternalIP",
        f"--service-account-issuer=https://kubernetes.default.svc.{DOMAIN}",
        f"--service-account-key-file={PKI}/sa.pub",
        f"--service-account-signing-key-file={PKI}/sa.key",
        f"--service-cluster-ip-range={services}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        "--profiling=false",
        # No kube-proxy is here: Services of webhooks and of aggregated APIs are reached by their endpoints.
        "--enable-aggregator-routing=true",
    )
    manager = (
        f"--kubeconfig={CONFIG}/controller-manager.conf",
        "--allocate-node-cidrs=true",
        f"--cluster-cidr={','.join(cluster.pod_cidrs)}",
        f"--service-cluster-ip-range={services}",
        f"--root-ca-file={PKI}/ca.crt",
        f"--service-account-private-key-file={PKI}/sa.key",
        f"--cluster-signing-cert-file={PKI}/ca.crt",
        f"--cluster-signing-key-file={PKI}/ca.key",
        "--use-service-account-credentials=true",
        "--leader-elect=false",
        "--profiling=false",
    )
    scheduler = (f"--kubeconfig={CONFIG}/scheduler.conf", "--leader-elect=false", "--profiling=false")
    arguments = {
        "etcd": etcd,
        "kube-apiserver": apiserver,
        "kube-controller-manager": manager,
        "kube-scheduler": scheduler,
    }
    return Part(
        tuple(files),
        tuple(_process(cluster, name, arguments[name], _read_by(name, files)) for name in arguments),
        _pod_routes(cluster),
    )


def _pod_routes(cluster: Cluster) -> dict[str, str]:
    """The way to all pods, for webhooks: the first node forwards, whatever the pod network is."""
    by_family = {ipaddress.ip_address(address).version: address for address in reversed(cluster.nodes[0].addresses)}
    versions = {cidr: ipaddress.ip_network(cidr).version for cidr in cluster.pod_cidrs}
    return {cidr: by_family[version] for cidr, version in versions.items() if version in by_family}


def node_part(cluster: Cluster, node: Member, pem: Mapping[str, str]) -> Part:
    """Return files and processes of a node."""
    server = url(cluster.control.addresses[0])
    kubelet = f"kubelet-{node.name}"
    files = [
        File(CONTAINERD_CONFIG, containerd_config(cluster.sandbox_image, systemd=node.guest)),
        File(f"{PKI}/ca.crt", pem["ca.crt"]),
        File(f"{PKI}/kubelet.crt", pem[f"{kubelet}.crt"]),
        File(f"{PKI}/kubelet.key", pem[f"{kubelet}.key"], 0o600),
        File(
            f"{CONFIG}/kubelet.conf",
            kubeconfig(server, pem["ca.crt"], (pem[f"{kubelet}.crt"], pem[f"{kubelet}.key"]), kubelet),
            0o600,
        ),
        File(
            f"{CONFIG}/kubelet.yaml",
            _json(kubelet_config("" if node.guest else f"/{cluster.cgroup}/{node.name}/pods")),
        ),
        File(
            f"{CONFIG}/kube-proxy.conf",
            kubeconfig(server, pem["ca.crt"], (pem["proxy.crt"], pem["proxy.key"]), "kube-proxy"),
            0o600,
        ),
        File(f"{CONFIG}/kube-proxy.yaml", _json(proxy_config(node.name, cluster.pod_cidrs))),
    ]
    arguments = {
        "containerd": (f"--config={CONTAINERD_CONFIG}",),
        "kubelet": (
            f"--config={CONFIG}/kubelet.yaml",
            f"--kubeconfig={CONFIG}/kubelet.conf",
            f"--node-ip={','.join(node.addresses[:2])}",
        ),
        "kube-proxy": (f"--config={CONFIG}/kube-proxy.yaml",),
    }
    return Part(
        tuple(files), tuple(_process(cluster, name, arguments[name], _read_by(name, files)) for name in arguments)
    )


_READERS = {
    "etcd": (),
    "kube-apiserver": (f"{PKI}/ca.crt", f"{PKI}/apiserver", f"{PKI}/sa."),
    "kube-controller-manager": (f"{PKI}/ca.", f"{PKI}/sa.key", f"{CONFIG}/controller-manager."),
    "kube-scheduler": (f"{CONFIG}/scheduler.",),
    "containerd": (CONTAINERD_CONFIG,),
    "kubelet": (f"{PKI}/", f"{CONFIG}/kubelet."),
    "kube-proxy": (f"{CONFIG}/kube-proxy.",),
}


def _read_by(name: str, files: Iterable[File]) -> list[File]:
    return [file for file in files if file.path.startswith(_READERS[name])]


def _process(cluster: Cluster, name: str, arguments: Sequence[str], files: Iterable[File]) -> Process:
    argv = (cluster.programs[name], *arguments, *cluster.extra_args.get(name, ()))
    text = _json([list(argv), cluster.path, [[file.path, digest(file.text)] for file in files]])
    return Process(name, argv, (("PATH", cluster.path),), revision=digest(text))


def digest(text: str) -> str:
    """Return what tells one text from another."""
    return hashlib.sha256(text.encode()).hexdigest()


def containerd_config(sandbox: str, *, systemd: bool = False) -> str:
    """Return the configuration of containerd, which 1.6 and newer read. C(systemd) says whether a systemd of the node's
    own has the control groups.

    AppArmor profiles are the machine's, and a process of a lab must not ask to be killed later than the machine's own.
    """
    return f"""version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt"]

[grpc]
address = "{CONTAINERD_SOCKET}"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{sandbox}"
disable_apparmor = true
restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{CNI_BIN_DIR}"
conf_dir = "/etc/cni/net.d"

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
default_runtime_name = "runc"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = {str(systemd).lower()}
"""


def kubelet_config(cgroup_root: str) -> dict[str, Any]:
    """Return the KubeletConfiguration of a node, whose control groups are below C(cgroup_root), an empty text for a
    guest: all are its own, cgroup v2, and its systemd has them.

    The control groups, swap and disk of the machine are not the node's to judge, and there is no DNS to hand on. What a
    guest in software starts may take minutes, and kubelet would start it once more.
    """
    own: dict[str, Any] = {"cgroupDriver": "systemd", "failCgroupV1": True, "runtimeRequestTimeout": "15m0s"}
    if cgroup_root:
        own = {"cgroupDriver": "cgroupfs", "cgroupRoot": cgroup_root, "failCgroupV1": False}
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{PKI}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": f"{PKI}/kubelet.crt",
        "tlsPrivateKeyFile": f"{PKI}/kubelet.key",
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "clusterDomain": DOMAIN,
        "resolvConf": "",
        **own,
        "enforceNodeAllocatable": [],
        "failSwapOn": False,
        "localStorageCapacityIsolation": False,
        "evictionHard": {"nodefs.available": "0%", "nodefs.inodesFree": "0%", "imagefs.available": "0%"},
        "imageGCHighThresholdPercent": 100,
        "volumePluginDir": "/var/lib/kubelet/volumeplugins",
    }


def proxy_config(node: str, pod_cidrs: Sequence[str]) -> dict[str, Any]:
    """Return the KubeProxyConfiguration of a node. The size of the connection table is the machine's."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "hostnameOverride": node,
        "clusterCIDR": ",".join(pod_cidrs),
        "clientConnection": {"kubeconfig": f"{CONFIG}/kube-proxy.conf"},
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpCloseWaitTimeout": "0s", "tcpEstablishedTimeout": "0s"},
    }


def plan(host: str, want: Part, have: Found, archives: Sequence[Archive] = (), plugins: bool = False) -> list[Step]:
    """Return the ordered steps that make the host what it has to be. An empty list: nothing to do."""
    steps = [Step("write", host, file.path) for file in want.files if have.files.get(file.path) != digest(file.text)]
    lacking = [name for name in CNI_PLUGINS if name not in have.plugins] if plugins else []
    if lacking:
        steps.append(Step("plugins", host, ", ".join(lacking)))
    steps += [Step("route", host, to) for to, gateway in want.routes.items() if have.routes.get(to) != gateway]
    for process in want.processes:
        revision = have.processes.get(process.name)
        if revision != process.revision:
            steps.append(Step("start" if revision is None else "restart", host, process.name))
    steps += [Step("import", host, archive.path) for archive in archives if missing_images(archive, have.images)]
    return steps


def missing_images(archive: Archive, present: Iterable[str]) -> list[str]:
    """Return the images of an archive that a node has not: by name, or another one under that name."""
    names = set(present)
    return [name for name, config in archive.images.items() if not {name, config} <= names]


def _json(value: Any) -> str:
    return json.dumps(value, indent=2) + "\n"


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
