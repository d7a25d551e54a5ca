# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module flannel_adopt: reads what a cluster has, lets adoption decide, and removes what is in the way.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, Callable, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._adoption import bound
from ansible_collections.podnet.cni.plugins.module_utils._adoption.decision import Decision
from ansible_collections.podnet.cni.plugins.module_utils._adoption.flannel import adoption, architectures, takeover
from ansible_collections.podnet.cni.plugins.module_utils._adoption.room import Room, config_map_path, daemonset_path
from ansible_collections.podnet.cni.plugins.module_utils._discovery import cluster, flannel_nodes, recognisers
from ansible_collections.podnet.cni.plugins.module_utils._discovery.recognisers import flannel
from ansible_collections.podnet.cni.plugins.module_utils._discovery.record import to_dict
from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError, InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import network_config
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields, objects, selectors
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import Forbidden, NotFound
from ansible_collections.podnet.cni.plugins.module_utils._network_policy_sidecar import enforcement, plan, versions
from ansible_collections.podnet.cni.plugins.module_utils._network_policy_sidecar import run as sidecar
from ansible_collections.podnet.cni.plugins.module_utils._rollout import lock

_SOME_NODES = 50


def run(
    client: KubeClient, params: Mapping[str, Any], check_mode: bool, sleep: Callable[[float], None] = time.sleep
) -> dict[str, Any]:
    """The result of the module. Raises ConflictError for a cluster that is to be left alone, InputError, KubeError."""
    network_config.parse(params["network_config"], check_ranges=False)
    wanted = adoption.Wanted(
        place=adoption.new_place(params["namespace"]),
        network_config=params["network_config"],
        method=params["install_method"],
        policy=params["adopt"],
        allow_network_change=params["allow_network_change"],
        allow_unknown_network=params["allow_unknown_network"],
        network_policy=params["network_policy"],
        objects=params["wanted"],
        adopt_values=params["adopt_values"],
        adopt_drop=params["adopt_drop"],
    )
    found = observe(client, params["namespace"])
    answers: list[enforcement.Answer] = []
    doubt = ""
    taken = takeover.Takeover()
    if params["purpose"] == "remove":
        allowed = params["allow_foreign"]
        decision = _with_rights(
            client,
            found,
            adoption.decide_removal(wanted, found, objects.FIELD_MANAGER, allow_foreign=allowed),
        )
    else:
        _refuse_windows(client, wanted)
        decision, taken = adoption.take_over(wanted, found, objects.FIELD_MANAGER)
        answers, doubt = _enforcement(client, params, found, decision)
    for item in found.daemonsets if params["rollout"] != "ignore" else ():
        lock.check(
            client, item["metadata"]["namespace"], item["metadata"]["name"], goes_on=params["rollout"] == "resume"
        )
    actions: list[str] = []
    diff: dict[str, Any] = {}
    if params["prepare"]:
        make_room = Room(client, params["wait_timeout"], check_mode, sleep)
        actions, diff = make_room(found, decision), make_room.diff(found, decision)
        for side, shown in taken.shown().items():
            diff[side].update(shown)
    return {
        "changed": bool(actions),
        "actions": actions,
        "diff": diff,
        "warnings": [*decision.warnings, *([doubt] if doubt else [])],
        "enforcement": [each.to_dict() for each in answers],
        "prove_enforcement": decision.sidecar_added,
        "rules": _rules(client),
        "takeover": taken.entries(),
        "adopted": taken.adopted,
        **adoption.to_dict(decision),
    }


def _enforcement(
    client: KubeClient, params: Mapping[str, Any], found: adoption.FlannelFound, decision: Decision
) -> tuple[list[enforcement.Answer], str]:
    """What is known of the nodes that get the policy sidecar, and a warning about those that cannot enforce.

    Raises ConflictError for the latter while the sidecar is not there yet, unless that is accepted; InputError for an
    image flavour that the role does not set up or whose kinds the server does not have.
    """
    if not decision.network_policy:
        return [], ""
    tag = params["network_policy_version"]
    if params["install_method"] == "helm" and versions.flavour(tag).name == "npa-v1alpha2":
        raise InputError(
            f"flannel's chart gives the policy sidecar no right to read ClusterNetworkPolicies, which {tag} waits for. "
            "Use flannel_install_method manifest, or another flannel_netpol_image_tag."
        )
    sidecar.check_served(client, tag)
    names = enforcement.nodes(client, next(iter(found.daemonsets), None))
    answers = enforcement.judge(names, params["network_policy_nodes"])
    doubt = enforcement.problems(answers)
    if doubt and decision.sidecar_added and params["network_policy_unenforced"] == enforcement.REFUSE:
        raise ConflictError(
            f"The policy sidecar is not switched on. {doubt} Give flannel_netpol_hosts the inventory's names of the "
            "cluster's nodes, so that they are asked, or set flannel_netpol_unenforced to accept."
        )
    return answers, f"{doubt} Policies are not enforced where a node cannot, whatever its pods say." if doubt else ""


def _policies(client: KubeClient) -> list[str] | None:
    """Namespace of each NetworkPolicy, None where they may not be listed."""
    try:
        items = client.list("/apis/networking.k8s.io/v1/networkpolicies", {}, metadata_only=True).items
    except Forbidden:
        return None
    return [str(item["metadata"]["namespace"]) for item in items]


def _with_rights(client: KubeClient, found: adoption.FlannelFound, decision: Decision) -> Decision:
    """The decision to remove flannel, with the rights of its account under whatever names they have."""
    owners = bound.accounts(found.daemonsets)
    if not owners:
        return decision
    try:
        cluster_bindings = client.list(f"/apis/{bound.RBAC}/clusterrolebindings").items
        role_bindings = client.list(f"/apis/{bound.RBAC}/rolebindings").items
    except Forbidden as error:
        warning = f"ClusterRoles and bindings that are not called flannel stay: they may not be listed ({error})."
        return replace(decision, warnings=[*decision.warnings, warning])
    extra, warnings = bound.removable(cluster_bindings, role_bindings, owners)
    # Those called flannel are among the role's own objects.
    extra = [each for each in extra if each["metadata"]["name"] != "flannel"]
    return replace(decision, leftovers=[*decision.leftovers, *extra], warnings=[*decision.warnings, *warnings])


def _rules(client: KubeClient) -> list[Any]:
    """What flannel's pods may do now, as far as that can be read."""
    role = _readable(client, "/apis/rbac.authorization.k8s.io/v1/clusterroles/flannel") or {}
    return list(role.get("rules") or [])


def observe(client: KubeClient, namespace: str) -> adoption.FlannelFound:
    """What the cluster has, read without the API server's cache, because decisions to write depend on it.

    C(namespace) is that of a new installation.
    """
    records = cluster.discover(client, cluster.Scope(mode="full"), recognisers.load_all())
    daemonsets, config_map = [], None
    flannels = [record for record in records if record.plugin == "flannel"]
    for record in flannels:
        for workload in record.workloads:
            item = objects.find(client, daemonset_path(workload.namespace, workload.name))
            daemonsets += [item] if item else []
        for ref in record.config_refs:
            if config_map is None and ref.kind == "ConfigMap" and ref.found:
                config_map = objects.find(client, config_map_path(str(ref.namespace), ref.name))
    lost = all(map(architectures.of_windows, daemonsets))
    return adoption.FlannelFound(
        [to_dict(record) for record in records],
        daemonsets,
        config_map,
        remains=_remains(client, namespace) if lost or any(map(architectures.of_some, daemonsets)) else None,
        announced=_announced(client) if lost and flannels else (),
        all_seen=_sees_all(client),
        policies=_policies(client) if any(map(plan.has_sidecar, daemonsets)) else None,
    )


def _sees_all(client: KubeClient) -> bool:
    try:
        client.get("/apis/apps/v1/daemonsets", {"limit": 1})
    except Forbidden:
        return False
    return True


def _announced(client: KubeClient) -> tuple[str, ...]:
    """The backends that flanneld has written to its Nodes; a page of them tells enough."""
    nodes = client.get("/api/v1/nodes", {"limit": _SOME_NODES}).get("items") or []
    notes = [
        (node["metadata"].get("annotations") or {}) for node in flannel_nodes.annotated(nodes, flannel_nodes.PREFIX)
    ]
    return tuple(sorted({str(each.get(f"{flannel_nodes.PREFIX}backend-type") or "") for each in notes}))


def _remains(client: KubeClient, new_namespace: str) -> adoption.Remains | None:
    """What is left of a flannel whose DaemonSet is gone: a run that deleted it and did not get to making the new one.

    Pods that stay for a new DaemonSet carry the label that it selects by. Without pods the binding tells where the
    objects went, if flannel's ConfigMap is there too.
    """
    pods = _ownerless(client)
    binding = _readable(client, "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/flannel") or {}
    subject: Mapping[str, Any] = next(iter(binding.get("subjects") or []), {})
    namespace, account = str(subject.get("namespace") or ""), str(subject.get("name") or "")
    if pods:
        inside = [pod for pod in pods if pod["metadata"]["namespace"] == new_namespace]
        first = (inside or pods)[0]
        namespace = str(first["metadata"]["namespace"])
        account = str(fields.at(first, "spec", "serviceAccountName") or account)
    config_map = _left_config_map(client, namespace) if namespace else None
    return adoption.Remains(namespace, account, config_map, pods) if pods or config_map else None


def _ownerless(client: KubeClient) -> list[dict[str, Any]]:
    """The pods that run flanneld and belong to nothing, the oldest first."""
    label = str(selectors.parse(adoption.SELECTOR, "selector"))
    try:
        pods = client.list("/api/v1/pods", {"labelSelector": label}).items
    except Forbidden:
        return []
    found = [
        pod
        for pod in pods
        if not pod["metadata"].get("ownerReferences")
        and not pod["metadata"].get("deletionTimestamp")
        and fields.at(pod, "status", "phase") not in ("Succeeded", "Failed")
        and any(flannel.is_flanneld(container) for container in pod["spec"].get("containers") or [])
    ]
    return sorted(found, key=lambda pod: str(pod["metadata"].get("creationTimestamp")))


def _left_config_map(client: KubeClient, namespace: str) -> dict[str, Any] | None:
    try:
        found = client.list(f"/api/v1/namespaces/{namespace}/configmaps", {"labelSelector": "app=flannel"}).items
    except (Forbidden, NotFound):
        return None
    return next((item for item in found if "net-conf.json" in (item.get("data") or {})), None)


def _readable(client: KubeClient, path: str) -> dict[str, Any] | None:
    """An object, None when it is not there or may not be read."""
    try:
        return objects.find(client, path)
    except Forbidden:
        return None


def _refuse_windows(client: KubeClient, wanted: adoption.Wanted) -> None:
    page = client.get("/api/v1/nodes", {"labelSelector": "kubernetes.io/os=windows", "limit": 1})
    if not page.get("items"):
        return
    config = network_config.parse(wanted.network_config, check_ranges=False)
    problems = network_config.mixed_cluster_problems(config)
    if problems:
        name = page["items"][0]["metadata"]["name"]
        raise ConflictError(f"Node {name} runs Windows, which cannot share this network. " + " ".join(problems))
