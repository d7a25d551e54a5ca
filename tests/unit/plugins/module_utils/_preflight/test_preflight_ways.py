# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Between which addresses hosts are measured: each family that the backend's packets take, and no other."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.module_utils._preflight import ways
from ansible_collections.podnet.cni.plugins.module_utils._preflight.finding import Finding
from ansible_collections.podnet.cni.plugins.module_utils._preflight.host_checks import HOST_CHECKS
from ansible_collections.podnet.cni.plugins.module_utils._preflight.report import findings
from ansible_collections.podnet.cni.plugins.module_utils._probe.measure import parse_targets

VXLAN = {"Type": "vxlan"}
BY_ID = {check.id: check for check in HOST_CHECKS}
OF_WAYS = ("host.udp_open", "host.path_loss", "host.path_mtu")


def network(backend: dict[str, Any], *families: int) -> dict[str, Any]:
    both = {4: {"Network": "10.244.0.0/16"}, 6: {"IPv6Network": "fd00:10:244::/48"}}
    config: dict[str, Any] = {"EnableIPv4": 4 in families, "EnableIPv6": 6 in families, "Backend": backend}
    for family in families:
        config.update(both[family])
    return {"network_config": config}


def host(number: int, *families: int, tunnels: tuple[int, ...] = (), private: bool = True) -> dict[str, Any]:
    """A host with public IPs of some families, and flannel's links of some."""
    links = {4: ("flannel.1", f"10.244.{number}.0/32"), 6: ("flannel-v6.1", f"fd00:10:244:{number}::/128")}
    return {
        "underlay": {
            "name": "eth0",
            "mtu": 1500,
            "public_ip": f"198.18.0.{number}" if 4 in families else None,
            "public_ipv6": f"{'fd00' if private else '2001:db8'}:18::{number}" if 6 in families else None,
        },
        "links": [
            {"name": links[family][0], "kind": "vxlan", "mtu": 1450, "up": True, "addresses": [links[family][1]]}
            for family in tunnels
        ],
    }


def targets(found: dict[str, dict[str, Any]], name: str) -> list[tuple[str, str]]:
    return [(each["name"], each["address"]) for each in found[name]["targets"]]


def test_each_family_of_the_network_is_measured() -> None:
    hosts = {"a": host(1, 4, 6, tunnels=(4, 6)), "b": host(2, 4, 6, tunnels=(4, 6))}
    found = ways.shared_out(hosts, network(VXLAN, 4, 6), 3, 10)
    assert found["a"] == {
        "addresses": ["198.18.0.1", "fd00:18::1"],
        "targets": [{"name": "b", "address": "198.18.0.2"}, {"name": "b over IPv6", "address": "fd00:18::2"}],
        "overlay": {"b": "10.244.2.0", "b over IPv6": "fd00:10:244:2::"},
    }
    assert targets(found, "b") == [("a", "198.18.0.1"), ("a over IPv6", "fd00:18::1")]


@pytest.mark.parametrize(("family", "address"), [(4, "198.18.0.2"), (6, "fd00:18::2")])
def test_a_network_of_one_family_is_measured_over_that_one(family: int, address: str) -> None:
    """A host's address of the other family is none of the network's."""
    hosts = {"a": host(1, 4, 6), "b": host(2, 4, 6)}
    found = ways.shared_out(hosts, network(VXLAN, family), 3, 10)
    assert [each["address"] for each in found["a"]["targets"]] == [address]
    assert len(found["a"]["addresses"]) == 1


def test_a_host_without_an_ipv6_address_neither_asks_nor_is_asked_over_ipv6() -> None:
    hosts = {"a": host(1, 4, 6), "b": host(2, 4, 6), "c": host(3, 4), "d": {"underlay": None}, "e": host(5, 6)}
    found = ways.shared_out(hosts, network(VXLAN, 4, 6), 3, 10)
    assert targets(found, "c") == [("a", "198.18.0.1"), ("b", "198.18.0.2")]
    assert targets(found, "a") == [
        ("b", "198.18.0.2"),
        ("b over IPv6", "fd00:18::2"),
        ("c", "198.18.0.3"),
        ("e", "fd00:18::5"),
    ]
    assert found["d"] == {"addresses": [], "targets": [], "overlay": {}}


def test_of_a_network_that_is_not_known_one_family_is_measured() -> None:
    hosts = {"a": host(1, 4, 6), "b": host(2, 4, 6), "c": host(3, 6), "d": host(4, 6)}
    found = ways.shared_out(hosts, {}, 3, 10)
    assert {name: targets(found, name) for name in hosts} == {
        "a": [("b", "198.18.0.2")],
        "b": [("a", "198.18.0.1")],
        "c": [("d", "fd00:18::4")],
        "d": [("c", "fd00:18::3")],
    }


@pytest.mark.parametrize(
    ("mode", "private", "addresses"),
    [
        ("separate", True, ["198.18.0.2", "fd00:18::2"]),
        ("ipv4", True, ["198.18.0.2"]),
        ("ipv6", True, ["fd00:18::2"]),
        ("auto", True, ["198.18.0.2"]),
    ],
)
def test_the_one_tunnel_of_wireguard_is_measured_where_it_goes(mode: str, private: bool, addresses: list[str]) -> None:
    hosts = {"a": host(1, 4, 6, private=private), "b": host(2, 4, 6, private=private)}
    found = ways.shared_out(hosts, network({"Type": "wireguard", "Mode": mode}, 4, 6), 3, 10)
    assert [each["address"] for each in found["a"]["targets"]] == addresses


def test_wireguard_chooses_ipv6_where_ipv4_leads_nowhere() -> None:
    hosts = {"a": host(1, 4, 6, private=False), "b": host(2, 4, 6, private=False)}
    for number, each in enumerate(hosts.values(), 1):
        each["underlay"]["public_ip"] = f"192.168.0.{number}"
    found = ways.shared_out(hosts, network({"Type": "wireguard", "Mode": "auto"}, 4, 6), 3, 10)
    assert targets(found, "a") == [("b over IPv6", "2001:db8:18::2")]


def test_many_hosts_measure_the_next_ones_of_a_ring_over_each_family() -> None:
    hosts = {f"h{number}": host(number, 4, 6) for number in range(1, 12)}
    found = ways.shared_out(hosts, network(VXLAN, 4, 6), 2, 10)
    assert [each["name"] for each in found["h10"]["targets"]] == ["h11", "h11 over IPv6", "h1", "h1 over IPv6"]
    assert len(ways.shared_out(hosts, network(VXLAN, 4, 6), 2, 11)["h1"]["targets"]) == 20


SOME = [(4,), (6,), (4, 6)]
FAMILIES = st.sampled_from([(), *SOME])
WIREGUARD = [{"Type": "wireguard", "Mode": mode} for mode in ("separate", "auto", "ipv4", "ipv6")]
CONFIGS = [(backend, own) for backend in (VXLAN, {"Type": "host-gw"}, *WIREGUARD) for own in SOME]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(FAMILIES, FAMILIES, st.booleans()), max_size=6),
    st.sampled_from([None, *CONFIGS, ({"Type": "ipip"}, (4,))]),
    st.integers(0, 3),
    st.integers(1, 7),
)
def test_who_asks_is_of_the_family_and_who_is_asked_listens(
    given_hosts: list[Any], config: Any, sample: int, all_up_to: int
) -> None:
    hosts = {
        f"h{number}": host(number, *own, tunnels=tunnels, private=private)
        for number, (own, tunnels, private) in enumerate(given_hosts)
    }
    wanted = network(config[0], *config[1]) if config else {}
    found = ways.shared_out(hosts, wanted, sample, all_up_to)
    assert set(found) == set(hosts)
    for name, share in found.items():
        parse_targets([{"name": None, **each} for each in share["targets"]])
        assert set(share["overlay"]) <= {each["name"] for each in share["targets"]}
        for each in share["targets"]:
            other, family = ways.end_of(each)
            assert other != name
            assert each["address"] in found[other]["addresses"]
            assert family in {ways.family_of(own) for own in share["addresses"]}
            assert not config or family in config[1]
        if config and config[0] in (VXLAN, {"Type": "host-gw"}) and not sample:
            expected = {
                (other, family)
                for other, facts in hosts.items()
                for family, key in ((4, "public_ip"), (6, "public_ipv6"))
                if other != name and family in config[1] and facts["underlay"][key] and hosts[name]["underlay"][key]
            }
            assert {ways.end_of(each) for each in share["targets"]} == expected


def dual(number: int, other: int, **over_ipv6: Any) -> dict[str, Any]:
    """A host whose kernel holds the ports of both families, and whose measurements over IPv4 are well."""
    facts = host(number, 4, 6, tunnels=(4, 6))
    for link, local in zip(facts["links"], ("198.18.0", "fd00:18:")):
        separator = "." if link["name"] == "flannel.1" else ":"
        link["vxlan"] = {"id": 1, "port": 8472, "link": "eth0", "local": f"{local}{separator}{number}"}
    own = (facts["underlay"]["public_ip"], facts["underlay"]["public_ipv6"])
    facts["links"].insert(0, {"name": "eth0", "mtu": 1500, "up": True, "addresses": [f"{each}/64" for each in own]})
    ends = [(f"n{other}", f"198.18.0.{other}", f"10.244.{other}.0")]
    ends.append((f"n{other} over IPv6", f"fd00:18::{other}", f"fd00:10:244:{other}::"))
    well: dict[str, Any] = {
        "udp": {"port": 8472, "open": False, "error": "no answer"},
        "overlay": {"reachable": True},
        "path": {"reachable": True, "sent": 10, "loss": 0.0, "largest_packet": 1500},
    }
    for kind, result in well.items():
        facts[f"{kind}_probes"] = [
            {**result, **(over_ipv6.get(kind) or {} if ":" in address else {}), "target": name, "address": address}
            for name, outer, inner in ends
            for address in [inner if kind == "overlay" else outer]
        ]
    facts["udp_listeners"] = [
        {"address": each, "port": 8472, "state": over_ipv6.get("listener", "held") if ":" in each else "held"}
        for each in own
    ]
    return facts


def judged(check: str, hosts: dict[str, Any], backend: dict[str, Any] | None = None) -> list[Finding]:
    found = findings(hosts, None, network(backend or VXLAN, 4, 6))
    return [one for one in found if one.id == check]


def failed(check: str, hosts: dict[str, Any]) -> list[Finding]:
    return [one for one in judged(check, hosts) if one.status == "failed"]


def pair(**over_ipv6: Any) -> dict[str, Any]:
    return {"n1": dual(1, 2, **over_ipv6), "n2": dual(2, 1)}


def test_a_network_of_both_families_is_well() -> None:
    for check in OF_WAYS:
        found = judged(check, pair())
        assert [(one.status, one.subject) for one in found] == [("ok", "n1")] * 2 + [("ok", "n2")] * 2
        assert sum("over IPv6" in one.seen for one in found) == 2


def test_a_port_that_is_blocked_over_ipv6_alone() -> None:
    """It is held over both families, so that the overlay tells."""
    (one,) = failed("host.udp_open", pair(overlay={"reachable": False}))
    assert one.subject == "n1"
    assert one.seen == ("n2 over IPv6 does not answer over the overlay (fd00:10:244:2::), whose link holds UDP 8472")
    assert one.remedy.startswith("Open UDP 8472 over IPv6 between the hosts;")


def test_a_port_that_is_held_over_ipv4_alone() -> None:
    """The kernel's vxlan over IPv4 leaves the port free over IPv6: there a listener is asked."""
    hosts = {"n1": dual(1, 2), "n2": dual(2, 1, listener="listening")}
    (one,) = failed("host.udp_open", hosts)
    assert one.seen == "UDP 8472 of n2 over IPv6 (fd00:18::2): no answer"
    assert one.remedy.startswith("Open UDP 8472 over IPv6 between the hosts: host firewall")
    hosts["n1"]["udp_probes"][1]["open"] = True
    assert failed("host.udp_open", hosts) == []


def test_a_link_of_the_other_family_is_not_to_blame() -> None:
    hosts = pair(overlay={"reachable": False})
    hosts["n2"]["links"][1]["up"] = False
    (one,) = failed("host.udp_open", hosts)
    assert "flannel.1" not in one.seen
    hosts["n2"]["links"][2]["up"] = False
    (one,) = failed("host.udp_open", hosts)
    assert one.seen == "n2 over IPv6 does not answer over the overlay (fd00:10:244:2::); on n2: flannel-v6.1 is down"


def test_a_way_over_ipv6_needs_what_the_headers_over_ipv6_take() -> None:
    """The pods' 1430 octets over IPv6 and 70 around them are 1500, as are 1450 and 50 over IPv4."""
    (one,) = failed("host.path_mtu", pair(path={"largest_packet": 1480}))
    assert (one.subject, one.seen) == ("n1", "1480 octets to n2 over IPv6")
    assert "so that pods get MTU 1410" in one.remedy
    (one,) = failed("host.path_mtu", pair(path={"largest_packet": 0}))
    assert one.seen == "not even 1280 octets to n2 over IPv6"


@pytest.mark.parametrize(("family", "port"), [(4, 51820), (6, 51821)])
def test_the_port_of_the_other_family_does_not_count(family: int, port: int) -> None:
    """The role asks each address at each port; wireguard has one for each family."""
    hosts = pair()
    for facts in hosts.values():
        facts["udp_probes"] = [
            {**each, "port": number, "open": number == (51821 if ":" in each["address"] else 51820)}
            for each in facts["udp_probes"]
            for number in (51820, 51821)
        ]
    found = judged("host.udp_open", hosts, {"Type": "wireguard"})
    assert [one.status for one in found] == ["ok"] * 4
    name = "n2" if family == 4 else "n2 over IPv6"
    assert f"{name} answered at UDP {port}" in {one.seen for one in found}


MEASURED = st.fixed_dictionaries(
    {},
    optional={
        "udp": st.fixed_dictionaries({}, optional={"open": st.booleans(), "error": st.sampled_from(["", "refused"])}),
        "overlay": st.fixed_dictionaries({"reachable": st.booleans()}),
        "path": st.fixed_dictionaries(
            {},
            optional={
                "reachable": st.booleans(),
                "loss": st.sampled_from([0.0, 30.0, 100.0]),
                "largest_packet": st.sampled_from([0, 1280, 1400, 1480, 1500, None]),
            },
        ),
        "listener": st.sampled_from(["held", "listening", "failed"]),
    },
)


@settings(max_examples=200, deadline=None)
@given(MEASURED, MEASURED)
def test_what_is_measured_of_one_family_is_said_of_that_one(here: dict[str, Any], there: dict[str, Any]) -> None:
    hosts = {"n1": dual(1, 2, **here), "n2": dual(2, 1, **there)}
    without = copy.deepcopy(hosts)
    for facts in without.values():
        for name in ("udp_probes", "overlay_probes", "path_probes"):
            facts[name] = facts[name][:1]
    for check in OF_WAYS:
        found, of_ipv4 = judged(check, hosts), judged(check, without)
        assert [one for one in found if "over IPv6" not in one.seen] == of_ipv4
        assert {one.status for one in of_ipv4} == {"ok"}
