# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One step of a rollout: look, judge, do what can be done now, remember.

A step never waits. Whoever drives it repeats it until C(finished); a step that was cut off anywhere can be repeated.
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError, InputError
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields, hiding
from ansible_collections.podnet.cni.plugins.module_utils._kube import pods as kube_pods
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._rollout import evidence, gates, pods, target, waves
from ansible_collections.podnet.cni.plugins.module_utils._rollout.back import Back
from ansible_collections.podnet.cni.plugins.module_utils._rollout.cluster import (
    Daemons,
    Guard,
    LogUnreadable,
    wall_clock,
)
from ansible_collections.podnet.cni.plugins.module_utils._rollout.gates import BROKEN, OK, WAIT, Verdict
from ansible_collections.podnet.cni.plugins.module_utils._rollout.outcome import Outcome
from ansible_collections.podnet.cni.plugins.module_utils._rollout.state import ENDED, UPDATE, State

Command = Callable[[Sequence[str], Mapping[str, str]], str]
"""Runs the user's command with additional environment; returns what went wrong, or an empty text."""

LOG_PATIENCE = 30.0
"""Seconds for which a log that cannot be read is borne: a kubelet that is restarted is back by then."""
LOGS_TRIED = 10
"""Of so many nodes of the first wave the log is tried before anything is changed."""


class Step:
    """One step with the options of the module."""

    def __init__(
        self, client: KubeClient, params: Mapping[str, Any], command: Command, now: Callable[[], float] = wall_clock
    ) -> None:
        self.params = params
        self.command = command
        self.now = now
        self.daemons = Daemons(client, params["namespace"], params["name"])
        # While the command runs nobody renews the Lease.
        command_seconds = int(params["command_timeout"]) + 60 if params["command"] else 0
        seconds = max(int(params["lease_seconds"]), command_seconds)
        self.guard = Guard(client, self.daemons, holder=params["holder"], seconds=seconds, now=now)
        self.out = Outcome()
        self.ended: State | None = None
        self.back = Back(self.daemons, self.guard, self.out, params, now)

    def plan(self) -> Outcome:
        """What a rollout would do; only reads, apart from a dry run. Raises InputError and KubeError."""
        state, _holder = self._read()
        self.out.finished = True
        if self.params["state"] == "rolled_back":
            self.out.changed = state is not None
            return self.out
        live = self.daemons.get()
        fresh, differs = self._begin(live)
        if state is None and differs:
            self._try_logs(live, fresh)
        if state is not None or differs:
            self._describe(live, state or fresh)
        return self.out

    def take(self) -> Outcome:
        """Take the step. Raises InputError, ConflictError and KubeError; nothing is lost then."""
        state, holder = self._read()
        wants_back = self.params["state"] == "rolled_back"
        forgotten = self._forget()
        holds = self.params["state"] == "begun" and self.params["hold"]
        if state is None and (wants_back or forgotten):
            self.out.finished = True
            return self.out
        live = self.daemons.get()
        if state is None:
            state, differs = self._begin(live)
            if holds:
                # The change is still to be written, so the way back leads to what is there now.
                state.template = _clean(live["spec"]["template"])
            elif not differs:
                self.out.finished = True
                return self.out
            self._try_logs(live, state)
            self._describe(live, state)
            if self.ended:
                self.guard.end()
            state.record = self.params["record"]
            self.guard.create(state)
            self.out.did(f"begin the rollout of DaemonSet {self.daemons.namespace}/{self.daemons.name}")
        elif holder != self.params["holder"]:
            self._take_over(live, state)
        state.record = self.params["record"] or state.record
        if wants_back:
            self.back.turn(state)
        self.out.waves, self.out.left_out, self.out.tolerated = state.waves, state.left_out, state.tolerated
        self.out.evidence = state.evidence
        if self.params["state"] == "begun":
            if holds and fields.at(live["spec"], "updateStrategy", "type") != target.ON_DELETE["type"]:
                self.daemons.patch_template({})
                self.out.did(f"keep DaemonSet {self.daemons.namespace}/{self.daemons.name} from replacing pods itself")
            self.out.finished, self.out.complete = True, False
            self.guard.save(state)
            return self.out
        if state.phase == UPDATE:
            self._update(live, state)
        else:
            self.back.step(live, state)
        return self.out

    def _read(self) -> tuple[State | None, str]:
        """The state of a rollout that continues and who has it; one that has ended is noted, and counts as none."""
        state, holder = self.guard.read()
        self.ended = state if state is not None and state.phase == ENDED else None
        return (None, "") if self.ended else (state, holder)

    def _forget(self) -> bool:
        """Forget a rollout that has ended, when its undertaking does so too or gives way; whether it was to do so."""
        if self.ended is None:
            return False
        mine = self.ended.undertaking == self.params["undertaking"]
        ends = mine and self.params["state"] == "rolled_out" and bool(self.params["ends"])
        if ends or self.params["state"] == "rolled_back" or (self.params["state"] == "begun" and not mine):
            self.guard.end()
            self.ended = None
        return ends

    def _begin(self, live: Mapping[str, Any]) -> tuple[State, bool]:
        """The state to start with, and whether there is anything to do. Raises InputError."""
        target.check(self.params)
        config = self._config_before()
        tried, restart = self.daemons.try_template(self.params, live, bool(config))
        changes = tried["spec"]["template"] != live["spec"]["template"]
        self.out.diff = {
            "before": {"template": live["spec"]["template"], "config": hiding.masked_config(config)},
            "after": {
                "template": tried["spec"]["template"],
                "config": hiding.masked_config({key: self.params["config_data"][key] for key in config}),
            },
        }
        revisions = self.daemons.revisions(live)
        newest = "" if changes or not revisions else revisions[0]["metadata"]["labels"].get(gates.HASH, "")
        running, nodes = self.daemons.pods(live), self.daemons.nodes()
        outdated = [name for name, pod in running.items() if gates.judge_pod(name, pod, newest).cause == gates.OLDER]
        template = live["spec"]["template"]
        if not changes:
            # The update was written before, and some pods run the template from before it.
            older = revisions[1] if len(revisions) > 1 else {}
            template = fields.at(older, "data", "spec", "template")
        state = State(
            target=target.digest(self.params),
            template=_clean(template),
            strategy=dict(live["spec"].get("updateStrategy") or {}),
            config_map=self.params["config_map"] or "",
            config=config,
            restart=restart,
            started=self.now(),
            wave_started=self.now(),
            undertaking=self.params["undertaking"],
        )
        self._divide(state, running, nodes)
        return state, changes or bool(config) or any(name not in state.left_out for name in outdated)

    def _config_before(self) -> dict[str, Any]:
        if not self.params["config_map"]:
            return {}
        return target.config_before(self.daemons.config_map(self.params["config_map"]), self.params["config_data"])

    def _divide(self, state: State, running: Mapping[str, Any], nodes: Mapping[str, Any]) -> None:
        """Plan the waves; a node that is not ready cannot be updated now and would stop everything."""
        state.left_out = sorted(name for name in running if name not in nodes or not _ready(nodes[name]))
        labels = {name: nodes[name]["metadata"].get("labels") or {} for name in running if name not in state.left_out}
        waves.parse_allowance(self.params["max_failed"], len(labels))
        waves.parse_at_once(self.params["max_unavailable"], len(labels))
        if self.params["waves"]:
            state.waves, absent = waves.chosen(self.params["waves"], labels)
            state.left_out = sorted({*state.left_out, *absent})
            return
        selector = waves.canary_selector(self.params["canary_selector"])
        batches = [waves.parse_batch(each) for each in self.params["batch"]]
        if not batches:
            raise InputError("batch is empty: give at least one number or percentage.")
        state.waves = waves.divide(labels, self.params["canary_nodes"], selector, batches)

    def _try_logs(self, live: Mapping[str, Any], state: State) -> None:
        """Read the logs of nodes of the first wave, since the gate will ask for them. Raises InputError."""
        if "logs" not in self.params["gates"] or not state.waves:
            return
        running = self.daemons.pods(live)
        for name in state.waves[0][:LOGS_TRIED]:
            pod = running.get(name)
            if pod is None or pod["metadata"].get("deletionTimestamp"):
                continue
            container = self.params["container"] or pod["spec"]["containers"][0]["name"]
            try:
                self.daemons.log(pod, container, tail=1)
            except LogUnreadable as error:
                raise InputError(
                    f"gates has logs, but the log of Pod {self.daemons.namespace}/{pod['metadata']['name']} on {name} "
                    f"cannot be read: {error} Nothing was changed. It takes the right to get pods/log, and an API "
                    "server that reaches the kubelet (port 10250 of the node). Fix that, or leave logs out of gates."
                ) from None

    def _describe(self, live: Mapping[str, Any], state: State) -> None:
        self.out.changed = True
        self.out.waves, self.out.left_out = state.waves, state.left_out
        strategy = fields.at(live["spec"], "updateStrategy", "type")
        self.out.progress = {"phase": state.phase, "total": state.total, "done": 0, "strategy": strategy}

    def _take_over(self, live: Mapping[str, Any], state: State) -> None:
        """Go on with what an interrupted run left; a new wish starts over, but back means back to the oldest.

        Raises ConflictError for a part of another undertaking, which changed more than this DaemonSet.
        """
        mine = self.params["undertaking"]
        if state.undertaking != mine and (mine or self.params["state"] == "rolled_out"):
            raise ConflictError(
                f"an interrupted rollout of DaemonSet {self.daemons.namespace}/{self.daemons.name} belongs to "
                f"{state.undertaking or 'none that has a name'}. Go on with it there, or take it back first."
            )
        self.out.took_over = True
        self.out.did("take over an interrupted rollout")
        state.restart_wave(self.now())
        wish = target.digest(self.params)
        untouched = state.phase == UPDATE and not state.written and not state.wave
        if untouched and self.params["waves"]:
            # Nothing was done in the waves that were planned then.
            self._divide(state, self.daemons.pods(live), self.daemons.nodes())
        if state.phase == UPDATE and state.target != wish and self.params["state"] == "rolled_out":
            target.check(self.params)
            if state.config_map and state.config_map != self.params["config_map"] and state.written:
                raise InputError(
                    f"an interrupted rollout changed ConfigMap {state.config_map}: finish it with the options it had."
                )
            config = self._config_before()
            state.config_map = self.params["config_map"] or state.config_map
            state.config = {**config, **state.config}
            state.restart = state.restart or bool(config)
            state.target, state.written, state.wave = wish, False, 0
            self._divide(state, self.daemons.pods(live), self.daemons.nodes())
        self.guard.save(state)

    def _update(self, live: Mapping[str, Any], state: State) -> None:
        if self._stops(state):
            return
        if not state.written:
            self._write(live, state)
            live = self.daemons.get()
        newest = self.daemons.newest(live)
        if not newest:
            self._waiting(state, [self._unseen()], live, {})
            return
        running, nodes = self.daemons.pods(live), self.daemons.nodes()
        if state.wave >= len(state.waves):
            self._finish(state, running, nodes, newest)
            return
        self._note_vanished(state, nodes)
        names = [name for name in state.waves[state.wave] if name in nodes and name not in state.tolerated]
        # A log is a request for each node: those of pods that are well are read when all of them are, and at the end.
        due = not state.good_since or self.now() - state.good_since >= self.params["soak"]
        verdicts = self._restart(state, self._judge(names, nodes, running, newest, False), running)
        if due and not [verdict for verdict in verdicts if verdict.state != OK]:
            verdicts = self._judge(names, nodes, running, newest, True)
        verdicts = self._bear(state, verdicts, running)
        if state.retry:
            state.evidence = self.out.evidence = []
            verdicts = [pods.again(self.daemons, self.out, verdict, running) for verdict in verdicts]
            state.retry = False
        if not [verdict for verdict in verdicts if verdict.state != OK]:
            self._passed(state, names)
        else:
            state.good_since = 0.0
            self._waiting(state, verdicts, live, running)

    def _unseen(self) -> Verdict:
        return pods.unseen(self.daemons, "new")

    def _restart(self, state: State, verdicts: Sequence[Verdict], running: Mapping[str, Any]) -> list[Verdict]:
        """Restart pods of an older template, as many as may be away at once; the time of the wave counts from there."""
        busy = sum(verdict.state != OK and verdict.cause != gates.OLDER for verdict in verdicts)
        room = waves.parse_at_once(self.params["max_unavailable"], state.total) - busy
        if [verdict for verdict in verdicts if verdict.state == BROKEN] and not state.retry:
            room = 0
        due = [verdict.node for verdict in verdicts if verdict.cause == gates.OLDER][: max(0, room)]
        pods.restart(self.daemons, self.out, due, running)
        if due:
            state.wave_started = self.now()
        return [
            replace(verdict, reason="the old pod is ending", cause=gates.ENDING) if verdict.node in due else verdict
            for verdict in verdicts
        ]

    def _bear(self, state: State, verdicts: Sequence[Verdict], running: Mapping[str, Any]) -> list[Verdict]:
        """Bear for a while what passes by itself: a registry or a kubelet that does not answer for a moment."""
        limits = {gates.PULL: float(self.params["image_pull_timeout"]), gates.UNREADABLE: LOG_PATIENCE}
        found = []
        for verdict in verdicts:
            limit = limits.get(verdict.cause)
            if limit is not None and verdict.state == WAIT:
                uid = running[verdict.node]["metadata"].get("uid")
                since = state.since.setdefault(f"{verdict.cause} {uid} {verdict.container}", self.now())
                if self.now() - since >= limit:
                    found.append(replace(verdict, state=BROKEN, reason=f"for {limit:g} s now: {verdict.reason}"))
                    continue
            found.append(verdict)
        return found

    def _judge(
        self, names: Sequence[str], nodes: Mapping[str, Any], running: Mapping[str, Any], newest: str, logs: bool
    ) -> list[Verdict]:
        return [
            pods.judge(self.daemons, self.params, nodes[name], running.get(name), newest, logs_of_ready=logs)
            for name in names
        ]

    def _stops(self, state: State) -> bool:
        """Whether the rollout is where it is to stop; the Lease is kept then."""
        if not 0 < self.params["until_wave"] <= state.wave:
            return False
        self.out.finished, self.out.complete = True, False
        self._progress(state, 0, f"stopped after wave {state.wave}, as it was told to")
        self.guard.save(state)
        return True

    def _note_vanished(self, state: State, nodes: Mapping[str, Any]) -> None:
        """A Node that was deleted meanwhile has no pod to wait for."""
        for name in state.waves[state.wave]:
            if name not in nodes and name not in state.left_out:
                state.left_out.append(name)
                self.out.actions.append(f"leave out {name}, whose Node is gone")

    def _write(self, live: Mapping[str, Any], state: State) -> None:
        """ConfigMap first: a pod that restarts must find the new one."""
        where = f"{self.daemons.namespace}/{self.daemons.name}"
        if self._config_before():
            self.daemons.write_config_map(state.config_map, self.params["config_data"])
            self.out.did(f"update ConfigMap {self.daemons.namespace}/{state.config_map}")
        patch = target.template_patch(self.params, live, state.restart)
        tried = self.daemons.patch_template(patch, replace=self.params["replace_template"], dry_run=True)
        if tried["spec"]["template"] != live["spec"]["template"]:
            self.daemons.patch_template(patch, replace=self.params["replace_template"])
            self.out.did(f"update DaemonSet {where}")
        elif tried["spec"] != live["spec"]:
            self.daemons.patch_template({})
            self.out.did(f"keep DaemonSet {where} from replacing pods itself")
        state.written = True
        state.restart_wave(self.now())
        self.guard.save(state)

    def _passed(self, state: State, names: Sequence[str]) -> None:
        """All nodes of the wave are good: ask the user's command, let time pass, then continue."""
        if self.params["command"] and names and not state.command_done:
            environment = {"ROLLOUT_NODES": " ".join(names), "ROLLOUT_WAVE": str(state.wave + 1)}
            problem = self.command(self.params["command"], environment)
            if problem:
                self._failed(state, [f"wave {state.wave + 1} ({', '.join(names)}): {problem}"])
                return
            state.command_done = True
        state.good_since = state.good_since or self.now()
        left = state.good_since + self.params["soak"] - self.now()
        if left > 0 and names:
            self._progress(state, len(names), f"all good, waiting {left:.0f} s more")
            self.guard.save(state)
            return
        state.next_wave(self.now())
        self._progress(state, 0, "wave done")
        if not self._stops(state):
            self.guard.save(state)

    def _waiting(
        self, state: State, verdicts: Sequence[Verdict], live: Mapping[str, Any], running: Mapping[str, Any]
    ) -> None:
        """Not all is good yet: keep waiting, give up, or continue without what does not become healthy."""
        lost = [verdict for verdict in verdicts if verdict.state == BROKEN]
        waiting = [verdict for verdict in verdicts if verdict.state == WAIT]
        if not lost and self.now() - state.wave_started > self.params["wave_timeout"]:
            late = f"not good after {self.params['wave_timeout']:g} s"
            lost = [replace(verdict, state=BROKEN, reason=f"{late}: {verdict.reason}") for verdict in waiting]
            waiting = []
        for verdict in lost[: max(0, evidence.NODES - len(state.evidence))]:
            found = evidence.collect(self.daemons, self.params, live, verdict, running.get(verdict.node))
            state.evidence.append(found)
        self.out.evidence = state.evidence
        if lost and not self._tolerates(state, lost):
            self._failed(state, [f"{verdict.node or 'all nodes'}: {verdict.reason}" for verdict in lost])
            return
        if lost:
            for verdict in lost:
                state.tolerated[verdict.node] = verdict.reason
                self.out.actions.append(f"continue without {verdict}")
            text = f"continuing without {', '.join(verdict.node for verdict in lost)}"
        else:
            text = str(waiting[0]) + (f" (and {len(waiting) - 1} more)" if len(waiting) > 1 else "")
        node = waiting[0].node if waiting else ""
        self._progress(state, len(verdicts) - len(waiting) - len(lost), text, node)
        self.guard.save(state)

    def _tolerates(self, state: State, lost: Sequence[Verdict]) -> bool:
        """Whether so many may fail; in the first wave none may, and what concerns all nodes may not either."""
        allowed = waves.parse_allowance(self.params["max_failed"], state.total)
        named = all(verdict.node for verdict in lost)
        return state.wave > 0 and named and len(state.tolerated) + len(lost) <= allowed

    def _failed(self, state: State, failures: list[str]) -> None:
        """Begin the way back, or stop where we are."""
        if self.params["rollback"] and state.template is not None:
            state.begin_rollback(failures, self.now())
            self.guard.save(state)
            self._progress(state, 0, f"rolling back: {failures[0]}")
            return
        state.restart_wave(self.now())
        state.retry = True
        self.guard.save(state, release=not self.params["keep_lease"])
        why = "rollback is false" if state.template is not None else "no older template is known"
        state.failures = failures
        self.out.problem = pods.problem(state)
        self.out.failure = (
            f"The rollout stopped in {self.out.problem} Nothing was rolled back, because {why}. The other nodes keep "
            "their pods; running the task again continues."
        )
        self.out.finished = True

    def _finish(self, state: State, running: Mapping[str, Any], nodes: Mapping[str, Any], newest: str) -> None:
        """All waves are done; nodes that came meanwhile form one more."""
        planned = {name for wave in state.waves for name in wave} | set(state.left_out)
        new = sorted(
            (name for name in set(running) - planned if name in nodes and _ready(nodes[name])), key=waves.natural
        )
        if new:
            state.waves.append(new)
            state.restart_wave(self.now())
            self._progress(state, 0, f"{len(new)} nodes came meanwhile")
            self.guard.save(state)
            return
        self._progress(state, 0, "all nodes are done")
        self.daemons.restore_strategy(state.strategy)
        if self.params["ends"]:
            self.guard.end()
        else:
            state.phase = ENDED
            self.guard.save(state, release=True)
        self.out.finished = True

    def _progress(self, state: State, good: int, text: str, node: str = "") -> None:
        self.out.at(state, good, text, node=node, now=self.now())


def _ready(node: Mapping[str, Any]) -> bool:
    return not kube_pods.node_problem(node)


def _clean(template: Any) -> dict[str, Any] | None:
    """A pod template out of a DaemonSet or a ControllerRevision, whose copy holds a patch directive."""
    if not isinstance(template, Mapping):
        return None
    return {key: value for key, value in template.items() if key != "$patch"}
