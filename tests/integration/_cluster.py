# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real Kubernetes cluster for tests: lab hosts as nodes, made by the role podnet.cni.lab as a user would."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.podnet.cni.plugins.module_utils._lab import containers
from ansible_collections.podnet.cni.plugins.module_utils._lab.plan import lab_key
from ansible_collections.podnet.cni.tests.integration import _kube, _warm
from ansible_collections.podnet.cni.tests.tools import cache

TOOLS = Path(cache.__file__).parent
CLIENT = "localhost/podnet-client:1"
WAIT_SECONDS = 180.0
STATE = "/run/podnet-lab"
# Mounts of containers, links, rules, and files in /run. The underlay is the lab's.
FORGET = """
mounts=$(awk '$5 ~ "^/(run|var/lib/kubelet)/." { print $5 }' /proc/self/mountinfo | sort -r)
for mount in $mounts; do umount -l "$mount"; done
for link in $(ls /sys/class/net); do case $link in lo|eth*) ;; *) ip link delete "$link" 2>/dev/null || : ;; esac; done
nft flush ruleset
rm -rf /run/flannel /run/containerd /run/netns
"""


class Run:
    """What became of one run of ansible-playbook."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.code = done.returncode
        # A line that is broken for the terminal is one line again.
        self.text = done.stdout + done.stderr
        self.flat = re.sub(r"\s+", " ", self.text)

    @property
    def changed(self) -> int:
        """The number of changed tasks on all hosts."""
        return sum(int(number) for number in re.findall(r"changed=(\d+)", self.text))

    def ok(self) -> Run:
        """Itself, unless it failed."""
        assert self.code == 0, self.text
        return self


class Cluster:
    """A control plane and C(nodes) nodes, called node1 and so on; C(kubernetes) are further keys of lab_kubernetes."""

    def __init__(self, name: str, nodes: int, guests: Sequence[str] = (), **kubernetes: Any) -> None:
        self.name = name
        self.guests = guests
        # A guest that was rebooted has nothing in /tmp.
        self.python = sys.executable if guests else _warm.interpreter()
        # While a guest boots, others with the same directory would wait.
        self.state = Path("/run/podnet-lab-guests" if guests else STATE)
        self.patience = WAIT_SECONDS
        self.nodes = [f"node{number}" for number in range(1, nodes + 1)]
        self.folder = Path(tempfile.mkdtemp(prefix="podnet-cluster-"))
        self.kubeconfig = self.state / name / "kubeconfig"
        self.inventory = self.folder / "inventory.yml"
        self.kubectl_program = str(cache.find("kubectl"))
        self.variables = _variables()
        self.variables["lab_kubernetes"].update({"endpoint": f"127.0.0.1:{_free_port()}", **kubernetes})

    def lab_variables(self, **variables: Any) -> str:
        """The variables of the role lab for this cluster, as JSON."""
        every = {
            "ansible_python_interpreter": self.python,
            "lab_python_interpreter": self.python,
            "lab_name": self.name,
            "lab_state_dir": str(self.state),
            "lab_hosts": len(self.nodes),
            "lab_guests": list(self.guests),
            "lab_inventory_path": str(self.inventory),
            **self.variables,
            **variables,
        }
        return json.dumps(every)

    def lab(self, **variables: Any) -> Run:
        """Run the role lab."""
        return self._ansible("podnet.cni.lab", json.loads(self.lab_variables(**variables)))

    def remove(self) -> None:
        """Remove every trace of it."""
        self.lab(lab_state="absent").ok()

    def role(self, role: str, tasks_from: str = "main", **variables: Any) -> Run:
        """Run a role of the collection on this machine."""
        task = {"ansible.builtin.include_role": {"name": f"podnet.cni.{role}", "tasks_from": tasks_from}}
        return self.play([task], **variables)

    def play(self, tasks: list[dict[str, Any]], *, hosts: str = "localhost", **variables: Any) -> Run:
        """Run tasks with the inventory of the lab, by default on this machine."""
        play: dict[str, Any] = {"hosts": hosts, "gather_facts": False, "tasks": tasks}
        if hosts == "localhost":
            play["connection"] = "local"
        path = self.folder / "play.yml"
        path.write_text(yaml.safe_dump([play]))
        kubeconfig = str(self.kubeconfig)
        every = {"flannel_kubeconfig": kubeconfig, "preflight_kubeconfig": kubeconfig, **variables}
        return self._ansible("-i", str(self.inventory), str(path), every)

    def playbook(self, name: str, **variables: Any) -> Run:
        """Run a playbook of the collection with the inventory of the lab."""
        return self._ansible("-i", str(self.inventory), f"podnet.cni.{name}", variables)

    def _ansible(self, *arguments: Any) -> Run:
        *words, variables = arguments
        environment = {
            **os.environ,
            "ANSIBLE_NOCOLOR": "true",
            "ANSIBLE_PIPELINING": "true",
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
            "K8S_AUTH_KUBECONFIG": str(self.kubeconfig),
        }
        python = {"ansible_python_interpreter": self.python}
        text = json.dumps({**python, **variables})
        return Run(_warm.ansible("playbook", "--diff", *words, "-e", text, environment=environment))

    def kubectl(self, *arguments: str, text: str = "") -> str:
        """Run kubectl as administrator and return its output."""
        command = [self.kubectl_program, f"--kubeconfig={self.kubeconfig}", *arguments]
        done = subprocess.run(command, check=False, capture_output=True, text=True, input=text)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def get(self, *arguments: str) -> Any:
        """An object or a list, as JSON."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def apply(self, *objects: dict[str, Any]) -> None:
        """Apply objects by kubectl."""
        self.kubectl("apply", "-f", "-", text=yaml.safe_dump_all(objects))

    def pods(self, selector: str, namespace: str = "default") -> list[dict[str, Any]]:
        """The pods with these labels."""
        return list(self.get("pods", "-n", namespace, "-l", selector)["items"])

    def flannel(self) -> dict[str, dict[str, Any]]:
        """flannel's pods by their node."""
        return {pod["spec"]["nodeName"]: pod for pod in self.pods("app=flannel", "kube-flannel")}

    def ready(self) -> dict[str, str]:
        """The condition Ready of each node: True, False or Unknown."""
        return {
            node["metadata"]["name"]: condition["status"]
            for node in self.get("nodes")["items"]
            for condition in node["status"]["conditions"]
            if condition["type"] == "Ready"
        }

    def await_(self, what: str, true: Callable[[], bool]) -> None:
        """Wait for something."""
        deadline = time.monotonic() + self.patience
        while time.monotonic() < deadline:
            with contextlib.suppress(AssertionError):
                if true():
                    return
            time.sleep(0.5)
        pytest.fail(f"{what} did not come true within {self.patience:.0f} s\n{self.kubectl('get', 'pods,nodes', '-A')}")

    def await_ready(self) -> None:
        """Wait until every node is ready."""
        self.await_("every node ready", lambda: self.ready() == dict.fromkeys(self.nodes, "True"))

    def inside(self, host: str, *command: str) -> str:
        """Run a command in a host and return its output."""
        if host in self.guests:
            ssh = ["ssh", "-F", str(self.kubeconfig.parent / "guests" / host / "ssh_config"), host, "--"]
            return subprocess.run([*ssh, shlex.join(command)], capture_output=True, text=True, check=True).stdout
        pins = self.kubeconfig.parent / "hosts" / host
        enter = ["nsenter", f"--net={pins / 'net'}", f"--mount={pins / 'mnt'}", f"--uts={pins / 'uts'}", "--"]
        return subprocess.run([*enter, *command], capture_output=True, text=True, check=True).stdout

    def reboot(self, node: str) -> None:
        """Take a node down with everything that runs on it and all that a kernel forgets, and bring it up again."""
        containers.Containers(lab_key(STATE, self.name), "/var/cache/podnet-lab").kill(node)
        self.inside(node, "sh", "-c", FORGET)
        self.lab().ok()

    def pid(self, host: str, process: str) -> int:
        """The number of one of the processes that the lab keeps in a host."""
        record = self.kubeconfig.parent / "kubernetes" / "processes" / host / f"{process}.json"
        return int(json.loads(record.read_text())["pid"])


def _variables() -> dict[str, Any]:
    made = subprocess.run([sys.executable, TOOLS / "lab.py"], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise cache.Missing(made.stderr.strip())
    return dict(json.loads(made.stdout))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def unmade(nodes: int, guests: Sequence[str] = (), **kubernetes: Any) -> Iterator[Cluster]:
    """A cluster that is not made yet, removed at the end. Skips, or under PODNET_REQUIRE_KUBE=1 fails."""
    if os.geteuid() != 0:
        pytest.skip("making namespaces needs root")
    try:
        cluster = Cluster(f"test-{os.getpid()}-{nodes}", nodes, guests, **kubernetes)
    except cache.Missing as reason:
        if _kube.required():
            pytest.fail(f"no cluster: {reason}")
        pytest.skip(f"no cluster: {reason}")
    try:
        yield cluster
    finally:
        cluster.remove()
        shutil.rmtree(cluster.folder)


@contextlib.contextmanager
def running(nodes: int = 3, **kubernetes: Any) -> Iterator[Cluster]:
    """A cluster without a pod network that is removed at the end."""
    with unmade(nodes, **kubernetes) as cluster:
        cluster.lab().ok()
        yield cluster
