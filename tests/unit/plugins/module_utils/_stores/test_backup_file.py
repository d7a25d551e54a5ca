# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The file of a backup gives back what went in, and is refused after the smallest change."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import lease as lease_codec
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import Lease
from ansible_collections.podnet.cni.plugins.module_utils._stores import backup_file
from ansible_collections.podnet.cni.plugins.module_utils._stores.backup_file import Backup

NODE = Lease(
    IPv4Network("10.244.1.0/24"),
    public_ip=IPv4Address("198.18.0.1"),
    backend_type="vxlan",
    backend_data={"VNI": 1, "VtepMAC": "02:00:00:00:00:01"},
    name="node-1",
)
LEASES = (NODE, replace(NODE, subnet=IPv4Network("10.244.2.0/24"), public_ip=IPv4Address("198.18.0.2"), ttl=3600))
CONFIG = {"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}
BACKUP = Backup("2026-11-20T14:03:11Z", "etcd", "/coreos.com/network", CONFIG, (), LEASES)

WORDS = st.text(st.characters(codec="utf-8"), max_size=12)
DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)


def subnets(family: int) -> st.SearchStrategy[Any]:
    bits, kind = (128, IPv6Network) if family == 6 else (32, IPv4Network)
    lengths = st.integers(0, bits)
    return st.builds(
        lambda number, length: kind((number >> (bits - length) << (bits - length), length)),
        st.integers(0, 2**bits - 1),
        lengths,
    )


ANY_LEASE = st.builds(
    Lease,
    subnet=subnets(4),
    ipv6_subnet=st.none() | subnets(6),
    public_ip=st.none() | st.builds(IPv4Address, st.integers(1, 2**32 - 1)),
    public_ipv6=st.none() | st.builds(IPv6Address, st.integers(0, 2**128 - 1)),
    backend_type=WORDS,
    backend_data=DATA,
    backend_v6_data=DATA,
    ttl=st.none() | st.integers(0, 2**31),
    name=WORDS,
)


def parsed(text: str) -> Backup:
    return backup_file.parse(text.encode(), "/b.json")


@given(st.lists(ANY_LEASE, max_size=5), st.dictionaries(WORDS, DATA, max_size=3), st.lists(WORDS, max_size=2))
def test_any_set_of_leases_comes_back(leases: list[Lease], config: dict[str, Any], secrets: list[str]) -> None:
    backup = replace(BACKUP, leases=tuple(leases), network_config=config, secrets=tuple(secrets))
    text = backup_file.render(backup)
    assert parsed(text) == backup
    assert backup_file.render(parsed(text)) == text


@pytest.mark.parametrize(
    "value",
    [
        '{"PublicIP":"198.18.0.9","PublicIPv6":null}',
        '{"PublicIP":"198.18.0.9","BackendType":"extension","BackendData":"a \\"b\\"\\u003c"}',
        '{"PublicIP":"198.18.0.9","BackendType":"vxlan","BackendData":{"VNI":1,"VNI":-0,"VtepMAC":"\\u0030"}}',
        '{"PublicIP":"198.18.0.9","BackendData":{},"BackendV6Data":[1e30,0.1,""]}',
    ],
)
def test_what_flanneld_wrote_comes_back(value: str) -> None:
    lease = lease_codec.decode("10.244.9.0-24", value)
    assert parsed(backup_file.render(replace(BACKUP, leases=(lease,)))).leases == (lease,)


def test_the_form_of_the_file_stays() -> None:
    text = backup_file.render(BACKUP)
    body, _comma, end = text.rpartition(",\n")
    assert end == f' "sha256": "{hashlib.sha256(body.encode()).hexdigest()}"\n}}\n'
    found = json.loads(text)
    assert list(found) == [
        *("format", "version", "created", "store", "where", "network_config", "secrets_left_out", "leases", "sha256")
    ]
    assert (found["format"], found["version"]) == ("podnet.cni flannel leases", 1)
    assert found["leases"] == [lease_codec.to_dict(lease) for lease in LEASES]
    assert len(text.splitlines()) == 12 + len(LEASES), "a line for each lease"


def test_every_change_of_one_octet_is_refused() -> None:
    content = backup_file.render(BACKUP).encode()
    for place in range(len(content)):
        for octet in range(256):
            if octet == content[place]:
                continue
            changed = bytearray(content)
            changed[place] = octet
            with pytest.raises(InputError, match=r"^path: /b\.json "):
                backup_file.parse(bytes(changed), "/b.json")


def test_every_shorter_and_longer_file_is_refused() -> None:
    content = backup_file.render(BACKUP).encode()
    for place in range(len(content)):
        for changed in (
            content[:place],
            content[place + 1 :],
            content[:place] + b" " + content[place:],
            content + b"\n",
        ):
            with pytest.raises(InputError, match=r"^path: /b\.json "):
                backup_file.parse(changed, "/b.json")


def sealed(body: str) -> bytes:
    return f'{body},\n "sha256": "{hashlib.sha256(body.encode()).hexdigest()}"\n}}\n'.encode()


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (
            '"version": 1',
            '"version": 2',
            "of version 2, and this release of podnet.cni reads version 1. Use the release",
        ),
        ('"version": 1', '"version": 0', "version 0 of a store 'etcd' was never written"),
        (
            "podnet.cni flannel",
            "podnet.cni Flannel",
            "is not a backup of leases, or its beginning is damaged. Name the",
        ),
        ('"etcd"', '"consul"', "of a store 'consul' was never written"),
        ('"10.244.1.0/24"', '"10.244.1.0"', "subnet '10.244.1.0' is not an IPv4 subnet"),
        ('"10.244.1.0/24"', "null", r"leases\[0\] has no subnet"),
        ('"created": "2026-11-20T14:03:11Z"', '"created": 1', "created is a number"),
        ('"secrets_left_out": []', '"secrets": []', "'secrets_left_out'"),
        ('"leases": [', '"leases": [1,', r"leases\[0\] must be a dictionary"),
    ],
)
def test_a_file_that_is_whole_and_not_ours_is_refused_by_name(old: str, new: str, why: str) -> None:
    body = backup_file.render(BACKUP).rpartition(",\n")[0].replace(old, new, 1)
    with pytest.raises(InputError, match=f"^path: /b.json .*{why}"):
        backup_file.parse(sealed(body), "/b.json")


def test_each_refusal_tells_what_to_do() -> None:
    content = backup_file.render(BACKUP).encode()
    for changed, why in (
        (b"", "is not a backup of leases"),
        (b'{"Network": "10.244.0.0/16"}', "is not a backup of leases"),
        (content[:-20], "does not end with its checksum, so a part of it is missing. Use another copy"),
        (content.replace(b"198.18.0.2", b"198.18.0.3"), "does not match its checksum, so it is damaged or was edited"),
    ):
        with pytest.raises(InputError, match=why):
            backup_file.parse(changed, "/b.json")


def test_time_that_passes_is_no_difference() -> None:
    later = replace(BACKUP, created="2026-11-21T00:00:00Z", leases=(LEASES[0], replace(LEASES[1], ttl=60)))
    assert backup_file.same(BACKUP, later)
    assert not backup_file.same(BACKUP, replace(BACKUP, leases=(LEASES[0], replace(LEASES[1], ttl=None))))
    assert not backup_file.same(BACKUP, replace(BACKUP, leases=LEASES[:1]))
    assert not backup_file.same(BACKUP, replace(BACKUP, where="/other"))
    assert not backup_file.same(BACKUP, replace(BACKUP, network_config={}))


def test_what_no_json_stands_for_is_named() -> None:
    with pytest.raises(InputError, match="leases"):
        backup_file.render(replace(BACKUP, leases=(replace(NODE, backend_data={"x": float("nan")}),)))
