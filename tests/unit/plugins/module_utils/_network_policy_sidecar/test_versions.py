# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of releases and the container made from it."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._network_policy_sidecar import objects, versions
from ansible_collections.podnet.cni.plugins.module_utils._versions import question
from ansible_collections.podnet.cni.plugins.module_utils._versions.matrix import TABLES


def options(**more: Any) -> dict[str, Any]:
    return {
        "version": versions.DEFAULT,
        "image_repository": versions.REPOSITORY,
        "nfqueue_id": 98,
        "fail_open": True,
        "strict_mode": None,
        "dns_workaround": None,
        "nri": None,
        "metrics_address": "127.0.0.1:9080",
        "verbosity": 0,
        "logging_format": "text",
        "extra_args": [],
        "resources": {"requests": {"cpu": "100m", "memory": "50Mi"}},
        **more,
    }


@pytest.mark.parametrize(
    ("tag", "row"),
    [
        ("v0.4.0", "0.4.0"),
        ("0.7.0", "0.7.0"),
        ("v0.8.5", "0.8.1"),
        ("v1.1.1-npa-v1alpha2", "1.1.1"),
        ("v2.0.0", "1.1.1"),
    ],
)
def test_row_of_a_release(tag: str, row: str) -> None:
    assert versions.release(tag).version == row


@pytest.mark.parametrize("tag", ["latest", "", "v1.1", "v0.3.0", "v0.0.9"])
def test_a_tag_that_cannot_be_used_is_refused(tag: str) -> None:
    with pytest.raises(InputError, match="version is"):
        versions.release(tag)


def test_faults_and_unknown_releases_are_told() -> None:
    assert versions.warnings("v1.1.1") == []
    assert "hostNetwork" in versions.warnings("v1.1.0")[0]
    assert "newer" in versions.warnings("v1.2.0")[0]


def test_no_flag_is_lost_again() -> None:
    tags = [row[0] for row in TABLES[versions.PRODUCT].rows if question.key(row[0]) >= question.key("0.4.0")]
    for older, newer in zip(tags, tags[1:]):
        assert versions.release(older).flags <= versions.release(newer).flags


def test_container_of_the_current_release() -> None:
    made = objects.container(options())
    assert made["image"] == "registry.k8s.io/networking/kube-network-policies:v1.1.1"
    assert made["args"][0] == "--hostname-override=$(MY_NODE_NAME)"
    assert made["env"][0]["valueFrom"]["fieldRef"]["fieldPath"] == "spec.nodeName"
    assert [mount["mountPath"] for mount in made["volumeMounts"]] == ["/var/run/nri", "/var/run/netns"]
    assert {mount["name"] for mount in made["volumeMounts"]} == {item["name"] for item in objects.volumes(options())}


def test_container_of_an_old_release_mounts_the_kernel_modules() -> None:
    made = objects.container(options(version="v0.7.0"))
    assert [(mount["mountPath"], mount["readOnly"]) for mount in made["volumeMounts"]] == [("/lib/modules", True)]


@pytest.mark.parametrize(
    ("version", "option", "flag"),
    [
        ("v1.0.0", "strict_mode", "--strict-mode=false"),
        ("v0.6.0", "dns_workaround", "--netfilter-bug-1766-fix=false"),
        ("v0.8.0", "nri", "--disable-nri=true"),
    ],
)
def test_a_flag_is_given_only_to_a_release_that_knows_it(version: str, option: str, flag: str) -> None:
    assert flag in objects.arguments(options(version=version, **{option: False}))
    with pytest.raises(InputError, match=option):
        objects.arguments(options(version="v0.5.1", **{option: False}))


def test_queue_number_out_of_range_is_refused() -> None:
    with pytest.raises(InputError, match="nfqueue_id is 65536"):
        objects.arguments(options(nfqueue_id=65536))


def test_the_role_holds_what_the_sidecar_reads() -> None:
    granted = {(name, verb) for rule in objects.RULES for name in rule["resources"] for verb in rule["verbs"]}
    wanted = ("pods", "namespaces", "networkpolicies")
    assert granted == {(name, verb) for name in wanted for verb in ("list", "watch")}


@pytest.mark.parametrize(
    ("tag", "kinds"),
    [
        ("v1.1.1", ()),
        ("v1.1.1@sha256:00", ()),
        ("v1.1.1-npa-v1alpha1", ("adminnetworkpolicies", "baselineadminnetworkpolicies")),
        ("v0.9.0-npa-v1alpha2", ("clusternetworkpolicies",)),
        ("latest", ()),
    ],
)
def test_flavours_get_what_they_read(tag: str, kinds: tuple[str, ...]) -> None:
    assert versions.flavour(tag).kinds == kinds
    rules = objects.rules(tag)
    assert ("nodes" in rules[0]["resources"]) is bool(kinds)
    assert [rule["resources"] for rule in rules[2:]] == ([list(kinds)] if kinds else [])


@pytest.mark.parametrize(
    "tag", ["v1.1.1-iptracker", "v1.1.1-iptracker@sha256:00", "v1.1.1-npa-v1beta1", "v0.8.0-npa-v1alpha2"]
)
def test_flavours_that_would_wait_are_refused_by_name(tag: str) -> None:
    with pytest.raises(InputError, match=tag.split("@", maxsplit=1)[0]):
        versions.flavour(tag)
