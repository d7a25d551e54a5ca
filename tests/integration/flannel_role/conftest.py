# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role flannel run by ansible-playbook, on a file or on a real API server."""

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

TREE = Path(imported).parents[5]
ROLE = "podnet.cni.flannel"


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


def play(
    directory: Path,
    *runs: Mapping[str, Any],
    tasks_from: str = "main",
    check: bool = False,
    diff: bool = False,
    cold: bool = False,
) -> Outcome:
    """Run the role on localhost, once for each set of variables."""
    tasks = [
        {
            "ansible.builtin.include_role": {"name": ROLE, "tasks_from": tasks_from},
            "vars": as_typed("flannel", variables),
        }
        for variables in runs
    ]
    book = directory / "play.yml"
    book.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "connection": "local", "tasks": tasks}]))
    places = [str(TREE), *filter(None, os.environ.get("ANSIBLE_COLLECTIONS_PATH", "").split(os.pathsep))]
    done = _warm.ansible(
        "playbook",
        *("-i", "localhost,", str(book), "-e", f"ansible_python_interpreter={_warm.interpreter()}"),
        *(["--check"] if check else []),
        *(["--diff", "-vvv"] if diff else []),
        environment={**os.environ, "ANSIBLE_COLLECTIONS_PATH": os.pathsep.join(places), "ANSIBLE_NOCOLOR": "true"},
        cold=cold,
    )
    return Outcome(done.returncode, done.stdout + done.stderr)


class Cluster:
    """An API server, and the role run on it, C(cold) as by a user who types the command."""

    def __init__(self, server: _kube.KubeServer, directory: Path, *, cold: bool = False) -> None:
        self.server = server
        self._directory = directory
        self._cold = cold

    def run(self, tasks_from: str = "main", *, check: bool = False, diff: bool = False, **variables: Any) -> Outcome:
        """Run the role; names of variables without their prefix, but those of its inside."""
        given = {name if name.startswith("_") else f"flannel_{name}": value for name, value in variables.items()}
        settings = {"flannel_kubeconfig": str(self.server.admin), "flannel_wait": False, **given}
        return play(self._directory, settings, tasks_from=tasks_from, check=check, diff=diff, cold=self._cold)

    def get(self, path: str) -> dict[str, Any] | None:
        """An object, None when it is not there."""
        try:
            return dict(self.server.api("GET", path))
        except RuntimeError as error:
            if ": 404 " in str(error):
                return None
            raise

    def daemonset(self, namespace: str = "kube-flannel", name: str = "kube-flannel-ds") -> dict[str, Any] | None:
        return self.get(f"/apis/apps/v1/namespaces/{namespace}/daemonsets/{name}")

    def writes(self, mark: int) -> list[str]:
        """Requests since C(mark) that changed something; a dry run changes nothing."""
        return [
            f"{event['verb']} {event['requestURI']}"
            for event in self.server.audit(mark)
            if event["verb"] in ("create", "update", "patch", "delete")
            and "dryRun=All" not in event["requestURI"]
            and event["user"]["username"] == "admin"
        ]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster of its own for each test, because what is installed is the subject."""
    _kube.require()
    with _kube.running() as server:
        yield Cluster(server, tmp_path)
