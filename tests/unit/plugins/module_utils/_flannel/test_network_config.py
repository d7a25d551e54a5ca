# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The network config accepts, completes and refuses what flannel v0.28.9 does (pkg/subnet/config_test.go and code)."""

from __future__ import annotations

import json
from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import network_config

VXLAN = {"Type": "vxlan"}


def parse(**members):
    members.setdefault("Backend", VXLAN)
    return network_config.parse(json.dumps(members))


def test_defaults_of_an_ipv4_network():
    config = network_config.parse('{ "network": "10.3.0.0/16" }')
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
    config = network_config.parse(
        '{"Network":"10.1.0.0/16","NETWORK":"10.2.0.0/16","Backend":{"type":"VXLAN","vni":7}}'
    )
    assert str(config.network) == "10.2.0.0/16"
    assert (config.backend.type, config.backend.options["VNI"]) == ("vxlan", 7)


def test_unknown_members_are_kept_and_named():
    config = parse(Network="10.3.0.0/16", Comment="ours", Backend={"Type": "vxlan", "Vnii": 3})
    assert config.ignored == ("Comment", "Backend.Vnii")
    assert json.loads(network_config.render(config))["Comment"] == "ours"


@pytest.mark.parametrize(
    ("members", "wrong"),
    [
        ({}, "Network is missing"),
        ({"Network": "10.3.0.0/16", "EnableIPv4": False}, "both false"),
        ({"Network": "10.3.0.0"}, "'10.3.0.0' is not a network"),
        ({"Network": "10.3.0.0/255.255.0.0"}, "prefix length must be a number"),
        ({"Network": "0.0.0.0/0"}, "the whole of IPv4"),
        ({"Network": "224.3.0.0/16"}, "is multicast"),
        ({"Network": None}, "quoted text, not null"),
        ({"Network": "10.3.0.0/16", "EnableIPv6": True, "IPv6Network": "ff00::/48"}, "is multicast"),
        ({"Network": "10.3.0.0/16", "EnableIPv6": True, "IPv6Network": "fe80::%eth0/64"}, "a zone is not a part"),
        ({"Network": "10.3.0.0/16", "EnableIPv6": True, "IPv6Network": "::ffff:10.3.0.0/112"}, "it must be IPv6"),
        ({"Network": "10.3.0.0/16", "Backend": None}, "not null"),
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
        ({"Network": "127.3.0.0/16"}, "is loopback"),
        ({"Network": "010.3.0.0/16"}, "is not a network in CIDR notation: it is not an IP address; write one like"),
        ({"Network": " 10.3.0.0/16"}, "is not a network in CIDR notation: it is not an IP address; write one like"),
        ({"Network": "10.3.0.0/16 "}, "its prefix length must be a number from 0 to 32; write one like"),
        ({"Network": "10.3.0.0/16", "SubnetLen": 2**64}, "SubnetLen 18446744073709551616 is too large for flanneld"),
        ({"Network": "10.3.0.0/16", "IPv6SubnetLen": 2**64}, "IPv6SubnetLen 18446744073709551616 is too large"),
        ({"Network": "10.3.0.0/16", "IPv6SubnetLen": -1}, "IPv6SubnetLen -1 is negative"),
    ],
)
def test_what_flanneld_could_not_use_is_refused_by_name(members, wrong):
    members.setdefault("Backend", VXLAN)
    with pytest.raises(InputError) as error:
        network_config.parse(json.dumps(members))
    assert wrong in str(error.value)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ('{"Network":"x","Network":"10.3.0.0/16","Backend":{"Type":"vxlan"}}', "Network 'x'"),
        ('{"network":"x","Network":"10.3.0.0/16","Backend":{"Type":"vxlan"}}', "Network 'x'"),
        ('{"Network":"10.3.0.0/16","SubnetLen":"24","SubnetLen":24,"Backend":{"Type":"vxlan"}}', "SubnetLen must be"),
        (
            '{"Network":"10.3.0.0/16","SubnetMin":null,"SubnetMin":"10.3.1.0","Backend":{"Type":"vxlan"}}',
            "SubnetMin None",
        ),
        (
            '{"Network":"10.3.0.0/16","EnableIPv6":"no","EnableIPv6":false,"Backend":{"Type":"vxlan"}}',
            "EnableIPv6 must",
        ),
        ('{"Network":"10.3.0.0/16","Backend":{"Type":1,"Type":"vxlan"}}', "Type must be a string"),
        ('{"Network":"10.3.0.0/16","Backend":{"Type":"vxlan","VNI":"1","VNI":1}}', "VNI must be a whole"),
        ('{"Network":"10.3.0.0/16","Backend":{"Type":"vxlan","vni":"1","VNI":1}}', "VNI must be a whole"),
        ('{"Network":"10.3.0.0/16","SubnetLen":-0,"Backend":{"Type":"vxlan"}}', "SubnetLen -0 is negative"),
    ],
)
def test_a_bad_value_before_a_good_one_spoils_the_config(text, wrong):
    with pytest.raises(InputError) as error:
        network_config.parse(text)
    assert wrong in str(error.value)


def test_of_several_ranges_only_the_last_has_to_be_usable():
    text = '{"Network":"10.0.0.0/0","Network":"10.3.0.0/16","IPv6Network":"10.0.0.0/8","IPv6Network":"fd00::/48"}'
    assert str(network_config.parse(text).network) == "10.3.0.0/16"
    with pytest.raises(InputError, match="Network 'fd00::/48' is an IPv6 network; it must be IPv4"):
        network_config.parse('{"Network":"fd00::/48","Network":"10.3.0.0/16"}')


def test_of_several_backends_flanneld_reads_the_last_alone():
    config = network_config.parse('{"Network":"10.3.0.0/16","Backend":{"Type":1},"backend":{"Type":"vxlan","VNI":-0}}')
    assert (config.backend.type, config.backend.options["VNI"]) == ("vxlan", 0)


def test_null_behind_a_value_leaves_it_or_takes_it_away_as_in_flanneld():
    text = (
        '{"Network":"10.3.0.0/16","SubnetLen":26,"SubnetLen":null,"EnableIPv6":true,"EnableIPv6":null,'
        '"IPv6Network":"fd00::/48","IPv6SubnetMin":"fd00:0:0:9::","IPv6SubnetMin":null,'
        '"Backend":{"Type":"vxlan","VNI":7,"VNI":null}}'
    )
    config = network_config.parse(text)
    assert (config.subnet_len, config.enable_ipv6, config.backend.options["VNI"]) == (26, True, 7)
    assert str(config.ipv6_subnet_min) == "fd00:0:0:1::"
    assert network_config.to_dict(network_config.parse(network_config.render(config))) == network_config.to_dict(config)


@pytest.mark.parametrize("comment", [float("nan"), float("inf"), "x\ud800", {"deep": [float("-inf")]}])
def test_no_config_is_written_that_is_no_json(comment):
    members = {"Network": "10.3.0.0/16", "Backend": VXLAN, "Comment": comment}
    with pytest.raises(InputError, match=r"network config: Comment.* cannot be written: .*leave it out"):
        network_config.parse(members)


def test_a_number_that_only_go_keeps_is_read_and_not_written_again():
    config = network_config.parse('{"Network":"10.3.0.0/16","Backend":{"Type":"vxlan"},"Comment":1e999}')
    with pytest.raises(InputError, match="Infinity is not a JSON number"):
        network_config.render(config)


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


def test_an_escape_in_an_address_is_not_undone():
    """flanneld reads the text between the quotes; Backend.Type goes through Go's own decoder."""
    text = '{"Network":"10.3.0.0%s16","Backend":{"Type":"vx\\u006can"}}'
    assert str(network_config.parse(text % "/").network) == "10.3.0.0/16"
    with pytest.raises(InputError, match="written with an escape"):
        network_config.parse(text % "\\/")


def test_an_mtu_of_zero_is_not_written():
    config = parse(Network="10.3.0.0/16", Backend={"Type": "vxlan", "MTU": 0})
    assert config.backend.options["MTU"] == 0
    assert network_config.render(config) == '{"Network":"10.3.0.0/16","Backend":{"Type":"vxlan"}}'


def test_kubernetes_ranges_are_not_checked():
    config = network_config.parse({"Network": "10.3.0.0/29", "SubnetLen": 31, "Backend": VXLAN}, check_ranges=False)
    assert config.subnet_len == 0


def test_windows_defaults():
    config = network_config.parse({"Network": "10.3.0.0/16", "Backend": VXLAN}, platform="windows")
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
        ({"Type": "ipip"}, "not available on windows"),
    ],
)
def test_mixed_clusters(backend, problem):
    problems = network_config.mixed_cluster_problems(parse(Network="10.3.0.0/16", Backend=backend))
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
    texts = network_config.warnings(config)
    assert len(texts) == warned
    assert all(text.endswith("set ListenPortV6 to the value of ListenPort") for text in texts)


def test_a_config_that_works_needs_no_warning():
    assert network_config.warnings(parse(Network="10.3.0.0/16", Backend={"Type": "vxlan"})) == []


def test_rendering_is_compact_and_canonical():
    config = network_config.parse('{ "network": "10.5.0.0/16", "backend": {"type": "VXLAN", "vni": 100} }')
    assert network_config.render(config) == '{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan","VNI":100}}'


@given(st.integers(3, 28), st.integers(0, 0xE0000000 - 1))
def test_every_default_range_is_inside_the_network(prefix, address):
    network = ip_network((address, prefix), strict=False)
    assume(not network.is_loopback)
    config = parse(Network=str(network))
    first = ip_network(f"{config.subnet_min}/{config.subnet_len}")
    last = ip_network(f"{config.subnet_max}/{config.subnet_len}")
    assert first.subnet_of(network)
    assert last.subnet_of(network)
    assert first.network_address <= last.network_address
    assert network_config.parse(network_config.render(config)) == config


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(network_config.FIELDS) | st.text(), inner),
    )
)
def test_any_json_is_read_or_refused(value):
    try:
        network_config.parse(json.dumps(value))
    except InputError as error:
        assert str(error)


@given(st.text())
def test_any_text_is_read_or_refused(text):
    with pytest.raises(InputError):
        network_config.parse(text)


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
    assert network_config.secret_texts(value) == secrets


_SCALARS = st.none() | st.booleans() | st.integers(-1, 40) | st.floats() | st.text(max_size=4)
_MEMBERS = st.fixed_dictionaries(
    {
        "Network": st.sampled_from(["10.3.0.0/16", "10.3.9.9/016", "10.0.0.0/8", "10.3.0.0", "0.0.0.0/0"]),
        "Backend": st.fixed_dictionaries(
            {"Type": st.sampled_from(["vxlan", "VXLAN", "host-gw", "wireguard", "alloc", "vxlann"])},
            optional={"VNI": _SCALARS, "Port": _SCALARS, "MTU": _SCALARS, "directrouting": _SCALARS, "Other": _SCALARS},
        ),
    },
    optional={
        **dict.fromkeys(("SubnetLen", "EnableIPv4", "EnableNFTables", "IPv6SubnetLen", "Comment"), _SCALARS),
        "EnableIPv6": st.booleans(),
        "IPv6Network": st.sampled_from(
            ["fd00::/48", "FD00::9/048", "fd00::%eth0/48", "ff00::/48", "::ffff:10.3.0.0/112"]
        ),
        "SubnetMin": st.sampled_from(["10.3.1.0", "10.3.1.1", "::ffff:10.3.1.0", "010.3.1.0"]),
        "IPv6SubnetMin": st.sampled_from(["fd00:0:0:1::", "::", None, "fd00::1%eth0"]),
    },
)


@given(_MEMBERS)
def test_what_is_written_is_read_back_with_the_same_meaning(members):
    try:
        config = network_config.parse(members)
    except InputError as error:
        assert str(error).startswith("network config")
        return
    again = network_config.parse(network_config.render(config))
    assert network_config.to_dict(again) == network_config.to_dict(config)
    assert network_config.render(again) == network_config.render(config)
