# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Repeat the module kube_wait until nothing is missing or the time is up, and show what is missing."""

from __future__ import annotations

import time
from typing import Any, Callable, Mapping

from ansible_collections.podnet.cni.plugins.plugin_utils._steps import StepsAction, seconds

_NAMED = 5
_PATIENCE = 30.0
"""Seconds for which the module itself keeps looking while nothing changes: to start it costs more than to look."""


class ActionModule(StepsAction):
    """The module looks for seconds at most; waiting and talking happen here."""

    MODULE = "kube_wait"
    POLL = 2.0
    _began = 0.0

    def limit(self, arguments: Mapping[str, Any]) -> float | None:
        """One limit for everything that is awaited."""
        return seconds(arguments.get("timeout"), 300.0)

    def expired(self, step: dict[str, Any], limit: float, take: Callable[..., dict[str, Any]]) -> None:
        """Say what is missing on which object, and why."""
        if self._task.args.get("rollouts") or self._task.args.get("pod_cidrs"):
            step["missing"] = take(explain=True).get("missing") or step.get("missing")
        step.update(failed=True, msg=f"after {limit:g} s: {sentence(step.get('missing') or [])}.")

    def more(self, arguments: Mapping[str, Any], number: int) -> dict[str, Any]:
        """The first looks are short, so that what is missing and why is said at once; later ones take their time."""
        now = time.monotonic()
        if number == 1:
            self._began = now
            return {}
        if number == 2:
            return {"explain": True}
        left = self._began + seconds(arguments.get("timeout"), 300.0) - now
        return {"explain": True, "patience": max(0.0, min(_PATIENCE, left))}

    def is_news(self, text: str, before: str) -> bool:
        """What was said with its causes is not said again without them."""
        return not before.startswith(text)

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
