# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Python interpreter for ansible that need not import what modules import.

It is a copy of this file below a first line that names an interpreter, beside the socket of _warm_server.py. What comes
on standard input runs in a process of the server's, in the namespaces and with the descriptors of this one.
With arguments, or where nothing serves the socket, it is the interpreter itself.
"""

from __future__ import annotations

import json
import os
import socket
import sys


def main() -> int:
    """Have the input run; returns the exit status."""
    if len(sys.argv) > 1:
        os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
    request = {
        "program": "",
        "argv": [""],
        "environment": dict(os.environ),
        "directory": os.getcwd(),
        "netns": "",
    }
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        try:
            server.connect(os.path.join(os.path.dirname(__file__), "socket"))
        except OSError:
            # A guest has this file and not what serves it.
            os.execv(sys.executable, [sys.executable])
        socket.send_fds(server, [json.dumps(request).encode()], [0, 1, 2])
        return int(server.recv(16) or b"1")


if __name__ == "__main__":
    sys.exit(main())
