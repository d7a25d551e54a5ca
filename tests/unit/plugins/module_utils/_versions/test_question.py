# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the matrix answers about combinations, changes and unknown versions."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._versions import question
from ansible_collections.podnet.cni.plugins.module_utils._versions.matrix import TABLES

PRODUCT_ROWS = st.sampled_from(question.PRODUCTS).flatmap(
    lambda product: st.tuples(
        st.just(product),
        st.lists(st.sampled_from([row[0] for row in TABLES[product].rows]), min_size=3, max_size=3),
    )
)
ANYTHING = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.text()))
VERSION_LIKE = st.from_regex(r"v?[0-9]{1,3}(\.[0-9]{1,3}){0,3}([-+][a-z0-9.]{0,8})?", fullmatch=True)

VERSION = st.from_regex(r"v?[0-3]\.[0-9]{1,2}(\.[0-9]{1,2})?([-+][a-z0-9.]{1,8})?", fullmatch=True)


def ids(statements: tuple[question.Statement, ...]) -> set[str]:
    return {each.id for each in statements}


@pytest.mark.parametrize(
    ("product", "text", "row"),
    [
        ("kubernetes", "1.36", "1.36"),
        ("kubernetes", "v1.36.2", "1.36"),
        ("kubernetes", "v1.32.4+k3s1", "1.32"),
        ("kubernetes", "v1.32.4-rke2r1", "1.32"),
        ("kubernetes", "v1.29.3-eks-ae9a62a", "1.29"),
        ("flannel", "0.28", "0.28.9"),
        ("flannel", "v0.28.9-build20260812", "0.28.9"),
        ("flannel", " v0.27.4 ", "0.27.4"),
        ("flannel_cni_plugin", "v1.9.1-flannel2", "1.9.1-flannel2"),
        ("flannel_cni_plugin", "v1.9.1", "1.9.1-flannel3"),
        ("flannel_cni_plugin", "v1.2.0", "1.2.0"),
        ("calico", "3.31", "3.31.7"),
        ("kube_network_policies", "v1.1.1-npa-v1alpha2", "1.1.1"),
    ],
)
def test_a_version_finds_its_row(product: str, text: str, row: str) -> None:
    assert question.resolve(product, text) == row


@pytest.mark.parametrize(
    ("product", "text", "message"),
    [
        ("kubernetes", "v1.38.1", "kubernetes v1.38.1 is not in the matrix; the nearest row is 1.37."),
        ("kubernetes", "1.19", "kubernetes 1.19 is not in the matrix; the nearest row is 1.20."),
        ("flannel", "0.25.9", "flannel 0.25.9 is not in the matrix; the nearest rows are 0.25.7 and 0.26.0."),
    ],
)
def test_an_unknown_version_names_the_nearest_rows(product: str, text: str, message: str) -> None:
    with pytest.raises(question.UnknownVersion) as caught:
        question.resolve(product, text)
    assert str(caught.value) == message
    assert caught.value.product == product and caught.value.version == text


@pytest.mark.parametrize("version", [1.3, None, "", "latest", "v1", "1.2.3.4", "1..2", "٣.٤"])
def test_what_is_no_version_is_refused(version: Any) -> None:
    with pytest.raises(InputError, match=r"flannel is .*give a version as text"):
        question.resolve("flannel", version)


def test_an_unknown_product_is_refused() -> None:
    with pytest.raises(InputError, match="'cilium' is not a product of the matrix: give one of kubernetes, flannel"):
        question.support({"cilium": "1.0.0"})


@pytest.mark.parametrize(
    ("versions", "features", "problem"),
    [
        ({"flannel": "0.24.4"}, {"enable_nftables": True}, "nftables-unknown"),
        ({"flannel": "0.26.0"}, {"windows": True}, "windows-check"),
        ({"flannel": "0.28.9"}, {"windows": True, "backend": "wireguard"}, "windows-wireguard"),
        ({"flannel": "0.27.0"}, {"nodes": 6000}, "more-nodes-than-events"),
        ({"kubernetes": "1.28"}, {"kube_proxy_mode": "nftables"}, "proxy-without-nftables"),
        ({"kubernetes": "1.35.1"}, {"cgroup_version": 1}, "cgroup-v1"),
        ({"calico": "3.32", "kube_network_policies": "1.1.1"}, {}, "two-policy-engines"),
        ({"cni_plugins": "0.9.1"}, {"cni_version": "1.0.0"}, "conflist-too-new"),
        ({"flannel": "0.28.9"}, {"iptables": False, "enable_nftables": False}, "iptables-missing"),
        ({"cni_plugins": "1.5.1"}, {"iptables": False}, "portmap-without-iptables"),
    ],
)
def test_what_does_not_work(versions: dict[str, str], features: dict[str, Any], problem: str) -> None:
    answer = question.support(versions, features)
    assert problem in ids(answer.problems)
    assert not answer.supported


@pytest.mark.parametrize(
    ("versions", "features"),
    [
        ({"flannel": "0.25.0"}, {"enable_nftables": True}),
        ({"flannel": "0.26.1"}, {"windows": True, "backend": "vxlan"}),
        ({"flannel": "0.27.1"}, {"nodes": 6000}),
        ({"kubernetes": "1.29"}, {"kube_proxy_mode": "nftables"}),
        ({"kubernetes": "1.34"}, {"cgroup_version": 1}),
        ({"kubernetes": "1.36"}, {"containerd": "v2.1.0", "cgroup_version": 2}),
        ({"calico": "3.32"}, {}),
        ({"cni_plugins": "0.9.1"}, {"cni_version": "0.3.1"}),
        ({"flannel": "0.28.9", "cni_plugins": "1.6.1"}, {"iptables": False, "enable_nftables": True}),
    ],
)
def test_what_works_has_no_problem(versions: dict[str, str], features: dict[str, Any]) -> None:
    assert question.support(versions, features).supported


def test_containerd_1_works_up_to_the_release_before_the_one_that_refuses_it() -> None:
    for version in ("1.36", "1.37.2"):
        answer = question.support({"kubernetes": version}, {"containerd": "1.6.20"})
        assert answer.supported
        assert "containerd-1" in ids(answer.notes)
        assert "containerd-1" not in ids(question.support({"kubernetes": version}, {"containerd": "2.1.0"}).notes)


def test_br_netfilter_is_needed_as_the_release_asks_for_it() -> None:
    def needs(version: str, nftables: bool) -> set[str]:
        return ids(question.support({"flannel": version}, {"enable_nftables": nftables}).needs)

    assert "br-netfilter" not in needs("0.25.7", False)
    assert "br-netfilter" in needs("0.26.0", False)
    assert "br-netfilter-in-nftables-mode" in needs("0.27.4", True)
    assert {"br-netfilter", "br-netfilter-in-nftables-mode"}.isdisjoint(needs("0.28.0", True))


def test_an_unknown_version_is_told_and_not_supported() -> None:
    answer = question.support({"flannel": "0.28.9", "kubernetes": "1.99"})
    assert not answer.supported and answer.problems == ()
    assert answer.unknown == ("kubernetes 1.99 is not in the matrix; the nearest row is 1.37.",)


def test_a_feature_that_is_no_number_is_refused() -> None:
    with pytest.raises(InputError, match="nodes is 'many': give a number"):
        question.support({"flannel": "0.27.0"}, {"nodes": "many"})


def test_pairings_and_faults_are_noted() -> None:
    answer = question.support({"calico": "3.32.1", "kubernetes": "1.33", "flannel": "0.27.4", "cni_plugins": "1.6.0"})
    found = {each.id: each for each in answer.notes}
    assert found["calico-tested"].remedy == "Use Calico 3.31.7, which is tested with it."
    assert found["vxlan-recreation-crash"].remedy == "Use 0.28.5 or newer."
    assert "portmap-nftables-broken" in found
    paired = question.support({"flannel": "0.28.9", "flannel_cni_plugin": "1.8.0-flannel1"})
    assert "plugin-pairing" in ids(paired.notes)
    untested = question.support({"calico": "3.32.1", "kubernetes": "1.36"})
    assert "canary" in next(each for each in untested.notes if each.id == "calico-tested").remedy


def test_changes_there_and_back() -> None:
    forward = question.changes("flannel", "v0.25.7", "v0.28.9")
    assert {"br-netfilter-check", "registry", "chart-value", "probes"} <= {change.id for change in forward}
    back = question.changes("flannel", "0.28.9", "0.25.7")
    assert [change.version for change in back] == [change.version for change in reversed(forward)]
    probes = next(change for change in back if change.id == "probes")
    assert "readiness probe" in probes.action and probes.impact == "manual"
    assert question.changes("flannel", "0.28.9", "v0.28.9") == ()


def test_removed_flags_are_a_change_of_kubernetes() -> None:
    [flags] = [change for change in question.changes("kubernetes", "1.34", "1.35") if change.id == "kubelet-flags"]
    assert "--pod-infra-container-image" in flags.text and flags.impact == "manual"
    assert question.removed_kubelet_flags("1.23") == {}
    removed = question.removed_kubelet_flags("v1.31.4+k3s1")
    assert removed["--network-plugin"] == "1.24" and removed["--iptables-drop-bit"] == "1.31"
    assert "--cloud-config" not in removed


def test_images_are_those_of_the_release() -> None:
    assert question.images("flannel", "0.26.3") == {
        "flannel": "docker.io/flannel/flannel:v0.26.3",
        "flannel_cni_plugin": "docker.io/flannel/flannel-cni-plugin:v1.6.0-flannel1",
        "kube_network_policies": "registry.k8s.io/networking/kube-network-policies:v0.4.0",
    }
    assert question.images("calico", "3.30.7")["node"] == "docker.io/calico/node:v3.30.7"
    assert question.images("calico", "3.32.1")["flannel"] == "docker.io/flannel/flannel:v0.24.4"
    assert question.images("kubernetes", "1.36") == question.images("cni_plugins", "1.9.1") == {}


def test_what_is_not_published_is_not_the_newest() -> None:
    assert question.newest("calico") == "3.32.1"
    assert "release-v3.33" in question.source_of("calico", "3.33")
    assert question.source_of("flannel", "0.28").endswith("/v0.28.9/Documentation/kube-flannel.yml")


def test_features_follow_the_release() -> None:
    assert [question.features_of("flannel", version)["probes"] for version in ("0.28.8", "0.28.9")] == [False, True]
    assert question.features_of("calico", "3.31.7")["cni_version"] == "1.0.0"
    assert question.features_of("calico", "3.32.1")["cni_version"] == "0.3.1"


@given(PRODUCT_ROWS)
def test_changes_of_two_steps_are_those_of_one(rows: tuple[str, list[str]]) -> None:
    product, versions = rows
    ordered = sorted(versions, key=question.key)
    for low, between, high in (ordered, ordered[::-1]):
        whole = question.changes(product, low, high)
        assert whole == question.changes(product, low, between) + question.changes(product, between, high)


@given(PRODUCT_ROWS)
def test_changes_come_in_the_order_of_releases(rows: tuple[str, list[str]]) -> None:
    product, (before, after, _other) = rows
    keys = [question.key(change.version) for change in question.changes(product, before, after)]
    assert keys == sorted(keys, reverse=question.key(after) < question.key(before))


@given(st.one_of(st.sampled_from(question.PRODUCTS), st.text()), st.one_of(VERSION_LIKE, ANYTHING), st.data())
def test_no_input_raises_anything_else(product: str, version: Any, data: st.DataObject) -> None:
    feature = st.sampled_from(["nodes", "backend", "windows", "containerd", "cgroup_version", "x"])
    features = data.draw(st.dictionaries(feature, ANYTHING))
    for ask in (
        lambda: question.support({product: version}, features),
        lambda: question.changes(product, version, version),
        lambda: question.images(product, version),
        lambda: question.removed_kubelet_flags(version),
    ):
        try:
            ask()
        except InputError as error:
            assert str(error)


@given(st.sampled_from(question.PRODUCTS), VERSION)
def test_nearest_rows_enclose_an_unknown_version(product: str, version: str) -> None:
    try:
        assert question.resolve(product, version) in {row[0] for row in TABLES[product].rows}
    except question.UnknownVersion as error:
        keys = [question.key(row) for row in error.nearest]
        assert keys == sorted(keys) and 1 <= len(keys) <= 2
        wanted = question.key(version)
        between = [row[0] for row in TABLES[product].rows if keys[0] < question.key(row[0]) < keys[-1]]
        assert between == [] and (len(keys) == 1 or keys[0] < wanted < keys[1])
