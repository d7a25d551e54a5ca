# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cluster that runs flannel, and the playbooks run on it."""

from __future__ import annotations

import datetime
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._errors import __file__ as imported
from ansible_collections.podnet.cni.plugins.module_utils._rollout.state import ANNOTATION, decode
from ansible_collections.podnet.cni.tests.integration import _kube, _warm
from ansible_collections.podnet.cni.tests.integration._as_typed import as_typed
from ansible_collections.podnet.cni.tests.integration.rollout._agents import MERGE, Agents

TREE = Path(imported).parents[5]
NODES = ["c1", "n1", "n2", "n3"]
BEFORE, AFTER = "v0.27.4", "v0.28.9"
IMAGE = "ghcr.io/flannel-io/flannel:"


class Play:
    """A playbook that runs."""

    def __init__(self, arguments: list[str], environment: Mapping[str, str], log: Path) -> None:
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                arguments, env=environment, stdout=output, stderr=output, stdin=subprocess.DEVNULL
            )

    def output(self) -> str:
        """What it said so far; Ansible breaks long messages into lines."""
        return " ".join(self._log.read_text().split())

    def end(self) -> int:
        """Wait for its end; gives the exit status."""
        return self._process.wait(240)

    def interrupt(self) -> None:
        """Press Ctrl-C, as soon as the signal is accepted, and wait."""
        self._process.send_signal(signal.SIGINT)
        self.end()


class Cluster:
    """Flannel in an older release on four nodes, and what is wanted of it."""

    def __init__(self, server: _kube.KubeServer, agents: Agents, directory: Path) -> None:
        self.server = server
        self.agents = agents
        self.directory = directory
        self.runs = 0

    @property
    def backups(self) -> list[Path]:
        """Directories with a backup."""
        return sorted(each.parent for each in (self.directory / "upgrades").glob("*/backup.json"))

    @property
    def unfinished(self) -> dict[str, Any]:
        """What the Lease remembers of an upgrade that has not ended."""
        found = [
            decode(lease).record for lease in self.leases() if ANNOTATION in lease["metadata"].get("annotations", {})
        ]
        return found[0] if found else {}

    def tags(self) -> dict[str, str]:
        """The release that each node runs."""
        return {node: image[len(IMAGE) :] for node, image in self.agents.images().items()}

    def restart(self, node: str) -> None:
        """Delete the pod of a node."""
        pod = next(pod for pod in self.agents.pods() if pod["spec"]["nodeName"] == node)
        self.server.api("DELETE", f"/api/v1/namespaces/kube-flannel/pods/{pod['metadata']['name']}")

    def leases(self) -> list[Any]:
        """Leases of rollouts."""
        path = "/apis/coordination.k8s.io/v1/namespaces/kube-flannel/leases"
        return list(self.server.api("GET", path)["items"])

    def hold(self, daemonset: str) -> None:
        """Have somebody else roll a DaemonSet out."""
        lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": f"podnet-rollout-{daemonset}"},
            "spec": {
                "holderIdentity": "somebody",
                "leaseDurationSeconds": 3600,
                "renewTime": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            },
        }
        self.server.api("POST", "/apis/coordination.k8s.io/v1/namespaces/kube-flannel/leases", lease)

    def start(self, playbook: str = "upgrade", **variables: Any) -> Play:
        """Start a playbook."""
        self.runs += 1
        command = [sys.executable, "-m", "ansible", "playbook", *self._arguments(playbook, variables)]
        return Play(command, environment(), self.directory / f"{self.runs}.log")

    def _arguments(self, playbook: str, variables: Mapping[str, Any]) -> list[str]:
        given = {
            "flannel_kubeconfig": str(self.server.admin),
            "flannel_image_tag": AFTER,
            "flannel_wait": False,
            "upgrade_directory": str(self.directory / "upgrades"),
            "upgrade_preflight": False,
            "upgrade_soak": 0,
            "upgrade_poll": 0.2,
            "upgrade_wave_timeout": 120,
            "upgrade_lease_seconds": 600,
            "upgrade_batch": ["1"],
            "ansible_python_interpreter": _warm.interpreter(),
            **variables,
        }
        # An inventory without localhost: the implicit one is reached without a connection.
        (self.directory / "hosts").mkdir(exist_ok=True)
        return [
            "-i",
            str(self.directory / "hosts"),
            "-e",
            json.dumps(as_typed("upgrade", given)),
            f"podnet.cni.{playbook}",
        ]

    def _end(self, playbook: str, variables: Mapping[str, Any]) -> tuple[int, str]:
        arguments = self._arguments(playbook, variables)
        done = _warm.ansible("playbook", *arguments, environment=environment(wants_helm(variables)))
        return done.returncode, " ".join((done.stdout + done.stderr).split())

    def run(self, playbook: str = "upgrade", **variables: Any) -> str:
        """Run a playbook to its end, which has to be a good one; gives what it said."""
        code, said = self._end(playbook, variables)
        assert code == 0, said
        return said

    def fails(self, playbook: str = "upgrade", **variables: Any) -> str:
        """Run a playbook that has to fail; gives what it said."""
        code, said = self._end(playbook, variables)
        assert code != 0, said
        return said

    def expire(self) -> None:
        """Let so much time pass that the Lease of a killed run has run out."""
        path = "/apis/coordination.k8s.io/v1/namespaces/kube-flannel/leases/podnet-rollout-kube-flannel-ds"
        self.server.api("PATCH", path, {"spec": {"renewTime": "2026-01-01T00:00:00.000000Z"}}, MERGE)

    def until(self, condition: Callable[[], bool], seconds: float = 300.0) -> None:
        """Wait for something."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "never came to that"
            time.sleep(0.05)

    def snapshot(self) -> dict[str, Any]:
        """What a rollback has to bring back."""
        spec = self.agents.daemonset()["spec"]
        role = self.server.api("GET", "/apis/rbac.authorization.k8s.io/v1/clusterroles/flannel")
        config = self.server.api("GET", "/api/v1/namespaces/kube-flannel/configmaps/kube-flannel-cfg")
        return {
            "template": spec["template"],
            "strategy": spec["updateStrategy"],
            "rules": role["rules"],
            **config["data"],
        }


def environment(helm: bool = False) -> dict[str, str]:
    """The variables of a run of Ansible. Without Helm no other collection is there, as on a user's machine."""
    installed = os.environ.get("ANSIBLE_COLLECTIONS_PATH", "").split(os.pathsep) if helm else []
    places = [str(TREE), *filter(None, installed)]
    return {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": os.pathsep.join(places),
        "ANSIBLE_NOCOLOR": "true",
        "ANSIBLE_PIPELINING": "true",
        "ANSIBLE_LOCALHOST_WARNING": "false",
    }


def wants_helm(variables: Mapping[str, Any]) -> bool:
    """Whether a run needs the collection kubernetes.core."""
    return variables.get("flannel_install_method") == "helm"


def install(server: _kube.KubeServer, directory: Path, **variables: Any) -> None:
    """Install flannel with its role."""
    given = {
        "flannel_kubeconfig": str(server.admin),
        "flannel_image_tag": BEFORE,
        "flannel_wait": False,
        "ansible_python_interpreter": _warm.interpreter(),
        **variables,
    }
    tasks = [{"ansible.builtin.include_role": {"name": "podnet.cni.flannel"}}]
    book = directory / "install.yml"
    book.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "connection": "local", "tasks": tasks}]))
    arguments = ["-i", "localhost,", "-e", json.dumps(given), str(book)]
    done = _warm.ansible("playbook", *arguments, environment=environment(wants_helm(variables)))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster of its own for each test; without binaries it is skipped, or fails under PODNET_REQUIRE_KUBE=1."""
    _kube.require()
    with _kube.running() as server:
        install(server, tmp_path)
        agents = Agents(server, "kube-flannel", list(NODES), name="kube-flannel-ds", pause=0.3)
        agents.labels["c1"] = {"node-role.kubernetes.io/control-plane": ""}
        with agents:
            agents.settle()
            yield Cluster(server, agents, tmp_path)
