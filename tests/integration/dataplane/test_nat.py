# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host that publishes an address it does not hold, as public-ip-overwrite of a Node asks for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.podnet.cni.tests.integration._netns import Host
from ansible_collections.podnet.cni.tests.integration.dataplane._leases import lease, options

OUTSIDE = {"public_ip": "198.18.0.77", "public_ipv6": "fd00:18::77"}


def links(host: Host) -> list[dict[str, Any]]:
    return list(host.json("ip -d -j link show type vxlan"))


def test_the_address_of_the_underlay_is_used_locally(host: Host) -> None:
    plain = options(1, [2], ipv6=True)
    translated = {**plain, "lease": {**plain["lease"], **OUTSIDE}, "interface": "eth0"}
    done = host.module(**translated)
    assert done["changed"], done
    found = {link["ifname"]: link["linkinfo"]["info_data"] for link in links(host)}
    assert found["flannel.1"]["local"] == "198.18.0.1"
    assert found["flannel-v6.1"]["local6"] == "fd00:18::1"
    assert "the public IP 198.18.0.77 is on no interface of this host" in json.dumps(done["warnings"])
    assert not host.module(**translated)["changed"]
    assert not host.module(**plain)["changed"], "the kernel holds what it would without NAT"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"interface": None}, "name the interface (interface)"),
        ({"interface": "lo"}, "the public IP fd00:18::77 is on no interface of this host, and 'lo' has no address"),
    ],
)
def test_without_an_address_to_use_nothing_is_changed(host: Host, changes: dict[str, Any], reason: str) -> None:
    arguments = options(1, [2], ipv6=True)
    host.shell("ip -6 addr flush dev lo")
    done = host.module(**{**arguments, "lease": {**lease(1, ipv6=True), **OUTSIDE}, **changes})
    assert done["failed"]
    assert reason in done["msg"]
    assert host.state()["links"] == []
