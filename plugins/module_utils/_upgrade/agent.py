# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which differences between a node's kernel and the leases are flanneld's fault; no I/O.

The differences are those that flannel_dataplane would repair. flanneld repairs fewer, and fewer still in a pod.
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Any, Iterable, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._kube import fields

FAULT = "fault"
LEFTOVER = "leftover"
OUT_OF_REACH = "out of reach"


def classify(operation: Mapping[str, Any], writes_sysctls: bool) -> str:
    """FAULT for what flanneld makes or sets at its start, LEFTOVER for what it leaves, OUT_OF_REACH for what it cannot.

    C(operation) is one of those of flannel_dataplane. C(writes_sysctls) says whether flanneld may write to /proc/sys:
    as a process of the host and in a privileged container it may, in the unprivileged container of flannel's manifest
    and chart that file system is read-only, and flanneld ignores the error (flannel v0.28.9
    pkg/backend/vxlan/device.go).

    flanneld takes over a link that fits as it is, whatever its flag for learning (the same file, vxlanLinksIncompat).
    Its MTU it leaves too, but pods get the new one, and packets of that size are lost where the link's is smaller.
    It removes addresses of the network that are not its own, and nothing else that an earlier start left (the same
    file, and pkg/backend/vxlan/vxlan_network.go).
    """
    action, kind, attribute = operation["action"], operation["kind"], operation["attribute"]
    if attribute == "accept_ra":
        return FAULT if writes_sysctls else OUT_OF_REACH
    if attribute == "learning":
        return LEFTOVER
    if action == "remove" and kind != "address":
        return LEFTOVER
    return FAULT


def texts(operations: Iterable[Mapping[str, Any]], writes_sysctls: bool, which: str) -> list[str]:
    """The texts of those operations that are FAULT, LEFTOVER or OUT_OF_REACH."""
    return [str(each["text"]) for each in operations if classify(each, writes_sysctls) == which]


def writes_sysctls(container: Mapping[str, Any]) -> bool:
    """Whether a container of a pod template may write to /proc/sys, which is read-only unless it is privileged."""
    return bool(fields.at(container, "securityContext", "privileged"))
