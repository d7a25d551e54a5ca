# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The addresses of a namespace as the kernel tells them, and names that lead nowhere."""

from __future__ import annotations

import ipaddress
import os
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._host import namespace

ADDRESSES = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6))
DONE = struct.pack("=IHHIIi", 20, 3, 0, 1, 0, 0)


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def message(*attributes: bytes) -> bytes:
    body = struct.pack("=BBBBI", 2, 24, 0, 0, 1) + b"".join(attributes)
    return struct.pack("=IHHII", 16 + len(body), 20, 2, 1, 0) + body


@given(st.lists(st.tuples(ADDRESSES, st.binary(max_size=9)), max_size=8), st.integers(1, 8))
def test_every_address_of_a_dump_is_read(entries: list[tuple[ipaddress.IPv4Address, bytes]], part: int) -> None:
    """Whatever other attributes there are, and however the kernel divides its answer into parts."""
    messages = [message(attribute(3, label), attribute(1, address.packed)) for address, label in entries]
    parts = [b"".join(messages[start : start + part]) for start in range(0, len(messages), part)]
    assert list(namespace.read_dump([*parts, DONE])) == [address for address, _label in entries]


def test_the_own_end_of_a_link_between_two_counts() -> None:
    peer, own = ipaddress.ip_address("192.0.2.2"), ipaddress.ip_address("192.0.2.1")
    assert list(namespace.read_dump([message(attribute(1, peer.packed), attribute(2, own.packed)) + DONE])) == [own]


def test_an_error_of_the_kernel_is_raised() -> None:
    with pytest.raises(PermissionError):
        list(namespace.read_dump([struct.pack("=IHHIIi", 36, 2, 0, 1, 0, -1) + b"\0" * 16]))


def test_the_host_has_its_loopback() -> None:
    assert ipaddress.ip_address("127.0.0.1") in namespace.local_addresses()


def test_a_name_that_leads_nowhere_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"netns is 'no-such-pod', but /run/netns/no-such-pod cannot be opened"):
        namespace.open_named("no-such-pod")
    plain = tmp_path / "plain"
    plain.touch()
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(InputError, match=r"plain cannot be entered: (it is not a network namespace|that needs root)\."):
        namespace.open_named(str(plain))
    assert len(os.listdir("/proc/self/fd")) == before
