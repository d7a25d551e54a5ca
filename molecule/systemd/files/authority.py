# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a CA and the certificate of an etcd. Usage: authority.py DIRECTORY ADDRESS."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path[:0] = [place for place in os.environ.get("ANSIBLE_COLLECTIONS_PATH", "").split(os.pathsep) if place]

from ansible_collections.podnet.cni.tests.integration._kube_pki import Authority

if __name__ == "__main__":
    directory = Path(sys.argv[1])
    directory.mkdir()
    Authority(directory).server("etcd", addresses=sys.argv[2:])
