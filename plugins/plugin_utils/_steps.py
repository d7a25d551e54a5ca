# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An action that repeats a module which takes one step and never waits, and shows how far it is.

Private to podnet.cni: may change in any release.

The module says C(done: false) while there is more to do, describes in C(progress) where it is, and marks a failure
after which the same step may be taken again with C(retriable).
"""

from __future__ import annotations

import time
from typing import Any, Callable, Mapping

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.podnet.cni.plugins.module_utils._kube import channel

display = Display()

REMINDER = 15.0
"""Seconds after which what is still being waited for is said again, so that nobody takes the silence for a hang."""


class StepsAction(ActionBase):
    """The waiting and the talking; C(MODULE) is the module's name in the collection, C(POLL) its default pause."""

    MODULE = ""
    POLL = 5.0

    _supports_check_mode = True
    _supports_diff = True

    def describe(self, progress: Mapping[str, Any]) -> str:
        """One line about where the work is, without the time; empty when there is nothing to tell."""
        return str(progress.get("text") or "")

    def prepare(self, told: dict[str, Any], task_vars: Mapping[str, Any]) -> None:
        """Add what every step is told beside the options of the task; a role may have told something already."""

    def patience(self, arguments: Mapping[str, Any]) -> float:
        """Seconds for which failures that may be retried are borne, once something was changed."""
        return 0.0

    def has_begun(self, told: Mapping[str, Any]) -> bool:
        """Whether these steps continue with what an earlier task has changed."""
        return False

    def limit(self, arguments: Mapping[str, Any]) -> float | None:
        """Seconds for all steps together; None when the module keeps its own limits."""
        return None

    def expired(self, step: dict[str, Any], limit: float, take: Callable[..., dict[str, Any]]) -> None:
        """Turn the last step into a failure that says what is missing; C(take) takes one more and tells it more."""
        step.update(failed=True, msg=f"{self.MODULE} was not finished after {limit:g} s.")

    def more(self, arguments: Mapping[str, Any], number: int) -> dict[str, Any]:
        """What only the step with this number, counted from 1, gets."""
        return {}

    def is_news(self, text: str, before: str) -> bool:
        """Whether a line is worth printing after the one before."""
        return text != before

    def merge_diff(self, before: Any, new: Any) -> Any:
        """The diff of all steps so far and of one more; the first one that there is."""
        return before or new or {}

    def go_on(self, told: dict[str, Any], step: Mapping[str, Any]) -> None:
        """Take note of a step after which there is more to do, and of what it has for the next one."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The result of the last step, with what all steps did."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        told = dict(arguments.pop(channel.NAME, None) or {})
        self.prepare(told, task_vars or {})
        poll, patience = seconds(arguments.get("poll"), self.POLL), self.patience(arguments)
        limit = self.limit(arguments)
        actions: list[str] = []
        diff: Any = {}
        changed = False
        begun = self.has_begun(told)
        shown, last = "", 0.0
        began = time.monotonic()
        silent_since: float | None = None

        def take(**more: Any) -> dict[str, Any]:
            given = {**arguments, channel.NAME: {**told, **more}} if told or more else arguments
            taken: dict[str, Any] = self._execute_module(
                module_name=f"podnet.cni.{self.MODULE}", module_args=given, task_vars=task_vars
            )
            return taken

        number = 0
        while True:
            number += 1
            step = take(**self.more(arguments, number))
            now = time.monotonic()
            actions += step.get("actions") or []
            changed = changed or bool(step.get("changed"))
            diff = self.merge_diff(diff, step.get("diff"))
            if step.get("retriable") and (changed or begun):
                silent_since = silent_since or now
                if now - silent_since < patience:
                    display.display(f"{self.MODULE}: {step.get('msg')} Trying again.")
                    time.sleep(poll)
                    continue
            # Whatever does not say that there is more to do is the end.
            if step.get("failed") or step.get("done") is not False:
                break
            left = None if limit is None else began + limit - now
            if limit is not None and left is not None and left <= 0:
                self.expired(step, limit, take)
                break
            self.go_on(told, step)
            silent_since = None
            shown, last = self._show(step.get("progress") or {}, shown, last, now - began)
            time.sleep(poll if left is None else min(poll, left))
        step.pop("retriable", None)
        result.update(step)
        result.update(actions=actions, changed=changed, diff=diff)
        return result

    def _show(self, progress: Mapping[str, Any], before: str, last: float, elapsed: float) -> tuple[str, float]:
        """Print one line, unless nothing but the time is new, for short; gives what was printed last, and when."""
        text = self.describe(progress)
        if not text:
            return before, last
        news = self.is_news(text, before)
        if not news and elapsed - last < REMINDER:
            return before, last
        said = text if news else before
        display.display(f"{self.MODULE}: {'' if news else 'still '}{said}, {progress.get('elapsed', round(elapsed))} s")
        return said, elapsed


def seconds(value: Any, default: float) -> float:
    """A number of seconds as a task gives it; any other value is left to the module to refuse."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return default
