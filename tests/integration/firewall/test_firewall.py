# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The firewall table in a real kernel: what it does to packets, and how it is compared and repaired."""

from __future__ import annotations

import threading
from ipaddress import IPv4Network, IPv6Network
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._dataplane.firewall import table as firewall
from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import network_config
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import Lease

CONFIG = network_config.parse(
    {
        "Network": "10.5.0.0/16",
        "EnableIPv6": True,
        "IPv6Network": "fd00:10:5::/48",
        "Backend": {"Type": "vxlan"},
    }
)
LEASE = Lease(subnet=IPv4Network("10.5.57.0/24"), ipv6_subnet=IPv6Network("fd00:10:5:57::/64"))
TABLES = firewall.desired(CONFIG, LEASE, ip_masq=True)

PLACES = [
    pytest.param(
        {
            "pod": "10.5.57.5",
            "remote": "10.5.66.5",
            "outside": "198.18.1.9",
            "node": "198.18.0.1",
            "other": "198.18.3.1",
        },
        id="ipv4",
    ),
    pytest.param(
        {
            "pod": "fd00:10:5:57::5",
            "remote": "fd00:10:5:66::5",
            "outside": "fd00:18:1::9",
            "node": "fd00:18::1",
            "other": "fd00:18:3::1",
        },
        id="ipv6",
    ),
]


def converge(lab: Any, want: Any = TABLES, remove_leftovers: bool = False) -> firewall.FirewallPlan:
    plan = firewall.plan(want, firewall.observe(lab.run, want, lab.proc_net), remove_leftovers)
    firewall.apply(lab.run, plan)
    return plan


@pytest.mark.parametrize("at", PLACES)
def test_what_the_rules_do_to_packets(lab: Any, at: dict[str, str]) -> None:
    node, pod, world = lab.node, lab.pod, lab.world
    assert lab.seen_source(pod, at["pod"], world, at["outside"]) == at["pod"], "the lab masquerades by itself"
    converge(lab)
    assert lab.seen_source(pod, at["pod"], world, at["outside"]) == at["node"], "pod to outside"
    assert lab.seen_source(pod, at["pod"], world, at["remote"]) == at["pod"], "pod to remote pod"
    assert lab.seen_source(world, at["remote"], pod, at["pod"]) == at["remote"], "remote pod to pod"
    assert lab.seen_source(world, at["outside"], pod, at["pod"]) == at["outside"], "outside to local pod"
    assert lab.seen_source(node, at["other"], world, at["remote"]) == at["node"], "host to remote pod"
    assert lab.seen_source(node, at["other"], world, at["outside"]) == at["other"], "host to outside"


@pytest.mark.parametrize("at", PLACES)
@pytest.mark.parametrize("mark", [0x4000, 0x4001, 0xC000])
def test_packets_that_kube_proxy_marked_are_left_alone(lab: Any, at: dict[str, str], mark: int) -> None:
    converge(lab)
    assert lab.seen_source(lab.node, at["other"], lab.world, at["remote"], mark=mark) == at["other"]


@pytest.mark.parametrize("at", PLACES)
def test_without_ip_masq_nothing_is_masqueraded(lab: Any, at: dict[str, str]) -> None:
    converge(lab, firewall.desired(CONFIG, LEASE, ip_masq=False))
    assert lab.seen_source(lab.pod, at["pod"], lab.world, at["outside"]) == at["pod"]


def test_a_drop_in_another_table_is_not_overridden(lab: Any) -> None:
    """What docs/firewall.md says of hosts whose forward policy is drop."""
    converge(lab)
    lab.shell("nft 'add table ip other; add chain ip other f { type filter hook forward priority 10; policy drop; }'")
    assert lab.seen_source(lab.pod, "10.5.57.5", lab.world, "10.5.66.5") is None


def test_a_second_run_finds_nothing_to_do(lab: Any) -> None:
    first = converge(lab)
    assert first.actions == ("add nftables table ip podnet_cni", "add nftables table ip6 podnet_cni")
    lab.commands.clear()
    second = converge(lab)
    assert not second
    assert second.before == second.after == first.after
    assert lab.commands == [
        "nft -j list tables; list chains",
        "nft -j list table ip podnet_cni",
        "nft -j list table ip6 podnet_cni",
    ]


@pytest.mark.parametrize(
    "damage",
    [
        "flush ruleset",
        "delete table ip podnet_cni",
        "flush table ip podnet_cni",
        "flush chain ip podnet_cni postrtg",
        "delete chain ip podnet_cni forward",
        "add rule ip podnet_cni forward drop",
        "insert rule ip podnet_cni postrtg ip saddr 10.5.0.0/16 accept",
        "add set ip podnet_cni s { type ipv4_addr; }",
        "add chain ip podnet_cni regular",
        "add table ip podnet_cni { flags dormant; }",
        "delete table ip podnet_cni; add table ip podnet_cni",
        "add chain ip podnet_cni forward { policy drop; }",
    ],
)
def test_damage_is_found_and_repaired(lab: Any, damage: str) -> None:
    converge(lab)
    lab.shell(f"nft '{damage}'")
    plan = converge(lab)
    assert plan.actions
    assert all("table ip" in action for action in plan.actions)
    assert plan.before != plan.after
    assert not converge(lab)


def test_counters_and_the_order_of_matches_are_no_damage(lab: Any) -> None:
    want = firewall.desired(CONFIG, LEASE, ip_masq=False)
    lab.shell(
        "nft 'add table ip podnet_cni; add table ip6 podnet_cni'",
        "nft 'add chain ip podnet_cni forward { type filter hook forward priority filter; }'",
        "nft 'add chain ip6 podnet_cni forward { type filter hook forward priority filter; }'",
        "nft 'add rule ip podnet_cni forward ip saddr 10.5.0.0/16 counter accept'",
        "nft 'add rule ip podnet_cni forward ip daddr 10.5.0.0/16 counter accept'",
        "nft 'add rule ip6 podnet_cni forward ip6 saddr fd00:10:5::/48 accept'",
        "nft 'add rule ip6 podnet_cni forward ip6 daddr fd00:10:5::/48 accept'",
    )
    assert not converge(lab, want)


def test_reapplying_leaves_no_moment_without_masquerading(lab: Any) -> None:
    converge(lab)
    stop = threading.Event()
    seen: list[str | None] = []

    def send() -> None:
        while not stop.is_set():
            seen.append(lab.seen_source(lab.pod, "10.5.57.5", lab.world, "198.18.1.9"))

    sender = threading.Thread(target=send)
    sender.start()
    try:
        for _round in range(40):
            firewall.apply(lab.run, firewall.plan(TABLES, firewall.Observed(tables=())))
    finally:
        stop.set()
        sender.join()
    assert len(seen) > 20
    assert set(seen) == {"198.18.0.1"}


def test_a_changed_subnet_replaces_the_rules(lab: Any) -> None:
    converge(lab)
    other = Lease(subnet=IPv4Network("10.5.99.0/24"), ipv6_subnet=LEASE.ipv6_subnet)
    plan = converge(lab, firewall.desired(CONFIG, other, ip_masq=True))
    assert plan.actions == ("repair nftables table ip podnet_cni",)
    assert "10.5.57.0/24" not in lab.shell("nft list table ip podnet_cni")


def test_absent_removes_our_tables_and_no_other(lab: Any) -> None:
    lab.shell("nft 'add table ip other'")
    converge(lab)
    assert converge(lab, ()).actions == (
        "remove nftables table ip podnet_cni",
        "remove nftables table ip6 podnet_cni",
    )
    assert lab.shell("nft list tables") == "table ip other\n"
    assert not converge(lab, ())


def test_flanneld_own_tables_are_told_and_removed_on_request(lab: Any) -> None:
    lab.shell("nft 'add table ip flannel-ipv4; add table ip6 flannel-ipv6; add table ip other'")
    plan = converge(lab)
    assert plan.leftovers == ("nftables table ip flannel-ipv4", "nftables table ip6 flannel-ipv6")
    assert not converge(lab), "left behind rules are no change unless they are to be removed"
    assert converge(lab, remove_leftovers=True).actions == (
        "remove nftables table ip flannel-ipv4",
        "remove nftables table ip6 flannel-ipv6",
    )
    assert lab.shell("nft list tables").split("\n")[0] == "table ip other"
    assert not converge(lab, remove_leftovers=True)


FLANNELD_RULES = (
    "{0} -t nat -N FLANNEL-POSTRTG",
    '{0} -t nat -A POSTROUTING -m comment --comment "flanneld masq" -j FLANNEL-POSTRTG',
    '{0} -t nat -A FLANNEL-POSTRTG -m mark --mark 0x4000/0x4000 -m comment --comment "flanneld masq" -j RETURN',
    '{0} -t nat -A FLANNEL-POSTRTG -s {1} -m comment --comment "flanneld masq" -j MASQUERADE --random-fully',
    "{0} -N FLANNEL-FWD",
    '{0} -A FORWARD -m comment --comment "flanneld forward" -j FLANNEL-FWD',
    '{0} -A FLANNEL-FWD -s {1} -m comment --comment "flanneld forward" -j ACCEPT',
    "{0} -A FORWARD -p tcp --dport 25 -j DROP",
)


@pytest.mark.parametrize("variant", ["nft", "legacy"])
@pytest.mark.parametrize(("program", "network"), [("iptables", "10.5.0.0/16"), ("ip6tables", "fd00:10:5::/48")])
def test_iptables_rules_of_flanneld_are_told_and_removed_on_request(
    lab: Any, variant: str, program: str, network: str
) -> None:
    name = f"{program}-{variant}"
    if lab.run(["sh", "-c", f"{name} -t nat -S"])[0] != 0:
        pytest.skip(f"{name} does not work on this kernel")
    lab.shell(*(rule.format(name, network) for rule in FLANNELD_RULES))
    plan = converge(lab)
    assert len(plan.leftovers) == 2
    assert all(name in leftover and leftover.endswith(": 1") for leftover in plan.leftovers)
    assert all(leftover in plan.after for leftover in plan.leftovers)
    assert not converge(lab)
    plan = converge(lab, remove_leftovers=True)
    assert plan.actions == tuple(f"remove {leftover}" for leftover in plan.leftovers)
    assert "FLANNEL" not in lab.shell(f"{name}-save")
    assert "--dport 25 -j DROP" in lab.shell(f"{name}-save"), "a rule of somebody else is gone"
    assert not converge(lab, remove_leftovers=True)


def test_no_legacy_table_is_created_by_looking(lab: Any) -> None:
    converge(lab)
    assert lab.shell("cat /proc/net/ip_tables_names /proc/net/ip6_tables_names") == ""
    assert not any("iptables" in command for command in lab.commands)


def test_a_missing_right_is_told_before_any_change(lab: Any) -> None:
    def powerless(command: Any, text: str | None = None) -> tuple[int, str, str]:
        return lab.run(["unshare", "--user", *command], text)

    with pytest.raises(PodnetError, match=r"nft -j .* failed .*not permitted.*CAP_NET_ADMIN"):
        firewall.observe(powerless, TABLES, lab.proc_net)
