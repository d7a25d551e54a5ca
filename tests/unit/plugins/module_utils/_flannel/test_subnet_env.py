# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The subnet file is byte for byte that of flannel v0.28.9."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import network_config, subnet_env
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import Lease

VXLAN = {"Type": "vxlan"}
IPV4 = network_config.parse({"Network": "10.5.0.0/16", "Backend": VXLAN})
DUAL = network_config.parse(
    {"Network": "10.5.0.0/16", "EnableIPv6": True, "IPv6Network": "fd00:5::/48", "Backend": VXLAN}
)
LEASE = Lease(IPv4Network("10.5.78.0/24"), IPv6Network("fd00:5:0:7::/64"), name="node-1")


def test_ipv4():
    assert subnet_env.render(IPV4, LEASE, 1450, True) == (
        "FLANNEL_NETWORK=10.5.0.0/16\nFLANNEL_SUBNET=10.5.78.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n"
    )


def test_dual_stack():
    assert subnet_env.render(DUAL, LEASE, 1430, False) == (
        "FLANNEL_NETWORK=10.5.0.0/16\nFLANNEL_SUBNET=10.5.78.1/24\n"
        "FLANNEL_IPV6_NETWORK=fd00:5::/48\nFLANNEL_IPV6_SUBNET=fd00:5:0:7::1/64\n"
        "FLANNEL_MTU=1430\nFLANNEL_IPMASQ=false\n"
    )


@pytest.mark.parametrize(
    ("lease", "family"), [(Lease(None, name="n1"), "IPv4"), (Lease(IPv4Network("10.5.78.0/24"), name="n1"), "IPv6")]
)
def test_a_missing_subnet_is_named(lease, family):
    with pytest.raises(InputError, match=f"lease of n1: .* no {family} subnet"):
        subnet_env.render(DUAL, lease, 1450, True)


def test_what_was_rendered_is_read_back():
    assert subnet_env.parse(subnet_env.render(IPV4, LEASE, 1450, True)) == {
        "FLANNEL_NETWORK": "10.5.0.0/16",
        "FLANNEL_SUBNET": "10.5.78.1/24",
        "FLANNEL_MTU": "1450",
        "FLANNEL_IPMASQ": "true",
    }
    assert subnet_env.parse('# by hand\nFLANNEL_SUBNET="10.5.78.1/24"\nnothing\n') == {"FLANNEL_SUBNET": "10.5.78.1/24"}


GOOD = "FLANNEL_NETWORK=10.5.0.0/16\nFLANNEL_SUBNET=10.5.78.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n"


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        GOOD.replace("\n", "\r\n"),
        GOOD + "# by hand\nANYTHING\n",
        GOOD.replace("10.5.0.0/16", "10.5.0.0/16,10.6.0.0/16"),
        "FLANNEL_IPV6_NETWORK=fd00::/48\nFLANNEL_IPV6_SUBNET=fd00::1/64\nFLANNEL_MTU=0\nFLANNEL_IPMASQ=maybe\n",
    ],
)
def test_what_the_cni_plugin_takes(text):
    assert subnet_env.refusal(text) == ""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it is missing FLANNEL_NETWORK, FLANNEL_IPV6_NETWORK, FLANNEL_SUBNET, .*FLANNEL_MTU, FLANNEL_IPMASQ"),
        (GOOD.replace("=10.5.78.1/24", '="10.5.78.1/24"'), "line 2, FLANNEL_SUBNET: .* is not a range"),
        (GOOD.replace("=1450", "='1450'"), "line 3, FLANNEL_MTU: .* is not a number"),
        (GOOD.replace("=1450", "= 1450"), "FLANNEL_MTU"),
        (GOOD.replace("FLANNEL_SUBNET", "export FLANNEL_SUBNET"), "missing FLANNEL_SUBNET, FLANNEL_IPV6_SUBNET"),
        (GOOD.replace("FLANNEL_SUBNET=", "FLANNEL_SUBNET ="), "missing FLANNEL_SUBNET, FLANNEL_IPV6_SUBNET"),
        (GOOD.replace("=1450", ""), "line 3 is FLANNEL_MTU without a value"),
        (GOOD.replace("10.5.78.1/24", "10.5.78.1"), "FLANNEL_SUBNET"),
        (GOOD.replace("10.5.78.1/24", "10.05.78.1/24"), "FLANNEL_SUBNET"),
        (GOOD.replace("10.5.78.1/24", "10.5.78.1/255.255.255.0"), "FLANNEL_SUBNET"),
        (GOOD.replace("10.5.78.1/24", "10.5.78.1/24,10.5.79.1/24"), "FLANNEL_SUBNET"),
        ("\ufeff" + GOOD, "missing FLANNEL_NETWORK"),
        (GOOD.replace("FLANNEL_IPMASQ", "FLANNEL_IP_MASQ"), "it is missing FLANNEL_IPMASQ"),
    ],
)
def test_what_the_cni_plugin_refuses(text, reason):
    assert re.search(reason, subnet_env.refusal(text))


@given(
    subnet=st.integers(min_value=0, max_value=255), mtu=st.integers(min_value=68, max_value=65535), masq=st.booleans()
)
def test_the_cni_plugin_takes_whatever_is_rendered(subnet, mtu, masq):
    lease = Lease(IPv4Network(f"10.5.{subnet}.0/24"), IPv6Network(f"fd00:5:0:{subnet:x}::/64"), name="n1")
    for config in (IPV4, DUAL):
        assert subnet_env.refusal(subnet_env.render(config, lease, mtu, masq)) == ""
