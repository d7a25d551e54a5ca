# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Counters and one histogram in Prometheus' text format.

Private to podnet.cni: may change in any release.

The format is https://prometheus.io/docs/instrumenting/exposition_formats/.
"""

from __future__ import annotations

from collections import Counter
from typing import Mapping

PREFIX = "kube_ovn_inheritance"
BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5)


class Metrics:
    """What the server counts itself; the rest is read where it lives when somebody asks."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str]] = Counter()
        self.live_reads = 0
        self.sync_patches = 0
        self.sync_failures = 0
        self.drifted_pods = 0
        self.held_pods = 0
        self._buckets = [0] * len(BUCKETS)
        self._sum = 0.0
        self._count = 0

    def observe(self, path: str, result: str, seconds: float) -> None:
        """Count one review."""
        self.requests[path, result] += 1
        self._sum += seconds
        self._count += 1
        for index, bound in enumerate(BUCKETS):
            if seconds <= bound:
                self._buckets[index] += 1

    def render(self, gauges: Mapping[str, float]) -> bytes:
        """Everything as text; C(gauges) by name without prefix."""
        lines = _head("requests_total", "counter", "Reviews by path and result.")
        for (path, result), count in sorted(self.requests.items()):
            lines.append(f'{PREFIX}_requests_total{{path="{path}",result="{result}"}} {count}')
        lines += _head("request_duration_seconds", "histogram", "Time from a whole request to its answer.")
        name = f"{PREFIX}_request_duration_seconds"
        for bound, count in zip(BUCKETS, self._buckets):
            lines.append(f'{name}_bucket{{le="{bound}"}} {count}')
        lines += [
            f'{name}_bucket{{le="+Inf"}} {self._count}',
            f"{name}_sum {self._sum:.6f}",
            f"{name}_count {self._count}",
        ]
        counters = {
            "live_reads_total": self.live_reads,
            "sync_patches_total": self.sync_patches,
            "sync_failures_total": self.sync_failures,
        }
        own = {"drifted_pods": self.drifted_pods, "held_pods": self.held_pods}
        for kind, values in (("counter", counters), ("gauge", {**gauges, **own})):
            for short, value in values.items():
                lines += [*_head(short, kind, DESCRIPTIONS[short]), f"{PREFIX}_{short} {value:g}"]
        return ("\n".join(lines) + "\n").encode()


DESCRIPTIONS = {
    "live_reads_total": "Namespaces read from the API server because they were not known yet.",
    "sync_patches_total": "Running pods that were patched.",
    "sync_failures_total": "Patches and reads of the sync that failed.",
    "drifted_pods": "Pods that need a new sandbox to take over what the namespace says.",
    "held_pods": "Pods that keep values which their namespace does not hand out any more; the log says why.",
    "cache_age_seconds": "Time since the API server was last heard.",
    "cache_synced": "1 when all namespaces are known.",
    "namespaces": "Namespaces known.",
    "invalid_namespaces": "Namespaces with values that are not inherited because they are unusable.",
    "certificate_expiry_seconds": "Time left of the certificate, negative when it has ended.",
    "certificate_reloads": "How often a new certificate was loaded.",
    "connections": "Open connections.",
    "refused_connections": "Connections refused because there were too many with a request under way.",
    "evicted_connections": "Idle connections closed to make room for new ones.",
}


def _head(name: str, kind: str, text: str) -> list[str]:
    return [f"# HELP {PREFIX}_{name} {text}", f"# TYPE {PREFIX}_{name} {kind}"]
