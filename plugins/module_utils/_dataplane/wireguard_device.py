# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wireguard devices through pyroute2: what they hold, and the part of a plan that concerns them.

Private to podnet.cni: may change in any release.

Peers are set one by one, because pyroute2 takes one per call; a key never leaves this process but for the kernel.
"""

from __future__ import annotations

import base64
import socket
from typing import Any, Iterable

from ansible_collections.podnet.cni.plugins.module_utils._dataplane.model import (
    Link,
    Prefix,
    WireguardPeer,
    to_text,
)
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.observed import WireguardState
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.plan import Plan


def read(pyroute2: Any, name: str, preshared_key: bytes | None) -> WireguardState:
    """What device `name` holds; a peer whose preshared key is not `preshared_key` (None: no key) is marked wrong."""
    device = pyroute2.WireGuard()
    try:
        return read_messages(device.info(name), name, preshared_key)
    finally:
        device.close()


def read_messages(messages: Iterable[Any], name: str, preshared_key: bytes | None) -> WireguardState:
    """The state in the kernel's answer, which comes in several messages when there are many peers."""
    public_key, port = b"", 0
    peers: dict[bytes, WireguardPeer] = {}
    wrong = set()
    for message in messages:
        public_key = _key(message.get_attr("WGDEVICE_A_PUBLIC_KEY")) or public_key
        port = message.get_attr("WGDEVICE_A_LISTEN_PORT") or port
        for entry in message.get_attr("WGDEVICE_A_PEERS") or ():
            peer = _read_peer(entry, name)
            before = peers.get(peer.public_key)
            if before is not None:
                # A peer whose allowed IPs do not fit into one message goes on in the next.
                peer = before._replace(allowed_ips=before.allowed_ips + peer.allowed_ips)
            peers[peer.public_key] = peer
            have = _key(entry.get_attr("WGPEER_A_PRESHARED_KEY"))
            if have and have != (preshared_key or bytes(32)):
                wrong.add(peer.public_key)
    ordered = tuple(peer._replace(allowed_ips=tuple(sorted(peer.allowed_ips, key=_order))) for peer in peers.values())
    return WireguardState(public_key, port, ordered, frozenset(wrong))


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


def apply(pyroute2: Any, plan: Plan, preshared_key: bytes | None, private_key: bytes) -> None:
    """Carry out the plan's wireguard operations: devices, then peers that go, then peers that come or change."""
    if not (plan.set_wireguard or plan.remove_peers or plan.set_peers):
        return
    device = pyroute2.WireGuard()
    try:
        for link in plan.set_wireguard:
            _configure(device, link, private_key)
        for peer in plan.remove_peers:
            device.set(peer.link, peer={"public_key": base64.b64encode(peer.public_key).decode(), "remove": True})
        for peer in plan.set_peers:
            device.set(peer.link, peer=peer_arguments(peer, preshared_key))
    finally:
        device.close()


def _configure(device: Any, link: Link, private_key: bytes) -> None:
    device.set(link.name, listen_port=link.port, private_key=base64.b64encode(private_key).decode())
