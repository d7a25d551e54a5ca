# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find flannel's DaemonSets, plan the sidecar for all of them, then write.

The order of the writes: RBAC before the container that needs it; on removal the container first.
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._discovery import cluster, recognisers
from ansible_collections.podnet.cni.plugins.module_utils._discovery.recognisers import flannel
from ansible_collections.podnet.cni.plugins.module_utils._discovery.record import Record
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient, update_with_retry
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import KubeError, NotFound
from ansible_collections.podnet.cni.plugins.module_utils._kube.selectors import from_labels
from ansible_collections.podnet.cni.plugins.module_utils._network_policy_sidecar import (
    enforcement,
    objects,
    plan,
    versions,
)
from ansible_collections.podnet.cni.plugins.module_utils._rollout import lock

ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
BINDINGS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"


@dataclass
class Change:
    """One object: where it is, what is done (create, update, delete) and how it is before and after."""

    title: str
    path: str
    action: str
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.action} {self.title}"


def reconcile(client: KubeClient, params: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """The module's result. Everything is planned, and tried by the server, before the first write.

    Raises InputError, ConflictError (also for a DaemonSet that a rollout is at) and KubeError. When a write fails, the
    message says which ones went before.
    """
    present = params["state"] == "present"
    if present:
        objects.arguments(params)
        plan.check_resources(params["resources"])
    found = _daemonsets(client, params)
    for item in found:
        lock.check(client, item["metadata"]["namespace"], item["metadata"]["name"])
    changes: list[Change] = []
    warnings = versions.warnings(params["version"]) if present else []
    answers: list[enforcement.Answer] = []
    if present:
        check_served(client, params["version"])
        answers, doubt = _enforcement(client, found, params)
        warnings += [doubt] if doubt else []
    for item in found:
        if present:
            changes += _plan_present(client, item, params)
        else:
            changes += _plan_absent(client, item)
            if plan.has_foreign_sidecar(item):
                warnings.append(
                    f"{plan.name_of(item)} has a container {objects.CONTAINER} that this module did not add; it stays."
                )
    if not present:
        changes += _orphans(client, params, found, changes)
    if not check_mode:
        _try(client, changes)
        _write(client, changes, params, present)
    return {
        "changed": bool(changes),
        "actions": [str(change) for change in changes],
        "daemonsets": [
            {"namespace": item["metadata"]["namespace"], "name": item["metadata"]["name"]} for item in found
        ],
        "enforcement": [each.to_dict() for each in answers],
        "diff": [
            {
                "before_header": change.title,
                "after_header": change.title,
                "before": _shown(change.before),
                "after": _shown(change.after),
            }
            for change in changes
        ],
        "warnings": warnings,
    }


def check_served(client: KubeClient, tag: str) -> None:
    """Raise InputError when an image flavour waits for kinds that the server does not have, without enforcing any."""
    flavour = versions.flavour(tag)
    if not flavour.kinds:
        return
    try:
        listed = client.get(f"/apis/{flavour.group_version}").get("resources") or []
    except NotFound:
        listed = []
    absent = sorted(set(flavour.kinds) - {str(each.get("name")) for each in listed})
    if absent:
        raise InputError(
            f"kube-network-policies {tag} waits for the kinds {', '.join(absent)} of {flavour.group_version}, which "
            "this API server does not serve, and enforces nothing until then. Install the definitions of "
            f"network-policy-api first, or use {tag.split('-', 1)[0]}."
        )


def _enforcement(
    client: KubeClient, found: Sequence[Mapping[str, Any]], params: Mapping[str, Any]
) -> tuple[list[enforcement.Answer], str]:
    """What is known of the nodes, and what speaks against them, for a warning.

    Raises InputError for the latter before the sidecar is switched on, unless that is accepted.
    """
    names = sorted({name for item in found for name in enforcement.nodes(client, item)})
    answers = enforcement.judge(names, params["nodes"])
    doubt = enforcement.problems(answers)
    missing = [plan.name_of(item) for item in found if not plan.has_sidecar(item)]
    if doubt and missing and params["unenforced"] == enforcement.REFUSE:
        raise InputError(
            f"The sidecar is not added to {', '.join(missing)}. {doubt} Run podnet.cni.network_policy_host_info on "
            "every node and give the results as nodes, or set unenforced to accept."
        )
    return answers, f"{doubt} Policies are not enforced where a node cannot, whatever its pods say." if doubt else ""


def _path(namespace: str, name: str) -> str:
    return f"/apis/apps/v1/namespaces/{namespace}/daemonsets/{name}"


def _daemonsets(client: KubeClient, params: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The DaemonSets to treat: the named one, or those of the one flannel of the cluster."""
    present = params["state"] == "present"
    if params["name"]:
        path = _path(params["namespace"], params["name"])
        item = _find(client, path)
        if item is None and present:
            raise InputError(
                f"there is no DaemonSet {params['namespace']}/{params['name']}: correct namespace and name, or leave "
                "both out and let flannel be found."
            )
        if item is not None and flannel.match(item) == 0:
            raise InputError(f"{plan.name_of(item)} is not flannel: none of its containers runs flanneld.")
        return [] if item is None else [item]
    records = [
        record
        for record in cluster.discover(client, cluster.Scope(sought="flannel"), recognisers.load_all())
        if not params["namespace"] or record.namespace == params["namespace"] or record.plugin != "flannel"
    ]
    wanted = targets(records, present, params["namespace"])
    return [client.get(_path(*each)) for each in wanted]


def targets(records: Sequence[Record], present: bool, namespace: str) -> list[tuple[str, str]]:
    """Namespace and name of the DaemonSets of the one flannel there is. Raises InputError."""
    unknown = [record for record in records if record.plugin != "flannel"]
    if unknown:
        raise InputError(f"{' '.join(unknown[0].warnings)} Give namespace and name of flannel's DaemonSet.")
    running = [record for record in records if record.workloads]
    if len(running) > 1 and present:
        names = ", ".join(f"{record.namespace}/{record.workloads[0].name}" for record in running)
        raise InputError(f"flannel is installed more than once ({names}): give namespace and name of the one you mean.")
    if not running and present:
        where = f" in namespace {namespace}" if namespace else ""
        if any(record.install_method == "embedded" for record in records):
            raise InputError(
                "flannel runs inside the distribution's own process here, which has no DaemonSet for a sidecar. "
                "k3s enforces NetworkPolicy by itself."
            )
        raise InputError(f"there is no flannel DaemonSet{where}: install flannel first, or give namespace and name.")
    return [(each.namespace, each.name) for record in running for each in record.workloads]


def _plan_present(client: KubeClient, item: Mapping[str, Any], params: Mapping[str, Any]) -> list[Change]:
    namespace, name = item["metadata"]["namespace"], item["metadata"]["name"]
    after = plan.wanted_daemonset(item, objects.container(params), objects.volumes(params), params["adopt"])
    role = objects.cluster_role(namespace, name, params["version"])
    binding = objects.cluster_role_binding(namespace, name, plan.service_account(item))
    changes = []
    for collection, wanted in ((ROLES, role), (BINDINGS, binding)):
        path = f"{collection}/{wanted['metadata']['name']}"
        live = _find(client, path)
        body = plan.wanted_rbac(live, wanted)
        title = f"{wanted['kind']} {wanted['metadata']['name']}"
        if live is None:
            changes.append(Change(title, collection, "create", {}, wanted, wanted))
        elif body is not None:
            changes.append(Change(title, path, "update", live, {**live, **body}, body))
    body = plan.patch(item, after)
    if body is not None:
        changes.append(Change(plan.name_of(item), _path(namespace, name), "update", item, after, body))
    return changes


def _plan_absent(client: KubeClient, item: Mapping[str, Any]) -> list[Change]:
    namespace, name = item["metadata"]["namespace"], item["metadata"]["name"]
    after = plan.restored(item)
    body = plan.patch(item, after)
    changes = []
    if body is not None:
        changes.append(Change(plan.name_of(item), _path(namespace, name), "update", item, after, body))
    return changes + _plan_rbac_absent(client, objects.rbac_name(namespace, name))


def _plan_rbac_absent(client: KubeClient, name: str) -> list[Change]:
    changes = []
    for collection in (BINDINGS, ROLES):
        path = f"{collection}/{name}"
        live = _find(client, path)
        if live is not None:
            plan.check_ours(live)
            changes.append(Change(f"{live['kind']} {name}", path, "delete", live))
    return changes


def _orphans(
    client: KubeClient, params: Mapping[str, Any], found: Sequence[Mapping[str, Any]], planned: Sequence[Change]
) -> list[Change]:
    """RBAC objects of ours whose DaemonSet is gone: of the named one, else of any."""
    if params["name"]:
        return [] if found else _plan_rbac_absent(client, objects.rbac_name(params["namespace"], params["name"]))
    known = {change.path for change in planned}
    selector = str(from_labels(objects.LABELS))
    start = objects.rbac_name(params["namespace"], "") if params["namespace"] else ""
    changes = []
    for collection, kind in ((BINDINGS, "ClusterRoleBinding"), (ROLES, "ClusterRole")):
        for item in client.list(collection, {"labelSelector": selector}).items:
            name = item["metadata"]["name"]
            path = f"{collection}/{name}"
            if path not in known and name.startswith(start):
                changes.append(Change(f"{kind} {name}", path, "delete", item))
    return changes


def _try(client: KubeClient, changes: Sequence[Change]) -> None:
    """Let the server try each write without doing it, so that a refusal leaves everything as it is.

    A binding cannot be tried before its role exists.
    """
    new_roles = {change.after["metadata"]["name"] for change in changes if change.action == "create"}
    for change in changes:
        if change.action == "update":
            client.patch(change.path, dict(change.body), "merge", dry_run=True)
        elif change.action == "create" and (change.path == ROLES or change.after["metadata"]["name"] not in new_roles):
            client.request("POST", change.path, query={"dryRun": "All"}, body=change.body)
        elif change.action == "delete":
            client.request("DELETE", change.path, query={"dryRun": "All"})


def _write(client: KubeClient, changes: Sequence[Change], params: Mapping[str, Any], present: bool) -> None:
    done: list[str] = []
    for change in changes:
        try:
            _write_one(client, change, params, present)
        except KubeError as error:
            before = f"Done before that: {', '.join(done)}." if done else "Nothing was changed before that."
            text = f"{change} failed: {error} {before} Running the task again finishes the work."
            raise type(error)(text, status=error.status, reason=error.reason, path=error.path) from None
        done.append(str(change))


def _write_one(client: KubeClient, change: Change, params: Mapping[str, Any], present: bool) -> None:
    if change.action == "create":
        client.create(change.path, change.body)
    elif change.action == "delete":
        try:
            client.delete(change.path)
        except NotFound:
            return
    elif change.path.startswith((ROLES, BINDINGS)):
        client.patch(change.path, dict(change.body), "merge")
    else:
        # Containers are one list to a merge patch: what others changed since the plan must not get lost.
        def again(live: dict[str, Any]) -> dict[str, Any] | None:
            if not present:
                return plan.patch(live, plan.restored(live))
            container, volumes = objects.container(params), objects.volumes(params)
            return plan.patch(live, plan.wanted_daemonset(live, container, volumes, params["adopt"]))

        update_with_retry(client, change.path, again)


def _find(client: KubeClient, path: str) -> dict[str, Any] | None:
    try:
        return client.get(path)
    except NotFound:
        return None


def _shown(item: Mapping[str, Any]) -> dict[str, Any]:
    """An object without what the server adds."""
    if not item:
        return {}
    shown = {key: value for key, value in item.items() if key in ("rules", "roleRef", "subjects", "spec")}
    annotations = fields.mapping(item, "metadata", "annotations")
    if plan.RESTORE in annotations:
        shown["restore"] = annotations[plan.RESTORE]
    return shown
