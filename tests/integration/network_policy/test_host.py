# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The modules for nodes in a network namespace of a real kernel."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._host.command import plain_runner
from ansible_collections.podnet.cni.plugins.module_utils._network_policy_sidecar import queue_trial
from ansible_collections.podnet.cni.plugins.module_utils._status import document
from ansible_collections.podnet.cni.tests.integration._kernel import differs, needs
from ansible_collections.podnet.cni.tests.integration._warm import run_module

TABLE = """
add table inet kube-network-policies
add chain inet kube-network-policies postrouting { type filter hook postrouting priority 95; }
add rule inet kube-network-policies postrouting ct label set 100
add table ip flannel-ipv4
"""

LISTEN = """
import socket, struct, sys
queue = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
queue.bind((0, 0))
bind = struct.pack("=BBH", 0, 0, socket.htons(98)) + struct.pack("=HHBBH", 8, 1, 1, 0, 0)
queue.send(struct.pack("=IHHII", 16 + len(bind), 0x302, 5, 1, 0) + bind)
assert struct.unpack("=i", queue.recv(4096)[16:20]) == (0,)
print("listening", flush=True)
sys.stdin.read()
"""
"""Opens netfilter queue 98: a config message (nfnetlink subsystem 3, message 2) with the command BIND, acknowledged."""


class Host:
    """A network namespace with its own tables and queues."""

    def __init__(self, name: str) -> None:
        self.name = name

    def enter(self, *command: str) -> list[str]:
        return ["ip", "netns", "exec", self.name, *command]

    def nft(self, script: str) -> None:
        subprocess.run(self.enter("nft", "-f", "-"), input=script, text=True, check=True)

    def module(self, name: str, check: bool = False, **params: Any) -> dict[str, Any]:
        return run_module(name, params, check=check, diff=True, netns=self.name)

    def checks(self, **params: Any) -> dict[str, str]:
        found = self.module("network_policy_host_info", **params)["findings"]
        return {each["check"]: each["level"] for each in found}

    @contextlib.contextmanager
    def listener(self, script: str = LISTEN) -> Iterator[None]:
        """Something that listens on queue 98; skips where the kernel has no queues."""
        command = self.enter(sys.executable, "-c", script)
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            if process.stdout is None or process.stdout.readline() != "listening\n":
                pytest.skip("this kernel has no netfilter queues")
            yield
        finally:
            process.communicate("")


@pytest.fixture
def host() -> Iterator[Host]:
    if os.geteuid() != 0 or shutil.which("nft") is None or shutil.which("ip") is None:
        pytest.skip("needs root, iproute2 and nftables to build network namespaces")
    name = f"np{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        yield Host(name)
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


def test_leftover_is_reported_and_removed(host: Host) -> None:
    clean = host.module("network_policy_host_info")
    assert (clean["leftover"], clean["running"], clean["changed"]) == (False, False, False)
    assert "leftover" not in host.checks()
    assert not host.module("network_policy_cleanup")["changed"]
    host.nft(TABLE)
    assert host.module("network_policy_host_info")["leftover"] is True
    assert host.checks()["leftover"] == "warning"
    planned = host.module("network_policy_cleanup", check=True)
    assert planned["changed"] and "ct label set" in planned["diff"]["before"]
    assert host.module("network_policy_cleanup")["actions"] == planned["actions"]
    assert not host.module("network_policy_cleanup")["changed"]
    listed = subprocess.run(host.enter("nft", "list", "tables"), check=True, capture_output=True, text=True).stdout
    assert listed.split("\n")[:1] == ["table ip flannel-ipv4"], "others' tables stay"


@differs("nft_queue")
def test_the_kernel_is_asked(host: Host) -> None:
    """The answer of a check is that of the same rule, really set."""
    for name, rule in (("queue", "queue flags bypass to 98"), ("conntrack_labels", "ct label set 100")):
        script = f"table inet t {{ chain c {{ type filter hook postrouting priority 95; {rule}; }}; }}"
        code = subprocess.run(host.enter("nft", "-f", "-"), input=script, text=True, check=False, capture_output=True)
        assert (name in host.checks()) is (code.returncode != 0)
    listed = subprocess.run(host.enter("nft", "list", "tables"), check=True, capture_output=True, text=True).stdout
    assert "podnet-probe" not in listed


@needs("nft_queue")
def test_a_kernel_with_queues_does_all_that_the_sidecar_asks() -> None:
    found = queue_trial.trial(plain_runner())
    assert set(found.works) == {*queue_trial.RULES, queue_trial.VERDICTS}
    assert set(found.works.values()) == {True}, found.reasons


def test_a_queue_obeys_its_listener(host: Host) -> None:
    """The trial's own listener, behind a queue of iptables where the kernel has none of nftables."""

    def queued() -> queue_trial.Trial:
        rule = ["-p", "udp", "--dport", str(queue_trial.PORT), "-j", "NFQUEUE", "--queue-num", str(queue_trial.QUEUE)]
        made = subprocess.run(["iptables-legacy", "-A", "OUTPUT", *rule], check=False, capture_output=True, text=True)
        if made.returncode != 0:
            return queue_trial.Trial({}, {"skip": made.stderr})
        works, reason = queue_trial.verdicts_work()
        return queue_trial.Trial({"verdicts": works}, {"verdicts": reason})

    if shutil.which("iptables-legacy") is None:
        pytest.skip("needs iptables-legacy")
    queued_trial = queue_trial.in_new_namespace(queued)
    if "skip" in queued_trial.reasons:
        pytest.skip(f"this kernel has no queue for iptables: {queued_trial.reasons['skip']}")
    assert queued_trial.works == {"verdicts": True}, queued_trial.reasons
    silent = queue_trial.in_new_namespace(lambda: queue_trial.Trial({"v": queue_trial.verdicts_work()[0]}))
    assert silent.works == {"v": False}, "without a rule nothing is queued"


def doctor_says(answer: dict[str, Any]) -> list[str]:
    """What the doctor says of a sidecar on a node of which the module said that."""
    made = document.build({"hosts": {"node1": {"facts": {"kernel": "6"}, "sidecar": answer}}})
    return [each["seen"] for each in made["findings"] if each["id"] == "host.policy_sidecar"]


def test_the_sidecars_own_queue_and_port_are_no_strangers(host: Host, tmp_path: Path) -> None:
    """A process called netpol that holds both, without a table, as on a kernel that refuses its rules."""
    script = LISTEN.replace(
        "print(",
        "import ctypes; ctypes.CDLL(None).prctl(15, b'netpol', 0, 0, 0)\n"
        "port = socket.create_server(('127.0.0.1', 9080))\nprint(",
    )
    with host.listener(script):
        found = host.checks()
        assert {"queue_taken", "port_taken"}.isdisjoint(found), found
        assert found["rules_missing"] == "error"
        answer = host.module("network_policy_host_info")
        assert answer["can_enforce"] == "no" and answer["running"] is False
        assert any("it enforces nothing" in text for text in doctor_says(answer))
        host.nft(TABLE)
        running = host.module("network_policy_host_info")
        assert running["running"] is True
        assert not any("it enforces nothing" in text for text in doctor_says(running))


def test_switched_off_bridge_is_an_error(host: Host) -> None:
    path = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
    if not path.exists():
        assert host.checks()["bridge"] == "error"
        return
    for value, level in (("0", "error"), ("1", None)):
        subprocess.run(host.enter("sh", "-c", f"echo {value} > {path}"), check=True)
        subprocess.run(host.enter("sh", "-c", f"echo 1 > {path.parent}/bridge-nf-call-ip6tables"), check=True)
        assert host.checks().get("bridge") == level


def test_queue_and_port_in_use(host: Host) -> None:
    with host.listener():
        assert host.checks()["queue_taken"] == "error"
        assert "queue_taken" not in host.checks(nfqueue_id=99)
        host.nft(TABLE)
        assert host.module("network_policy_host_info")["running"] is False, "a listener of another name"
        assert host.checks()["queue_taken"] == "error"
        assert host.module("network_policy_cleanup")["changed"]


def test_the_table_of_a_sidecar_that_listens_stays(host: Host) -> None:
    script = LISTEN.replace("print(", "import ctypes; ctypes.CDLL(None).prctl(15, b'netpol', 0, 0, 0)\nprint(")
    host.nft(TABLE)
    with host.listener(script):
        assert host.module("network_policy_host_info")["running"] is True
        assert {"queue_taken", "leftover"}.isdisjoint(host.checks())
        assert "still listens" in host.module("network_policy_cleanup")["msg"]
        assert host.module("network_policy_cleanup", force=True)["changed"]
