# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the module kube_apply, and run it again while what it waits for takes long, to show what that is."""

from __future__ import annotations

import time
from typing import Any, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._kube import fields
from ansible_collections.podnet.cni.plugins.plugin_utils._steps import StepsAction

PATIENCE = 5.0
"""Seconds that the module waits by itself: most waits are over by then, and a second run costs another look at all."""


class ActionModule(StepsAction):
    """The module continues where it was, because what it has done already is not a change any more."""

    MODULE = "kube_apply"
    POLL = 1.0

    def prepare(self, told: dict[str, Any], task_vars: Mapping[str, Any]) -> None:
        """Have the module come back when a wait takes long."""
        told.setdefault("patience", PATIENCE)
        self._objects: list[dict[str, str]] = []
        self._asked = time.monotonic()

    def merge_diff(self, before: Any, new: Any) -> Any:
        """The changes of all runs."""
        return [*(before or []), *(new or [])]

    def go_on(self, told: dict[str, Any], step: Mapping[str, Any]) -> None:
        """Remember what was done, and tell the next run how long this one has waited."""
        self._objects = merged(self._objects, step.get("objects") or [])
        before, now = told.get("resume") or {}, time.monotonic()
        waited = fields.mapping(step, "progress", "resume")
        # The module knows only how long it waited itself, not what lies between two runs of it.
        told["resume"] = {
            what: max(seconds, before[what] + now - self._asked) if what in before else seconds
            for what, seconds in waited.items()
        }
        self._asked = now

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The result of all runs together."""
        result = super().run(tmp, task_vars)
        if "objects" in result:
            result["objects"] = merged(self._objects, result["objects"])
        result.pop("progress", None)
        return result


def merged(before: list[dict[str, str]], after: list[dict[str, str]]) -> list[dict[str, str]]:
    """Objects of a later run, with what an earlier one did to them."""
    done = {_key(item): item for item in before if item["action"] != "none"}
    known = {_key(item) for item in after}
    kept = [done.get(_key(item), item) for item in after]
    return kept + [item for item in before if _key(item) not in known]


def _key(item: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(item[name] for name in ("api_version", "kind", "namespace", "name"))
