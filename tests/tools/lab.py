# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Print the variables for a lab with Kubernetes, podnet.cni.lab: where its programs and its images are.

lab.py > vars.json; ansible-playbook podnet.cni.lab -e @vars.json
lab.py --endpoint 127.0.0.1:7443      another address of the API server than the role's default

What the cache has not is named with the remedy, and the exit code is 1. Images are made where they are missing.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import cache
import images


def variables(endpoint: str | None) -> dict[str, Any]:
    """lab_kubernetes for the role, and what demo/kubernetes wants to know. Raises cache.Missing."""
    programs = (*cache.KUBERNETES, "etcd", "bridge")
    places = dict.fromkeys(str(cache.find(name).parent) for name in programs)
    archives = [str(images.archive(name)) for name in images.IMAGES if name != images.SERVER]
    where = {"endpoint": endpoint} if endpoint else {}
    return {
        "lab_kubernetes": {"programs": list(places), "images": archives, **where},
        "demo_kubectl": str(cache.find("kubectl")),
        "demo_version": cache.module_version(cache.kubernetes(cache.kube_minor())),
    }


def main() -> int:
    """Print them."""
    parser = argparse.ArgumentParser(description="Print the variables for a lab with Kubernetes.")
    parser.add_argument("--endpoint", help="loopback address and port of the API server")
    try:
        print(json.dumps(variables(parser.parse_args().endpoint), indent=2))
    except cache.Missing as reason:
        print(f"lab.py: {reason}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
