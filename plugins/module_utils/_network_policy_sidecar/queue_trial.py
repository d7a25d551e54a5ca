# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether this kernel can do what the sidecar asks of it: tried in a network namespace that ends with the trial.

Rules are really set, a queue is really opened, and a datagram is really dropped and really let through by a verdict
from user space. Lists of kernel modules are not read: they are silent about what is built in.
Sources: kube-network-policies v1.1.1 pkg/dataplane/controller.go; kernel uapi linux/netfilter/nfnetlink_queue.h.
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import struct
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Callable, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._host.command import Run

CHAIN = "add table inet podnet-trial\nadd chain inet podnet-trial c { type filter hook postrouting priority 95; }\n"
RULES: Mapping[str, str] = {
    "nftables": "",
    "queue": "queue flags bypass to 98",
    "conntrack_labels": "ct label set 100",
}
"""What the sidecar writes, one kind of rule each. No release from v0.4.0 on uses the queue of iptables instead."""

VERDICTS = "verdicts"
"""The trial of a queue with a listener, beside those of RULES."""

QUEUE = 98
PORT = 9
WAIT = 0.5
"""Seconds to wait for a datagram on the loopback link that is not to come."""

# linux/sched.h, linux/sockios.h, linux/if.h, linux/netlink.h, linux/netfilter/nfnetlink.h, nfnetlink_queue.h
_CLONE_NEWNET = 0x40000000
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_NETLINK_NETFILTER = 12
_QUEUE_SUBSYSTEM = 3 << 8
_PACKET, _VERDICT, _CONFIG = 0, 1, 2
_NLM_F_REQUEST, _NLM_F_ACK, _NLMSG_ERROR = 1, 4, 2
_CFG_COMMAND, _CFG_PARAMETERS, _BIND, _COPY_META = 1, 2, 1, 1
_PACKET_HEADER, _VERDICT_HEADER = 1, 2
_DROP, _ACCEPT = 0, 1
_HEADER = struct.Struct("=IHHII")


@dataclass(frozen=True)
class Trial:
    """C(works) tells for each of RULES and for VERDICTS whether the kernel does it, None where it was not asked.

    C(reasons) has the kernel's or the program's own words for what does not work.
    """

    works: Mapping[str, bool | None] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)


def trial(run: Run) -> Trial:
    """Try everything; needs root. Nothing stays behind, apart from modules that the kernel loads when it is asked."""
    return in_new_namespace(lambda: _all(run))


def in_new_namespace(work: Callable[[], Trial]) -> Trial:
    """Do the work in a network namespace of its own, with the loopback link up.

    A kernel that makes no namespace gives an empty trial with the reason.
    """

    def prepare() -> None:
        library = ctypes.CDLL(None, use_errno=True)
        if library.unshare(_CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            request = struct.pack("16sH14x", b"lo", 0)
            flags = struct.unpack("16sH14x", fcntl.ioctl(control, _SIOCGIFFLAGS, request))[1]
            fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | _IFF_UP))

    # The thread stays in the namespace, so it has to end with the work.
    with ThreadPoolExecutor(max_workers=1) as pool:
        try:
            pool.submit(prepare).result()
        except OSError as error:
            return Trial({}, {"namespace": error.strerror or str(error)})
        return pool.submit(work).result()


def _all(run: Run) -> Trial:
    works: dict[str, bool | None] = {}
    reasons: dict[str, str] = {}
    for name, rule in RULES.items():
        works[name], reason = rule_works(run, rule)
        if reason:
            reasons[name] = reason
    works[VERDICTS] = None
    if works["queue"]:
        script = CHAIN + f"add rule inet podnet-trial c udp dport {PORT} queue to {QUEUE}\n"
        code, _out, err = run(["nft", "-f", "-"], script)
        works[VERDICTS], reason = verdicts_work() if code == 0 else (False, _first_line(err))
        if reason:
            reasons[VERDICTS] = reason
    return Trial(works, reasons)


def rule_works(run: Run, rule: str) -> tuple[bool | None, str]:
    """Set one rule for real and take it away: whether the kernel did it, and its words if not.

    None stands for a host without the program nft, which says nothing about the kernel.
    """
    script = CHAIN + (f"add rule inet podnet-trial c {rule}\n" if rule else "")
    try:
        code, out, err = run(["nft", "-f", "-"], script)
    except FileNotFoundError:
        return None, "there is no program nft to ask the kernel with"
    if code != 0:
        return False, _first_line(err or out)
    run(["nft", "-f", "-"], "delete table inet podnet-trial\n")
    return True, ""


def verdicts_work() -> tuple[bool, str]:
    """Whether what is queued is dropped on the word of a listener, and let through on its word.

    In this namespace a rule has to queue UDP datagrams to PORT, to QUEUE.
    """
    try:
        with _open_queue() as queue, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as target:
            target.bind(("127.0.0.1", PORT))
            target.settimeout(WAIT)
            for verdict, arrives in ((_DROP, False), (_ACCEPT, True)):
                target.sendto(b"podnet", ("127.0.0.1", PORT))
                _answer(queue, verdict)
                try:
                    target.recv(16)
                except socket.timeout:
                    if arrives:
                        return False, "a packet that was accepted did not arrive"
                else:
                    if not arrives:
                        return False, "a packet that was denied arrived"
    except socket.timeout:
        return False, "no packet came to the queue"
    except OSError as error:
        return False, error.strerror or str(error)
    return True, ""


def _open_queue() -> socket.socket:
    """A socket that listens on QUEUE. Raises OSError."""
    queue = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER)
    try:
        queue.settimeout(WAIT)
        queue.bind((0, 0))
        bind = struct.pack("=HHBxH", 8, _CFG_COMMAND, _BIND, 0)
        copy = struct.pack("=HH", 9, _CFG_PARAMETERS) + struct.pack(">IBxxx", 0, _COPY_META)
        for attributes in (bind, copy):
            _send(queue, _CONFIG, attributes, _NLM_F_ACK)
            kind, body = _receive(queue)
            number = -struct.unpack_from("=i", body)[0] if kind == _NLMSG_ERROR else 0
            if number:
                raise OSError(number, os.strerror(number))
    except OSError:
        queue.close()
        raise
    return queue


def _answer(queue: socket.socket, verdict: int) -> None:
    """Give the verdict on the next packet. Raises OSError."""
    kind, body = _receive(queue)
    while kind != _QUEUE_SUBSYSTEM | _PACKET:
        kind, body = _receive(queue)
    # The header of the packet is the first attribute, behind the four octets of nfgenmsg.
    length, attribute = struct.unpack_from("=HH", body, 4)
    if attribute != _PACKET_HEADER or length < 8:
        raise OSError(errno.EBADMSG, "the kernel's message about a packet cannot be read")
    packet = struct.unpack_from(">I", body, 8)[0]
    _send(queue, _VERDICT, struct.pack("=HH", 12, _VERDICT_HEADER) + struct.pack(">II", verdict, packet))


def _send(queue: socket.socket, message: int, attributes: bytes, flags: int = 0) -> None:
    body = struct.pack(">BBH", 0, 0, QUEUE) + attributes
    kind = _QUEUE_SUBSYSTEM | message
    queue.send(_HEADER.pack(_HEADER.size + len(body), kind, _NLM_F_REQUEST | flags, 1, 0) + body)


def _receive(queue: socket.socket) -> tuple[int, bytes]:
    """Type and body of one message; the kernel sends those about packets one by one."""
    text = queue.recv(1 << 16)
    length, kind = _HEADER.unpack_from(text)[:2]
    return kind, text[_HEADER.size : length]


def _first_line(text: str) -> str:
    return (text.strip() or "no reason given").splitlines()[0]
