# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The network config accepts, completes and refuses what flannel v0.28.9 does (pkg/subnet/config_test.go and code)."""

from __future__ import annotations

import json
from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.module_utils import _network_config
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError

VXLAN = {"Type": "vxlan"}


def parse(**members):
    members.setdefault("Backend", VXLAN)
    return _network_config.parse(json.dumps(members))


def test_defaults_of_an_ipv4_network():
    config = _network_config.parse('{ "network": "10.3.0.0/16" }')
    assert (config.enable_ipv4, config.enable_ipv6, config.enable_nftables) == (True, False, False)
    assert config.subnet_len == 24
    assert config.subnet_min == IPv4Address("10.3.1.0")
    assert config.subnet_max == IPv4Address("10.3.255.0")
    assert config.backend.type == "udp"


def test_defaults_of_an_ipv6_network():
    config = parse(enableIPv6=True, ipv6Network="fc00::/48", enableIPv4=False)
    assert config.network is None
    assert config.subnet_len == 0
    assert config.ipv6_subnet_len == 64
    assert config.ipv6_subnet_min == IPv6Address("fc00:0:0:1::")
    assert config.ipv6_subnet_max == IPv6Address("fc00:0:0:ffff::")


def test_given_bounds_are_kept():
    config = parse(Network="10.3.0.0/16", SubnetMin="10.3.5.0", SubnetMax="10.3.8.0", SubnetLen=28)
    assert (str(config.subnet_min), str(config.subnet_max), config.subnet_len) == ("10.3.5.0", "10.3.8.0", 28)
    config = parse(
        EnableIPv4=False,
        EnableIPv6=True,
        IPv6Network="fc00::/48",
        IPv6SubnetMin="fc00:0:0:1::",
        IPv6SubnetMax="fc00:0:0:f::",
        IPv6SubnetLen=124,
    )
    assert (str(config.ipv6_subnet_min), str(config.ipv6_subnet_max)) == ("fc00:0:0:1::", "fc00:0:0:f::")


@pytest.mark.parametrize(
    ("prefix", "length"), [(8, 24), (16, 24), (22, 24), (23, 25), (26, 28), (28, 30)], ids=lambda value: f"{value}"
)
def test_subnet_length_follows_the_network(prefix, length):
    assert parse(Network=f"10.0.0.0/{prefix}").subnet_len == length


@pytest.mark.parametrize(("prefix", "length"), [(48, 64), (62, 64), (63, 65), (120, 122), (124, 126)])
def test_ipv6_subnet_length_follows_the_network(prefix, length):
    assert parse(EnableIPv4=False, EnableIPv6=True, IPv6Network=f"fc00::/{prefix}").ipv6_subnet_len == length


def test_host_bits_are_masked():
    assert str(parse(Network="192.168.5.0/16").network) == "192.168.0.0/16"


def test_the_last_of_several_spellings_wins():
    config = _network_config.parse(
        '{"Network":"10.1.0.0/16","NETWORK":"10.2.0.0/16","Backend":{"type":"VXLAN","vni":7}}'
    )
    assert str(config.network) == "10.2.0.0/16"
    assert (config.backend.type, config.backend.options["VNI"]) == ("vxlan", 7)


def test_unknown_members_are_kept_and_named():
    config = parse(Network="10.3.0.0/16", Comment="ours", Backend={"Type": "vxlan", "Vnii": 3})
    assert config.ignored == ("Comment", "Backend.Vnii")
    assert json.loads(_network_config.render(config))["Comment"] == "ours"


@pytest.mark.parametrize(
    ("members", "wrong"),
    [
        ({}, "Network is missing"),
        ({"Network": "10.3.0.0/16", "EnableIPv4": False}, "both false"),
        ({"Network": "10.3.0.0"}, "'10.3.0.0' is no network"),
        ({"Network": "300.3.0.0/16"}, "'300.3.0.0/16'"),
        ({"Network": "fc00::/48"}, "it must be IPv4"),
        ({"Network": 10}, "Network 10"),
        ({"Network": "10.3.0.0/29"}, "too small"),
        ({"Network": "10.3.0.0/16", "SubnetLen": 31}, "SubnetLen 31 is too long"),
        ({"Network": "10.3.0.0/16", "SubnetLen": 17}, "fewer than four subnets"),
        ({"Network": "10.3.0.0/16", "SubnetLen": -1}, "negative"),
        ({"Network": "10.3.0.0/16", "SubnetLen": 24.5}, "whole number"),
        ({"Network": "10.3.0.0/16", "SubnetLen": "24"}, "whole number"),
        ({"Network": "10.3.0.0/16", "EnableIPv4": "yes"}, "true or false"),
        ({"Network": "10.3.0.0/16", "SubnetMin": "10.4.0.0"}, "outside Network 10.3.0.0/16"),
        ({"Network": "10.3.0.0/16", "SubnetMax": "10.3.1.7"}, "not the first address of a /24"),
        ({"Network": "10.3.0.0/16", "SubnetMin": "10.3.9.0", "SubnetMax": "10.3.8.0"}, "no subnet to lease"),
        ({"Network": "10.3.0.0/16", "SubnetMin": None}, "SubnetMin None"),
        ({"Network": "10.3.0.0/16", "EnableIPv6": True}, "IPv6Network is missing"),
        ({"Network": "10.3.0.0/16", "EnableIPv6": True, "IPv6Network": "10.0.0.0/8"}, "it must be IPv6"),
        ({"Network": "10.3.0.0/16", "EnableIPv6": True, "IPv6Network": "::/100"}, "::/96"),
        ({"Network": "10.3.0.0/16", "EnableIPv6": True, "IPv6Network": "fc00::/125"}, "too small"),
        ({"Network": "10.3.0.0/16", "EnableIPv6": True, "IPv6Network": "fc00::/48", "IPv6SubnetLen": 127}, "too long"),
        ({"Network": "10.3.0.0/16", "Backend": "vxlan"}, "Backend must be an object"),
        ({"Network": "10.3.0.0/16", "Backend": {}}, "has no Type"),
        ({"Network": "10.3.0.0/16", "Backend": {"Type": "vxlam"}}, "'vxlam' is unknown"),
        ({"Network": "10.3.0.0/16", "Backend": {"Type": "vxlan", "VNI": "1"}}, "VNI must be a whole number"),
        ({"Network": "10.3.0.0/16", "Backend": {"Type": "vxlan", "VNI": 10000000}}, "VNI 10000000"),
        ({"Network": "10.3.0.0/16", "Backend": {"Type": "vxlan", "Port": 65536}}, "Port 65536"),
        ({"Network": "10.3.0.0/16", "Backend": {"Type": "vxlan", "MTU": 100}}, "MTU 100"),
        ({"Network": "10.3.0.0/16", "Backend": {"Type": "wireguard", "Mode": "both"}}, "Mode both"),
        ({"Network": "10.3.0.0/16", "Backend": {"Type": "aws-vpc"}}, "'aws-vpc' is unknown"),
    ],
)
def test_what_flanneld_could_not_use_is_refused_by_name(members, wrong):
    members.setdefault("Backend", VXLAN)
    with pytest.raises(InputError) as error:
        _network_config.parse(json.dumps(members))
    assert wrong in str(error.value)


def test_a_backend_without_ipv6_is_refused_for_dual_stack():
    with pytest.raises(InputError, match="carries IPv4 only"):
        parse(Network="10.3.0.0/16", EnableIPv6=True, IPv6Network="fc00::/48", Backend={"Type": "ipip"})


def test_a_vni_too_long_for_the_ipv6_link_name_is_refused():
    with pytest.raises(InputError, match=r"flannel-v6\.10000"):
        parse(Network="10.3.0.0/16", EnableIPv6=True, IPv6Network="fc00::/48", Backend={"Type": "vxlan", "VNI": 10000})


@pytest.mark.parametrize("backend", [{"Type": "wireguard", "PSK": 1234567890}, [{"PSK": "1234567890"}]])
def test_a_secret_of_the_wrong_type_is_not_repeated(backend):
    with pytest.raises(InputError) as caught:
        parse(Network="10.3.0.0/16", Backend=backend)
    assert "1234567890" not in str(caught.value)
    assert "must be" in str(caught.value)


def test_a_wrong_secret_is_not_repeated():
    with pytest.raises(InputError) as error:
        parse(Network="10.3.0.0/16", Backend={"Type": "wireguard", "PSK": "dont-print-me"})
    assert "dont-print-me" not in str(error.value)


def test_kubernetes_ranges_are_not_checked():
    config = _network_config.parse({"Network": "10.3.0.0/29", "SubnetLen": 31, "Backend": VXLAN}, check_ranges=False)
    assert config.subnet_len == 0


def test_windows_defaults():
    config = _network_config.parse({"Network": "10.3.0.0/16", "Backend": VXLAN}, platform="windows")
    assert config.backend.options["VNI"] == 4096
    assert config.backend.options["Port"] == 4789


@pytest.mark.parametrize(
    ("backend", "problem"),
    [
        ({"Type": "vxlan", "VNI": 4096, "Port": 4789}, ""),
        ({"Type": "host-gw"}, ""),
        ({"Type": "vxlan"}, "VNI is 1"),
        ({"Type": "vxlan", "VNI": 4096}, "Port is 0"),
        ({"Type": "vxlan", "VNI": 4096, "Port": 8472}, "Port 8472"),
        ({"Type": "vxlan", "VNI": 4096, "Port": 4789, "DirectRouting": True}, "DirectRouting"),
        ({"Type": "ipip"}, "not to be had on windows"),
    ],
)
def test_mixed_clusters(backend, problem):
    problems = _network_config.mixed_cluster_problems(parse(Network="10.3.0.0/16", Backend=backend))
    assert bool(problems) == bool(problem)
    assert problem in " ".join(problems)


@pytest.mark.parametrize(
    ("options", "warned"),
    [
        ({"Mode": "ipv6"}, True),
        ({"Mode": "auto"}, True),
        ({"Mode": "auto", "ListenPort": 51830}, True),
        ({"Mode": "ipv6", "ListenPortV6": 51820}, False),
        ({"Mode": "ipv4"}, False),
        ({}, False),
    ],
)
def test_a_port_that_nobody_listens_on_is_warned_of(options, warned):
    config = parse(
        Network="10.3.0.0/16",
        IPv6Network="fd00:3::/48",
        EnableIPv6=True,
        Backend={"Type": "wireguard", **options},
    )
    texts = _network_config.warnings(config)
    assert len(texts) == warned
    assert all(text.endswith("set ListenPortV6 to the value of ListenPort") for text in texts)


def test_a_config_that_works_needs_no_warning():
    assert _network_config.warnings(parse(Network="10.3.0.0/16", Backend={"Type": "vxlan"})) == []


def test_rendering_is_compact_and_canonical():
    config = _network_config.parse('{ "network": "10.5.0.0/16", "backend": {"type": "VXLAN", "vni": 100} }')
    assert _network_config.render(config) == '{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan","VNI":100}}'


@given(st.integers(0, 28), st.integers(0, 2**32 - 1))
def test_every_default_range_is_inside_the_network(prefix, address):
    network = ip_network((address, prefix), strict=False)
    config = parse(Network=str(network))
    first = ip_network(f"{config.subnet_min}/{config.subnet_len}")
    last = ip_network(f"{config.subnet_max}/{config.subnet_len}")
    assert first.subnet_of(network)
    assert last.subnet_of(network)
    assert first.network_address <= last.network_address
    assert _network_config.parse(_network_config.render(config)) == config


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(_network_config.FIELDS) | st.text(), inner),
    )
)
def test_any_json_is_read_or_refused(value):
    try:
        _network_config.parse(json.dumps(value))
    except InputError as error:
        assert str(error)


@given(st.text())
def test_any_text_is_read_or_refused(text):
    with pytest.raises(InputError):
        _network_config.parse(text)


@pytest.mark.parametrize(
    ("value", "secrets"),
    [
        ({"Backend": {"PSK": 1234567890}}, ["1234567890"]),
        ({"Backend": {"PSK": 12, "AccessKeySecret": True}}, []),
        ({"Backend": [{"PSK": "preshared"}]}, ["preshared"]),
        (None, []),
        ({"Backend": {"Type": "wireguard", "PSK": "preshared"}}, ["preshared"]),
        ({"backend": {"psk": "preshared", "accesskeysecret": "other", "AccessKeyID": "name"}}, ["preshared", "other"]),
        ({"Backend": {"PSK": ""}}, []),
        ({"Backend": {"PSK": 7}}, []),
    ],
)
def test_secrets_whatever_their_case(value, secrets):
    assert _network_config.secret_texts(value) == secrets
