# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is said of a network is measured in both of its families."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(path for path in ROOT.glob("roles/*/tasks/*.yml") if ".pod.address" in path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_who_asks_the_ipv4_address_of_a_pod_asks_its_ipv6_address(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(".pod.address") == text.count(".pod.ipv6_address")


def test_roles_start_pods() -> None:
    assert {path.parts[-3] for path in FILES} == {"distribution_network", "upgrade"}
