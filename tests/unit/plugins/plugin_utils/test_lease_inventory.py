# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Leases as hosts of an inventory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.plugin_utils import _lease_inventory as inventory

LEASE: dict[str, Any] = {
    "name": "",
    "subnet": "10.244.1.0/24",
    "ipv6_subnet": None,
    "public_ip": "192.0.2.1",
    "public_ipv6": None,
    "backend_type": "host-gw",
    "backend_data": None,
    "backend_v6_data": None,
    "ttl": None,
}
KNOWN = {
    "name": "web",
    "verdict": "well",
    "state": "heard",
    "compared": True,
    "drift": [],
    "public_ips": {"4": "192.0.2.1"},
}


def host(document: dict[str, Any] | None = None, node: dict[str, Any] | None = None, **lease: Any) -> inventory.Host:
    nodes = {} if node is None else {lease["name"]: node}
    answer: inventory.Answer = {"leases": [{**LEASE, **lease}], "nodes": nodes, "problems": []}
    [found] = inventory.hosts(answer, document or {}, "flannel", 3540)
    return found


@pytest.mark.parametrize(
    ("lease", "name", "address"),
    [
        ({}, "192.0.2.1", "192.0.2.1"),
        ({"name": "node-1"}, "node-1", "192.0.2.1"),
        ({"public_ip": None, "public_ipv6": "2001:db8::1"}, "2001:db8::1", "2001:db8::1"),
        ({"public_ip": None}, "10.244.1.0/24", None),
    ],
)
def test_name_and_address(lease: dict[str, Any], name: str, address: str | None) -> None:
    found = host(**lease)
    assert (found.name, found.variables.get("ansible_host")) == (name, address)


def test_a_host_of_the_status_has_its_name_there() -> None:
    found = host({"hosts": [KNOWN]})
    assert found.name == "web"
    assert found.groups == ["flannel_backend_host-gw"]


@pytest.mark.parametrize(
    ("document", "node", "lease", "silent"),
    [
        ({}, None, {"ttl": None}, False),
        ({}, None, {"ttl": 3541}, False),
        ({}, None, {"ttl": 3540}, True),
        ({}, {"labels": {}, "ready": True}, {"name": "node-1"}, False),
        ({}, {"labels": {}, "ready": False}, {"name": "node-1"}, True),
        ({"hosts": [KNOWN]}, None, {}, False),
        ({"hosts": [{**KNOWN, "state": "silent"}]}, None, {}, True),
        ({"hosts": [{**KNOWN, "state": "left_out"}]}, None, {}, False),
    ],
)
def test_silence(document: dict[str, Any], node: dict[str, Any] | None, lease: dict[str, Any], silent: bool) -> None:
    assert ("flannel_silent" in host(document, node, **lease).groups) is silent


def test_the_status_says_when_it_was_taken_and_whether_the_kernel_was_compared() -> None:
    found = host({"taken": "2026-11-29T11:58:08+00:00", "hosts": [KNOWN]}).variables["pod_network_status"]
    assert (found["taken"], found["compared"]) == ("2026-11-29T11:58:08+00:00", True)


def test_no_status_file_is_an_empty_document() -> None:
    assert inventory.read_document(None) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read"),
        ("[]", "is not a podnet.cni/status document"),
        (json.dumps({"schema": "else", "version": 1}), "is not a podnet.cni/status document"),
        (json.dumps({"schema": "podnet.cni/status", "version": 2}), "has version 2, this release"),
        (json.dumps({"schema": "podnet.cni/status"}), "has version None"),
    ],
)
def test_a_file_that_is_no_document(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "status.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        inventory.read_document(file)


def test_a_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"status_file .*cannot be read"):
        inventory.read_document(tmp_path / "none.json")
