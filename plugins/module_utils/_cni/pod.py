# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A pod that is nothing but a network namespace: what is there, what has to be done, and doing it.

Private to podnet.cni: may change in any release.

A record per pod holds the request, the configuration that was used and the plugins' result. It is written before
the plugins run, so that a run that was cut off is undone with the same configuration by the next one.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._cni.runtime import Pod, Runtime, addresses, is_namespace
from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError
from ansible_collections.podnet.cni.plugins.module_utils._host import atomic_file


@dataclass(frozen=True)
class Observed:
    """What is on the host: the record (None: there is none), whether there is a namespace, what is wrong with it."""

    record: Mapping[str, Any] | None
    namespace: bool
    problem: str = ""


@dataclass(frozen=True)
class PodPlan:
    """Whether to remove what is there and whether to make the pod; C(why) says why it is made anew."""

    remove: bool
    create: bool
    why: str = ""

    def actions(self, name: str) -> list[str]:
        """Return the plan in words."""
        reason = f": {self.why}" if self.why else ""
        return [f"remove pod {name}{reason}"] * self.remove + [f"create pod {name}"] * self.create


def record_path(state_dir: str, pod: Pod) -> str:
    """Return where the record of the pod lies."""
    return os.path.join(state_dir, f"{pod.name}.json")


def observe(runtime: Runtime, state_dir: str, pod: Pod) -> Observed:
    """Read the record and look at the pod. A record that is not JSON counts as that of a run that was cut off."""
    text = atomic_file.observe(record_path(state_dir, pod)).text
    namespace = is_namespace(runtime.netns(pod))
    if text is None:
        return Observed(None, namespace)
    try:
        record: dict[str, Any] = json.loads(text)
    except ValueError:
        return Observed({}, namespace, "its record cannot be read")
    if record.get("result") is None:
        return Observed(record, namespace, "an earlier run was cut off")
    return Observed(record, namespace, runtime.problem(record["conflist"], _recorded(record, pod), record["result"]))


def plan(pod: Pod, present: bool, observed: Observed) -> PodPlan:
    """Compare and say what is to be done; pure.

    Raises ConflictError when the namespace belongs to somebody else.
    A change of the CNI configuration is not a reason to make a pod anew: a runtime keeps running pods, too.
    """
    if observed.record is None:
        if present and observed.namespace:
            raise ConflictError(
                f"There is a network namespace named {pod.name} that this module did not make. "
                f"Give the pod another name, or remove the namespace: ip netns del {pod.name}"
            )
        return PodPlan(False, present)
    if not present:
        return PodPlan(True, False)
    why = observed.problem
    if not why and observed.record["request"] != pod.request():
        why = "something else is asked for"
    return PodPlan(bool(why), bool(why), why)


def apply(
    runtime: Runtime,
    state_dir: str,
    pod: Pod,
    *,
    conflist: Mapping[str, Any],
    observed: Observed,
    steps: PodPlan,
) -> dict[str, Any] | None:
    """Carry the plan out and return the record afterwards, or None when the pod is absent."""
    path = record_path(state_dir, pod)
    record: dict[str, Any] | None = dict(observed.record) if observed.record else None
    if steps.remove:
        used = record or {}
        runtime.delete(used.get("conflist", conflist), _recorded(used, pod), used.get("result"))
        atomic_file.remove(path)
        record = None
    if steps.create:
        record = {"request": pod.request(), "conflist": dict(conflist), "result": None}
        atomic_file.write(path, json.dumps(record), mode=0o600)
        try:
            record["result"] = runtime.add(conflist, pod)
        finally:
            if record["result"] is None and not is_namespace(runtime.netns(pod)):
                atomic_file.remove(path)
        atomic_file.write(path, json.dumps(record), mode=0o600)
    return record


def describe(runtime: Runtime, pod: Pod, record: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the pod as the module reports it; addresses are known once the plugins ran."""
    if not record:
        return None
    result = record["result"] or {}
    ips = addresses(result)
    plain = [address.split("/")[0] for address in ips]
    return {
        "name": pod.name,
        "container_id": pod.container_id,
        "netns": runtime.netns(pod),
        "interface": record["request"]["interface"],
        "network": record["conflist"]["name"],
        "ips": ips,
        "address": next((address for address in plain if ":" not in address), ""),
        "ipv6_address": next((address for address in plain if ":" in address), ""),
        "result": result,
    }


def _recorded(record: Mapping[str, Any], pod: Pod) -> Pod:
    """Return the pod as it was asked for when it was made: DEL gets the same arguments as ADD got."""
    request = record.get("request", pod.request())
    return Pod(pod.name, request["interface"], request["arguments"], request["port_mappings"])
