# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rights that go with a network: by what is bound to its account."""

from __future__ import annotations

from typing import Any

from ansible_collections.podnet.cni.plugins.module_utils._adoption import bound

OWNERS = {("net", "prod-flannel")}
ACCOUNT = {"kind": "ServiceAccount", "namespace": "net", "name": "prod-flannel"}
OTHER = {"kind": "ServiceAccount", "namespace": "net", "name": "other"}


def binding(name: str, role: str, *subjects: dict[str, str], kind: str = "ClusterRole") -> dict[str, Any]:
    return {"metadata": {"name": name}, "roleRef": {"kind": kind, "name": role}, "subjects": list(subjects)}


def names(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(each["kind"], each["metadata"]["name"]) for each in found]


def test_accounts_are_those_of_the_pods() -> None:
    daemonset = {"metadata": {"namespace": "net", "name": "x"}, "spec": {"template": {"spec": {}}}}
    assert bound.accounts([daemonset]) == set(), "the account called default is everybody's"
    daemonset["spec"]["template"]["spec"]["serviceAccountName"] = "prod-flannel"
    assert bound.accounts([daemonset]) == OWNERS


def test_a_renamed_installation_leaves_nothing() -> None:
    found, warnings = bound.removable([binding("prod-b", "prod-r", ACCOUNT), binding("x", "y", OTHER)], [], OWNERS)
    assert names(found) == [("ClusterRoleBinding", "prod-b"), ("ClusterRole", "prod-r")]
    assert warnings == []


def test_what_others_have_too_stays() -> None:
    found, warnings = bound.removable([binding("shared", "r", ACCOUNT, OTHER)], [], OWNERS)
    assert found == []
    assert "ClusterRoleBinding shared stays" in warnings[0]


def test_a_role_that_is_bound_elsewhere_stays() -> None:
    ours = binding("ours", "r", ACCOUNT)
    for more in ([binding("theirs", "r", OTHER)], []):
        local = [] if more else [binding("local", "r", OTHER)]
        found, _warnings = bound.removable([ours, *more], local, OWNERS)
        assert names(found) == [("ClusterRoleBinding", "ours")]


def test_kubernetes_own_roles_stay() -> None:
    for role in ("cluster-admin", "system:node", "view"):
        found, _warnings = bound.removable([binding("ours", role, ACCOUNT)], [], OWNERS)
        assert names(found) == [("ClusterRoleBinding", "ours")]


def test_users_and_groups_are_no_accounts() -> None:
    user = {"kind": "User", "namespace": "net", "name": "prod-flannel"}
    assert bound.removable([binding("b", "r", user)], [], OWNERS) == ([], [])
