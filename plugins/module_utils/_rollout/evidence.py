# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is known of a node that did not become healthy, gathered before its pod is deleted.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._kube import fields, pods
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import KubeError
from ansible_collections.podnet.cni.plugins.module_utils._rollout import gates, logs
from ansible_collections.podnet.cni.plugins.module_utils._rollout.cluster import LOG_BYTES, Daemons, LogUnreadable
from ansible_collections.podnet.cni.plugins.module_utils._rollout.gates import Verdict

NODES = 3
"""Of so many nodes: what ails one wave is mostly the same everywhere, and it is kept in a Lease."""
EVENTS = 10
LINE = 500
"""Characters of a line of a log or of an event."""


def collect(
    daemons: Daemons, params: Mapping[str, Any], daemonset: Mapping[str, Any], verdict: Verdict, pod: Any
) -> dict[str, Any]:
    """The evidence as plain data; what is not available is named in C(unknown). Never raises KubeError.

    C(exit_code) is null while no container has ended.
    """
    found: dict[str, Any] = {
        "node": verdict.node,
        "reason": verdict.reason,
        "pod": "",
        "container": verdict.container,
        "exit_code": None,
        "exit_reason": "",
        "log": [],
        "events": [],
        "unknown": [],
    }
    about = pod if pod is not None and verdict.cause != gates.ABSENT else daemonset
    if pod is not None:
        found["pod"] = str(pod["metadata"]["name"])
        found["container"] = verdict.container or params["container"] or pod["spec"]["containers"][0]["name"]
        ended = pods.last_exit(pod, found["container"])
        found["exit_code"], found["exit_reason"] = ended.get("exitCode"), str(ended.get("reason") or "")
        if verdict.cause not in (gates.UNREADABLE, gates.PULL, gates.OLDER):
            _add_log(daemons, pod, found)
    try:
        found["events"] = [_event(each) for each in daemons.events(about)[-EVENTS:]]
    except KubeError as error:
        found["unknown"].append(f"events: {error}")
    return found


def sentence(evidence: Mapping[str, Any]) -> str:
    """One item of evidence in words, without its reason; empty where there is none."""
    parts = []
    if evidence["exit_code"] is not None:
        reason = f" ({evidence['exit_reason']})" if evidence["exit_reason"] else ""
        parts.append(f"container {evidence['container']} exited with {evidence['exit_code']}{reason}")
    if evidence["log"]:
        parts.append(f"log of {evidence['container']}: {' | '.join(evidence['log'])}")
    if evidence["events"]:
        parts.append(f"events: {' | '.join(evidence['events'])}")
    parts += [f"not known: {text}" for text in evidence["unknown"]]
    return f"{evidence['node'] or 'DaemonSet'}: {'; '.join(parts)}" if parts else ""


def text(items: Sequence[Mapping[str, Any]]) -> str:
    """All evidence in words, as the end of a message; empty where there is none."""
    found = [said for said in map(sentence, items) if said]
    return f" Evidence, kept before anything was deleted: {' // '.join(found)}" if found else ""


def _add_log(daemons: Daemons, pod: Mapping[str, Any], found: dict[str, Any]) -> None:
    try:
        start = daemons.log(pod, found["container"])
        end = daemons.log(pod, found["container"], tail=logs.TAIL) if len(start.encode()) >= LOG_BYTES else ""
    except (LogUnreadable, KubeError) as error:
        found["unknown"].append(f"log: {error}")
        return
    found["log"] = [line[:LINE] for line in logs.excerpt(start, end)]


def _event(item: Mapping[str, Any]) -> str:
    count = int(item.get("count") or fields.at(item, "series", "count") or 1)
    often = f" (x{count})" if count > 1 else ""
    said = " ".join(str(item.get("message") or "").split())
    return f"{item.get('type')} {item.get('reason')}{often}: {said}"[:LINE]
