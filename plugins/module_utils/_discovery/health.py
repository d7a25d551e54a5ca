# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Health of a component, from status fields that are already read. Private to podnet.cni: may change in any release."""

from __future__ import annotations

from ansible_collections.podnet.cni.plugins.module_utils._discovery.record import Record, Workload

NOT_SCHEDULED = "no_node_selected"
NONE_READY = "no_pod_ready"
NOT_ROLLED_OUT = "daemonset_not_rolled_out"
OVERLAPPING = "overlapping_daemonsets"
NODE_UNAVAILABLE = "node_network_unavailable"
NODES_DIFFER = "node_inconsistent"
CONFIG_ERROR = "config_error"
NOT_COUNTED = "status_not_observed"


def judge(record: Record) -> None:
    """Set state and reasons; reasons that others noted before are kept and count."""
    reasons = record.health.reasons
    broken = _workloads(record, reasons)
    if record.config_error:
        reasons.append(CONFIG_ERROR)
    if record.role != "leftover":
        if record.nodes.network_unavailable:
            reasons.append(NODE_UNAVAILABLE)
        if record.nodes.inconsistencies:
            reasons.append(NODES_DIFFER)
    if record.role == "leftover" or not (record.workloads or record.install_method == "embedded"):
        record.health.state = "unknown"
    elif broken:
        record.health.state = "broken"
    elif NOT_COUNTED in reasons:
        record.health.state = "unknown"
    elif NOT_SCHEDULED in reasons:
        record.health.state = "disabled"
    else:
        record.health.state = "degraded" if reasons else "healthy"


def _workloads(record: Record, reasons: list[str]) -> bool:
    """Note what the workloads say; True when pods are wanted and none is ready.

    A status that lags behind the generation tells of what was asked for before, an unfilled one of nothing.
    """
    if not record.workloads:
        return False
    if not all(workload.status_known for workload in record.workloads):
        reasons.append(NOT_COUNTED)
        return False
    wanted = [workload for workload in record.workloads if workload.desired]
    if not wanted:
        reasons.append(NOT_SCHEDULED)
        return False
    if not any(workload.ready for workload in wanted):
        reasons.append(NONE_READY)
        return True
    if not all(map(_rolled_out, wanted)):
        reasons.append(NOT_ROLLED_OUT)
    # The per-architecture DaemonSets of one installation share the Nodes between them.
    if record.nodes.total and record.desired > record.nodes.total:
        reasons.append(OVERLAPPING)
    return False


def _rolled_out(workload: Workload) -> bool:
    """As C(kubectl rollout status) judges; with OnDelete old pods stay until somebody deletes them."""
    if workload.available < workload.desired:
        return False
    return workload.update_strategy == "OnDelete" or workload.updated >= workload.desired
