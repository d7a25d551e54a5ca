# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rollouts that stop after a wave, are taken back on request, and meet nodes that vanish, on a real API server."""

from __future__ import annotations

import json
import time

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError, InputError
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._rollout import lock
from ansible_collections.podnet.cni.plugins.module_utils._rollout.state import decode
from ansible_collections.podnet.cni.tests.integration import _kube
from ansible_collections.podnet.cni.tests.integration.rollout._agents import MERGE, playing
from ansible_collections.podnet.cni.tests.integration.rollout.test_rollout import (
    NODES,
    V2,
    Run,
    config_map,
    leases,
    read_config,
)

pytestmark = pytest.mark.kube

V1 = {"spec": {"containers": [{"name": "flannel", "image": "flannel:v1"}]}}
WAVES = [["n2"], ["n10"], ["n1"]]


def test_stop_after_each_wave_and_go_on(kube: _kube.KubeServer) -> None:
    with playing(kube, "stops", NODES, "RollingUpdate") as agents:
        before = agents.daemonset()["spec"]["updateStrategy"]
        for number, wave in enumerate(WAVES, 1):
            done = Run(agents, template=V2, waves=WAVES, until_wave=number).finish()
            assert (done.failure, done.complete) == ("", False)
            assert agents.images()[wave[0]] == "flannel:v2"
            assert list(agents.images().values()).count("flannel:v2") == number
            assert len(leases(agents)) == 1, "the Lease is kept"
        again = Run(agents, template=V2, waves=WAVES, until_wave=2)
        assert (again.finish().complete, again.actions) == (False, [])
        with pytest.raises(ConflictError, match="in progress, by run-1"):
            Run(agents, template=V2, holder="run-2").step()
        done = Run(agents, template=V2, waves=WAVES).finish()
        assert (done.failure, done.complete) == ("", True)
        assert leases(agents) == []
        assert agents.replaced == []
        assert agents.daemonset()["spec"]["updateStrategy"] == before
        over = Run(agents, template=V2, waves=WAVES, until_wave=2)
        assert (over.finish().complete, over.actions) == (True, [])


def test_begun_keeps_others_out_and_changes_nothing(kube: _kube.KubeServer) -> None:
    with playing(kube, "begun", NODES, "RollingUpdate") as agents:
        before = agents.daemonset()["spec"]
        begun = Run(agents, template=V2, waves=WAVES, state="begun")
        done = begun.finish()
        assert (done.complete, done.waves, done.changed) == (False, WAVES, True)
        assert Run(agents, template=V2, waves=WAVES, state="begun").finish().changed is False
        assert agents.daemonset()["spec"] == before
        with pytest.raises(ConflictError, match="in progress, by run-1"):
            Run(agents, template=V2, holder="run-2", state="begun").step()
        back = Run(agents, state="rolled_back")
        assert back.finish().failure == ""
        assert (agents.daemonset()["spec"], leases(agents), back.restarted) == (before, [], [])
        same = Run(agents, state="begun")
        assert (same.finish().complete, leases(agents)) == (True, []), "nothing to do, nothing to keep"


def test_part_of_an_undertaking_is_not_gone_on_with_elsewhere(kube: _kube.KubeServer) -> None:
    with playing(kube, "parts", NODES, "RollingUpdate") as agents:
        before = agents.daemonset()["spec"]
        Run(agents, template=V2, waves=WAVES, until_wave=1, undertaking="/srv/a").finish()
        path = "/apis/coordination.k8s.io/v1/namespaces/parts/leases/podnet-rollout-agent"
        kube.api("PATCH", path, {"spec": {"renewTime": "2026-01-01T00:00:00.000000Z"}}, MERGE)
        for more in ({"undertaking": "/srv/b"}, {"undertaking": "/srv/b", "state": "begun"}, {}):
            with pytest.raises(ConflictError, match="belongs to /srv/a"):
                Run(agents, template=V2, waves=WAVES, holder="run-2", **more).step()
        taken = Run(agents, template=V2, waves=WAVES, holder="run-3", state="begun", undertaking="/srv/a")
        assert taken.finish().failure == ""
        assert Run(agents, state="rolled_back", holder="run-3").finish().failure == ""
        assert (agents.daemonset()["spec"], leases(agents)) == (before, [])


def test_an_undertaking_that_goes_on_is_remembered_after_the_last_wave(kube: _kube.KubeServer) -> None:
    with playing(kube, "remembers", NODES, "RollingUpdate") as agents:
        before = agents.daemonset()["spec"]["updateStrategy"]
        part = {"template": V2, "waves": WAVES, "undertaking": "/srv/a"}

        def remembered() -> list[tuple[str, dict[str, int]]]:
            found = [decode(lease) for lease in leases(agents)]
            return [(each.phase, each.record) for each in found]

        Run(agents, **part, state="begun", record={"done": 0}).finish()
        assert remembered() == [("update", {"done": 0})]
        Run(agents, **part, until_wave=1).finish()
        assert remembered() == [("update", {"done": 0})], "what is not told anew stays"
        Run(agents, **part, state="begun", record={"done": 1}).finish()
        assert remembered() == [("update", {"done": 1})]
        assert Run(agents, **part, record={"done": 3}, ends=False).finish().complete
        assert remembered() == [("ended", {"done": 3})]
        assert agents.daemonset()["spec"]["updateStrategy"] == before

        with KubeClient.from_options({"kubeconfig": str(kube.admin)}) as client:
            lock.check(client, "remembers", "agent")
        for more in ({"ends": False}, {"state": "begun"}, {"undertaking": ""}):
            again = Run(agents, **{**part, **more}, holder="run-2")
            assert (again.finish().failure, again.actions) == ("", []), "it is no rollout any more"
            assert remembered() == [("ended", {"done": 3})]
        Run(agents, **part, holder="run-2").finish()
        assert remembered() == []

        Run(agents, **{**part, "template": V1}, record={"done": 3}, ends=False).finish()
        assert remembered() == [("ended", {"done": 3})]
        other = Run(agents, template=V2, waves=WAVES, holder="run-2", undertaking="/srv/b", state="begun")
        assert other.finish().waves == WAVES
        assert remembered() == [("update", {})], "another undertaking takes its place"
        assert Run(agents, state="rolled_back", holder="run-2").finish().failure == ""


def test_waves_of_a_rollout_that_has_done_nothing_are_planned_anew(kube: _kube.KubeServer) -> None:
    with playing(kube, "anew", NODES, "RollingUpdate") as agents:
        Run(agents, template=V2, waves=WAVES, state="begun").finish()
        path = "/apis/coordination.k8s.io/v1/namespaces/anew/leases/podnet-rollout-agent"
        kube.api("PATCH", path, {"spec": {"renewTime": "2026-01-01T00:00:00.000000Z"}}, MERGE)
        turned = list(reversed(WAVES))
        assert Run(agents, template=V2, waves=turned, holder="run-2", state="begun").finish().waves == turned
        assert Run(agents, state="rolled_back", holder="run-2").finish().failure == ""


def test_failed_wave_keeps_the_lease_for_who_goes_back(kube: _kube.KubeServer) -> None:
    with playing(kube, "keeps", NODES, "RollingUpdate") as agents:
        agents.behave = lambda _node, template: "crash" if "v2" in json.dumps(template) else "good"
        done = Run(agents, template=V2, waves=WAVES, rollback=False, keep_lease=True).finish()
        assert done.failure
        with pytest.raises(ConflictError, match="in progress, by run-1"):
            Run(agents, template=V2, waves=WAVES, holder="run-2").step()
        assert Run(agents, state="rolled_back").finish().failure == ""
        assert leases(agents) == []


@pytest.mark.parametrize("back", [False, True])
def test_held_while_somebody_else_writes(kube: _kube.KubeServer, back: bool) -> None:
    with playing(kube, f"held-{back}".lower(), NODES, "RollingUpdate") as agents:
        before = agents.daemonset()["spec"]
        done = Run(agents, waves=WAVES, state="begun", hold=True).finish()
        assert (done.complete, done.changed, len(leases(agents))) == (False, True, 1)
        assert agents.daemonset()["spec"] == {**before, "updateStrategy": {"type": "OnDelete"}}
        kube.api("PATCH", agents.path, {"spec": {"template": V2}}, "application/strategic-merge-patch+json")
        if back:
            assert Run(agents, state="rolled_back").finish().failure == ""
            assert agents.daemonset()["spec"] == before
        else:
            assert Run(agents, waves=WAVES).finish().complete
            assert agents.daemonset()["spec"]["updateStrategy"] == before["updateStrategy"]
        assert set(agents.images().values()) == {"flannel:v1" if back else "flannel:v2"}
        assert (agents.replaced, leases(agents)) == ([], []), "nobody ran ahead of the waves"


@pytest.mark.parametrize("stopped", [0, 1, 3])
def test_rolled_back_on_request(kube: _kube.KubeServer, stopped: int) -> None:
    with playing(kube, f"request-{stopped}", NODES, "RollingUpdate") as agents:
        config_map(agents, {"net-conf.json": "old"})
        before = agents.daemonset()["spec"]
        wish = {"template": V2, "waves": WAVES, "config_map": "cfg", "config_data": {"net-conf.json": "new"}}
        if stopped:
            Run(agents, **wish, until_wave=stopped).finish()
            assert read_config(agents) == {"net-conf.json": "new"}
        back = Run(agents, state="rolled_back", reason="the probe failed")
        assert back.step(check=True).changed is bool(stopped)
        done = back.finish()
        assert (done.failure, done.complete) == ("", True)
        assert sorted(back.restarted) == sorted(node for wave in WAVES[:stopped] for node in wave), "no other pod"
        assert set(agents.images().values()) == {"flannel:v1"}
        assert read_config(agents) == {"net-conf.json": "old"}
        assert agents.daemonset()["spec"] == before
        assert leases(agents) == []


def test_rolled_back_by_another_run_after_the_lease_has_run_out(kube: _kube.KubeServer) -> None:
    with playing(kube, "request-two", NODES) as agents:
        Run(agents, template=V2, waves=WAVES, until_wave=2).finish()
        other = Run(agents, state="rolled_back", holder="run-2")
        with pytest.raises(ConflictError, match="in progress, by run-1"):
            other.step()
        path = "/apis/coordination.k8s.io/v1/namespaces/request-two/leases/podnet-rollout-agent"
        kube.api("PATCH", path, {"spec": {"renewTime": "2026-01-01T00:00:00.000000Z"}}, MERGE)
        assert other.finish().failure == ""
        assert set(agents.images().values()) == {"flannel:v1"}


def test_no_way_back_is_said(kube: _kube.KubeServer) -> None:
    with playing(kube, "no-way", ["n1"]) as agents:
        kube.api("PATCH", agents.path, {"spec": {"template": V2}}, "application/strategic-merge-patch+json")
        time.sleep(0.5)
        Run(agents, until_wave=1).finish()
        lease = leases(agents)[0]
        state = json.loads(lease["metadata"]["annotations"]["podnet.cni/rollout-state"])
        notes = {"podnet.cni/rollout-state": json.dumps({**state, "template": None})}
        path = f"/apis/coordination.k8s.io/v1/namespaces/no-way/leases/{lease['metadata']['name']}"
        kube.api("PATCH", path, {"metadata": {"annotations": notes}}, MERGE)
        with pytest.raises(InputError, match="no way back for DaemonSet no-way/agent"):
            Run(agents, state="rolled_back").step()


def test_whole_template_takes_the_place_of_the_old_one(kube: _kube.KubeServer) -> None:
    with playing(kube, "whole", NODES) as agents:
        before = agents.daemonset()["spec"]["template"]
        more = {"spec": {"containers": [{"name": "flannel", "image": "flannel:v2"}, {"name": "more", "image": "x"}]}}
        assert Run(agents, template=more, gates=[]).finish().failure == ""
        back = Run(agents, template=before, replace_template=True)
        assert back.finish().failure == ""
        assert agents.daemonset()["spec"]["template"] == before
        assert back.restarted == ["n1", "n2", "n10"]
        assert Run(agents, template=before, replace_template=True).finish().changed is False


def test_node_that_is_deleted_in_mid_wave_is_left_out(kube: _kube.KubeServer) -> None:
    with playing(kube, "deleted", list(NODES)) as agents:
        agents.behave = lambda node, _template: "unready" if node == "n2" else "good"
        run = Run(agents, template=V2)
        run.until(lambda outcome: outcome.progress.get("node") == "n2" and outcome.progress["done"] == 1)
        agents.nodes.remove("n2")
        kube.api("DELETE", "/api/v1/nodes/n2")
        done = run.finish()
        assert (done.failure, done.left_out) == ("", ["n2"])
        assert "leave out n2, whose Node is gone" in run.actions
        assert agents.images()["n10"] == "flannel:v2"


@pytest.mark.parametrize(("allowed", "version"), [("1", "flannel:v2"), ("0", "flannel:v1")])
def test_node_that_falls_silent_in_mid_wave(kube: _kube.KubeServer, allowed: str, version: str) -> None:
    with playing(kube, f"silent-{allowed}", NODES) as agents:
        run = Run(agents, template=V2, wave_timeout=3.0, max_failed=allowed)
        run.until(lambda outcome: outcome.progress.get("done") == 1)
        agents.silent.add("n2")
        agents.ready("n2", "Unknown")
        done = run.finish()
        images = agents.images()
        assert {images["n1"], images["n10"]} == {version}
        assert leases(agents) == []
        if allowed == "1":
            assert done.failure == ""
            assert "the node does not report any more" in done.tolerated["n2"]
        else:
            assert "n2: not good after 3 s: the node does not report any more" in done.failure
            assert "rolled back" in done.failure and "n2 did not answer" in done.failure


def test_more_failures_than_allowed_bring_everything_back(kube: _kube.KubeServer) -> None:
    with playing(kube, "allowed", [f"n{number}" for number in range(1, 5)]) as agents:
        agents.behave = lambda node, template: (
            "crash" if node in ("n2", "n3") and "v2" in json.dumps(template) else "good"
        )
        run = Run(agents, template=V2, max_failed="1")
        done = run.finish()
        assert "n3: container flannel is in CrashLoopBackOff" in done.failure
        assert "continue without n2: container flannel is in CrashLoopBackOff: no message" in run.actions
        assert set(agents.images().values()) == {"flannel:v1"}


def test_canary_may_never_fail(kube: _kube.KubeServer) -> None:
    with playing(kube, "canary", NODES) as agents:
        agents.behave = lambda node, template: "crash" if node == "n1" and "v2" in json.dumps(template) else "good"
        run = Run(agents, template=V2, max_failed="100%")
        assert "wave 1 of 3: n1: container flannel is in CrashLoopBackOff" in run.finish().failure
        assert run.restarted == ["n1"]
