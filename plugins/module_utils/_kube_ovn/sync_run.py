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
from typing import Any, Callable, Iterable, Mapping, Protocol, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields, rollout
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import (
    Conflict,
    Forbidden,
    KubeError,
    NotFound,
    Unauthorized,
    Unreachable,
)
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn import config as configuration
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn import sync
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn.config import Config
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn.decision import Namespace
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn.sync import PodPlan

SHOWN = 5
"""Failures that a message names in full."""

NAMESPACES = "/api/v1/namespaces"
RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
"""The template annotation that kubectl rollout restart sets."""

APPS = "apps/v1"
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

    C(reason) says why it cannot be restarted by us, empty when it can. C(at_once) is how many of its pods a rolling
    update takes away at a time, at least 1, since that is what an eviction would ask for.
    """

    namespace: str
    kind: str
    name: str
    api_version: str = APPS
    reason: str = ""
    at_once: int = 1
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
            "api_version": self.api_version,
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
                raise InputError(f"there is no namespace {name}: correct the name or leave it out.") from None
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
) -> tuple[list[str], list[str]]:
    """Patch pods, at most C(rate) a second, because each patch costs Kube-OVN a port update.

    Gives the stale ones, and what went wrong with others: a pod that the API server refuses to patch holds up no other.
    Raises Unreachable and Unauthorized, which would go wrong with every pod.
    """
    stale, failures = [], []
    for plan in plans:
        if plan.changes:
            try:
                if not apply_plan(api, plan):
                    stale.append(_where(plan))
            except (Unreachable, Unauthorized):
                raise
            except KubeError as error:
                failures.append(f"pod {_where(plan)}: {str(error).rstrip('.')}")
            sleep(1 / rate)
    return stale, failures


def owners(api: Api, plans: Iterable[PodPlan]) -> list[Owner]:
    """The workloads behind pods that drifted, in a stable order, and whether each can be restarted."""
    found = gathered(api, plans)
    for owner in found:
        owner.reason = _why_not(api, owner)
    return found


def gathered(api: Api, plans: Iterable[PodPlan]) -> list[Owner]:
    """The workloads behind pods that drifted, in a stable order."""
    found: dict[tuple[str, ...], Owner] = {}
    replica_sets: dict[str, dict[str, tuple[str, str, str]]] = {}
    for plan in plans:
        if not plan.drift:
            continue
        maker = plan.owner if plan.owner[1] else ("v1", "Pod", plan.name)
        if maker[:2] == (APPS, "ReplicaSet"):
            if plan.namespace not in replica_sets:
                path = f"/apis/apps/v1/namespaces/{plan.namespace}/replicasets"
                replica_sets[plan.namespace] = {
                    str(fields.at(item, "metadata", "name")): sync.owner_of(item) for item in api.list(path).items
                }
            above = replica_sets[plan.namespace].get(maker[2], ("", "", ""))
            maker = above if above[1] else maker
        version, kind, name = maker
        owner = found.setdefault((plan.namespace, kind, name, version), Owner(plan.namespace, kind, name, version))
        owner.pods.append(plan.name)
        owner.labels.append(plan.labels)
        owner.keys.update(each.key for each in plan.drift)
    return [found[key] for key in sorted(found)]


def _why_not(api: Api, owner: Owner) -> str:
    """Why an owner cannot be restarted through its template."""
    if (owner.api_version, owner.kind) == ("v1", "Pod"):
        return "a bare pod is not made again by anyone"
    if owner.api_version != APPS or owner.kind not in PLURALS:
        return f"a {owner.kind} of {owner.api_version} has no rolling restart that we know"
    try:
        item = api.get(owner.path)
    except (NotFound, Forbidden) as error:
        return "it is gone" if isinstance(error, NotFound) else "we may not read it"
    owner.at_once = max(1, rollout.taken_at_once({**item, "kind": owner.kind}))
    spec = item.get("spec") or {}
    if spec.get("paused"):
        return "its rollout is paused"
    strategy = spec.get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete":
        return "its update strategy is OnDelete"
    return ""


def budgets(api: Api, owner: Owner) -> list[tuple[str, Mapping[str, Any]]]:
    """Name and status of the PodDisruptionBudgets of the owner's pods.

    A rolling update does not ask the budgets itself, an eviction would.
    """
    path = f"/apis/policy/v1/namespaces/{owner.namespace}/poddisruptionbudgets"
    found = []
    for item in api.list(path).items:
        selector = fields.at(item, "spec", "selector")
        # An empty selector is for all pods, none is for no pod (k8s.io/api policy/v1).
        if selector is None:
            continue
        conditions = configuration.parse_selector(selector, "selector")
        if any(conditions.matches(labels) for labels in owner.labels):
            found.append((str(fields.at(item, "metadata", "name")), item.get("status") or {}))
    return found


def disruption_budget_left(api: Api, owner: Owner) -> str:
    """Which PodDisruptionBudget does not allow the owner's update now, empty when none forbids it."""
    for name, status in budgets(api, owner):
        if int(status.get("disruptionsAllowed") or 0) < owner.at_once:
            return f"PodDisruptionBudget {name} allowed no disruption of {owner.at_once} at once"
    return ""


def never_allowed(api: Api, owner: Owner) -> str:
    """Why no PodDisruptionBudget will ever allow the owner's update, empty when they may.

    What a budget allows when every pod is healthy is what its controller expects less what it demands.
    """
    for name, status in budgets(api, owner):
        expected, demanded = int(status.get("expectedPods") or 0), int(status.get("desiredHealthy") or 0)
        if expected and owner.at_once > expected - demanded:
            return (
                f"its update takes {owner.at_once} pods away at once, and PodDisruptionBudget {name} never allows more "
                f"than {max(0, expected - demanded)}: lower its maxUnavailable, or what the budget keeps"
            )
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
            return f"{budget} for {timeout:g} s"
        sleep(1.0)
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    template = {"template": {"metadata": {"annotations": {RESTARTED_AT: now}}}}
    api.patch(owner.path, {"spec": template}, "merge")
    while not rollout.rolled_out(api.get(owner.path)):
        if time.monotonic() > deadline:
            return f"the rollout was not complete after {timeout:g} s"
        sleep(1.0)
    return ""


def still_drifting(api: Api, config: Config, owner: Owner) -> str:
    """What is wrong after a restart that succeeded: new pods that did not get what their namespace says."""
    plans: list[PodPlan] = []
    for namespace in selected(api, config, [owner.namespace]):
        plans += plan_namespace(api, namespace, config)
    key = (owner.api_version, owner.kind, owner.name)
    for each in gathered(api, plans):
        if (each.api_version, each.kind, each.name) == key:
            return f"new pods do not inherit {', '.join(sorted(each.keys))}: is the role in place?"
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
    if params["restart"]:
        for owner in behind:
            owner.reason = owner.reason or never_allowed(api, owner)
    restarts = [owner for owner in behind if not owner.reason] if params["restart"] else []
    actions = [line for plan in plans for line in plan.actions()] + [f"restart {owner}" for owner in restarts]
    stale: list[str] = []
    failures: list[str] = []
    if not check_mode:
        stale, failures = apply_plans(api, plans, params["rate"])
        for owner in restarts:
            problem = restart(api, owner, params["restart_timeout"]) or still_drifting(api, config, owner)
            if problem:
                # The next owner is not touched while this one has not come back, or came back as it was.
                failures.append(f"{owner}: {problem}. The owners after it were not touched")
                break
    return {
        "changed": any(plan.changes for plan in plans) or bool(restarts),
        "actions": actions,
        "owners": [owner.to_dict() for owner in behind],
        "held": [
            {"namespace": plan.namespace, "pod": plan.name, "annotation": key, "reason": reason}
            for plan in plans
            for key, reason in plan.held.items()
        ],
        "stale": stale,
        "failures": failures,
        "diff": {
            "before": {_where(plan): dict(plan.before) for plan in plans if plan.changes},
            "after": {_where(plan): _present(plan.changes) for plan in plans if plan.changes},
        },
    }


def summary(failures: Sequence[str]) -> str:
    """What went wrong, for a message: the first few in full."""
    more = f"; and {len(failures) - SHOWN} more" if len(failures) > SHOWN else ""
    return "; ".join(failures[:SHOWN]) + more + "."


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
        self.held: dict[str, int] = {}
        self.patched = 0
        self.failed = 0

    def visit(self, namespace: Namespace, sleep: Callable[[float], Any]) -> None:
        """Bring the pods of one namespace in step, as far as that works live."""
        try:
            plans = plan_namespace(self._api, namespace, self._config)
            stale, failures = apply_plans(self._api, plans, self._rate, sleep)
        except KubeError as error:
            self.failed += 1
            self._log("warning", "sync failed", namespace=namespace.name, error=str(error))
            return
        for failure in failures:
            self.failed += 1
            self._log("warning", "sync failed", namespace=namespace.name, error=failure)
        changes = sum(1 for plan in plans if plan.changes) - len(stale) - len(failures)
        self.patched += changes
        drifted, held = sum(1 for plan in plans if plan.drift), sum(1 for plan in plans if plan.held)
        self.forget(namespace.name)
        self.drifted.update({namespace.name: drifted} if drifted else {})
        self.held.update({namespace.name: held} if held else {})
        if changes or drifted or held:
            reasons = sorted({reason for plan in plans for reason in plan.held.values()})
            counts = {"patched": changes, "drifted": drifted, "held": held, "reasons": reasons}
            self._log("info", "synced", namespace=namespace.name, **counts)

    def forget(self, name: str) -> None:
        """Leave a namespace out of the counts."""
        self.drifted.pop(name, None)
        self.held.pop(name, None)
