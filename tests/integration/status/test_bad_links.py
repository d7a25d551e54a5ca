# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bad links below an overlay: what doctor, preflight and probe make of them, and what they must not make of them.

A firewall can lose packets and swallow large ones on every kernel. Delay, order, copies and damage take netem.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._preflight.host_checks import HOST_CHECKS
from ansible_collections.podnet.cni.plugins.module_utils._probe import measure
from ansible_collections.podnet.cni.plugins.plugin_utils import _upgrade_gates
from ansible_collections.podnet.cni.tests.integration import _netns
from ansible_collections.podnet.cni.tests.integration._kernel import needs
from ansible_collections.podnet.cni.tests.integration.status import _bad_links, test_doctor

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")

CHAIN = "nft 'table inet bad {{ chain in {{ type filter hook input priority -300; iifname eth0 {} drop; }}; }}'"
MEND = "nft delete table inet bad"


@pytest.fixture(scope="module")
def overlay() -> Iterator[_bad_links.Overlay]:
    """Two hosts: all that is to be told of a way needs no third one, and in a guest each takes its time."""
    with _netns.Segment(2) as segment:
        yield _bad_links.Overlay(segment.hosts)


def ways(made: dict[str, Any], layer: str) -> list[dict[str, Any]]:
    return [each for each in made["links"] if each["layer"] == layer]


def preflight(overlay: _bad_links.Overlay) -> dict[str, set[tuple[str, str]]]:
    """Status and text of what the checks of ways say, by check: measured with the modules, as the role does it."""
    run = {"ports": [9472], "token": "a-run"}
    targets = [{"name": host.name, "address": host.public_ip} for host in overlay.hosts]
    told: dict[str, dict[str, Any]] = {}
    for host in overlay.hosts:
        told[host.name] = host.module(
            module="preflight_udp_probe", check=True, state="listening", addresses=[host.public_ip], **run
        )
    found: dict[str, set[tuple[str, str]]] = {}
    # flannel's own link holds its port, so that of a network that is yet to come is asked.
    wanted = {
        "network_config": {**_bad_links.CONFIG, "Backend": {"Type": "vxlan", "Port": 9472}},
        "hosts": {name: {"udp_listeners": each["listeners"]} for name, each in told.items()},
    }
    for host in overlay.hosts:
        asked = host.module(
            module="preflight_udp_probe",
            check=True,
            state="asked",
            addresses=[host.public_ip],
            source=host.name,
            targets=targets,
            **run,
        )
        reached = host.module(
            module="pod_network_probe",
            check=True,
            source=host.name,
            targets=targets,
            count=10,
            interval=0.05,
            timeout=0.5,
            largest_packet=True,
            largest_packet_limit=1500,
        )
        facts = {
            **overlay.entries[host.name]["facts"],
            "subject": host.name,
            "udp_probes": asked["probes"],
            "path_probes": reached["probes"],
        }
        for check in HOST_CHECKS:
            if check.id in ("host.udp_open", "host.path_loss", "host.path_mtu"):
                found.setdefault(check.id, set()).update((each.status, each.seen) for each in check(facts, wanted))
    for host in overlay.hosts:
        mine = told[host.name]
        host.module(
            module="preflight_udp_probe",
            check=True,
            state="stopped",
            pid=mine["pid"],
            start_time=mine["start_time"],
        )
    return found


def gate(overlay: _bad_links.Overlay) -> dict[str, str]:
    """What the gate of an upgrade says of each host, with the ways measured as it measures those between pods."""
    seen = []
    for host in overlay.hosts:
        others = [measure.Target(one.name, one.public_ip) for one in overlay.hosts if one is not host]
        found = _bad_links.probe(host, others, measure.Settings(3, 0.2, 1, 56, False, 9216, insist=10))
        seen.append({"_upgrade_node": host.name, "_upgrade_gate": {"seen": True, "mtu": 1450, "probes": found}})
    judged = _upgrade_gates.judge(seen, [host.name for host in overlay.hosts])
    said: dict[str, str] = judged["failed"]
    assert judged["stop"] is bool(said)
    return said


def test_loss_is_called_loss(overlay: _bad_links.Overlay) -> None:
    """A way that loses half of the echoes is no closed port, no wrong lease, and has no small MTU."""
    overlay.shell(CHAIN.format("numgen random mod 10 < 3"))
    try:
        made = overlay.doctor(count=5)
        assert _bad_links.failed(made) == {"way.lossy"}, made["findings"]
        assert made["verdict"]["state"] == "impaired"
        seen = {each["seen"] for each in made["findings"] if each["id"] == "way.lossy"}
        assert all("% of packets are lost (" in text and "% without the overlay)" in text for text in seen), seen
        told = preflight(overlay)
        assert {status for status, _seen in told["host.udp_open"]} == {"ok"}, told
        assert {status for status, _seen in told["host.path_mtu"]} == {"ok"}, told
        assert all("% of 10 packets to" in seen for status, seen in told["host.path_loss"] if status == "failed"), told
        assert "failed" in {status for status, _seen in told["host.path_loss"]}, told
        said = gate(overlay)
        assert all(re.fullmatch(r"loses [\d.]+ % to \S+", text) for text in said.values()), said
        # 0.7 squared of the echoes come back: the bounds are those that one run in 10,000 leaves.
        one = overlay.hosts[1]
        [measured] = _bad_links.probe(
            overlay.hosts[0],
            [measure.Target(one.name, one.public_ip)],
            measure.Settings(200, 0.01, 1, 56, False, 0),
        )
        assert 37 < measured["loss"] < 65
    finally:
        overlay.shell(MEND)
    assert _bad_links.failed(overlay.doctor()) == set()


def test_an_mtu_that_nobody_tells_is_named_with_what_passes(overlay: _bad_links.Overlay) -> None:
    """No ICMP comes back from where large packets end; the tunnel's own packets are 50 octets larger."""
    overlay.shell(CHAIN.format("ip length > 1350"))
    try:
        made = overlay.doctor()
        assert _bad_links.failed(made) == {"way.mtu"}, made["findings"]
        finding = next(each for each in made["findings"] if each["id"] == "way.mtu")
        assert "those of 1450 octets do not, the largest that does has 1300" in finding["seen"]
        assert "option MTU in the network config to 1350 or less, so that pods get MTU 1300" in finding["remedy"]
        told = preflight(overlay)
        assert {status for status, _seen in told["host.path_mtu"]} == {"failed"}
        assert {seen.split()[0] for _status, seen in told["host.path_mtu"]} == {"1350"}
        assert {status for status, _seen in told["host.path_loss"]} == {"ok"}
        said = set(gate(overlay).values())
        assert said == {"packets of more than 1350 octets do not get through, but the MTU is 1450"}
    finally:
        overlay.shell(MEND)


def test_an_mtu_on_a_way_that_loses_packets_is_both(overlay: _bad_links.Overlay) -> None:
    overlay.shell(CHAIN.format("ip length > 1350"))
    overlay.shell("nft 'add rule inet bad in iifname eth0 numgen random mod 10 < 1 drop'")
    try:
        made = overlay.doctor(count=10)
        assert {"way.mtu"} <= _bad_links.failed(made) <= {"way.mtu", "way.lossy"}, made["findings"]
        finding = next(each for each in made["findings"] if each["id"] == "way.mtu")
        assert "the largest that does has 1300" in finding["seen"]
    finally:
        overlay.shell(MEND)


NETEM = {
    # A link over two satellites: the echo takes longer than ping waits by itself.
    "delay": ("delay 700ms 100ms", set()),
    "order": ("delay 30ms 20ms reorder 40% 50% duplicate 30%", set()),
    "damage": ("corrupt 20%", {"way.lossy"}),
    "loss": ("loss 30%", {"way.lossy"}),
    "slow-loss": ("delay 400ms loss 20%", {"way.lossy"}),
}


@needs("netem")
@pytest.mark.parametrize("name", NETEM)
def test_a_bad_link_by_netem(overlay: _bad_links.Overlay, name: str) -> None:
    what, expected = NETEM[name]
    overlay.shell(f"tc qdisc add dev eth0 root netem {what}")
    try:
        made = overlay.doctor(count=5)
        assert _bad_links.failed(made) == expected, made["findings"]
        assert {way["state"] for way in made["links"]} <= {"fine", "lossy"}
        if name == "delay":
            assert all(1200 <= way["rtt_avg"] <= 1700 for way in ways(made, "overlay")), made["links"]
            assert {way["loss"] for way in ways(made, "overlay")} <= {0.0, 33.3}
        if name == "order":
            assert all(way["rtt_max"] <= 250 for way in ways(made, "overlay"))
    finally:
        overlay.shell("tc qdisc del dev eth0 root")


def test_an_overlay_is_made_and_looked_at_over_links_that_lose_packets(tmp_path: Path) -> None:
    """etcd, leases and peers over a loss of a tenth each way: the role succeeds, and the doctor calls it loss."""
    lab = test_doctor.Overlay(tmp_path, "ipv4")
    try:
        made = lab.lab(lab_inventory_vars={"overlay_network_config": lab.config})
        assert made.returncode == 0, made.stdout + made.stderr
        for host in ("node1", "node2", "node3", "store1"):
            lab.shell(host, CHAIN.format("numgen random mod 10 < 1"))
        made = lab.play("-i", str(lab.inventory), "podnet.cni.overlay")
        assert made.returncode == 0, made.stdout + made.stderr
        found, _shown = lab.doctor(doctor_count=20)
        assert {each for each, _subject in test_doctor.failed(found)} == {"way.lossy"}, found["findings"]
        again = lab.play("-i", str(lab.inventory), "podnet.cni.overlay")
        assert again.returncode == 0, again.stdout + again.stderr
        assert "changed=0" in again.stdout
    finally:
        removed = lab.lab(lab_state="absent")
    assert removed.returncode == 0, removed.stdout + removed.stderr
