# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The difference between what a kernel should hold and what it holds, as ordered operations.

Private to podnet.cni: may change in any release.

Links come first, then stale entries go (route, neighbour, FDB entry), then drifted ones are replaced and missing
ones added (FDB entry, neighbour, route: a route must never lead to a neighbour that the kernel would have to
resolve). An entry that is as it should be is in no operation, so traffic to that peer is not touched.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, NamedTuple, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._dataplane.model import (
    IPV6_DEFAULT_METRIC,
    PROTOCOL_BOOT,
    PROTOCOL_KERNEL,
    Address,
    DataPlane,
    FdbEntry,
    Link,
    Neighbour,
    Prefix,
    Route,
    WireguardPeer,
    address_text,
    contains,
    family_of,
    fdb_text,
    link_text,
    mac_text,
    neighbour_text,
    peer_text,
    route_text,
    to_text,
)
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.observed import (
    NUD_PERMANENT,
    Observed,
    ObservedLink,
    ObservedRoute,
    WireguardState,
)
from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError

PROTOCOL_RA = 9
LISTED_PER_KIND = 200
# Kinds of links that flanneld makes under its own names; a link of another kind belongs to something else.
OWN_KINDS = ("vxlan", "ipip", "wireguard", "tun")


class LinkChange(NamedTuple):
    """A property of an existing link that is set in place: C(what) is mtu, learning, address, up or accept_ra."""

    link: Link
    what: str
    before: str
    after: str


class Operation(NamedTuple):
    """One step of a plan as data: C(action) is add, change, configure, remove or set, C(kind) the kind of object.

    C(attribute) is LinkChange.what of a change of a link, otherwise empty. C(family) is 4 or 6, None where it concerns
    both or neither. C(device) is the link it is on, C(addresses) what it concerns of the network and then of the
    underlay (a route: destination with prefix length, gateway), C(mac) the MAC address that an entry carries. C(text)
    says it in words.
    """

    action: str
    kind: str
    attribute: str
    family: int | None
    device: str
    addresses: list[str]
    mac: str
    text: str


# Members of a plan that are not operations.
_NOTES = ("replaced", "foreign_routes", "why")


@dataclass
class Plan:
    """Operations; an empty plan is false.

    C(move_addresses) are to come behind the wanted ones of their link. C(foreign_routes) lead into the network and
    stay: flanneld would never make them.
    """

    remove_links: list[Link] = field(default_factory=list)
    create_links: list[Link] = field(default_factory=list)
    change_links: list[LinkChange] = field(default_factory=list)
    remove_addresses: list[Address] = field(default_factory=list)
    add_addresses: list[Address] = field(default_factory=list)
    move_addresses: list[Address] = field(default_factory=list)
    set_wireguard: list[Link] = field(default_factory=list)
    remove_peers: list[WireguardPeer] = field(default_factory=list)
    set_peers: list[WireguardPeer] = field(default_factory=list)
    remove_routes: list[Route] = field(default_factory=list)
    remove_neighbours: list[Neighbour] = field(default_factory=list)
    remove_fdb: list[FdbEntry] = field(default_factory=list)
    set_fdb: list[FdbEntry] = field(default_factory=list)
    set_neighbours: list[Neighbour] = field(default_factory=list)
    set_routes: list[Route] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    foreign_routes: list[Route] = field(default_factory=list)
    why: dict[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in self.__dataclass_fields__ if name not in _NOTES)

    def touches_links(self) -> bool:
        """Whether links, their addresses or wireguard change, and not entries for peers alone."""
        names = ("remove_links", "create_links", "change_links", "remove_addresses", "add_addresses", "move_addresses")
        wireguard = ("set_wireguard", "remove_peers", "set_peers")
        return any(getattr(self, name) for name in names + wireguard)

    def entries(self) -> int:
        """How many operations concern a single peer, which the kernel may refuse without harm to the others."""
        return sum(
            len(found)
            for found in (
                self.remove_peers,
                self.set_peers,
                self.remove_routes,
                self.remove_neighbours,
                self.remove_fdb,
                self.set_fdb,
                self.set_neighbours,
                self.set_routes,
            )
        )

    def actions(self) -> list[str]:
        """What the plan does, a line per operation; long lists of one kind become their count."""
        lines: list[str] = []
        for verb, noun, plural, entries, text in self._steps():
            if len(entries) > LISTED_PER_KIND:
                lines.append(f"{verb} {len(entries)} {plural}")
            else:
                lines += [f"{verb} {noun} {text(entry)}" for entry in entries]
        return lines

    def operations(self) -> list[Operation]:
        """What the plan does as data, at most LISTED_PER_KIND of a kind."""
        return [
            Operation(
                verb,
                noun,
                entry.what if isinstance(entry, LinkChange) else "",
                *_subject(entry),
                text=f"{verb} {noun} {text(entry)}",
            )
            for verb, noun, _plural, entries, text in self._steps()
            for entry in entries[:LISTED_PER_KIND]
        ]

    def before(self) -> list[str]:
        """What the kernel holds of the things that change, as iproute2 writes them."""
        lines = [
            f"{noun} {text(entry)}"
            for verb, noun, _plural, entries, text in self._steps()
            if verb == "remove"
            for entry in entries
        ]
        lines += [f"link {change.link.name} {change.what} {change.before}" for change in self.change_links]
        lines += [f"address {address_text(address)} first" for address in self.move_addresses]
        return lines + self.replaced

    def after(self) -> list[str]:
        """What the kernel shall hold of the things that change, as iproute2 writes them."""
        lines = [
            f"{noun} {text(entry)}"
            for verb, noun, _plural, entries, text in self._steps()
            if verb in ("add", "set")
            for entry in entries
        ]
        lines += [f"address {address_text(address)} second" for address in self.move_addresses]
        return lines + [f"link {change.link.name} {change.what} {change.after}" for change in self.change_links]

    def _steps(self) -> Sequence[tuple[str, str, str, Sequence[object], Callable[..., str]]]:
        return (
            ("remove", "link", "links", self.remove_links, self._removed_link_text),
            ("add", "link", "links", self.create_links, link_text),
            ("change", "link", "links", self.change_links, _change_text),
            ("add", "address", "addresses", self.add_addresses, address_text),
            ("remove", "address", "addresses", self.remove_addresses, address_text),
            ("change", "address", "addresses", self.move_addresses, _moved_text),
            (
                "configure",
                "wireguard device",
                "wireguard devices",
                self.set_wireguard,
                lambda link: f"{link.name} listen-port {link.port}",
            ),
            ("remove", "wireguard peer", "wireguard peers", self.remove_peers, peer_text),
            ("set", "wireguard peer", "wireguard peers", self.set_peers, peer_text),
            ("remove", "route", "routes", self.remove_routes, route_text),
            ("remove", "neighbour", "neighbours", self.remove_neighbours, neighbour_text),
            ("remove", "FDB entry", "FDB entries", self.remove_fdb, fdb_text),
            ("set", "FDB entry", "FDB entries", self.set_fdb, fdb_text),
            ("set", "neighbour", "neighbours", self.set_neighbours, neighbour_text),
            ("set", "route", "routes", self.set_routes, route_text),
        )

    def _removed_link_text(self, link: Link) -> str:
        return f"{link.name} ({self.why[link.name]})"


def _subject(entry: Any) -> tuple[int | None, str, list[str], str]:
    """Family, device, addresses and MAC of what an operation is about."""
    if isinstance(entry, (Link, LinkChange)):
        link = entry.link if isinstance(entry, LinkChange) else entry
        return _link_family(link), link.name, [to_text(link.local)] if link.local else [], ""
    mac = ""
    if isinstance(entry, WireguardPeer):
        inside, outside = list(entry.allowed_ips), entry.endpoint
    elif isinstance(entry, FdbEntry):
        inside, outside, mac = [], entry.destination, mac_text(entry.mac)
    elif isinstance(entry, Route):
        inside, outside = [Prefix(entry.destination, entry.prefixlen)], entry.gateway
    elif isinstance(entry, Neighbour):
        inside, outside, mac = [Prefix(entry.address, 8 * len(entry.address))], b"", mac_text(entry.mac)
    else:
        inside, outside = [Prefix(entry.address, entry.prefixlen)], b""
    families = {len(prefix.address) for prefix in inside} or {len(outside)}
    addresses = [f"{to_text(prefix.address)}/{prefix.length}" for prefix in inside]
    family = (6 if 16 in families else 4) if len(families) == 1 else None
    return family, entry.link, [*addresses, to_text(outside)] if outside else addresses, mac


def _link_family(link: Link) -> int | None:
    """The address family whose packets the link carries, told by its name; flannel-wg may carry both."""
    if "-v6" in link.name:
        return 6
    return None if link.kind == "wireguard" else 4


def _change_text(change: LinkChange) -> str:
    return f"{change.link.name} {change.what} {change.before} -> {change.after}"


def _moved_text(address: Address) -> str:
    return f"{address_text(address)}: behind the lease's"


def make(wanted: DataPlane, observed: Observed) -> Plan:
    """The operations that turn what is C(observed) into what is C(wanted).

    Nothing outside the wanted networks is touched but what an earlier run made, nor a link of a kind that flanneld does
    not make. Raises ConflictError where a link of something else is in the way.
    """
    plan = Plan()
    kept = _plan_links(plan, wanted, observed)
    _plan_addresses(plan, wanted, observed, kept)
    _plan_wireguard(plan, wanted, observed, kept)
    gone = {link.name for link in plan.remove_links}
    own = {link.name for link in wanted.links} | set(wanted.link_names)
    _plan_routes(plan, wanted, [seen for seen in observed.routes if seen.route.link not in gone], own)
    _plan_neighbours(plan, wanted, observed, kept)
    _plan_fdb(plan, wanted, observed, kept)
    return plan


def _plan_links(plan: Plan, wanted: DataPlane, observed: Observed) -> set[str]:
    """Plan the links; return the names of those that stay."""
    kept = set()
    for link in wanted.links:
        seen = observed.links.get(link.name)
        reason = "" if seen is None else incompatible(link, seen)
        if seen is not None and not reason:
            kept.add(link.name)
            _plan_changes(plan, link, seen)
            continue
        if seen is not None:
            _check_removable(link, seen)
            plan.remove_links.append(seen.link)
            plan.why[link.name] = reason
        plan.create_links.append(link)
    names = {link.name for link in wanted.links}
    unwanted = {name: seen.link for name, seen in observed.links.items() if name not in names}
    own = {name for name, link in unwanted.items() if link.kind in OWN_KINDS and _is_leftover(name, wanted, observed)}
    # The IPv6 device of a pair goes along, even when its network is no longer known.
    twins = {name for name in unwanted if name.replace("-v6", "") in own and unwanted[name].kind in OWN_KINDS}
    for name in sorted(own | twins):
        plan.remove_links.append(unwanted[name])
        plan.why[name] = "left over from another backend or family" if wanted.links else "not wanted any more"
    return kept


def incompatible(link: Link, seen: ObservedLink) -> str:
    """Why the existing link cannot stay, or "".

    The rule is upstream's (flannel v0.28.9 pkg/backend/vxlan/device.go vxlanLinksIncompat, pkg/backend/ipip/ipip.go);
    MAC, MTU and learning are not among the reasons: they are corrected in place. A wireguard device always stays.
    """
    have = seen.link
    checks: tuple[tuple[str, object, object, bool], ...] = (("kind", have.kind, link.kind, True),)
    if have.kind == link.kind == "vxlan":
        checks = (
            ("VNI", have.vni, link.vni, True),
            ("underlay", have.underlay, link.underlay, bool(have.underlay)),
            ("local address", have.local, link.local, bool(have.local)),
            ("port", have.port, link.port, bool(have.port and link.port)),
            ("GBP", have.gbp, link.gbp, True),
        )
    elif have.kind == link.kind == "ipip":
        checks = (("local address", have.local, link.local, True),)
    for what, old, new, compared in checks:
        if compared and old != new:
            return f"{what} is {_value_text(old)}, not {_value_text(new)}"
    return seen.strange


def _value_text(value: object) -> str:
    if isinstance(value, bytes):
        return to_text(value) if value else "unset"
    return str(value)


def _check_removable(link: Link, seen: ObservedLink) -> None:
    if seen.link.kind not in OWN_KINDS or (link.kind == "ipip" and seen.link.kind != "ipip"):
        raise ConflictError(
            f"link {link.name!r} exists and is of kind {seen.link.kind or 'unknown'!r}, not {link.kind!r}; "
            "it is not flannel's: remove or rename it"
        )


def _plan_changes(plan: Plan, link: Link, seen: ObservedLink) -> None:
    have = seen.link
    if link.mac and have.mac != link.mac:
        plan.change_links.append(LinkChange(link, "address", mac_text(have.mac), mac_text(link.mac)))
    if have.mtu != link.mtu:
        plan.change_links.append(LinkChange(link, "mtu", str(have.mtu), str(link.mtu)))
    if link.kind == "vxlan" and have.learning != link.learning:
        words = ("nolearning", "learning")
        plan.change_links.append(LinkChange(link, "learning", words[have.learning], words[link.learning]))
    if link.kind == "vxlan" and seen.accepts_ra:
        plan.change_links.append(LinkChange(link, "accept_ra", "1", "0"))
    if not seen.up:
        plan.change_links.append(LinkChange(link, "up", "down", "up"))


def _is_leftover(name: str, wanted: DataPlane, observed: Observed) -> bool:
    """Whether a link that is not wanted served this network: by its name, its address or its routes."""
    if name in wanted.link_names or name in wanted.former.links:
        return True
    held = [address.address for address in observed.addresses if address.link == name]
    held += [seen.route.destination for seen in observed.routes if seen.route.link == name]
    return any(contains(network, address) for network in wanted.networks for address in held)


def _plan_addresses(plan: Plan, wanted: DataPlane, observed: Observed, kept: set[str]) -> None:
    have = {address for address in observed.addresses if address.link in kept}
    for address in wanted.addresses:
        if address not in have:
            plan.add_addresses.append(address)
    want = set(wanted.addresses)
    families = {(address.link, family_of(address.address)) for address in wanted.addresses}
    for address in sorted(have - want):
        # On an IPv6 device upstream leaves no other global address; on an IPv4 one only those of the network go.
        foreign = not any(contains(network, address.address) for network in wanted.networks)
        ipv6 = len(address.address) == 16 and (address.link, family_of(address.address)) in families
        if not foreign or ipv6 or address in wanted.former.addresses:
            plan.remove_addresses.append(address)
    _plan_order(plan, wanted, [address for address in observed.addresses if address in have])


def _plan_order(plan: Plan, wanted: DataPlane, have: Sequence[Address]) -> None:
    """Packets to pods carry the link's first IPv4 address, and peers answer to it: it has to be the lease's.

    The kernel lists addresses in the order in which they were added.
    """
    for own in wanted.addresses:
        if len(own.address) != 4:
            continue
        others = [one for one in have if one.link == own.link and len(one.address) == 4]
        before = others[: others.index(own)] if own in others else others
        plan.move_addresses += [one for one in before if one not in plan.remove_addresses]


def _plan_wireguard(plan: Plan, wanted: DataPlane, observed: Observed, kept: set[str]) -> None:
    for link in wanted.links:
        if link.kind != "wireguard":
            continue
        state = observed.wireguard.get(link.name) if link.name in kept else None
        if state is None or state.port != link.port or state.public_key != wanted.wireguard_public_key:
            plan.set_wireguard.append(link)
        state = state or WireguardState(b"", 0)
        have = {peer.public_key: peer for peer in state.peers}
        want = {peer.public_key: peer for peer in wanted.wireguard_peers if peer.link == link.name}
        for key in state.in_session & want.keys() & have.keys():
            # The kernel follows a peer that answers from elsewhere (behind NAT, on its other address). Setting the
            # published endpoint would cut a session that works.
            have[key] = have[key]._replace(endpoint=want[key].endpoint, port=want[key].port)
        plan.remove_peers += [peer for key, peer in sorted(have.items()) if key not in want]
        plan.set_peers += [peer for key, peer in want.items() if have.get(key) != peer or key in state.wrong_psk]


def _plan_routes(plan: Plan, wanted: DataPlane, seen: Sequence[ObservedRoute], own: set[str]) -> None:
    want = set(wanted.routes)
    have = {item.route for item in seen if item.exact}
    plan.set_routes = [route for route in wanted.routes if route not in have]
    # Setting a route replaces the one with the same key, so such a one is not removed first: that would cut traffic.
    replaceable = {_route_key(route): route for route in plan.set_routes}
    for item in seen:
        route = item.route
        if item.exact and route in want:
            continue
        new = replaceable.pop(_route_key(route), None)
        if new is not None and not _stands_in_the_way(route, new):
            plan.replaced.append(f"route {route_text(route)}")
        elif new is not None or _is_ours(item, wanted, own):
            plan.remove_routes.append(route)
        elif _is_noteworthy(item, wanted):
            plan.foreign_routes.append(route)


def _stands_in_the_way(old: Route, new: Route) -> bool:
    """Whether the kernel refuses C(new) while C(old) is there.

    An IPv6 gateway that is said to be on-link must not be reachable over another device (net/ipv6/route.c
    ip6_route_check_nh_onlink), and the old route reaches it.
    """
    return new.onlink and len(new.destination) == 16 and old.link != new.link


def _route_key(route: Route) -> tuple[bytes, int, int, int]:
    return route.destination, route.prefixlen, route.metric, route.tos


def _is_ours(item: ObservedRoute, wanted: DataPlane, own: set[str]) -> bool:
    """Whether a route inside the network was made for a peer, now or under another backend."""
    route = item.route
    if item.protocol in (PROTOCOL_KERNEL, PROTOCOL_RA):
        return False
    if item.exact and (route.destination, route.prefixlen, route.gateway, route.link) in wanted.former.routes:
        return True
    inside = [network for network in wanted.networks if contains(network, route.destination)]
    if not inside or route.prefixlen < inside[0].length:
        return False
    return route.link in own or (route.prefixlen > inside[0].length and _is_direct(item, wanted))


def _is_noteworthy(item: ObservedRoute, wanted: DataPlane) -> bool:
    """Whether a route that stays takes traffic out of the overlay: through a gateway, for other nodes' pods."""
    route = item.route
    return (
        item.protocol not in (PROTOCOL_KERNEL, PROTOCOL_RA)
        and bool(route.gateway and wanted.own_subnets)
        and any(contains(network, route.destination) for network in wanted.networks)
        and not any(contains(subnet, route.destination) for subnet in wanted.own_subnets)
    )


def _is_direct(item: ObservedRoute, wanted: DataPlane) -> bool:
    """Whether a route inside the network is like those of backend host-gw and the option DirectRouting.

    They lead to the subnet of one node, over the underlay through a peer's public IP, which is never inside the
    network, have no metric, and never lead to a part of this node's own subnet: others are an administrator's.
    """
    route = item.route
    return (
        item.exact
        and (not wanted.subnet_lengths or (len(route.destination), route.prefixlen) in wanted.subnet_lengths)
        and route.metric == (IPV6_DEFAULT_METRIC if len(route.destination) == 16 else 0)
        and item.protocol == PROTOCOL_BOOT
        and not route.tos
        and bool(route.gateway)
        and (wanted.route_links is None or route.link in wanted.route_links)
        and not any(contains(network, route.gateway) for network in wanted.networks)
        and not any(
            contains(subnet, route.destination) and route.prefixlen > subnet.length for subnet in wanted.own_subnets
        )
    )


def _plan_neighbours(plan: Plan, wanted: DataPlane, observed: Observed, kept: set[str]) -> None:
    # The kernel forgets a device's neighbours when the device's MAC changes (net/core/neighbour.c
    # neigh_changeaddr), so they are not counted as present then.
    flushed = {change.link.name for change in plan.change_links if change.what == "address"}
    want = {(entry.link, entry.address): entry for entry in wanted.neighbours}
    have = set()
    for name in kept - flushed:
        for seen in observed.neighbours.get(name, ()):
            entry = want.get((name, seen.address))
            permanent = bool(seen.state & NUD_PERMANENT)
            if entry is not None and permanent and seen.mac == entry.mac:
                have.add(entry)
            elif entry is not None:
                if permanent:
                    plan.replaced.append(f"neighbour {neighbour_text(Neighbour(name, seen.address, seen.mac))}")
            elif permanent and (
                (name, seen.address) in wanted.former.neighbours
                or any(contains(network, seen.address) for network in wanted.networks)
            ):
                plan.remove_neighbours.append(Neighbour(name, seen.address, seen.mac))
    plan.set_neighbours = [entry for entry in wanted.neighbours if entry not in have]


def _plan_fdb(plan: Plan, wanted: DataPlane, observed: Observed, kept: set[str]) -> None:
    want = {(entry.link, entry.mac): entry for entry in wanted.fdb}
    have = set()
    vxlan = {link.name for link in wanted.links if link.kind == "vxlan"}
    for name in kept & vxlan:
        for seen in observed.fdb.get(name, ()):
            # Multicast and all-zero entries are the kernel's or an administrator's; learned ones age by themselves.
            # A unicast entry has one destination (drivers/net/vxlan/vxlan_core.c vxlan_fdb_update_existing).
            if not seen.state & NUD_PERMANENT or not seen.address or not any(seen.mac) or seen.mac[0] & 1:
                continue
            entry = want.get((name, seen.mac))
            found = FdbEntry(name, seen.mac, seen.address)
            if entry == found and seen.plain:
                have.add(entry)
            elif entry is not None:
                plan.replaced.append(f"FDB entry {fdb_text(found)}")
            else:
                plan.remove_fdb.append(found)
    plan.set_fdb = list(dict.fromkeys(entry for entry in wanted.fdb if entry not in have))
