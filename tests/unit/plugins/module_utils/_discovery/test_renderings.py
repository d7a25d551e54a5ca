# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What installers have made and make of each network, and what discovery says of it, whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._discovery.record import PLUGINS
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery import renderings
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery.fakes import cidrs

ROWS = renderings.rows()
KEPT = json.loads(renderings.KEPT.read_text(encoding="utf-8"))

READ: dict[str, Callable[[dict[str, Any], list[dict[str, Any]]], Any]] = {
    "pods": lambda record, _all: cidrs(record),
    "services": lambda record, _all: cidrs(record, "service"),
    "policy": lambda record, _all: record["policy"]["provider"],
    "conf": lambda record, _all: record["cni"]["conf_name"],
    "health": lambda record, _all: record["health"]["state"],
    "workloads": lambda record, _all: len(record["workloads"]),
    "components": lambda _record, everything: [item["plugin"] for item in everything],
    **{name: (lambda record, _all, name=name: record["networking"][name]) for name in ("encapsulation", "ipam", "mtu")},
}


def test_there_are_enough_and_each_network_is_among_them() -> None:
    assert len(ROWS) >= 60
    assert set(KEPT) == set(ROWS)
    found = {record["plugin"] for records in KEPT.values() for record in records}
    assert found == set(PLUGINS) - {"unknown"}


@pytest.mark.parametrize("name", ROWS)
def test_what_discovery_says(name: str) -> None:
    records = renderings.records_of(ROWS[name])
    first = records[0]
    for key, value in ROWS[name]["expect"].items():
        assert READ.get(key, lambda record, _all, key=key: record[key])(first, records) == value, key
    assert records == KEPT[name], "the whole record"
