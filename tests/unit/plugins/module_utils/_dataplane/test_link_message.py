# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Links that not every kernel has, and messages that lack what a link usually says."""

from __future__ import annotations

import struct

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._dataplane import link_message


def attribute(kind: int, data: bytes) -> bytes:
    return struct.pack("=HH", len(data) + 4, kind) + data + bytes(-len(data) % 4)


def message(kind: bytes, traits: bytes, flags: int = 1) -> bytes:
    information = attribute(1, kind + b"\0") + attribute(2, traits)
    body = attribute(3, b"flannel.ipip\0") + attribute(4, struct.pack("=I", 1480)) + attribute(18 | 0x8000, information)
    return struct.pack("=BBHiII", 0, 0, 768, 9, flags, 0) + body


@pytest.mark.parametrize(("remote", "strange"), [(bytes(4), ""), (b"\xc6\x12\0\x09", "it has a remote address")])
def test_ipip(remote: bytes, strange: str) -> None:
    data = message(b"ipip", attribute(2, b"\xc6\x12\0\x01") + attribute(3, remote))
    seen = link_message.read(data, 0, len(data), {})
    assert seen.link == link_message.Link("flannel.ipip", "ipip", 1480, local=b"\xc6\x12\0\x01")
    assert (seen.ifindex, seen.up, seen.strange) == (9, True, strange)


def test_a_link_that_says_nothing_of_itself() -> None:
    data = struct.pack("=BBHiII", 0, 0, 1, 3, 0, 0) + attribute(3, b"eth0\0")
    seen = link_message.read(data, 0, len(data), {})
    assert (seen.link, seen.up) == (link_message.Link("eth0", "", 0), False)
    vxlan = message(b"vxlan", b"", flags=0)
    assert link_message.read(vxlan, 0, len(vxlan), {}).link.vni == 0
