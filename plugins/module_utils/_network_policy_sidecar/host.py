# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the sidecar kube-network-policies needs of a node, and what it leaves behind there.

C(gather) reads, C(evaluate) judges (pure), C(remove) takes the table away.
Source: kube-network-policies v1.1.1 pkg/dataplane/controller.go; kernel net/netfilter/nfnetlink_queue.c for the file
/proc/net/netfilter/nfnetlink_queue. Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from typing import Any, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError, InputError
from ansible_collections.podnet.cni.plugins.module_utils._host.command import Run, checked
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields
from ansible_collections.podnet.cni.plugins.module_utils._network_policy_sidecar import enforcement, owners, queue_trial
from ansible_collections.podnet.cni.plugins.module_utils._network_policy_sidecar.queue_trial import Trial

TABLE = "kube-network-policies"
MISSING = "install it (Debian and RHEL: package nftables)"
DNS_FIXED = (6, 12)
"""Kernels from here on do not need the sidecar's own path for DNS (kernel commit 8af79d3edb5f)."""
SAFE_KERNEL = (5, 13)
FULL = 0.9

PROGRAM = "netpol"
"""Name of the sidecar's process (Dockerfile of kube-network-policies: ENTRYPOINT /bin/netpol)."""

_NEEDS: Mapping[str, tuple[str, str]] = {
    "nftables": ("nftables with a filter chain at postrouting", "kernel option NF_TABLES, module nf_tables"),
    "queue": ("the nftables queue statement", "kernel option NFT_QUEUE, module nft_queue"),
    "conntrack_labels": ("conntrack labels", "kernel option NF_CONNTRACK_LABELS, module nft_ct"),
    queue_trial.VERDICTS: (
        "netfilter queues that obey their listener",
        "kernel option NETFILTER_NETLINK_QUEUE, module nfnetlink_queue",
    ),
}
"""What was tried: what the sidecar needs it for, and where a kernel has it from."""

DECISIVE = (*_NEEDS, "bridge", "queue_taken", "rules_missing")
"""Checks whose errors mean that policies do not hold on the node."""


@dataclass(frozen=True)
class Facts:
    """What a node is like; None stands for what could not be found out.

    C(trial) is what the kernel did in the trial. C(queues) maps the number of an open netfilter queue to the port of
    its listener, C(holders) the number of a queue and C(port_holders) a TCP port to the process that has it. C(bridge)
    is what bridge-nf-call-iptables and -ip6tables say, None without br_netfilter. C(table) tells whether the sidecar's
    table is there, C(table_queues) lists the queues that it uses and whether each lets packets pass without a
    listener. C(conntrack) is entries and limit.
    """

    kernel: str
    trial: Trial = field(default_factory=Trial)
    queues: Mapping[int, int] = field(default_factory=dict)
    holders: Mapping[int, str] = field(default_factory=dict)
    port_holders: Mapping[int, str] = field(default_factory=dict)
    bridge: tuple[bool | None, bool | None] = (None, None)
    table: bool | None = None
    table_queues: Sequence[tuple[int, bool]] = ()
    flannel_nftables: bool | None = None
    listening: frozenset[int] = frozenset()
    conntrack: tuple[int, int] | None = None

    def listens(self, queue: int) -> bool:
        """Whether a sidecar listens on its queue; beside a table, also a listener whose process is not seen."""
        numbers = {number for number, _bypass in self.table_queues} or {queue}
        held = [number for number in numbers if number in self.queues]
        return any(self.holders.get(number, PROGRAM if self.table else "") == PROGRAM for number in held)

    def running(self, queue: int) -> bool:
        """Whether a sidecar is at work: its table is there and it listens on the queue."""
        return bool(self.table) and self.listens(queue)


@dataclass(frozen=True)
class Finding:
    """C(level) is C(error) (policies would not hold, or traffic is cut) or C(warning)."""

    check: str
    level: str
    text: str


def gather(run: Run, proc: str = "/proc") -> Facts:
    """Read a node. Nothing is changed, apart from kernel modules that the kernel loads when it is asked for them.

    Raises InputError when this is not run as root.
    """
    if os.geteuid() != 0:
        raise InputError("only root may ask the kernel what it can do: set become to true.")
    tables = _tables(run)
    socket_owners = owners.Owners(proc)
    table = None if tables is None else ("inet", TABLE) in tables
    queue_file = _read(f"{proc}/net/netfilter/nfnetlink_queue")
    flannel = None
    if tables is not None:
        flannel = bool({("ip", "flannel-ipv4"), ("ip6", "flannel-ipv6")} & tables)
    queues = parse_queues(queue_file or "")
    return Facts(
        kernel=os.uname().release,
        trial=queue_trial.trial(run),
        queues=queues,
        holders=socket_owners.of_netlink(queues),
        port_holders=socket_owners.of_tcp(),
        bridge=(_switch(proc, "bridge-nf-call-iptables"), _switch(proc, "bridge-nf-call-ip6tables")),
        table=table,
        table_queues=parse_table(_list(run, f"list table inet {TABLE}")) if table else (),
        flannel_nftables=flannel,
        listening=frozenset(
            port for name in ("tcp", "tcp6") for port in parse_listening(_read(f"{proc}/net/{name}") or "")
        ),
        conntrack=_conntrack(proc),
    )


def evaluate(facts: Facts, queue: int, port: int) -> list[Finding]:
    """What speaks against the sidecar on this node; no I/O. C(port) is that of its metrics, 0 for none."""
    return [*_kernel(facts), *_bridge(facts), *_taken(facts, queue, port), *_leftover(facts, queue)]


def can_enforce(facts: Facts, found: Sequence[Finding]) -> tuple[str, list[str]]:
    """YES, NO or UNKNOWN for a sidecar on this node, and for the latter two why."""
    against = [each.text for each in found if each.level == "error" and each.check in DECISIVE]
    if against:
        return enforcement.NO, against
    silent = [each.text for each in found if each.check in _NEEDS]
    return (enforcement.UNKNOWN, silent) if silent else (enforcement.YES, [])


def _kernel(facts: Facts) -> list[Finding]:
    found = []
    works, reasons = facts.trial.works, facts.trial.reasons
    for name, (need, source) in _NEEDS.items():
        answer = works.get(name)
        if answer is False:
            text = (
                f"the kernel lacks {need} ({reasons.get(name, 'tried')}): the sidecar cannot work. It needs {source}."
            )
            found.append(Finding(name, "error", text))
        elif answer is None and (name != queue_trial.VERDICTS or works.get("queue")):
            why = reasons.get(name) or reasons.get("namespace") or "not tried"
            found.append(Finding(name, "warning", f"whether the kernel has {need} is not known: {why}; {MISSING}."))
    version = kernel_version(facts.kernel)
    if version and version < SAFE_KERNEL:
        text = f"kernel {facts.kernel} is older than 5.13, with which the sidecar is not tested."
        found.append(Finding("kernel", "warning", text))
    if facts.conntrack and facts.conntrack[0] > FULL * facts.conntrack[1]:
        count, limit = facts.conntrack
        text = f"the connection table holds {count} of {limit} entries: raise net.netfilter.nf_conntrack_max."
        found.append(Finding("conntrack", "warning", text))
    return found


def _bridge(facts: Facts) -> list[Finding]:
    why = "traffic between two pods of this node is not judged"
    if facts.bridge == (None, None):
        silent = " flannel in nftables mode does not look for it and says nothing." if facts.flannel_nftables else ""
        return [Finding("bridge", "error", f"br_netfilter is not loaded: {why}.{silent}")]
    found = []
    for number, (family, level) in enumerate((("ip", "error"), ("ip6", "warning"))):
        if not facts.bridge[number]:
            name = f"net.bridge.bridge-nf-call-{family}tables"
            what = "IPv4" if family == "ip" else "IPv6"
            found.append(Finding("bridge", level, f"{name} is not 1: {what} {why}."))
    return found


def _taken(facts: Facts, queue: int, port: int) -> list[Finding]:
    found = []
    if facts.listens(queue):
        if facts.table is False:
            text = f"the sidecar runs, but its table inet {TABLE} is not there: it enforces nothing. Look at its log."
            found.append(Finding("rules_missing", "error", text))
    elif queue in facts.queues:
        who = facts.holders.get(queue) or f"netlink port {facts.queues[queue]}"
        text = f"netfilter queue {queue} is open already ({who}): give another nfqueue_id."
        found.append(Finding("queue_taken", "error", text))
    holder = facts.port_holders.get(port, "")
    if port in facts.listening and holder != PROGRAM and (holder or not facts.listens(queue)):
        text = (
            f"TCP port {port} is in use{f' ({holder})' if holder else ''}: the sidecar would run without metrics. Give "
            "another metrics_address."
        )
        found.append(Finding("port_taken", "warning", text))
    return found


def _leftover(facts: Facts, queue: int) -> list[Finding]:
    if facts.table is None:
        return [Finding("leftover", "warning", f"nft cannot tell whether a table was left behind: {MISSING}.")]
    if not facts.table or facts.listens(queue):
        return []
    closed = [number for number, bypass in facts.table_queues if not bypass]
    text = f"the table inet {TABLE} is there, but no sidecar that listens: remove it with state=absent."
    if closed:
        text += f" It drops new connections of pods that had a policy (queue {closed[0]} without bypass)."
    return [Finding("leftover", "error" if closed else "warning", text)]


def remove(run: Run, queue: int, *, force: bool, check_mode: bool, proc: str = "/proc") -> str:
    """Remove the sidecar's table; returns it as text, empty when there is none.

    Raises ConflictError while a sidecar listens, unless C(force), InputError without nft, PodnetError when nft fails.
    """
    if ("inet", TABLE) not in _names(_list(run, "list tables")):
        return ""
    queues = parse_queues(_read(f"{proc}/net/netfilter/nfnetlink_queue") or "")
    facts = Facts(
        kernel="",
        table=True,
        queues=queues,
        holders=owners.Owners(proc).of_netlink(queues),
        table_queues=parse_table(_list(run, f"list table inet {TABLE}")),
    )
    if facts.running(queue) and not force:
        raise ConflictError(
            f"a sidecar still listens on this node: it would put the table inet {TABLE} back. Remove it from flannel's "
            "DaemonSet first and let the pods restart, or set force to true."
        )
    text = checked(run, ["nft", "list", "table", "inet", TABLE], missing=MISSING)
    if not check_mode:
        checked(run, ["nft", "-f", "-"], f"delete table inet {TABLE}\n", missing=MISSING)
    return text


def kernel_version(release: str) -> tuple[int, int] | None:
    """The first two numbers of a kernel release."""
    matched = re.match(r"(\d+)\.(\d+)", release)
    return (int(matched.group(1)), int(matched.group(2))) if matched else None


def parse_queues(text: str) -> dict[int, int]:
    """/proc/net/netfilter/nfnetlink_queue: the first column is the queue, the second the port of its listener."""
    rows = [line.split() for line in text.splitlines()]
    return {int(row[0]): int(row[1]) for row in rows if len(row) > 1}


def parse_listening(text: str) -> set[int]:
    """Ports of /proc/net/tcp or tcp6 at which something listens."""
    return set(owners.parse_tcp(text))


def parse_table(objects: Sequence[Mapping[str, Any]]) -> tuple[tuple[int, bool], ...]:
    """The queues that rules of a table use, each with whether it has the flag bypass."""
    found = set()
    for entry in objects:
        for statement in fields.sequence(entry, "rule", "expr"):
            queue = statement.get("queue")
            if isinstance(queue, Mapping) and isinstance(queue.get("num"), int):
                flags = queue.get("flags") or []
                found.add((int(queue["num"]), "bypass" in ([flags] if isinstance(flags, str) else flags)))
    return tuple(sorted(found))


def _tables(run: Run) -> set[tuple[str, str]] | None:
    """Family and name of all tables; None when nft is not there or cannot tell."""
    try:
        code, out, _err = run(["nft", "-j", "list tables"], None)
    except FileNotFoundError:
        return None
    if code != 0:
        return None
    return _names(_objects(out))


def _names(objects: Sequence[Mapping[str, Any]]) -> set[tuple[str, str]]:
    found = (entry.get("table") for entry in objects)
    return {(str(table["family"]), str(table["name"])) for table in found if table}


def _list(run: Run, command: str) -> list[Mapping[str, Any]]:
    return _objects(checked(run, ["nft", "-j", command], missing=MISSING))


def _objects(text: str) -> list[Mapping[str, Any]]:
    return list(json.loads(text)["nftables"]) if text.strip() else []


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read()
    except OSError:
        return None


def _switch(proc: str, name: str) -> bool | None:
    text = _read(f"{proc}/sys/net/bridge/{name}")
    return None if text is None else text.strip() == "1"


def _conntrack(proc: str) -> tuple[int, int] | None:
    count, limit = (_read(f"{proc}/sys/net/netfilter/nf_conntrack_{name}") for name in ("count", "max"))
    return (int(count), int(limit)) if count and limit else None
