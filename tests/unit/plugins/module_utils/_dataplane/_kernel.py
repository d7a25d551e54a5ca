# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A kernel made of dictionaries, with the habits of the real one that a plan has to know."""

from __future__ import annotations

from dataclasses import dataclass, field

from ansible_collections.podnet.cni.plugins.module_utils._dataplane.model import Address, Link, Route
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.observed import (
    Observed,
    ObservedLink,
    ObservedNeighbour,
    ObservedRoute,
    WireguardState,
)
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.plan import Plan


def _key(route: Route) -> tuple[bytes, int, int, int]:
    return route.destination, route.prefixlen, route.metric, route.tos


@dataclass
class FakeKernel:
    """Links by name, addresses, routes by key, neighbours by link and address, FDB entries by link and MAC.

    `wanted` and `public_key` are what a changed link gets, `touched` every entry that was set or removed.
    """

    links: dict[str, ObservedLink] = field(default_factory=dict)
    addresses: set[Address] = field(default_factory=set)
    routes: dict[tuple[bytes, int, int, int], ObservedRoute] = field(default_factory=dict)
    neighbours: dict[tuple[str, bytes], ObservedNeighbour] = field(default_factory=dict)
    fdb: dict[tuple[str, bytes], ObservedNeighbour] = field(default_factory=dict)
    wireguard: dict[str, WireguardState] = field(default_factory=dict)
    touched: list[object] = field(default_factory=list)
    wanted: dict[str, Link] = field(default_factory=dict)
    public_key: bytes = b""

    def put_route(self, item: ObservedRoute) -> None:
        """Hold a route instead of the one with the same key."""
        self.routes[_key(item.route)] = item

    def observe(self) -> Observed:
        """What a plan is made from."""
        observed = Observed(dict(self.links), sorted(self.addresses), list(self.routes.values()))
        for (name, _address), entry in self.neighbours.items():
            observed.neighbours.setdefault(name, []).append(entry)
        for (name, _mac), entry in self.fdb.items():
            observed.fdb.setdefault(name, []).append(entry)
        observed.wireguard = dict(self.wireguard)
        return observed

    def apply(self, plan: Plan) -> None:
        """Carry out a plan in the order of the real kernel edge."""
        for link in plan.remove_links:
            self._forget(link.name)
        for link in plan.create_links:
            assert link.name not in self.links
            self.links[link.name] = ObservedLink(link, 100, True)
        for change in plan.change_links:
            self._change(change.link.name, change.what)
        self.addresses -= set(plan.remove_addresses)
        self.addresses |= set(plan.add_addresses)
        self._apply_wireguard(plan)
        for route in plan.remove_routes:
            self.touched.append(route)
            assert self.routes.pop(_key(route)).route == route
        for neighbour in plan.remove_neighbours:
            self.touched.append(neighbour)
            del self.neighbours[neighbour.link, neighbour.address]
        for entry in plan.remove_fdb:
            self.touched.append(entry)
            del self.fdb[entry.link, entry.mac]
        self._set(plan)

    def _forget(self, name: str) -> None:
        del self.links[name]
        self.addresses = {address for address in self.addresses if address.link != name}
        self.routes = {key: item for key, item in self.routes.items() if item.route.link != name}
        self.neighbours = {key: entry for key, entry in self.neighbours.items() if key[0] != name}
        self.fdb = {key: entry for key, entry in self.fdb.items() if key[0] != name}
        self.wireguard.pop(name, None)

    def _change(self, name: str, what: str) -> None:
        if what == "address":
            # The real one forgets them, too.
            self.neighbours = {key: entry for key, entry in self.neighbours.items() if key[0] != name}
        self.links[name] = self.links[name]._replace(link=self.wanted[name], up=True, accepts_ra=False)

    def _apply_wireguard(self, plan: Plan) -> None:
        for link in plan.set_wireguard:
            old = self.wireguard.get(link.name, WireguardState(b"", 0))
            self.wireguard[link.name] = old._replace(public_key=self.public_key, port=link.port)
        for name, state in self.wireguard.items():
            gone = {peer.public_key for peer in [*plan.remove_peers, *plan.set_peers] if peer.link == name}
            kept = [peer for peer in state.peers if peer.public_key not in gone]
            added = [peer for peer in plan.set_peers if peer.link == name]
            self.wireguard[name] = state._replace(peers=(*kept, *added), wrong_psk=state.wrong_psk - gone)

    def _set(self, plan: Plan) -> None:
        for entry in plan.set_fdb:
            self.touched.append(entry)
            assert entry.link in self.links
            self.fdb[entry.link, entry.mac] = ObservedNeighbour(entry.mac, entry.destination)
        for neighbour in plan.set_neighbours:
            self.touched.append(neighbour)
            assert neighbour.link in self.links
            self.neighbours[neighbour.link, neighbour.address] = ObservedNeighbour(neighbour.mac, neighbour.address)
        for route in plan.set_routes:
            self.touched.append(route)
            assert route.link in self.links or route.link == "eth0"
            if route.gateway == route.destination:
                # The kernel would ask the network for the gateway's MAC.
                assert (route.link, route.gateway) in self.neighbours
            if route.onlink and len(route.destination) == 16:
                old = self.routes.get(_key(route))
                assert old is None or old.route.link == route.link, "the real kernel refuses this"
            self.put_route(ObservedRoute(route))
