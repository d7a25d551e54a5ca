# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is decided about a network that is there already."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.module_utils._adoption import ownership
from ansible_collections.podnet.cni.plugins.module_utils._adoption.changes import network_changes
from ansible_collections.podnet.cni.plugins.module_utils._adoption.flannel import adoption
from ansible_collections.podnet.cni.plugins.module_utils._adoption.flannel.adoption import FlannelFound
from ansible_collections.podnet.cni.plugins.module_utils._discovery import recognisers
from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError
from ansible_collections.podnet.cni.plugins.module_utils._kube import selectors

US = "podnet.cni"
CONFIG = {"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}


def daemonset(
    namespace: str = "kube-flannel",
    selector: dict[str, Any] | None = None,
    labels: dict[str, str] | None = None,
    *,
    manager: str = "kubectl",
    annotations: dict[str, str] | None = None,
    name: str = "kube-flannel-ds",
    pod: dict[str, Any] | None = None,
) -> dict[str, Any]:
    entry = {"manager": manager, "operation": "Apply", "fieldsV1": {"f:spec": {"f:template": {}}}}
    return {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "managedFields": [entry],
            "annotations": annotations or {},
        },
        "spec": {
            "selector": selector or {"matchLabels": {"app": "flannel"}},
            "template": {"metadata": {"labels": labels or {"app": "flannel"}}, "spec": pod or {}},
        },
    }


def config_map(config: dict[str, Any] | None = None, namespace: str = "kube-flannel") -> dict[str, Any]:
    metadata = {"name": "kube-flannel-cfg", "namespace": namespace}
    return {"metadata": metadata, "data": {"net-conf.json": json.dumps(config or CONFIG)}}


def record(plugin: str = "flannel", **more: Any) -> dict[str, Any]:
    given_record = {
        "plugin": plugin,
        "role": "primary",
        "install_method": "manifest",
        "namespace": "net",
        "warnings": [],
    }
    return {**given_record, **more}


UNKNOWN = {
    "nodes": {"ready": 3, "total": 3},
    "evidence": [
        {"source": "DaemonSet", "ref": "net/new-cni", "fact": "mounts the nodes' CNI directories", "weight": 20}
    ],
}


def test_nodes_that_are_ready_have_a_network_known_or_not() -> None:
    generic = record("generic", **UNKNOWN)
    with pytest.raises(ConflictError, match=r"3 of 3 Nodes are Ready.*net/new-cni.*flannel_allow_unknown_network"):
        decide(records=[generic])
    assert decide(records=[generic], allow_unknown_network=True).action == "install"
    assert decide(records=[record("generic", nodes={"ready": 0, "total": 3})]).action == "install"
    left = record(role="leftover", nodes={"annotated": 3})
    assert decide(records=[generic, left]).action == "install", "what our own flanneld wrote explains it"
    with pytest.raises(ConflictError, match="3 of 3 Nodes"):
        decide(records=[generic, record(role="leftover", nodes={"annotated": 0})])


def decide(
    *daemonsets: dict[str, Any],
    config: dict[str, Any] | None = None,
    found_config: dict[str, Any] | None = None,
    records: list[dict[str, Any]] | None = None,
    policies: list[str] | None = None,
    **wanted: Any,
) -> adoption.Decision:
    namespace = daemonsets[0]["metadata"]["namespace"] if daemonsets else "kube-flannel"
    found = FlannelFound(records or [record()], daemonsets, config_map(found_config, namespace), policies=policies)
    return adoption.decide(adoption.Wanted(adoption.new_place(), config or CONFIG, **wanted), found, US)


def test_nothing_there_is_installed() -> None:
    assert decide(records=[record("generic")]).action == "install"


@pytest.mark.parametrize(
    "selector",
    [
        {"matchLabels": {"app": "flannel"}},
        {"matchLabels": {"app": "flannel", "k8s-app": "flannel"}},
        {"matchLabels": {"name": "ours", "app": "network"}},
        {"matchExpressions": [{"key": "app", "operator": "In", "values": ["flannel"]}]},
    ],
)
def test_selector_is_kept_and_met(selector: dict[str, Any]) -> None:
    decision = decide(daemonset("kube-system", selector))
    assert (decision.action, decision.take_over, list(decision.remove)) == ("upgrade", True, [])
    assert decision.place.namespace == "kube-system"
    assert decision.place.selector == selector
    assert selectors.matches(selector, {**adoption.LABELS, **decision.place.labels})


def test_what_is_ours_already_is_not_taken_over_again() -> None:
    assert not decide(daemonset(manager=US), policy="never").take_over


def test_what_a_rollout_wrote_is_made_removable() -> None:
    rolled_out = daemonset(manager=US)
    rolled_out["metadata"]["managedFields"].append({"manager": US, "operation": "Update", "fieldsV1": {}})
    decision = decide(rolled_out, policy="never")
    assert (decision.action, decision.take_over) == ("upgrade", True)


@pytest.mark.parametrize(("labels", "orphan"), [({"app": "flannel"}, True), ({"name": "x"}, False)])
def test_pods_stay_only_where_the_new_daemonset_adopts_them(labels: dict[str, str], orphan: bool) -> None:
    selector = {"matchExpressions": [{"key": "k8s-app", "operator": "DoesNotExist"}]}
    decision = decide(daemonset(selector=selector, labels=labels))
    assert (decision.action, decision.orphan) == ("replace", orphan)
    assert decision.place.selector == adoption.SELECTOR


def test_daemonsets_of_several_architectures_become_one() -> None:
    names = ["kube-flannel-ds-amd64", "kube-flannel-ds-arm64"]
    one = {"nodeSelector": {"beta.kubernetes.io/arch": "amd64"}}
    terms = [
        {
            "matchExpressions": [
                {"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]},
                {"key": "kubernetes.io/arch", "operator": "In", "values": [arch]},
            ]
        }
        for arch in ("arm64", "arm")
    ]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    pods = [one, {"affinity": {"nodeAffinity": required}}]
    decision = decide(*(daemonset("kube-system", name=name, pod=pod) for name, pod in zip(names, pods, strict=True)))
    assert (decision.action, list(decision.remove)) == ("replace", names)
    assert (decision.place.namespace, decision.place.daemonset) == ("kube-system", "kube-flannel-ds")


def test_two_daemonsets_that_share_nodes_are_not_one_flannel() -> None:
    selectors: list[dict[str, str]] = [{}, {"kubernetes.io/arch": "amd64"}]
    pair = [daemonset(name=f"f{n}", pod={"nodeSelector": each}) for n, each in enumerate(selectors)]
    with pytest.raises(ConflictError, match="kube-flannel/f0 and kube-flannel/f1 both run flannel"):
        decide(*pair)


def test_the_daemonset_of_windows_nodes_is_left_alone() -> None:
    windows = daemonset(name="windows", pod={"nodeSelector": {"kubernetes.io/os": "windows"}})
    decision = decide(windows, daemonset())
    assert (decision.action, decision.place.daemonset, list(decision.remove)) == ("upgrade", "kube-flannel-ds", [])


def orphan(name: str = "kube-flannel-ds-x7", namespace: str = "kube-system", **labels: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "generateName": "kube-flannel-ds-"}
    return {"metadata": {**metadata, "labels": labels or {"app": "flannel"}}}


def after_loss(remains: adoption.Remains, **wanted: Any) -> adoption.Decision:
    found = FlannelFound([record("generic")], remains=remains)
    return adoption.decide(adoption.Wanted(adoption.new_place(), CONFIG, **wanted), found, US)


@pytest.mark.parametrize("method", ["manifest", "helm"])
@pytest.mark.parametrize("pods", [[], [orphan()]])
def test_flannel_without_its_daemonset_gets_one_where_it_was(pods: list[dict[str, Any]], method: str) -> None:
    remains = adoption.Remains("kube-system", "net", config_map(namespace="kube-system"), pods)
    decision = after_loss(remains, method=method)
    place = decision.place
    assert (decision.action, place.namespace, place.daemonset) == ("replace", "kube-system", "kube-flannel-ds")
    assert place.service_account == ("net" if method == "manifest" else "flannel")
    assert list(decision.remove) == []
    assert "has lost its DaemonSet" in decision.warnings[0]


def test_pods_that_a_new_daemonset_would_not_adopt_are_refused() -> None:
    own = config_map(namespace="kube-system")
    for pod in (orphan(), orphan(namespace="kube-flannel", name="other")):
        with pytest.raises(ConflictError, match="flanneld runs in pods without a DaemonSet"):
            after_loss(adoption.Remains("kube-system", "flannel", own, [pod, orphan("x", "third")]), policy="replace")
    decision = after_loss(adoption.Remains("kube-system", "flannel", own), policy="replace")
    assert (decision.action, decision.place.namespace) == ("install", "kube-flannel")


def test_pods_of_an_architecture_whose_daemonset_is_gone_already() -> None:
    arm = {"nodeSelector": {"kubernetes.io/arch": "arm64"}}
    main = daemonset("kube-system", {"matchLabels": {"app": "flannel"}}, name="f-arm64", pod=arm)
    left = adoption.Remains("kube-system", "flannel", None, [orphan()])
    found = FlannelFound([record()], [main], config_map(namespace="kube-system"), left)
    wanted = adoption.Wanted(adoption.new_place(), CONFIG)
    assert adoption.decide(wanted, found, US).action == "upgrade", "the one that is left adopts them"
    main["spec"]["selector"] = {"matchLabels": {"app": "flannel", "arch": "arm64"}}
    with pytest.raises(ConflictError, match="without a DaemonSet, which the one in namespace kube-system would not"):
        adoption.decide(wanted, found, US)


def test_the_network_of_what_remains_is_compared_too() -> None:
    other = config_map({"Network": "10.9.0.0/16", "Backend": {"Type": "vxlan"}}, "kube-system")
    with pytest.raises(ConflictError, match=r"that was in namespace kube-system would change: Network 10\.9"):
        after_loss(adoption.Remains("kube-system", "flannel", other, [orphan()]))


def test_flanneld_that_no_daemonset_runs_is_worth_a_warning() -> None:
    found = FlannelFound([record("generic")], announced=("", "host-gw", "vxlan"))
    decision = adoption.decide(adoption.Wanted(adoption.new_place(), CONFIG), found, US)
    assert decision.action == "install"
    assert "Nodes say that flanneld runs on them, with backend host-gw instead of vxlan" in decision.warnings[0]


def test_daemonsets_that_may_not_be_seen_stop_an_upgrade() -> None:
    found = FlannelFound([record()], [daemonset()], config_map(), all_seen=False)
    with pytest.raises(ConflictError, match="may not be listed"):
        adoption.decide(adoption.Wanted(adoption.new_place(), CONFIG), found, US)
    with pytest.raises(ConflictError, match="may not be listed"):
        adoption.decide_removal(adoption.Wanted(adoption.new_place(), CONFIG), found, US)


SIDECARS = {
    "chart": {"name": "kube-network-policies", "image": "registry.k8s.io/networking/kube-network-policies:v1.0.0"},
    "by hand": {"name": "policy", "image": "mirror.example:5000/kube-network-policies:v1.1.1"},
    "by program": {"name": "np", "image": "example/np", "command": ["/bin/netpol", "--v=2"]},
}


def with_sidecar(kind: str, **more: Any) -> dict[str, Any]:
    return daemonset(pod={"containers": [{"name": "kube-flannel", "image": "flannel"}, SIDECARS[kind]]}, **more)


@pytest.mark.parametrize("kind", SIDECARS)
@pytest.mark.parametrize("manager", [US, "Helm"])
def test_a_sidecar_goes_on_unless_its_end_is_asked_for(kind: str, manager: str) -> None:
    """Whoever added it: the container is what counts."""
    kept = decide(with_sidecar(kind, manager=manager))
    assert kept.network_policy and not kept.sidecar_added and "is kept" in kept.warnings[-1]
    said = decide(with_sidecar(kind, manager=manager), network_policy=True)
    assert said.network_policy and not said.sidecar_added
    ended = decide(with_sidecar(kind, manager=manager), network_policy=False, policies=["a", "b", "a"])
    assert not ended.network_policy and "3 NetworkPolicies stop acting, in a, b." in ended.warnings[-1]
    assert "not known" in decide(with_sidecar(kind), network_policy=False).warnings[-1]


def test_a_sidecar_that_is_not_there_is_added_by_word_only() -> None:
    for found in ([], [daemonset()]):
        assert not decide(*found).network_policy
        assert decide(*found, network_policy=True).sidecar_added


def test_a_sidecar_that_the_module_added_is_not_dropped() -> None:
    ours = {"annotations": {"podnet.cni/network-policy-restore": '{"container":null}'}}
    with pytest.raises(ConflictError, match="2 NetworkPolicies stop acting"):
        decide(with_sidecar("chart", manager=US, **ours), network_policy=False, policies=["x", "y"])
    for wish in (None, True):
        decision = decide(with_sidecar("chart", **ours), network_policy=wish)
        assert decision.network_policy and "becomes the role's" in decision.warnings[-1]
    ours["annotations"]["meta.helm.sh/release-name"] = "flannel"
    for wish in (None, False, True):
        decision = decide(with_sidecar("chart", **ours), method="helm", network_policy=wish)
        assert decision.network_policy is bool(wish), "Helm leaves alone what its chart does not name"


def removal(*daemonsets: dict[str, Any], foreign: bool = False, method: str = "manifest") -> adoption.Decision:
    found = FlannelFound([record()], daemonsets, config_map(namespace="net"))
    wanted = adoption.Wanted(adoption.new_place(), CONFIG, method=method)
    return adoption.decide_removal(wanted, found, US, allow_foreign=foreign)


def test_what_is_removed_is_what_is_there() -> None:
    ours = daemonset("net", {"matchLabels": {"name": "ours"}}, manager=US, name="our-flannel")
    decision = removal(ours)
    assert (decision.action, decision.place.namespace, decision.place.daemonset) == ("remove", "net", "our-flannel")
    assert removal().place == adoption.new_place()


def test_what_is_somebody_elses_is_not_removed() -> None:
    foreign, released = daemonset("net"), daemonset("net", annotations={"meta.helm.sh/release-name": "net"})
    with pytest.raises(ConflictError, match="was not made by this role"):
        removal(foreign)
    with pytest.raises(ConflictError, match="was not made by this role"):
        removal(foreign, method="helm")
    with pytest.raises(ConflictError, match="belongs to the Helm release net"):
        removal(released)
    assert removal(released, method="helm").release == "net"
    decision = removal(foreign, daemonset("net", name="second"), foreign=True)
    assert [item["metadata"]["name"] for item in decision.leftovers] == ["second"]
    canal = FlannelFound([record("canal")])
    with pytest.raises(ConflictError, match="Remove it with the role canal"):
        adoption.decide_removal(adoption.Wanted(adoption.new_place(), CONFIG), canal, US)


def test_a_field_of_ours_does_not_make_a_daemonset_ours() -> None:
    item = daemonset("net", manager=US)
    item["metadata"]["managedFields"][0]["fieldsV1"] = {"f:spec": {"f:updateStrategy": {}}}
    with pytest.raises(ConflictError, match="was not made by this role"):
        removal(item)
    with pytest.raises(ConflictError, match="which this role did not make"):
        decide(item, policy="never")
    assert decide(item).take_over


def test_removing_flannel_tells_that_enforcement_ends() -> None:
    found = FlannelFound([record()], [with_sidecar("chart", manager=US)], config_map(), policies=["a", "b"])
    decision = adoption.decide_removal(adoption.Wanted(adoption.new_place(), CONFIG), found, US)
    assert decision.warnings == [
        "The policy sidecar of DaemonSet kube-flannel/kube-flannel-ds goes too. 2 NetworkPolicies stop acting, in a, b."
    ]
    assert not removal(daemonset(manager=US)).warnings


def test_move_leaves_no_config_map() -> None:
    decision = decide(daemonset("kube-system"), policy="replace")
    assert (decision.action, decision.orphan) == ("move", False)
    assert [item["metadata"]["namespace"] for item in decision.leftovers] == ["kube-system"]


def test_helm_release_is_named_in_a_warning() -> None:
    release = {"meta.helm.sh/release-name": "net"}
    decision = decide(daemonset(annotations=release))
    assert decision.release == "net"
    assert "owner=helm,name=net" in decision.warnings[0]
    assert not decide(daemonset(annotations=release), method="helm").warnings


def test_helm_makes_the_daemonset_of_a_manifest_anew_under_its_pods() -> None:
    decision = decide(daemonset(), method="helm")
    assert (decision.action, decision.remove, decision.orphan) == ("replace", ("kube-flannel-ds",), True)


def test_helm_keeps_the_daemonset_of_its_release_unless_a_manifest_was_applied_over_it() -> None:
    item = daemonset(annotations={"meta.helm.sh/release-name": "net"}, manager=US)
    fields = item["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]
    fields["f:updateStrategy"] = fields.pop("f:template")
    assert decide(item, method="helm").action == "upgrade"
    fields["f:template"] = {}
    assert decide(item, method="helm").action == "replace"


def test_helm_cannot_keep_another_selector() -> None:
    selector = {"matchLabels": {"app": "flannel", "k8s-app": "flannel"}}
    decision = decide(daemonset(selector=selector, labels={"app": "flannel", "k8s-app": "flannel"}), method="helm")
    assert (decision.action, decision.orphan, decision.take_over) == ("replace", True, False)


@pytest.mark.parametrize(
    ("records", "text"),
    [
        ([record("cilium")], "cilium in namespace net carries the pods"),
        ([record("canal"), record("flannel", role="leftover")], "canal in namespace net"),
        ([record(install_method="embedded", distribution="k3s")], "podnet.cni.distribution shows which file decides"),
        ([record("unknown", warnings=["DaemonSets may not be listed."])], "DaemonSets may not be listed."),
    ],
)
def test_other_networks_are_refused(records: list[dict[str, Any]], text: str) -> None:
    with pytest.raises(ConflictError, match=text):
        decide(records=records)


@pytest.mark.parametrize("plugin", ["calico", "multus"])
def test_what_carries_no_pods_is_no_obstacle(plugin: str) -> None:
    role = {"calico": "policy", "multus": "meta"}[plugin]
    assert decide(daemonset(), records=[record(), record(plugin, role=role)]).action == "upgrade"


def test_two_installations_are_refused() -> None:
    with pytest.raises(ConflictError, match="in the namespaces a, b"):
        decide(daemonset("b"), daemonset("a"))


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"Network": "10.9.0.0/16", "Backend": {"Type": "vxlan"}}, "Network 10.244.0.0/16 -> 10.9.0.0/16"),
        ({"Network": "10.244.0.0/16", "Backend": {"Type": "host-gw"}}, "backend vxlan -> host-gw"),
        ({"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan", "VNI": 7}}, "VNI 1 -> 7"),
    ],
)
def test_network_changes_are_refused_and_allowed(config: dict[str, Any], text: str) -> None:
    with pytest.raises(ConflictError, match=text):
        decide(daemonset(), config=config)
    assert text in decide(daemonset(), config=config, allow_network_change=True).changes[0]


@pytest.mark.parametrize(
    ("old", "new", "kept"),
    [({}, {"Port": 8473}, True), ({"Port": 8473}, {}, True), ({"Port": 8472}, {"Port": 8473}, False)],
)
def test_a_port_that_has_no_name_stays_and_that_is_told(old: Any, new: Any, kept: bool) -> None:
    had, gets = ({"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan", **each}} for each in (old, new))
    (change,) = decide(daemonset(), found_config=had, config=gets, allow_network_change=True).changes
    assert ("while the network config names none" in change) is kept


@pytest.mark.parametrize(("old", "new"), [({}, {"Port": 8472}), ({"Port": 8472}, {})])
def test_the_port_that_is_used_without_a_name_may_be_named(old: Any, new: Any) -> None:
    had, gets = ({"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan", **each}} for each in (old, new))
    assert decide(daemonset(), found_config=had, config=gets).changes == []


@pytest.mark.parametrize(
    ("old", "text"),
    [
        ({"Network": "10.244.0.0/16", "Backend": {"Type": "gce"}}, "backend gce -> vxlan"),
        ({"Network": "10.244.0.0/16", "Backend": {"Type": "ipsec", "PSK": "short"}}, "backend ipsec -> vxlan"),
        ({"network": "10.9.0.0/16", "Backend": {"Type": "VXLAN", "Port": "8472"}}, "Network 10.9.0.0/16 -> 10.244"),
        ({"Network": "ten", "Backend": {"Type": "vxlan"}}, "Network ten -> 10.244.0.0/16"),
        ({"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan", "Port": "4789"}}, "Port 4789 -> 0"),
        ({"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan", "VNI": 7, "Port": "x"}}, "VNI 7 -> 1"),
        ({"Network": "10.244.0.0/16", "Backend": "vxlan"}, "cannot be compared"),
    ],
)
def test_an_invalid_old_config_does_not_hide_a_change(old: dict[str, Any], text: str) -> None:
    with pytest.raises(ConflictError, match=text):
        decide(daemonset(), found_config=old)
    decision = decide(daemonset(), found_config=old, allow_network_change=True)
    assert text in decision.changes[0]


def test_an_invalid_old_config_with_the_same_network_is_replaced() -> None:
    old = {"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan", "DirectRouting": "yes"}}
    decision = decide(daemonset(), found_config=old)
    assert "is not valid and is replaced" in decision.warnings[0]


@pytest.mark.parametrize("text", ["no JSON", "[]", "[" * 100_000])
def test_an_old_config_that_cannot_be_read_counts_as_a_change(text: str) -> None:
    for item in (None, {"data": {"net-conf.json": text}}):
        changes, warnings = network_changes(item, CONFIG)
        assert len(changes) == 1
        assert warnings == []


def test_a_range_may_grow() -> None:
    decision = decide(daemonset(), config={"Network": "10.240.0.0/12", "Backend": {"Type": "vxlan"}})
    assert "Network grows from 10.244.0.0/16 to 10.240.0.0/12" in decision.warnings[0]


def test_preshared_keys_are_not_shown() -> None:
    keys = ["A" * 43 + "=", "B" * 42 + "A="]
    old, new = ({"Network": "10.244.0.0/16", "Backend": {"Type": "wireguard", "PSK": key}} for key in keys)
    with pytest.raises(ConflictError) as caught:
        decide(daemonset(), config=new, found_config=old)
    assert "the preshared key" in str(caught.value)
    assert not any(key in str(caught.value) for key in keys)


fields = st.recursive(
    st.just({}), lambda inner: st.dictionaries(st.sampled_from(["f:a", "f:b", 'k:{"name":"x"}', "."]), inner)
)


def leaves(tree: dict[str, Any], path: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    found = {path}
    for key, value in tree.items():
        found |= leaves(value, (*path, key))
    return found


@given(st.lists(fields, min_size=1, max_size=4), fields)
def test_every_field_of_every_writer_becomes_ours(trees: list[dict[str, Any]], status: dict[str, Any]) -> None:
    entries = [{"manager": f"m{n}", "operation": "Update", "fieldsV1": tree} for n, tree in enumerate(trees)]
    controller = {"manager": "kcm", "operation": "Update", "subresource": "status", "fieldsV1": status}
    ours, *others = ownership.owned_fields([*entries, controller], US)
    assert others == [controller]
    assert (ours["manager"], ours["operation"]) == (US, "Apply")
    assert leaves(dict(ours["fieldsV1"])) == set().union(*map(leaves, trees))


def test_module_brings_every_recogniser() -> None:
    """What a module does not import by name is not on the node."""
    files = {path.stem for path in Path(recognisers.__file__).parent.glob("*.py")} - {"__init__"}
    assert len(recognisers.load_all()) == len(files)
