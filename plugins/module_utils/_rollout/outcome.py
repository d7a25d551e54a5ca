# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a step of a rollout did; no I/O. Private to podnet.cni: may change in any release."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ansible_collections.podnet.cni.plugins.module_utils._rollout.state import ROLLBACK, State


@dataclass
class Outcome:
    """What a step did. C(failure) is set when the rollout has ended badly, C(problem) then says what went wrong alone.

    C(complete) is false when the step stopped where it was told to, with the Lease kept; C(tolerated) maps nodes that
    the rollout went on without to the reason; C(left_out) names nodes that could not be updated; C(took_over) tells
    that an interrupted rollout was found. C(evidence) is what was known of nodes that did not become healthy.
    """

    finished: bool = False
    complete: bool = True
    changed: bool = False
    failure: str = ""
    problem: str = ""
    took_over: bool = False
    actions: list[str] = field(default_factory=list)
    progress: dict[str, Any] = field(default_factory=dict)
    waves: list[list[str]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    tolerated: dict[str, str] = field(default_factory=dict)
    evidence: list[dict[str, Any]] = field(default_factory=list)
    diff: dict[str, Any] = field(default_factory=dict)

    def did(self, action: str) -> None:
        """Note a change."""
        self.changed = True
        self.actions.append(action)

    def at(self, state: State, good: int, text: str, *, node: str = "", now: float) -> None:
        """Say where the rollout is: C(good) nodes of the current wave, or of all on the way back."""
        before = sum(len(wave) for wave in state.waves[: state.wave])
        rolling_back = state.phase == ROLLBACK
        self.progress = {
            "phase": state.phase,
            "wave": min(state.wave + 1, len(state.waves)),
            "waves": len(state.waves),
            "done": good if rolling_back else before + good,
            "total": state.total,
            "node": node,
            "elapsed": int(now - state.started),
            "text": text,
        }
