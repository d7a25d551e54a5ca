# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Node objects to leases and back. CAPTURED is what a running flanneld v0.28.9 left on a Node (dual-stack vxlan)."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import network_config
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import Lease
from ansible_collections.podnet.cni.plugins.module_utils._stores import kubernetes_codec as codec

PREFIX = "flannel.alpha.coreos.com/"
KEYS = codec.annotation_keys()
DUAL = network_config.parse(
    '{"Network": "10.44.0.0/16", "IPv6Network": "fd00:10:44::/56", "EnableIPv6": true, "Backend": {"Type": "vxlan"}}',
    check_ranges=False,
)
IPV4 = network_config.parse('{"Network": "10.44.0.0/16", "Backend": {"Type": "vxlan"}}', check_ranges=False)
HOST_GW = network_config.parse('{"Network": "10.44.0.0/16", "Backend": {"Type": "host-gw"}}', check_ranges=False)

CAPTURED = {
    PREFIX + "backend-data": '{"VNI":1,"VtepMAC":"b6:20:f3:27:16:83"}',
    PREFIX + "backend-type": "vxlan",
    PREFIX + "backend-v6-data": '{"VNI":1,"VtepMAC":"42:26:a8:e7:97:d3"}',
    PREFIX + "kube-subnet-manager": "true",
    PREFIX + "public-ip": "198.18.0.1",
    PREFIX + "public-ipv6": "fd00:18::1",
}
CIDRS = ["10.44.1.0/24", "fd00:10:44:1::/64"]


def node(annotations: dict[str, str] | None, cidrs: list[str] | None = None, **spec: Any) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": "g1"}
    if annotations is not None:
        metadata["annotations"] = annotations
    return {"metadata": metadata, "spec": {"podCIDRs": CIDRS if cidrs is None else cidrs, **spec}}


def without(*names: str) -> dict[str, str]:
    return {key: value for key, value in CAPTURED.items() if key.removeprefix(PREFIX) not in names}


def test_what_flanneld_wrote_is_read_and_written_byte_for_byte() -> None:
    lease = codec.decode(node(CAPTURED), KEYS, DUAL)
    assert lease == Lease(
        IPv4Network("10.44.1.0/24"),
        IPv6Network("fd00:10:44:1::/64"),
        IPv4Address("198.18.0.1"),
        IPv6Address("fd00:18::1"),
        "vxlan",
        {"VNI": 1, "VtepMAC": "b6:20:f3:27:16:83"},
        {"VNI": 1, "VtepMAC": "42:26:a8:e7:97:d3"},
        name="g1",
    )
    assert codec.encode(lease, KEYS) == CAPTURED


def test_without_a_config_the_annotations_tell_the_families() -> None:
    assert codec.decode(node(CAPTURED), KEYS) == codec.decode(node(CAPTURED), KEYS, DUAL)
    only4 = without("public-ipv6", "backend-v6-data")
    assert codec.decode(node(only4), KEYS) == codec.decode(node(only4), KEYS, IPV4)


def test_a_family_the_network_lacks_is_left_out() -> None:
    lease = codec.decode(node(CAPTURED), KEYS, IPV4)
    assert lease is not None
    assert (lease.ipv6_subnet, lease.public_ipv6, lease.backend_v6_data) == (None, None, None)


@pytest.mark.parametrize(
    ("annotations"),
    [None, {}, without("kube-subnet-manager"), {**CAPTURED, PREFIX + "kube-subnet-manager": "True"}],
)
def test_nodes_that_flanneld_ignores(annotations: dict[str, str] | None) -> None:
    assert codec.decode(node(annotations), KEYS, DUAL) is None


@pytest.mark.parametrize(
    ("annotations", "cidrs", "text"),
    [
        (without("public-ip"), None, "no annotation .*/public-ip"),
        (without("public-ipv6"), None, "no annotation .*/public-ipv6"),
        (without("backend-data"), None, "no .*/backend-data, which peers of the backend vxlan need"),
        ({**CAPTURED, PREFIX + "backend-v6-data": "null"}, None, "no .*/backend-v6-data"),
        ({**CAPTURED, PREFIX + "backend-data": '{"VNI":1'}, None, "is not JSON"),
        ({**CAPTURED, PREFIX + "public-ip": "198.18.0"}, None, "'198.18.0' is not an address that flanneld reads"),
        ({**CAPTURED, PREFIX + "public-ipv6": "198.18.0.1"}, None, "it is an IPv4 address"),
        (CAPTURED, ["10.44.1.0/24"], "no IPv6 podCIDR"),
        (CAPTURED, [], "no IPv4 podCIDR"),
        (CAPTURED, [*CIDRS, "10.45.0.0/24"], "has 3 podCIDRs"),
        (CAPTURED, ["10.44.1.0/33"], "podCIDR '10.44.1.0/33' is not a subnet"),
    ],
)
def test_nodes_that_flanneld_skips(annotations: dict[str, str], cidrs: list[str] | None, text: str) -> None:
    with pytest.raises(InputError, match=f"node g1.*{text}"):
        codec.decode(node(annotations, cidrs), KEYS, DUAL)


def test_managed_without_any_address_is_half_written() -> None:
    with pytest.raises(InputError, match="neither"):
        codec.decode(node({PREFIX + "kube-subnet-manager": "true"}), KEYS)


def test_old_nodes_have_pod_cidr_only() -> None:
    old = node(without("public-ipv6", "backend-v6-data"), [], podCIDR="10.44.7.0/24")
    lease = codec.decode(old, KEYS, IPV4)
    assert lease is not None
    assert str(lease.subnet) == "10.44.7.0/24"


def base(backend: str, **more: Any) -> Lease:
    return Lease(
        IPv4Network("10.44.1.0/24"), public_ip=IPv4Address("198.18.0.1"), backend_type=backend, name="g1", **more
    )


UNSPECIFIED = str(IPv4Address(0))
V6 = {"public_ipv6": IPv6Address("fd00:18::1")}


@pytest.mark.parametrize(
    ("lease", "expected"),
    [
        (base("vxlan"), {}),
        (base("vxlan", backend_data={"VNI": 1}), {"backend-data": '{"VNI":1}', "public-ip": "198.18.0.1"}),
        (
            base("vxlan", backend_v6_data={"VNI": 1}, **V6),
            {"backend-v6-data": '{"VNI":1}', "public-ipv6": "fd00:18::1"},
        ),
        (base("wireguard"), {"backend-data": "null", "public-ip": "198.18.0.1"}),
        (
            replace(base("wireguard", backend_v6_data={"Port": 51821}, **V6), public_ip=None),
            {
                "backend-data": "null",
                "public-ip": UNSPECIFIED,
                "backend-v6-data": '{"Port":51821}',
                "public-ipv6": "fd00:18::1",
            },
        ),
        (base("host-gw"), {"backend-data": "null", "public-ip": "198.18.0.1"}),
        (
            base("host-gw", **V6),
            {
                "backend-data": "null",
                "public-ip": "198.18.0.1",
                "backend-v6-data": "null",
                "public-ipv6": "fd00:18::1",
            },
        ),
        (
            replace(base("extension", **V6), public_ip=None),
            {
                "backend-data": "null",
                "public-ip": UNSPECIFIED,
                "backend-v6-data": "null",
                "public-ipv6": "fd00:18::1",
            },
        ),
        (base("ipip", **V6), {"backend-data": "null", "public-ip": "198.18.0.1"}),
        (base("", **V6), {"backend-data": "null", "public-ip": "198.18.0.1"}),
    ],
)
def test_each_backend_writes_its_pairs(lease: Lease, expected: dict[str, str]) -> None:
    common = {"kube-subnet-manager": "true", "backend-type": lease.backend_type}
    found = {key.removeprefix(PREFIX): value for key, value in codec.encode(lease, KEYS).items()}
    assert found == {**common, **expected}


def test_ipv6_data_without_address_is_refused() -> None:
    with pytest.raises(InputError, match="no public_ipv6"):
        codec.encode(base("vxlan", backend_v6_data={"VNI": 1}), KEYS)


@pytest.mark.parametrize(
    ("prefix", "backend_type"),
    [
        ("flannel.alpha.coreos.com", "flannel.alpha.coreos.com/backend-type"),
        ("flannel.alpha.coreos.com/", "flannel.alpha.coreos.com/backend-type"),
        ("flannel.alpha.coreos.com/prefix", "flannel.alpha.coreos.com/prefix-backend-type"),
        ("flannel.alpha.coreos.com/prefix-", "flannel.alpha.coreos.com/prefix-backend-type"),
        ("org.com", "org.com/backend-type"),
        ("org9.com", "org9.com/backend-type"),
        ("org.com/9", "org.com/9-backend-type"),
    ],
)
def test_prefixes_as_upstream_reads_them(prefix: str, backend_type: str) -> None:
    """The vectors of flannel v0.28.9 pkg/subnet/kube/annotations_test.go."""
    assert codec.annotation_keys(prefix).backend_type == backend_type


@pytest.mark.parametrize(
    "prefix", ["org", "org/", "org/prefix", "org.COM", "org.com/PREFIX", "org.com/a/b", "", "ORG.org.com", "a.b/c\n"]
)
def test_prefixes_that_are_refused(prefix: str) -> None:
    with pytest.raises(InputError, match="kube_annotation_prefix"):
        codec.annotation_keys(prefix)


MACS = st.binary(min_size=6, max_size=6).map(lambda octets: ":".join(f"{octet:02x}" for octet in octets))
DATA = st.builds(lambda vni, mac: {"VNI": vni, "VtepMAC": mac}, st.integers(1, 2**24 - 1), MACS)


def test_an_ipv4_address_is_no_public_ipv6() -> None:
    """Go would read it as IPv4 (net.ParseIP)."""
    lease = Lease(
        IPv4Network("10.44.1.0/24"),
        IPv6Network("fd00:10:44:1::/64"),
        IPv4Address("198.18.0.1"),
        IPv6Address("::ffff:198.18.0.1"),
        "host-gw",
        name="g1",
    )
    with pytest.raises(InputError, match=r"public_ipv6 ::ffff:.* is an IPv4 address"):
        codec.encode(lease, KEYS)


@given(
    public_ip=st.ip_addresses(v=4),
    public_ipv6=st.ip_addresses(v=6).filter(lambda address: address.ipv4_mapped is None),
    data=DATA,
    v6_data=DATA,
    third=st.integers(0, 255),
)
def test_every_dual_stack_lease_reads_back(
    public_ip: IPv4Address, public_ipv6: IPv6Address, data: Any, v6_data: Any, third: int
) -> None:
    cidrs = [f"10.44.{third}.0/24", "fd00:10:44:1::/64"]
    lease = Lease(
        IPv4Network(cidrs[0]), IPv6Network(cidrs[1]), public_ip, public_ipv6, "vxlan", data, v6_data, name="g1"
    )
    annotations = codec.encode(lease, KEYS)
    assert codec.decode(node(annotations, cidrs), KEYS, DUAL) == lease
    # flanneld finds a stored MAC by splitting at :" and wants exactly two parts (device.go, kube.go).
    assert annotations[KEYS.backend_data].count(':"') == 1


@pytest.mark.parametrize(
    ("subnets", "config", "text"),
    [
        ((IPv4Network("10.45.0.0/24"), None), IPV4, "not inside 10.44.0.0/16"),
        ((IPv4Network("10.44.0.0/15"), None), IPV4, "not inside 10.44.0.0/16"),
        ((None, IPv6Network("fd00:10:44::/64")), IPV4, "no IPv4 podCIDR"),
        ((IPv4Network("10.44.1.0/24"), None), DUAL, "no IPv6 podCIDR"),
        ((IPv4Network("10.44.1.0/24"), IPv6Network("fd01::/64")), DUAL, "not inside fd00:10:44::/56"),
    ],
)
def test_pod_cidrs_outside_the_network(subnets: codec.Subnets, config: Any, text: str) -> None:
    with pytest.raises(InputError, match=f"node n.*{text}"):
        codec.check_contained("n", subnets, config)


def test_pod_cidrs_inside_the_network() -> None:
    codec.check_contained("n", (IPv4Network("10.44.1.0/24"), IPv6Network("fd01::/64")), IPV4)
    codec.check_contained("n", (None, None), HOST_GW)


def test_an_external_node_takes_no_pods() -> None:
    made = codec.external_node("edge", (IPv4Network("10.44.9.0/24"), IPv6Network("fd00:10:44:9::/64")), CAPTURED)
    assert made["spec"]["podCIDR"] == "10.44.9.0/24"
    assert made["spec"]["podCIDRs"] == ["10.44.9.0/24", "fd00:10:44:9::/64"]
    assert made["spec"]["unschedulable"] is True
    assert {taint["effect"] for taint in made["spec"]["taints"]} == {"NoSchedule", "NoExecute"}
    assert "kubernetes.io/os" not in made["metadata"]["labels"]
    assert codec.is_external(made)
    assert not codec.is_external(node(CAPTURED))
    assert "podCIDR" not in codec.external_node("edge", (None, None), {})["spec"]
