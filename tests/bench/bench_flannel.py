# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role flannel asks of an API server: requests, writes and seconds, on an empty cluster and again.

Run with the root of ansible_collections on PYTHONPATH: python tests/bench/bench_flannel.py
It needs kube-apiserver, as the tests marked kube do, and starts one of its own on loopback.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from ansible_collections.podnet.cni.tests.integration import _kube
from ansible_collections.podnet.cni.tests.integration.flannel_role.conftest import Cluster

RUNS = (
    ("install", {}),
    ("again", {}),
    ("switch the sidecar on", {"netpol_enabled": True}),
    ("switch it off", {}),
)


def main() -> None:
    """Print one table."""
    with tempfile.TemporaryDirectory() as directory, _kube.running() as server:
        cluster = Cluster(server, Path(directory), cold=True)
        print("run                    wall s  requests  dry runs  writes  changed")
        for name, variables in RUNS:
            mark = server.audit_mark()
            start = time.perf_counter()
            changed = cluster.run(**variables).changed
            seconds = time.perf_counter() - start
            asked = [event for event in server.audit(mark) if event["user"]["username"] == "admin"]
            dry = sum("dryRun=All" in event["requestURI"] for event in asked)
            writes = len(cluster.writes(mark))
            print(f"{name:<21}  {seconds:>6.1f}  {len(asked):>8}  {dry:>8}  {writes:>6}  {changed:>7}", flush=True)


if __name__ == "__main__":
    main()
