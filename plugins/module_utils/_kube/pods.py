# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why a pod is not ready, as data; no I/O. Private to podnet.cni: may change in any release."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._kube import fields

ENDING = "ending"
UNSCHEDULED = "unscheduled"
STARTING = "starting"
PULL = "image pull"
INVALID = "invalid"
CRASHING = "crashing"
EXITED = "exited"
FAILED = "failed"
NOT_READY = "not ready"

_STARTING = ("ContainerCreating", "PodInitializing")
# Reasons of a container that waits: kubernetes v1.36 pkg/kubelet/images/types.go, pkg/kubelet/container/sync_result.go.
_PULL = ("ErrImagePull", "ImagePullBackOff", "RegistryUnavailable")
_INVALID = ("InvalidImageName", "ErrImageNeverPull", "ImageInspectError", "CreateContainerConfigError")


@dataclass(frozen=True)
class Problem:
    """C(kind) is one of the constants above, C(predicate) says it of C(container) or, without one, of the pod."""

    kind: str
    predicate: str
    container: str = ""

    def of(self, pod: str) -> str:
        """A sentence, with a word for the pod."""
        return f"{f'container {self.container}' if self.container else pod} {self.predicate}"


def problem(pod: Mapping[str, Any]) -> Problem | None:
    """Why a pod is not ready; None for one that is. One that is being deleted is not ready any more."""
    metadata, status = pod.get("metadata") or {}, pod.get("status") or {}
    if metadata.get("deletionTimestamp"):
        return Problem(ENDING, f"is being deleted since {metadata['deletionTimestamp']}")
    if status.get("phase") == "Failed":
        why = [str(status[name]) for name in ("reason", "message") if status.get(name)]
        return Problem(FAILED, f"failed: {': '.join(why) or 'no reason'}")
    if condition(pod, "Ready").get("status") == "True":
        return None
    found = [each for each in map(_of_container, _containers(pod)) if each is not None]
    return found[0] if found else _of_pod(pod)


def _containers(pod: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    status = pod.get("status") or {}
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


def _of_pod(pod: Mapping[str, Any]) -> Problem:
    """Why a pod is not ready none of whose containers is to blame."""
    scheduled, ready = condition(pod, "PodScheduled"), condition(pod, "Ready")
    if scheduled.get("status") == "False":
        return Problem(UNSCHEDULED, f"is not scheduled: {scheduled.get('message') or scheduled.get('reason')}")
    reasons = {fields.at(each, "state", "waiting", "reason") for each in _containers(pod)}
    if reasons & set(_STARTING):
        return Problem(STARTING, "is not ready, its containers are being created")
    return Problem(NOT_READY, f"is not ready{': ' if ready.get('message') else ''}{ready.get('message') or ''}")


def text(pod: Mapping[str, Any]) -> str:
    """The same in words; empty for a pod that is ready."""
    found = problem(pod)
    return found.of("it") if found else ""


def condition(item: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """A condition of a Pod or Node, empty when it has none of that kind."""
    found = fields.sequence(item, "status", "conditions")
    return next((each for each in found if each.get("type") == kind), {})


def node_problem(node: Mapping[str, Any]) -> str:
    """Why a Node is not ready, in the words of the API; empty for one that is."""
    ready = condition(node, "Ready")
    if ready.get("status") == "True":
        return ""
    why = ": ".join(str(ready[name]) for name in ("reason", "message") if ready.get(name))
    return f"NotReady ({why or 'its kubelet has not reported yet'})"


def is_silent(node: Mapping[str, Any] | None) -> bool:
    """Whether a node does not report any more: its Node is gone, or its condition Ready is Unknown.

    A kubelet that runs says True or False; the node lifecycle controller says Unknown for one that is silent
    (kubernetes v1.36 pkg/controller/nodelifecycle/node_lifecycle_controller.go).
    """
    return node is None or condition(node, "Ready").get("status") == "Unknown"


def last_exit(pod: Mapping[str, Any], container: str) -> Mapping[str, Any]:
    """How a container ended last, with C(exitCode), C(reason) and C(message); empty when it never did."""
    for each in _containers(pod):
        if each.get("name") == container:
            now, before = each.get("state") or {}, each.get("lastState") or {}
            return now.get("terminated") or before.get("terminated") or {}
    return {}


def _of_container(status: Mapping[str, Any]) -> Problem | None:
    name, state = str(status.get("name")), status.get("state") or {}
    waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
    reason = waiting.get("reason")
    if reason and reason not in _STARTING:
        kind = PULL if reason in _PULL else INVALID if reason in _INVALID else STARTING
        said = f"is in {reason}: {waiting.get('message') or 'no message'}"
        before = fields.mapping(status, "lastState", "terminated")
        if reason == "CrashLoopBackOff":
            kind = CRASHING
            said += f" (it exited with {_exit(before)})" if before else ""
        return Problem(kind, said, name)
    if ended.get("exitCode"):
        return Problem(EXITED, f"exited with {_exit(ended)}", name)
    return None


def _exit(terminated: Mapping[str, Any]) -> str:
    said = str(terminated.get("message") or "").strip()
    return f"{terminated.get('exitCode')}: {terminated.get('reason') or 'no reason'}" + (f", {said}" if said else "")
