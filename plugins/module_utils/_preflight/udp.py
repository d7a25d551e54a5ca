# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether UDP ports are open between hosts: a listener that echoes, and the questions to listeners of other hosts.

Private to podnet.cni: may change in any release.

A listener answers only packets that begin with the token of its run, with an answer no longer than the question, and
ends by itself. A port that is held already, as by the kernel's own vxlan, cannot be listened at; it is reported so.
"""

from __future__ import annotations

import errno
import os
import select
import selectors
import signal
import socket
import time
from typing import Any, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._host.process import start_time
from ansible_collections.podnet.cni.plugins.module_utils._preflight.host_files import Files
from ansible_collections.podnet.cni.plugins.module_utils._preflight.watch import Watch
from ansible_collections.podnet.cni.plugins.module_utils._probe.measure import Target

MAGIC = b"podnet.cni preflight "
LONGEST = 512
"""Octets of a question at most; a longer packet is not ours."""


def checksum_errors(files: Files) -> int | None:
    """Return how many UDP packets with a wrong checksum have arrived since boot, over both families.

    They are InCsumErrors of RFC 4113's kind.
    """
    rows = [line.split() for line in (files.text("/proc/net/snmp") or "").splitlines() if line.startswith("Udp:")]
    if len(rows) < 2 or "InCsumErrors" not in rows[0]:
        return None
    over_ipv6 = dict(line.split() for line in (files.text("/proc/net/snmp6") or "").splitlines())
    return int(rows[1][rows[0].index("InCsumErrors")]) + int(over_ipv6.get("Udp6InCsumErrors", 0))


def listen(addresses: Sequence[str], ports: Sequence[int]) -> tuple[list[socket.socket], list[dict[str, Any]]]:
    """Open a socket for each address and port. Return the sockets, and for each pair what became of it.

    The state is listening, held (somebody else has the port) or failed; the reason is the system's own.
    """
    sockets: list[socket.socket] = []
    outcomes = []
    for address in addresses:
        for port in ports:
            outcome = {"address": address, "port": port, "state": "listening", "reason": ""}
            try:
                sockets.append(_bound(address, port))
            except OSError as error:
                outcome["state"] = "held" if error.errno == errno.EADDRINUSE else "failed"
                outcome["reason"] = error.strerror or str(error)
            outcomes.append(outcome)
    return sockets, outcomes


def _bound(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_DGRAM)
    try:
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind((address, port))
    except OSError:
        opened.close()
        raise
    return opened


def watch(ports: Sequence[int], token: str) -> tuple[Watch | None, str]:
    """Return a watch over packets that bear the token, or None and why there is none."""
    try:
        return Watch(ports, MAGIC + token.encode()), ""
    except OSError as error:
        return None, error.strerror or str(error)


def serve(sockets: Sequence[socket.socket], token: str, seconds: float, watching: Watch | None = None) -> None:
    """Answer questions that bear the token until the time is over."""
    wanted = MAGIC + token.encode()
    deadline = time.monotonic() + seconds
    watched = watching.sockets if watching is not None else []
    while sockets or watched:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            return
        for ready in select.select([*sockets, *watched], [], [], remaining)[0]:
            try:
                if watching is not None and ready in watched:
                    watching.take(ready)
                    continue
                data, sender = ready.recvfrom(LONGEST + 1)
                if len(data) <= LONGEST and data.startswith(wanted):
                    ready.sendto(data, sender)
            except OSError:
                # An answer that the network refuses must not end the listener for all the others.
                continue


def spawn(
    sockets: Sequence[socket.socket], token: str, seconds: float, watching: Watch | None = None
) -> dict[str, Any]:
    """Serve in a process of its own, which outlives this one; return its pid and its start time.

    Both are null without sockets: then there is nothing to serve.
    """
    if not sockets and watching is None:
        return {"pid": None, "start_time": None}
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            null = os.open(os.devnull, os.O_RDWR)
            for descriptor in (0, 1, 2):
                os.dup2(null, descriptor)
            if watching is not None:
                watching.tell_at(os.getpid(), start_time(os.getpid()) or 0)
            serve(sockets, token, seconds, watching)
        finally:
            # Nothing of the parent's own clean-up may run here.
            os._exit(0)
    for opened in sockets:
        opened.close()
    if watching is not None:
        watching.close()
    return {"pid": pid, "start_time": start_time(pid)}


def stop(pid: int, started: int) -> bool:
    """End the listener and return whether it was there; a process that has got its number since is left alone."""
    if start_time(pid) != started:
        return False
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return False
    return True


def ask(
    source: str,
    addresses: Sequence[str],
    targets: Sequence[Target],
    ports: Sequence[int],
    *,
    token: str,
    attempts: int,
    timeout: float,
) -> list[dict[str, Any]]:
    """Send a question to each port of each target and return who answered.

    C(addresses) are this host's own, to send from. Raises InputError for a token that is too long.
    """
    question = MAGIC + token.encode() + b" " + source.encode()
    if len(question) > LONGEST:
        raise InputError(f"token and source have {len(question)} octets together; {LONGEST} is the most")
    results: list[dict[str, Any]] = []
    waiting: dict[socket.socket, dict[str, Any]] = {}
    for target in targets:
        for port in ports:
            result = {
                "source": source,
                "target": target.name,
                "address": target.address,
                "port": port,
                "open": False,
                "refused": False,
                "rtt": None,
                "error": "no answer",
            }
            results.append(result)
            try:
                waiting[_connected(addresses, target, port)] = result
            except OSError as error:
                _note(result, error)
    try:
        for _attempt in range(attempts):
            _round(waiting, question, timeout)
    finally:
        for opened in list(waiting):
            opened.close()
    return results


def _connected(addresses: Sequence[str], target: Target, port: int) -> socket.socket:
    # Connected, so that a refusal by ICMP comes back as an error.
    opened = socket.socket(socket.AF_INET6 if target.version == 6 else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        own = next((address for address in addresses if (":" in address) == (target.version == 6)), "")
        if own:
            opened.bind((own, 0))
        opened.connect((target.address, port))
        opened.setblocking(False)
    except OSError:
        opened.close()
        raise
    return opened


def _note(result: dict[str, Any], error: OSError) -> None:
    """Note what the system says; this host's own firewall refuses a packet with EPERM."""
    result["error"] = error.strerror or str(error)
    result["refused"] = result["refused"] or error.errno == errno.EPERM


def _round(waiting: dict[socket.socket, dict[str, Any]], question: bytes, timeout: float) -> None:
    """Ask all that have not answered yet, and wait; who answers, or refuses, is taken off."""
    for opened, result in waiting.items():
        try:
            opened.send(question)
        except OSError as error:
            _note(result, error)
    sent = time.monotonic()
    with selectors.DefaultSelector() as selector:
        for opened, result in waiting.items():
            selector.register(opened, selectors.EVENT_READ, (opened, result))
        while waiting:
            remaining = sent + timeout - time.monotonic()
            ready = selector.select(remaining) if remaining > 0 else []
            if not ready:
                return
            for key, _events in ready:
                opened, result = key.data
                try:
                    answered = opened.recv(LONGEST + 1) == question
                except OSError as error:
                    result["error"] = error.strerror or str(error)
                    continue
                if answered:
                    result.update(open=True, error="", rtt=round(1000 * (time.monotonic() - sent), 3))
                    selector.unregister(opened)
                    del waiting[opened]
                    opened.close()
