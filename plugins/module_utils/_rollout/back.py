# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way back of a rollout: ConfigMap, template, pods, in that order; then the update strategy.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._kube import pods as kube_pods
from ansible_collections.podnet.cni.plugins.module_utils._rollout import gates, pods, waves
from ansible_collections.podnet.cni.plugins.module_utils._rollout.cluster import Daemons, Guard
from ansible_collections.podnet.cni.plugins.module_utils._rollout.gates import OK, Verdict
from ansible_collections.podnet.cni.plugins.module_utils._rollout.outcome import Outcome
from ansible_collections.podnet.cni.plugins.module_utils._rollout.state import UPDATE, State

REASON = 4000
"""Characters of a reason that are kept in the Lease: it may hold the evidence of a failed wave."""
BACK_PATIENCE = 60.0
"""Seconds for which a pod that was restarted counts among those that are away."""


class Back:
    """One step of the way back. A rollback that was asked for ends well; that of a failed wave ends as a failure."""

    def __init__(
        self, daemons: Daemons, guard: Guard, out: Outcome, params: Mapping[str, Any], now: Callable[[], float]
    ) -> None:
        self.daemons = daemons
        self.guard = guard
        self.out = out
        self.params = params
        self.now = now

    def turn(self, state: State) -> None:
        """From here on only back, because that was asked for. Raises InputError where no way back is known."""
        if state.phase != UPDATE:
            return
        if state.template is None:
            raise InputError(
                f"there is no way back for DaemonSet {self.daemons.namespace}/{self.daemons.name}: its update was "
                "written by somebody else, and no older ControllerRevision is left. Give the old template with "
                "replace_template."
            )
        state.evidence = []
        state.begin_rollback([self.params["reason"][:REASON]], self.now())
        self.guard.save(state)

    def step(self, live: Mapping[str, Any], state: State) -> None:
        """Do what can be done now."""
        if not state.written:
            self._write(state)
            live = self.daemons.get()
        newest = self.daemons.newest(live)
        running, nodes = self.daemons.pods(live), self.daemons.nodes()
        names = [name for name in running if name not in state.left_out]
        away = [name for name in names if kube_pods.is_silent(nodes.get(name))]
        if newest:
            touched = {name for wave in state.waves[: state.wave + 1] for name in wave}
            known = {name: node for name, node in nodes.items() if name in touched}
            verdicts = [self._judge(name, running[name], known, newest) for name in names if name not in away]
            verdicts = self._restart(state, verdicts, running)
        else:
            verdicts = [pods.unseen(self.daemons, "old")]
        left = [verdict for verdict in verdicts if verdict.state != OK]
        if left and self.now() - state.wave_started <= self.params["wave_timeout"]:
            text = f"rolling back, waiting for {left[0]}"
            self.out.at(state, len(verdicts) - len(left), text, node=left[0].node, now=self.now())
            self.guard.save(state)
            return
        self.out.finished = True
        if left:
            state.restart_wave(self.now())
            self.guard.save(state, release=True)
            reasons = "; ".join(str(verdict) for verdict in left)
            self.out.problem = pods.problem(state)
            self.out.failure = (
                f"The rollout failed in {self.out.problem} The rollback is not complete: {reasons}. Running the task "
                "again continues with it."
            )
            return
        self.daemons.restore_strategy(state.strategy)
        self.guard.end()
        self.out.at(state, len(verdicts), "rolled back", now=self.now())
        self.out.left_out = [*state.left_out, *away]
        if self.params["state"] != "rolled_back":
            silent = f" {', '.join(away)} did not answer; the old pod starts there on return." if away else ""
            ready = "all pods are ready again" if not away else "all other pods are ready again"
            self.out.problem = pods.problem(state)
            what = "ConfigMap and pod template were" if state.config else "The pod template was"
            self.out.failure = f"The rollout failed in {self.out.problem} {what} rolled back, and {ready}.{silent}"

    def _restart(self, state: State, verdicts: Sequence[Verdict], running: Mapping[str, Any]) -> list[Verdict]:
        """Restart pods of the new template, as many as may be away at once.

        One that is not well after a minute is not counted any more: the others shall not wait for it.
        """
        now = self.now()
        late = {name for name, when in state.restarted.items() if now - when > BACK_PATIENCE}
        busy = sum(
            verdict.node in state.restarted and verdict.node not in late
            for verdict in verdicts
            if verdict.state != OK and verdict.cause != gates.OLDER
        )
        room = max(0, waves.parse_at_once(self.params["max_unavailable"], state.total) - busy)
        due = [verdict.node for verdict in verdicts if verdict.cause == gates.OLDER][:room]
        pods.restart(self.daemons, self.out, due, running)
        state.restarted.update(dict.fromkeys(due, now))
        if due:
            state.wave_started = now
        return [
            replace(verdict, reason="the new pod is ending", cause=gates.ENDING) if verdict.node in due else verdict
            for verdict in verdicts
        ]

    def _judge(self, name: str, pod: Mapping[str, Any], nodes: Mapping[str, Any], newest: str) -> Verdict:
        """Whether the old daemon is back, as the pod tells and, where it was started anew, the Node.

        Its log is not asked: an older release may not write the texts that are awaited, and would never be back then.
        """
        verdict = gates.judge_pod(name, pod, newest)
        if verdict.state != OK or "node" not in self.params["gates"] or name not in nodes:
            return verdict
        container = self.params["container"] or pod["spec"]["containers"][0]["name"]
        return gates.judge_node(nodes[name], pod, container, self.params["annotation_prefix"])

    def _write(self, state: State) -> None:
        if state.config:
            now = self.daemons.config_map(state.config_map).get("data") or {}
            if any(now.get(key) != value for key, value in state.config.items()):
                self.daemons.write_config_map(state.config_map, state.config)
                self.out.did(f"restore ConfigMap {self.daemons.namespace}/{state.config_map}")
        if self.daemons.get()["spec"]["template"] != state.template:
            self.daemons.restore_template(state.template or {})
            self.out.did(f"restore DaemonSet {self.daemons.namespace}/{self.daemons.name}")
        state.written = True
        state.restart_wave(self.now())
        self.guard.save(state)
