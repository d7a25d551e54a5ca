# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lease keys and values are byte for byte those of flannel v0.28.9 (pkg/subnet/subnet_test.go and captured hosts)."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import lease as lease_codec
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import Lease

VXLAN_DATA = {"VNI": 1, "VtepMAC": "02:42:ac:14:00:07"}


@pytest.mark.parametrize(
    ("key", "subnets"),
    [
        ("10.12.13.0-24", (IPv4Network("10.12.13.0/24"), None)),
        ("10.12.13.0-24&fd00:12:13::-56", (IPv4Network("10.12.13.0/24"), IPv6Network("fd00:12:13::/56"))),
        ("0.0.0.0-0&fd00:12:13::-56", (None, IPv6Network("fd00:12:13::/56"))),
        ("/coreos.com/network/subnets/10.5.52.0-24", (IPv4Network("10.5.52.0/24"), None)),
    ],
)
def test_keys_that_flanneld_reads(key, subnets):
    assert lease_codec.decode_key(key) == subnets


@pytest.mark.parametrize(
    "key",
    [
        "",
        "garbage",
        "10",
        "10.12.13-24",
        "10.12.13.0",
        "10.12.13.300-24",
        "10.12.013.0-24",
        "10.12.13.0-24hi",
        "10.12.13.0-24\n",
        "10.12.13.0-32",
        "10.12.13.0-" + "9" * 5000,
        "255.255.255.255-32",
        "&2001::-56",
        "10.12.13.0-24&",
        "10.12.13.0-24&2001::",
        "10.12.13.0-24&2001-56",
        "10.12.13.0-24&20011::-56",
        "10.12.13.0-24&:12:13:-56",
        "10.12.13.0-24&2001::-56hi",
        "10.12.13.0-24&2001::-128",
    ],
)
def test_keys_that_flanneld_does_not_read(key):
    assert lease_codec.decode_key(key) is None


@pytest.mark.parametrize(
    ("lease", "value"),
    [
        (
            Lease(IPv4Network("10.1.5.0/24"), public_ip=IPv4Address("1.2.3.4")),
            '{"PublicIP":"1.2.3.4","PublicIPv6":null}',
        ),
        (
            Lease(
                IPv4Network("10.5.52.0/24"),
                public_ip=IPv4Address("172.20.0.7"),
                backend_type="vxlan",
                backend_data=VXLAN_DATA,
            ),
            '{"PublicIP":"172.20.0.7","PublicIPv6":null,"BackendType":"vxlan",'
            '"BackendData":{"VNI":1,"VtepMAC":"02:42:ac:14:00:07"}}',
        ),
        (
            Lease(IPv4Network("10.5.52.0/24"), public_ip=IPv4Address("10.0.0.1"), backend_type="host-gw"),
            '{"PublicIP":"10.0.0.1","PublicIPv6":null,"BackendType":"host-gw"}',
        ),
        (
            Lease(
                IPv4Network("10.5.52.0/24"),
                IPv6Network("fd00:1::/64"),
                IPv4Address("10.0.0.1"),
                IPv6Address("fd00::1"),
                "wireguard",
                {"PublicKey": "a+/=", "Port": 51820},
                {"PublicKey": "b", "Port": 51821},
            ),
            '{"PublicIP":"10.0.0.1","PublicIPv6":"fd00::1","BackendType":"wireguard",'
            '"BackendData":{"PublicKey":"a+/=","Port":51820},"BackendV6Data":{"PublicKey":"b","Port":51821}}',
        ),
        (
            Lease(
                IPv4Network("10.5.52.0/24"),
                public_ip=IPv4Address("10.0.0.1"),
                backend_type="extension",
                backend_data="<&>",
            ),
            '{"PublicIP":"10.0.0.1","PublicIPv6":null,"BackendType":"extension","BackendData":"\\u003c\\u0026\\u003e"}',
        ),
        (
            Lease(None, IPv6Network("fd00:1::/64"), public_ipv6=IPv6Address("fd00::1"), backend_type="host-gw"),
            '{"PublicIP":"0.0.0.0","PublicIPv6":"fd00::1","BackendType":"host-gw"}',
        ),
    ],
)
def test_values_are_what_go_writes(lease, value):
    assert lease_codec.encode_value(lease) == value
    assert lease_codec.decode(lease_codec.encode_key(lease), value) == lease


@pytest.mark.parametrize(
    ("lease", "wrong"),
    [
        (Lease(None, name="n1"), "lease of n1 has no subnet"),
        (Lease(IPv4Network("10.1.5.0/32"), name="n1"), "no flanneld reads a /32"),
        (Lease(IPv4Network("0.0.0.0/0"), name="n1"), "flanneld takes it for no subnet"),
        (Lease(IPv4Network("10.1.5.0/24"), IPv6Network("fd00::1/128")), "no flanneld reads a /128"),
        (Lease(IPv4Network("10.1.5.0/24"), IPv6Network("::5:0/112")), "like an IPv4 address"),
        (Lease(IPv4Network("10.1.5.0/24"), IPv6Network("::ffff:10.0.0.0/112")), "like an IPv4 address"),
    ],
)
def test_no_key_is_written_that_flanneld_cannot_read(lease, wrong):
    with pytest.raises(InputError) as error:
        lease_codec.encode_key(lease)
    assert wrong in str(error.value)


@pytest.mark.parametrize(
    ("key", "value", "wrong"),
    [
        ("garbage", "{}", "'garbage' is not a subnet key"),
        ("10.5.1.0-24", "x", "lease 10.5.1.0-24 is not JSON"),
        ("10.5.1.0-24", "[]", "must be a JSON object"),
        ("10.5.1.0-24", '{"PublicIP":"1.2.3"}', "PublicIP '1.2.3'"),
        ("10.5.1.0-24", '{"PublicIP":7}', "PublicIP 7"),
        ("10.5.1.0-24", '{"PublicIP":"1.2.3.4","PublicIPv6":"x"}', "PublicIPv6 'x'"),
        ("10.5.1.0-24", '{"PublicIP":"1.2.3.4","BackendType":3}', "BackendType must be a string"),
        ("10.5.1.0-24", '{"PublicIP":"x","PublicIP":"1.2.3.4"}', "PublicIP 'x'"),
        ("10.5.1.0-24", '{"PublicIP":"1.2.3.4","publicip":null}', "PublicIP None"),
        ("10.5.1.0-24", '{"PublicIP":"1.2.3.4","PublicIPv6":"fe80::19%eth0"}', "a zone is not a part of it"),
        ("10.5.1.0-24", '{"PublicIP":"1.2.3.4","BackendType":3,"BackendType":"vxlan"}', "BackendType must be a string"),
    ],
)
def test_unreadable_leases_are_named(key, value, wrong):
    with pytest.raises(InputError) as error:
        lease_codec.decode(key, value)
    assert wrong in str(error.value)


def test_null_takes_a_public_ipv6_away():
    lease = lease_codec.decode("10.5.1.0-24", '{"PublicIP":"1.2.3.4","PublicIPv6":"fd00::1","PublicIPv6":null}')
    assert lease.public_ipv6 is None


def test_a_backend_type_that_is_no_text_is_refused_by_name():
    with pytest.raises(InputError, match=r"peers\[3\] \(n7\): backend_type 5 is not text; write"):
        lease_codec.from_dict({"name": "n7", "subnet": "10.5.1.0/24", "backend_type": 5}, "peers[3]")


def test_member_names_match_whatever_their_case():
    lease = lease_codec.decode("10.5.1.0-24", '{"publicip":"1.2.3.4","backendTYPE":"vxlan","Other":1}')
    assert (str(lease.public_ip), lease.backend_type) == ("1.2.3.4", "vxlan")


def test_from_dict_names_the_place_and_the_value():
    with pytest.raises(InputError) as error:
        lease_codec.from_dict({"name": "n7", "subnet": "10.5.1.0/33"}, "peers[3]")
    assert "peers[3] (n7): subnet '10.5.1.0/33'" in str(error.value)
    with pytest.raises(InputError, match="must be a dictionary"):
        lease_codec.from_dict("n7", "peers[0]")


networks4 = st.builds(
    lambda address, length: IPv4Network((address, length), strict=False),
    st.integers(2**24, 2**32 - 1),
    st.integers(8, 31),
)
networks6 = st.builds(
    lambda address, length: IPv6Network((address, length), strict=False),
    st.integers(2**120, 2**128 - 1),
    st.integers(16, 127),
)
json_values = st.recursive(
    st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
leases = st.builds(
    Lease,
    networks4,
    st.none() | networks6,
    st.none() | st.integers(1, 2**32 - 1).map(IPv4Address),
    st.none() | st.integers(2**32, 2**128 - 1).map(IPv6Address),
    st.text(),
    st.none() | json_values,
    st.none() | json_values,
)


@given(leases)
def test_every_lease_survives_the_round_trip(lease):
    assert lease_codec.decode(lease_codec.encode_key(lease), lease_codec.encode_value(lease)) == lease
    json.loads(lease_codec.encode_value(lease))


@given(st.text())
def test_any_key_is_read_or_refused(text):
    subnets = lease_codec.decode_key(text)
    assert subnets is None or subnets != (None, None)


@given(leases)
def test_every_lease_survives_its_dictionary(lease):
    # Empty data and no data are the same to every backend.
    expected = replace(lease, backend_data=lease.backend_data or None, backend_v6_data=lease.backend_v6_data or None)
    assert lease_codec.from_dict(lease_codec.to_dict(lease)) == expected
