# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which direction of a tunnel is blocked: who is asked, what is said of it, and the command of who wrote the rule."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._probe import measure
from ansible_collections.podnet.cni.plugins.module_utils._status import directions, document
from ansible_collections.podnet.cni.tests.unit._gathered import measured, network
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._status.test_document import build

RULE = {"program": "nft", "family": 0, "chain": "inet t c", "rule": "udp dport 8472 drop", "sure": True}


def blocked(number: int = 3, backend: str = "vxlan") -> dict[str, Any]:
    """A network in which nothing but the underlay answers to and from node3 over IPv4."""

    def answers(source: str, target: str, layer: str, family: int, _size: int) -> bool:
        return layer == "underlay" or family == 6 or "node3" not in (source, target)

    return measured(network(number, backend, pods=False), answers)


def told(gathered: dict[str, Any], *, passes: set[tuple[str, str]], **hosts: dict[str, Any]) -> dict[str, Any]:
    """What hosts say when they were asked as the picture wants it; C(hosts) are what some say besides."""
    asked = document.questions(gathered)
    for name, own in asked.items():
        probes = [{"target": each["name"], "address": each["address"], "port": 8472} for each in own["targets"]]
        heard = [
            {"source": each["name"], "family": 4, "port": 8472, "arrived": 3, "passed": 3}
            for each in own["targets"]
            if (each["name"], name) in passes
        ]
        gathered["hosts"][name]["udp"] = {"asked": probes, "heard": heard, "rules": [], "problem": ""}
        gathered["hosts"][name]["udp"].update(hosts.get(name, {}))
    return gathered


def finding(gathered: dict[str, Any]) -> dict[str, Any]:
    [found] = [each for each in build(gathered)["findings"] if each["id"] == "way.tunnel"]
    return found


OTHERS = {("node1", "node3"), ("node2", "node3")}
BACK = {("node3", "node1"), ("node3", "node2")}


def test_only_hosts_of_a_tunnel_that_fails_are_asked() -> None:
    assert document.questions(measured(network())) == {}
    asked = document.questions(blocked(4))
    assert sorted(asked) == ["node1", "node2", "node3", "node4"]
    assert asked["node1"] == {
        "addresses": ["198.18.0.2", "fd00:18::1"],
        "ports": [8472],
        "targets": [{"name": "node3", "address": "198.18.0.4"}],
    }
    assert [each["name"] for each in asked["node3"]["targets"]] == ["node1", "node2", "node4"]
    assert len(document.questions(blocked(40))["node3"]["targets"]) == 10
    assert document.questions(blocked(3, "ipip")) == {}, "it has no UDP port"


def test_a_port_that_is_blocked_over_both_families() -> None:
    """Each family is a target of its own, with a name of its own, and has its own directions."""

    def answers(source: str, target: str, layer: str, _family: int, _size: int) -> bool:
        return layer == "underlay" or "node3" not in (source, target)

    gathered = measured(network(pods=False), answers)
    asked = document.questions(gathered)
    assert asked["node1"]["targets"] == [
        {"name": "node3", "address": "198.18.0.4"},
        {"name": "node3 over IPv6", "address": "fd00:18::3"},
    ]
    for own in asked.values():
        measure.parse_targets(own["targets"])
    heard = [
        {"source": name, "family": family, "port": 8472, "arrived": 3, "passed": 3 if family == 4 else 0}
        for name in ("node1", "node2")
        for family in (4, 6)
    ]
    made = build(told(gathered, passes=BACK, node3={"heard": heard}))
    seen = {each["seen"] for each in made["findings"] if each["id"] == "way.tunnel"}
    assert len(seen) == 2
    [over_ipv6] = [text for text in seen if text.startswith("over IPv6")]
    assert "UDP 8472 from node1, node2 arrives at node3: its firewall drops it" in over_ipv6
    [over_ipv4] = [text for text in seen if text.startswith("over IPv4")]
    assert "something drops the tunnel's own packets" in over_ipv4
    many = document.questions(measured(network(40, pods=False), answers))
    assert len(many["node3"]["targets"]) == 20


def test_the_port_of_the_other_family_tells_nothing() -> None:
    config = {4: 51820, 6: 51821}
    hosts = [{"name": name, "public_ips": {"4": f"198.18.0.{name}", "6": f"fd00:18::{name}"}} for name in "12"]
    asked = [
        {"target": target, "address": address, "port": port}
        for target, address in (("2", "198.18.0.2"), ("2 over IPv6", "fd00:18::2"))
        for port in config.values()
    ]
    heard = [
        {"source": "1", "family": family, "port": port, "arrived": 1, "passed": 0 if port == config[family] else 1}
        for family in (4, 6)
        for port in config.values()
    ]
    entries = {"1": {"udp": {"asked": asked, "heard": []}}, "2": {"udp": {"heard": heard}}}
    hops = directions.of({"hosts": entries}, hosts, config)
    assert {key: (hop.port, hop.state) for key, hop in hops.items()} == {
        ("1", "2", 4): (51820, "dropped"),
        ("1", "2", 6): (51821, "dropped"),
    }
    seen, remedy = directions.said([hops["1", "2", 6]])
    assert seen.startswith("UDP 51821 from 1 arrives at 2")
    assert "let 51821/udp through" in remedy


def test_nobody_could_be_asked() -> None:
    found = finding(blocked())
    assert found["seen"] == "over IPv4 from host to host nothing answers on all 4 ways to and from it"
    assert found["remedy"].startswith("Open 8472/udp in both directions")
    # Who could not watch tells nothing, not that nothing arrived.
    silent = {name: {"problem": "Operation not permitted"} for name in ("node1", "node2", "node3")}
    assert finding(told(blocked(), passes=set(), **silent))["seen"] == found["seen"]


def test_what_arrives_and_is_dropped() -> None:
    heard = [{"source": name, "family": 4, "port": 8472, "arrived": 3, "passed": 0} for name in ("node1", "node2")]
    rules = [
        {**RULE, "direction": "in", "peers": ["198.18.0.2", "198.18.0.3"]},
        {**RULE, "direction": "out", "peers": []},
    ]
    found = finding(told(blocked(), passes=BACK, node3={"heard": heard, "rules": rules}))
    assert found["seen"].endswith(
        "to and from it: UDP 8472 from node1, node2 arrives at node3: its firewall drops it (by chain inet t c: "
        "udp dport 8472 drop); UDP 8472 node3 -> node1, node3 -> node2 gets through"
    )
    assert found["remedy"] == (
        "On node3: nft insert rule inet t c udp dport 8472 accept. "
        "Write it where the rules are loaded from at boot, too."
    )


def test_a_rule_that_nobody_sees() -> None:
    heard = [{"source": "node1", "family": 4, "port": 8472, "arrived": 3, "passed": 0}]
    found = finding(told(blocked(), passes=BACK | {("node2", "node3")}, node3={"heard": heard}))
    assert "node1 arrives at node3: its firewall drops it, by a rule that cannot be seen here" in found["seen"]
    assert found["remedy"].startswith("On node3 let 8472/udp through, as with firewalld or ufw: firewall-cmd --perm")
    assert "ufw allow 8472/udp" in found["remedy"]


def test_what_does_not_leave_and_what_is_lost_between() -> None:
    gathered = told(blocked(), passes={("node1", "node3")})
    for probe in gathered["hosts"]["node3"]["udp"]["asked"]:
        probe["refused"] = True
    rule = {**RULE, "direction": "out", "peers": ["198.18.0.2", "198.18.0.3"], "sure": False}
    gathered["hosts"]["node3"]["udp"]["rules"] = [rule]
    found = finding(gathered)
    assert "UDP 8472 from node3 to node1, node2 does not leave it: its firewall drops it (perhaps by" in found["seen"]
    assert "UDP 8472 node2 -> node3 leaves and does not arrive: it is dropped between them" in found["seen"]
    assert "UDP 8472 node1 -> node3 gets through" in found["seen"]
    assert "On node3: nft insert rule inet t c udp dport 8472 accept." in found["remedy"]
    assert "Open 8472/udp from node2 to node3 in what is between them" in found["remedy"]


def test_the_port_is_open_and_the_tunnel_fails() -> None:
    found = finding(told(blocked(), passes=OTHERS | BACK))
    assert found["seen"].endswith("gets through in both directions: something drops the tunnel's own packets")
    assert "ethtool -K LINK tx-checksum-ip-generic off" in found["remedy"]


@pytest.mark.parametrize(
    ("rule", "command"),
    [
        (
            {"program": "iptables", "family": 4, "chain": "ip filter INPUT"},
            "iptables -I INPUT -p udp --dport 8472 -j ACCEPT",
        ),
        ({"program": "iptables", "family": 6, "chain": "ip6 raw PREROUTING"}, "ip6tables -I PREROUTING -p udp --dport"),
        ({"program": "iptables-legacy", "family": 4, "chain": "INPUT"}, "iptables-legacy -I INPUT -p udp --dport 8472"),
        ({"program": "ufw", "chain": "ip filter INPUT"}, "ufw allow 8472/udp"),
        (
            {"program": "firewalld", "chain": "inet firewalld i"},
            "firewall-cmd --permanent --add-port=8472/udp && firewall-cmd",
        ),
    ],
)
def test_the_command_is_that_of_who_wrote_the_rule(rule: dict[str, Any], command: str) -> None:
    heard = [{"source": "node1", "family": 4, "port": 8472, "arrived": 1, "passed": 0}]
    rules = [{**RULE, **rule, "direction": "in", "peers": ["198.18.0.2"]}]
    found = finding(told(blocked(), passes=BACK, node3={"heard": heard, "rules": json.loads(json.dumps(rules))}))
    assert f"On node3: {command}" in found["remedy"]
