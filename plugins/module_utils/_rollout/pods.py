# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is asked of the pods of a rollout: end, start anew, say how they are.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._kube import causes
from ansible_collections.podnet.cni.plugins.module_utils._rollout import evidence, gates
from ansible_collections.podnet.cni.plugins.module_utils._rollout.cluster import Daemons, LogUnreadable
from ansible_collections.podnet.cni.plugins.module_utils._rollout.gates import BROKEN, OK, WAIT, Verdict
from ansible_collections.podnet.cni.plugins.module_utils._rollout.outcome import Outcome
from ansible_collections.podnet.cni.plugins.module_utils._rollout.state import State


def restart(daemons: Daemons, out: Outcome, names: Sequence[str], pods: Mapping[str, Any]) -> None:
    """Delete the pods of these nodes."""
    for name in names:
        daemons.delete_pod(pods[name])
        out.did(f"restart the pod on {name}")


def unseen(daemons: Daemons, which: str) -> Verdict:
    """The controller has not seen a template yet; that it does not run, where it says so."""
    absent = causes.leader(daemons.client, "kube-controller-manager")
    more = f"; kube-controller-manager: {absent}" if absent else ""
    return Verdict("", WAIT, f"the DaemonSet's controller has not seen the {which} template yet{more}", gates.UNSEEN)


def problem(state: State) -> str:
    """What went wrong in which wave, with the evidence; a sentence that says nothing of what is done about it."""
    number = min(state.wave + 1, len(state.waves))
    return f"wave {number} of {len(state.waves)}: {'; '.join(state.failures)}.{evidence.text(state.evidence)}"


def again(daemons: Daemons, out: Outcome, verdict: Verdict, pods: Mapping[str, Any]) -> Verdict:
    """Restart a pod that was broken when the run before stopped: its log would say so for ever."""
    if verdict.state != BROKEN:
        return verdict
    daemons.delete_pod(pods[verdict.node])
    out.did(f"restart the pod on {verdict.node}")
    return Verdict(verdict.node, WAIT, "the broken pod is restarted", gates.ENDING)


def judge(
    daemons: Daemons,
    params: Mapping[str, Any],
    node: Mapping[str, Any],
    pod: Mapping[str, Any] | None,
    newest: str,
    *,
    logs_of_ready: bool = True,
) -> Verdict:
    """How a node is. The cheap gates first; the log only of a pod that passed them, if wanted, or is not ready yet."""
    return gates.of_node(_judge(daemons, params, node, pod, newest, logs_of_ready=logs_of_ready), node)


def _judge(
    daemons: Daemons,
    params: Mapping[str, Any],
    node: Mapping[str, Any],
    pod: Mapping[str, Any] | None,
    newest: str,
    *,
    logs_of_ready: bool,
) -> Verdict:
    name = str(node["metadata"]["name"])
    verdict = gates.judge_pod(name, pod, newest)
    if pod is None or verdict.state == BROKEN or verdict.cause in (gates.ENDING, gates.OLDER, gates.PULL):
        return verdict
    wanted = params["gates"]
    container = params["container"] or pod["spec"]["containers"][0]["name"]
    if verdict.state == OK and "node" in wanted:
        verdict = gates.judge_node(node, pod, container, params["annotation_prefix"])
    if "logs" in wanted and (logs_of_ready or verdict.state != OK):
        said = _judge_logs(daemons, params, name, pod, container)
        if said.state == BROKEN or verdict.state == OK:
            return said
    return verdict


def _judge_logs(
    daemons: Daemons, params: Mapping[str, Any], name: str, pod: Mapping[str, Any], container: str
) -> Verdict:
    """What the logs of the daemon and of the other containers say: the worst of it."""
    asked = [(container, params["log_healthy"], params["log_broken"])]
    asked += [(each["container"], each["healthy"], each["broken"]) for each in params["log_others"]]
    worst = Verdict(name, OK)
    for each, healthy, broken in asked:
        try:
            said = gates.judge_log(name, daemons.log(pod, each), healthy, broken, each)
        except LogUnreadable as error:
            state = BROKEN if error.refused else WAIT
            said = Verdict(name, state, f"the log of {each} cannot be read: {error}", gates.UNREADABLE, each)
        if said.state == BROKEN:
            return said
        if worst.state == OK:
            worst = said
    return worst
