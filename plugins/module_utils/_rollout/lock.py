# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keeps writers that know nothing of waves away from a DaemonSet that a rollout is at.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import time

from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import Forbidden, NotFound
from ansible_collections.podnet.cni.plugins.module_utils._rollout.state import (
    ANNOTATION,
    has_ended,
    name_for,
    seconds_left,
)


def check(client: KubeClient, namespace: str, name: str, *, goes_on: bool = False) -> None:
    """Raise ConflictError while a rollout of the DaemonSet has not ended.

    With C(goes_on) one that was interrupted is not an obstacle, because the caller is about to continue it. Who may
    not read Leases is not kept away.
    """
    lease_name = name_for(name)
    try:
        lease = client.get(f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{lease_name}")
    except (Forbidden, NotFound):
        return
    left = seconds_left(lease, time.time())
    if left > 0:
        raise ConflictError(
            f"DaemonSet {namespace}/{name} is being rolled out by {lease['spec']['holderIdentity']}, whose Lease "
            f"{lease_name} is good for {left:.0f} s more. Let it finish, then run again."
        )
    interrupted = ANNOTATION in (lease["metadata"].get("annotations") or {}) and not has_ended(lease)
    if interrupted and not goes_on:
        raise ConflictError(
            f"A rollout of DaemonSet {namespace}/{name} was interrupted or has failed (Lease {lease_name}, which "
            "nobody holds any more: 0 s are left). Repeat it to finish it, or take it back with daemonset_rollout and "
            "state rolled_back; then run again."
        )
