# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which pods of this host hold which addresses, as the CNI plugin host-local notes it.

Private to podnet.cni: may change in any release.

It keeps a file for each address, named by it, below a directory for each network; the first line is the container
(containernetworking/plugins v1.9.0 plugins/ipam/host-local/backend/disk/backend.go).
"""

from __future__ import annotations

import contextlib
import os
import socket
from typing import NamedTuple

DIRECTORY = "/var/lib/cni/networks"
_SHORT = 12


class Held(NamedTuple):
    """An address, packed and as text, and the ID of the container that holds it."""

    address: bytes
    text: str
    container: str

    def describe(self) -> str:
        """The address with as much of the container's ID as container tools show."""
        return f"{self.text} (container {self.container[:_SHORT] or 'not known'})"


def read(directory: str = DIRECTORY) -> list[Held]:
    """Return what pods hold, in order; a directory that is not there or cannot be read holds nothing."""
    found = []
    for parent, _directories, names in os.walk(directory):
        for name in names:
            # The lock and the notes of the last address are not addresses.
            with contextlib.suppress(OSError):
                packed = socket.inet_pton(socket.AF_INET6 if ":" in name else socket.AF_INET, name)
                with open(os.path.join(parent, name), encoding="utf-8", errors="replace") as file:
                    found.append(Held(packed, name, file.readline().strip()))
    return sorted(found)
