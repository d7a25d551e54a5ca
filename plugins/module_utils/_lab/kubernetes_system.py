# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads a Kubernetes cluster on lab hosts and carries out the steps that change it.

Private to podnet.cni: may change in any release.

Below the lab's own directory, kubernetes/pki has the certificates and kubernetes/processes/HOST a record and a log of
each process.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import socket
import ssl
import sys
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Callable, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError, MissingError, PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._host.command import Run, checked
from ansible_collections.podnet.cni.plugins.module_utils._lab import kubernetes as model
from ansible_collections.podnet.cni.plugins.module_utils._lab.guest_units import GuestUnits
from ansible_collections.podnet.cni.plugins.module_utils._lab.images import read_archive
from ansible_collections.podnet.cni.plugins.module_utils._lab.pki import Authority
from ansible_collections.podnet.cni.plugins.module_utils._lab.plan import Lab, Process, plain
from ansible_collections.podnet.cni.plugins.module_utils._lab.system import System, available_mib, exclusive

READY_SECONDS = 120.0
# A guest without KVM is ten to thirty times as slow.
GUEST_READY_SECONDS = 1200.0
POLL_SECONDS = 0.1
# Each look into a guest is an ssh session, which takes its processor from what is waited for.
GUEST_POLL_SECONDS = 5.0
PROXY = "api-forwarder"
KUBEBUILDER = "/usr/local/kubebuilder/bin"
SYSTEMD_PLACES = ("/usr/lib/systemd", "/lib/systemd")
CNI_PLACES = ("/opt/cni/bin", "/usr/lib/cni")

READ = """
import hashlib, json, os, subprocess, sys
asked = json.load(sys.stdin)
def digest(path):
    try:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()
    except OSError:
        return None
folder = asked["plugins"]
plugins = [name for name in os.listdir(folder) if os.access(os.path.join(folder, name), os.X_OK)] \
    if os.path.isdir(folder) else []
routes = {}
for to in asked["routes"]:
    found = subprocess.run(["ip", "-j", "route", "show", "exact", to], stdout=subprocess.PIPE, check=True).stdout
    routes.update((to, route["gateway"]) for route in json.loads(found or b"[]") if "gateway" in route)
json.dump({"files": {path: digest(path) for path in asked["files"]}, "plugins": plugins, "routes": routes}, sys.stdout)
"""

WRITE = """
import json, os, sys
for path, text, mode in json.load(sys.stdin):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    partial = path + ".partial"
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
        file.write(text)
    os.chmod(partial, mode)
    os.replace(partial, path)
"""


def find_programs(directories: Sequence[str]) -> dict[str, str]:
    """Return the paths of all programs of a cluster by name.

    In order: C(directories), C(KUBEBUILDER_ASSETS), kubebuilder's directory, C(PATH), system directories that are not
    on it. CNI plugins are not looked for on C(PATH), where C(bridge) is a program of iproute2. Raises MissingError
    that names all that is missing.
    """
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    places = [*directories, *([assets] if assets else []), KUBEBUILDER]
    path = [*os.environ.get("PATH", os.defpath).split(os.pathsep), "/usr/sbin", "/sbin", *SYSTEMD_PLACES]
    found = {name: shutil.which(name, path=os.pathsep.join([*places, *path])) for name in model.PROGRAMS}
    found.update({name: shutil.which(name, path=os.pathsep.join([*places, *CNI_PLACES])) for name in model.CNI_PLUGINS})
    lacking = [name for name, where in found.items() if where is None]
    if lacking:
        raise MissingError(model.missing_programs(lacking, places))
    return {name: os.path.realpath(where) for name, where in found.items() if where is not None}


def program_path(programs: Mapping[str, str]) -> str:
    """Return the PATH for the processes: each program's directory, so that they find one another."""
    folders = [os.path.dirname(programs[name]) for name in model.NODE_PROGRAMS]
    return os.pathsep.join(dict.fromkeys([*folders, "/usr/sbin", "/usr/bin", "/sbin", "/bin"]))


@dataclass(frozen=True)
class Plan:
    """The certificates to issue, the steps of each host, and whether this machine needs its way to the API again."""

    certificates: tuple[str, ...]
    steps: tuple[model.Step, ...]
    proxy: bool
    kubeconfig: bool

    def actions(self) -> list[str]:
        """Return the whole plan as text."""
        lines = [f"issue certificates: {', '.join(self.certificates)}"] if self.certificates else []
        lines += [str(step) for step in self.steps]
        lines += ["forward the API to this machine"] if self.proxy else []
        return [*lines, *(["write the kubeconfig"] if self.kubeconfig else [])]


class KubernetesSystem:
    """The cluster C(want) on the hosts of the lab C(system), with the administrator's kubeconfig at C(kubeconfig)."""

    def __init__(self, system: System, want: model.Cluster, kubeconfig: str, run: Run) -> None:
        self.system = system
        self.want = want
        self.kubeconfig = kubeconfig
        self.run = run
        self.authority = Authority(os.path.join(system.folder, "kubernetes", "pki"))
        self.table = system.kubernetes
        self.units = GuestUnits(run, system.inside)
        self.guests = {node.name for node in want.nodes if node.guest}

    # -- observe

    def plan(self) -> Plan:
        """Compare what is there with what is wanted. Raises InputError when the machine cannot do it."""
        certificates = self.authority.lacking(model.identities(self.want))
        parts = self._parts()
        steps: list[model.Step] = []
        for name, part in parts.items():
            node = name != self.want.control.name
            archives = self.want.archives if node else ()
            steps += model.plan(name, part, self._observe(name, part, node), archives, plugins=node)
        proxy = self.table.revision(self.want.control.name, PROXY) != self._proxy().revision
        result = Plan(tuple(certificates), tuple(steps), proxy, bool(certificates) or not self._kubeconfig_fits())
        self.check_machine()
        return result

    def _parts(self) -> dict[str, model.Part]:
        # before the first certificate is issued, every text that holds one differs from what it will be
        pem = defaultdict(str, self.authority.pem())
        parts = {self.want.control.name: model.control_part(self.want, pem)}
        parts.update((node.name, model.node_part(self.want, node, pem)) for node in self.want.nodes)
        return parts

    def _observe(self, host: str, part: model.Part, node: bool) -> model.Found:
        asked = {
            "files": [file.path for file in part.files],
            "plugins": model.CNI_BIN_DIR,
            "routes": list(part.routes),
        }
        answer = json.loads(self._python(host, READ, asked))
        running = {name: revision for name, revision in self._revisions(host).items() if revision is not None}
        images: frozenset[str] = frozenset()
        if node and "containerd" in running:
            code, out, _err = self.run(self.system.inside(host, self._ctr("images", "ls", "-q")), None)
            images = frozenset(out.split()) if code == 0 else images
        return model.Found(answer["files"], running, frozenset(answer["plugins"]), images, answer["routes"])

    def _revisions(self, host: str) -> dict[str, str | None]:
        """The revisions of the processes that were started in a host, None for one that has ended."""
        if host in self.guests:
            return self.units.revisions(host)
        return {name: self.table.revision(host, name) for name in self.table.names(host)}

    def check_machine(self) -> None:
        """Raise InputError when the endpoint is taken, or the memory too small for what does not run yet.

        Guests have memory of their own.
        """
        if self.table.revision(self.want.control.name, PROXY) is None:
            _check_port(*self.want.endpoint)
        nodes = [node.name for node in self.want.nodes if node.name not in self.guests]
        missing = [name for name in nodes if self.table.revision(name, "kubelet") is None]
        control = self.table.revision(self.want.control.name, "kube-apiserver") is None
        if missing or control:
            model.check_memory(available_mib(), len(missing), control=control)

    def _kubeconfig_text(self) -> str:
        pem = self.authority.pem()
        pair = (pem["admin.crt"], pem["admin.key"])
        return model.kubeconfig(model.url(*self.want.endpoint), pem["ca.crt"], pair, "admin")

    def _kubeconfig_fits(self) -> bool:
        try:
            with open(self.kubeconfig, encoding="ascii") as file:
                return file.read() == self._kubeconfig_text()
        except (OSError, ValueError):
            return False

    # -- apply

    def apply(self, plan: Plan) -> None:
        """Carry out the plan and wait until the API server answers and every node has registered."""
        self.authority.issue(plan.certificates, model.identities(self.want))
        parts = self._parts()
        # new certificates change files and processes beyond what could be planned
        steps = self.plan().steps if plan.certificates else plan.steps
        for host, part in parts.items():
            texts = {step.what for step in steps if step.host == host and step.kind == "write"}
            files = [(file.path, file.text, file.mode) for file in part.files if file.path in texts]
            if files:
                self._python(host, WRITE, files)
        self._install_plugins([step for step in steps if step.kind == "plugins"])
        for step in (each for each in steps if each.kind == "route"):
            route = ["ip", "route", "replace", step.what, "via", parts[step.host].routes[step.what]]
            self._checked(self.system.inside(step.host, route))
        if plan.kubeconfig:
            self._write_kubeconfig()
        begin = [(s.host, s.what) for s in steps if s.kind in ("start", "restart")]
        for host, name in begin:
            if host not in self.guests:
                self.table.stop(host, name)
        if plan.proxy:
            self.table.stop(self.want.control.name, PROXY)
            self.table.start(
                self.want.control.name, self._proxy(), self.system.containers.enter(self.want.control.name)
            )
        self._start(parts, [(host, name) for host, name in begin if name in ("etcd", "kube-apiserver", "containerd")])
        self._import([step for step in steps if step.kind == "import"])
        self.await_("the API server does not answer", self._api_ready, (self.want.control.name,))
        self._start(
            parts, [(host, name) for host, name in begin if name not in ("etcd", "kube-apiserver", "containerd")]
        )
        self.await_nodes()

    def _start(self, parts: Mapping[str, model.Part], wanted: Sequence[tuple[str, str]]) -> None:
        for host, part in parts.items():
            for process in part.processes:
                if (host, process.name) in wanted:
                    self._start_one(host, process)

    def _start_one(self, host: str, process: Process) -> None:
        if host in self.guests:
            self.units.start(host, process, "containerd" if process.name == "kubelet" else "")
        else:
            self.table.start(host, process, [*self.system.containers.enter(host), *self.system.enter(host)])

    def _install_plugins(self, steps: Sequence[model.Step]) -> None:
        for step in steps:
            sources = [self.want.programs[name] for name in step.what.split(", ")]
            script = 'mkdir -p "$0"; cp -- "$@" "$0"'
            self._checked(self.system.inside(step.host, ["sh", "-ec", script, model.CNI_BIN_DIR, *sources]))

    def _import(self, steps: Sequence[model.Step]) -> None:
        hosts = sorted({step.host for step in steps})

        def every(host: str) -> None:
            self.await_("containerd does not answer", lambda: self._containerd_ready(host), (host,))
            for step in steps:
                if step.host == host:
                    self._checked(self.system.inside(host, self._ctr("images", "import", step.what)))

        with ThreadPoolExecutor(max_workers=max(1, os.cpu_count() or 1)) as pool:
            for done in [pool.submit(every, host) for host in hosts]:
                done.result()

    def _write_kubeconfig(self) -> None:
        os.makedirs(os.path.dirname(self.kubeconfig), exist_ok=True)
        partial = f"{self.kubeconfig}.partial"
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(self._kubeconfig_text())
        os.replace(partial, self.kubeconfig)

    # -- wait

    def await_nodes(self) -> None:
        """Wait until every node has registered. Raises PodnetError."""
        names = {node.name for node in self.want.nodes}
        self.await_(
            "not every node registers",
            lambda: names <= {node["metadata"]["name"] for node in self.nodes()},
            sorted(names),
        )

    def await_(self, what: str, ready: Callable[[], bool], hosts: Sequence[str]) -> None:
        """Wait for something. Raises PodnetError with the logs of the processes that ended, or of all these hosts."""
        slow = bool(self.guests & set(hosts))
        patience = GUEST_READY_SECONDS if slow else READY_SECONDS
        deadline = time.monotonic() + patience
        dead: list[tuple[str, str]] = []
        started: list[tuple[str, str]] = []
        while not dead and time.monotonic() < deadline:
            with contextlib.suppress(OSError, http.client.HTTPException, PodnetError, ValueError):
                if ready():
                    return
            time.sleep(GUEST_POLL_SECONDS if slow else POLL_SECONDS)
            states = {(host, name): state for host in hosts for name, state in self._revisions(host).items()}
            started = list(states)
            dead = [each for each, state in states.items() if state is None]
        lines = [f"{name} of {host}: {self._log_tail(host, name)}" for host, name in dead or started]
        ended = "A process ended" if dead else f"Within {patience:.0f} s {what}"
        raise PodnetError(f"{ended}. The ends of the logs in {self.table.folder}: {' || '.join(lines)}")

    def _log_tail(self, host: str, name: str) -> str:
        return (self.units if host in self.guests else self.table).log_tail(host, name)

    def nodes(self) -> list[dict[str, Any]]:
        """Return the Node objects. Raises OSError, HTTPException or PodnetError."""
        return list(json.loads(self._get("/api/v1/nodes"))["items"])

    def version(self) -> str:
        """Return the version of the API server, v1.36.3."""
        return str(json.loads(self._get("/version"))["gitVersion"])

    def _api_ready(self) -> bool:
        return self._get("/readyz") == "ok"

    def _get(self, path: str) -> str:
        folder = self.authority.folder
        context = ssl.create_default_context(cafile=os.path.join(folder, "ca.crt"))
        context.load_cert_chain(os.path.join(folder, "admin.crt"), os.path.join(folder, "admin.key"))
        connection = http.client.HTTPSConnection(*self.want.endpoint, timeout=10, context=context)
        with contextlib.closing(connection):
            connection.request("GET", path)
            reply = connection.getresponse()
            text = reply.read().decode()
        if reply.status != 200:
            raise PodnetError(f"The API server answers {reply.status} to {path}: {text[:200]}")
        return text

    def _containerd_ready(self, host: str) -> bool:
        return self.run(self.system.inside(host, self._ctr("version")), None)[0] == 0

    # -- commands

    def _ctr(self, *arguments: str) -> list[str]:
        return [self.want.programs["ctr"], f"--address={model.CONTAINERD_SOCKET}", "--namespace=k8s.io", *arguments]

    def _proxy(self) -> Process:
        address, port = self.want.endpoint
        control = self.want.control
        net = os.path.join(self.system.pins(control.name), "net")
        argv = (
            self.want.programs["systemd-socket-activate"],
            f"--listen={_join(address, port)}",
            "nsenter",
            f"--net={net}",
            "--",
            self.want.programs["systemd-socket-proxyd"],
            _join(control.addresses[0], model.API_PORT),
        )
        return Process(PROXY, argv, revision=model.digest(json.dumps(argv)))

    def _python(self, host: str, script: str, value: Any) -> str:
        return self._checked(self.system.inside(host, [sys.executable, "-c", script]), json.dumps(value))

    def _checked(self, command: Sequence[str], text: str | None = None) -> str:
        return checked(self.run, command, text, missing="install what the requirements of this module name")


def _join(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _check_port(address: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            raise InputError(
                f"endpoint is {_join(address, port)}, which cannot be used: {error.strerror}. "
                "Choose another port, or end what listens there (ss -ltnp shows it)."
            ) from error


def _extra_args(asked: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Arguments by program. Raises InputError for an unknown program and for a value that is not a list."""
    for name, arguments in asked.items():
        if name not in model.PROCESSES:
            raise InputError(f"extra_args has {name}, and the programs are: {', '.join(model.PROCESSES)}")
        if not isinstance(arguments, list):
            raise InputError(f"extra_args.{name} is {arguments!r}; give a list")
    return {name: tuple(map(str, arguments)) for name, arguments in asked.items() if arguments}


def wanted(options: Mapping[str, Any], system: System, lab: Lab) -> model.Cluster:
    """Return the cluster that the options of M(podnet.cni.netns_kubernetes) ask for. Raises InputError.

    Everything is judged that can be judged before anything is changed: hosts, networks, programs and images. A host
    that the lab has not is a member without an address.
    """
    names = [options["control_plane"], *options["nodes"]]
    if len(set(names)) != len(names) or not options["nodes"]:
        raise InputError(
            f"control_plane is {names[0]} and nodes are {', '.join(names[1:]) or 'none'}. "
            "Give at least one node, each host once."
        )
    asked = options["cluster"]
    underlay = [
        ("the underlay", model.network_of(address)) for address in (lab.underlay.addresses if lab.underlay else ())
    ]
    pods = model.check_networks("pod_cidrs", asked["pod_cidrs"], underlay)
    taken = [*underlay, *(("pod_cidrs", cidr) for cidr in pods)]
    services = model.check_networks("service_cidrs", asked["service_cidrs"], taken)
    endpoint = model.parse_endpoint(asked["endpoint"])
    programs = find_programs(asked["programs"])
    archives = tuple(read_archive(path) for path in asked["images"])
    return model.Cluster(
        control=_member(lab, names[0]),
        nodes=tuple(_member(lab, name) for name in names[1:]),
        programs=programs,
        pod_cidrs=pods,
        service_cidrs=services,
        endpoint=endpoint,
        archives=archives,
        sandbox_image=model.sandbox_image(archives, asked["sandbox_image"] or ""),
        extra_args=_extra_args(asked["extra_args"]),
        path=program_path(programs),
        cgroup=system.containers.group(),
    )


def _member(lab: Lab, name: str) -> model.Member:
    host = lab.hosts.get(name)
    if host is None or not host.containers:
        return model.Member(name, ())
    return model.Member(name, tuple(plain(address) for address in host.addresses), host.guest > 0)


def reconcile(options: Mapping[str, Any], run: Run, *, check: bool, warn: Callable[[str], None]) -> dict[str, Any]:
    """Bring the cluster to what the options ask for, and return the result of the module. Raises PodnetError."""
    if os.geteuid() != 0:
        raise InputError(f"Entering lab hosts needs root, and the task runs as user id {os.geteuid()}. Use become.")
    system = System(
        run,
        options["state_dir"],
        options["lab"],
        copy_on_write_dirs=(),
        private_dirs=(),
        data_dir=options["data_dir"],
        warn=warn,
    )
    with contextlib.nullcontext() if check else exclusive(options["state_dir"]):
        want = wanted(options, system, system.observe())
        path = options["cluster"]["kubeconfig"] or os.path.join(system.folder, "kubeconfig")
        cluster = KubernetesSystem(system, want, path, run)
        missing = [member.name for member in (want.control, *want.nodes) if not member.addresses]
        if missing and not check:
            raise InputError(
                f"The lab in {system.folder} has no host {', '.join(missing)} that can run containers. "
                "Make it with podnet.cni.netns_lab and containers: true."
            )
        if missing:
            # a check run before the hosts are made
            cluster.check_machine()
            return _result(want, path, "", [f"make a Kubernetes cluster of {', '.join(options['nodes'])}"])
        plan = cluster.plan()
        if not check:
            cluster.apply(plan)
        version = cluster.version() if not (check and plan.actions()) else ""
    return _result(want, path, version, plan.actions())


def _result(want: model.Cluster, path: str, version: str, actions: list[str]) -> dict[str, Any]:
    return {
        "changed": bool(actions),
        "actions": actions,
        # Certificates and processes have no text to compare: Ansible shows what is to be done.
        "diff": {"prepared": "".join(f"{action}\n" for action in actions)},
        "kubernetes": {
            "version": version,
            "kubeconfig": path,
            "server": model.url(*want.endpoint),
            "images": sorted(name for archive in want.archives for name in archive.images),
        },
    }
