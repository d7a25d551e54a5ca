# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wireguard devices through pyroute2: what they hold, and the part of a plan that concerns them.

Private to podnet.cni: may change in any release.

Peers are set one by one, because pyroute2 takes one per call; a key never leaves this process but for the kernel.
"""

from __future__ import annotations

import base64
import os
import socket
import time
from typing import Any, Callable, Iterable

from ansible_collections.podnet.cni.plugins.module_utils._dataplane.model import (
    Link,
    Prefix,
    WireguardPeer,
    peer_text,
    to_text,
)
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.observed import WireguardState
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.plan import Plan
from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError

# A session is rejected when it is older (drivers/net/wireguard/messages.h REJECT_AFTER_TIME).
SESSION_SECONDS = 180


def read(pyroute2: Any, host: str, name: str, preshared_key: bytes | None) -> WireguardState:
    """What device C(name) holds; a peer whose preshared key is not C(preshared_key) (None: no key) is marked wrong.

    Raises PodnetError with the kernel's reason.
    """
    try:
        device = pyroute2.WireGuard()
        try:
            return read_messages(device.info(name), name, preshared_key, time.time())
        finally:
            device.close()
    except pyroute2.NetlinkError as error:
        raise PodnetError(f"host {host}: cannot read wireguard link {name}: {os.strerror(error.code)}") from error


def read_messages(messages: Iterable[Any], name: str, preshared_key: bytes | None, now: float) -> WireguardState:
    """The state in the kernel's answer, which comes in several messages when there are many peers.

    C(now) is in seconds since the epoch.
    """
    public_key, port = b"", 0
    peers: dict[bytes, WireguardPeer] = {}
    wrong, in_session = set(), set()
    for message in messages:
        public_key = _key(message.get_attr("WGDEVICE_A_PUBLIC_KEY")) or public_key
        port = message.get_attr("WGDEVICE_A_LISTEN_PORT") or port
        for entry in message.get_attr("WGDEVICE_A_PEERS") or ():
            peer = _read_peer(entry, name)
            before = peers.get(peer.public_key)
            if before is not None:
                # A peer whose allowed IPs do not fit into one message continues in the next.
                peer = before._replace(allowed_ips=before.allowed_ips + peer.allowed_ips)
            peers[peer.public_key] = peer
            have = _key(entry.get_attr("WGPEER_A_PRESHARED_KEY"))
            if have and have != (preshared_key or bytes(32)):
                wrong.add(peer.public_key)
            handshake = entry.get_attr("WGPEER_A_LAST_HANDSHAKE_TIME")
            if handshake and now - handshake["tv_sec"] < SESSION_SECONDS:
                in_session.add(peer.public_key)
    ordered = tuple(peer._replace(allowed_ips=tuple(sorted(peer.allowed_ips, key=_order))) for peer in peers.values())
    return WireguardState(public_key, port, ordered, frozenset(wrong), frozenset(in_session))


def _order(prefix: Prefix) -> tuple[int, Prefix]:
    return len(prefix.address), prefix


def _read_peer(entry: Any, name: str) -> WireguardPeer:
    endpoint = entry.get_attr("WGPEER_A_ENDPOINT") or {}
    allowed = []
    for item in entry.get_attr("WGPEER_A_ALLOWEDIPS") or ():
        address, _slash, length = item["addr"].partition("/")
        allowed.append(Prefix(_packed(address), int(length)))
    return WireguardPeer(
        name,
        _key(entry.get_attr("WGPEER_A_PUBLIC_KEY")),
        _packed(endpoint["addr"]) if endpoint.get("addr") else b"",
        endpoint.get("port") or 0,
        tuple(allowed),
        entry.get_attr("WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL") or 0,
    )


def _key(value: Any) -> bytes:
    if not value:
        return b""
    if isinstance(value, dict):
        value = value.get("value") or b""
    return base64.b64decode(value)


def _packed(text: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


def peer_arguments(peer: WireguardPeer, preshared_key: bytes | None) -> dict[str, Any]:
    """The peer as pyroute2's WireGuard.set takes it; its allowed IPs are replaced by exactly these."""
    return {
        "public_key": base64.b64encode(peer.public_key).decode(),
        "endpoint_addr": to_text(peer.endpoint),
        "endpoint_port": peer.port,
        "persistent_keepalive": peer.keepalive,
        # All zero removes a key that was set before (include/uapi/linux/wireguard.h).
        "preshared_key": base64.b64encode(preshared_key or bytes(32)).decode(),
        "replace_allowed_ips": True,
        "allowed_ips": [f"{to_text(prefix.address)}/{prefix.length}" for prefix in peer.allowed_ips],
    }


def apply(pyroute2: Any, host: str, plan: Plan, preshared_key: bytes | None, private_key: bytes) -> list[str]:
    """Carry out the plan's wireguard operations: devices, then peers that go, then peers that come or change.

    Return the peers that the kernel refused, each with its reason: one must not keep the others out. Raises
    PodnetError for a device, without which nothing else works.
    """
    refused: list[str] = []

    def attempt(verb: str, peer: WireguardPeer, arguments: dict[str, Any]) -> None:
        reason = _reason(pyroute2, lambda: device.set(peer.link, peer=arguments))
        if reason:
            refused.append(f"{verb} wireguard peer {peer_text(peer)}: {reason}")

    try:
        device = pyroute2.WireGuard()
    except pyroute2.NetlinkError as error:
        raise PodnetError(f"host {host}: cannot reach wireguard in the kernel: {os.strerror(error.code)}") from error
    try:
        for link in plan.set_wireguard:
            _configure(pyroute2, host, device, link, private_key)
        for peer in plan.remove_peers:
            attempt("remove", peer, {"public_key": base64.b64encode(peer.public_key).decode(), "remove": True})
        for peer in plan.set_peers:
            attempt("set", peer, peer_arguments(peer, preshared_key))
    finally:
        device.close()
    return refused


def _configure(pyroute2: Any, host: str, device: Any, link: Link, private_key: bytes) -> None:
    key = base64.b64encode(private_key).decode()
    reason = _reason(pyroute2, lambda: device.set(link.name, listen_port=link.port, private_key=key))
    if reason:
        raise PodnetError(
            f"host {host}: cannot give wireguard link {link.name} its key and listen port {link.port}: {reason}"
        )


def _reason(pyroute2: Any, operation: Callable[[], Any]) -> str:
    """Why the kernel refused the operation, "" when it did not."""
    try:
        operation()
    except pyroute2.NetlinkError as error:
        return os.strerror(error.code)
    return ""
