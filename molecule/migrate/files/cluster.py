# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An API server on an address of the hosts' network, with the rights and the Node that the scenario begins with.

Usage: cluster.py DIRECTORY ADDRESS. It lives as long as the file DIRECTORY/alive. DIRECTORY/kubeconfig is the
administrator's, DIRECTORY/flanneld that of a user with the rights that docs/flanneld.md names.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import sys
import time
from pathlib import Path

sys.path[:0] = [place for place in os.environ.get("ANSIBLE_COLLECTIONS_PATH", "").split(os.pathsep) if place]

from ansible_collections.podnet.cni.tests.integration import _kube

RIGHTS = (
    {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": [""], "resources": ["nodes/status"], "verbs": ["patch"]},
)


def whole(path: Path) -> str:
    """The kubeconfig with the files that it names inside it."""
    found = json.loads(path.read_text())
    for each in (found["clusters"][0]["cluster"], found["users"][0]["user"]):
        for name in ("certificate-authority", "client-certificate", "client-key"):
            if name in each:
                each[f"{name}-data"] = base64.b64encode(Path(each.pop(name)).read_bytes()).decode()
    return json.dumps(found)


def main() -> None:
    """Run it until it is told to end."""
    directory = Path(sys.argv[1])
    with _kube.running(address=sys.argv[2]) as server:
        # Gives the account that the role makes its token.
        server.start_controller_manager("10.67.0.0/16", "serviceaccount-token-controller")
        # The others are made by the migration, or in the scenario.
        server.apply(_kube.node("node1", ["10.67.200.0/24"]))
        (directory / "flanneld").write_text(whole(server.limited_kubeconfig("flanneld", RIGHTS)))
        shutil.copy(server.admin, directory / "partial")
        (directory / "partial").rename(directory / "kubeconfig")
        while (directory / "alive").exists():
            time.sleep(0.2)
    (directory / "kubeconfig").unlink()


if __name__ == "__main__":
    main()
