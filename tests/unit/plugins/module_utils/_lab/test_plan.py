# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pure part of the lab: which host gets which address, what is refused, which steps follow from a difference."""

from __future__ import annotations

import dataclasses
import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._lab import plan as lab

NETWORKS = lab.parse_networks([("underlay_cidr", "198.18.0.0/24"), ("underlay_ipv6_cidr", "fd00:18::/64")])


def host(name: str, offset: int | None = None, processes: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {"name": name, "offset": offset, "processes": processes or []}


def process(*argv: str, ready_url: str | None = None) -> dict[str, Any]:
    return {"name": argv[0], "argv": list(argv), "environment": None, "ready_url": ready_url}


def wanted(*hosts: dict[str, Any], default_route: bool = True) -> lab.Lab:
    return lab.desired(hosts, NETWORKS, 1500, default_route)


def found(want: lab.Lab, **changes: lab.Host | None) -> lab.Lab:
    """The lab as it looks once it was made, with some hosts changed."""
    return lab.Lab(want.underlay, {**want.hosts, **changes}, {})


def kinds(operations: list[lab.Operation]) -> list[tuple[str, str]]:
    return [(operation.kind, operation.host) for operation in operations]


def test_hosts_are_numbered_from_eleven_around_the_offsets_that_were_given() -> None:
    want = wanted(host("store", 12), host("a"), host("b"), host("c"))
    offsets = {name: int(own.addresses[0].split("/")[0].split(".")[-1]) for name, own in want.hosts.items() if own}
    assert offsets == {"store": 12, "a": 11, "b": 13, "c": 14}
    assert want.hosts["b"].addresses == ("198.18.0.13/24", "fd00:18::d/64")
    assert want.underlay == lab.Underlay(1500, ("198.18.0.1/24", "fd00:18::1/64"))
    assert want.hosts["b"].gateways == ("198.18.0.1", "fd00:18::1")


def test_without_a_default_route_there_is_no_gateway() -> None:
    assert wanted(host("a"), default_route=False).hosts["a"].gateways == ()


def test_every_host_knows_every_host_by_name() -> None:
    want = wanted(host("a"), host("b"))
    assert want.hosts["a"].hosts_file == want.hosts["b"].hosts_file
    assert "198.18.0.12 b\nfd00:18::c b\n" in want.hosts["a"].hosts_file


@given(st.lists(st.one_of(st.none(), st.integers(2, 254)), max_size=30))
def test_no_address_is_given_twice(offsets: list[int | None]) -> None:
    given_offsets = [offset for offset in offsets if offset is not None]
    hosts = [host(f"h{index}", offset) for index, offset in enumerate(offsets)]
    if len(given_offsets) != len(set(given_offsets)):
        with pytest.raises(InputError, match="Use each offset once"):
            wanted(*hosts)
        return
    want = wanted(*hosts)
    addresses = [address for own in want.hosts.values() for address in own.addresses]
    assert len(addresses) == len(set(addresses)) == 2 * len(hosts)
    for address in addresses:
        assert any(ipaddress.ip_interface(address).network == network for network in NETWORKS)


@pytest.mark.parametrize(
    ("hosts", "message"),
    [
        ([host("Node")], r"hosts\[0\]\.name is 'Node'"),
        ([host("a"), host("a")], r"hosts\[1\]\.name is 'a', which an earlier host has"),
        ([host("-a")], r"letter or a digit at both ends"),
        ([host("a" * 64)], r"at most 63"),
        ([host("a", 1)], r"offset of a is 1, which the underlay bridge has"),
        ([host("a", 0)], r"number 0 of the underlay 198\.18\.0\.0/24"),
        ([host("a", 255)], r"numbers 2 to 254"),
        ([host("a", 9), host("b", 9)], r"hosts\[1\]\.offset of b is 9, which a has"),
        ([host("a", processes=[process("x"), process("x")])], r"lists the process x twice"),
        ([host("a", processes=[{**process("x"), "argv": []}])], r"empty argv"),
    ],
)
def test_impossible_hosts_are_refused_by_name(hosts: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        wanted(*hosts)


@pytest.mark.parametrize("mtu", [0, 1279, 65536])
def test_an_mtu_that_ipv6_cannot_use_is_refused(mtu: int) -> None:
    with pytest.raises(InputError, match=f"mtu is {mtu}"):
        lab.desired([], NETWORKS, mtu, True)


@pytest.mark.parametrize(
    ("cidrs", "message"),
    [
        ([("underlay_cidr", "198.18.0.1/24")], "underlay_cidr is '198.18.0.1/24'.*host bits"),
        ([("underlay_cidr", "lab")], "underlay_cidr is 'lab'"),
        ([("underlay_cidr", ""), ("underlay_ipv6_cidr", "")], "both empty"),
    ],
)
def test_wrong_networks_are_refused_by_option(cidrs: list[tuple[str, str]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        lab.parse_networks(cidrs)


@pytest.mark.parametrize("route", ["198.18.0.0/15", "198.18.0.128/25", "198.18.0.7", "fd00:18::/32"])
def test_a_route_of_the_machine_that_overlaps_is_named(route: str) -> None:
    with pytest.raises(InputError, match=f"overlaps the route {ipaddress.ip_network(route)}"):
        lab.check_overlap(NETWORKS, [route])


def test_other_routes_and_default_routes_do_not_matter() -> None:
    lab.check_overlap(NETWORKS, ["0.0.0.0/0", "::/0", "198.18.1.0/24", "10.0.0.1", "fe80::/64", "ff00::/8"])


@pytest.mark.parametrize("path", ["relative", "/", "/run/../etc", "/run/a,b", "/run/a:b", "/run/a b"])
def test_a_path_that_a_mount_option_cannot_hold_is_refused(path: str) -> None:
    with pytest.raises(InputError, match="Give an absolute path"):
        lab.check_path("state_dir", path)


@pytest.mark.parametrize(("copies", "private", "missing"), [(["/etc"], [], "/run"), (["/opt"], ["/run"], "/etc")])
def test_hosts_never_write_to_the_machine(copies: list[str], private: list[str], missing: str) -> None:
    with pytest.raises(InputError, match=f"{missing} is neither in"):
        lab.check_private(copies, private)


def test_placeholders_become_the_addresses_of_the_host() -> None:
    item = process("etcd", "--listen=http://{address}:2379", "[{ipv6_address}]", ready_url="http://{address}/health")
    both = wanted(host("a", processes=[item])).processes["a"][0]
    assert both.argv == ("etcd", "--listen=http://198.18.0.11:2379", "[fd00:18::b]")
    assert both.ready_url == "http://198.18.0.11/health"
    only_ipv6 = lab.desired([host("a", processes=[item])], NETWORKS[1:], 1500, True).processes["a"][0]
    assert only_ipv6.argv[1] == "--listen=http://[fd00:18::b]:2379"


def test_from_nothing_everything_is_made_and_processes_come_last() -> None:
    want = wanted(host("a", processes=[process("x")]), host("b"))
    assert kinds(lab.plan(want, lab.NOTHING)) == [
        ("create_lab", ""),
        ("create_host", "a"),
        ("create_host", "b"),
        ("write_hosts_file", "a"),
        ("write_hosts_file", "b"),
        ("start", "a"),
    ]


def test_what_is_as_wanted_needs_nothing() -> None:
    want = wanted(host("a", processes=[process("x")]), host("b"))
    assert lab.plan(want, found(want)) == []
    assert lab.plan(lab.NOTHING, lab.NOTHING) == []


def test_absent_removes_whatever_is_left() -> None:
    assert kinds(lab.plan(lab.NOTHING, found(wanted(host("a"))))) == [("remove_lab", "")]
    assert kinds(lab.plan(lab.NOTHING, lab.Lab(lab.Underlay(0, ()), {}, {}))) == [("remove_lab", "")]


def test_a_host_that_is_not_wanted_goes_and_a_new_one_is_made_known_to_the_others() -> None:
    want = wanted(host("a"), host("b"))
    have = found(wanted(host("a"), host("old")))
    assert kinds(lab.plan(want, have)) == [
        ("remove_host", "old"),
        ("create_host", "b"),
        ("write_hosts_file", "a"),
        ("write_hosts_file", "b"),
    ]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"hostname": "other"}, "host name is other"),
        ({"link_up": False}, "eth0 is missing or down"),
        ({"mtu": 1400}, "MTU of eth0 is 1400 instead of 1500"),
        ({"addresses": ("fd00:18::b/64",)}, "eth0 has no address 198.18.0.11/24"),
        ({"gateways": ()}, "default gateway is absent"),
    ],
)
def test_a_host_that_differs_is_made_anew_and_the_reason_is_told(change: dict[str, Any], why: str) -> None:
    want = wanted(host("a"))
    have = found(want, a=dataclasses.replace(want.hosts["a"], **change))
    operations = lab.plan(want, have)
    assert [operation.kind for operation in operations] == ["remove_host", "create_host", "write_hosts_file"]
    assert why in str(operations[0])


def test_a_host_whose_namespaces_are_gone_is_made_anew() -> None:
    want = wanted(host("a"))
    operations = lab.plan(want, found(want, a=None))
    assert str(operations[0]) == "remove host a: its namespaces are gone"


def test_an_address_that_somebody_else_added_is_left_alone() -> None:
    want = wanted(host("a"))
    more = dataclasses.replace(want.hosts["a"], addresses=(*want.hosts["a"].addresses, "198.18.0.200/32"))
    assert lab.plan(want, found(want, a=more)) == []


def test_a_different_underlay_makes_the_whole_lab_anew() -> None:
    want = wanted(host("a"))
    have = lab.Lab(lab.Underlay(1400, want.underlay.addresses if want.underlay else ()), want.hosts, {})
    assert kinds(lab.plan(want, have)) == [
        ("remove_lab", ""),
        ("create_lab", ""),
        ("create_host", "a"),
        ("write_hosts_file", "a"),
    ]


def test_a_process_that_ended_is_started_and_one_with_other_arguments_is_replaced() -> None:
    want = wanted(host("a", processes=[process("x", "new")]))
    assert want.hosts["a"] is not None
    ended = dataclasses.replace(want.hosts["a"], running=())
    assert [str(operation) for operation in lab.plan(want, found(want, a=ended))] == ["start x in a"]
    old = dataclasses.replace(want.hosts["a"], running=(("x", ("x", "old")), ("y", ("y",))))
    assert [str(operation) for operation in lab.plan(want, found(want, a=old))] == [
        "stop x in a",
        "stop y in a",
        "start x in a",
    ]


@given(st.text("abc0-", min_size=1, max_size=63))
def test_a_port_name_fits_into_an_interface_name(name: str) -> None:
    assert len(lab.port_name(name)) <= 15


def test_long_host_names_have_different_ports() -> None:
    assert lab.port_name("a" * 20) != lab.port_name("a" * 21)


def test_only_the_outermost_mounts_below_the_roots_are_detached() -> None:
    points = ["/", "/run", "/run/netns", "/run/netns/x", "/runner", "/run", "/srv/lab/a", "/srv/lab/a/hosts/n/net"]
    assert lab.mounts_to_detach(points, ["/run", "/srv/lab/"]) == ["/run", "/run", "/srv/lab/a"]


def test_records_for_the_inventory_name_both_addresses() -> None:
    want = lab.desired([host("a", processes=[process("x")])], NETWORKS[:1], 1500, True)
    assert lab.host_records(want) == [
        {
            "name": "a",
            "interface": "eth0",
            "address": "198.18.0.11",
            "ipv6_address": "",
            "guest": False,
            "processes": ["x"],
        }
    ]
    assert lab.describe(want)["hosts"]["a"]["addresses"] == ["198.18.0.11/24"]
    assert lab.describe(lab.NOTHING) == {"underlay": None, "hosts": {}}
