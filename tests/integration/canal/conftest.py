# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role canal run by ansible-playbook on a real API server, with a manifest that is made here."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._errors import __file__ as imported
from ansible_collections.podnet.cni.tests.integration import _kube, _warm
from ansible_collections.podnet.cni.tests.integration._as_typed import as_typed
from ansible_collections.podnet.cni.tests.unit import _canal_manifest as builder

TREE = Path(imported).parents[5]
WRITES = ("create", "update", "patch", "delete")


@dataclass(frozen=True)
class Outcome:
    """What a run of the role came to; C(changed) counts tasks."""

    code: int
    output: str

    @property
    def changed(self) -> int:
        assert self.code == 0, self.output
        return int(re.findall(r"changed=(\d+)", self.output)[-1])

    def failed_with(self, text: str) -> bool:
        assert self.code != 0, self.output
        # Ansible breaks long messages into lines.
        return text in " ".join(self.output.split())

    def said(self, text: str) -> bool:
        return text in " ".join(self.output.split())


def play(
    directory: Path, role: str, variables: Mapping[str, Any], tasks_from: str = "main", check: bool = False
) -> Outcome:
    """Run an entry point of a role on localhost."""
    task = {
        "ansible.builtin.include_role": {"name": role, "tasks_from": tasks_from},
        "vars": as_typed(role.rpartition(".")[2], variables),
    }
    book = directory / "play.yml"
    book.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "connection": "local", "tasks": [task]}]))
    return run_playbook("-i", "localhost,", str(book), *(["--check"] if check else []))


def run_playbook(*arguments: str) -> Outcome:
    """Run ansible-playbook with the collection of this tree."""
    places = [str(TREE), *filter(None, os.environ.get("ANSIBLE_COLLECTIONS_PATH", "").split(os.pathsep))]
    done = _warm.ansible(
        "playbook",
        *arguments,
        *("-e", f"ansible_python_interpreter={_warm.interpreter()}"),
        environment={**os.environ, "ANSIBLE_COLLECTIONS_PATH": os.pathsep.join(places), "ANSIBLE_NOCOLOR": "true"},
    )
    return Outcome(done.returncode, done.stdout + done.stderr)


class Cluster:
    """An API server, and the role run on it."""

    def __init__(self, server: _kube.KubeServer, directory: Path) -> None:
        self.server = server
        self.directory = directory
        self.manifest = directory / "canal.yaml"
        self.offer(builder.manifest())

    def offer(self, items: list[Any]) -> None:
        """What the role is given as the manifest."""
        self.manifest.write_text(builder.text(items))

    def run(
        self,
        tasks_from: str = "main",
        *,
        check: bool = False,
        others: Mapping[str, Any] | None = None,
        **variables: Any,
    ) -> Outcome:
        """Run the role; names of its variables without their prefix, and C(others) as they are."""
        wanted = {"manifest": str(self.manifest), "kubeconfig": str(self.server.admin), "wait": False, **variables}
        return play(
            self.directory,
            "podnet.cni.canal",
            {**{f"canal_{name}": value for name, value in wanted.items()}, **(others or {})},
            tasks_from,
            check,
        )

    def migrate(self, hosts: str, *arguments: str, to: str = "flannel") -> Outcome:
        """Run the playbook with these hosts in the inventory, names with commas between them."""
        given = {"manifest": self.manifest, "kubeconfig": self.server.admin, "wait": "false", "migrate_to": to}
        extra = [word for name, value in given.items() for word in ("-e", f"canal_{name}={value}")]
        places = ["-e", f"canal_cni_conf_dir={self.directory}", "-e", f"canal_nodes_subnet_file={self.directory}/none"]
        local = ["-e", "ansible_connection=local"]
        return run_playbook("-i", hosts + ",", *extra, *places, *local, *arguments, "podnet.cni.canal_migrate")

    def flannel(self, **variables: Any) -> Outcome:
        """Run the role flannel."""
        wanted = {"kubeconfig": str(self.server.admin), "wait": False, "wait_pod_cidrs": False, **variables}
        return play(self.directory, "podnet.cni.flannel", {f"flannel_{name}": each for name, each in wanted.items()})

    def get(self, path: str) -> dict[str, Any] | None:
        """An object, None when it is not there."""
        try:
            return dict(self.server.api("GET", path))
        except RuntimeError as error:
            if ": 404 " in str(error):
                return None
            raise

    def daemonset(self, namespace: str = "kube-system", name: str = "canal") -> dict[str, Any] | None:
        return self.get(f"/apis/apps/v1/namespaces/{namespace}/daemonsets/{name}")

    def config(self, namespace: str = "kube-system", name: str = "canal-config") -> dict[str, str]:
        found = self.get(f"/api/v1/namespaces/{namespace}/configmaps/{name}")
        assert found is not None
        return dict(found["data"])

    def crd(self, name: str) -> dict[str, Any] | None:
        return self.get(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}")

    def role(self, name: str) -> dict[str, Any] | None:
        return self.get(f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{name}")

    def writes(self, mark: int) -> list[str]:
        """Requests since C(mark) that changed something, in their order; a dry run changes nothing."""
        return [
            f"{event['verb']} {event['requestURI'].split('?')[0]}"
            for event in self.server.audit(mark)
            if event["verb"] in WRITES
            and "dryRun=All" not in event["requestURI"]
            and event["user"]["username"] == "admin"
        ]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster of its own for each test, because what is installed is the subject."""
    _kube.require()
    with _kube.running() as server:
        yield Cluster(server, tmp_path)


def containers(daemonset: dict[str, Any] | None) -> dict[str, dict[str, Any]]:
    """All containers of a DaemonSet by name, those that initialise included."""
    assert daemonset is not None
    spec = daemonset["spec"]["template"]["spec"]
    return {item["name"]: item for item in [*spec.get("initContainers", []), *spec["containers"]]}
