# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which direction of a tunnel's port is blocked, by which rule of which host, and the command that opens it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._status import directions
from ansible_collections.podnet.cni.tests.integration import _netns

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")

PORT = 8472
RUN = {"ports": [PORT], "token": "a-run"}
# The kernel holds the port, as where the overlay is.
VXLAN = f"ip link add flannel.1 type vxlan id 1 dev eth0 dstport {PORT} nolearning; ip link set flannel.1 up"
NFT = "nft 'table inet shut {{ chain {0} {{ type filter hook {0} priority 0; {1}; }}; }}'"
FIREWALLD = """nft -f - <<END
table inet firewalld {
  chain filter_INPUT { type filter hook input priority 10; policy accept;
    ct state { established, related } accept
    jump filter_INPUT_ZONES
    ct state invalid drop
    reject with icmpx admin-prohibited
  }
  chain filter_INPUT_ZONES {
    iifname "eth0" goto filter_IN_public
    goto filter_IN_public
  }
  chain filter_IN_public {
    jump filter_IN_public_allow
    meta l4proto { icmp, ipv6-icmp } accept
  }
  chain filter_IN_public_allow {
    tcp dport 22 accept
  }
}
END"""
UFW = """
iptables-nft -N ufw-before-input
iptables-nft -A ufw-before-input -p udp --dport 68 -j ACCEPT
iptables-nft -A INPUT -j ufw-before-input
iptables-nft -P INPUT DROP
"""
BETWEEN = "nft 'table netdev shut { chain c { type filter hook ingress device p1 priority 0; udp dport 8472 drop; }; }'"


class Case(NamedTuple):
    """Lines for host a, for host b and for what connects them; the states of a -> b and b -> a; what is said of it."""

    name: str
    a: str
    b: str
    states: tuple[str, str]
    seen: str
    remedy: str
    between: str = ""


CASES = [
    Case("open", "", "", ("passes", "passes"), "gets through in both directions", "wrong checksums"),
    Case(
        "input of b",
        "",
        NFT.format("input", "udp dport 8472 drop"),
        ("dropped", "passes"),
        r"UDP 8472 from a arrives at b: its firewall drops it \(by chain inet shut input: udp dport 8472 drop\); "
        r"UDP 8472 b -> a gets through$",
        r"On b: (nft insert rule inet shut input udp dport 8472 accept)\. Write it",
    ),
    Case(
        "output of a",
        NFT.format("output", "meta l4proto udp th dport 8000-9000 drop"),
        "",
        ("kept", "passes"),
        r"UDP 8472 from a to b does not leave it: its firewall drops it \(by chain inet shut output: .*-9000 drop\)",
        r"On a: (nft insert rule inet shut output udp dport 8472 accept)\.",
    ),
    Case(
        "both of b",
        "",
        NFT.format("input", "udp dport { 53, 8472 } counter drop") + ";" + NFT.format("output", "ip protocol udp drop"),
        ("dropped", "kept"),
        r"from a arrives at b: .*\(by chain inet shut input: udp dport \{ 53, 8472 \} drop\); UDP 8472 from b to a do",
        r"On b: (nft insert rule inet shut input udp .* accept); (nft insert rule inet shut output udp .* accept)\.",
    ),
    Case(
        "a policy",
        "",
        "nft 'table ip strict { chain in { type filter hook input priority 0; policy drop; tcp dport 22 accept; }; }'",
        ("dropped", "passes"),
        r"by chain ip strict in: policy drop\)",
        r"On b: (nft insert rule ip strict in udp dport 8472 accept)\.",
    ),
    Case(
        "only from a",
        "",
        NFT.format("prerouting", "ip saddr 198.18.0.1 udp dport 8472 drop; ip saddr 198.18.0.77 udp dport 8472 drop"),
        ("dropped", "passes"),
        r"by chain inet shut prerouting: ip saddr 198\.18\.0\.1 udp dport 8472 drop\)",
        r"On b: (nft insert rule inet shut prerouting udp dport 8472 accept)\.",
    ),
    Case(
        "iptables",
        "",
        "iptables-nft -A INPUT -p udp -m udp --dport 8472 -j DROP",
        ("dropped", "passes"),
        r"by chain ip filter INPUT: udp dport 8472 drop\)",
        r"On b: (iptables -I INPUT -p udp --dport 8472 -j ACCEPT)\.",
    ),
    Case(
        "iptables with a match that is not nft's",
        "iptables-nft -A OUTPUT -p udp -m multiport --dports 53,8472 -j REJECT",
        "",
        ("kept", "passes"),
        r"perhaps by chain ip filter OUTPUT: .*8472.* reject\)",
        r"On a: (iptables -I OUTPUT -p udp --dport 8472 -j ACCEPT)\.",
    ),
    Case(
        "iptables-legacy",
        "",
        "iptables-legacy -A INPUT -p udp -m udp --dport 8472 -j DROP",
        ("dropped", "passes"),
        r"by chain INPUT: -p udp -m udp --dport 8472 -j DROP\)",
        r"On b: (iptables-legacy -I INPUT -p udp --dport 8472 -j ACCEPT)\.",
    ),
    Case(
        "firewalld",
        "",
        FIREWALLD,
        ("dropped", "passes"),
        r"by chain inet firewalld filter_INPUT: reject with icmpx (type )?admin-prohibited\)",
        r"On b: firewall-cmd --permanent --add-port=8472/udp && firewall-cmd --reload\.",
    ),
    Case(
        "ufw", "", UFW, ("dropped", "passes"), r"by chain ip filter INPUT: policy drop\)", r"On b: ufw allow 8472/udp\."
    ),
    Case(
        "between them",
        "",
        "",
        ("lost", "passes"),
        r"UDP 8472 a -> b leaves and does not arrive: it is dropped between them",
        r"Open 8472/udp from a to b in what is between them",
        BETWEEN,
    ),
]


@pytest.fixture(scope="module", name="segment")
def fixture_segment() -> Iterator[_netns.Segment]:
    with _netns.Segment(2) as segment:
        for host in segment.hosts:
            host.shell(VXLAN)
        yield segment


def asked(segment: _netns.Segment, family: int = 4) -> dict[tuple[str, str, int], directions.Hop]:
    """What the hosts tell of the two directions, in the order of the role doctor."""
    hosts = dict(zip("ab", segment.hosts))
    addresses = {name: host.public_ip if family == 4 else host.public_ipv6 for name, host in hosts.items()}

    def run(name: str, state: str, **options: Any) -> dict[str, Any]:
        own = {"addresses": [addresses[name]], **RUN, **options}
        return hosts[name].module(module="preflight_udp_probe", state=state, check=True, **own)

    watched = {name: run(name, "listening", watch=True) for name in hosts}
    assert {told["watch_problem"] for told in watched.values()} == {""}
    told = {}
    for name, other in (("a", "b"), ("b", "a")):
        targets = [{"name": other, "address": addresses[other]}]
        probes = run(name, "asked", source=name, targets=targets, timeout=0.1)["probes"]
        told[name] = {"asked": probes, "problem": ""}
    for name, other in (("a", "b"), ("b", "a")):
        process = {part: watched[name][part] for part in ("pid", "start_time")}
        stopped = run(name, "stopped", interface="eth0", peers=[addresses[other]], **process)
        assert stopped["stopped"] is True
        assert stopped["rules_problem"] == ""
        told[name].update(heard=stopped["heard"], rules=stopped["rules"])
    public = [{"name": name, "public_ips": {str(family): addresses[name]}} for name in hosts]
    return directions.of({"hosts": {name: {"udp": each} for name, each in told.items()}}, public, {family: PORT})


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_the_direction_the_rule_and_the_command_that_opens_it(segment: _netns.Segment, case: Case) -> None:
    a, b = segment.hosts
    switch = _netns.Host(segment.switch, 0)
    try:
        for host, lines in ((a, case.a), (b, case.b), (switch, case.between)):
            host.shell(lines)
        hops = asked(segment)
        assert (hops["a", "b", 4].state, hops["b", "a", 4].state) == case.states, hops
        seen, remedy = directions.said(list(hops.values()))
        assert re.search(case.seen, seen), seen
        said = re.search(case.remedy, remedy)
        assert said, remedy
        if said.groups():
            # What a host without a daemon of a firewall can do is done.
            host = a if f"On a: {said[1]}" in remedy else b
            for command in said.groups():
                host.shell(command.replace("iptables ", "iptables-nft "))
            assert {hop.state for hop in asked(segment).values()} == {"passes"}
    finally:
        for host in (a, b, switch):
            host.shell("nft flush ruleset")
        b.shell("iptables-legacy -F INPUT")


def test_ipv6_has_directions_of_its_own(segment: _netns.Segment) -> None:
    _a, b = segment.hosts
    try:
        b.shell(
            "ip6tables-nft -A INPUT -p udp -m udp --dport 8472 -j DROP", "ip6tables-legacy -A OUTPUT -p udp -j DROP"
        )
        hops = asked(segment, 6)
        assert (hops["a", "b", 6].state, hops["b", "a", 6].state) == ("dropped", "kept"), hops
        seen, remedy = directions.said(list(hops.values()))
        assert "by chain ip6 filter INPUT: udp dport 8472 drop" in seen, seen
        assert "by chain OUTPUT: -p udp -j DROP" in seen
        commands = [
            "ip6tables -I INPUT -p udp --dport 8472 -j ACCEPT",
            "ip6tables-legacy -I OUTPUT -p udp --dport 8472 -j ACCEPT",
        ]
        assert f"On b: {'; '.join(commands)}." in remedy, remedy
        for command in commands:
            b.shell(command.replace("ip6tables ", "ip6tables-nft "))
        assert {hop.state for hop in asked(segment, 6).values()} == {"passes"}
        assert {hop.state for hop in asked(segment).values()} == {"passes"}
    finally:
        b.shell("nft flush ruleset", "ip6tables-legacy -F INPUT", "ip6tables-legacy -F OUTPUT")


def test_who_cannot_watch_tells_why(segment: _netns.Segment) -> None:
    """Without root nothing is said of the direction, and the module does not fail."""
    watch = "from ansible_collections.podnet.cni.plugins.module_utils._preflight import udp; print(udp.watch([1], 'a'))"
    told = segment.hosts[0].shell(f'setpriv --reuid 65534 --clear-groups {os.sys.executable} -c "{watch}"')
    assert told.strip() == "(None, 'Operation not permitted')"
