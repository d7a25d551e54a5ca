# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel of this host (this network namespace): read what it holds, and carry out a plan.

Private to podnet.cni: may change in any release.

Links and addresses are few and are changed through pyroute2; everything is read, and what there is one of per peer is
set, through C(rtnetlink), so that a run which changes no link does without importing it.
"""

from __future__ import annotations

import errno
import fcntl
import importlib
import importlib.util
import os
import re
import socket
import struct
from functools import partial
from typing import Any, Callable, Iterable, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._dataplane import link_message, rtnetlink, wireguard_device
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.model import (
    AF_INET,
    AF_INET6,
    Address,
    DataPlane,
    Link,
    contains,
    fdb_text,
    mac_text,
    neighbour_text,
    route_text,
    to_text,
)
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.observed import Observed, ObservedLink
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.plan import LinkChange, Plan
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.underlay import (
    HostAddress,
    Underlay,
    check_mtu,
    choose,
)
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError, MissingError, PodnetError

PYROUTE2_OLDEST = (0, 7, 2)
CAP_NET_ADMIN = 12
RT_SCOPE_UNIVERSE = 0
FAILURES_SHOWN = 5
# include/uapi/linux/sockios.h of Linux, and the 40 octets of struct ifreq: a name and, here, an int.
_SIOCGIFMTU = 0x8921
_IFREQ = "16si20x"
# include/uapi/linux/if_addr.h of Linux: IFA_F_NODAD.
_NODAD = 0x02
# The names that flanneld gives its links, under any VNI.
_LINK_NAME = re.compile(r"flannel(?:\.\d+|-v6\.\d+|-wg|-wg-v6|\.ipip|0)\Z")
# A deletion that finds nothing has nothing left to do.
_GONE = (errno.ESRCH, errno.ENOENT)


class RefusedError(PodnetError):
    """The kernel refused some entries; everything else was carried out."""


def check_capable(host: str) -> None:
    """Raise InputError unless this process may change the network (CAP_NET_ADMIN)."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:
        effective = next((line.split()[1] for line in status if line.startswith("CapEff:")), "0")
    if not int(effective, 16) >> CAP_NET_ADMIN & 1:
        raise InputError(
            f"host {host}: user id {os.geteuid()} lacks CAP_NET_ADMIN, which programming the kernel needs; "
            "run the task with become: true"
        )


_REMEDY = "install pyroute2 0.7.2 or newer for the interpreter of this host (Debian: python3-pyroute2)"


def check_library(host: str) -> None:
    """Raise MissingError unless pyroute2 is installed. It is not imported, which is the dearest part of a run."""
    if importlib.util.find_spec("pyroute2") is None:
        raise MissingError(f"host {host}: the Python library pyroute2 is missing; {_REMEDY}")


def load_pyroute2(host: str) -> Any:
    """The pyroute2 package.

    Raises MissingError, naming the host and the remedy, when it is not there, InputError when it is too old.
    """
    try:
        pyroute2 = importlib.import_module("pyroute2")
    except ImportError as error:
        raise MissingError(f"host {host}: the Python library pyroute2 is missing ({error}); {_REMEDY}") from error
    version = getattr(pyroute2, "__version__", "") or "unknown"
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:3])
    if numbers and numbers < PYROUTE2_OLDEST:
        raise InputError(f"host {host}: the Python library pyroute2 is version {version}, which is too old; {_REMEDY}")
    return pyroute2


def host_address_texts() -> list[str]:
    """All addresses of this host as texts."""
    with rtnetlink.Connection() as connection:
        return [to_text(seen.address) for seen in connection.addresses()]


class Kernel:
    """This host's kernel; a context manager. C(host) is the name that errors give it."""

    def __init__(self, host: str) -> None:
        self.host = host
        self._library: Any = None
        self._socket: Any = None
        self._bulk = rtnetlink.Connection(host)

    def _load(self) -> Any:
        """The library, imported when it is needed first. Raises as load_pyroute2 does."""
        if self._library is None:
            self._library = load_pyroute2(self.host)
        return self._library

    @property
    def _pyroute2(self) -> Any:
        return self._load()

    @property
    def _links(self) -> Any:
        if self._socket is None:
            self._socket = self._pyroute2.IPRoute()
        return self._socket

    def make_ready(self, plan: Plan) -> None:
        """Load what carrying out the plan takes, before anything is changed. Raises as load_pyroute2 does."""
        if plan.touches_links():
            self._load()

    def __enter__(self) -> Kernel:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._bulk.__exit__()
        if self._socket is not None:
            self._socket.close()

    def host_addresses(self) -> list[HostAddress]:
        """All addresses of this host."""
        names = _names()
        return [
            HostAddress(names.get(seen.ifindex, ""), seen.address, seen.prefixlen, seen.scope, seen.flags)
            for seen in self._bulk.addresses()
        ]

    def underlay(self, public_ips: Sequence[bytes], interface: str | None) -> Underlay:
        """The link under the overlay; see C(underlay.choose). Without a public IP it is the default route's link."""
        addresses = self.host_addresses()
        links = {name: index for index, name in _names().items()}
        name = choose(self.host, public_ips, links, addresses, interface) or self._default_link()
        mtu = self._mtu(name)
        check_mtu(self.host, name, mtu)
        return Underlay(name, links[name], mtu, tuple(address for address in addresses if address.link == name))

    def _mtu(self, name: str) -> int:
        """The MTU of a link, asked for in a way that needs no library (netdevice(7))."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
            try:
                answer = fcntl.ioctl(asked, _SIOCGIFMTU, struct.pack(_IFREQ, name.encode(), 0))
            except OSError as error:
                raise PodnetError(f"host {self.host}: interface {name} disappeared meanwhile; run again") from error
        return int(struct.unpack(_IFREQ, answer)[1])

    def _default_link(self) -> str:
        for family in (AF_INET, AF_INET6):
            for seen in self._bulk.routes(family, _names(), lambda _destination, length: length == 0):
                if seen.route.link:
                    return seen.route.link
        raise InputError(f"host {self.host}: it has no default route to find the interface by; name one (interface)")

    def check_kind(self, kind: str) -> None:
        """Raise InputError when the kernel cannot make links of this kind. Nothing is made.

        A name with a slash is refused for its own sake (EINVAL), but not before the kind has been looked up, which
        also loads its module. A link of that kind is proof enough.
        """
        if any(seen.link.kind == kind for seen in self._observe_links(_names()).values()):
            return
        try:
            self._links.link("add", ifname="podnet/cni", kind=kind)
        except self._pyroute2.NetlinkError as error:
            if error.code == errno.EOPNOTSUPP:
                raise InputError(_kind_missing(self.host, kind)) from error

    def on_link(self, public_ips: Sequence[bytes]) -> dict[bytes, str]:
        """Those of the addresses that are reached without a gateway, with the link they are reached over."""
        names = _names()
        return {
            address: names[index]
            for address, (index, gateway) in zip(public_ips, self._bulk.lookup(public_ips))
            if not gateway and index in names
        }

    def observe(self, wanted: DataPlane) -> Observed:
        """What the kernel holds of flannel's links, and on any link the routes inside the wanted or former networks."""
        names = _names()
        observed = Observed(links=self._observe_links(names))
        for seen in self._bulk.addresses():
            name = names.get(seen.ifindex, "")
            if name in observed.links and seen.scope == RT_SCOPE_UNIVERSE:
                observed.addresses.append(Address(name, seen.address, seen.prefixlen))
        former = {destination for destination, _length, _gateway, _link in wanted.former.routes}

        def inside(destination: bytes, _length: int) -> bool:
            return destination in former or any(contains(network, destination) for network in wanted.networks)

        sizes = {len(network.address) for network in wanted.networks} | {len(each) for each in former}
        for family, size in ((AF_INET, 4), (AF_INET6, 16)):
            if size in sizes:
                observed.routes += self._bulk.routes(family, names, inside)
        indexes = {link.name: observed.links[link.name].ifindex for link in wanted.links if link.name in observed.links}
        for link in wanted.links:
            if link.name not in indexes:
                continue
            for network in wanted.networks:
                family = AF_INET if len(network.address) == 4 else AF_INET6
                seen_here = self._bulk.neighbours(family, indexes[link.name])
                observed.neighbours.setdefault(link.name, []).extend(seen_here)
            if link.kind == "vxlan":
                observed.fdb[link.name] = self._bulk.fdb(indexes[link.name])
            # A link of another kind has nothing to say to wireguard; what becomes of it is the plan's affair.
            elif link.kind == "wireguard" == observed.links[link.name].link.kind:
                state = wireguard_device.read(self._pyroute2, self.host, link.name, wanted.preshared_key)
                observed.wireguard[link.name] = state
        return observed

    def overlay_links(self) -> list[Link]:
        """The links with flannel's names, as the kernel holds them."""
        return [seen.link for seen in self._observe_links(_names()).values()]

    def _observe_links(self, names: Mapping[int, str]) -> dict[str, ObservedLink]:
        found: dict[str, ObservedLink] = {}
        for index, name in names.items():
            seen = self._get_link(index, names) if _LINK_NAME.match(name) else None
            if seen is not None:
                found[name] = seen._replace(accepts_ra=_accepts_ra(name))
        return found

    def _get_link(self, index: int, names: Mapping[int, str]) -> ObservedLink | None:
        message = self._bulk.link(index)
        return link_message.read(*message, names) if message is not None else None

    def apply(self, plan: Plan, wanted: DataPlane, warn: Callable[[str], None], private_key: bytes = b"") -> None:
        """Carry out the plan; C(warn) is told what could not be done although the overlay works without it.

        Raises RefusedError, naming the entries and the kernel's reasons, when some failed but all were tried, and
        PodnetError at once for a link or an address: without it nothing else works.
        """
        recreated = {link.name for link in plan.remove_links}
        # New links first: when this kernel lacks their kind, nothing has been changed yet.
        for link in plan.create_links:
            if link.name not in recreated:
                self._create(link, warn)
        # Without a route to its peers a node sends what its pods send to its default gateway, outside of any tunnel.
        # So a link whose routes others take over stays until they have.
        last = [link for link in plan.remove_links if not _in_the_way(link, plan)]
        for link in plan.remove_links:
            if link not in last:
                self._try_link("remove", link.name, partial(self._remove, link.name))
        for link in plan.create_links:
            if link.name in recreated:
                self._create(link, warn)
        for change in plan.change_links:
            if change.what != "up":
                self._change(change, warn)
        self._apply_addresses(plan)
        refused = []
        if plan.set_wireguard or plan.remove_peers or plan.set_peers:
            refused = wireguard_device.apply(self._pyroute2, self.host, plan, wanted.preshared_key, private_key)
        self._bring_up([*plan.create_links, *[c.link for c in plan.change_links if c.what == "up"]])
        try:
            refused += self._take_over(plan, last)
        finally:
            self._check_macs(wanted)
        if refused:
            raise RefusedError(
                f"host {self.host}: the kernel refused {len(refused)} of {plan.entries()} entries: "
                + "; ".join(refused[:FAILURES_SHOWN])
            )

    def _take_over(self, plan: Plan, last: Sequence[Link]) -> list[str]:
        """Carry out what there is one of per peer, and remove the links whose routes others have then.

        Return what the kernel refused, each with its reason.
        """
        refused = self._apply_entries(plan)
        for link in last:
            self._try_link("remove", link.name, partial(self._remove, link.name))
        # An on-link gateway of IPv6 is refused as long as it is reached over the link that is gone now.
        return self._apply_entries(plan) if refused and last else refused

    def _create(self, link: Link, warn: Callable[[str], None]) -> None:
        """Make a link as flannel v0.28.9 does (pkg/backend/vxlan/device.go, ipip/ipip.go, wireguard/device.go)."""
        arguments: dict[str, Any] = {"ifname": link.name, "kind": link.kind, "mtu": link.mtu, "txqlen": 0}
        if link.kind == "vxlan":
            arguments.update(
                address=mac_text(link.mac),
                vxlan_id=link.vni,
                vxlan_link=_index(link.underlay),
                vxlan_learning=int(link.learning),
            )
            arguments["vxlan_local" if len(link.local) == 4 else "vxlan_local6"] = to_text(link.local)
            if link.port:
                arguments["vxlan_port"] = link.port
            if link.gbp:
                arguments["vxlan_gbp"] = True
        elif link.kind == "ipip":
            arguments.update(ipip_local=to_text(link.local), ipip_ttl=0, ipip_tos=0, ipip_pmtudisc=0, ipip_proto=0)
        try:
            self._links.link("add", **arguments)
        except self._pyroute2.NetlinkError as error:
            if error.code == errno.EOPNOTSUPP:
                raise InputError(_kind_missing(self.host, link.kind)) from error
            raise PodnetError(f"host {self.host}: cannot add link {link.name}: {os.strerror(error.code)}") from error
        if link.kind == "vxlan":
            _refuse_router_advertisements(self.host, link.name, warn)

    def _remove(self, name: str) -> None:
        self._links.link("del", index=_index(name))

    def _change(self, change: LinkChange, warn: Callable[[str], None]) -> None:
        link = change.link
        if change.what == "accept_ra":
            _refuse_router_advertisements(self.host, link.name, warn)
            return
        arguments: dict[str, dict[str, Any]] = {
            "address": {"address": mac_text(link.mac)},
            "mtu": {"mtu": link.mtu},
            "learning": {"kind": link.kind, "vxlan_learning": int(link.learning)},
        }
        self._try_link(f"set {change.what} of", link.name, partial(self._set, link.name, **arguments[change.what]))

    def _set(self, name: str, **arguments: Any) -> None:
        self._links.link("set", index=_index(name), **arguments)

    def _bring_up(self, links: Iterable[Link]) -> None:
        for link in links:
            self._try_link("set up", link.name, partial(self._set, link.name, state="up"))

    def _apply_addresses(self, plan: Plan) -> None:
        """New ones first: with its last address a link loses all of its IPv4 routes and neighbours."""
        moves = [step for address in plan.move_addresses for step in (("del", address), ("add", address))]
        adds = [("add", address) for address in plan.add_addresses]
        for verb, address in [*adds, *[("del", address) for address in plan.remove_addresses], *moves]:
            self._try_link(
                f"{'add' if verb == 'add' else 'remove'} address {to_text(address.address)}/{address.prefixlen} of",
                address.link,
                partial(self._change_address, verb, address),
            )

    def move_addresses(self, plan: Plan) -> None:
        """Carry out the plan's addresses, on whatever links. Raises PodnetError for one that the kernel refuses."""
        self._apply_addresses(plan)

    def _change_address(self, verb: str, address: Address) -> None:
        text = to_text(address.address)
        # Its subnet is this host's alone: a search for duplicates would only keep it from answering for two seconds.
        flags = {"flags": _NODAD} if verb == "add" and ":" in text else {}
        self._links.addr(verb, index=_index(address.link), address=text, prefixlen=address.prefixlen, **flags)

    def _try_link(self, words: str, name: str, operation: Callable[[], Any]) -> None:
        try:
            operation()
        except self._pyroute2.NetlinkError as error:
            raise PodnetError(f"host {self.host}: cannot {words} link {name}: {os.strerror(error.code)}") from error

    def _apply_entries(self, plan: Plan) -> list[str]:
        """Carry out what there is one of per peer; return what the kernel refused, each with its reason."""
        indexes = {name: index for index, name in _names().items()}
        messages: list[bytes] = []
        texts: list[tuple[str, Callable[[Any], str], Any]] = []
        missing: set[str] = set()

        def add(verb: str, encode: Callable[[Any, int], bytes], text: Callable[[Any], str], entries: Any) -> None:
            for entry in entries:
                index = indexes.get(entry.link)
                if index is None:
                    missing.add(entry.link)
                    continue
                messages.append(encode(entry, index))
                texts.append((verb, text, entry))

        add("remove route", rtnetlink.encode_route_deletion, route_text, plan.remove_routes)
        add("remove neighbour", rtnetlink.encode_neighbour_deletion, neighbour_text, plan.remove_neighbours)
        add("remove FDB entry", rtnetlink.encode_fdb_deletion, fdb_text, plan.remove_fdb)
        removals = len(messages)
        add("set FDB entry", rtnetlink.encode_fdb, fdb_text, plan.set_fdb)
        add("set neighbour", rtnetlink.encode_neighbour, neighbour_text, plan.set_neighbours)
        add("set route", rtnetlink.encode_route, route_text, plan.set_routes)
        if missing:
            raise PodnetError(f"host {self.host}: link {', '.join(sorted(missing))} disappeared meanwhile; run again")
        refused = []
        for failure in self._bulk.send(messages):
            if not (failure.position < removals and failure.errno in _GONE):
                verb, text, entry = texts[failure.position]
                refused.append(f"{verb} {text(entry)}: {failure.text()}")
        return refused

    def _check_macs(self, wanted: DataPlane) -> None:
        """Raise PodnetError when something, as a rule udev, has given a device another MAC than the lease's."""
        for link in wanted.links:
            if not link.mac:
                continue
            seen = self._get_link(_index(link.name), {})
            found = seen.link.mac if seen is not None else b""
            if found != link.mac:
                raise PodnetError(
                    f"host {self.host}: link {link.name} was given MAC {mac_text(link.mac)} but has {mac_text(found)}; "
                    "something rewrites it, as systemd-udevd does unless a .link file for flannel* says "
                    "MACAddressPolicy=none"
                )


def _names() -> Mapping[int, str]:
    return dict(socket.if_nameindex())


def _in_the_way(old: Link, plan: Plan) -> bool:
    """Whether a link to remove has the name, or may have the UDP port, that one of the plan's wants."""
    if old.kind == "wireguard" and plan.set_wireguard:
        return True
    # A kernel shares a port among vxlan devices that agree on GBP (drivers/net/vxlan/vxlan_core.c, vxlan_find_sock).
    return any(
        new.name == old.name or (new.kind == old.kind == "vxlan" and new.gbp != old.gbp) for new in plan.create_links
    )


def _kind_missing(host: str, kind: str) -> str:
    return (
        f"host {host}: this kernel cannot make links of kind {kind!r}; load its module (modprobe {kind}) or choose "
        "another backend"
    )


def _index(name: str) -> int:
    try:
        return socket.if_nametoindex(name)
    except OSError as error:
        raise PodnetError(f"link {name} disappeared meanwhile; run again") from error


def _accept_ra_file(name: str) -> str:
    return f"/proc/sys/net/ipv6/conf/{name}/accept_ra"


def _refuse_router_advertisements(host: str, name: str, warn: Callable[[str], None]) -> None:
    path = _accept_ra_file(name)
    # A kernel without IPv6 has no such file, and nothing to refuse.
    if not os.path.exists(path):
        return
    try:
        with open(path, "w", encoding="ascii") as setting:
            setting.write("0")
    except OSError as error:
        # As on a host whose /proc/sys is mounted read-only, like a container's. flanneld passes over it, too.
        warn(
            f"host {host}: cannot write 0 to {path} ({error.strerror}), so the link accepts router advertisements of "
            "its peers; make /proc/sys writable, or set it on the host"
        )


def _accepts_ra(name: str) -> bool:
    """Whether the link accepts router advertisements and can be told not to."""
    if not os.access(_accept_ra_file(name), os.W_OK):
        return False
    try:
        with open(_accept_ra_file(name), encoding="ascii") as setting:
            return setting.read().strip() != "0"
    except OSError:
        return False
