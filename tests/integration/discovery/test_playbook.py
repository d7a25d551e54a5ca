# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook over two clusters, as a user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.podnet.cni.tests.integration import _plain
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery import fakes

# Written to files by the package kubernetes, for servers that speak TLS.
KEY_PAIR = {"client-certificate-data": "Y2VydGlmaWNhdGU=", "client-key-data": "a2V5"}


def play(
    kubeconfig: Path, directory: Path, *, name: str = "discover", **variables: object
) -> subprocess.CompletedProcess[str]:
    """Run the playbook as ansible-playbook does, with nothing of this user's configuration."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "ansible", "playbook", "-i", "localhost,", f"podnet.cni.{name}"),
            *("-e", f"ansible_python_interpreter={sys.executable}", "-e", json.dumps(variables)),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "ANSIBLE_NOCOLOR": "true",
            "ANSIBLE_HOME": str(directory / "ansible"),
            "ANSIBLE_LOCAL_TEMP": str(directory / "tmp"),
            "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(directory / "cache"),
            "K8S_AUTH_KUBECONFIG": str(kubeconfig),
            "TMPDIR": str(_made(directory / "files")),
        },
    )
    # Errors are Ansible's own text.
    assert done.returncode or _plain.faults(done.stdout) == []
    return done


def _made(directory: Path) -> Path:
    directory.mkdir(exist_ok=True)
    return directory


@pytest.fixture
def clusters() -> dict[str, fakes.Cluster]:
    west = fakes.flannel_cluster()
    west.collections[("/apis/networking.k8s.io/v1", "servicecidrs")][0]["spec"]["cidrs"] = ["10.128.0.0/16"]
    return {"east": fakes.flannel_cluster(), "west": west}


@pytest.fixture
def kubeconfig(tmp_path: Path, clusters: dict[str, fakes.Cluster]) -> Iterator[Path]:
    with fakes.serving(clusters["east"]) as east, fakes.serving(clusters["west"]) as west:
        servers = {"east": east, "west": west, "gone": "https://127.0.0.1:9"}
        path = tmp_path / "kubeconfig"
        path.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "east",
                    "clusters": [{"name": name, "cluster": {"server": url}} for name, url in servers.items()],
                    "users": [{"name": "reader", "user": {"token": "t", **KEY_PAIR}}],
                    "contexts": [{"name": name, "context": {"cluster": name, "user": "reader"}} for name in servers],
                }
            )
        )
        yield path


def test_table_and_overlaps(kubeconfig: Path, tmp_path: Path, clusters: dict[str, fakes.Cluster]) -> None:
    done = play(kubeconfig, tmp_path, discover_contexts=["east", "west", "gone"])
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [" ".join(line.strip(' ",').split()) for line in done.stdout.splitlines()]
    heading = "CLUSTER PLUGIN ROLE VERSION NAMESPACE BACKEND POD CIDRS SERVICE CIDRS HEALTH"
    start = lines.index(heading)
    row = "{} flannel primary v0.28.9 kube-flannel vxlan 10.244.0.0/16 {} healthy"
    assert lines[start + 1 : start + 4] == [
        row.format("east", "10.96.0.0/12"),
        row.format("west", "10.128.0.0/16"),
        "gone unknown primary - - - - - unknown",
    ]
    assert "pod range 10.244.0.0/16 overlaps pod range 10.244.0.0/16 of west" in done.stdout
    assert "service range 10" not in done.stdout
    assert "cannot connect" in done.stdout
    assert len(clusters["east"].requests) <= 8
    assert not list((tmp_path / "tmp").rglob("podnet-cni-*")), "nothing is left behind"
    assert not list((tmp_path / "files").iterdir()), "no client key either"


def test_overlap_can_fail_the_play(kubeconfig: Path, tmp_path: Path) -> None:
    done = play(kubeconfig, tmp_path, discover_contexts=["east", "west"], discover_fail_on_overlap=True)
    assert done.returncode == 2
    assert "overlaps pod range" in done.stdout


def test_a_cluster_that_was_not_read_fails_the_gate(kubeconfig: Path, tmp_path: Path) -> None:
    """It shares no range that anybody has seen, which is no reason to join it."""
    done = play(kubeconfig, tmp_path, discover_contexts=["east", "gone"], discover_fail_on_overlap=True)
    assert done.returncode == 2
    assert "cannot be judged: the cluster was not read" in done.stdout
    allowed = play(kubeconfig, tmp_path, discover_contexts=["east", "gone"])
    assert allowed.returncode == 0, allowed.stdout + allowed.stderr
    assert "cannot be judged: the cluster was not read" in allowed.stdout


def test_variables_as_a_command_line_gives_them(kubeconfig: Path, tmp_path: Path) -> None:
    done = play(kubeconfig, tmp_path, discover_contexts="east,west", discover_fail_on_overlap="no")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "of west" in done.stdout
    done = play(kubeconfig, tmp_path, discover_fail_on_overlap="maybe")
    assert done.returncode == 2
    assert "discover_fail_on_overlap" in done.stdout
    assert "maybe" in done.stdout


def test_current_context(kubeconfig: Path, tmp_path: Path) -> None:
    done = play(kubeconfig, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no range of another cluster" in done.stdout


def test_hosts_of_a_play_share_one_answer(kubeconfig: Path, tmp_path: Path, clusters: dict[str, fakes.Cluster]) -> None:
    """Three hosts in parallel workers and two tasks are one discovery; with the cache plugin the next run is none."""
    playbook = tmp_path / "shared.yml"
    playbook.write_text(
        """
- hosts: all
  gather_facts: false
  connection: local
  tasks:
    - ansible.builtin.debug:
        msg: "{{ query('podnet.cni.cni', cache=true) | map(attribute='plugin') }}"
    - ansible.builtin.debug:
        msg: "{{ query('podnet.cni.cni', cache=true) | map(attribute='plugin') }}"
"""
    )
    for _run in range(2):
        done = subprocess.run(
            [sys.executable, "-m", "ansible", "playbook", "-i", "a,b,c,", str(playbook)],
            capture_output=True,
            text=True,
            check=False,
            env={
                **os.environ,
                "ANSIBLE_LOCAL_TEMP": str(tmp_path / "tmp"),
                "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(tmp_path / "cache"),
                "K8S_AUTH_KUBECONFIG": str(kubeconfig),
            },
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.count('"flannel"') == 6
        assert clusters["east"].paths().count("/version") == 1


def test_what_submariner_wants_to_know(kubeconfig: Path, tmp_path: Path) -> None:
    chosen = {"submariner_contexts": ["east", "west"], "submariner_values_dir": str(tmp_path)}
    done = play(kubeconfig, tmp_path, name="submariner", **chosen)
    assert done.returncode == 0, done.stdout + done.stderr
    for line in (
        "Globalnet: needed",
        "overlap: pod range 10.244.0.0/16 of east and pod range 10.244.0.0/16 of west",
        "east flannel 10.244.0.0/16 10.96.0.0/12",
        "subctl deploy-broker --context east --globalnet --globalnet-cidr-range 242.0.0.0/8",
        "subctl join broker-info.subm --context west --clusterid west --clustercidr 10.244.0.0/16",
    ):
        assert line in " ".join(done.stdout.replace("\\\n", "").split())
    assert "clusterCidr: 10.244.0.0/16" in (tmp_path / "west.yml").read_text()
    refused = play(kubeconfig, tmp_path, name="submariner", submariner_contexts="east,west", submariner_globalnet="off")
    assert refused.returncode and "ranges overlap, and Globalnet is off" in refused.stdout
