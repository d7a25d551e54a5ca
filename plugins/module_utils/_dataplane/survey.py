# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node's kernel holds of flannel's data plane, for people and playbooks to read.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import base64
import os
from typing import Any, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._dataplane import keys
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.kernel import Kernel
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.model import (
    DataPlane,
    Link,
    Prefix,
    WireguardPeer,
    mac_text,
    to_text,
)
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.observed import (
    NUD_PERMANENT,
    Observed,
    ObservedLink,
    ObservedRoute,
)
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.peers import networks_of
from ansible_collections.podnet.cni.plugins.module_utils._flannel import network_config as config_codec
from ansible_collections.podnet.cni.plugins.module_utils._flannel import subnet_env
from ansible_collections.podnet.cni.plugins.module_utils._host import atomic_file

EVERYWHERE = (Prefix(bytes(4), 0), Prefix(bytes(16), 0))


def survey(host: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """The result of flannel_dataplane_info. Without a network config only routes over flannel's links are listed."""
    network_config, key_file = params["network_config"], params["wireguard_key_file"]
    networks: tuple[Prefix, ...] = EVERYWHERE
    if network_config:
        networks = tuple(networks_of(config_codec.parse(network_config)).values())
    with Kernel(host) as kernel:
        links = kernel.overlay_links()
        observed = kernel.observe(DataPlane("", 0, networks, links=tuple(links)))
    key = keys.read(key_file, host) if os.path.exists(key_file) else b""
    text = atomic_file.observe(params["subnet_file"]).text
    return {
        **describe(observed, bool(network_config)),
        "public_key": keys.public_text(key) if key else None,
        "subnet_file": None if text is None else subnet_env.parse(text),
    }


def describe(observed: Observed, every_link: bool) -> dict[str, Any]:
    """The observed objects as plain dictionaries; C(every_link) keeps routes over links that are not flannel's."""
    return {
        "links": [_link(observed.links[name], observed) for name in sorted(observed.links)],
        "routes": [
            _route(item)
            for item in sorted(observed.routes, key=lambda item: (len(item.route.destination), item.route))
            if every_link or item.route.link in observed.links
        ],
        "neighbours": [
            {"dev": name, "dst": to_text(seen.address), "lladdr": mac_text(seen.mac)}
            for name, entries in sorted(observed.neighbours.items())
            for seen in sorted(entries)
            if seen.state & NUD_PERMANENT
        ],
        "fdb": [
            {"dev": name, "mac": mac_text(seen.mac), "dst": to_text(seen.address)}
            for name, entries in sorted(observed.fdb.items())
            for seen in sorted(entries)
            if seen.address and seen.state & NUD_PERMANENT
        ],
        "wireguard_peers": [_peer(peer) for _name, state in sorted(observed.wireguard.items()) for peer in state.peers],
    }


def _link(seen: ObservedLink, observed: Observed) -> dict[str, Any]:
    link: Link = seen.link
    found: dict[str, Any] = {
        "name": link.name,
        "kind": link.kind,
        "mtu": link.mtu,
        "up": seen.up,
        "mac": mac_text(link.mac) if link.mac else None,
        "addresses": [
            f"{to_text(entry.address)}/{entry.prefixlen}" for entry in observed.addresses if entry.link == link.name
        ],
    }
    if link.kind == "vxlan":
        found.update(vni=link.vni, port=link.port, underlay=link.underlay or None, learning=link.learning, gbp=link.gbp)
    if link.kind in ("vxlan", "ipip"):
        found["local"] = to_text(link.local) if link.local else None
    state = observed.wireguard.get(link.name)
    if state is not None:
        found.update(port=state.port, public_key=base64.b64encode(state.public_key).decode())
    return found


def _route(item: ObservedRoute) -> dict[str, Any]:
    route = item.route
    return {
        "dst": f"{to_text(route.destination)}/{route.prefixlen}",
        "gateway": to_text(route.gateway) if route.gateway else None,
        "dev": route.link,
        "onlink": route.onlink,
    }


def _peer(peer: WireguardPeer) -> dict[str, Any]:
    return {
        "dev": peer.link,
        "public_key": base64.b64encode(peer.public_key).decode(),
        "endpoint": to_text(peer.endpoint) if peer.endpoint else None,
        "port": peer.port,
        "allowed_ips": [f"{to_text(prefix.address)}/{prefix.length}" for prefix in peer.allowed_ips],
        "keepalive": peer.keepalive,
    }
