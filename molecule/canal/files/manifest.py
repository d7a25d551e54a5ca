# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write a manifest in the shape of Canal's. Usage: manifest.py FILE VERSION [NAMESPACE | broken]."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path[:0] = [place for place in os.environ.get("ANSIBLE_COLLECTIONS_PATH", "").split(os.pathsep) if place]

from ansible_collections.podnet.cni.tests.unit import _canal_manifest as builder


def main() -> None:
    """Make what the arguments ask for."""
    file, version, how = [*sys.argv[1:], ""][:3]
    text = builder.text(builder.manifest(version))
    if how == "broken":
        text = text.replace("kind: DaemonSet\n", "kind: [DaemonSet\n")
    elif how:
        text = text.replace("namespace: kube-system", f"namespace: {how}")
    Path(file).write_text(text)


if __name__ == "__main__":
    main()
