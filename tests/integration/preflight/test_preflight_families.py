# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wrong over IPv6 alone is found, by host, direction and family, and IPv4 is said to be well.

The lab's hosts carry pods of both families. Before there is an overlay, listeners tell; then flannel's links hold the
ports, and what goes over these tells.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from ansible_collections.podnet.cni.tests.integration import _plain
from ansible_collections.podnet.cni.tests.integration.status import test_doctor

CHECKS = ("host.udp_open", "host.path_loss", "host.path_mtu")
CHAIN = "nft 'table ip6 shut {{ chain in {{ type filter hook input priority -300; ip6 saddr {} {} drop; }}; }}'"
MEND = "nft delete table ip6 shut"
NODES = ("node1", "node2", "node3")


class Lab(test_doctor.Overlay):
    """Three hosts with addresses of both families, and what the preflight says of them."""

    def __init__(self, path: Any) -> None:
        super().__init__(path, "vxlan")
        self.name = f"test-families-{os.getpid()}"
        self.extra["lab_name"] = self.name

    def addresses(self) -> dict[str, str]:
        """The IPv6 addresses of the hosts, which the inventory names."""
        members = yaml.safe_load(self.inventory.read_text())["all"]["children"]["overlay"]["hosts"]
        return {name: own["overlay_public_ipv6"] for name, own in members.items()}

    def preflight(self) -> list[dict[str, str]]:
        target = self.path / "preflight.json"
        given = {"preflight_json": str(target), "preflight_fail_at": "never"}
        done = self.play("-i", str(self.inventory), "podnet.cni.preflight", "-e", json.dumps(given))
        assert done.returncode == 0, done.stdout + done.stderr
        assert _plain.faults(done.stdout) == []
        assert "changed=1" not in done.stdout
        found: list[dict[str, str]] = json.loads(target.read_text())["findings"]
        return found


@pytest.fixture(name="lab", scope="module")
def fixture_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    if os.geteuid() != 0:
        pytest.skip("making namespaces needs root")
    for program in ("nft", "etcd", "ping"):
        if not shutil.which(program):
            pytest.skip(f"{program} is missing: install nftables, etcd and iputils-ping")
    made = Lab(tmp_path_factory.mktemp("families"))
    variables = {"lab_inventory_vars": {"overlay_network_config": made.config}}
    # What its link has counts, not what the inventory says it has.
    variables["lab_host_vars"] = {"node3": {"preflight_public_ipv6": ""}}
    try:
        done = made.lab(**variables)
        assert done.returncode == 0, done.stdout + done.stderr
        yield made
    finally:
        removed = made.lab(lab_state="absent", **variables)
    assert removed.returncode == 0, removed.stdout + removed.stderr


def failed(found: list[dict[str, str]]) -> dict[tuple[str, str], list[dict[str, str]]]:
    """What of the ways between hosts failed, by check and host."""
    by_host: dict[tuple[str, str], list[dict[str, str]]] = {}
    for each in found:
        if each["id"] in CHECKS and each["status"] == "failed":
            by_host.setdefault((each["id"], each["subject"]), []).append(each)
    return by_host


def well(found: list[dict[str, str]], number: int, over_ipv6: bool) -> None:
    """Check that so many ways over a family were judged by each check, and all are well."""
    for check in CHECKS:
        own = [each for each in found if each["id"] == check and ("over IPv6" in each["seen"]) is over_ipv6]
        assert [each["status"] for each in own] == ["ok"] * number, own


def test_before_there_is_an_overlay(lab: Lab) -> None:
    addresses = lab.addresses()
    found = lab.preflight()
    well(found, 6, over_ipv6=False)
    well(found, 6, over_ipv6=True)

    # Nothing of the backend gets from node1 to node2, and no large packet from node2 to node1.
    lab.shell("node2", CHAIN.format(addresses["node1"], "udp dport 8472"))
    lab.shell("node1", CHAIN.format(addresses["node2"], "meta length > 1390"))
    lab.shell("node3", f"ip address del {addresses['node3']}/64 dev eth0")
    try:
        found = lab.preflight()
    finally:
        lab.shell("node3", f"ip address add {addresses['node3']}/64 dev eth0 nodad")
        lab.shell("node1", MEND)
        lab.shell("node2", MEND)
    well(found, 6, over_ipv6=False)
    wrong = failed(found)
    # An answer to a large packet is large.
    assert set(wrong) == {("host.udp_open", "node1"), ("host.path_mtu", "node1"), ("host.path_mtu", "node2")}
    [one] = wrong["host.udp_open", "node1"]
    assert one["seen"] == f"UDP 8472 of node2 over IPv6 ({addresses['node2']}): no answer"
    assert one["remedy"].startswith("Open UDP 8472 over IPv6 between the hosts")
    [one] = wrong["host.path_mtu", "node2"]
    assert one["seen"] == "1390 octets to node1 over IPv6"
    # 70 octets are around a packet over IPv6, and 50 is what flannel takes off the MTU that is set.
    assert "Set Backend.MTU to 1370 or less on all hosts, so that pods get MTU 1320" in one["remedy"]
    assert one["expected"].startswith("packets of 1500 octets")
    # A host without an IPv6 address is told of so, and neither asks nor is asked there.
    [one] = [each for each in found if (each["id"], each["subject"]) == ("host.underlay", "node3")]
    assert (one["status"], one["seen"]) == ("failed", "eth0 has no IPv6 address")
    assert not [each for each in found if "node3 over IPv6" in each["seen"]]


def test_where_flannels_links_hold_the_ports(lab: Lab) -> None:
    addresses = lab.addresses()
    made = lab.play("-i", str(lab.inventory), "podnet.cni.overlay")
    assert made.returncode == 0, made.stdout + made.stderr
    found = lab.preflight()
    well(found, 6, over_ipv6=False)
    well(found, 6, over_ipv6=True)
    over_ipv6 = [each["seen"] for each in found if each["id"] == "host.udp_open" and "over IPv6" in each["seen"]]
    assert all(seen.endswith("over IPv6 answered over the overlay") for seen in over_ipv6), over_ipv6

    lab.shell("node2", CHAIN.format(addresses["node1"], "udp dport 8472"))
    lab.shell("node3", "ip link set flannel-v6.1 address 02:00:00:00:00:99")
    try:
        found = lab.preflight()
    finally:
        lab.shell("node2", MEND)
    well(found, 6, over_ipv6=False)
    wrong = failed(found)
    # An echo needs both directions.
    assert set(wrong) == {("host.udp_open", name) for name in NODES}
    for name, other in (("node1", "node2"), ("node2", "node1")):
        [of_link, of_port] = sorted((each["seen"] for each in wrong["host.udp_open", name]), key=of_the_port)
        assert of_port.startswith(f"{other} over IPv6 does not answer over the overlay (fd00:10:244:")
        assert of_link.startswith("node3 over IPv6 does not answer over the overlay (fd00:10:244:")
        assert "on node3: flannel-v6.1 has MAC 02:00:00:00:00:99, and the lease says" in of_link
    seen = [each["seen"] for each in wrong["host.udp_open", "node3"]]
    assert len(seen) == 2
    assert all("on node3: flannel-v6.1 has MAC" in text for text in seen), seen


def of_the_port(seen: str) -> bool:
    return seen.endswith("whose link holds UDP 8472")
