# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which process holds a netlink socket or a TCP port of the node.

A netlink port is not a process id: the kernel counts it in the pid namespace of the process, where a container has 1.
Sources: kernel net/netlink/af_netlink.c (/proc/net/netlink), net/ipv4/tcp_ipv4.c (/proc/net/tcp).
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import glob
import os
from typing import Iterable, Mapping

LISTEN = "0A"
"""State of a socket in /proc/net/tcp."""
NETFILTER = 12
"""The netlink protocol NETLINK_NETFILTER of linux/netlink.h."""


class Owners:
    """Processes by their sockets, as far as this process may see them."""

    def __init__(self, proc: str = "/proc") -> None:
        self._proc = proc

    def of_netlink(self, ports: Mapping[int, int]) -> dict[int, str]:
        """The process behind each key of C(ports), whose value is the netlink port of a netfilter socket."""
        sockets = parse_netlink(self._read("net/netlink"))
        wanted = {key: sockets[port] for key, port in ports.items() if port in sockets}
        names = self._names(wanted.values())
        return {key: names[inode] for key, inode in wanted.items() if inode in names}

    def of_tcp(self) -> dict[int, str]:
        """The process behind each TCP port at which something listens."""
        wanted: dict[int, int] = {}
        for name in ("tcp", "tcp6"):
            wanted.update(parse_tcp(self._read(f"net/{name}")))
        names = self._names(wanted.values())
        return {port: names[inode] for port, inode in wanted.items() if inode in names}

    def _names(self, inodes: Iterable[int]) -> dict[int, str]:
        wanted = {f"socket:[{inode}]": inode for inode in inodes if inode}
        found: dict[int, str] = {}
        for path in glob.glob(f"{self._proc}/[0-9]*/fd/*") if wanted else ():
            try:
                target = os.readlink(path)
            except OSError:
                continue
            if target in wanted:
                pid = path.split("/")[-3]
                found[wanted[target]] = self._read(f"{pid}/comm").strip()
        return {inode: name for inode, name in found.items() if name}

    def _read(self, path: str) -> str:
        try:
            with open(f"{self._proc}/{path}", encoding="utf-8", errors="replace") as file:
                return file.read()
        except OSError:
            return ""


def parse_netlink(text: str) -> dict[int, int]:
    """Netlink port -> inode of the netfilter sockets in /proc/net/netlink."""
    rows = [line.split() for line in text.splitlines()[1:]]
    return {int(row[2]): int(row[-1]) for row in rows if len(row) > 3 and row[1] == str(NETFILTER)}


def parse_tcp(text: str) -> dict[int, int]:
    """Port -> inode of the sockets in /proc/net/tcp or tcp6 that listen."""
    rows = [line.split() for line in text.splitlines()[1:]]
    listening = (row for row in rows if len(row) > 3 and row[3] == LISTEN)
    return {int(row[1].rsplit(":", 1)[1], 16): int(row[9]) if len(row) > 9 else 0 for row in listening}
