# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ProxyCommand of ssh: connect to ADDRESS PORT in the network namespace this runs in, and hand the socket to ssh.

ssh is told so by ProxyUseFdpass. Nothing stays in between, and the machine itself needs no route to the host.
"""

from __future__ import annotations

import socket
import sys

connection = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=5)
connection.settimeout(None)
socket.send_fds(socket.socket(fileno=sys.stdout.fileno()), [b"\0"], [connection.fileno()])
