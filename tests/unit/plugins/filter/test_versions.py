# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The version matrix as filters."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.podnet.cni.plugins.filter.version_changes import version_changes
from ansible_collections.podnet.cni.plugins.filter.version_support import version_support


def test_support_is_plain_data() -> None:
    answer = version_support({"flannel": "0.27.4", "kubernetes": "1.99"}, {"enable_nftables": True})
    assert answer["supported"] is False and answer["problems"] == []
    assert answer["unknown"] == ["kubernetes 1.99 is not in the matrix; the nearest row is 1.37."]
    [need] = answer["needs"]
    assert set(need) == {"id", "text", "remedy", "source"} and need["id"] == "br-netfilter-in-nftables-mode"


def test_changes_of_all_products_that_both_sides_name() -> None:
    now = {"flannel": "0.28.8", "kubernetes": "1.34", "calico": "3.32"}
    found = version_changes(now, {"kubernetes": "1.35", "flannel": "0.28.9", "cni_plugins": "1.9.1"})
    assert [entry["product"] for entry in found] == ["flannel"] * 2 + ["kubernetes"] * 3
    assert set(found[0]) == {"product", "version", "id", "text", "action", "impact", "source"}


def test_an_unknown_version_fails_or_is_told() -> None:
    with pytest.raises(AnsibleFilterError, match=r"flannel 0\.99\.0 is not in the matrix"):
        version_changes({"flannel": "0.28.9"}, {"flannel": "0.99.0"})
    [entry] = version_changes({"flannel": "0.28.9"}, {"flannel": "0.99.0"}, on_unknown="tell")
    assert (entry["id"], entry["version"], entry["impact"]) == ("unknown-version", "0.99.0", "manual")
    assert entry["source"] == "https://github.com/flannel-io/flannel"


@pytest.mark.parametrize(
    ("call", "arguments", "message"),
    [
        (version_support, (["flannel"],), "needs a dictionary as _input"),
        (version_support, ({"flannel": "0.28"}, "nodes"), "needs a dictionary as features"),
        (version_support, ({"weave": "2.8"},), "'weave' is not a product"),
        (version_changes, ({}, "1.36"), "needs a dictionary as target"),
        (version_changes, ({"flannel": 0.28}, {"flannel": "0.28.9"}), "give a version as text"),
        (version_changes, ({}, {}, "ignore"), "on_unknown is 'ignore'"),
    ],
)
def test_bad_input_is_named(call: Any, arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=message):
        call(*arguments)
