# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pods of a cluster's network: whether each runs, has programmed its node, and gives out its log.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._discovery import objects
from ansible_collections.podnet.cni.plugins.module_utils._discovery.recognisers import flannel
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import NotFound
from ansible_collections.podnet.cni.plugins.module_utils._network_policy_sidecar import objects as sidecar
from ansible_collections.podnet.cni.plugins.module_utils._preflight.sources import PLUGINS
from ansible_collections.podnet.cni.plugins.module_utils._rollout import gates, logs
from ansible_collections.podnet.cni.plugins.module_utils._rollout.cluster import Daemons, LogUnreadable

NOT_PROGRAMMED = gates.NODE
"""The cause of a pod that is ready and has not written its Node since it started."""
LOGS = 50
"""Of so many pods the log is asked for, one request each."""
LINES = 3
KINDS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "canal": (
        "crd.projectcalico.org",
        (
            "bgpconfigurations",
            "clusterinformations",
            "felixconfigurations",
            "globalnetworkpolicies",
            "globalnetworksets",
            "hostendpoints",
            "ippools",
            "networkpolicies",
            "networksets",
        ),
    ),
}
"""What the network of a plugin watches: API group and plural names. Felix stays not ready while one is not served.

Source: calico v3.32 libcalico-go/lib/backend/syncersv1/felixsyncer/felixsyncerv1.go.
"""


def primary(components: Any) -> list[Mapping[str, Any]]:
    """Return the components of discovery that carry the pods and are of this collection's plugins."""
    return [
        each for each in fields.mappings(components) if each.get("role") == "primary" and each.get("plugin") in PLUGINS
    ]


def read(client: KubeClient, components: Any, prefix: str) -> list[dict[str, Any]]:
    """Return what there is to say of the network's pod on each Linux node. Raises KubeError.

    C(state) and C(cause) are those of a rollout's gates, C(log) the lines that tell most of a pod that is not well,
    C(log_problem) why the log is not given out, and C(log_refused) whether a right is missing. C(prefix) is that of
    flannel's annotations, with its slash.
    """
    found: list[dict[str, Any]] = []
    for component in primary(components):
        for workload in fields.mappings(component, "workloads"):
            daemons = Daemons(client, str(workload.get("namespace")), str(workload.get("name")))
            found += _of(daemons, prefix.rstrip("/"), LOGS - len(found))
    return found


def _of(daemons: Daemons, prefix: str, asked: int) -> list[dict[str, Any]]:
    daemonset = daemons.get()
    pods, nodes = daemons.pods(daemonset), daemons.nodes()
    desired = fields.number(daemonset, "status", "desiredNumberScheduled")
    found = []
    for name, node in sorted(nodes.items()):
        pod = pods.get(name)
        if pod is None:
            if len(pods) < desired and objects.labels(node).get("kubernetes.io/os", "linux") == "linux":
                found.append(_entry(daemons, name, gates.judge_pod(name, None, "")))
            continue
        container = next((each for each in objects.containers(daemonset) if flannel.is_flanneld(each)), {})
        entry = _entry(daemons, name, _verdict(name, node, pod, container, prefix))
        entry["pod"] = objects.name(pod)
        if len(found) < asked:
            _add_log(daemons, pod, str(container.get("name") or ""), entry)
        found.append(entry)
    return found


def _verdict(
    name: str, node: Mapping[str, Any], pod: Mapping[str, Any], container: Mapping[str, Any], prefix: str
) -> gates.Verdict:
    """How a pod is, whatever template it is of, and then whether it wrote its Node."""
    verdict = gates.judge_pod(name, pod, fields.at(pod, "metadata", "labels", gates.HASH))
    # With this flag nothing of a Node tells that the daemon came so far.
    silent = objects.flag(objects.arguments(container), "set-node-network-unavailable") == "false"
    if verdict.state == gates.OK and not silent:
        verdict = gates.judge_node(node, pod, str(container.get("name") or ""), prefix)
    return verdict


def _entry(daemons: Daemons, name: str, verdict: gates.Verdict) -> dict[str, Any]:
    return {
        "node": name,
        "daemonset": f"{daemons.namespace}/{daemons.name}",
        "namespace": daemons.namespace,
        "pod": "",
        "state": verdict.state,
        "cause": verdict.cause,
        "reason": verdict.reason,
        "log": [],
        "log_problem": "",
        "log_refused": False,
    }


def _add_log(daemons: Daemons, pod: Mapping[str, Any], container: str, entry: dict[str, Any]) -> None:
    try:
        text = daemons.log(pod, container, tail=0 if entry["state"] != gates.OK else 1)
    except LogUnreadable as error:
        entry["log_problem"], entry["log_refused"] = str(error), error.refused
        return
    if entry["state"] != gates.OK:
        broken = logs.broken_line(text, logs.BROKEN)
        entry["log"] = [broken] if broken else [line.rstrip() for line in text.splitlines()[-LINES:]]


def kinds(client: KubeClient, components: Any) -> dict[str, dict[str, list[str]]]:
    """Return by API group which kinds the network needs, and which of them are not served. Raises KubeError."""
    found = {}
    for component in primary(components):
        if component["plugin"] in KINDS:
            group, wanted = KINDS[component["plugin"]]
            served = _served(client, group)
            found[group] = {"needed": list(wanted), "missing": [each for each in wanted if each not in served]}
    return found


def sidecar_rights(client: KubeClient, components: Any) -> dict[str, Any]:
    """Return the account of the pods that have the policy sidecar, and which of its rights are missing.

    Empty without a sidecar. Asks with SubjectAccessReviews, which the API server answers and does not keep. Raises
    KubeError.
    """
    for component in primary(components):
        for workload in fields.mappings(component, "workloads"):
            names = {fields.text(each, "name") for each in fields.mappings(workload, "containers")}
            if fields.at(component, "policy", "provider") != sidecar.CONTAINER or sidecar.CONTAINER not in names:
                continue
            namespace, name = fields.text(workload, "namespace"), fields.text(workload, "name")
            daemonset = Daemons(client, namespace, name).get()
            account = fields.text(daemonset, "spec", "template", "spec", "serviceAccountName") or "default"
            missing = [
                f"{verb} {resource}"
                for rule in sidecar.RULES
                for resource in rule["resources"]
                for verb in rule["verbs"]
                if not _may(client, (namespace, account), rule["apiGroups"][0], resource, verb)
            ]
            return {"account": f"{namespace}/{account}", "missing": missing}
    return {}


def _may(client: KubeClient, account: tuple[str, str], group: str, resource: str, verb: str) -> bool:
    namespace, name = account
    spec = {
        "user": f"system:serviceaccount:{namespace}:{name}",
        "groups": ["system:authenticated", "system:serviceaccounts", f"system:serviceaccounts:{namespace}"],
        "resourceAttributes": {"group": group, "resource": resource, "verb": verb},
    }
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
    answer = client.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", body)
    return fields.at(answer, "status", "allowed") is True


def _served(client: KubeClient, group: str) -> set[str]:
    try:
        versions = fields.mappings(client.get(f"/apis/{group}"), "versions")
    except NotFound:
        return set()
    return {
        fields.text(each, "name")
        for version in versions
        for each in fields.mappings(client.get(f"/apis/{version.get('groupVersion')}"), "resources")
    }
