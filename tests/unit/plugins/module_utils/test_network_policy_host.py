# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What speaks against the sidecar on a node, from facts and from what a node's files say."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils import _network_policy_host as host
from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError, InputError

GOOD = host.Facts(
    kernel="6.12.9-amd64",
    probes=dict.fromkeys(host.PROBES, True),
    queue_module=True,
    bridge=(True, True),
    table=False,
    flannel_nftables=False,
    conntrack=(10, 1000),
)
RUNNING = {"table": True, "table_queues": ((98, True),), "queues": {98: 4711}, "listening": frozenset({9080})}


def judged(**changes: Any) -> list[tuple[str, str]]:
    facts = dataclasses.replace(GOOD, **changes)
    return [(each.check, each.level) for each in host.evaluate(facts, 98, 9080)]


@pytest.mark.parametrize(
    ("changes", "findings"),
    [
        ({}, []),
        (RUNNING, []),
        ({"probes": {**GOOD.probes, "queue": False}}, [("queue", "error")]),
        ({"probes": {}}, [(name, "warning") for name in host.PROBES]),
        ({"queue_module": False}, [("queue_module", "error")]),
        ({"kernel": "5.10.0"}, [("kernel", "warning")]),
        ({"kernel": "custom"}, []),
        ({"conntrack": (950, 1000)}, [("conntrack", "warning")]),
        ({"bridge": (None, None)}, [("bridge", "error")]),
        ({"bridge": (False, True)}, [("bridge", "error")]),
        ({"bridge": (True, False)}, [("bridge", "warning")]),
        ({"queues": {98: 1}}, [("queue_taken", "error")]),
        ({"queues": {100: 1}}, []),
        ({"listening": frozenset({9080})}, [("port_taken", "warning")]),
        ({"table": None}, [("leftover", "warning")]),
        ({"table": True, "table_queues": ((98, True),)}, [("leftover", "warning")]),
        ({"table": True, "table_queues": ((98, False),)}, [("leftover", "error")]),
        ({"table": True, "table_queues": ((100, True),), "queues": {100: 1}}, []),
    ],
)
def test_findings(changes: dict[str, Any], findings: list[tuple[str, str]]) -> None:
    assert judged(**changes) == findings


def test_nftables_mode_makes_the_missing_module_a_silent_fault() -> None:
    for mode, says in ((True, True), (False, False)):
        facts = dataclasses.replace(GOOD, bridge=(None, None), flannel_nftables=mode)
        assert ("nftables mode" in host.evaluate(facts, 98, 0)[0].text) is says


def test_queue_file() -> None:
    assert host.parse_queues("   98  31621     0 2  128     0     0        0  1\n") == {98: 31621}
    assert host.parse_queues("") == {}


def test_listening_ports() -> None:
    text = (
        "  sl  local_address rem_address   st tx_queue\n"
        "   0: 0100007F:2378 00000000:0000 0A 00000000:00000000\n"
        "   1: 0100007F:0016 0100007F:9999 01 00000000:00000000\n"
    )
    assert host.parse_listening(text) == {9080}


@pytest.mark.parametrize(
    ("flags", "bypass"), [("bypass", True), (["bypass", "fanout"], True), ([], False), (None, False)]
)
def test_queues_of_a_table(flags: Any, bypass: bool) -> None:
    queue = {"num": 98} if flags is None else {"num": 98, "flags": flags}
    objects = [{"chain": {}}, {"rule": {"expr": [{"match": {}}, {"queue": queue}]}}, {"rule": {}}]
    assert host.parse_table(objects) == ((98, bypass),)


class Node:
    """A node whose nft answers what it is told."""

    def __init__(self, path: Path, tables: Sequence[tuple[str, str]] = (), queues: str = "", rules: Any = ()) -> None:
        self.tables = tables
        self.rules = rules
        self.scripts: list[str] = []
        self.proc = str(path)
        (path / "net" / "netfilter").mkdir(parents=True)
        (path / "net" / "netfilter" / "nfnetlink_queue").write_text(queues)

    def run(self, command: Sequence[str], text: str | None = None) -> tuple[int, str, str]:
        if command[0] != "nft":
            raise FileNotFoundError(command[0])
        if command[-1] == "list tables":
            listed = [{"table": {"family": family, "name": name}} for family, name in self.tables]
            return 0, json.dumps({"nftables": listed}), ""
        if command[1] == "-j":
            return 0, json.dumps({"nftables": list(self.rules)}), ""
        if command[1] == "list":
            return 0, "table inet kube-network-policies {\n}\n", ""
        self.scripts.append(text or "")
        return 1 if "queue" in (text or "") else 0, "", ""


def test_gather_with_a_kernel_that_has_no_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    node = Node(tmp_path, [("ip", "flannel-ipv4")])
    facts = host.gather(node.run, node.proc)
    assert facts.probes == {"nftables": True, "queue": False, "conntrack_labels": True}
    assert (facts.queue_module, facts.bridge, facts.flannel_nftables, facts.table) == (True, (None, None), True, False)


def test_gather_needs_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(InputError, match="become"):
        host.gather(Node(tmp_path).run, str(tmp_path))


def test_gather_without_nft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: Sequence[str], _text: str | None) -> tuple[int, str, str]:
        raise FileNotFoundError(command[0])

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    facts = host.gather(run, str(tmp_path))
    assert set(facts.probes.values()) == {None}
    assert (facts.table, facts.queue_module) == (None, None)
    with pytest.raises(InputError, match="nft is not on PATH"):
        host.remove(run, 98, force=False, check_mode=False)


def test_a_table_in_use_stays_unless_forced(tmp_path: Path) -> None:
    rules = [{"rule": {"expr": [{"queue": {"num": 7, "flags": "bypass"}}]}}]
    node = Node(tmp_path, [("inet", host.TABLE)], " 7 4711 0 2 128 0 0 0 1\n", rules)
    with pytest.raises(ConflictError, match="still listens"):
        host.remove(node.run, 98, force=False, check_mode=False, proc=node.proc)
    assert node.scripts == []
    assert host.remove(node.run, 98, force=True, check_mode=True, proc=node.proc)
    assert node.scripts == []
    assert host.remove(node.run, 98, force=True, check_mode=False, proc=node.proc)
    assert node.scripts == ["delete table inet kube-network-policies\n"]
