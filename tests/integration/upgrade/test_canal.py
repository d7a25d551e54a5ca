# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook upgrade on a cluster that runs Canal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.tests.integration import _kube, _warm
from ansible_collections.podnet.cni.tests.integration.rollout._agents import GOOD_LOG, Agents
from ansible_collections.podnet.cni.tests.integration.upgrade.conftest import environment
from ansible_collections.podnet.cni.tests.unit import _canal_manifest as builder

pytestmark = pytest.mark.kube

CALICO_LOG = "Successfully loaded configuration.\n"


def run(directory: Path, what: str, variables: dict[str, Any]) -> tuple[int, str]:
    """Run a playbook, or a file with one."""
    (directory / "hosts").mkdir(exist_ok=True)
    given = json.dumps({"ansible_python_interpreter": _warm.interpreter(), **variables})
    done = _warm.ansible("playbook", "-i", str(directory / "hosts"), "-e", given, what, environment=environment())
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def test_upgrade_that_fails_and_one_that_does_not(tmp_path: Path) -> None:
    _kube.require()
    with _kube.running() as server:
        manifest = tmp_path / "canal.yaml"
        manifest.write_text(builder.text(builder.manifest("3.31.0")))
        settings = {
            "canal_manifest": str(manifest),
            "canal_kubeconfig": str(server.admin),
            "canal_wait": False,
            "upgrade_network": "canal",
            "upgrade_directory": str(tmp_path / "up"),
            "upgrade_batch": ["100%"],
            "upgrade_preflight": False,
            "upgrade_soak": 0,
            "upgrade_poll": 0.2,
            "upgrade_lease_seconds": 600,
        }
        task = {"ansible.builtin.include_role": {"name": "podnet.cni.canal"}}
        (tmp_path / "install.yml").write_text(
            json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": [task]}])
        )
        code, said = run(tmp_path, str(tmp_path / "install.yml"), settings)
        assert code == 0, said

        agents = Agents(server, "kube-system", ["n1", "n2"], name="canal", pause=0.3)
        agents.behave = lambda _node, _template: GOOD_LOG + CALICO_LOG
        with agents:
            agents.settle()
            before = agents.daemonset()["spec"]["template"]
            manifest.write_text(builder.text(builder.manifest("3.32.1")))

            broken = GOOD_LOG + "Unable to fetch IP pool list\n"
            agents.behave = lambda node, template: (
                broken if node == "n2" and "3.32.1" in json.dumps(template) else GOOD_LOG + CALICO_LOG
            )
            code, said = run(tmp_path, "podnet.cni.upgrade", settings)
            assert code != 0, said
            assert "calico: 3.31.0 -> 3.32.1" in said, said
            assert "n2: the log says: Unable to fetch IP pool list" in said, said
            assert agents.daemonset()["spec"]["template"] == before
            (backup,) = (tmp_path / "up").glob("canal-*")
            assert list((backup / "objects" / "customresourcedefinition").rglob("*.json")), "definitions are kept"

            agents.behave = lambda _node, _template: GOOD_LOG + CALICO_LOG
            code, said = run(tmp_path, "podnet.cni.upgrade", settings)
            assert code == 0, said
            after = json.dumps([pod["spec"] for pod in agents.pods()])
            assert "3.32.1" in after
            assert "3.31.0" not in after
