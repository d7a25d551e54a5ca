# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read what a plan needs from a cluster. Private to podnet.cni: may change in any release.

One request for all Nodes; for each DaemonSet a handful more. Nothing is written, apart from dry runs.
"""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._kube import fields, pods
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._rollout import gates
from ansible_collections.podnet.cni.plugins.module_utils._rollout.cluster import Daemons


def observe(client: KubeClient, rollouts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What plan() takes as C(observed). Raises InputError for a DaemonSet or ConfigMap that is not there, KubeError."""
    version = str(client.get("/version").get("gitVersion") or "")
    return {
        "kubernetes": version,
        "nodes": {
            str(item["metadata"]["name"]): {
                "labels": item["metadata"].get("labels") or {},
                "ready": not pods.node_problem(item),
            }
            for item in client.list("/api/v1/nodes").items
        },
        "daemonsets": [_daemonset(client, rollout) for rollout in rollouts],
    }


def _daemonset(client: KubeClient, rollout: Mapping[str, Any]) -> dict[str, Any]:
    daemons = Daemons(client, rollout["namespace"], rollout["name"])
    live = daemons.get()
    config: Mapping[str, Any] = {}
    if rollout["config_map"]:
        config = daemons.config_map(rollout["config_map"]).get("data") or {}
    params = {**rollout, "template": rollout["template"] or {}}
    differs = any(config.get(key) != value for key, value in rollout["config_data"].items())
    after, _restart = daemons.try_template(params, live, differs)
    revisions = daemons.revisions(live)
    newest = revisions[0]["metadata"]["labels"].get(gates.HASH, "") if revisions else ""
    running = daemons.pods(live)
    place = f"{rollout['namespace']}/{rollout['name']}"
    return {
        "place": place,
        "os": rollout["os"],
        "before": live["spec"]["template"],
        "after": after["spec"]["template"],
        "config": config,
        "config_after": rollout["config_data"],
        "running": sorted(running),
        "outdated": sorted(
            name for name, pod in running.items() if fields.at(pod["metadata"], "labels", gates.HASH) != newest
        ),
        "kept": [
            f"DaemonSet {place}",
            *([f"ConfigMap {rollout['namespace']}/{rollout['config_map']}"] if rollout["config_map"] else []),
            f"the account of {place} and its rights",
        ],
    }
