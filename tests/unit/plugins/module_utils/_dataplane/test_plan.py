# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A plan leads from any state to the wanted one, touches nothing else, and says what it does."""

from __future__ import annotations

import re
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.module_utils._dataplane import backends, peers, plan
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.model import (
    Address,
    DataPlane,
    FdbEntry,
    Link,
    Neighbour,
    Prefix,
    Route,
    WireguardPeer,
    contains,
    route_text,
)
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.observed import (
    Observed,
    ObservedLink,
    ObservedNeighbour,
    ObservedRoute,
    WireguardState,
)
from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError, InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import from_dict
from ansible_collections.podnet.cni.plugins.module_utils._flannel.network_config import NetworkConfig
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._dataplane._kernel import FakeKernel
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._dataplane._nodes import (
    UNDERLAY,
    build,
    config,
    lease,
)

NETWORKS = [
    config(),
    config(ipv6=True),
    config(DirectRouting=True, ipv6=True),
    config(VNI=7),
    config("host-gw"),
    config("host-gw", ipv6=True),
    config("ipip"),
    config("ipip", DirectRouting=True),
    config("wireguard", ipv6=True),
    config("wireguard", ipv6=True, Mode="auto"),
    config("alloc"),
]
ON_LINK = {b"\xc6\x12\x00" + bytes([number]): "eth0" for number in range(0, 256, 2)}


def planes(networks: list[NetworkConfig]) -> st.SearchStrategy[DataPlane]:
    """Data planes of node 1 under any of the networks, with any of 40 peers."""
    numbers = st.lists(st.integers(2, 41), unique=True, max_size=12)
    return st.builds(lambda network, found: build(network, sorted(found), ON_LINK), st.sampled_from(networks), numbers)


def converge(kernel: FakeKernel, wanted: DataPlane) -> plan.Plan:
    """Plan and apply once; what is planned afterwards must be nothing."""
    kernel.wanted = {link.name: link for link in wanted.links}
    kernel.public_key = wanted.wireguard_public_key
    steps = plan.make(wanted, kernel.observe())
    kernel.apply(steps)
    again = plan.make(wanted, kernel.observe())
    assert not again, again.actions()
    return steps


@settings(deadline=None)
@given(
    st.sampled_from([[one for one in NETWORKS if one.enable_ipv6 == ipv6] for ipv6 in (False, True)]).flatmap(
        lambda networks: st.lists(planes(networks), min_size=1, max_size=5)
    )
)
def test_any_sequence_of_planes_converges_each_time(sequence: list[DataPlane]) -> None:
    kernel = FakeKernel()
    for wanted in sequence:
        converge(kernel, wanted)
        assert {item.route for item in kernel.routes.values()} == set(wanted.routes)
        assert set(kernel.links) == {link.name for link in wanted.links}
        assert {Neighbour(name, entry.address, entry.mac) for (name, _key), entry in kernel.neighbours.items()} == set(
            wanted.neighbours
        )
        assert {FdbEntry(name, entry.mac, entry.address) for (name, _key), entry in kernel.fdb.items()} == set(
            wanted.fdb
        )


@settings(deadline=None)
@given(planes(NETWORKS), st.data())
def test_damage_is_repaired_and_nothing_else_touched(wanted: DataPlane, data: st.DataObject) -> None:
    kernel = FakeKernel()
    converge(kernel, wanted)
    kernel.touched.clear()
    lost = data.draw(st.sets(st.sampled_from(sorted(kernel.routes)))) if kernel.routes else set()
    for key in lost:
        del kernel.routes[key]
    moved = data.draw(st.sets(st.sampled_from(sorted(kernel.fdb)))) if kernel.fdb else set()
    for key in moved:
        kernel.fdb[key] = kernel.fdb[key]._replace(address=bytes(len(kernel.fdb[key].address)))
    forgotten = data.draw(st.sets(st.sampled_from(sorted(kernel.neighbours)))) if kernel.neighbours else set()
    for key in forgotten:
        kernel.neighbours[key] = kernel.neighbours[key]._replace(state=2)
    converge(kernel, wanted)
    routes = [entry for entry in kernel.touched if isinstance(entry, Route)]
    assert {(route.destination, route.prefixlen, route.metric, route.tos) for route in routes} == lost
    assert {(entry.link, entry.mac) for entry in kernel.touched if isinstance(entry, FdbEntry)} == moved
    assert {(entry.link, entry.address) for entry in kernel.touched if isinstance(entry, Neighbour)} == forgotten


FOREIGN_LINKS = ("eth0", "cni0", "flannel.1", "flannel-v6.1", "flannel.9")


@st.composite
def foreign_routes(draw: st.DrawFn) -> ObservedRoute:
    """Any route, inside or outside of the network."""
    size = draw(st.sampled_from([4, 16]))
    inside = b"\x0a\x05" if size == 4 else bytes.fromhex("fd0000100005")
    head = draw(st.sampled_from([inside, b""]))
    destination = head + draw(st.binary(min_size=size - len(head), max_size=size - len(head)))
    length = draw(st.integers(1, 8 * size))
    shift = 8 * size - length
    masked = (int.from_bytes(destination, "big") >> shift << shift).to_bytes(size, "big")
    gateway = draw(st.just(b"") | st.binary(min_size=size, max_size=size))
    metric = draw(st.sampled_from([0, 50] if size == 4 else [256, 1024]))
    route = Route(masked, length, gateway, draw(st.sampled_from(FOREIGN_LINKS)), draw(st.booleans()), 0, metric)
    return ObservedRoute(route, draw(st.sampled_from([2, 3, 4, 9, 16])), draw(st.booleans()))


@settings(deadline=None)
@given(planes(NETWORKS), st.lists(foreign_routes(), max_size=20))
def test_only_routes_inside_the_network_are_touched(wanted: DataPlane, foreign: list[ObservedRoute]) -> None:
    kernel = FakeKernel()
    vxlan = Link("flannel.9", "vxlan", 1450, bytes(6), vni=9)
    kernel.links = {"flannel.9": ObservedLink(vxlan, 9, True)}
    for item in foreign:
        kernel.put_route(item)
    steps = plan.make(wanted, kernel.observe())
    for route in [*steps.remove_routes, *steps.set_routes]:
        assert any(contains(network, route.destination) for network in wanted.networks), route_text(route)
    for item in foreign:
        if item.protocol == 2 and item.route in steps.remove_routes:
            # Only one that stands in the way of the wanted one itself.
            assert any(route.destination == item.route.destination for route in wanted.routes)
    replaced = {(route.destination, route.prefixlen) for route in wanted.routes}
    for route in steps.remove_routes:
        assert route.link != "cni0" or (route.destination, route.prefixlen) in replaced


LEFT_ALONE = {
    "over a link that is not the underlay": Route(b"\x0a\x05\xc8\0", 24, b"\xac\x14\0\x09", "eth1"),
    "to a part of our own pods": Route(b"\x0a\x05\x01\x80", 25, b"\xc6\x12\0\x09", "eth0"),
    "through a pod": Route(b"\x0a\x05\xc8\0", 24, b"\x0a\x05\x01\x09", "eth0"),
    "of another prefix length": Route(b"\x0a\x05\xc0\0", 18, b"\xc6\x12\0\x09", "eth0"),
    "with a metric": Route(b"\x0a\x05\xc8\0", 24, b"\xc6\x12\0\x09", "eth0", metric=50),
    "for one kind of traffic": Route(b"\x0a\x05\xc8\0", 24, b"\xc6\x12\0\x09", "eth0", tos=16),
}


@pytest.mark.parametrize("what", LEFT_ALONE)
@pytest.mark.parametrize("network", [config(), config("host-gw"), config("vxlan", DirectRouting=True)])
def test_an_administrators_routes_stay(what: str, network: NetworkConfig) -> None:
    kernel = FakeKernel()
    wanted = build(network, [2, 3], ON_LINK)
    converge(kernel, wanted)
    kernel.put_route(ObservedRoute(LEFT_ALONE[what]))
    assert not plan.make(wanted, kernel.observe())


def test_routes_of_peers_that_are_gone_go_from_every_link_that_leads_to_one() -> None:
    kernel = FakeKernel()
    stale = [
        Route(b"\x0a\x05\xc8\0", 24, b"\xc6\x12\0\xc8", "eth0"),
        Route(b"\x0a\x05\xc9\0", 24, b"\xac\x14\0\xc9", "eth1"),
    ]
    for route in stale:
        kernel.put_route(ObservedRoute(route))
    assert plan.make(build(config("host-gw"), []), kernel.observe()).remove_routes == stale[:1]
    direct = build(config(DirectRouting=True), [2], {b"\xc6\x12\0\x02": "eth1"})
    assert plan.make(direct, kernel.observe()).remove_routes == stale


@pytest.mark.parametrize(("interface", "gone"), [("eth0", 1), ("eth1", 1), (None, 2)])
def test_leaving_takes_routes_from_the_link_that_is_named(interface: str | None, gone: int) -> None:
    kernel = FakeKernel()
    for number, name in ((1, "eth0"), (2, "eth1")):
        kernel.put_route(ObservedRoute(Route(bytes([10, 5, number, 0]), 24, b"\xc6\x12\0\x09", name)))
    steps = plan.make(backends.nothing(config("host-gw"), interface), kernel.observe())
    assert len(steps.remove_routes) == gone
    assert {route.link for route in steps.remove_routes} <= ({interface} if interface else {"eth0", "eth1"})
    assert len(plan.make(backends.nothing(config(DirectRouting=True), interface), kernel.observe()).remove_routes) == 2


def test_an_inexact_route_on_our_own_link_goes() -> None:
    kernel = FakeKernel()
    wanted = build(config(), [2])
    converge(kernel, wanted)
    stale = Route(b"\x0a\x05\x09\0", 24, b"\x0a\x05\x09\0", "flannel.1", True)
    kernel.put_route(ObservedRoute(stale, exact=False))
    assert converge(kernel, wanted).remove_routes == [stale]
    kernel.put_route(ObservedRoute(stale._replace(link="eth0", gateway=b"\xc6\x12\0\x09"), exact=False))
    assert not plan.make(wanted, kernel.observe())


def careless_peer(random: Random) -> dict[str, Any]:
    """A peer as a careless program could give it."""

    def octet() -> int:
        return random.randrange(256)

    def mac() -> Any:
        rare = ["01:00:00:00:00:01", "02:00:00:04:00:01", "", "zz", None]
        return random.choice(rare) if octet() < 40 else random.getrandbits(48).to_bytes(6, "big").hex(":")

    def mostly(usual: str, *rare: Any) -> Any:
        return random.choice(rare) if octet() < 40 else usual

    return {
        "subnet": mostly(f"10.5.{octet()}.0/24", "10.6.1.0/24", "10.5.0.0/16", "10.5.4.0/22", "0.0.0.0/0", None),
        "ipv6_subnet": mostly(f"fd00:10:5:{octet():x}::/64", "fd00::/64", "::/0", "::ffff:10.5.0.0/112", None),
        "public_ip": mostly(f"198.18.0.{octet()}", "224.0.0.1", "10.5.0.9", None),
        "public_ipv6": mostly(f"fd00:18::{octet():x}", "ff02::1", "::ffff:1.2.3.4", None),
        "backend_type": mostly("vxlan", "host-gw", ""),
        "backend_data": mostly({"VNI": octet(), "VtepMAC": mac()}, None, 7, "text", []),
        "backend_v6_data": mostly({"VNI": octet(), "VtepMAC": mac()}, None, 7, "text", []),
    }


LISTS_PER_SEED = 50


@settings(max_examples=200, deadline=None)
@given(st.integers(), st.booleans())
def test_no_peer_list_crashes_or_leaves_the_network(seed: int, ipv6: bool) -> None:
    """10,000 random lists, drawn from 200 seeds."""
    random = Random(seed)
    for _list in range(LISTS_PER_SEED):
        check_peer_list([careless_peer(random) for _peer in range(random.choice([0, 1, 1, 2, 4]))], ipv6)


def check_peer_list(raw: list[dict[str, Any]], ipv6: bool) -> None:
    network = config(ipv6=ipv6)
    own = peers.read_own(network, lease(1, ipv6=ipv6))
    try:
        nodes = peers.read_peers(network, own, [from_dict(item, f"peers[{i}]") for i, item in enumerate(raw)]).peers
    except InputError as error:
        assert "peers[" in str(error)
        return
    wanted = backends.build(network, own, nodes, UNDERLAY, {})
    steps = plan.make(wanted, Observed())
    for route in steps.set_routes:
        assert any(contains(inside, route.destination) for inside in wanted.networks)
        assert route.destination not in (own.ipv4 and own.ipv4.subnet.address, own.ipv6 and own.ipv6.subnet.address)
    for neighbour in steps.set_neighbours:
        assert any(contains(inside, neighbour.address) for inside in wanted.networks)
        assert not neighbour.mac[0] & 1
    for entry in steps.set_fdb:
        assert not any(contains(inside, entry.destination) for inside in wanted.networks)


def test_actions_diff_and_counts() -> None:
    kernel = FakeKernel()
    converge(kernel, build(config(), [2, 3]))
    kernel.put_route(ObservedRoute(Route(b"\x0a\x05\x02\x00", 24, b"\xc6\x12\x00\x02", "eth0")))
    steps = plan.make(build(config(), [2, 4]), kernel.observe())
    assert steps.actions() == [
        "remove route 10.5.3.0/24 via 10.5.3.0 dev flannel.1 onlink",
        "remove neighbour 10.5.3.0 lladdr 02:00:00:04:00:03 dev flannel.1 nud permanent",
        "remove FDB entry 02:00:00:04:00:03 dev flannel.1 dst 198.18.0.3 self permanent",
        "set FDB entry 02:00:00:04:00:04 dev flannel.1 dst 198.18.0.4 self permanent",
        "set neighbour 10.5.4.0 lladdr 02:00:00:04:00:04 dev flannel.1 nud permanent",
        "set route 10.5.2.0/24 via 10.5.2.0 dev flannel.1 onlink",
        "set route 10.5.4.0/24 via 10.5.4.0 dev flannel.1 onlink",
    ]
    assert "route 10.5.2.0/24 via 198.18.0.2 dev eth0" in steps.before()
    assert "route 10.5.2.0/24 via 10.5.2.0 dev flannel.1 onlink" in steps.after()
    assert len(steps.before()) == len(steps.after()) == 4


def test_long_lists_are_counted() -> None:
    steps = plan.make(build(config("host-gw"), list(range(2, 203))), Observed())
    assert steps.actions() == ["set 201 routes"]
    assert len(steps.after()) == 201
    assert len(plan.make(build(config("host-gw"), list(range(2, 202))), Observed()).actions()) == 200


def test_counts_of_each_kind_read_well() -> None:
    plane = build(config(), [2])
    many = plan.LISTED_PER_KIND + 1
    steps = plan.Plan(
        add_addresses=[plane.addresses[0]] * many,
        set_peers=build(config("wireguard"), [2]).wireguard_peers * many,
        remove_neighbours=plane.neighbours * many,
        set_fdb=plane.fdb * many,
    )
    assert steps.actions() == [
        "add 201 addresses",
        "set 201 wireguard peers",
        "remove 201 neighbours",
        "set 201 FDB entries",
    ]


def test_an_empty_plan_is_false() -> None:
    steps = plan.Plan()
    assert not steps
    assert (steps.actions(), steps.before(), steps.after()) == ([], [], [])


@pytest.mark.parametrize("kind", ["bridge", "", "dummy"])
def test_a_strangers_link_is_not_deleted(kind: str) -> None:
    seen = ObservedLink(Link("flannel.1", kind, 1500), 5, True)
    with pytest.raises(ConflictError, match="it is not flannel's: remove or rename it"):
        plan.make(build(config(), [2]), Observed(links={"flannel.1": seen}))


def test_ipip_replaces_only_ipip() -> None:
    seen = ObservedLink(Link("flannel.ipip", "vxlan", 1480), 5, True)
    with pytest.raises(ConflictError, match="it is not flannel's"):
        plan.make(build(config("ipip"), [2]), Observed(links={"flannel.ipip": seen}))


WANTED = Link("flannel.1", "vxlan", 1450, b"\2\0\0\0\0\1", "eth0", b"\xc6\x12\x00\x01", 1, 0, False, False)
COMPATIBLE: list[tuple[dict[str, Any], str]] = [
    ({}, ""),
    ({"mtu": 1400, "mac": b"\2\0\0\0\0\7", "learning": True}, ""),
    ({"port": 4789}, ""),
    ({"underlay": ""}, ""),
    ({"local": b""}, ""),
    ({"underlay": "eth1"}, "underlay is eth1, not eth0"),
    ({"local": b"\xc6\x12\x00\x09"}, "local address is 198.18.0.9, not 198.18.0.1"),
    ({"vni": 2}, "VNI is 2, not 1"),
    ({"gbp": True}, "GBP is True, not False"),
    ({"kind": "tun"}, "kind is tun, not vxlan"),
]


@pytest.mark.parametrize(("changes", "reason"), COMPATIBLE)
def test_compatible_as_upstream_judges(changes: dict[str, Any], reason: str) -> None:
    assert plan.incompatible(WANTED, ObservedLink(WANTED._replace(**changes), 5, True)) == reason


def test_ports_are_compared_when_both_are_known() -> None:
    wanted = WANTED._replace(port=8472)
    assert plan.incompatible(wanted, ObservedLink(WANTED._replace(port=4789), 5, True)) == "port is 4789, not 8472"


def test_a_link_with_a_group_is_replaced() -> None:
    assert plan.incompatible(WANTED, ObservedLink(WANTED, 5, True, strange="l2miss is on")) == "l2miss is on"


def test_ipip_local_address_is_compared() -> None:
    wanted = Link("flannel.ipip", "ipip", 1480, local=b"\xc6\x12\x00\x01")
    assert plan.incompatible(wanted, ObservedLink(wanted._replace(local=b""), 5, True)) == (
        "local address is unset, not 198.18.0.1"
    )


def test_ipv6_devices_keep_one_address() -> None:
    wanted = build(config(ipv4=False, ipv6=True), [])
    kernel = FakeKernel()
    converge(kernel, wanted)
    foreign = Address("flannel-v6.1", bytes.fromhex("20010db8") + bytes(12), 64)
    kernel.addresses.add(foreign)
    assert converge(kernel, wanted).remove_addresses == [foreign]


def test_ipv4_devices_keep_foreign_addresses() -> None:
    kernel = FakeKernel()
    converge(kernel, build(config(), []))
    kernel.addresses |= {Address("flannel.1", b"\xac\x14\0\1", 24), Address("flannel.1", b"\x0a\x05\x09\0", 32)}
    assert converge(kernel, build(config(), [])).remove_addresses == [Address("flannel.1", b"\x0a\x05\x09\0", 32)]


def test_a_leftover_is_known_by_its_network() -> None:
    mine = ObservedLink(Link("flannel-wg", "wireguard", 1420), 5, True)
    theirs = ObservedLink(Link("flannel.9", "vxlan", 1450), 6, True)
    observed = Observed(
        links={"flannel-wg": mine, "flannel.9": theirs},
        addresses=[Address("flannel-wg", b"\x0a\x05\x01\0", 32), Address("flannel.9", b"\x0a\x63\x01\0", 32)],
    )
    assert [link.name for link in plan.make(build(config(), [2]), observed).remove_links] == ["flannel-wg"]


def test_a_leftover_takes_its_twin_along() -> None:
    """The IPv6 device of a backend that is gone, under a config that no longer names its network."""
    kernel = FakeKernel()
    converge(kernel, build(config("wireguard", ipv6=True), []))
    converge(kernel, build(config(), []))
    assert set(kernel.links) == {"flannel.1"}


def test_wireguard_peers() -> None:
    wanted = build(config("wireguard"), [2, 3, 4])
    kernel = FakeKernel()
    converge(kernel, wanted)
    state = kernel.wireguard["flannel-wg"]
    one, two, three = state.peers
    stale = one._replace(public_key=b"\xff" * 32)
    kernel.wireguard["flannel-wg"] = state._replace(
        peers=(one._replace(endpoint=b"\1\2\3\4"), two, three, stale), wrong_psk=frozenset([two.public_key])
    )
    steps = converge(kernel, wanted)
    assert (steps.remove_peers, steps.set_peers, steps.set_wireguard) == ([stale], [one, two], [])
    kernel.wireguard["flannel-wg"] = WireguardState(b"other", 1, state.peers)
    assert converge(kernel, wanted).actions() == ["configure wireguard device flannel-wg listen-port 51820"]


def test_a_peer_that_answers_from_elsewhere_is_left_to_the_kernel() -> None:
    wanted = build(config("wireguard"), [2, 3, 4, 5])
    kernel = FakeKernel()
    converge(kernel, wanted)
    state = kernel.wireguard["flannel-wg"]
    roamed, silent, other, wrong = (peer._replace(endpoint=b"\1\2\3\4", port=1) for peer in state.peers)
    other = other._replace(allowed_ips=())
    kernel.wireguard["flannel-wg"] = state._replace(
        peers=(roamed, silent, other, wrong),
        in_session=frozenset([roamed.public_key, other.public_key, wrong.public_key]),
        wrong_psk=frozenset([wrong.public_key]),
    )
    steps = plan.make(wanted, kernel.observe())
    assert [peer.public_key for peer in steps.set_peers] == [silent.public_key, other.public_key, wrong.public_key]
    assert not steps.remove_peers


def test_what_the_kernel_may_refuse_is_counted() -> None:
    assert plan.make(build(config(), [2, 3]), Observed()).entries() == 6
    assert plan.make(build(config("wireguard"), [2, 3]), Observed()).entries() == 3


def test_texts() -> None:
    assert route_text(Route(b"\x0a\x05\x02\0", 24, b"", "flannel-wg", False, 253)) == (
        "10.5.2.0/24 dev flannel-wg scope link"
    )
    assert route_text(Route(b"\x0a\x05\x02\0", 24, b"", "eth0", tos=8)) == "10.5.2.0/24 dev eth0 tos 0x08"
    assert route_text(Route(bytes(16), 0, b"", "eth0", False, 0, 7)) == "::/0 dev eth0 metric 7"
    assert contains(Prefix(b"\x0a\x05\0\0", 16), b"\x0a\x05\xff\xff")
    assert not contains(Prefix(b"\x0a\x05\0\0", 16), bytes(16))


def test_entries_of_a_device_whose_mac_changes_are_set_again() -> None:
    kernel = FakeKernel()
    wanted = build(config(), [2])
    converge(kernel, wanted)
    link = kernel.links["flannel.1"]
    kernel.links["flannel.1"] = link._replace(link=link.link._replace(mac=b"\2\0\0\0\0\x99"))
    steps = plan.make(wanted, kernel.observe())
    assert steps.set_neighbours == wanted.neighbours
    assert (steps.set_fdb, steps.set_routes) == ([], [])


@pytest.mark.parametrize(
    ("mac", "state"),
    [(bytes(6), 0x80), (b"\1\0\0\0\0\1", 0x80), (b"\2\0\0\0\0\1", 2)],
    ids=["zero", "group", "learned"],
)
def test_entries_of_others_stay(mac: bytes, state: int) -> None:
    kernel = FakeKernel()
    wanted = build(config(), [2])
    converge(kernel, wanted)
    kernel.fdb["flannel.1", mac] = ObservedNeighbour(mac, b"\xc6\x12\x00\x09", state)
    assert not plan.make(wanted, kernel.observe())


@settings(deadline=None)
@given(st.lists(planes(NETWORKS), min_size=1, max_size=3))
def test_an_operation_is_as_data_what_its_text_says(sequence: list[DataPlane]) -> None:
    kernel = FakeKernel()
    for wanted in sequence:
        for each in converge(kernel, wanted).operations():
            words = re.sub(r":5182[01]\b|[,\[\]]", " ", each.text).split()
            assert each.text.startswith(f"{each.action} {each.kind} ")
            assert each.device in words
            assert not each.mac or each.mac in words
            if each.kind in ("link", "wireguard device"):
                continue
            words += [word + length for word in words for length in ("/32", "/128")]
            assert set(each.addresses) <= set(words)
            versions = {6 if ":" in address else 4 for address in each.addresses}
            assert each.family in versions or (each.family is None and each.kind == "wireguard peer")


LOCAL6 = bytes.fromhex("fd000018000000000000000000000001")


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (plan.Plan(create_links=[Link("flannel.1", "vxlan", 1450)]), (4, "flannel.1", [], "")),
        (
            plan.Plan(create_links=[Link("flannel-v6.1", "vxlan", 1430, local=LOCAL6)]),
            (6, "flannel-v6.1", ["fd00:18::1"], ""),
        ),
        (plan.Plan(set_wireguard=[Link("flannel-wg", "wireguard", 1420)]), (None, "flannel-wg", [], "")),
        (
            plan.Plan(set_fdb=[FdbEntry("flannel.1", b"\2\0\0\0\0\1", b"\xc6\x12\0\3")]),
            (4, "flannel.1", ["198.18.0.3"], "02:00:00:00:00:01"),
        ),
        (
            plan.Plan(remove_routes=[Route(b"\x0a\xf4\2\0", 24, b"\xc6\x12\0\3", "eth0")]),
            (4, "eth0", ["10.244.2.0/24", "198.18.0.3"], ""),
        ),
        (
            plan.Plan(
                set_peers=[
                    WireguardPeer(
                        "flannel-wg", bytes(32), LOCAL6, 51820, (Prefix(b"\x0a\xf4\2\0", 24), Prefix(LOCAL6, 64))
                    )
                ]
            ),
            (None, "flannel-wg", ["10.244.2.0/24", "fd00:18::1/64", "fd00:18::1"], ""),
        ),
    ],
)
def test_what_an_operation_concerns(made: plan.Plan, told: tuple[int | None, str, list[str], str]) -> None:
    (each,) = made.operations()
    assert (each.family, each.device, each.addresses, each.mac) == told
