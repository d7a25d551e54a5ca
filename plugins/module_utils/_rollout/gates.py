# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Judge one node of a wave; no I/O.

A daemon start of flannel writes its Node annotations, then the condition C(NetworkUnavailable) with the time of now,
once (flannel v0.28.9 pkg/subnet/kube/kube.go); a heartbeat that is not older than the container's start proves that
this start got there. Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._rollout import logs

OK = "ok"
WAIT = "wait"
BROKEN = "broken"

_FATAL_WAITS = (
    "CrashLoopBackOff",
    "ImagePullBackOff",
    "ErrImagePull",
    "InvalidImageName",
    "CreateContainerConfigError",
)
HASH = "controller-revision-hash"


@dataclass(frozen=True)
class Verdict:
    """C(state) is C(ok), C(wait) (not yet) or C(broken) (waiting will not help), C(reason) says why in words."""

    node: str
    state: str
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.node}: {self.reason}" if self.reason else self.node


def judge_pod(name: str, pod: Mapping[str, Any] | None, revision: str) -> Verdict:
    """Whether the node's pod is of the newest revision and ready."""
    if pod is None:
        return Verdict(name, WAIT, "there is no pod yet")
    metadata = pod.get("metadata") or {}
    if metadata.get("deletionTimestamp"):
        return Verdict(name, WAIT, "the old pod is ending")
    if (metadata.get("labels") or {}).get(HASH) != revision:
        return Verdict(name, WAIT, "the pod is of an older template")
    fault = _fault(pod.get("status") or {})
    if fault:
        return Verdict(name, BROKEN, fault)
    ready = condition(pod, "Ready").get("status") == "True"
    return Verdict(name, OK) if ready else Verdict(name, WAIT, "the pod is not ready")


def _fault(status: Mapping[str, Any]) -> str:
    """What is wrong with a pod that waiting does not mend."""
    for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") in _FATAL_WAITS:
            message = str(waiting.get("message") or "no message")[:200]
            return f"container {container.get('name')} is in {waiting['reason']}: {message}"
    if status.get("phase") == "Failed":
        return f"the pod failed: {status.get('reason') or status.get('message') or 'no reason'}"
    return ""


def judge_node(node: Mapping[str, Any], pod: Mapping[str, Any], container: str, prefix: str) -> Verdict:
    """Whether this start of the daemon wrote the Node's annotations and its condition."""
    name = str((node.get("metadata") or {}).get("name"))
    started = started_at(pod, container)
    if started is None:
        return Verdict(name, WAIT, f"container {container} does not run")
    notes = (node.get("metadata") or {}).get("annotations") or {}
    absent = [key for key in ("backend-type", "kube-subnet-manager") if not notes.get(f"{prefix}/{key}")]
    if absent:
        return Verdict(name, WAIT, f"the Node has no annotation {prefix}/{absent[0]}")
    network = condition(node, "NetworkUnavailable")
    if network.get("status") != "False" or network.get("reason") != "FlannelIsUp":
        return Verdict(name, WAIT, "the Node's condition does not say FlannelIsUp")
    beat = parse_time(network.get("lastHeartbeatTime"))
    if beat is None or beat < started:
        return Verdict(name, WAIT, "the Node's condition is from an earlier start")
    return Verdict(name, OK)


def silent(node: Mapping[str, Any] | None) -> bool:
    """Whether a node does not report any more: its Node is gone, or its condition Ready is Unknown.

    A kubelet that runs says True or False; the node lifecycle controller says Unknown for one that is silent
    (kubernetes v1.36 pkg/controller/nodelifecycle/node_lifecycle_controller.go).
    """
    return node is None or condition(node, "Ready").get("status") == "Unknown"


def judge_log(name: str, text: str, healthy: Sequence[str], broken: Sequence[str]) -> Verdict:
    """What the log of the daemon says."""
    line = logs.broken_line(text, broken)
    if line:
        return Verdict(name, BROKEN, f"the log says: {line}")
    absent = logs.missing(text, healthy)
    return Verdict(name, WAIT, f"the log does not say {absent!r} yet") if absent else Verdict(name, OK)


def condition(item: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """A condition of a Pod or Node, empty when it has none of that kind."""
    found = (item.get("status") or {}).get("conditions") or []
    return next((each for each in found if each.get("type") == kind), {})


def started_at(pod: Mapping[str, Any], container: str) -> datetime.datetime | None:
    """When the container that runs was started."""
    for each in (pod.get("status") or {}).get("containerStatuses") or []:
        if each.get("name") == container:
            return parse_time(((each.get("state") or {}).get("running") or {}).get("startedAt"))
    return None


def parse_time(text: Any) -> datetime.datetime | None:
    """A time of the API, with or without fractions of a second; None for anything else."""
    for form in ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.%fZ"):
        try:
            return datetime.datetime.strptime(str(text), form).replace(tzinfo=datetime.timezone.utc)
        except ValueError:
            continue
    return None
