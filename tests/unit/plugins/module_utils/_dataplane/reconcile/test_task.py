# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the module's options to a request, and from an outcome to the module's result."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._dataplane.peers import pack
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.reconcile import prepare, task
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.reconcile.request import Outcome
from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError, InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import Lease, to_dict
from ansible_collections.podnet.cni.plugins.module_utils._flannel.network_config import NetworkConfig
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._dataplane._nodes import config, lease

CONFIG = {"Network": "10.5.0.0/16", "Backend": {"Type": "vxlan"}}


def params(**changes: Any) -> dict[str, Any]:
    """The module's options as it starts with them."""
    return {
        "state": "present",
        "network_config": CONFIG,
        "lease": to_dict(lease(1)),
        "peers": [to_dict(lease(2))],
        "foreign_peers": [to_dict(lease(3))],
        "interface": None,
        "firewall": "nftables",
        "remove_firewall_leftovers": False,
        "ip_masq": True,
        "subnet_file": "/run/flannel/subnet.env",
        "restore_dir": "",
        "wireguard_key_file": "/etc/podnet-cni/wireguard.key",
        "lock_timeout": 60.0,
        "flanneld": "refuse",
        "move_bridge": "",
        "name": "node-1",
        "subnet": None,
        "ipv6_subnet": None,
        **changes,
    }


def no_addresses() -> list[str]:
    return []


def store() -> tuple[NetworkConfig, list[Lease], str]:
    return config(), [lease(1), lease(2), lease(3)], "leases of /network"


def test_inline() -> None:
    request = task.request(params(), None, no_addresses)
    assert (request.lease, request.peers) == (lease(1), [pack(lease(2))])
    assert (request.foreign, request.where) == ([pack(lease(3))], "foreign_peers")
    assert request.firewall
    assert not task.request(params(firewall="none"), None, no_addresses).firewall


@pytest.mark.parametrize("name", ["network_config", "lease"])
def test_inline_needs(name: str) -> None:
    with pytest.raises(InputError, match=f"{name} is missing; give it, or let the module read it with store=etcd"):
        task.request(params(**{name: None}), None, no_addresses)


def test_without_lease() -> None:
    request = task.request(params(state="absent", lease=None, peers=None), None, no_addresses)
    assert (request.lease, request.peers) == (None, [])


def test_rules_of_the_flanneld_that_takes_over_are_not_leftovers() -> None:
    gone, handed = (
        task.request(params(state=state, lease=None, peers=None, remove_firewall_leftovers=True), None, no_addresses)
        for state in ("absent", "handed_over")
    )
    assert (gone.hands_over, gone.remove_firewall_leftovers) == (False, True)
    assert (handed.hands_over, handed.remove_firewall_leftovers) == (True, False)


def test_a_host_is_asked_about_its_public_ips_only() -> None:
    asked = prepare.question(params(public_ip="198.18.0.2", public_ipv6="fd00:18::2"))
    assert asked.public_ips == (b"\xc6\x12\x00\x02", bytes.fromhex("fd000018000000000000000000000002"))
    assert asked.config is not None
    asked = prepare.question(params(public_ip=None, public_ipv6=None, network_config=None))
    assert (asked.public_ips, asked.config) == ((), None)


def test_own_lease_by_an_address_of_this_host() -> None:
    request = task.request(params(lease=None, peers=None), store, lambda: ["127.0.0.1", "198.18.0.2"])
    assert request.lease == lease(2)
    assert (request.peers, request.foreign) == ([], [lease(1), lease(3)])
    assert request.where == "leases of /network"


def test_own_lease_by_its_subnet() -> None:
    named = {"subnet": "10.5.3.0/24", "public_ip": "198.18.9.9"}
    assert task.request(params(lease=named), store, no_addresses).lease == lease(3)


def test_own_lease_by_its_name() -> None:
    """Behind NAT no address of the host is in the lease."""
    named = {"name": lease(3).name}
    assert task.request(params(lease=named), store, no_addresses).lease == lease(3)
    with pytest.raises(ConflictError, match="no lease has the name other"):
        task.request(params(lease={"name": "other"}), store, no_addresses)


@pytest.mark.parametrize(
    ("addresses", "found"), [([], "no lease has"), (["198.18.0.1", "198.18.0.2"], "2 leases have")]
)
def test_no_one_lease_of_our_own(addresses: list[str], found: str) -> None:
    with pytest.raises(ConflictError, match=f"leases of /network: {found} a public IP of this host; allocate one"):
        task.request(params(lease=None), store, lambda: addresses)


def test_long_lists_are_not_repeated() -> None:
    few, many = params(peers=[{}] * 50), params(peers=[{}] * 51, foreign_peers=[{}] * 52)
    task.shorten(few)
    task.shorten(many)
    assert few["peers"] == [{}] * 50
    assert (many["peers"], many["foreign_peers"]) == ("51 leases", "52 leases")
    task.shorten(params(peers=None, foreign_peers=None))


def test_result() -> None:
    outcome = Outcome(["set route x"], ["a"], ["b", "c"], [], {"mtu": 1450})
    assert task.result(outcome, diff=False) == {
        "changed": True,
        "actions": ["set route x"],
        "parts": {},
        "operations": [],
        "mtu": 1450,
    }
    found = task.result(outcome, diff=True)["diff"]
    assert (found["before"], found["after"]) == ("a\n", "b\nc\n")
    assert not task.result(Outcome(), diff=False)["changed"]
