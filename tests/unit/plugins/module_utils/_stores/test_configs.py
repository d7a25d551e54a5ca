# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What two network configs differ in, and what of one goes into a file."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._flannel import network_config
from ansible_collections.podnet.cni.plugins.module_utils._stores import configs

PSK = "TmV2ZXJTaG93VGhpc1NlY3JldEluQW55T3V0cHV0ISE="
WIREGUARD = {"Network": "10.244.0.0/16", "Backend": {"Type": "wireguard", "PSK": PSK}}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, []),
        ({"SubnetLen": 24, "EnableIPv4": True}, []),
        ({"Backend": {"Type": "WireGuard", "PSK": PSK[::-1].lstrip("=") + "="}}, []),
        ({"Network": "10.244.0.0/15"}, ["Network is '10.244.0.0/15', not '10.244.0.0/16'"]),
        ({"EnableNFTables": True}, ["EnableNFTables is True, not False"]),
        ({"Backend": {"Type": "wireguard", "ListenPort": 5}}, ["Backend.ListenPort is 5, not 51820"]),
        ({"IPv6Network": "fd00::/48"}, ["IPv6Network is 'fd00::/48', not None"]),
    ],
)
def test_differences_are_named_and_secrets_are_not(change: dict[str, Any], told: list[str]) -> None:
    one, other = network_config.parse({**WIREGUARD, **change}), network_config.parse(WIREGUARD)
    ranges = ("SubnetMin", "SubnetMax")
    assert [line for line in configs.differences(one, other) if not line.startswith(ranges)] == told


def test_what_is_handed_out_may_not_matter() -> None:
    one, other = network_config.parse({**WIREGUARD, "SubnetLen": 25}), network_config.parse(WIREGUARD)
    assert "SubnetLen is 25, not 24" in configs.differences(one, other)
    assert configs.differences(one, other, handed_out=False) == []
    bare = network_config.parse(WIREGUARD, check_ranges=False)
    assert configs.differences(one, bare, handed_out=False) == []


def test_secrets_are_left_out_wherever_they_are() -> None:
    given = {**WIREGUARD, "Note": {"psk": "x", "deep": {"accesskeysecret": "y", "z": 1}}, "PSK": ""}
    kept, places = network_config.without_secrets(given)
    assert kept == {"Network": "10.244.0.0/16", "Backend": {"Type": "wireguard"}, "Note": {"deep": {"z": 1}}}
    assert places == ["Backend.PSK", "Note.psk", "Note.deep.accesskeysecret"]
    assert network_config.without_secrets(kept) == (kept, [])
