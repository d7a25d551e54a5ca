# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start one pod, a network namespace named "pod", the way a container runtime does at boot.

The CNI configuration list that the role wrote is run as the CNI specification 1.0.0 says: every plugin in order, each
with the result of the one before. What the last boot left of the pod is removed first.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

CONFLIST = Path("/etc/cni/net.d/10-flannel.conflist")
PLUGINS = Path("/usr/lib/cni")
NAME = "pod"


def call(command: str, plugin: dict[str, Any], netns: str) -> str:
    environment = {
        **os.environ,
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": NAME,
        "CNI_IFNAME": "eth0",
        "CNI_NETNS": netns,
        "CNI_PATH": str(PLUGINS),
    }
    executable = PLUGINS / plugin["type"]
    return subprocess.run(
        [executable], input=json.dumps(plugin), env=environment, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


conflist = json.loads(CONFLIST.read_text())
common = {"name": conflist["name"], "cniVersion": conflist["cniVersion"]}
for plugin in reversed(conflist["plugins"]):
    call("DEL", {**plugin, **common}, "")
subprocess.run(["ip", "netns", "add", NAME], check=True)
subprocess.run(["ip", "-netns", NAME, "link", "set", "lo", "up"], check=True)
previous: dict[str, Any] = {}
for plugin in conflist["plugins"]:
    previous = {"prevResult": json.loads(call("ADD", {**plugin, **common, **previous}, f"/run/netns/{NAME}"))}
