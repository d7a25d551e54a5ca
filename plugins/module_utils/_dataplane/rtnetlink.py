# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes, neighbours and FDB entries in bulk: packed rtnetlink messages over one socket.

Private to podnet.cni: may change in any release.

A node of a large overlay holds three entries per peer and family. One request and one answer for each costs more in
system calls and parsing than the kernel needs for the work, so messages are sent hundreds at a time and only the
last of a batch asks for an acknowledgement: the kernel reports an error for any message whether it asked or not
(net/netlink/af_netlink.c netlink_rcv_skb), so the reason for every single entry is still known.

Message layouts: rtnetlink(7), include/uapi/linux/{netlink,rtnetlink,neighbour,if_addr}.h of Linux.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import time
from contextlib import contextmanager
from typing import Any, Callable, Iterable, Iterator, Mapping, NamedTuple, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._dataplane import link_message
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.model import (
    AF_INET,
    AF_INET6,
    PROTOCOL_BOOT,
    FdbEntry,
    Neighbour,
    Route,
)
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.observed import (
    NUD_PERMANENT,
    ObservedNeighbour,
    ObservedRoute,
)
from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError

RTM_NEWLINK, RTM_GETLINK = 16, 18
RTM_GETADDR = 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_NEWNEIGH, RTM_DELNEIGH, RTM_GETNEIGH = 28, 29, 30
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP_INTR = 0x001, 0x004, 0x010
NLM_F_REPLACE, NLM_F_CREATE, NLM_F_DUMP = 0x100, 0x400, 0x300
NLM_F_ACK_TLVS = 0x200
SET = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_REPLACE
DELETE = NLM_F_REQUEST

SOL_NETLINK = 270
NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK = 10, 11, 12
SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33

RT_TABLE_MAIN = 254
RTN_UNICAST = 1
RT_SCOPE_NOWHERE = 255
RTNH_F_ONLINK = 4
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_PREFSRC, RTA_METRICS, RTA_MULTIPATH = 1, 4, 5, 6, 7, 8, 9
RTA_TABLE, RTA_VIA = 15, 18
NDA_DST, NDA_LLADDR, NDA_PORT, NDA_VNI = 1, 2, 6, 7
IFA_ADDRESS, IFA_LOCAL, IFA_FLAGS = 1, 2, 8
NTF_SELF = 0x02
AF_BRIDGE = 7
NLMSGERR_ATTR_MSG = 1

BUFFER_BYTES = 4 << 20
BATCH = 500
# A reply per message comes back for lookups, so fewer of them are in flight.
LOOKUP_BATCH = 100
ATTEMPTS = 10
RECEIVE_SECONDS = 10
# How often an answer that does not come is waited for: a busy kernel answers late, a broken one never.
TIMEOUTS = 3
_PASSING = (errno.EMSGSIZE, errno.ENOBUFS, errno.EINTR, errno.EBUSY)

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_ROUTE_HEADER = struct.Struct("=8BI")
_NEIGHBOUR_HEADER = struct.Struct("=BBHiHBB")
_ADDRESS_HEADER = struct.Struct("=BBBBI")
_U32 = struct.Struct("=I")
_I32 = struct.Struct("=i")
# include/uapi/linux/rtnetlink.h struct rtnexthop: length with attributes, flags, weight, interface.
_NEXT_HOP = struct.Struct("=HBBi")
_route_structs: dict[tuple[int, bool, bool], struct.Struct] = {}
_neighbour_structs = {
    4: struct.Struct("=IHHIIBBHiHBBHH4sHH6sxx"),
    16: struct.Struct("=IHHIIBBHiHBBHH16sHH6sxx"),
}


class Failure(NamedTuple):
    """One message that the kernel refused: its place in the batch, the errno and the kernel's own words or ""."""

    position: int
    errno: int
    reason: str

    def text(self) -> str:
        """The reason for people: the system's text for the errno and what the kernel added."""
        words = os.strerror(self.errno)
        return f"{words}: {self.reason}" if self.reason else words


class ObservedAddress(NamedTuple):
    """An address of this host: interface index, packed address, prefix length, scope and IFA_F_* flags."""

    ifindex: int
    address: bytes
    prefixlen: int
    scope: int
    flags: int


def encode_route(route: Route, index: int) -> bytes:
    """The message that makes the kernel hold C(route) out of interface C(index), whatever it held for it before."""
    flags = RTNH_F_ONLINK if route.onlink else 0
    return _pack_route(RTM_NEWROUTE, SET, route, index, (PROTOCOL_BOOT, route.scope, RTN_UNICAST, flags))


def encode_route_deletion(route: Route, index: int) -> bytes:
    """The message that removes exactly C(route): same destination, gateway, interface, metric and TOS."""
    return _pack_route(RTM_DELROUTE, DELETE, route, index, (0, RT_SCOPE_NOWHERE, RTN_UNICAST, 0))


def _pack_route(kind: int, nl_flags: int, route: Route, index: int, traits: tuple[int, int, int, int]) -> bytes:
    size = len(route.destination)
    with_gateway = bool(route.gateway)
    # The kernel picks the metric of an IPv6 route that names none, and flanneld names none.
    with_metric = kind == RTM_DELROUTE and route.metric > 0
    layout = _route_structs.get((size, with_gateway, with_metric))
    if layout is None:
        gateway = f"HH{size}s" if with_gateway else ""
        layout = struct.Struct(f"=IHHII8BIHH{size}s{gateway}HHI" + ("HHI" if with_metric else ""))
        _route_structs[size, with_gateway, with_metric] = layout
    values: tuple[Any, ...] = (
        layout.size,
        kind,
        nl_flags,
        0,
        0,
        AF_INET if size == 4 else AF_INET6,
        route.prefixlen,
        0,
        route.tos,
        RT_TABLE_MAIN,
        *traits,
        size + 4,
        RTA_DST,
        route.destination,
    )
    if with_gateway:
        values += (size + 4, RTA_GATEWAY, route.gateway)
    values += (8, RTA_OIF, index)
    if with_metric:
        values += (8, RTA_PRIORITY, route.metric)
    return layout.pack(*values)


def encode_neighbour(neighbour: Neighbour, index: int) -> bytes:
    """The message that makes the kernel hold the PERMANENT neighbour on interface C(index)."""
    return _pack_neighbour(
        (RTM_NEWNEIGH, SET), neighbour.address, neighbour.mac, index, (0, NUD_PERMANENT, 0, RTN_UNICAST)
    )


def encode_neighbour_deletion(neighbour: Neighbour, index: int) -> bytes:
    """The message that removes the neighbour from interface C(index), whatever MAC it has."""
    return _pack_neighbour((RTM_DELNEIGH, DELETE), neighbour.address, neighbour.mac, index, (0, 0, 0, 0))


_FDB_TRAITS = (AF_BRIDGE, NUD_PERMANENT, NTF_SELF, 0)


def encode_fdb(entry: FdbEntry, index: int) -> bytes:
    """The message that makes vxlan interface C(index) send frames for the entry's MAC to its destination."""
    return _pack_neighbour((RTM_NEWNEIGH, SET), entry.destination, entry.mac, index, _FDB_TRAITS)


def encode_fdb_deletion(entry: FdbEntry, index: int) -> bytes:
    """The message that removes the entry's destination from its MAC on vxlan interface C(index)."""
    return _pack_neighbour((RTM_DELNEIGH, DELETE), entry.destination, entry.mac, index, _FDB_TRAITS)


def _pack_neighbour(
    verb: tuple[int, int], address: bytes, mac: bytes, index: int, traits: tuple[int, int, int, int]
) -> bytes:
    size = len(address)
    layout = _neighbour_structs[size]
    family, state, flags, neighbour_type = traits
    return layout.pack(
        layout.size,
        *verb,
        0,
        0,
        family or (AF_INET if size == 4 else AF_INET6),
        0,
        0,
        index,
        state,
        flags,
        neighbour_type,
        size + 4,
        NDA_DST,
        address,
        10,
        NDA_LLADDR,
        mac,
    )


def encode_lookup(address: bytes) -> bytes:
    """The message that asks which route a packet to C(address) would take."""
    size = len(address)
    family = AF_INET if size == 4 else AF_INET6
    body = _ROUTE_HEADER.pack(family, size * 8, 0, 0, 0, 0, 0, 0, 0) + _ATTRIBUTE.pack(size + 4, RTA_DST) + address
    return _HEADER.pack(_HEADER.size + len(body), RTM_GETROUTE, NLM_F_REQUEST, 0, 0) + body


class RouteReader:
    """Collects unicast routes of the main table from a dump; C(names) maps interface index to link name."""

    def __init__(self, names: Mapping[int, str], wanted: Callable[[bytes, int], bool]) -> None:
        self.names = names
        self.wanted = wanted
        self.routes: list[ObservedRoute] = []

    def __call__(self, data: bytes, position: int, end: int) -> None:
        """Read one message whose body is data[position:end]."""
        family, length, _src, tos, table, protocol, scope, kind, flags = _ROUTE_HEADER.unpack_from(data, position)
        if kind != RTN_UNICAST:
            return
        destination = gateway = b""
        index = metric = 0
        exact = True
        hops: list[tuple[int, bytes, int]] = []
        position += _ROUTE_HEADER.size
        while position + 4 <= end:
            size, attribute = _ATTRIBUTE.unpack_from(data, position)
            if attribute == RTA_DST:
                destination = data[position + 4 : position + size]
            elif attribute == RTA_GATEWAY:
                gateway = data[position + 4 : position + size]
            elif attribute == RTA_OIF:
                index = _I32.unpack_from(data, position + 4)[0]
            elif attribute == RTA_PRIORITY:
                metric = _U32.unpack_from(data, position + 4)[0]
            elif attribute == RTA_TABLE:
                table = _U32.unpack_from(data, position + 4)[0]
            elif attribute in (RTA_PREFSRC, RTA_METRICS, RTA_VIA):
                exact = False
            elif attribute == RTA_MULTIPATH:
                exact = False
                hops = _read_next_hops(data, position + 4, position + size)
            position += (size + 3) & ~3 or 4
        # A default route has no destination.
        if table != RT_TABLE_MAIN or not self.wanted(destination, length):
            return
        # The kernel finds an IPv4 route by its first next hop, and keeps those of IPv6 as routes of their own.
        for out, via, traits in (hops[:1] if family == AF_INET else hops) or ((index, gateway, flags),):
            name = self.names.get(out, "")
            route = Route(destination, length, via, name, bool(traits & RTNH_F_ONLINK), scope, metric, tos)
            self.routes.append(ObservedRoute(route, protocol, exact))


def _read_next_hops(data: bytes, position: int, end: int) -> list[tuple[int, bytes, int]]:
    """Interface index, gateway and flags of each next hop in an RTA_MULTIPATH."""
    hops = []
    end = min(end, len(data))
    while position + _NEXT_HOP.size <= end:
        size, flags, _weight, index = _NEXT_HOP.unpack_from(data, position)
        gateway = b""
        attribute_at = position + _NEXT_HOP.size
        while attribute_at + 4 <= min(position + size, end):
            length, attribute = _ATTRIBUTE.unpack_from(data, attribute_at)
            if attribute == RTA_GATEWAY:
                gateway = data[attribute_at + 4 : attribute_at + length]
            attribute_at += (length + 3) & ~3 or 4
        hops.append((index, gateway, flags))
        position += (size + 3) & ~3 or _NEXT_HOP.size
    return hops


class NeighbourReader:
    """Collects the entries of one interface that carry all of C(flags) (NTF_*) from a dump."""

    def __init__(self, index: int, flags: int) -> None:
        self.index = index
        self.flags = flags
        self.entries: list[ObservedNeighbour] = []

    def __call__(self, data: bytes, position: int, end: int) -> None:
        """Read one message whose body is data[position:end]."""
        _family, _pad, _pad2, index, state, flags, _kind = _NEIGHBOUR_HEADER.unpack_from(data, position)
        if index != self.index or flags & self.flags != self.flags:
            return
        mac = address = b""
        plain = True
        position += _NEIGHBOUR_HEADER.size
        while position + 4 <= end:
            size, attribute = _ATTRIBUTE.unpack_from(data, position)
            if attribute == NDA_DST:
                address = data[position + 4 : position + size]
            elif attribute == NDA_LLADDR:
                mac = data[position + 4 : position + size]
            elif attribute in (NDA_PORT, NDA_VNI):
                plain = False
            position += (size + 3) & ~3 or 4
        self.entries.append(ObservedNeighbour(mac, address, state, plain))


class AddressReader:
    """Collects this host's addresses from a dump."""

    def __init__(self) -> None:
        self.addresses: list[ObservedAddress] = []

    def __call__(self, data: bytes, position: int, end: int) -> None:
        """Read one message whose body is data[position:end]."""
        _family, length, flags, scope, index = _ADDRESS_HEADER.unpack_from(data, position)
        address = local = b""
        position += _ADDRESS_HEADER.size
        while position + 4 <= end:
            size, attribute = _ATTRIBUTE.unpack_from(data, position)
            if attribute == IFA_ADDRESS:
                address = data[position + 4 : position + size]
            elif attribute == IFA_LOCAL:
                local = data[position + 4 : position + size]
            elif attribute == IFA_FLAGS:
                flags = _U32.unpack_from(data, position + 4)[0]
            position += (size + 3) & ~3 or 4
        self.addresses.append(ObservedAddress(index, local or address, length, scope, flags))


class Connection:
    """One rtnetlink socket in the network namespace of this process; a context manager.

    C(host) is the name that errors give the host. What is asked raises PodnetError when the kernel keeps failing.
    """

    def __init__(self, host: str = "") -> None:
        self._host = host
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._socket.bind((0, 0))
        self._socket.settimeout(RECEIVE_SECONDS)
        self._sequence = 0
        for level, option, value in (
            (socket.SOL_SOCKET, SO_SNDBUFFORCE, BUFFER_BYTES),
            (socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES),
            (SOL_NETLINK, NETLINK_CAP_ACK, 1),
            (SOL_NETLINK, NETLINK_EXT_ACK, 1),
            (SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1),
        ):
            self._try_option(level, option, value)

    def _try_option(self, level: int, option: int, value: int) -> None:
        # Each only makes things faster or messages clearer: an old kernel or a process without CAP_NET_ADMIN goes
        # on without it.
        try:
            self._socket.setsockopt(level, option, value)
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.ENOPROTOOPT, errno.EINVAL):
                raise

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._socket.close()

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            where = f"host {self._host}: " if self._host else ""
            reason = error.strerror or str(error)
            raise PodnetError(f"{where}the kernel fails to answer over netlink ({reason}); run again") from error

    def send(self, messages: Sequence[bytes]) -> list[Failure]:
        """Have the kernel carry out the messages in order; return those that it refused.

        A message that fails does not stop the ones after it.
        """
        failures: list[Failure] = []
        with self._named_errors():
            for start in range(0, len(messages), BATCH):
                failures += self._send_batch(messages[start : start + BATCH], start)
        return failures

    def _send_batch(self, batch: Sequence[bytes], start: int) -> list[Failure]:
        for attempt in range(ATTEMPTS):
            try:
                return self._exchange(batch, start)
            except OSError as error:
                # The batch was too big for the socket, or an answer was lost: every message may be sent again,
                # because setting twice and deleting twice end in the same state.
                self._check_passing(error, attempt)
                if len(batch) > 1 and not isinstance(error, socket.timeout):
                    middle = len(batch) // 2
                    first = self._send_batch(batch[:middle], start)
                    return first + self._send_batch(batch[middle:], start + middle)
                time.sleep(0.01 * 2**attempt)
        raise OSError(errno.ENOBUFS, "no memory for netlink messages")

    def _check_passing(self, error: OSError, attempt: int) -> None:
        """Make ready to ask again, or raise the error when that would not help."""
        if isinstance(error, socket.timeout):
            if attempt >= TIMEOUTS - 1:
                raise error
        elif error.errno not in _PASSING or attempt == ATTEMPTS - 1:
            raise error
        self._drain()

    def _exchange(self, batch: Sequence[bytes], start: int) -> list[Failure]:
        base = self._sequence + 1
        self._sequence += len(batch)
        self._socket.send(_numbered(batch, base, acknowledge_all=False))
        failures = []
        while True:
            data = self._socket.recv(BUFFER_BYTES)
            for kind, flags, sequence, position, end in _messages(data):
                if kind != NLMSG_ERROR or sequence < base:
                    continue
                code = -_I32.unpack_from(data, position)[0]
                if code:
                    failures.append(Failure(start + sequence - base, code, _reason(data, flags, position, end)))
                if sequence == self._sequence:
                    return failures

    def _drain(self) -> None:
        self._socket.setblocking(False)
        try:
            while True:
                self._socket.recv(BUFFER_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
        finally:
            self._socket.settimeout(RECEIVE_SECONDS)

    def lookup(self, addresses: Sequence[bytes]) -> list[tuple[int, bytes]]:
        """For each address: (outgoing interface index, gateway or b"") of the route to it; index 0 if there is none."""
        found: list[tuple[int, bytes]] = []
        with self._named_errors():
            for start in range(0, len(addresses), LOOKUP_BATCH):
                found += self._lookup_batch(addresses[start : start + LOOKUP_BATCH])
        return found

    def _lookup_batch(self, addresses: Sequence[bytes]) -> list[tuple[int, bytes]]:
        for attempt in range(ATTEMPTS):
            try:
                return self._lookup_once(addresses)
            except OSError as error:
                self._check_passing(error, attempt)
                time.sleep(0.01 * 2**attempt)
        raise OSError(errno.ENOBUFS, "no memory for netlink messages")

    def _lookup_once(self, addresses: Sequence[bytes]) -> list[tuple[int, bytes]]:
        base = self._sequence + 1
        self._sequence += len(addresses)
        self._socket.send(_numbered([encode_lookup(address) for address in addresses], base, acknowledge_all=True))
        answers: list[tuple[int, bytes]] = [(0, b"")] * len(addresses)
        while True:
            data = self._socket.recv(BUFFER_BYTES)
            for kind, _flags, sequence, position, end in _messages(data):
                if sequence < base:
                    continue
                if kind == RTM_NEWROUTE:
                    answers[sequence - base] = _read_lookup(data, position, end)
                elif kind == NLMSG_ERROR and sequence == self._sequence:
                    return answers

    def link(self, index: int) -> tuple[bytes, int, int] | None:
        """The kernel's message about one link, as (data, start of its body, end); None when there is no such link."""
        body = link_message.request(index)
        message = _HEADER.pack(_HEADER.size + len(body), RTM_GETLINK, NLM_F_REQUEST, 0, 0) + body
        with self._named_errors():
            for attempt in range(ATTEMPTS):
                try:
                    return self._link_once(message)
                except OSError as error:
                    self._check_passing(error, attempt)
                    time.sleep(0.01 * 2**attempt)
            raise OSError(errno.ENOBUFS, "no memory for netlink messages")

    def _link_once(self, message: bytes) -> tuple[bytes, int, int] | None:
        self._sequence += 1
        self._socket.send(_numbered([message], self._sequence, acknowledge_all=True))
        found = None
        while True:
            data = self._socket.recv(BUFFER_BYTES)
            for kind, _flags, sequence, position, end in _messages(data):
                if sequence != self._sequence:
                    continue
                if kind == RTM_NEWLINK:
                    found = data, position, end
                elif kind == NLMSG_ERROR:
                    code = -_I32.unpack_from(data, position)[0]
                    if code and code != errno.ENODEV:
                        raise OSError(code, os.strerror(code))
                    return found

    def dump(self, kind: int, body: bytes, read: Callable[[bytes, int, int], None], reset: Callable[[], None]) -> None:
        """Ask for a dump and hand every message of it to C(read(data, position, end)).

        A dump that the kernel marks as inconsistent, because the table changed meanwhile, or that overran the
        socket is asked for again after C(reset()). A table that never holds still is taken as it is after ten tries:
        whoever plans from it converges on the next run.
        """
        with self._named_errors():
            for attempt in range(ATTEMPTS):
                reset()
                try:
                    if self._dump_once(kind, body, read) or attempt == ATTEMPTS - 1:
                        return
                except OSError as error:
                    self._check_passing(error, attempt)

    def _dump_once(self, kind: int, body: bytes, read: Callable[[bytes, int, int], None]) -> bool:
        self._sequence += 1
        header = _HEADER.pack(_HEADER.size + len(body), kind, NLM_F_REQUEST | NLM_F_DUMP, self._sequence, 0)
        self._socket.send(header + body)
        consistent = True
        while True:
            data = self._socket.recv(BUFFER_BYTES)
            for answer, flags, sequence, position, end in _messages(data):
                if sequence != self._sequence:
                    continue
                if flags & NLM_F_DUMP_INTR:
                    consistent = False
                if answer in (NLMSG_DONE, NLMSG_ERROR):
                    code = -_I32.unpack_from(data, position)[0]
                    if code:
                        raise OSError(code, os.strerror(code))
                    return consistent
                read(data, position, end)

    def routes(
        self, family: int, names: Mapping[int, str], wanted: Callable[[bytes, int], bool]
    ) -> list[ObservedRoute]:
        """The unicast routes of the main table for which C(wanted(destination, prefixlen)) holds."""
        reader = RouteReader(names, wanted)
        body = _ROUTE_HEADER.pack(family, 0, 0, 0, RT_TABLE_MAIN, 0, 0, 0, 0)
        self.dump(RTM_GETROUTE, body, reader, reader.routes.clear)
        return reader.routes

    def neighbours(self, family: int, index: int) -> list[ObservedNeighbour]:
        """The neighbours of one family on interface C(index)."""
        reader = NeighbourReader(index, 0)
        body = _NEIGHBOUR_HEADER.pack(family, 0, 0, 0, 0, 0, 0) + _ATTRIBUTE.pack(8, 8) + _U32.pack(index)
        self.dump(RTM_GETNEIGH, body, reader, reader.entries.clear)
        return reader.entries

    def fdb(self, index: int) -> list[ObservedNeighbour]:
        """The forwarding entries of interface C(index)."""
        reader = NeighbourReader(index, NTF_SELF)
        body = _NEIGHBOUR_HEADER.pack(AF_BRIDGE, 0, 0, index, 0, 0, 0)
        self.dump(RTM_GETNEIGH, body, reader, reader.entries.clear)
        return reader.entries

    def addresses(self) -> list[ObservedAddress]:
        """All addresses of this network namespace, both families."""
        reader = AddressReader()
        self.dump(RTM_GETADDR, _ADDRESS_HEADER.pack(0, 0, 0, 0, 0), reader, reader.addresses.clear)
        return reader.addresses


def _numbered(batch: Iterable[bytes], base: int, *, acknowledge_all: bool) -> bytearray:
    """Join the messages and write their sequence numbers; the last one, or all, ask for an acknowledgement."""
    joined = bytearray(b"".join(batch))
    position, sequence, last = 0, base, 0
    while position < len(joined):
        _U32.pack_into(joined, position + 8, sequence)
        if acknowledge_all:
            joined[position + 6] |= NLM_F_ACK
        last = position
        sequence += 1
        position += _U32.unpack_from(joined, position)[0]
    joined[last + 6] |= NLM_F_ACK
    return joined


def _messages(data: bytes) -> Iterator[tuple[int, int, int, int, int]]:
    """The messages in a received buffer: (type, flags, sequence, start of the body, end of the body)."""
    position = 0
    while position + 16 <= len(data):
        length, kind, flags, sequence, _pid = _HEADER.unpack_from(data, position)
        if length < 16:
            return
        yield kind, flags, sequence, position + 16, position + length
        position += (length + 3) & ~3


def _reason(data: bytes, flags: int, position: int, end: int) -> str:
    """The kernel's own words in an error message, or ""."""
    if not flags & NLM_F_ACK_TLVS:
        return ""
    # errno, then the header of the refused message, and its body too unless it was capped.
    capped = flags & 0x100
    position += 4 + (16 if capped else (_U32.unpack_from(data, position + 4)[0] + 3) & ~3)
    while position + 4 <= end:
        size, attribute = _ATTRIBUTE.unpack_from(data, position)
        if attribute == NLMSGERR_ATTR_MSG:
            return data[position + 4 : position + size].rstrip(b"\0").decode("utf-8", "replace")
        position += (size + 3) & ~3 or 4
    return ""


def _read_lookup(data: bytes, position: int, end: int) -> tuple[int, bytes]:
    index, gateway = 0, b""
    position += _ROUTE_HEADER.size
    while position + 4 <= end:
        size, attribute = _ATTRIBUTE.unpack_from(data, position)
        if attribute == RTA_OIF:
            index = _I32.unpack_from(data, position + 4)[0]
        elif attribute in (RTA_GATEWAY, RTA_VIA):
            gateway = data[position + 4 : position + size]
        position += (size + 3) & ~3 or 4
    return index, gateway
