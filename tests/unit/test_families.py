# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is said of a network is measured in both of its families."""

from __future__ import annotations

from pathlib import Path

import ansible.template
import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from ansible_collections.podnet.cni.plugins.module_utils._probe import measure

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(path for path in ROOT.glob("roles/*/tasks/*.yml") if ".pod.address" in path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_who_asks_the_ipv4_address_of_a_pod_asks_its_ipv6_address(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(".pod.address") == text.count(".pod.ipv6_address")


def test_roles_start_pods() -> None:
    assert {path.parts[-3] for path in FILES} == {"distribution_network", "upgrade"}


@pytest.mark.parametrize(
    ("host", "asked"),
    [
        ("a", ["192.0.2.2", "fd00::2"]),
        ("b", ["192.0.2.1"]),
        # It has the address of another one, or none.
        ("c", ["192.0.2.1", "192.0.2.2", "fd00::2"]),
    ],
)
def test_a_pod_of_the_preflight_that_has_no_place_among_the_pods_asks_all(host: str, asked: list[str]) -> None:
    (outer,) = yaml.safe_load((ROOT / "roles/preflight/tasks/pods.yml").read_text(encoding="utf-8"))
    targets = next(task["podnet.cni.pod_network_probe"]["targets"] for task in outer["block"] if "source" in str(task))
    pods = [
        {"name": "a", "address": "192.0.2.1"},
        {"name": "b", "address": "192.0.2.2"},
        {"name": "b", "address": "fd00::2"},
    ]
    known = {"_preflight_pod_ways": measure.shares(pods, 0), "inventory_hostname": host}
    template = getattr(ansible.template, "trust_as_template", str)(targets)
    found = Templar(loader=DataLoader(), variables=known).template(template)
    assert sorted(each["address"] for each in found) == asked
