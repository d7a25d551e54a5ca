# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which nodes several DaemonSets are meant for: one for each architecture is one flannel, anything else is two.

Private to podnet.cni: may change in any release.

Older manifests have a DaemonSet for each architecture, told apart by node affinity or node selector (flannel v0.11.0
Documentation/kube-flannel.yml); the one for Windows is sigs.k8s.io/sig-windows-tools hostprocess/flannel.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._discovery import targets
from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError

Obj = Mapping[str, Any]
_OS = "kubernetes.io/os"
_ARCHITECTURE = "kubernetes.io/arch"


def of_windows(daemonset: Obj) -> bool:
    """Whether its pods run on Windows nodes only."""
    terms = list(targets.terms(daemonset))
    return all(term.get(_OS) == frozenset(("windows",)) for term in terms)


def of_some(daemonset: Obj) -> bool:
    """Whether its pods run on some architectures only, so that there may have been others beside it."""
    return any(_ARCHITECTURE in term for term in targets.terms(daemonset))


def check(daemonsets: Sequence[Obj]) -> None:
    """Raise ConflictError when two DaemonSets may put a pod on the same node."""
    for one, other in combinations(daemonsets, 2):
        if not targets.apart(one, other):
            names = " and ".join(f"{item['metadata']['namespace']}/{item['metadata']['name']}" for item in (one, other))
            raise ConflictError(
                f"The DaemonSets {names} both run flannel, and nothing in their node selectors and affinities keeps "
                "them off the same node, so they are not one flannel with a DaemonSet for each architecture. Delete "
                "the one that is not in use, then run again."
            )
