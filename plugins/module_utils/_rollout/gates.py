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
from dataclasses import dataclass, replace
from typing import Any, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._kube import causes, fields, pods
from ansible_collections.podnet.cni.plugins.module_utils._kube.pods import condition
from ansible_collections.podnet.cni.plugins.module_utils._kube.times import parse_time
from ansible_collections.podnet.cni.plugins.module_utils._rollout import logs

HASH = causes.HASH

OK = "ok"
WAIT = "wait"
BROKEN = "broken"

UNSEEN = "unseen"
ABSENT = "absent"
ENDING = "ending"
OLDER = "older"
PULL = "pull"
POD = "pod"
NODE = "node"
LOG = "log"
UNREADABLE = "unreadable"

_FATAL = (pods.CRASHING, pods.INVALID, pods.FAILED)


@dataclass(frozen=True)
class Verdict:
    """C(state) is C(ok), C(wait) (not yet) or C(broken) (waiting will not help), C(reason) says why in words.

    C(cause) is one of UNSEEN (the controller has not seen the template), ABSENT (no pod), ENDING (the old pod ends),
    OLDER (a pod of an older template), PULL (an image is not there yet), POD, NODE, LOG and UNREADABLE (a log that
    cannot be read), empty for C(ok). C(container) is the one to blame, empty for none.
    """

    node: str
    state: str
    reason: str = ""
    cause: str = ""
    container: str = ""

    def __str__(self) -> str:
        return f"{self.node}: {self.reason}" if self.reason and self.node else self.node or self.reason


def judge_pod(name: str, pod: Mapping[str, Any] | None, revision: str) -> Verdict:
    """Whether the node's pod is of the newest revision and ready."""
    if pod is None:
        return Verdict(name, WAIT, "there is no pod yet", ABSENT)
    metadata = pod.get("metadata") or {}
    if metadata.get("deletionTimestamp"):
        return Verdict(name, WAIT, "the old pod is ending", ENDING)
    if fields.at(metadata, "labels", HASH) != revision:
        return Verdict(name, WAIT, "the pod is of an older template", OLDER)
    found = pods.problem(pod)
    if found is None:
        return Verdict(name, OK)
    cause = PULL if found.kind == pods.PULL else POD
    return Verdict(name, BROKEN if found.kind in _FATAL else WAIT, found.of("the pod"), cause, found.container)


def of_node(verdict: Verdict, node: Mapping[str, Any] | None) -> Verdict:
    """The verdict with what the Node reports, where its pod is waited for."""
    if verdict.state != WAIT:
        return verdict
    if pods.is_silent(node):
        return replace(verdict, reason=f"the node does not report any more, and {verdict.reason}")
    problem = pods.node_problem(node or {})
    return replace(verdict, reason=f"{verdict.reason}; its Node is {problem}") if problem else verdict


def judge_node(node: Mapping[str, Any], pod: Mapping[str, Any], container: str, prefix: str) -> Verdict:
    """Whether this start of the daemon wrote the Node's annotations and its condition."""
    name = str(fields.at(node, "metadata", "name"))
    started = started_at(pod, container)
    if started is None:
        return Verdict(name, WAIT, f"container {container} does not run", NODE, container)
    notes = fields.mapping(node, "metadata", "annotations")
    absent = [key for key in ("backend-type", "kube-subnet-manager") if not notes.get(f"{prefix}/{key}")]
    if absent:
        return Verdict(name, WAIT, f"the Node has no annotation {prefix}/{absent[0]}", NODE)
    network = condition(node, "NetworkUnavailable")
    if network.get("status") != "False" or network.get("reason") != "FlannelIsUp":
        return Verdict(name, WAIT, "the Node's condition does not say FlannelIsUp", NODE)
    beat = parse_time(network.get("lastHeartbeatTime"))
    if beat is None or beat < started:
        return Verdict(name, WAIT, "the Node's condition is from an earlier start", NODE)
    return Verdict(name, OK)


def judge_log(name: str, text: str, healthy: Sequence[str], broken: Sequence[str], container: str = "") -> Verdict:
    """What the log of the daemon says."""
    line = logs.broken_line(text, broken)
    if line:
        return Verdict(name, BROKEN, f"the log says: {line}", LOG, container)
    absent = logs.missing(text, healthy)
    if absent:
        return Verdict(name, WAIT, f"the log does not say {absent!r} yet", LOG, container)
    return Verdict(name, OK)


def started_at(pod: Mapping[str, Any], container: str) -> datetime.datetime | None:
    """When the container that runs was started."""
    for each in fields.sequence(pod, "status", "containerStatuses"):
        if each.get("name") == container:
            return parse_time(fields.at(each, "state", "running", "startedAt"))
    return None
