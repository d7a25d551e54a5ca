# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print the path of flanneld as JSON; what the tests' tools do not have is named, and the exit code is 1."""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tests" / "tools"))

import cache

try:
    cache.find("kube-apiserver")
    print(json.dumps({"program": str(cache.find("flanneld", cache.flannel("0.28")))}))
except cache.Missing as reason:
    sys.exit(str(reason))
