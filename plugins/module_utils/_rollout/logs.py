# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What lines of flanneld's log mean; no I/O.

Source: flannel v0.28.9 main.go, pkg/subnet/kube/kube.go, pkg/backend, pkg/trafficmngr.
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Sequence

HEAD = 5
TAIL = 15
"""So many lines of a log are kept."""

HEALTHY = ("Found network config - Backend type:", "Running backend.")
"""flanneld of every release since 0.20 has written these once it carries packets."""

BROKEN = (
    "Failed to create SubnetManager:",
    "failed to read net conf",
    "error parsing subnet config",
    "error waiting for nodeController to sync state",
    "Failed to check br_netfilter:",
    "Failed to find any valid interface to use:",
    "Failed to find interface to use that matches",
    "Error fetching backend:",
    "Error registering network:",
    "failed to acquire lease",
    "specified in the flannel net config doesn't contain",
    "timeout contacting kube-api, failed to patch node",
    "no nftables support",
    "Failed to setup IPTables. iptables binary was not found",
    "Failed to setup masq rules",
    "couldn't setup forward rules",
    "Failed to write subnet file",
    "Couldn't fetch network config:",
    "invalid VXLAN backend config",
)


def broken_line(text: str, fragments: Sequence[str]) -> str:
    """The first line that holds one of the fragments, empty when there is none."""
    for line in text.splitlines():
        if any(fragment in line for fragment in fragments):
            return line.strip()
    return ""


def missing(text: str, fragments: Sequence[str]) -> str:
    """The first fragment that no line holds, empty when all are there."""
    return next((fragment for fragment in fragments if fragment not in text), "")


def excerpt(text: str, tail: str = "") -> list[str]:
    """The lines of a log that tell most: the first few, where a program refuses its options, and the last ones.

    C(tail) is its end, where C(text) is only its start.
    """
    lines, end = text.splitlines(), tail.splitlines()
    if not end and len(lines) <= HEAD + TAIL:
        return [line.rstrip() for line in lines]
    found = [*lines[:HEAD], "...", *(end or lines)[-TAIL:]]
    return [line.rstrip() for line in found]
