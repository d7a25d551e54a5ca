# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Carries out a plan for objects, and waits for what has to be there before the next of them.

A run can be told to end where it would wait long, and the next run continues: what is done by then is not a change.
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import functools
import time
from typing import Any, Callable, Iterable, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._kube import causes, crds, fields, rollout
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import NotFound, Unreachable
from ansible_collections.podnet.cni.plugins.module_utils._kube.objects import (
    FIELD_MANAGER,
    Identity,
    Resources,
    Step,
    check_label,
    ending,
    find,
    plan_absent,
    plan_present,
    shown,
)

DEFINITIONS = "CustomResourceDefinitions"
_PAUSE = 0.5
_NAMED = 5


class Paused(Exception):
    """A run that ends before what it waits for is there: what that is, the seconds waited for it, what it lacks."""

    def __init__(self, what: str, waited: float, lacking: str) -> None:
        super().__init__(lacking)
        self.what = what
        self.waited = waited
        self.lacking = lacking


TOLD: dict[str, dict[str, Any]] = {"patience": {"type": "float"}, "resume": {"type": "dict", "default": {}}}
"""How long one run waits, and what an earlier one waited for, as the action plugin says; see Applier."""


class Applier:
    """Carries out a plan; C(timeout) bounds every wait, in seconds.

    After C(patience) seconds of one wait, Paused is raised; None waits to the end. C(resume) maps what an earlier run
    was waiting for to the seconds it had waited. C(done) holds the steps that were carried out, C(remarks) what is
    not awaited though one would think so.
    """

    def __init__(
        self,
        client: KubeClient,
        timeout: float,
        *,
        patience: float | None = None,
        resume: Mapping[str, float] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.done: list[Step] = []
        self.remarks: list[str] = []
        self._client = client
        self._resources = Resources(client)
        self._timeout = timeout
        self._patience = patience
        self._resume = dict(resume or {})
        self._sleep = sleep
        self._pending: list[Step] = []

    def apply(self, steps: Iterable[Step]) -> None:
        """Bring the objects to the wanted state in order. Raises KubeError and Paused.

        CustomResourceDefinitions that follow each other are awaited together, before anything else is applied.
        """
        for step in steps:
            if step.identity.kind != crds.KIND:
                self._definitions()
            if step.action == "delete":
                self._delete(step)
            elif step.action:
                self._apply(step)
            if step.wanted and step.identity.kind == crds.KIND and self._to_be_awaited(step):
                self._pending.append(step)
            self.done.append(step)
        self._definitions()

    def _to_be_awaited(self, step: Step) -> bool:
        return bool(step.action or crds.unaccepted(step.before) or DEFINITIONS in self._resume)

    def _apply(self, step: Step) -> None:
        path = step.path or self._path(step.identity)
        self._client.patch(path, dict(step.wanted), "apply", field_manager=FIELD_MANAGER, force=True)

    def _path(self, identity: Identity) -> str:
        """The path of an object whose kind was made a moment ago."""
        found = ""

        def look() -> str:
            nonlocal found
            self._resources.forget()
            found = self._resources.path(identity) or ""
            return "" if found else f"{identity}: its kind is not served"

        self._wait(str(identity), look, "Look at its CustomResourceDefinition.")
        return found

    def _definitions(self) -> None:
        """Wait until objects of the kinds that were made can be used."""
        if self._pending:
            self._wait(
                DEFINITIONS, self._lacking_definitions, "Correct that and run again; what was applied so far stays."
            )
            self._resources.forget()

    def _lacking_definitions(self) -> str:
        lacking = [(step, crds.missing(self._client, step.identity.name)) for step in self._pending]
        lacking = [(step, text) for step, text in lacking if text]
        self._pending = [step for step, _text in lacking]
        named = "; ".join(f"{step.identity}: {text}" for step, text in lacking[:_NAMED])
        return named + (f"; and {len(lacking) - _NAMED} more" if len(lacking) > _NAMED else "")

    def _delete(self, step: Step) -> None:
        try:
            self._client.delete(step.path)
        except NotFound:
            return

    def wait(self, steps: Iterable[Step]) -> None:
        """Wait for deleted objects to be gone and for workloads to be rolled out. Raises Unreachable and Paused."""
        for step in steps:
            if not step.wanted:
                if step.action == "delete" or ending(step.before):
                    look = functools.partial(self._not_gone, step.identity, step.path)
                    self._wait(str(step.identity), look, "Look at its finalizers and at what it contains.")
            elif step.identity.kind in rollout.KINDS:
                path = step.path or self._path(step.identity)
                look = functools.partial(self._not_rolled_out, step.identity, path)
                explain = functools.partial(self._why_not, step.identity, path)
                self._wait(str(step.identity), look, "Look at its pods and events, or wait longer.", explain)

    def _not_gone(self, identity: Identity, path: str) -> str:
        item = find(self._client, path)
        if item is None:
            return ""
        finalizers = [*(item["metadata"].get("finalizers") or []), *fields.sequence(item, "spec", "finalizers")]
        held = f", held up by {', '.join(map(str, finalizers))}" if finalizers else ""
        return f"{identity} is not gone{held}"

    def _not_rolled_out(self, identity: Identity, path: str) -> str:
        item = self._client.get(path)
        lacking, old = rollout.missing(item), rollout.outdated(item)
        if old and not lacking:
            self.remarks.append(f"{identity}: {old}")
        return f"{identity} is not rolled out: {lacking}" if lacking else ""

    def _why_not(self, identity: Identity, path: str) -> str | None:
        """Why a workload is not rolled out; None where it lacks nothing but pods on nodes that cannot have them.

        Raises InputError where such nodes keep the others from having theirs.
        """
        found = causes.shortage(self._client, {"kind": identity.kind, **self._client.get(path)})
        said = "; ".join(f"{cause.object}: {cause.problem}" for cause in found.causes[:_NAMED])
        if found.excused:
            self.remarks.append(f"{identity} is not awaited on {', '.join(found.excused)}: {said or 'it is silent'}.")
            return None
        if found.remedy:
            raise InputError(f"{identity} is not rolled out: {said}. {found.remedy}")
        return said

    def _wait(
        self, what: str, look: Callable[[], str], advice: str, explain: Callable[[], str | None] | None = None
    ) -> None:
        """Repeat a look until it says that nothing is lacking. What is lacking in the end is explained."""
        before = self._resume.get(what, 0.0)
        began = time.monotonic()
        while True:
            lacking = look()
            if not lacking:
                return
            waited = time.monotonic() - began
            late = before + waited > self._timeout
            if late or (self._patience is not None and waited >= self._patience):
                why = explain() if explain is not None else ""
                if why is None:
                    return
                lacking += f": {why}" if why else ""
            if late:
                raise Unreachable(f"after {self._timeout:g} s: {lacking}. {advice}")
            if self._patience is not None and waited >= self._patience:
                raise Paused(what, before + waited, lacking)
            self._sleep(_PAUSE)


def run(client: KubeClient, params: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """The module kube_apply: its result. Raises InputError and KubeError."""
    if params["wait_timeout"] <= 0:
        raise InputError(f"wait_timeout is {params['wait_timeout']:g}: give seconds above 0.")
    label = params.get("namespace_label") or ""
    if label:
        check_label(params["definitions"], label)
    planner = plan_absent if params["state"] == "absent" else plan_present
    steps = planner(client, params["definitions"], params["order"], label)
    if check_mode:
        return _result(steps)
    applier = Applier(client, params["wait_timeout"], patience=params["patience"], resume=params["resume"])
    try:
        applier.apply(steps)
        if params["wait"]:
            applier.wait(steps)
    except Paused as pause:
        progress = {"text": f"waiting for {pause.lacking}", "resume": {pause.what: pause.waited}}
        return {**_result(applier.done, applier.remarks), "done": False, "progress": progress}
    return _result(steps, applier.remarks)


def _result(steps: Sequence[Step], remarks: Sequence[str] = ()) -> dict[str, Any]:
    changes = [step for step in steps if step.action]
    return {
        "changed": bool(changes),
        "done": True,
        "warnings": list(remarks),
        "actions": [f"{step.action} {step.identity}" for step in changes],
        "objects": [step.to_dict() for step in steps],
        "diff": [
            {
                "before_header": str(step.identity),
                "after_header": str(step.identity),
                "before": shown(step.before) if step.before else {},
                "after": shown(step.after) if step.after else {},
            }
            for step in changes
        ],
    }
