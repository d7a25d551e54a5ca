# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbooks upgrade and rollback on a real API server, with daemons that get well or do not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.tests.integration.rollout._agents import MERGE
from ansible_collections.podnet.cni.tests.integration.upgrade.conftest import AFTER, BEFORE, NODES, Cluster

pytestmark = pytest.mark.kube


def test_plan_then_upgrade_then_nothing_to_do(cluster: Cluster) -> None:
    before = cluster.snapshot()
    planned = cluster.run(upgrade_plan_only=True)
    for part in (
        "flannel: 0.27.4 -> 0.28.9",
        "1 canary linux 1 n1",
        "2 control-plane linux 1 c1",
        "3 batch linux 1 n2",
    ):
        assert part in planned, planned
    plan = json.loads((cluster.directory / "upgrades" / "plan.json").read_text())
    assert [wave["nodes"] for wave in plan["waves"]] == [["n1"], ["c1"], ["n2"], ["n3"]]
    assert (cluster.snapshot(), cluster.backups, cluster.leases()) == (before, [], [])

    done = cluster.run(flannel_mtu=1400)
    assert "4 nodes were upgraded in 4 waves" in done, done
    assert cluster.tags() == dict.fromkeys(NODES, AFTER)
    assert cluster.agents.replaced == [], "neither does the controller run ahead, nor does anything restart pods later"
    assert (len(cluster.backups), cluster.unfinished, cluster.leases()) == (1, {}, [])
    assert cluster.snapshot()["strategy"]["type"] == "RollingUpdate"

    again = cluster.run(flannel_mtu=1400)
    assert "Nothing to do: every node runs what is wanted." in again
    assert "changed=0" in again, again


def test_rolled_back_by_hand_from_its_backup_or_refused(cluster: Cluster) -> None:
    before = cluster.snapshot()
    everything = {"upgrade_batch": ["100%"], "flannel_netpol_enabled": True, "flannel_netpol_unenforced": "accept"}
    cluster.run(**everything)
    after = cluster.snapshot()
    assert after["rules"] != before["rules"], "the sidecar needs more rights"
    (backup,) = cluster.backups

    document = backup / "objects" / "configmap" / "kube-flannel" / "kube-flannel-cfg.json"
    text = document.read_text()
    document.write_text(text.replace("vxlan", "host-gw"))
    damaged = "is damaged: objects/configmap/kube-flannel/kube-flannel-cfg.json does not fit its checksum"
    assert damaged in cluster.fails("rollback", upgrade_backup=str(backup))
    listed = (backup / "backup.json").rename(cluster.directory / "list")
    assert "it has no backup.json, which is written last" in cluster.fails("rollback", upgrade_backup=str(backup))
    assert cluster.snapshot() == after, "nothing was changed"

    document.write_text(text)
    listed.rename(backup / "backup.json")
    cluster.hold("kube-flannel-ds")
    assert "in progress, by somebody" in cluster.fails("rollback", upgrade_backup=str(backup))
    assert cluster.snapshot() == after, "rights are not put back either"
    (lease,) = cluster.leases()
    path = "/apis/coordination.k8s.io/v1/namespaces/kube-flannel/leases/"
    cluster.server.api("DELETE", path + lease["metadata"]["name"])
    cluster.run("rollback", upgrade_backup=str(backup), upgrade_batch=["100%"])
    assert cluster.snapshot() == before
    assert cluster.tags() == dict.fromkeys(NODES, BEFORE)


def test_wave_whose_log_is_broken_brings_everything_back(cluster: Cluster) -> None:
    """The cause of many a broken upgrade to flannel 0.26: the pod is ready, and its log says that it is not."""
    before = cluster.snapshot()
    broken = "Failed to check br_netfilter: stat /proc/sys/net/bridge/bridge-nf-call-iptables: no such file\n"
    cluster.agents.behave = lambda node, template: broken if node == "c1" and AFTER in json.dumps(template) else "good"
    said = cluster.fails(upgrade_batch=["100%"], flannel_netpol_enabled=True, flannel_netpol_unenforced="accept")
    assert "c1: the log says: Failed to check br_netfilter" in said, said
    assert "Configuration, pod templates and files were put back" in said, said
    assert cluster.snapshot() == before
    assert cluster.tags() == dict.fromkeys(NODES, BEFORE)
    assert (len(cluster.backups), cluster.unfinished, cluster.leases()) == (1, {}, [])


def test_way_back_that_fails_and_an_end_that_fails_leave_the_backup(cluster: Cluster) -> None:
    before = cluster.snapshot()
    damaged: dict[Path, str] = {}

    def damage(node: str, template: dict[str, Any]) -> str:
        """The pod of the canary is bad, and until that is known somebody writes into the backup."""
        if AFTER not in json.dumps(template):
            return "good"
        for path in (cluster.directory / "upgrades").glob("*/objects/configmap/kube-flannel/*.json"):
            damaged.setdefault(path, path.read_text())
            path.write_text(damaged[path].replace("vxlan", "host-gw"))
        return "Error registering network: no such luck\n"

    cluster.agents.behave = damage
    said = cluster.fails()
    assert "The upgrade failed: " in said, said
    assert "It is not taken back: " in said and "does not fit its checksum" in said, said
    assert "Configuration, pod templates and files were put back" not in said
    (backup,) = cluster.backups
    assert f"run podnet.cni.rollback with upgrade_backup={backup}" in said, said
    for path, text in damaged.items():
        path.write_text(text)
    cluster.agents.behave = lambda _node, _template: "good"
    cluster.expire()
    cluster.run("rollback", upgrade_backup=str(backup), upgrade_batch=["100%"])
    assert (cluster.snapshot(), cluster.tags()) == (before, dict.fromkeys(NODES, BEFORE))

    # What comes after the last wave brings rights back that somebody takes meanwhile; here that is forbidden.
    rights = "/apis/rbac.authorization.k8s.io/v1/clusterroles/flannel"
    webhook = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "frozen"},
        "webhooks": [
            {
                "name": "frozen.example.org",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "timeoutSeconds": 1,
                "clientConfig": {"url": "https://127.0.0.1:9/"},
                "rules": [
                    {
                        "apiGroups": ["rbac.authorization.k8s.io"],
                        "apiVersions": ["v1"],
                        "operations": ["UPDATE"],
                        "resources": ["clusterroles"],
                    }
                ],
            }
        ],
    }
    hooks = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"

    def freeze(node: str, template: dict[str, Any]) -> str:
        if node == "n3" and AFTER in json.dumps(template) and cluster.snapshot()["rules"] == before["rules"]:
            cluster.server.api("PATCH", rights, {"rules": before["rules"][:1]}, MERGE)
            cluster.server.api("POST", hooks, webhook)
        return "good"

    cluster.agents.behave = freeze
    said = cluster.fails(upgrade_batch=["100%"])
    assert "All waves are done, but what comes after them failed: " in said and "frozen.example.org" in said, said
    assert cluster.tags() == dict.fromkeys(NODES, AFTER)
    cluster.server.api("DELETE", f"{hooks}/frozen")
    cluster.agents.behave = lambda _node, _template: "good"
    cluster.expire()
    cluster.run(upgrade_batch=["100%"])
    assert (cluster.snapshot()["rules"], cluster.leases()) == (before["rules"], [])


def test_interrupted_in_wave_two_and_gone_on(cluster: Cluster) -> None:
    wish = {"upgrade_batch": ["100%"]}
    cluster.agents.behave = lambda node, template: (
        "unready" if node == "c1" and AFTER in json.dumps(template) else "good"
    )
    play = cluster.start(**wish)
    cluster.until(lambda: cluster.unfinished.get("done") == 1 and cluster.tags().get("c1") == AFTER)
    play.interrupt()
    assert cluster.tags() == {"n1": AFTER, "c1": AFTER, "n2": BEFORE, "n3": BEFORE}
    assert (cluster.unfinished["done"], len(cluster.leases())) == (1, 1)
    canary = next(pod["metadata"]["uid"] for pod in cluster.agents.pods() if pod["spec"]["nodeName"] == "n1")

    # The Lease keeps a second upgrade out, from wherever it comes; it changes nothing.
    state = cluster.snapshot()
    elsewhere = str(cluster.directory / "elsewhere")
    said = cluster.fails(
        **wish, upgrade_directory=elsewhere, flannel_netpol_enabled=True, flannel_netpol_unenforced="accept"
    )
    assert "another rollout of this DaemonSet is in progress" in said, said
    assert cluster.snapshot() == state
    assert not list((cluster.directory / "elsewhere").glob("*/*")), "nothing to continue with"
    said = cluster.fails(**wish, flannel_image_tag="v0.28.8")
    assert "was interrupted and wanted something else" in said, said

    cluster.agents.behave = lambda _node, _template: "good"
    cluster.restart("c1")
    cluster.expire()
    # From elsewhere it cannot be gone on with: what is there now is no backup of what was there before.
    said = cluster.fails(**wish, upgrade_directory=elsewhere)
    assert f"belongs to {cluster.directory}/upgrades/flannel-" in said, said
    assert "Nothing was changed" in said, said
    assert not list((cluster.directory / "elsewhere").glob("*/backup.json")), "nothing half done is kept"
    assert cluster.snapshot() == state
    cluster.run(**wish)
    assert cluster.tags() == dict.fromkeys(NODES, AFTER)
    assert canary in [pod["metadata"]["uid"] for pod in cluster.agents.pods()], "the canary was not restarted again"
    assert (cluster.unfinished, cluster.leases(), len(cluster.backups)) == ({}, [], 1)


def test_refused_before_the_first_wave_leaves_nothing_behind(cluster: Cluster) -> None:
    """Two DaemonSets, and somebody else has the Lease of the second."""
    before = cluster.snapshot()
    labels = {"app": "other"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "x", "image": "x:1"}]}}
    spec = {"selector": {"matchLabels": labels}, "template": pod}
    other = {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "other"}, "spec": spec}
    cluster.server.api("POST", "/apis/apps/v1/namespaces/kube-flannel/daemonsets", other)
    cluster.hold("other")
    template = {"spec": {"containers": [{"name": "x", "image": "x:2"}]}}
    said = cluster.fails(upgrade_daemonsets=[{"namespace": "kube-flannel", "name": "other", "template": template}])
    assert "The upgrade did not begin: another rollout of this DaemonSet is in progress, by somebody" in said, said
    assert "Nothing was changed" in said, said
    assert [lease["metadata"]["name"] for lease in cluster.leases()] == ["podnet-rollout-other"]
    assert (cluster.snapshot(), cluster.unfinished, cluster.backups) == (before, {}, [])


def test_api_server_restarts_and_the_directory_has_to_be_one(cluster: Cluster) -> None:
    before = cluster.snapshot()
    (cluster.directory / "file").write_text("")
    said = cluster.fails(upgrade_directory=str(cluster.directory / "file" / "upgrades"))
    assert f"{cluster.directory}/file" in said, said
    said = cluster.fails(upgrade_preflight=True)
    assert "podCIDR" in said, said
    assert "set upgrade_preflight to false" in said, said
    assert (cluster.snapshot(), cluster.leases(), cluster.backups) == (before, [], []), "the nodes have no podCIDR"

    cluster.agents.behave = lambda node, template: (
        "unready" if node == "c1" and AFTER in json.dumps(template) else "good"
    )
    play = cluster.start(upgrade_batch=["100%"])
    cluster.until(lambda: cluster.tags().get("c1") == AFTER)
    cluster.server.stop_apiserver(kill=True)
    cluster.agents.behave = lambda _node, _template: "good"
    cluster.server.start_apiserver()
    cluster.restart("c1")
    assert play.end() == 0, play.output()
    assert cluster.tags() == dict.fromkeys(NODES, AFTER)
