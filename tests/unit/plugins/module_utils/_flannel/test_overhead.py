# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._flannel import overhead

UTILITIES = Path(overhead.__file__).parents[1]


def test_what_is_around_a_packet_depends_on_the_family_of_the_underlay() -> None:
    assert [overhead.headers("vxlan", family) for family in (4, 6)] == [50, 70]
    assert [overhead.headers("wireguard", family) for family in (4, 6)] == [60, 80]
    assert [overhead.headers("ipip", family) for family in (4, 6)] == [20, 0]


@pytest.mark.parametrize("backend", ["host-gw", "extension", "alloc", ""])
def test_other_backends_put_nothing_around_packets(backend: str) -> None:
    assert overhead.headers(backend, 4) == 0
    assert backend not in overhead.RESERVED


def test_over_ipv4_flannel_reserves_enough() -> None:
    assert all(octets >= overhead.headers(backend, 4) for backend, octets in overhead.RESERVED.items())


def test_no_other_utility_has_numbers_of_its_own() -> None:
    defines = re.compile(r"^\w*OVERHEAD\w*\b.*=", re.MULTILINE)
    assert [path.name for path in UTILITIES.rglob("*.py") if defines.search(path.read_text(encoding="utf-8"))] == []
