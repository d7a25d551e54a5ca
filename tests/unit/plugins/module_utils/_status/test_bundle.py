# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A support bundle: what is replaced, what stays, and the archive."""

from __future__ import annotations

import io
import json
import tarfile
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._status import bundle

HIDDEN = "hunter2-Zq8"
PEM = f"-----BEGIN RSA PRIVATE KEY-----\n{HIDDEN}\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    "value",
    [
        {"PSK": HIDDEN},
        {"etcd_password": HIDDEN},
        {"users": [{"user": {"token": HIDDEN}}]},
        {"client-key-data": HIDDEN},
        {"privateKey": HIDDEN},
        PEM,
        {"file": PEM},
        f"etcd_password: {HIDDEN}",
        f"PresharedKey = {HIDDEN}",
        f'{{"Backend":{{"Type":"wireguard","PSK":"{HIDDEN}"}}}}',
        f"Authorization: Bearer {HIDDEN}",
        f"flanneld --etcd-password={HIDDEN} --iface=eth0",
        f"flanneld --etcd-password {HIDDEN} --iface=eth0",
        f"https://reader:{HIDDEN}@192.0.2.1:2379",
        f"ETCD_PASSWORD='{HIDDEN} with spaces'",
        f"token={HIDDEN}, and more",
    ],
)
def test_secrets_are_replaced(value: Any) -> None:
    [text] = [one for path, one in bundle.contents({"x": value}, show_addresses=True).items() if path == "x"]
    assert HIDDEN not in text.decode()
    assert bundle.REDACTED in text.decode()


@pytest.mark.parametrize(
    "text",
    [
        "the key of the lease is 10.244.1.0-24",
        "public key AbCdEf= of peer",
        "https://192.0.2.1:2379 is unreachable",
        "no password was given",
        "passes all checks",
        "a secretary",
        '"keys": ["a", "b"]',
    ],
)
def test_what_is_none_stays(text: str) -> None:
    assert bundle.redacted(text) == text


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_the_second_time_changes_nothing(value: Any) -> None:
    once = bundle.redacted(value)
    assert bundle.redacted(once) == once


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("10.244.1.0/24 via 192.0.2.1 dev eth0", "ipv4-1/24 via ipv4-2 dev eth0"),
        ("192.0.2.1 and 192.0.2.1", "ipv4-1 and ipv4-1"),
        ("fe80::1%eth0, 2001:DB8::1 and [2001:db8::1]:2379", "ipv6-1%eth0, ipv6-2 and [ipv6-2]:2379"),
        ("lladdr 02:42:AC:14:00:07 and 02:42:ac:14:00:07", "lladdr mac-1 and mac-1"),
        ("http://192.0.2.1:2379", "http://ipv4-1:2379"),
        ("at 12:30:45, flannel v0.28.9, 5.10.0.1234", "at 12:30:45, flannel v0.28.9, 5.10.0.1234"),
        ("::ffff:192.0.2.1", "ipv6-1"),
        ("PublicIP:192.0.2.1, at 192.0.2.2.", "PublicIP:ipv4-1, at ipv4-2."),
    ],
)
def test_names_for_addresses(text: str, named: str) -> None:
    assert bundle.Pseudonyms()(text) == named


def test_an_address_has_one_name_in_all_files() -> None:
    made = bundle.contents({"hosts/192.0.2.1.json": {"a": "192.0.2.1"}, "b": "of 192.0.2.1"}, show_addresses=False)
    assert json.loads(made["hosts/ipv4-1.json"]) == {"a": "ipv4-1"}
    assert made["b"] == b"of ipv4-1\n"


def test_the_archive_lists_what_it_holds() -> None:
    made = bundle.contents({"b.txt": "two", "hosts/a.json": {"one": 1}}, show_addresses=True)
    packed = bundle.archive(made)
    assert packed == bundle.archive(made)
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        names = tar.getnames()
        assert {member.mode for member in tar} == {0o600}
    assert names == ["podnet-support/CONTENTS.txt", "podnet-support/b.txt", "podnet-support/hosts/a.json"]
    told = bundle.listing(packed)
    assert "b.txt  4 bytes" in told and "hosts/a.json" in told


@pytest.mark.parametrize("packed", [b"", b"no archive", bundle.archive({"other.txt": b"x"})])
def test_a_file_that_is_none_of_ours_has_no_list(packed: bytes) -> None:
    assert bundle.listing(packed) == ""


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../up", "a/../../b", "CONTENTS.txt"])
def test_paths_stay_inside(path: str) -> None:
    with pytest.raises(InputError, match="not a relative path"):
        bundle.contents({path: "x"}, show_addresses=True)


def test_what_a_bundle_holds() -> None:
    gathered = {
        "store": {"leases": []},
        "hosts": {"node1": {"facts": {"a": 1}, "journal": "started"}, "../odd host": {"reason": "it is silent"}},
    }
    found = bundle.files({"verdict": {}}, gathered, "well", {"ansible-core": "2.19"})
    assert found == {
        "status.json": {"verdict": {}},
        "status.txt": "well",
        "versions.json": {"ansible-core": "2.19"},
        "leases.json": {"leases": []},
        "hosts/node1.json": {"facts": {"a": 1}},
        "logs/node1.txt": "started",
        "hosts/..%2Fodd%20host.json": {"reason": "it is silent"},
        "logs/..%2Fodd%20host.txt": "nothing was read",
    }
    assert bundle.contents(found, show_addresses=True)
    of_cluster = bundle.files({}, {**gathered, "cluster": {"version": "v1.36.2"}}, "well", {})
    assert set(of_cluster) - set(found) == {"cluster.json"}
