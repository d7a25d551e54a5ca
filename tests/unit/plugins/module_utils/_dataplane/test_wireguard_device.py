# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is said to the kernel about wireguard devices, encoded by the real pyroute2, and what is read from it."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroute2.netlink.generic.wireguard import AsyncWireGuard, wgmsg

from ansible_collections.podnet.cni.plugins.module_utils._dataplane import wireguard_device
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.model import Link, Prefix, WireguardPeer
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.plan import Plan

SECRET = b"p" * 32
KEYS = st.binary(min_size=32, max_size=32)
PREFIXES = st.builds(Prefix, st.binary(min_size=4, max_size=4), st.integers(0, 32)) | st.builds(
    Prefix, st.binary(min_size=16, max_size=16), st.integers(0, 128)
)
PEERS = st.builds(
    WireguardPeer,
    st.just("flannel-wg"),
    KEYS,
    st.binary(min_size=4, max_size=4) | st.binary(min_size=16, max_size=16),
    st.integers(1, 65535),
    st.lists(PREFIXES, min_size=1, max_size=2, unique=True).map(
        lambda found: tuple(sorted(found, key=lambda prefix: (len(prefix.address), prefix)))
    ),
    st.integers(0, 65535),
)


def through_pyroute2(peers: list[WireguardPeer], preshared_key: bytes | None, public_key: bytes) -> Any:
    """The message that sets these peers, packed by pyroute2 and read back, as the kernel would send it."""
    message = wgmsg()
    message["attrs"] = [["WGDEVICE_A_PUBLIC_KEY", base64.b64encode(public_key)], ["WGDEVICE_A_LISTEN_PORT", 51820]]
    entries = []
    for peer in peers:
        part: dict[str, Any] = {"attrs": []}
        setter = AsyncWireGuard.__new__(AsyncWireGuard)
        setter._wg_set_peer(part, wireguard_device.peer_arguments(peer, preshared_key))
        entries.append(part["attrs"][0][1][0])
    message["attrs"].append(["WGDEVICE_A_PEERS", entries])
    message.encode()
    answer = wgmsg(bytes(message.data))
    answer.decode()
    return answer


@given(st.lists(PEERS, max_size=4, unique_by=lambda peer: peer.public_key), KEYS, st.none() | st.just(SECRET))
def test_what_is_set_is_read_back(peers: list[WireguardPeer], public_key: bytes, secret: bytes | None) -> None:
    state = wireguard_device.read_messages([through_pyroute2(peers, secret, public_key)], "flannel-wg", secret)
    assert state.public_key == public_key
    assert state.port == 51820
    assert {peer.public_key: peer for peer in state.peers} == {peer.public_key: peer for peer in peers}
    assert state.wrong_psk == frozenset()


PEER = WireguardPeer("flannel-wg", b"k" * 32, b"\xc6\x12\0\2", 51820, (Prefix(b"\x0a\5\2\0", 24),), 25)


@pytest.mark.parametrize(("have", "want"), [(SECRET, None), (None, SECRET), (SECRET, b"q" * 32)])
def test_another_preshared_key_is_noticed(have: bytes | None, want: bytes | None) -> None:
    state = wireguard_device.read_messages([through_pyroute2([PEER], have, b"x" * 32)], "flannel-wg", want)
    assert state.wrong_psk == frozenset([PEER.public_key])


def test_a_peer_that_goes_on_in_the_next_message() -> None:
    other = PEER._replace(allowed_ips=(Prefix(bytes(16), 64),))
    messages = [through_pyroute2([PEER], None, b"x" * 32), through_pyroute2([other], None, b"x" * 32)]
    (peer,) = wireguard_device.read_messages(messages, "flannel-wg", None).peers
    assert peer == PEER._replace(allowed_ips=(Prefix(b"\x0a\5\2\0", 24), Prefix(bytes(16), 64)))


class FakeWireGuard:
    """pyroute2's WireGuard that only notes what it is told."""

    told: list[tuple[str, dict[str, Any]]]

    def __init__(self) -> None:
        FakeWireGuard.told = []

    def set(self, interface: str, **arguments: Any) -> None:
        self.told.append((interface, arguments))

    def close(self) -> None:
        self.told.append(("closed", {}))


class FakePyroute2:
    """As much of the package as is used."""

    WireGuard = FakeWireGuard


def test_apply() -> None:
    stale = PEER._replace(public_key=b"s" * 32)
    plan = Plan(
        set_wireguard=[Link("flannel-wg", "wireguard", 1420, port=51820)], remove_peers=[stale], set_peers=[PEER]
    )
    wireguard_device.apply(FakePyroute2, plan, SECRET, b"\1" * 32)
    device, removed, added, closed = FakeWireGuard.told
    assert device == ("flannel-wg", {"listen_port": 51820, "private_key": base64.b64encode(b"\1" * 32).decode()})
    assert removed[1]["peer"] == {"public_key": base64.b64encode(b"s" * 32).decode(), "remove": True}
    assert added[1]["peer"] == {
        "public_key": base64.b64encode(b"k" * 32).decode(),
        "endpoint_addr": "198.18.0.2",
        "endpoint_port": 51820,
        "persistent_keepalive": 25,
        "preshared_key": base64.b64encode(SECRET).decode(),
        "replace_allowed_ips": True,
        "allowed_ips": ["10.5.2.0/24"],
    }
    assert closed[0] == "closed"


def test_nothing_to_apply_opens_nothing() -> None:
    FakeWireGuard.told = []
    wireguard_device.apply(None, Plan(), None, b"")
    assert FakeWireGuard.told == []
