# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Repeat the module kube_wait until nothing is missing or the time is up, and show what is missing."""

from __future__ import annotations

from typing import Any, Callable, Mapping

from ansible_collections.podnet.cni.plugins.plugin_utils._steps import StepsAction, seconds

_NAMED = 5


class ActionModule(StepsAction):
    """The module looks once and never waits; waiting and talking happen here."""

    MODULE = "kube_wait"
    POLL = 2.0

    def limit(self, arguments: Mapping[str, Any]) -> float | None:
        """One limit for everything that is awaited."""
        return seconds(arguments.get("timeout"), 300.0)

    def expired(self, step: dict[str, Any], limit: float, take: Callable[..., dict[str, Any]]) -> None:
        """Say what is missing on which object, also which pods are not ready: too much to ask at every look."""
        if self._task.args.get("rollouts"):
            last = take(explain=True)
            step["missing"] = last.get("missing") or step.get("missing")
        step.update(failed=True, msg=f"after {limit:g} s: {sentence(step.get('missing') or [])}.")

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The result of the last look."""
        result = super().run(tmp, task_vars)
        # Looking changes nothing, so there is nothing that was done.
        for name in ("actions", "diff", "progress"):
            result.pop(name, None)
        return result


def sentence(missing: list[dict[str, str]]) -> str:
    """Object and problem of the first few, and how many more there are."""
    named = "; ".join(f"{item['object']}: {item['problem']}" for item in missing[:_NAMED])
    return named + (f"; and {len(missing) - _NAMED} more" if len(missing) > _NAMED else "")
