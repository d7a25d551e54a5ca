# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role that grants the rights, and the manifest that says the same without Ansible."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

from ansible_collections.podnet.cni.plugins.module_utils._errors import __file__ as imported
from ansible_collections.podnet.cni.tests.integration import _kube, _warm
from ansible_collections.podnet.cni.tests.integration.discovery.conftest import ACCOUNT, MANIFEST, ROOT, granted

ROLE = ROOT / "roles" / "discovery_rbac"
TREE = Path(imported).parents[5]


def load(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((ROLE / name / "main.yml").read_text(encoding="utf-8")))


def test_manifest_is_the_rendered_template() -> None:
    text = (ROLE / "templates" / "rbac.yaml.j2").read_text(encoding="utf-8")
    template = jinja2.Template(text, trim_blocks=True, keep_trailing_newline=True)
    assert MANIFEST.read_text(encoding="utf-8") == template.render(**load("defaults"), **load("vars"))


def test_manifest_grants_no_write_and_no_secret() -> None:
    for item in granted():
        for rule in item.get("rules", []):
            assert set(rule["verbs"]) <= {"get", "list"}
            assert not {"secrets", "*"} & set(rule["resources"])
            if "configmaps" in rule["resources"]:
                assert rule["verbs"] == ["get"]
                assert rule["resourceNames"]


def run(kubeconfig: Path, tasks_from: str = "main", *, check: bool = False) -> tuple[int, str]:
    """Run the role; gives the number of changed tasks and the output."""
    directory = kubeconfig.parent / "role"
    directory.mkdir(exist_ok=True)
    play = [
        {
            "hosts": "localhost",
            "gather_facts": False,
            "connection": "local",
            "tasks": [
                {
                    "ansible.builtin.include_role": {"name": "podnet.cni.discovery_rbac", "tasks_from": tasks_from},
                    "vars": {"discovery_rbac_kubeconfig": str(kubeconfig)},
                }
            ],
        }
    ]
    (directory / "play.yml").write_text(json.dumps(play))
    done = _warm.ansible(
        "playbook",
        *("-i", "localhost,", str(directory / "play.yml"), "-e", f"ansible_python_interpreter={_warm.interpreter()}"),
        *(["--check"] if check else []),
        environment={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(TREE), "ANSIBLE_NOCOLOR": "true"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    recap = next(line for line in done.stdout.splitlines() if line.startswith("localhost ") and "changed=" in line)
    return int(recap.split("changed=")[1].split()[0]), done.stdout


def exists(kube: _kube.KubeServer) -> bool:
    try:
        kube.api("GET", f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{ACCOUNT}")
    except RuntimeError:
        return False
    return True


@pytest.mark.kube
def test_role_from_nothing_to_nothing(kube: _kube.KubeServer) -> None:
    assert run(kube.admin, check=True)[0] == 1
    assert not exists(kube), "check mode writes nothing"
    assert run(kube.admin)[0] == 1
    assert exists(kube)
    assert run(kube.admin)[0] == 0, "the second time nothing changes"
    rules = kube.api("GET", f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{ACCOUNT}")["rules"]
    manifest = {item["kind"]: item for item in granted()}
    assert rules == manifest["ClusterRole"]["rules"]
    assert run(kube.admin, "uninstall")[0] == 1
    assert not exists(kube)
    assert run(kube.admin, "uninstall")[0] == 0
