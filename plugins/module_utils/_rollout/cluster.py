# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a rollout reads from the cluster and writes to it. Private to podnet.cni: may change in any release."""

from __future__ import annotations

import json
import time
from typing import Any, Callable, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError, InputError, PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._kube import causes, fields, selectors
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient, update_with_retry
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import (
    Conflict,
    Forbidden,
    KubeError,
    NotFound,
    Unauthorized,
    Unreachable,
)
from ansible_collections.podnet.cni.plugins.module_utils._rollout import gates, target
from ansible_collections.podnet.cni.plugins.module_utils._rollout.state import (
    ANNOTATION,
    State,
    decode,
    encode,
    lease_spec,
    name_for,
    seconds_left,
)

LOG_BYTES = 262144
"""The start of a log is enough: flanneld says there whether it came up."""

Obj = Mapping[str, Any]


class LogUnreadable(PodnetError):
    """The log of a container is not given out; C(refused) tells that it never will be, for want of a right."""

    def __init__(self, message: str, refused: bool) -> None:
        super().__init__(message)
        self.refused = refused


class Daemons:
    """One DaemonSet with its pods, revisions and nodes."""

    def __init__(self, client: KubeClient, namespace: str, name: str) -> None:
        self.client = client
        self.namespace = namespace
        self.name = name
        self.path = f"/apis/apps/v1/namespaces/{namespace}/daemonsets/{name}"
        self._core = f"/api/v1/namespaces/{namespace}"

    def get(self) -> dict[str, Any]:
        """The DaemonSet. Raises InputError when it is not there."""
        try:
            return self.client.get(self.path)
        except NotFound:
            raise InputError(
                f"there is no DaemonSet {self.namespace}/{self.name}: correct namespace and name."
            ) from None

    def revisions(self, daemonset: Obj) -> list[dict[str, Any]]:
        """The ControllerRevisions, the newest first."""
        found = self._owned(f"/apis/apps/v1/namespaces/{self.namespace}/controllerrevisions", daemonset)
        return sorted(found, key=lambda item: -int(item.get("revision") or 0))

    def newest(self, daemonset: Obj) -> str:
        """The hash of the newest template; empty while the controller has not yet seen it."""
        seen = fields.number(daemonset, "status", "observedGeneration")
        if seen < int(daemonset["metadata"].get("generation") or 0):
            return ""
        found = self.revisions(daemonset)
        return fields.text(found[0]["metadata"], "labels", gates.HASH) if found else ""

    def pods(self, daemonset: Obj) -> dict[str, dict[str, Any]]:
        """The pods by node; of two on one node the one that is not ending, then the newer one."""
        found: dict[str, dict[str, Any]] = {}
        pods = self._owned(f"{self._core}/pods", daemonset)
        pods.sort(key=lambda pod: (not pod["metadata"].get("deletionTimestamp"), pod["metadata"]["creationTimestamp"]))
        for pod in pods:
            node = fields.at(pod, "spec", "nodeName")
            if node:
                found[str(node)] = pod
        return found

    def _owned(self, collection: str, daemonset: Obj) -> list[dict[str, Any]]:
        selector = str(selectors.parse(daemonset["spec"]["selector"], "spec.selector"))
        uid = daemonset["metadata"]["uid"]
        return [
            item
            for item in self.client.list(collection, {"labelSelector": selector}).items
            if any(owner.get("uid") == uid for owner in item["metadata"].get("ownerReferences") or [])
        ]

    def nodes(self) -> dict[str, dict[str, Any]]:
        """All Nodes by name."""
        return {item["metadata"]["name"]: item for item in self.client.list("/api/v1/nodes").items}

    def log(self, pod: Obj, container: str, tail: int = 0) -> str:
        """The start of a container's log, or its last lines; empty for a container that has not been started.

        Raises LogUnreadable when the kubelet cannot be reached or the log may not be read, and KubeError.
        """
        query = {"container": container, **({"tailLines": tail} if tail else {"limitBytes": LOG_BYTES})}
        try:
            body = self.client.request("GET", f"{self._core}/pods/{pod['metadata']['name']}/log", query=query).body
        except (Forbidden, Unauthorized) as error:
            raise LogUnreadable(str(error), True) from None
        except Unreachable:
            raise
        except KubeError as error:
            # 400: the container is not started yet; 404: the pod is gone meanwhile.
            if error.status in (400, 404):
                return ""
            raise LogUnreadable(str(error), False) from None
        return body if isinstance(body, str) else json.dumps(body)

    def events(self, item: Obj) -> list[dict[str, Any]]:
        """The events of a pod or of the DaemonSet, the oldest first. Raises KubeError."""
        return causes.events(self.client, self.namespace, str(item["metadata"]["uid"]))

    def delete_pod(self, pod: Obj) -> None:
        """Delete exactly this pod; nothing when it is gone already."""
        try:
            self.client.delete(f"{self._core}/pods/{pod['metadata']['name']}")
        except NotFound:
            return

    def config_map(self, name: str) -> dict[str, Any]:
        """A ConfigMap of the namespace. Raises InputError when it is not there."""
        try:
            return self.client.get(f"{self._core}/configmaps/{name}")
        except NotFound:
            raise InputError(f"config_map: there is no ConfigMap {self.namespace}/{name}.") from None

    def write_config_map(self, name: str, data: Obj) -> None:
        """Set keys of a ConfigMap, or remove those that are None."""
        self.client.patch(f"{self._core}/configmaps/{name}", {"data": dict(data)}, "merge")

    def patch_template(self, template: Obj, *, replace: bool = False, dry_run: bool = False) -> dict[str, Any]:
        """Change or replace the pod template and, in the same write, stop the controller from replacing pods itself."""
        if replace and template:
            writes = [
                {"op": "replace", "path": "/spec/template", "value": dict(template)},
                {"op": "replace", "path": "/spec/updateStrategy", "value": {"type": "OnDelete"}},
            ]
            return self.client.patch(self.path, writes, "json", dry_run=dry_run)
        spec: dict[str, Any] = {"updateStrategy": target.ON_DELETE}
        if template:
            spec["template"] = dict(template)
        return self.client.patch(self.path, {"spec": spec}, "strategic", dry_run=dry_run)

    def try_template(self, params: Obj, live: Obj, config_changes: bool) -> tuple[Obj, bool]:
        """What the DaemonSet would become, and whether it takes a checksum to have a changed ConfigMap restart pods."""
        for restart in (False, True) if config_changes else (False,):
            patch = target.template_patch(params, live, restart)
            replace = bool(params.get("replace_template"))
            tried = self.patch_template(patch, replace=replace, dry_run=True) if patch else live
            if tried["spec"]["template"] != live["spec"]["template"]:
                return tried, restart
        return live, False

    def restore_template(self, template: Obj) -> None:
        """Put back a whole pod template."""
        self.client.patch(self.path, [{"op": "replace", "path": "/spec/template", "value": dict(template)}], "json")

    def restore_strategy(self, strategy: Obj) -> None:
        """Put back the update strategy."""
        value = dict(strategy)
        self.client.patch(self.path, [{"op": "replace", "path": "/spec/updateStrategy", "value": value}], "json")


class Guard:
    """The Lease of a rollout, held by C(holder)."""

    def __init__(
        self, client: KubeClient, daemons: Daemons, *, holder: str, seconds: int, now: Callable[[], float]
    ) -> None:
        self._client = client
        self._collection = f"/apis/coordination.k8s.io/v1/namespaces/{daemons.namespace}/leases"
        self._name = name_for(daemons.name)
        self._path = f"{self._collection}/{self._name}"
        self._holder = holder
        self._seconds = seconds
        self._now = now

    def read(self) -> tuple[State | None, str]:
        """The state of a rollout that was begun, and who has it. Raises ConflictError while somebody else does."""
        try:
            lease = self._client.get(self._path)
        except NotFound:
            return None, ""
        self._check(lease)
        return decode(lease), fields.text(lease, "spec", "holderIdentity")

    def _check(self, lease: Obj) -> None:
        holder = fields.at(lease, "spec", "holderIdentity")
        left = seconds_left(lease, self._now())
        if holder != self._holder and left > 0:
            raise ConflictError(
                f"another rollout of this DaemonSet is in progress, by {holder} (Lease {self._name}). Let it finish. "
                f"If it was interrupted, run this again in {left:.0f} s to take it over."
            )

    def create(self, state: State) -> None:
        """Begin. Raises ConflictError when another run began in the same moment."""
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name, "annotations": {ANNOTATION: encode(state)}},
            "spec": lease_spec(self._holder, self._seconds, self._now()),
        }
        try:
            self._client.create(self._collection, body)
        except Conflict:
            raise ConflictError(f"another rollout of this DaemonSet began just now (Lease {self._name}).") from None

    def save(self, state: State, *, release: bool = False) -> None:
        """Keep the state and the Lease, or let go of it so that the next run may continue at once."""

        def change(lease: dict[str, Any]) -> dict[str, Any]:
            self._check(lease)
            spec = lease_spec(self._holder, self._seconds, self._now())
            if release:
                spec.update(holderIdentity=None, renewTime=None)
            return {"metadata": {"annotations": {ANNOTATION: encode(state)}}, "spec": spec}

        update_with_retry(self._client, self._path, change)

    def end(self) -> None:
        """Forget the rollout."""
        try:
            self._client.delete(self._path)
        except NotFound:
            return


def wall_clock() -> float:
    """Seconds since 1970; what a Lease and Node conditions are measured with."""
    return time.time()
