# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keep every frame on a link until the input ends, then print them as a JSON list of hexadecimal texts.

_capture.py <link>

Prints "ready" when it listens.
"""

from __future__ import annotations

import json
import select
import socket
import sys

ALL = 3  # ETH_P_ALL of linux/if_ether.h


def main() -> None:
    """Capture."""
    frames = []
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL)) as link:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
        link.bind((sys.argv[1], 0))
        print("ready", flush=True)
        while True:
            readable, _write, _error = select.select([link, sys.stdin], [], [])
            if link in readable:
                frames.append(link.recv(1 << 16))
            elif sys.stdin in readable:
                break
    print(json.dumps([frame.hex() for frame in frames]))


if __name__ == "__main__":
    main()
