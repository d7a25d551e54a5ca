# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Warnings about limits of the kernel, with numbers and remedy."""

from __future__ import annotations

from typing import Any

from ansible_collections.podnet.cni.plugins.module_utils._dataplane import scale
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.scale import Limits
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._dataplane._nodes import UNDERLAY, build, config

NUMBERS = list(range(2, 202))
NEAR = [b"\xc6\x12\x00" + bytes([number]) for number in NUMBERS]
FAR = [b"\xc6\x13\x00" + bytes([number]) for number in NUMBERS]


def limits(release: tuple[int, ...] = (6, 18), neighbours: int = 1024, routes: int | None = 2**31 - 1) -> Limits:
    return Limits(release, {4: neighbours, 6: neighbours}, routes)


def warnings(found: Limits, public_ips: list[bytes] = NEAR, **options: Any) -> list[str]:
    return scale.warnings(build(config(**options), NUMBERS), UNDERLAY, public_ips, found)


def test_room_enough() -> None:
    assert warnings(limits()) == []
    assert warnings(limits(neighbours=400)) == []


def test_peers_on_the_segment_need_neighbours() -> None:
    (text,) = warnings(limits(neighbours=399))
    assert (
        "keeps at most 399 IPv4 neighbours (net.ipv4.neigh.default.gc_thresh3), and 200 peers need one on eth0" in text
    )
    assert "set gc_thresh3 to at least 400" in text


def test_peers_behind_a_router_need_none() -> None:
    assert warnings(limits(neighbours=10), FAR) == []


def test_permanent_neighbours_count_on_old_kernels() -> None:
    (text,) = warnings(limits((4, 19), neighbours=300), FAR)
    assert "200 peers need one" in text
    assert warnings(limits((5, 0), neighbours=300), FAR) == []


def test_ipv6_routes_count_on_old_kernels() -> None:
    (text,) = warnings(limits((6, 1), routes=300), FAR, ipv6=True)
    assert (
        "keeps at most 300 IPv6 routes (net.ipv6.route.max_size), and 200 peers need one; set it to at least 400"
        in text
    )
    assert warnings(limits((6, 3), routes=300), FAR, ipv6=True) == []


def test_a_kernel_that_hides_its_limits() -> None:
    assert scale.warnings(build(config(), NUMBERS), UNDERLAY, NEAR, Limits((6, 18), {4: None, 6: None}, None)) == []


def test_the_running_kernel_is_read() -> None:
    found = scale.read()
    assert found.release >= (3, 0)
    assert all(limit is None or limit > 0 for limit in found.neighbours.values())
