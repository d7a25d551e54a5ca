# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is said to the kernel about wireguard devices, encoded by the real pyroute2, and what is read from it."""

from __future__ import annotations

import base64
import errno
from typing import Any, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroute2 import NetlinkError
from pyroute2.netlink.generic import wireguard
from pyroute2.netlink.generic.wireguard import wgmsg

from ansible_collections.podnet.cni.plugins.module_utils._dataplane import wireguard_device
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.model import Link, Prefix, WireguardPeer
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.plan import Plan
from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError

# pyroute2 before 0.9 packs messages in the one class that it has.
PACKER = getattr(wireguard, "AsyncWireGuard", wireguard.WireGuard)
SECRET = b"p" * 32
NOW = 1_700_000_000.0
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


def through_pyroute2(
    peers: list[WireguardPeer], preshared_key: bytes | None, public_key: bytes, handshake: int | None = None
) -> Any:
    """The message that sets these peers, packed by pyroute2 and read back, as the kernel would send it."""
    message = wgmsg()
    message["attrs"] = [["WGDEVICE_A_PUBLIC_KEY", base64.b64encode(public_key)], ["WGDEVICE_A_LISTEN_PORT", 51820]]
    entries = []
    for peer in peers:
        part: dict[str, Any] = {"attrs": []}
        setter = PACKER.__new__(PACKER)
        setter._wg_set_peer(part, wireguard_device.peer_arguments(peer, preshared_key))
        (entry,) = part["attrs"][0][1]
        if handshake is not None:
            entry["attrs"].append(["WGPEER_A_LAST_HANDSHAKE_TIME", {"tv_sec": handshake, "tv_nsec": 0}])
        entries.append(entry)
    message["attrs"].append(["WGDEVICE_A_PEERS", entries])
    message.encode()
    answer = wgmsg(bytes(message.data))
    answer.decode()
    return answer


@given(st.lists(PEERS, max_size=4, unique_by=lambda peer: peer.public_key), KEYS, st.none() | st.just(SECRET))
def test_what_is_set_is_read_back(peers: list[WireguardPeer], public_key: bytes, secret: bytes | None) -> None:
    state = wireguard_device.read_messages([through_pyroute2(peers, secret, public_key)], "flannel-wg", secret, NOW)
    assert state.public_key == public_key
    assert state.port == 51820
    assert {peer.public_key: peer for peer in state.peers} == {peer.public_key: peer for peer in peers}
    assert state.wrong_psk == frozenset()


PEER = WireguardPeer("flannel-wg", b"k" * 32, b"\xc6\x12\0\2", 51820, (Prefix(b"\x0a\5\2\0", 24),), 25)


@pytest.mark.parametrize(("have", "want"), [(SECRET, None), (None, SECRET), (SECRET, b"q" * 32)])
def test_another_preshared_key_is_noticed(have: bytes | None, want: bytes | None) -> None:
    state = wireguard_device.read_messages([through_pyroute2([PEER], have, b"x" * 32)], "flannel-wg", want, NOW)
    assert state.wrong_psk == frozenset([PEER.public_key])


def test_a_peer_that_goes_on_in_the_next_message() -> None:
    other = PEER._replace(allowed_ips=(Prefix(bytes(16), 64),))
    messages = [through_pyroute2([PEER], None, b"x" * 32), through_pyroute2([other], None, b"x" * 32)]
    (peer,) = wireguard_device.read_messages(messages, "flannel-wg", None, NOW).peers
    assert peer == PEER._replace(allowed_ips=(Prefix(b"\x0a\5\2\0", 24), Prefix(bytes(16), 64)))


@pytest.mark.parametrize(("ago", "in_session"), [(0, True), (179, True), (180, False), (NOW, False)])
def test_who_answered_lately_is_known(ago: float, in_session: bool) -> None:
    """A time of zero is that of a peer that has never answered."""
    message = through_pyroute2([PEER], None, b"x" * 32, int(NOW - ago))
    state = wireguard_device.read_messages([message], "flannel-wg", None, NOW)
    assert state.in_session == (frozenset([PEER.public_key]) if in_session else frozenset())


class FakeWireGuard:
    """pyroute2's WireGuard that only notes what it is told, and refuses what `refuse` says."""

    told: list[tuple[str, dict[str, Any]]]
    refuse: Callable[[dict[str, Any]], bool] = staticmethod(lambda _arguments: False)

    def __init__(self) -> None:
        FakeWireGuard.told = []

    def set(self, interface: str, **arguments: Any) -> None:
        self.told.append((interface, arguments))
        if self.refuse(arguments):
            raise NetlinkError(errno.EINVAL)

    def info(self, _interface: str) -> Any:
        raise NetlinkError(errno.EOPNOTSUPP)

    def close(self) -> None:
        self.told.append(("closed", {}))


class FakePyroute2:
    """As much of the package as is used."""

    WireGuard = FakeWireGuard
    NetlinkError = NetlinkError


BOTH = Plan(
    set_wireguard=[Link("flannel-wg", "wireguard", 1420, port=51820)],
    remove_peers=[PEER._replace(public_key=b"s" * 32)],
    set_peers=[PEER, PEER._replace(public_key=b"l" * 32)],
)


def test_one_refused_peer_does_not_keep_the_others_out(monkeypatch: pytest.MonkeyPatch) -> None:
    first = base64.b64encode(PEER.public_key).decode()
    monkeypatch.setattr(
        FakeWireGuard,
        "refuse",
        staticmethod(lambda arguments: (arguments.get("peer") or {}).get("public_key") == first),
    )
    refused = wireguard_device.apply(FakePyroute2, "n1", BOTH, SECRET, b"\1" * 32)
    assert refused == [
        f"set wireguard peer {first} dev flannel-wg endpoint 198.18.0.2:51820 allowed-ips 10.5.2.0/24: Invalid argument"
    ]
    assert [name for name, _arguments in FakeWireGuard.told] == [*["flannel-wg"] * 4, "closed"]


def test_a_refused_device_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeWireGuard, "refuse", staticmethod(lambda arguments: "private_key" in arguments))
    with pytest.raises(PodnetError, match=r"host n1: cannot give wireguard link flannel-wg its key .*Invalid argument"):
        wireguard_device.apply(FakePyroute2, "n1", BOTH, SECRET, b"\1" * 32)
    assert len(FakeWireGuard.told) == 2
    assert FakeWireGuard.told[-1][0] == "closed"


def test_a_link_that_cannot_be_read_is_named() -> None:
    with pytest.raises(PodnetError, match="host n1: cannot read wireguard link flannel-wg: Operation not supported"):
        wireguard_device.read(FakePyroute2, "n1", "flannel-wg", None)
    assert FakeWireGuard.told[-1][0] == "closed"


def test_a_kernel_that_does_not_speak_wireguard_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Any:
        raise NetlinkError(errno.ENOENT)

    monkeypatch.setattr(FakePyroute2, "WireGuard", missing)
    with pytest.raises(PodnetError, match="host n1: cannot reach wireguard in the kernel: No such file or directory"):
        wireguard_device.apply(FakePyroute2, "n1", BOTH, SECRET, b"\1" * 32)


def test_apply() -> None:
    stale = PEER._replace(public_key=b"s" * 32)
    plan = Plan(
        set_wireguard=[Link("flannel-wg", "wireguard", 1420, port=51820)], remove_peers=[stale], set_peers=[PEER]
    )
    assert wireguard_device.apply(FakePyroute2, "n1", plan, SECRET, b"\1" * 32) == []
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
