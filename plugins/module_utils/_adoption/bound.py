# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rights of a network's pods, found by what is bound to their account and not by name. Pure.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Any, Iterable, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._kube import fields

RBAC = "rbac.authorization.k8s.io/v1"
_KUBERNETES_ROLES = ("cluster-admin", "admin", "edit", "view")


def accounts(daemonsets: Iterable[Mapping[str, Any]]) -> set[tuple[str, str]]:
    """Namespace and name of the accounts that the pods run under; one that a namespace has by itself is left out."""
    found = set()
    for item in daemonsets:
        pod = fields.mapping(item, "spec", "template", "spec")
        name = str(pod.get("serviceAccountName") or "default")
        if name != "default":
            found.add((str(item["metadata"]["namespace"]), name))
    return found


def removable(
    cluster_bindings: Sequence[Mapping[str, Any]],
    role_bindings: Sequence[Mapping[str, Any]],
    owners: set[tuple[str, str]],
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the ClusterRoleBindings and ClusterRoles that nobody but C(owners) has, and warnings for what stays.

    A role stays that another binding refers to, or that is Kubernetes' own.
    """
    gone: list[Mapping[str, Any]] = []
    warnings = []
    for binding in cluster_bindings:
        subjects = binding.get("subjects") or []
        ours = [each for each in subjects if _account(each) in owners]
        if ours and len(ours) == len(subjects):
            gone.append(binding)
        elif ours:
            name = binding["metadata"]["name"]
            warnings.append(f"ClusterRoleBinding {name} stays: it is bound to others too. Take the account out of it.")
    names = {str(each["metadata"]["name"]) for each in gone}
    others = [each for each in cluster_bindings if str(each["metadata"]["name"]) not in names]
    needed = {_role(each) for each in (*others, *role_bindings)}
    roles = {_role(each) for each in gone}
    lost = [
        name
        for kind, name in sorted(roles - needed)
        if kind == "ClusterRole" and not name.startswith("system:") and name not in _KUBERNETES_ROLES
    ]
    made = [_identity("ClusterRoleBinding", name) for name in sorted(names)]
    return made + [_identity("ClusterRole", name) for name in lost], warnings


def _account(subject: Mapping[str, Any]) -> tuple[str, str] | None:
    if subject.get("kind") != "ServiceAccount":
        return None
    return str(subject.get("namespace")), str(subject.get("name"))


def _role(binding: Mapping[str, Any]) -> tuple[str, str]:
    reference = binding.get("roleRef") or {}
    return str(reference.get("kind")), str(reference.get("name"))


def _identity(kind: str, name: str) -> dict[str, Any]:
    return {"apiVersion": RBAC, "kind": kind, "metadata": {"name": name}}
