# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""From nodes to leases: what is checked, what a lease says, which leases are a node's."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import network_config
from ansible_collections.podnet.cni.plugins.module_utils._flannel.allocation import Decision
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import Lease, decode, encode_key, encode_value
from ansible_collections.podnet.cni.plugins.module_utils._flannel.vtep import derive_mac
from ansible_collections.podnet.cni.plugins.module_utils._stores import nodes

KEY = "RHVtbXlXaXJlR3VhcmRQdWJsaWNLZXlPZjMyT2N0ZXQ="
KEY6 = "QW5vdGhlciBXaXJlR3VhcmQga2V5IG9mIDMyIGJ5dGU="
SUBNET, SUBNET6 = IPv4Network("10.244.5.0/24"), IPv6Network("fd00:18:0:5::/64")
NODE = {"name": "node-1", "public_ip": "198.18.0.1", "public_ipv6": "fd00:18:ffff::1"}


def config(backend: dict[str, Any], *, ipv6: bool = False) -> network_config.NetworkConfig:
    members: dict[str, Any] = {"Network": "10.244.0.0/16", "Backend": backend}
    if ipv6:
        members.update(EnableIPv6=True, IPv6Network="fd00:18::/48")
    return network_config.parse(members)


def wanted(
    node: dict[str, Any], backend: dict[str, Any], *, ipv6: bool = False, existing: Lease | None = None
) -> Lease:
    parsed = nodes.parse_nodes([node])
    network = config(backend, ipv6=ipv6)
    nodes.check_backend(network, parsed)
    decision = Decision(parsed[0].request, SUBNET, SUBNET6 if ipv6 else None, "allocated")
    return nodes.want(network, parsed)(decision, existing)


def test_vxlan_mac_is_given_then_kept_then_derived() -> None:
    backend = {"Type": "vxlan", "VNI": 7}
    lease = wanted(NODE, backend)
    assert lease.backend_data == {"VNI": 7, "VtepMAC": derive_mac("node-1", 7)}
    assert (lease.backend_v6_data, lease.public_ipv6) == (None, None)
    stored = replace(lease, backend_data={"VNI": 1, "VtepMAC": "c6:90:3e:a8:62:df"})
    assert wanted(NODE, backend, existing=stored).backend_data == {"VNI": 7, "VtepMAC": "c6:90:3e:a8:62:df"}
    given_mac = {**NODE, "vtep_mac": "02:00:00:00:00:0F"}
    assert wanted(given_mac, backend, existing=stored).backend_data["VtepMAC"] == "02:00:00:00:00:0f"


@pytest.mark.parametrize("data", [None, "text", {}, {"VtepMAC": ""}, {"VtepMAC": 7}, {"VtepMAC": "01:00:5e:00:00:01"}])
def test_unusable_stored_mac_is_replaced(data: Any) -> None:
    stored = Lease(SUBNET, backend_type="vxlan", backend_data=data)
    assert wanted(NODE, {"Type": "vxlan"}, existing=stored).backend_data["VtepMAC"] == derive_mac("node-1", 1)


def test_data_of_another_backend_is_not_taken_over() -> None:
    stored = Lease(SUBNET, backend_type="wireguard", backend_data={"PublicKey": KEY, "Port": 1})
    assert wanted(NODE, {"Type": "host-gw"}, existing=stored).backend_data is None


def test_extension_keeps_what_its_command_printed() -> None:
    stored = Lease(SUBNET, backend_type="extension", backend_data="printed\n")
    assert wanted(NODE, {"Type": "extension"}, existing=stored).backend_data == "printed\n"


def test_dual_stack_has_a_mac_for_each_device() -> None:
    lease = wanted(NODE, {"Type": "vxlan"}, ipv6=True)
    assert lease.public_ipv6 == IPv6Address("fd00:18:ffff::1")
    assert lease.backend_v6_data == {"VNI": 1, "VtepMAC": derive_mac("node-1", 1, 6)}
    assert lease.backend_v6_data != lease.backend_data


def test_wireguard_ports_and_keys() -> None:
    backend = {"Type": "wireguard", "ListenPort": 5555, "ListenPortV6": 6666}
    lease = wanted({**NODE, "wireguard_public_key": KEY}, backend, ipv6=True)
    assert lease.backend_data == {"PublicKey": KEY, "Port": 5555}
    assert lease.backend_v6_data == {"PublicKey": KEY, "Port": 6666}
    both = {**NODE, "wireguard_public_key": KEY, "wireguard_public_key_v6": KEY6}
    assert wanted(both, backend, ipv6=True).backend_v6_data == {"PublicKey": KEY6, "Port": 6666}


@pytest.mark.parametrize(("backend", "named"), [("alloc", ""), ("udp", ""), ("host-gw", "host-gw"), ("ipip", "ipip")])
def test_backends_without_data(backend: str, named: str) -> None:
    lease = wanted(NODE, {"Type": backend})
    assert (lease.backend_type, lease.backend_data) == (named, None)


@given(
    st.sampled_from(["vxlan", "host-gw", "alloc", "wireguard", "extension"]),
    st.booleans(),
    st.text(min_size=1).filter(str.strip),
)
def test_every_wanted_lease_reads_back(backend: str, ipv6: bool, name: str) -> None:
    """Whatever a node is called, what we write is what flanneld reads."""
    if ipv6 and backend == "alloc":
        ipv6 = False
    item = {**NODE, "name": name, **({"wireguard_public_key": KEY} if backend == "wireguard" else {})}
    lease = wanted(item, {"Type": backend}, ipv6=ipv6)
    assert decode(encode_key(lease), encode_value(lease)) == lease


@pytest.mark.parametrize(
    ("item", "parts"),
    [
        ({"name": " "}, ["nodes[1]:", "name is empty"]),
        ({**NODE, "public_ip": "fd00::1"}, ["nodes[1] (node-1)", "public_ip 'fd00::1' is not an IPv4 address"]),
        ({**NODE, "public_ipv6": "198.18.0.1"}, ["public_ipv6 '198.18.0.1' is not an IPv6 address"]),
        ({**NODE, "ipv6_subnet": "fd00:18:0:5::1/64"}, ["ipv6_subnet", "host bits"]),
        ({**NODE, "previous_subnet": "10.244.5.1"}, ["previous_subnet '10.244.5.1'", "prefix length is missing"]),
        ({**NODE, "vtep_mac": "02:00"}, ["nodes[1] (node-1): vtep_mac", "'02:00'"]),
        ({**NODE, "wireguard_public_key": "%%"}, ["wireguard_public_key '%%'", "wg pubkey"]),
    ],
)
def test_bad_node_is_named(item: dict[str, Any], parts: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        nodes.parse_nodes([{"name": "first"}, item])
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize("option", ["vtep_mac", "vtep_mac_v6"])
def test_two_nodes_with_one_mac(option: str) -> None:
    mac = "02:00:00:00:00:01"
    with pytest.raises(InputError, match=r"nodes\[1\] \(b\).*02:00:00:00:00:01.*nodes\[0\] \(a\)"):
        nodes.parse_nodes([{"name": "a", option: mac}, {"name": "b", option: mac}])


def test_previous_subnet_is_the_one_around_the_bridge_address() -> None:
    (node,) = nodes.parse_nodes([{**NODE, "previous_subnet": "10.244.5.1/24"}])
    assert node.request.previous_subnet == SUBNET


def lease_of(address: str | None, subnet: str | None = "10.244.5.0/24", address6: str | None = None) -> Lease:
    return Lease(
        None if subnet is None else IPv4Network(subnet),
        public_ip=None if address is None else IPv4Address(address),
        public_ipv6=None if address6 is None else IPv6Address(address6),
    )


def test_matcher_goes_by_address_and_by_subnet_only_without_one() -> None:
    match = nodes.matcher(
        nodes.parse_nodes([{**NODE, "subnet": "10.244.7.0/24"}, {"name": "gone", "subnet": "10.244.8.0/24"}])
    )
    assert match(lease_of("198.18.0.1"))
    assert not match(lease_of("198.18.0.2", "10.244.7.0/24")), "another host's lease on the pinned subnet"
    assert match(lease_of("198.18.0.2", "10.244.8.0/24"))
    assert not match(lease_of("198.18.0.2"))
    assert match(lease_of(None, None, "fd00:18:ffff::1"))
    assert not match(lease_of(None, None)), "nothing matches nothing"


def test_matcher_needs_something_to_go_by() -> None:
    with pytest.raises(InputError, match=r"nodes\[0\] \(x\): public_ip or subnet is missing"):
        nodes.matcher(nodes.parse_nodes([{"name": "x"}]))


def test_names_of_released_leases() -> None:
    parsed = nodes.parse_nodes([NODE, {"name": "gone", "subnet": "10.244.8.0/24"}])
    leases = [lease_of("198.18.0.1"), lease_of("198.18.0.2", "10.244.8.0/24"), lease_of("198.18.0.3", "10.244.9.0/24")]
    assert [lease.name for lease in nodes.with_names(leases, parsed)] == ["node-1", "gone", ""]
