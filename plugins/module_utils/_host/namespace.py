# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Network namespaces of this host: opened by name, found by an address that they own, entered by a thread.

Private to podnet.cni: may change in any release.

A thread that enters a namespace stays there, and so do the sockets and processes that it makes (setns(2),
network_namespaces(7)). So only threads that end with their work may enter one.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import glob
import ipaddress
import os
import socket
import struct
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Callable, Iterable, Iterator, TypeVar

from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError, InputError

NAMED = ("/run/netns", "/var/run/netns")
"""Folders where ip(8) and container runtimes keep namespaces by name."""

# linux/sched.h, linux/netlink.h, linux/rtnetlink.h, linux/if_addr.h
_CLONE_NEWNET = 0x40000000
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_RTM_GETADDR = 22
_NLM_F_REQUEST, _NLM_F_DUMP = 0x1, 0x300
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_HEADER = struct.Struct("=IHHII")
_ADDRESS = struct.Struct("=BBBBI")
_ATTRIBUTE = struct.Struct("=HH")

Result = TypeVar("Result")


@dataclass(frozen=True)
class Namespace:
    """An open network namespace. It stays the same one whatever becomes of C(path)."""

    path: str
    descriptor: int

    def enter(self) -> None:
        """Move the calling thread there. Raises OSError."""
        library = ctypes.CDLL(None, use_errno=True)
        if library.setns(self.descriptor, _CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def close(self) -> None:
        """Let go of it."""
        os.close(self.descriptor)

    def run(self, work: Callable[[], Result]) -> Result:
        """Do something in there, in a thread of its own. Raises OSError, and what the work raises."""
        with ThreadPoolExecutor(max_workers=1) as pool:
            pool.submit(self.enter).result()
            return pool.submit(work).result()


def open_named(name: str) -> Namespace:
    """Open the namespace of a name, as ip(8) knows it, or of a path. Raises InputError naming the option netns."""
    path = name if name.startswith("/") else os.path.join(NAMED[0], name)
    try:
        found = Namespace(path, os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        raise InputError(
            f"netns is {name!r}, but {path} cannot be opened: {error.strerror}. "
            "The module podnet.cni.cni_pod makes pods."
        ) from error
    try:
        found.run(os.getpid)
    except OSError as error:
        found.close()
        raise InputError(f"netns is {name!r}, but {path} cannot be entered: {_reason(error)}.") from error
    return found


def open_owner(address: str) -> Namespace:
    """Open the namespace that has an address on one of its links.

    Named namespaces and those of all processes are looked at, each once. Raises InputError when none has it, and
    ConflictError when several have.
    """
    wanted = ipaddress.ip_address(address)
    owners: list[Namespace] = []
    refused: list[str] = []
    seen = 0
    for found in _every():
        seen += 1
        try:
            is_owner = wanted in found.run(local_addresses)
        except OSError as error:
            # A file that is not a namespace any more is left behind by a runtime that was killed.
            if error.errno != errno.EINVAL:
                refused.append(f"{found.path}: {_reason(error)}")
            is_owner = False
        if is_owner:
            owners.append(found)
        else:
            found.close()
    if len(owners) == 1:
        return owners[0]
    for owner in owners:
        owner.close()
    if owners:
        raise ConflictError(
            f"source_address is {address}, which {' and '.join(owner.path for owner in owners)} have. "
            "Give the right one as netns."
        )
    more = f" {len(refused)} could not be looked at, the first is {refused[0]}." if refused else ""
    raise InputError(
        f"source_address is {address}, which none of the {seen} network namespaces of this host has.{more} "
        "Run the task on the node of the pod."
    )


def local_addresses() -> set[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """Return all addresses of the links in the calling thread's namespace. Raises OSError."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as kernel:
        length = _HEADER.size + _ADDRESS.size
        request = _HEADER.pack(length, _RTM_GETADDR, _NLM_F_REQUEST | _NLM_F_DUMP, 1, 0) + _ADDRESS.pack(0, 0, 0, 0, 0)
        kernel.send(request)
        return set(read_dump(iter(lambda: kernel.recv(1 << 16), b"")))


def read_dump(parts: Iterable[bytes]) -> Iterator[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """Yield the addresses in what the kernel answers (rtnetlink(7)) until it says that it is done. Raises OSError."""
    for part in parts:
        start = 0
        while start + _HEADER.size <= len(part):
            length, kind = _HEADER.unpack_from(part, start)[:2]
            body = part[start + _HEADER.size : start + length]
            if kind == _NLMSG_DONE:
                return
            if kind == _NLMSG_ERROR:
                number = -struct.unpack_from("=i", body)[0]
                raise OSError(number, os.strerror(number))
            yield from _addresses_of(body[_ADDRESS.size :])
            start += (length + 3) & ~3


def _addresses_of(attributes: bytes) -> Iterator[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """The address of a link; with a peer, IFA_ADDRESS is the peer's and IFA_LOCAL the link's own."""
    values: dict[int, bytes] = {}
    start = 0
    while start + _ATTRIBUTE.size <= len(attributes):
        length, kind = _ATTRIBUTE.unpack_from(attributes, start)
        if length < _ATTRIBUTE.size:
            break
        values[kind] = attributes[start + _ATTRIBUTE.size : start + length]
        start += (length + 3) & ~3
    own = values.get(_IFA_LOCAL) or values.get(_IFA_ADDRESS)
    if own is not None and len(own) in (4, 16):
        yield ipaddress.ip_address(own)


def _every() -> Iterator[Namespace]:
    """Open each network namespace of the host once, by its name where it has one."""
    seen = set()
    named = (path for folder in NAMED for path in sorted(glob.glob(os.path.join(glob.escape(folder), "*"))))
    for path in (*named, *sorted(glob.glob("/proc/[0-9]*/ns/net"))):
        # A process may end at any moment.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            state = os.stat(path)
            if (state.st_dev, state.st_ino) not in seen:
                seen.add((state.st_dev, state.st_ino))
                yield Namespace(path, os.open(path, os.O_RDONLY | os.O_CLOEXEC))


def _reason(error: OSError) -> str:
    if error.errno == errno.EINVAL:
        return "it is not a network namespace"
    if error.errno == errno.EPERM:
        return "that needs root"
    return error.strerror or str(error)
