# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook upgrade on hosts that the role overlay programs: batches, a host that fails, and the way on."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.tests.integration.upgrade._lab import Lab, lab

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")

NOWHERE = {"name": "nowhere", "address": "198.19.255.254"}
# Over IPv6 nobody answers.
HOLE = "; ".join(
    (
        "add table ip6 hole",
        "add chain ip6 hole output { type filter hook output priority 0; }",
        "add rule ip6 hole output icmpv6 type echo-reply drop",
    )
)
# What the pods of a host ask over IPv6 does not leave it.
GAG = "; ".join(
    (
        "add table ip6 gag",
        "add chain ip6 gag forward { type filter hook forward priority 0; }",
        "add rule ip6 gag forward icmpv6 type echo-request drop",
    )
)


def network(mtu: int) -> dict[str, Any]:
    both = {"Network": "10.244.0.0/16", "EnableIPv6": True, "IPv6Network": "fd00:10:244::/48"}
    return {**both, "Backend": {"Type": "vxlan", "MTU": mtu}}


def mtus(hosts: Lab) -> list[int]:
    """The MTU that pods get, from the subnet file of each host: vxlan takes 50 octets."""
    return sorted(
        map(int, re.findall(r"FLANNEL_MTU=([0-9]+)", hosts.command("overlay", "cat", "/run/flannel/subnet.env")))
    )


def upgrade(hosts: Lab, *arguments: str, **variables: Any) -> tuple[int, str]:
    given = {
        "upgrade_network": "overlay",
        "upgrade_overlay_directory": str(hosts.directory / "up"),
        "upgrade_overlay_serial": [1, 2],
    }
    return hosts.run("podnet.cni.upgrade", *arguments, **{**given, **variables})


def test_batches_a_host_that_fails_and_the_way_on(tmp_path: Path) -> None:
    with lab(tmp_path) as hosts:
        code, said = hosts.run("podnet.cni.overlay", overlay_network_config=network(1400))
        assert code == 0, said
        for arguments, variables in (((), {"upgrade_overlay_plan_only": True}), (("--check",), {})):
            code, said = upgrade(hosts, *arguments, overlay_network_config=network(1390), **variables)
            assert code == 0, said
            for part in (
                "Backend.MTU: 1400 -> 1390",
                "1 batch linux 1 node1",
                "2 batch linux 2 node2, node3",
                "/etc/cni/net.d/*.conflist of each host",
            ):
                assert part in said, said
            assert mtus(hosts) == [1350, 1350, 1350], "a plan changes nothing"
            assert [each.name for each in (tmp_path / "up").iterdir()] == ["plan.json"]

        code, said = upgrade(hosts, overlay_network_config=network(1390), upgrade_plan_only=True)
        assert code != 0
        assert "Set upgrade_overlay_plan_only." in said, said
        assert mtus(hosts) == [1350, 1350, 1350], "the variable of clusters starts nothing either"

        hosts.command("node3", "sysctl", "-w", "net.ipv4.ip_forward=0")
        code, said = upgrade(hosts, overlay_network_config=network(1390))
        assert code != 0
        assert "net.ipv4.ip_forward is 0" in said, said
        assert not (tmp_path / "up" / "overlay-unfinished").exists(), "the checks come before anything is changed"
        hosts.command("node3", "sysctl", "-w", "net.ipv4.ip_forward=1")

        hosts.command("overlay", "nft", HOLE)
        code, said = upgrade(hosts, overlay_network_config=network(1390))
        assert code != 0
        assert "Not well: host.udp_open" in said, said
        assert not (tmp_path / "up" / "overlay-unfinished").exists(), "the checks look at both families"
        given = {"upgrade_overlay_preflight": False, "upgrade_overlay_probe_targets": [NOWHERE]}
        code, said = upgrade(hosts, overlay_network_config=network(1390), **given)
        hosts.command("overlay", "nft", "delete table ip6 hole")
        assert code != 0
        assert "node1 loses 100 % to fd00:10:244:" in said and "nowhere" in said, said
        assert "Network config, data plane and files were put back" in said, said
        assert mtus(hosts) == [1350, 1350, 1350], "the first host went back, the others were not touched"

        # Of two hosts one is well, and goes back with the other one.
        hosts.command("node3", "nft", GAG)
        code, said = upgrade(hosts, overlay_network_config=network(1390))
        hosts.command("node3", "nft", "delete table ip6 gag")
        assert code != 0
        assert "The upgrade of node3 failed: node3 loses 100 % to fd00:10:244:" in said, said
        assert "The upgrade of node2 failed: another host of its batch failed." in said, said
        assert mtus(hosts) == [1340, 1350, 1350], "the first batch is done, the second one as it was"
        (named,) = set(re.findall(r"What was there before is in (\S+)\. ", said))
        assert Path(named, "backup.json").exists(), named

        code, said = upgrade(hosts, overlay_network_config=network(1390))
        assert code == 0, said
        assert mtus(hosts) == [1340, 1340, 1340]
        (kept,) = (tmp_path / "up").glob("overlay-*")
        assert kept.name != "overlay-unfinished"
        backups = sorted(each.parent for each in kept.glob("*/backup.json") if each.parent.name != "before")
        assert len(backups) == 2, "one for each batch"

        settings = {"upgrade_network": "overlay", "upgrade_overlay_backup": str(backups[1])}
        code, said = hosts.run("podnet.cni.rollback", **settings)
        assert code == 0, said
        assert mtus(hosts) == [1340, 1350, 1350]


def test_no_batch_follows_one_whose_host_does_not_answer_any_more(tmp_path: Path) -> None:
    with lab(tmp_path) as hosts:
        code, said = hosts.run("podnet.cni.overlay", overlay_network_config=network(1400))
        assert code == 0, said
        unfinished = tmp_path / "up" / "overlay-unfinished"
        with hosts.away("node2", since=unfinished / "done" / "node1"):
            code, said = upgrade(hosts, overlay_network_config=network(1390), upgrade_overlay_serial=[1, 1, 1])
            assert code != 0
            assert "The upgrade ends before node3: node2 failed or did not answer." in said, said
            assert unfinished.exists(), "the next run continues"
        assert mtus(hosts) == [1340, 1350, 1350], "only the first host is done"

        # In the middle of its batch: the other one of it goes back.
        with hosts.away("node2", since=unfinished / "node2" / "backup.json"):
            code, said = upgrade(hosts, overlay_network_config=network(1390))
            assert code != 0
            assert "The upgrade of node3 failed: another host of its batch failed." in said, said
            assert "The upgrade is not done: node2, node3 failed or did not answer." in said, said
            assert unfinished.exists(), "the next run continues"
        assert mtus(hosts) == [1340, 1350, 1350], "only the first host is done"

        code, said = upgrade(hosts, overlay_network_config=network(1390), upgrade_overlay_serial=[1, 1, 1])
        assert code == 0, said
        assert mtus(hosts) == [1340, 1340, 1340]
        assert not unfinished.exists()
