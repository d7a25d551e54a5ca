# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The order in which objects have to come into being; no I/O.

A DaemonSet that starts before its CustomResourceDefinitions are established crashes until they are, and Canal's Felix
reports ready meanwhile (Calico v3.32 felix/daemon/daemon.go). Upstream manifests hold their objects in any order.
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Sequence

PHASES: Sequence[Sequence[str]] = (
    ("Namespace",),
    ("CustomResourceDefinition",),
    ("PriorityClass", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"),
    ("ConfigMap", "Secret"),
    (),
    ("Service", "Endpoints", "EndpointSlice", "PodDisruptionBudget", "NetworkPolicy"),
    ("DaemonSet", "Deployment", "StatefulSet", "ReplicaSet", "ReplicationController", "Job", "CronJob", "Pod"),
    ("APIService", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"),
)
"""Kinds by phase. The empty phase is for every other kind, which custom resources are.

Webhooks come last: one that fails closed refuses the very pods that would answer it.
"""
OTHERS = PHASES.index(())
_PHASE = {kind: number for number, kinds in enumerate(PHASES) for kind in kinds}


def phase(kind: str) -> int:
    """Number of the phase that a kind belongs to, from 0."""
    return _PHASE.get(kind, OTHERS)
