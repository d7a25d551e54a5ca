# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Peers that change, join and leave in networks of each kind that a node without an agent can be part of."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._dataplane import x25519
from ansible_collections.podnet.cni.tests.integration._kernel import needs
from ansible_collections.podnet.cni.tests.integration.refresh._node import Node, Store


def settled(node: Node, store: Store) -> str:
    """Refresh, and again, which has nothing to do, as the playbook has; return what the first run said."""
    code, said = node.refreshed()
    assert code == 0, said
    before = node.holds()
    code, again = node.refreshed()
    assert (code, node.holds()) == (0, before)
    assert "peers are as their leases say" in again
    options = {**node.made_with, **store.etcd.options, "wireguard_key_file": node.settings["wireguard_key_file"]}
    found = node.host.module(check=True, module="flannel_dataplane", store="etcd", **options)
    assert found["actions"] == [], found
    return said


@pytest.mark.parametrize("network", [("vxlan", True)])
def test_both_families_of_a_peer_are_followed(node: Node, store: Store) -> None:
    new = {4: "02:aa:bb:cc:dd:04", 6: "02:aa:bb:cc:dd:06"}
    store.lease(2, BackendData={"VNI": 1, "VtepMAC": new[4]}, BackendV6Data={"VNI": 1, "VtepMAC": new[6]})
    store.delete(3)
    store.lease(4)
    settled(node, store)
    state = node.host.state()
    macs = {entry[0]: entry[2] for entry in state["neighbours"]}
    assert macs["10.5.2.0"] == new[4] and macs["fd00:10:5:2::"] == new[6]
    assert macs["fd00:10:5:4::"] == "02:00:00:06:00:04"
    assert {"10.5.3.0", "fd00:10:5:3::"}.isdisjoint(macs)
    routes = "".join(state["routes"])
    assert "fd00:10:5:4::/64" in routes and "fd00:10:5:3::" not in routes and "10.5.3.0" not in routes
    # Upstream's peers in a cluster miss a change of one family alone; here it is noticed.
    store.lease(2, BackendData={"VNI": 1, "VtepMAC": new[4]}, BackendV6Data={"VNI": 1, "VtepMAC": "02:aa:bb:cc:dd:16"})
    settled(node, store)
    assert ("fd00:10:5:2::", "flannel-v6.1", "02:aa:bb:cc:dd:16", ("PERMANENT",)) in node.host.state()["neighbours"]


@pytest.mark.parametrize("network", [("host-gw", False), ("host-gw", True)])
def test_the_routes_of_host_gw_follow_a_peer_with_another_address(node: Node, store: Store) -> None:
    def gateways(family: str) -> dict[str, str]:
        return {each["dst"]: each["gateway"] for each in node.host.json(f"ip {family} -j route") if "gateway" in each}

    moved: dict[str, Any] = {"PublicIP": "198.18.0.22", **({"PublicIPv6": "fd00:18::22"} if store.ipv6 else {})}
    store.lease(2, **moved)
    store.delete(3)
    store.lease(4)
    said = settled(node, store)
    assert "10.5.2.0/24 via 198.18.0.22" in said
    found = gateways("-4")
    assert (found["10.5.2.0/24"], found["10.5.4.0/24"]) == ("198.18.0.22", "198.18.0.4")
    assert "10.5.3.0/24" not in found
    if store.ipv6:
        found = gateways("-6")
        assert (found["fd00:10:5:2::/64"], found["fd00:10:5:4::/64"]) == ("fd00:18::22", "fd00:18::4")
        assert "fd00:10:5:3::/64" not in found


def key(seed: int) -> str:
    """The public key of a peer."""
    return base64.b64encode(x25519.public_key(bytes([seed] * 32))).decode()


@needs("wireguard")
@pytest.mark.parametrize("network", [("wireguard", False)])
def test_the_peers_of_wireguard_follow_a_new_key(node: Node, store: Store) -> None:
    # A key in /tmp is nothing to restore a boot from.
    for options in (node.made_with, node.settings):
        options["restore_dir"] = ""
    prepared = node.host.module(
        module="flannel_dataplane_prepare",
        network_config=node.config,
        wireguard_key_file=node.settings["wireguard_key_file"],
    )
    own = prepared["node"]["wireguard_public_key"]
    for number, public in ((1, own), (2, key(2)), (3, key(3))):
        store.lease(number, BackendData={"PublicKey": public, "Port": 51820})
    assert node.refreshed()[0] == 0
    # As after a reboot: flanneld v0.28.9 has its key in /run.
    store.lease(2, BackendData={"PublicKey": key(22), "Port": 51820})
    store.delete(3)
    code, said = node.refreshed()
    assert code == 0, said
    peers = dict(line.split("\t")[:2] for line in node.host.shell("wg show flannel-wg allowed-ips").splitlines())
    assert peers == {key(22): "10.5.2.0/24"}, said
    private = (node.directory / "wireguard.key").read_text().strip()
    assert private not in said
    assert node.refreshed() == (0, "1 peers are as their leases say\n")
