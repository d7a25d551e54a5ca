# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Existing pods at the edge: read them, patch them, restart their owners one at a time.

Private to podnet.cni: may change in any release.

The module and the watch loop of the server run the same code with different API clients.
"""

from __future__ import annotations

import datetime
import time
from dataclasses import dataclass, field
from typing import Any, Callable, Iterable, Mapping, Protocol

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._kube import rollout
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import Conflict, KubeError, NotFound
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn import config as configuration
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn import sync
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn.config import Config
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn.decision import Namespace
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn.sync import PodPlan

NAMESPACES = "/api/v1/namespaces"
RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
"""The template annotation that kubectl rollout restart sets."""

PLURALS = {"Deployment": "deployments", "StatefulSet": "statefulsets", "DaemonSet": "daemonsets"}


class Items(Protocol):
    """A list of objects."""

    @property
    def items(self) -> list[dict[str, Any]]:
        """The objects."""


class Api(Protocol):
    """What we need of an API client."""

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """One object."""

    def list(self, path: str, query: Mapping[str, Any] | None = None) -> Items:
        """All objects of a collection."""

    def patch(self, path: str, body: Any, kind: str = "merge") -> dict[str, Any]:
        """Patch an object."""


@dataclass
class Owner:
    """A workload whose pods hold values that only a new pod gives up.

    C(reason) says why it cannot be restarted by us, empty when it can.
    """

    namespace: str
    kind: str
    name: str
    reason: str = ""
    pods: list[str] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    labels: list[Mapping[str, str]] = field(default_factory=list)

    @property
    def path(self) -> str:
        """Where the API keeps it."""
        return f"/apis/apps/v1/namespaces/{self.namespace}/{PLURALS[self.kind]}/{self.name}"

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"

    def to_dict(self) -> dict[str, Any]:
        """As the module returns it."""
        return {
            "namespace": self.namespace,
            "kind": self.kind,
            "name": self.name,
            "pods": sorted(self.pods),
            "annotations": sorted(self.keys),
            "restartable": not self.reason,
            "reason": self.reason,
        }


def selected(api: Api, config: Config, names: Iterable[str] | None, withdraw: bool = False) -> list[Namespace]:
    """The namespaces to look at: the named ones, else those that take part; all of them to withdraw."""
    if names is not None:
        found = []
        for name in names:
            try:
                found.append(Namespace.from_object(api.get(f"{NAMESPACES}/{name}")))
            except NotFound:
                raise InputError(f"there is no namespace {name}: mend the name or leave it out.") from None
        return found
    every = [Namespace.from_object(item) for item in api.list(NAMESPACES).items]
    return [each for each in every if withdraw or config.takes_part(each.name, each.labels)]


def plan_namespace(
    api: Api, namespace: Namespace, config: Config, *, unprotect: bool = False, withdraw: bool = False
) -> list[PodPlan]:
    """What to do about the pods of one namespace."""
    pods = api.list(f"{NAMESPACES}/{namespace.name}/pods").items
    plans = (sync.plan_pod(pod, namespace, config, unprotect=unprotect, withdraw=withdraw) for pod in pods)
    return [plan for plan in plans if plan is not None]


def apply_plan(api: Api, plan: PodPlan) -> bool:
    """Patch one pod; False when the pod was changed or removed meanwhile, which the next run looks at afresh."""
    try:
        api.patch(f"{NAMESPACES}/{plan.namespace}/pods/{plan.name}", plan.patch(), "merge")
    except (Conflict, NotFound):
        return False
    return True


def apply_plans(
    api: Api, plans: Iterable[PodPlan], rate: float, sleep: Callable[[float], Any] = time.sleep
) -> list[str]:
    """Patch pods, at most C(rate) a second, because each patch costs Kube-OVN a port update; gives the stale ones."""
    stale = []
    for plan in plans:
        if plan.changes:
            if not apply_plan(api, plan):
                stale.append(f"{plan.namespace}/{plan.name}")
            sleep(1 / rate)
    return stale


def owners(api: Api, plans: Iterable[PodPlan]) -> list[Owner]:
    """The workloads behind pods that drifted, in a stable order."""
    found: dict[tuple[str, str, str], Owner] = {}
    replica_sets: dict[str, dict[str, tuple[str, str]]] = {}
    for plan in plans:
        if not plan.drift:
            continue
        kind, name = plan.owner
        if kind == "ReplicaSet":
            if plan.namespace not in replica_sets:
                path = f"/apis/apps/v1/namespaces/{plan.namespace}/replicasets"
                replica_sets[plan.namespace] = {
                    str((item.get("metadata") or {}).get("name")): sync.owner_of(item) for item in api.list(path).items
                }
            above = replica_sets[plan.namespace].get(name, ("", ""))
            kind, name = above if above[0] else (kind, name)
        owner = found.setdefault(
            (plan.namespace, kind or "Pod", name or plan.name), Owner(plan.namespace, kind or "Pod", name or plan.name)
        )
        owner.pods.append(plan.name)
        owner.labels.append(plan.labels)
        owner.keys.update(each.key for each in plan.drift)
    for owner in found.values():
        owner.reason = _why_not(api, owner)
    return [found[key] for key in sorted(found)]


def _why_not(api: Api, owner: Owner) -> str:
    """Why an owner cannot be restarted through its template."""
    if owner.kind == "Pod":
        return "a bare pod is not made again by anyone"
    if owner.kind not in PLURALS:
        return f"a {owner.kind} has no rolling restart"
    spec = api.get(owner.path).get("spec") or {}
    if spec.get("paused"):
        return "its rollout is paused"
    strategy = spec.get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete":
        return "its update strategy is OnDelete"
    return ""


def disruption_budget_left(api: Api, owner: Owner) -> str:
    """The name of a PodDisruptionBudget that allows no disruption of the owner's pods now, empty when none forbids it.

    A rolling update does not ask the budgets itself, an eviction would.
    """
    path = f"/apis/policy/v1/namespaces/{owner.namespace}/poddisruptionbudgets"
    for item in api.list(path).items:
        spec, status = item.get("spec") or {}, item.get("status") or {}
        selector = configuration.parse_selector(spec.get("selector") or {}, "selector")
        if any(selector.matches(labels) for labels in owner.labels) and not status.get("disruptionsAllowed"):
            return str((item.get("metadata") or {}).get("name"))
    return ""


def restart(api: Api, owner: Owner, timeout: float, sleep: Callable[[float], Any] = time.sleep) -> str:
    """Restart an owner's pods and wait until all are new and available; gives what went wrong, empty when nothing did.

    Before it waits for every PodDisruptionBudget of the pods to allow a disruption.
    """
    deadline = time.monotonic() + timeout
    while True:
        budget = disruption_budget_left(api, owner)
        if not budget:
            break
        if time.monotonic() > deadline:
            return f"PodDisruptionBudget {budget} allowed no disruption for {timeout:g} s"
        sleep(1.0)
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    template = {"template": {"metadata": {"annotations": {RESTARTED_AT: now}}}}
    api.patch(owner.path, {"spec": template}, "merge")
    while not rollout.rolled_out(api.get(owner.path)):
        if time.monotonic() > deadline:
            return f"the rollout was not complete after {timeout:g} s"
        sleep(1.0)
    return ""


def run(api: Api, params: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """The module kube_ovn_inheritance_sync: its result. Raises InputError and KubeError."""
    config = configuration.parse(params["config"])
    word = params.get("confirm") or ""
    if word not in ("", sync.UNPROTECT_WORD):
        raise InputError(f"confirm is {word!r}: the only word is {sync.UNPROTECT_WORD}.")
    if params["rate"] <= 0:
        raise InputError(f"rate is {params['rate']:g}: give a number of pods a second above 0.")
    withdraw = params["state"] == "absent"
    plans: list[PodPlan] = []
    for namespace in selected(api, config, params.get("namespaces"), withdraw):
        plans += plan_namespace(api, namespace, config, unprotect=bool(word), withdraw=withdraw)
    behind = owners(api, plans)
    restarts = [owner for owner in behind if not owner.reason] if params["restart"] else []
    actions = [line for plan in plans for line in plan.actions()] + [f"restart {owner}" for owner in restarts]
    stale: list[str] = []
    failures: list[str] = []
    if not check_mode:
        stale = apply_plans(api, plans, params["rate"])
        for owner in restarts:
            problem = restart(api, owner, params["restart_timeout"])
            if problem:
                # The next owner is not touched while this one has not come back.
                failures.append(f"{owner}: {problem}")
                break
    return {
        "changed": any(plan.changes for plan in plans) or bool(restarts),
        "actions": actions,
        "owners": [owner.to_dict() for owner in behind],
        "held": [
            {"namespace": plan.namespace, "pod": plan.name, "annotation": key} for plan in plans for key in plan.held
        ],
        "stale": stale,
        "failures": failures,
        "diff": {
            "before": {_where(plan): dict(plan.before) for plan in plans if plan.changes},
            "after": {_where(plan): _present(plan.changes) for plan in plans if plan.changes},
        },
    }


def _where(plan: PodPlan) -> str:
    return f"{plan.namespace}/{plan.name}"


def _present(changes: Mapping[str, str | None]) -> dict[str, str]:
    return {key: value for key, value in changes.items() if value is not None}


class Loop:
    """Keeps pods in step as long as the process lives: what changed soon, everything each C(interval) seconds."""

    def __init__(self, api: Api, config: Config, rate: float, interval: float, log: Callable[..., None]) -> None:
        self._api = api
        self._config = config
        self._rate = rate
        self._log = log
        self.interval = interval
        self.drifted: dict[str, int] = {}
        self.patched = 0
        self.failed = 0

    def visit(self, namespace: Namespace, sleep: Callable[[float], Any]) -> None:
        """Bring the pods of one namespace in step, as far as that works live."""
        try:
            plans = plan_namespace(self._api, namespace, self._config)
            stale = apply_plans(self._api, plans, self._rate, sleep)
        except KubeError as error:
            self.failed += 1
            self._log("warning", "sync failed", namespace=namespace.name, error=str(error))
            return
        changes = sum(1 for plan in plans if plan.changes) - len(stale)
        self.patched += changes
        self.drifted[namespace.name] = sum(1 for plan in plans if plan.drift or plan.held)
        if changes or self.drifted[namespace.name]:
            self._log("info", "synced", namespace=namespace.name, patched=changes, drifted=self.drifted[namespace.name])
