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

from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError, InputError
from ansible_collections.podnet.cni.plugins.module_utils._network_policy_sidecar import host, owners, queue_trial
from ansible_collections.podnet.cni.plugins.module_utils._network_policy_sidecar.queue_trial import Trial

TRIED = (*queue_trial.RULES, queue_trial.VERDICTS)
GOOD = host.Facts(
    kernel="6.12.9-amd64",
    trial=Trial(dict.fromkeys(TRIED, True)),
    bridge=(True, True),
    table=False,
    flannel_nftables=False,
    conntrack=(10, 1000),
)
RUNNING = {"table": True, "table_queues": ((98, True),), "queues": {98: 4711}, "listening": frozenset({9080})}
OWN = {"queues": {98: 1}, "holders": {98: "netpol"}, "listening": frozenset({9080}), "port_holders": {9080: "netpol"}}
NO_QUEUE = Trial({**GOOD.trial.works, "queue": False, "verdicts": None}, {"queue": "No such file or directory"})


def judged(**changes: Any) -> list[tuple[str, str]]:
    facts = dataclasses.replace(GOOD, **changes)
    return [(each.check, each.level) for each in host.evaluate(facts, 98, 9080)]


@pytest.mark.parametrize(
    ("changes", "findings"),
    [
        ({}, []),
        (RUNNING, []),
        ({"trial": NO_QUEUE}, [("queue", "error")]),
        ({"trial": Trial()}, [(name, "warning") for name in ("nftables", "queue", "conntrack_labels")]),
        ({"trial": Trial({**GOOD.trial.works, "verdicts": False})}, [("verdicts", "error")]),
        (OWN, [("rules_missing", "error")]),
        ({**OWN, "table": None}, [("leftover", "warning")]),
        ({**RUNNING, **OWN}, []),
        (
            {**RUNNING, "holders": {98: "suricata"}},
            [("queue_taken", "error"), ("port_taken", "warning"), ("leftover", "warning")],
        ),
        ({**RUNNING, "port_holders": {9080: "nginx"}}, [("port_taken", "warning")]),
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


def answer(**changes: Any) -> str:
    facts = dataclasses.replace(GOOD, **changes)
    return host.can_enforce(facts, host.evaluate(facts, 98, 9080))[0]


def test_three_answers() -> None:
    assert (answer(), answer(trial=NO_QUEUE), answer(trial=Trial())) == ("yes", "no", "unknown")
    assert answer(bridge=(False, True)) == "no"
    assert answer(table=True, table_queues=((98, False),)) == "yes", "what was left behind does not bind the kernel"
    assert answer(trial=dataclasses.replace(NO_QUEUE, works={"nftables": False})) == "no", "one fault is enough"


@pytest.mark.parametrize("silent", TRIED)
def test_nothing_that_was_not_tried_counts_as_good(silent: str) -> None:
    assert answer(trial=Trial({**GOOD.trial.works, silent: None})) == "unknown"


def test_sockets_by_process(tmp_path: Path) -> None:
    """A container's netlink port is 1, whatever its process is called on the host."""
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "netlink").write_text(
        "sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode\n"
        "0 12 1 00000000 0 0 0 2 0 771\n0 0 1 00000000 0 0 0 2 0 5\n0 12 9 00000000 0 0 0 2 0 772\n"
    )
    (tmp_path / "net" / "tcp").write_text("sl local rem st\n0: 00000000:2378 00000000:0000 0A 0:0 0:0 0 0 0 773 1\n")
    (tmp_path / "4711" / "fd").mkdir(parents=True)
    (tmp_path / "4711" / "comm").write_text("netpol\n")
    for number, inode in ((3, 771), (4, 773)):
        (tmp_path / "4711" / "fd" / str(number)).symlink_to(f"socket:[{inode}]")
    found = owners.Owners(str(tmp_path))
    assert found.of_netlink({98: 1, 99: 9, 100: 8}) == {98: "netpol"}
    assert found.of_tcp() == {9080: "netpol"}


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
    monkeypatch.setattr(queue_trial, "in_new_namespace", lambda work: work())
    facts = host.gather(node.run, node.proc)
    assert facts.trial.works == {"nftables": True, "queue": False, "conntrack_labels": True, "verdicts": None}
    assert (facts.bridge, facts.flannel_nftables, facts.table) == ((None, None), True, False)
    assert host.can_enforce(facts, host.evaluate(facts, 98, 9080))[0] == "no"


def test_gather_needs_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(InputError, match="become"):
        host.gather(Node(tmp_path).run, str(tmp_path))


def test_gather_without_nft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: Sequence[str], _text: str | None) -> tuple[int, str, str]:
        raise FileNotFoundError(command[0])

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(queue_trial, "in_new_namespace", lambda work: work())
    facts = host.gather(run, str(tmp_path))
    assert set(facts.trial.works.values()) == {None}
    assert facts.table is None
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
