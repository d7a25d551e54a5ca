# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The subnet file is byte for byte that of flannel v0.28.9."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

import pytest

from ansible_collections.podnet.cni.plugins.module_utils import _network_config, _subnet_env
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._lease import Lease

VXLAN = {"Type": "vxlan"}
IPV4 = _network_config.parse({"Network": "10.5.0.0/16", "Backend": VXLAN})
DUAL = _network_config.parse(
    {"Network": "10.5.0.0/16", "EnableIPv6": True, "IPv6Network": "fd00:5::/48", "Backend": VXLAN}
)
LEASE = Lease(IPv4Network("10.5.78.0/24"), IPv6Network("fd00:5:0:7::/64"), name="node-1")


def test_ipv4():
    assert _subnet_env.render(IPV4, LEASE, 1450, True) == (
        "FLANNEL_NETWORK=10.5.0.0/16\nFLANNEL_SUBNET=10.5.78.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n"
    )


def test_dual_stack():
    assert _subnet_env.render(DUAL, LEASE, 1430, False) == (
        "FLANNEL_NETWORK=10.5.0.0/16\nFLANNEL_SUBNET=10.5.78.1/24\n"
        "FLANNEL_IPV6_NETWORK=fd00:5::/48\nFLANNEL_IPV6_SUBNET=fd00:5:0:7::1/64\n"
        "FLANNEL_MTU=1430\nFLANNEL_IPMASQ=false\n"
    )


@pytest.mark.parametrize(
    ("lease", "family"), [(Lease(None, name="n1"), "IPv4"), (Lease(IPv4Network("10.5.78.0/24"), name="n1"), "IPv6")]
)
def test_a_missing_subnet_is_named(lease, family):
    with pytest.raises(InputError, match=f"lease of n1: .* no {family} subnet"):
        _subnet_env.render(DUAL, lease, 1450, True)


def test_what_was_rendered_is_read_back():
    assert _subnet_env.parse(_subnet_env.render(IPV4, LEASE, 1450, True)) == {
        "FLANNEL_NETWORK": "10.5.0.0/16",
        "FLANNEL_SUBNET": "10.5.78.1/24",
        "FLANNEL_MTU": "1450",
        "FLANNEL_IPMASQ": "true",
    }
    assert _subnet_env.parse('# by hand\nFLANNEL_SUBNET="10.5.78.1/24"\nnothing\n') == {
        "FLANNEL_SUBNET": "10.5.78.1/24"
    }
