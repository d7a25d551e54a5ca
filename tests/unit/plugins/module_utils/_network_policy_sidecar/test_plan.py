# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan for a DaemonSet: add, change, take over, and give back exactly."""

from __future__ import annotations

import copy
import json
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError, InputError
from ansible_collections.podnet.cni.plugins.module_utils._network_policy_sidecar import objects, plan

CONTAINER = {"name": objects.CONTAINER, "image": "sidecar:v1", "resources": {"requests": {"cpu": "100m"}}}
VOLUMES = [{"name": "kube-network-policies-nri", "hostPath": {"path": "/var/run/nri", "type": "DirectoryOrCreate"}}]


def daemonset(*more: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "kube-flannel", "name": "kube-flannel-ds", **metadata},
        "spec": {
            "template": {
                "spec": {
                    "hostNetwork": True,
                    "containers": [{"name": "kube-flannel", "image": "flannel:v0.28.9"}, *more],
                    "volumes": [{"name": "run", "hostPath": {"path": "/run/flannel", "type": ""}}],
                }
            }
        },
    }


def merged(item: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    out = dict(item) if isinstance(item, dict) else {}
    for key, value in patch.items():
        if value is None:
            out.pop(key, None)
        else:
            out[key] = merged(out.get(key), value)
    return out


def added(live: dict[str, Any], adopt: bool = False, container: dict[str, Any] | None = None) -> dict[str, Any]:
    return merged(live, plan.patch(live, plan.wanted_daemonset(live, container or CONTAINER, VOLUMES, adopt)) or {})


names = st.sampled_from(["kube-flannel", "metrics", "debug", "logger"])


@given(st.lists(names, unique=True, min_size=1), st.booleans(), st.booleans(), st.booleans())
def test_taking_away_gives_back_what_was(containers: list[str], volumes: bool, notes: bool, foreign: bool) -> None:
    live = daemonset()
    listed = [{"name": name, "image": name} for name in containers]
    if foreign:
        listed.insert(len(listed) // 2, {"name": objects.CONTAINER, "image": "theirs:v1"})
    live["spec"]["template"]["spec"]["containers"] = listed
    if not volumes:
        del live["spec"]["template"]["spec"]["volumes"]
    if notes:
        live["metadata"]["annotations"] = {"theirs": "1"}
    before = copy.deepcopy(live)
    with_sidecar = added(live, adopt=True)
    assert live == before, "planning changes nothing"
    assert plan.patch(with_sidecar, plan.wanted_daemonset(with_sidecar, CONTAINER, VOLUMES, False)) is None
    given_back = merged(with_sidecar, plan.patch(with_sidecar, plan.restored(with_sidecar)))
    if not notes:
        assert given_back["metadata"].pop("annotations") == {}
    assert given_back == before


def test_defaults_of_the_server_are_no_difference() -> None:
    live = added(daemonset())
    spec = live["spec"]["template"]["spec"]
    spec["containers"][1].update(imagePullPolicy="IfNotPresent", resources={"requests": {"cpu": "0.1"}})
    assert plan.patch(live, plan.wanted_daemonset(live, CONTAINER, VOLUMES, False)) is None


@pytest.mark.parametrize(
    "change",
    [{"image": "sidecar:v2"}, {"resources": {}}, {"resources": {"requests": {"cpu": "100m"}, "limits": {"cpu": "1"}}}],
)
def test_another_wish_changes_the_container(change: dict[str, Any]) -> None:
    live = added(daemonset())
    after = added(live, container={**CONTAINER, **change})
    assert after["spec"]["template"]["spec"]["containers"][1] == {**CONTAINER, **change}
    assert merged(after, plan.patch(after, plan.restored(after)))["spec"] == daemonset()["spec"]


def test_volumes_of_another_release_go() -> None:
    live = added(daemonset())
    after = plan.wanted_daemonset(live, CONTAINER, [{"name": "kube-network-policies-modules"}], False)
    found = [volume["name"] for volume in after["spec"]["template"]["spec"]["volumes"]]
    assert found == ["run", "kube-network-policies-modules"]


def test_the_place_of_the_container_stays_when_others_come() -> None:
    live = added(daemonset())
    live["spec"]["template"]["spec"]["containers"].append({"name": "later", "image": "later"})
    assert plan.patch(live, plan.wanted_daemonset(live, CONTAINER, VOLUMES, False)) is None


def test_foreign_sidecar_is_refused_unless_taken_over() -> None:
    live = daemonset({"name": objects.CONTAINER, "image": "theirs:v1"})
    with pytest.raises(InputError, match="adopt"):
        plan.wanted_daemonset(live, CONTAINER, VOLUMES, False)
    assert plan.has_foreign_sidecar(live)
    assert not plan.has_foreign_sidecar(added(live, adopt=True))


def test_pods_outside_the_host_network_are_refused() -> None:
    live = daemonset()
    live["spec"]["template"]["spec"]["hostNetwork"] = False
    with pytest.raises(InputError, match="hostNetwork"):
        plan.wanted_daemonset(live, CONTAINER, VOLUMES, False)


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_a_changed_annotation_stops_the_removal(text: str) -> None:
    with pytest.raises(ConflictError, match="by hand"):
        plan.restored(daemonset(annotations={plan.RESTORE: text}))


def test_a_daemonset_without_sidecar_is_left_as_it_is() -> None:
    live = daemonset(annotations={"a": "b"})
    assert plan.patch(live, plan.restored(live)) is None
    assert json.dumps(plan.restored(live)) == json.dumps(live)


def test_rbac_objects_of_others_are_refused() -> None:
    role = objects.cluster_role("kube-flannel", "kube-flannel-ds", "v1.1.1")
    assert plan.wanted_rbac(None, role) == role
    assert plan.wanted_rbac(role, role) is None
    assert plan.wanted_rbac({**role, "rules": []}, role) == {"rules": role["rules"]}
    with pytest.raises(ConflictError, match="someone else"):
        plan.wanted_rbac({**role, "metadata": {"name": "x"}}, role)
    binding = objects.cluster_role_binding("kube-flannel", "kube-flannel-ds", "flannel")
    with pytest.raises(ConflictError, match="another role"):
        plan.wanted_rbac({**binding, "roleRef": {"name": "other"}}, binding)


@pytest.mark.parametrize(
    ("text", "number"),
    [("100m", Fraction(1, 10)), ("0.1", Fraction(1, 10)), ("50Mi", 50 << 20), ("1k", 1000), ("1Ki", 1024), (2, 2)],
)
def test_quantities(text: Any, number: Any) -> None:
    assert plan.quantity(text) == number


@pytest.mark.parametrize("resources", [{"request": {}}, {"limits": 3}, {"limits": {"cpu": "lots"}}])
def test_resources_are_checked(resources: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="resources"):
        plan.check_resources(resources)
