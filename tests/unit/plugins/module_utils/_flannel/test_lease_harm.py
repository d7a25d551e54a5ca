# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Leases that flanneld cannot stand; tests/integration/flanneld/test_harm.py sees the same on the daemon."""

from __future__ import annotations

import json

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._flannel import network_config
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease_harm import HANGS, STALLS, harm

KEY = "/coreos.com/network/subnets/10.60.50.0-24"
MAC = "02:00:00:00:07:32"


def effect(key=KEY, network="10.60.0.0/16", backend="vxlan", ipv6=None, **members):
    value = {"PublicIP": "198.18.7.50", "BackendType": backend, "BackendData": {"VNI": 1, "VtepMAC": MAC}, **members}
    more = {"EnableIPv6": True, "IPv6Network": ipv6} if ipv6 else {}
    config = network_config.parse({"Network": network, **more, "Backend": {"Type": "vxlan"}})
    found = harm(config, key, json.dumps(value))
    return found and found.kind


def test_a_good_lease_does_none():
    assert effect() is None
    assert effect(f"{KEY}&fd00:60:0:50::-64", ipv6="fd00:60::/48") is None


def test_an_ipv6_subnet_in_an_ipv4_network_hangs_all():
    assert effect(f"{KEY}&fd00:60:0:50::-64") == HANGS
    assert effect(f"{KEY}&fd00:60:0:50::-64", backend="host-gw") is None, "flanneld ignores other backends before that"


@pytest.mark.parametrize("key", ["10.60.50.7-24", "224.0.50.0-24", "127.0.50.0-24", "0.0.0.0-0"])
def test_a_subnet_without_a_route_stalls_all(key):
    assert effect(key) == STALLS


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        {"VNI": 1},
        {"vtepmac": "03:00:00:00:00:01"},
        {"VtepMAC": "00-00-00-00-00-00"},
        {"VtepMAC": MAC + ":00:00"},
    ],
)
def test_a_mac_that_no_neighbour_can_have_stalls_all(data):
    assert effect(BackendData=data) == STALLS


@pytest.mark.parametrize(
    "data", ["x", [], {"VtepMAC": ""}, {"VtepMAC": None}, {"VNI": "1"}, {"VNI": -1, "VtepMAC": "x"}]
)
def test_what_flanneld_cannot_decode_it_passes_over(data):
    assert effect(BackendData=data) is None


@pytest.mark.parametrize(("key", "value"), [("garbage", "{}"), ("10.60.50.7-24", "x"), ("10.60.50.7-24", "{}")])
def test_what_is_no_lease_is_another_matter(key, value):
    config = network_config.parse({"Network": "10.60.0.0/16", "Backend": {"Type": "vxlan"}})
    assert harm(config, key, value) is None
