# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One change of a host's data plane at a time.

Private to podnet.cni: may change in any release.

The lock is a socket with an abstract name. Such a name belongs to the network namespace, as the data plane does, it
needs no file, and the kernel drops it with the process that holds it, however that ends.
"""

from __future__ import annotations

import errno
import socket
import struct
import time

from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError

NAME = "\0podnet.cni/dataplane"
POLL_SECONDS = 0.1
_CREDENTIALS = struct.Struct("=iII")


class Lock:
    """A context manager that holds the lock; waits up to C(timeout) seconds for it.

    Raises ConflictError, naming the host and the process that holds the lock, when that time is over.
    """

    def __init__(self, host: str, timeout: float) -> None:
        self._host = host
        self._timeout = timeout
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    def __enter__(self) -> Lock:
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                self._socket.bind(NAME)
                # Listening lets the ones who wait see who holds the lock.
                self._socket.listen(1)
                return self
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
            if time.monotonic() >= deadline:
                self._socket.close()
                raise ConflictError(
                    f"host {self._host}: {_holder()} is changing this host's data plane, for {self._timeout:g} s "
                    "already; wait for it to end, or raise lock_timeout"
                )
            time.sleep(POLL_SECONDS)

    def __exit__(self, *_exc: object) -> None:
        self._socket.close()


def _holder() -> str:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(NAME)
            raw = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        except OSError:
            return "another process"
    return f"process {_CREDENTIALS.unpack(raw)[0]}"
