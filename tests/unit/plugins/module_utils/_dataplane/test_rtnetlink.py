# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Packed messages mean what pyroute2's mean; answers are read whatever the kernel or the socket does."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroute2.netlink.rtnl.ndmsg import ndmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from ansible_collections.podnet.cni.plugins.module_utils._dataplane import rtnetlink
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.model import (
    FdbEntry,
    Neighbour,
    Route,
    mac_text,
    to_text,
)
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.rtnetlink import Connection, Failure
from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError

ADDRESSES = st.binary(min_size=4, max_size=4) | st.binary(min_size=16, max_size=16)
MACS = st.binary(min_size=6, max_size=6)
INDEXES = st.integers(1, 2**31 - 1)


@st.composite
def routes(draw: st.DrawFn) -> Route:
    """Any route of either family."""
    destination = draw(ADDRESSES)
    size = len(destination)
    return Route(
        destination,
        draw(st.integers(0, 8 * size)),
        draw(st.just(b"") | st.binary(min_size=size, max_size=size)),
        "link",
        draw(st.booleans()),
        draw(st.sampled_from([0, 253])),
        draw(st.integers(0, 2**32 - 1)),
        draw(st.integers(0, 255)),
    )


def encoded_by_pyroute2(kind: type, header: dict[str, int], fields: dict[str, int], attributes: Any) -> bytes:
    """The message as pyroute2 packs it."""
    message = kind()
    message["header"].update(header)
    for name, value in fields.items():
        message[name] = value
    message["attrs"] = attributes
    message.encode()
    return bytes(message.data)


def canonical(message: bytes, body: int) -> tuple[bytes, list[bytes]]:
    """A message's headers, and its attributes in an order that means nothing."""
    attributes, position = [], 16 + body
    while position < len(message):
        length = struct.unpack_from("=H", message, position)[0]
        attributes.append(message[position : position + length])
        position += (length + 3) & ~3
    return message[: 16 + body], sorted(attributes)


@given(routes(), INDEXES, st.booleans())
def test_routes_are_encoded_as_pyroute2_does(route: Route, index: int, deletion: bool) -> None:
    family = socket.AF_INET if len(route.destination) == 4 else socket.AF_INET6
    attributes = [("RTA_DST", to_text(route.destination)), ("RTA_OIF", index)]
    if route.gateway:
        attributes.append(("RTA_GATEWAY", to_text(route.gateway)))
    if deletion and route.metric:
        attributes.append(("RTA_PRIORITY", route.metric))
    theirs = encoded_by_pyroute2(
        rtmsg,
        {"type": 25 if deletion else 24, "flags": 1 if deletion else 0x501, "sequence_number": 0, "pid": 0},
        {
            "family": family,
            "dst_len": route.prefixlen,
            "tos": route.tos,
            "table": 254,
            "proto": 0 if deletion else 3,
            "scope": 255 if deletion else route.scope,
            "type": 1,
            "flags": 4 if route.onlink and not deletion else 0,
        },
        attributes,
    )
    ours = (rtnetlink.encode_route_deletion if deletion else rtnetlink.encode_route)(route, index)
    assert canonical(ours, 12) == canonical(theirs, 12)


@given(ADDRESSES, MACS, INDEXES, st.booleans(), st.booleans())
def test_neighbours_and_fdb_entries_are_encoded_as_pyroute2_does(
    address: bytes, mac: bytes, index: int, deletion: bool, fdb: bool
) -> None:
    family = 7 if fdb else socket.AF_INET if len(address) == 4 else socket.AF_INET6
    theirs = encoded_by_pyroute2(
        ndmsg,
        {"type": 29 if deletion else 28, "flags": 1 if deletion else 0x501, "sequence_number": 0, "pid": 0},
        {
            "family": family,
            "ifindex": index,
            "state": 0 if deletion and not fdb else 0x80,
            "flags": 2 if fdb else 0,
            "ndm_type": 0 if deletion or fdb else 1,
        },
        [("NDA_DST", to_text(address)), ("NDA_LLADDR", mac_text(mac))],
    )
    if fdb:
        encode = rtnetlink.encode_fdb_deletion if deletion else rtnetlink.encode_fdb
        ours = encode(FdbEntry("link", mac, address), index)
    else:
        put = rtnetlink.encode_neighbour_deletion if deletion else rtnetlink.encode_neighbour
        ours = put(Neighbour("link", address, mac), index)
    assert canonical(ours, 12) == canonical(theirs, 12)


@given(routes().filter(lambda route: route.prefixlen > 0), INDEXES)
def test_a_route_reads_back(route: Route, index: int) -> None:
    message = rtnetlink.encode_route(route, index)
    reader = rtnetlink.RouteReader({index: "link"}, lambda _destination, _length: True)
    reader(message, 16, len(message))
    (seen,) = reader.routes
    assert seen.route == route._replace(metric=0)
    assert (seen.protocol, seen.exact) == (3, True)


@given(st.binary(min_size=16, max_size=200))
def test_readers_survive_any_body(body: bytes) -> None:
    """The kernel sends whole headers; whatever attributes follow are read without fault and without end."""
    readers = (
        rtnetlink.RouteReader({}, lambda _destination, _length: True),
        rtnetlink.NeighbourReader(0, 0),
        rtnetlink.AddressReader(),
    )
    for reader in readers:
        reader(body + bytes(4), 0, len(body))


def acknowledgement(sequence: int, code: int = 0, reason: str = "") -> bytes:
    """The kernel's answer to message `sequence`."""
    text = reason.encode() + b"\0"
    padded = text + bytes(-len(text) % 4)
    extra = struct.pack("=HH", len(text) + 4, 1) + padded if reason else b""
    body = struct.pack("=i", -code) + struct.pack("=IHHII", 36, 24, 5, sequence, 0) + extra
    return struct.pack("=IHHII", 16 + len(body), 2, 0x300 if reason else 0x100, sequence, 0) + body


class FakeSocket:
    """A netlink socket whose kernel refuses what `refuse` says and loses what `lose` says."""

    def __init__(self, refuse: dict[bytes, tuple[int, str]] | None = None) -> None:
        self.refuse = refuse or {}
        self.sent: list[list[bytes]] = []
        self.trouble: list[OSError] = []
        self.largest = 10**9
        self.answers: list[bytes] = []
        self.blocking = True

    def send(self, data: bytes | bytearray) -> int:
        if len(data) > self.largest:
            raise OSError(errno.EMSGSIZE, "too long")
        messages, position = [], 0
        while position < len(data):
            length, _kind, flags, sequence, _pid = struct.unpack_from("=IHHII", data, position)
            payload = bytes(data[position + 16 : position + length])
            messages.append(payload)
            code, reason = self.refuse.get(payload, (0, ""))
            if code or flags & 4:
                self.answers.append(acknowledgement(sequence, code, reason))
            position += length
        self.sent.append(messages)
        return len(data)

    def recv(self, _size: int) -> bytes:
        if self.blocking and self.trouble:
            raise self.trouble.pop(0)
        if not self.answers:
            # What the real one raises that has a timeout, and what it raises that has none and does not block.
            raise TimeoutError("timed out") if self.blocking else BlockingIOError(errno.EAGAIN, "nothing")
        return self.answers.pop(0)

    def setblocking(self, flag: bool) -> None:
        self.blocking = flag

    def settimeout(self, _seconds: float) -> None:
        self.blocking = True

    def close(self) -> None:
        return


def connection(fake: FakeSocket) -> Connection:
    """A connection over a fake socket."""
    made = Connection()
    made._socket.close()
    vars(made)["_socket"] = fake
    return made


def messages(count: int) -> list[bytes]:
    """`count` messages whose bodies are their numbers."""
    return [struct.pack("=IHHII", 20, 24, 1, 0, 0) + struct.pack("=I", number) for number in range(count)]


def bodies(numbers: Sequence[int]) -> list[bytes]:
    return [struct.pack("=I", number) for number in numbers]


def test_batches() -> None:
    fake = FakeSocket()
    assert connection(fake).send(messages(1203)) == []
    assert [len(batch) for batch in fake.sent] == [500, 500, 203]
    assert [body for batch in fake.sent for body in batch] == bodies(range(1203))


def test_failures_keep_their_place_and_reason() -> None:
    refused = {bodies([7])[0]: (errno.ENETUNREACH, "Nexthop has invalid gateway"), bodies([1202])[0]: (errno.EPERM, "")}
    failures = connection(FakeSocket(refused)).send(messages(1203))
    assert failures == [Failure(7, errno.ENETUNREACH, "Nexthop has invalid gateway"), Failure(1202, errno.EPERM, "")]
    assert failures[0].text() == "Network is unreachable: Nexthop has invalid gateway"
    assert failures[1].text() == "Operation not permitted"


LATE = TimeoutError("timed out")


@pytest.mark.parametrize(
    ("trouble", "batches"),
    [([OSError(errno.ENOBUFS, "lost")], [10, 5, 5]), ([LATE], [10, 10]), ([LATE, LATE], [10, 10, 10])],
)
def test_a_lost_answer_is_asked_for_again(trouble: list[OSError], batches: list[int]) -> None:
    fake = FakeSocket({bodies([3])[0]: (errno.EINVAL, "")})
    fake.trouble = list(trouble)
    assert connection(fake).send(messages(10)) == [Failure(3, errno.EINVAL, "")]
    assert [len(batch) for batch in fake.sent] == batches


@pytest.mark.parametrize("trouble", [[OSError(errno.ENOBUFS, "lost")], [LATE, LATE]])
def test_a_lost_answer_to_a_lookup_is_asked_for_again(trouble: list[OSError]) -> None:
    fake = FakeSocket()
    fake.trouble = list(trouble)
    assert connection(fake).lookup([bytes(4), bytes(16)]) == [(0, b""), (0, b"")]
    assert [len(batch) for batch in fake.sent] == [2] * (len(trouble) + 1)


def test_a_kernel_that_never_answers_is_named_with_the_host() -> None:
    for ask in (lambda one: one.send(messages(3)), lambda one: one.lookup([bytes(4)]), lambda one: one.addresses()):
        fake = FakeSocket()
        fake.trouble = [LATE] * 3
        made = connection(fake)
        vars(made)["_host"] = "n1"
        with pytest.raises(
            PodnetError, match=r"host n1: the kernel fails to answer over netlink \(timed out\); run again"
        ):
            ask(made)
        assert len(fake.sent) == 3


def test_a_batch_that_is_too_long_is_split() -> None:
    fake = FakeSocket()
    fake.largest = 100
    assert connection(fake).send(messages(33)) == []
    assert [body for batch in fake.sent for body in batch] == bodies(range(33))
    assert max(len(batch) for batch in fake.sent) <= 5


def test_a_socket_that_never_recovers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    fake = FakeSocket()
    fake.largest = 1
    with pytest.raises(PodnetError, match=r"fails to answer over netlink .*; run again"):
        connection(fake).send(messages(1))


def dump(numbers: Sequence[int], sequence: int, flags: int = 2, code: int = 0) -> bytes:
    """A dump that fits into one buffer."""
    parts = [struct.pack("=IHHII", 20, 24, flags, sequence, 0) + struct.pack("=I", number) for number in numbers]
    parts.append(struct.pack("=IHHII", 20, 3, flags, sequence, 0) + struct.pack("=i", -code))
    return b"".join(parts)


class Collect:
    """Reads the numbers of a dump."""

    def __init__(self) -> None:
        self.numbers: list[int] = []

    def __call__(self, data: bytes, position: int, end: int) -> None:
        assert end - position == 4
        self.numbers.append(struct.unpack_from("=I", data, position)[0])


def collected(fake: FakeSocket, answers: list[bytes | OSError]) -> list[int]:
    """The numbers that a dump gives when the socket answers so."""
    made, collect = connection(fake), Collect()
    queue = list(answers)

    def recv(_size: int) -> bytes:
        answer = queue.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    vars(fake)["recv"] = recv
    vars(made)["_drain"] = lambda: None
    made.dump(26, b"", collect, collect.numbers.clear)
    return collect.numbers


def test_a_dump_that_was_interrupted_is_asked_for_again() -> None:
    assert collected(FakeSocket(), [dump([1, 2], 1, flags=0x12), dump([1, 2, 3], 2)]) == [1, 2, 3]


def test_a_dump_that_overran_is_asked_for_again() -> None:
    assert collected(FakeSocket(), [OSError(errno.ENOBUFS, "overrun"), dump([5], 2)]) == [5]


def test_a_dump_that_never_holds_still_is_taken_as_it_is() -> None:
    assert collected(FakeSocket(), [dump([number], number, flags=0x12) for number in range(1, 11)]) == [10]


def test_a_dump_that_fails() -> None:
    with pytest.raises(PodnetError, match="Operation not permitted"):
        collected(FakeSocket(), [dump([], 1, code=errno.EPERM)])


def test_answers_to_older_requests_are_passed_over() -> None:
    assert collected(FakeSocket(), [dump([9], 77), dump([1], 1)]) == [1]
