# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rollouts on a real API server, with agents that get well or do not."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError, InputError, PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import Conflict, KubeError, Unreachable
from ansible_collections.podnet.cni.plugins.module_utils._rollout import driver, options
from ansible_collections.podnet.cni.tests.integration import _kube
from ansible_collections.podnet.cni.tests.integration.etcd._lab import environment
from ansible_collections.podnet.cni.tests.integration.rollout._agents import MERGE, Agents, playing

pytestmark = pytest.mark.kube

NODES = ["n1", "n2", "n10"]
V2 = {"spec": {"containers": [{"name": "flannel", "image": "flannel:v2"}]}}


class Run:
    """Steps of one run, as the action plugin takes them."""

    def __init__(self, agents: Agents, **params: Any) -> None:
        defaults = {name: spec.get("default") for name, spec in {**options.ARGUMENT_SPEC, **options.TOLD}.items()}
        given = {"namespace": agents.namespace, "name": "agent", "soak": 0.0, "wave_timeout": 30.0, "batch": ["1"]}
        self.params = {**defaults, **given, "holder": "run-1", **params}
        self.agents = agents
        self.outcomes: list[driver.Outcome] = []
        self.commands: list[str] = []
        self.problem: Callable[[str], str] = lambda _nodes: ""

    def command(self, _words: Any, variables: Any) -> str:
        self.commands.append(variables["ROLLOUT_NODES"])
        return self.problem(variables["ROLLOUT_NODES"])

    def step(self, check: bool = False) -> driver.Outcome:
        with KubeClient.from_options({"kubeconfig": str(self.agents.kube.admin)}, budget=2) as client:
            step = driver.Step(client, self.params, self.command)
            self.outcomes.append(step.plan() if check else step.take())
        return self.outcomes[-1]

    def until(self, done: Callable[[driver.Outcome], bool], patience: tuple[type[PodnetError], ...] = ()) -> Any:
        """Take steps until one of them is as wanted, at most for a minute."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(*patience):
                outcome = self.step()
                if done(outcome):
                    return outcome
            time.sleep(0.1)
        raise AssertionError(f"never came to that: {self.outcomes[-1]}")

    def finish(self, *patience: type[PodnetError]) -> driver.Outcome:
        return self.until(lambda outcome: outcome.finished, patience)

    @property
    def actions(self) -> list[str]:
        return [action for outcome in self.outcomes for action in outcome.actions]

    @property
    def restarted(self) -> list[str]:
        found = [action.rsplit(" ", 1)[1] for action in self.actions if action.startswith("restart")]
        return list(dict.fromkeys(found))


def leases(agents: Agents) -> list[Any]:
    return agents.kube.api("GET", f"/apis/coordination.k8s.io/v1/namespaces/{agents.namespace}/leases")["items"]


def config_map(agents: Agents, data: dict[str, str]) -> None:
    item = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cfg", "namespace": agents.namespace}}
    agents.kube.apply({**item, "data": data})


def read_config(agents: Agents) -> Any:
    return agents.kube.api("GET", f"/api/v1/namespaces/{agents.namespace}/configmaps/cfg")["data"]


@pytest.mark.parametrize("strategy", ["OnDelete", "RollingUpdate"])
def test_canary_then_the_others(kube: _kube.KubeServer, strategy: str) -> None:
    with playing(kube, f"waves-{strategy.lower()}", NODES, strategy) as agents:
        before = agents.daemonset()["spec"]["updateStrategy"]
        run = Run(agents, template=V2, canary_nodes=["n10"], command=["check"])
        planned = run.step(check=True)
        assert planned.waves == [["n10"], ["n1"], ["n2"]]
        assert leases(agents) == [] and set(agents.images().values()) == {"flannel:v1"}
        done = run.finish()
        assert done.failure == ""
        assert run.restarted == run.commands == ["n10", "n1", "n2"]
        assert agents.replaced == [], "the controller may not run ahead"
        assert set(agents.images().values()) == {"flannel:v2"}
        assert agents.daemonset()["spec"]["updateStrategy"] == before
        assert leases(agents) == []
        again = Run(agents, template=V2)
        assert (again.finish().changed, again.actions) == (False, [])


@pytest.mark.parametrize(
    ("behaviour", "says"),
    [
        ("crash", "n2: container flannel is in CrashLoopBackOff"),
        ("Error registering network: no\n", "n2: the log says: Error registering network: no"),
        ("silent", "n2: not good after 2 s: the Node's condition is from an earlier start"),
        ("unready", "n2: not good after 2 s: the pod is not ready"),
        ("Found network config - Backend type: vxlan\n", "the log does not say 'Running backend.' yet"),
    ],
)
def test_a_node_that_stays_ill_brings_everything_back(kube: _kube.KubeServer, behaviour: str, says: str) -> None:
    name = f"back-{len(behaviour)}"
    with playing(kube, name, NODES, "RollingUpdate") as agents:
        config_map(agents, {"net-conf.json": "old", "other": "kept"})
        before = agents.daemonset()["spec"]
        agents.behave = lambda node, template: (
            behaviour if node == "n2" and template["spec"]["containers"][0]["image"] == "flannel:v2" else "good"
        )
        wish = {"config_map": "cfg", "config_data": {"net-conf.json": "new", "more": "1"}}
        # A condition counts in whole seconds: the start before has to be another second's.
        time.sleep(1.1)
        run = Run(agents, template=V2, wave_timeout=2.0, **wish)
        done = run.finish()
        assert says in done.failure and "rolled back" in done.failure, done.failure
        assert set(agents.images().values()) == {"flannel:v1"}
        assert read_config(agents) == {"net-conf.json": "old", "other": "kept"}
        assert agents.daemonset()["spec"] == before
        assert run.restarted == ["n1", "n2"], "n10 was never touched"
        restores = [action.split()[1] for action in run.actions if action.startswith("restore")]
        assert restores == ["ConfigMap", "DaemonSet"]
        assert leases(agents) == []


def test_the_way_back_ends_when_the_old_daemon_has_reached_its_node(kube: _kube.KubeServer) -> None:
    with playing(kube, "wayback", NODES) as agents:
        time.sleep(1.1)
        agents.behave = lambda _node, template: (
            "crash" if template["spec"]["containers"][0]["image"] == "flannel:v2" else "silent"
        )
        failure = Run(agents, template=V2, wave_timeout=2.0).finish().failure
        assert "The rollback is not complete: n1: the Node's condition is from an earlier start" in failure
        assert "n2" not in failure.split("The rollback")[1], "its pod was not started anew"
        assert len(leases(agents)) == 1
        assert "is not complete" not in Run(agents, template=V2, gates=["logs"], holder="run-2").finish().failure
        assert leases(agents) == []


def test_command_that_fails_brings_everything_back(kube: _kube.KubeServer) -> None:
    with playing(kube, "command", NODES) as agents:
        run = Run(agents, template=V2, command=["check"])
        run.problem = lambda nodes: "no way" if nodes == "n2" else ""
        assert "wave 2 (n2): no way" in run.finish().failure
        assert set(agents.images().values()) == {"flannel:v1"}


def test_changed_config_restarts_the_pods_once(kube: _kube.KubeServer) -> None:
    with playing(kube, "config", NODES) as agents:
        config_map(agents, {"net-conf.json": "old"})
        wish = {"config_map": "cfg", "config_data": {"net-conf.json": "new"}}
        first = Run(agents, **wish)
        assert first.finish().failure == ""
        assert first.restarted == ["n1", "n2", "n10"]
        assert read_config(agents) == {"net-conf.json": "new"}
        assert Run(agents, **wish).finish().changed is False


def test_update_that_was_written_before_is_rolled_out_and_back(kube: _kube.KubeServer) -> None:
    with playing(kube, "written", NODES) as agents:
        kube.api("PATCH", agents.path, {"spec": {"template": V2}}, "application/strategic-merge-patch+json")
        agents.behave = lambda node, _template: "crash" if node == "n1" else "good"
        time.sleep(0.5)
        failed = Run(agents)
        agents.behave = lambda _node, template: "crash" if "v2" in json.dumps(template) else "good"
        assert "rolled back" in failed.finish().failure
        assert set(agents.images().values()) == {"flannel:v1"}
        kube.api("PATCH", agents.path, {"spec": {"template": V2}}, "application/strategic-merge-patch+json")
        agents.behave = lambda _node, _template: "good"
        time.sleep(0.5)
        assert Run(agents, batch=["100%"]).finish().failure == ""
        assert set(agents.images().values()) == {"flannel:v2"}


def test_second_run_is_kept_out_and_an_interrupted_one_taken_over(kube: _kube.KubeServer) -> None:
    with playing(kube, "two", NODES) as agents:
        first = Run(agents, template=V2)
        first.until(lambda outcome: outcome.progress.get("done") == 1)
        second = Run(agents, template=V2, holder="run-2")
        with pytest.raises(ConflictError, match="another rollout of this DaemonSet is in progress, by run-1"):
            second.step()
        lease = leases(agents)[0]
        path = f"/apis/coordination.k8s.io/v1/namespaces/two/leases/{lease['metadata']['name']}"
        kube.api("PATCH", path, {"spec": {"renewTime": "2026-01-01T00:00:00.000000Z"}}, MERGE)
        assert second.finish().failure == ""
        assert second.actions[0] == "take over an interrupted rollout"
        assert "n1" not in second.restarted
        assert set(agents.images().values()) == {"flannel:v2"}


class Cut(Exception):
    """The run was killed."""


def killed(run: Run, writes: int) -> None:
    """Take steps until so many requests have changed something; the next one never leaves."""
    original = KubeClient.request
    left = writes

    def request(client: KubeClient, method: str, path: str, **more: Any) -> Any:
        nonlocal left
        if method != "GET" and (more.get("query") or {}).get("dryRun") is None:
            left -= 1
            if left < 0:
                raise Cut
        return original(client, method, path, **more)

    with pytest.MonkeyPatch.context() as patch, contextlib.suppress(Cut):
        patch.setattr(KubeClient, "request", request)
        run.finish()
    time.sleep(1.1)


@pytest.mark.parametrize("writes", [1, 2, 3, 4, 5])
def test_interruption_at_any_write_is_mended_by_the_next_run(kube: _kube.KubeServer, writes: int) -> None:
    with playing(kube, f"cut-{writes}", ["n1"], "RollingUpdate") as agents:
        config_map(agents, {"net-conf.json": "old"})
        wish = {"config_map": "cfg", "config_data": {"net-conf.json": "new"}}
        before = agents.daemonset()["spec"]["updateStrategy"]
        killed(Run(agents, template=V2, lease_seconds=1, **wish), writes)
        assert Run(agents, template=V2, holder="run-2", **wish).finish().failure == ""
        assert set(agents.images().values()) == {"flannel:v2"}
        assert read_config(agents) == {"net-conf.json": "new"}
        assert agents.daemonset()["spec"]["updateStrategy"] == before
        assert leases(agents) == []


def test_config_written_by_a_killed_run_still_restarts_the_pods(kube: _kube.KubeServer) -> None:
    with playing(kube, "cut-config", ["n1"]) as agents:
        config_map(agents, {"net-conf.json": "old"})
        wish = {"config_map": "cfg", "config_data": {"net-conf.json": "new"}}
        killed(Run(agents, lease_seconds=1, **wish), 2)
        assert read_config(agents) == {"net-conf.json": "new"}
        again = Run(agents, holder="run-2", **wish)
        assert again.finish().failure == ""
        assert again.restarted == ["n1"]


@pytest.mark.parametrize("writes", [6, 8, 10, 12])
def test_interruption_of_the_way_back_is_mended_by_the_next_run(kube: _kube.KubeServer, writes: int) -> None:
    with playing(kube, f"cut-back-{writes}", ["n1"], "RollingUpdate") as agents:
        config_map(agents, {"net-conf.json": "old"})
        wish = {"config_map": "cfg", "config_data": {"net-conf.json": "new"}}
        before = agents.daemonset()["spec"]
        agents.behave = lambda _node, template: "crash" if "v2" in json.dumps(template) else "good"
        killed(Run(agents, template=V2, lease_seconds=1, **wish), writes)
        assert "rolled back" in Run(agents, template=V2, holder="run-2", **wish).finish().failure
        assert set(agents.images().values()) == {"flannel:v1"}
        assert read_config(agents) == {"net-conf.json": "old"}
        assert agents.daemonset()["spec"] == before
        assert leases(agents) == []


def test_stop_instead_of_rollback_and_go_on(kube: _kube.KubeServer) -> None:
    with playing(kube, "stop", NODES) as agents:
        run = Run(agents, template=V2, rollback=False, command=["check"])
        run.problem = lambda nodes: "not yet" if nodes == "n2" else ""
        assert "Nothing was rolled back" in run.finish().failure
        assert agents.images()["n10"] == "flannel:v1"
        again = Run(agents, template=V2, holder="run-2", command=["check"])
        assert again.finish().failure == ""
        assert again.commands == ["n2", "n10"]


def test_what_was_broken_when_a_run_stopped_is_restarted_by_the_next(kube: _kube.KubeServer) -> None:
    with playing(kube, "mended", ["n1", "n2"]) as agents:
        agents.behave = lambda _node, template: "no nftables support\n" if "v2" in json.dumps(template) else "good"
        assert "n1: the log says: no nftables support" in Run(agents, template=V2, rollback=False).finish().failure
        agents.behave = lambda _node, _template: "good"
        again = Run(agents, template=V2, holder="run-2")
        assert again.finish().failure == ""
        assert again.restarted == ["n1", "n2"]


def test_nodes_that_are_ill_before_are_left_out_and_new_ones_included(kube: _kube.KubeServer) -> None:
    with playing(kube, "ill", NODES) as agents:
        agents.ready("n2", "False")
        run = Run(agents, template=V2)
        run.until(lambda outcome: outcome.progress.get("done") == 1)
        agents.add_node("n11")
        agents.nodes.append("n11")
        done = run.finish()
        assert (done.left_out, done.failure) == (["n2"], "")
        assert agents.images() == {"n1": "flannel:v2", "n2": "flannel:v1", "n10": "flannel:v2", "n11": "flannel:v2"}


def test_bad_input_changes_nothing(kube: _kube.KubeServer) -> None:
    with playing(kube, "bad", NODES) as agents:
        mark = kube.audit_mark()
        for wish, says in (
            ({"canary_nodes": ["n9"]}, "n9 runs no"),
            ({"batch": ["0"]}, "batch"),
            ({"config_map": "cfg"}, "belong together"),
            ({"config_map": "none", "config_data": {"a": "b"}}, "no ConfigMap bad/none"),
            ({"name": "nobody"}, "no DaemonSet bad/nobody"),
            ({"canary_selector": "pool=canary"}, "selects no node"),
        ):
            with pytest.raises(InputError, match=says):
                Run(agents, **{"template": V2, **wish}).step()
        with pytest.raises(KubeError, match="422"):
            Run(agents, template={"spec": {"containers": [{"name": "more"}]}}).step()
        ours = [event for event in kube.audit(mark) if event.get("userAgent", "").startswith("podnet.cni")]
        assert [event["verb"] for event in ours if event["verb"] == "create"] == []
        assert agents.daemonset()["spec"]["updateStrategy"]["type"] == "OnDelete"


def test_everything_is_changed_by_others_all_the_time(kube: _kube.KubeServer) -> None:
    with playing(kube, "busy", ["n1", "n2"]) as agents:
        stop = threading.Event()

        def disturb() -> None:
            paths = [agents.path, "/apis/coordination.k8s.io/v1/namespaces/busy/leases/podnet-rollout-agent"]
            while not stop.wait(0.02):
                for path in paths:
                    with contextlib.suppress(RuntimeError):
                        kube.api("PATCH", path, {"metadata": {"annotations": {"at": str(time.time())}}}, MERGE)

        thread = threading.Thread(target=disturb)
        thread.start()
        try:
            run = Run(agents, template=V2)
            assert run.finish(Conflict).failure == ""
        finally:
            stop.set()
            thread.join()
        assert set(agents.images().values()) == {"flannel:v2"}
        assert leases(agents) == []


def test_server_restart_in_between() -> None:
    _kube.require()
    with _kube.running() as server, playing(server, "restart", ["n1", "n2"]) as agents:
        run = Run(agents, template=V2)
        run.until(lambda outcome: outcome.progress.get("done") == 1)
        server.stop_apiserver(kill=True)
        with pytest.raises(Unreachable):
            run.step()
        server.start_apiserver()
        assert run.finish(KubeError).failure == ""
        assert set(agents.images().values()) == {"flannel:v2"}


def test_progress_is_shown_by_ansible(kube: _kube.KubeServer, tmp_path: Path) -> None:
    """The whole way: a playbook, the action plugin, the module. A task continues at once where the last one stopped."""
    with playing(kube, "shown", ["n1", "n2"]) as agents:
        wish = {
            "kubeconfig": str(kube.admin),
            "namespace": "shown",
            "name": "agent",
            "template": V2,
            "batch": ["1"],
            "soak": 0,
            "poll": 0.2,
            "command": ["/bin/sh", "-c", f"echo $ROLLOUT_NODES >> {tmp_path}/nodes"],
        }
        first = {"podnet.cni.daemonset_rollout": {**wish, "until_wave": 1}, "register": "stopped"}
        stopped = {"ansible.builtin.assert": {"that": "not stopped.complete"}}
        task = {"podnet.cni.daemonset_rollout": wish, "register": "done"}
        check = {"ansible.builtin.assert": {"that": "done is changed"}}
        play = [
            {"hosts": "localhost", "gather_facts": False, "connection": "local", "tasks": [first, stopped, task, check]}
        ]
        (tmp_path / "play.yml").write_text(json.dumps(play))
        variables = {**environment(), "ANSIBLE_COLLECTIONS_PATH": _collections(), "ANSIBLE_LOCALHOST_WARNING": "0"}
        done = subprocess.run(
            [
                str(Path(sys.executable).parent / "ansible-playbook"),
                *("-i", "localhost,", "-e", f"ansible_python_interpreter={sys.executable}", str(tmp_path / "play.yml")),
            ],
            check=False,
            capture_output=True,
            text=True,
            env=variables,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "daemonset_rollout: wave 2/2, 1/2 nodes: n2: " in done.stdout, done.stdout
        assert (tmp_path / "nodes").read_text().split() == ["n1", "n2"]
        assert set(agents.images().values()) == {"flannel:v2"}


def _collections() -> str:
    """Where the collection is found by its name."""
    return next(entry for entry in sys.path if (Path(entry) / "ansible_collections" / "podnet" / "cni").is_dir())
