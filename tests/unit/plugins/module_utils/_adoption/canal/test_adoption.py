# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is decided about the network that a cluster has, when Canal is to be installed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._adoption.canal import adoption
from ansible_collections.podnet.cni.plugins.module_utils._adoption.canal.adoption import CanalFound
from ansible_collections.podnet.cni.plugins.module_utils._adoption.place import Place
from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError, InputError
from ansible_collections.podnet.cni.tests.unit._canal_manifest import conflist

US = "podnet.cni"
CONFIG = {"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}
DUAL = {**CONFIG, "EnableIPv6": True, "IPv6Network": "fd00:244::/48"}
LABELS = {"k8s-app": "canal"}
HERE = Place("kube-system", "canal", "canal-config", "canal", {"matchLabels": LABELS})


def daemonset(
    namespace: str = "kube-system",
    name: str = "canal",
    selector: dict[str, Any] | None = None,
    labels: dict[str, str] | None = None,
    *,
    annotations: dict[str, str] | None = None,
    entries: tuple[tuple[str, str], ...] = (("kubectl", "Update"),),
    account: str = "canal",
) -> dict[str, Any]:
    fields = [
        {"manager": manager, "operation": operation, "fieldsV1": {"f:spec": {"f:template": {}}}}
        for manager, operation in entries
    ]
    metadata = {"name": name, "namespace": namespace, "annotations": annotations or {}, "managedFields": fields}
    template = {"metadata": {"labels": labels or LABELS}, "spec": {"serviceAccountName": account}}
    return {"metadata": metadata, "spec": {"selector": selector or {"matchLabels": LABELS}, "template": template}}


def config_map(config: dict[str, Any] | None = None, name: str = "canal-config", **more: str) -> dict[str, Any]:
    data = {"net-conf.json": json.dumps(config or CONFIG), **more}
    return {"metadata": {"name": name, "namespace": "kube-system"}, "data": data}


def record(plugin: str, **more: Any) -> dict[str, Any]:
    given = {"plugin": plugin, "role": "primary", "install_method": "manifest", "namespace": "net", "warnings": []}
    return {**given, **more}


def node(name: str, *ranges: str) -> dict[str, Any]:
    spec = {"podCIDR": ranges[0], "podCIDRs": list(ranges)} if ranges else {}
    return {"metadata": {"name": name}, "spec": spec}


def decide(found: CanalFound, config: dict[str, Any] | None = None, **more: Any) -> adoption.Decision:
    return adoption.decide(adoption.Wanted(HERE, LABELS, config or CONFIG, **more), found, US)


def test_an_empty_cluster_gets_a_new_installation() -> None:
    nodes = [node("n1", "10.244.0.0/24"), node("n2")]
    decision = decide(CanalFound(records=[record("generic")], nodes=nodes))
    assert decision == adoption.Decision(adoption.INSTALL, HERE)


def test_canal_of_others_is_upgraded_where_it_is() -> None:
    selector = {"matchLabels": {"k8s-app": "canal", "net": "ours"}}
    there = daemonset("net", "rke-canal", selector, {**selector["matchLabels"]}, account="rke")
    found = CanalFound([record("canal")], [there], config_map(name="rke", cni_network_config=conflist()))
    decision = decide(found)
    assert decision.action == adoption.UPGRADE
    assert decision.place == Place("net", "rke-canal", "rke", "rke", selector, {"net": "ours"})
    assert decision.take_over
    assert not decision.remove
    assert decision.network_name == "k8s-pod-network"


@pytest.mark.parametrize(
    ("entries", "take_over"),
    [
        (((US, "Apply"),), False),
        (((US, "Apply"), (US, "Update")), True),
        ((("kubectl", "Update"), (US, "Apply")), False),
        ((("kubectl", "Update"),), True),
    ],
)
def test_fields_are_taken_over_unless_they_are_ours(entries: tuple[tuple[str, str], ...], take_over: bool) -> None:
    decision = decide(CanalFound([record("canal")], [daemonset(entries=entries)], config_map()))
    assert decision.take_over == take_over


@pytest.mark.parametrize(("labels", "orphan"), [({"k8s-app": "canal", "x": "y"}, True), ({"x": "y"}, False)])
def test_a_selector_that_cannot_be_kept_costs_the_daemonset(labels: dict[str, str], orphan: bool) -> None:
    selector = {"matchLabels": {"x": "y"}, "matchExpressions": [{"key": "k8s-app", "operator": "DoesNotExist"}]}
    decision = decide(CanalFound([record("canal")], [daemonset(selector=selector, labels=labels)], config_map()))
    assert decision.action == adoption.REPLACE
    assert decision.remove
    assert decision.orphan == orphan
    assert decision.place.selector == HERE.selector
    assert decision.place.labels == {}


REFUSED: list[tuple[CanalFound, dict[str, Any], str]] = [
    (CanalFound([record("cilium")]), {}, "cilium in namespace net carries the pods of this cluster"),
    (CanalFound([record("cilium")]), {"purpose": "from_flannel"}, "cilium in namespace net carries the pods"),
    (CanalFound([record("calico")]), {}, "calico in namespace net carries the pods"),
    (CanalFound([record("flannel")]), {}, "Canal can take its place, node by node: run the playbook"),
    (
        CanalFound([record("flannel", install_method="embedded", distribution="k3s")]),
        {"purpose": "from_flannel"},
        "k3s runs flannel inside its own process.* podnet.cni.distribution shows",
    ),
    (
        CanalFound([record("unknown", warnings=["DaemonSets are forbidden."])]),
        {},
        "could be overlooked: DaemonSets are forbidden",
    ),
    (
        CanalFound([record("canal")], [daemonset(), daemonset("net")], config_map()),
        {},
        "installed more than once: kube-system/canal, net/canal",
    ),
    (
        CanalFound([record("canal")], [daemonset(annotations={"meta.helm.sh/release-name": "rke2-canal"})]),
        {},
        "belongs to RKE2, .* HelmChartConfig called rke2-canal in kube-system.* podnet.cni.distribution shows",
    ),
    (
        CanalFound([record("canal")], [daemonset(name="rke2-canal")], config_map()),
        {},
        "belongs to RKE2, .* HelmChartConfig called rke2-canal in kube-system.* podnet.cni.distribution shows",
    ),
    (
        CanalFound([record("canal")], [daemonset(annotations={"meta.helm.sh/release-name": "net"})]),
        {},
        "belongs to the Helm release net",
    ),
    (
        CanalFound([record("canal")], [daemonset()], config_map()),
        {"policy": "never"},
        "which this role did not make",
    ),
    (
        CanalFound([record("canal")], [daemonset()], config_map({**CONFIG, "Network": "10.8.0.0/16"})),
        {},
        "The network of kube-system/canal would change: Network 10.8.0.0/16 -> 10.244.0.0/16",
    ),
    (
        CanalFound(nodes=[node("n1", "10.9.1.0/24")]),
        {},
        "Node n1 has podCIDR 10.9.1.0/24, which is not in 10.244",
    ),
    (
        CanalFound(nodes=[node("n1", "10.244.1.0/24")]),
        {"config": DUAL},
        "Node n1 has podCIDR 10.244.1.0/24 only, but two families are wanted",
    ),
    (
        CanalFound(
            [record("flannel")],
            flannels=[daemonset()],
            flannel_config_map=config_map({**CONFIG, "Backend": {"Type": "host-gw"}}),
        ),
        {"purpose": "from_flannel"},
        "backend host-gw -> vxlan",
    ),
]


@pytest.mark.parametrize(("found", "more", "message"), REFUSED)
def test_what_is_refused(found: CanalFound, more: dict[str, Any], message: str) -> None:
    with pytest.raises(ConflictError, match=message):
        decide(found, **more)


@pytest.mark.parametrize("role", ["policy", "chained", "meta", "leftover"])
def test_what_carries_no_pods_is_no_hindrance(role: str) -> None:
    assert decide(CanalFound([record("calico", role=role)])).action == adoption.INSTALL


def test_our_own_is_no_stranger() -> None:
    found = CanalFound([record("canal")], [daemonset(entries=((US, "Apply"),))], config_map())
    assert decide(found, policy="never").action == adoption.UPGRADE


def test_a_change_that_is_allowed_is_told() -> None:
    found = CanalFound([record("canal")], [daemonset()], config_map({**CONFIG, "Backend": {"Type": "host-gw"}}))
    decision = decide(found, allow_network_change=True)
    assert decision.changes[0].startswith("backend host-gw -> vxlan")


def test_flannel_hands_on_its_network() -> None:
    there = daemonset("kube-flannel", "kube-flannel-ds", account="flannel")
    there["metadata"]["annotations"] = {"meta.helm.sh/release-name": "flannel"}
    cni = json.dumps({"name": "cbr0", "plugins": [{"type": "flannel"}]})
    binding = {"subjects": [{"kind": "ServiceAccount", "name": "flannel", "namespace": "kube-flannel"}]}
    found = CanalFound(
        [record("flannel")],
        flannels=[there],
        flannel_config_map=config_map(name="kube-flannel-cfg", **{"cni-conf.json": cni}),
        flannel_binding=binding,
    )
    decision = decide(found, purpose="from_flannel")
    assert decision.action == adoption.INSTALL
    assert decision.network_name == "cbr0"
    assert [f"{item['kind']}/{item['metadata']['name']}" for item in decision.replaced] == [
        "ConfigMap/kube-flannel-cfg",
        "ServiceAccount/flannel",
        "ClusterRoleBinding/flannel",
        "DaemonSet/kube-flannel-ds",
    ]
    assert "The record of the Helm release flannel stays" in decision.warnings[0]


def test_an_interrupted_run_left_the_name_of_the_network() -> None:
    left = config_map(cni_network_config=conflist())
    assert decide(CanalFound(left_config_map=left)).network_name == "k8s-pod-network"
    assert decide(CanalFound(left_config_map=left), purpose="to_flannel").network_name == "k8s-pod-network"


def test_removal_looks_at_no_other_network() -> None:
    nodes = [node("n1", "10.9.1.0/24")]
    there = config_map({**CONFIG, "Network": "10.8.0.0/16"})
    found = CanalFound([record("cilium"), record("canal")], [daemonset()], there, nodes)
    assert decide(found, purpose="remove").action == adoption.UPGRADE
    with pytest.raises(ConflictError, match="belongs to RKE2"):
        decide(
            CanalFound([], [daemonset(annotations={"meta.helm.sh/release-name": "rke2-canal"})]),
            purpose="remove",
        )


def test_nodes_are_still_in_the_old_range_when_it_may_change() -> None:
    assert decide(CanalFound(nodes=[node("n1", "10.9.1.0/24")]), allow_network_change=True)


def test_rights_of_another_account_are_not_taken() -> None:
    binding = {"subjects": [{"kind": "ServiceAccount", "name": "other", "namespace": "kube-system"}]}
    found = CanalFound(flannels=[daemonset(name="f", account="flannel")], flannel_binding=binding)
    assert [item["kind"] for item in adoption.flannel_objects(found)] == ["DaemonSet"]


def test_an_interrupted_migration_goes_on_with_both_there() -> None:
    found = CanalFound(
        [record("flannel"), record("canal")], [daemonset()], config_map(), flannels=[daemonset(name="f")]
    )
    decision = decide(found, purpose="from_flannel")
    assert decision.action == adoption.UPGRADE
    assert [item["metadata"]["name"] for item in decision.replaced] == ["f"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"plugins": [{}]}'])
def test_network_name_that_cannot_be_read(text: str) -> None:
    assert adoption.network_name(config_map(x=text), "x") == ""


def test_former_crds() -> None:
    served = {
        "crd.projectcalico.org/v1": ["ippools", "tiers"],
        "policy.networking.k8s.io/v1alpha1": ["adminnetworkpolicies", "clusternetworkpolicies"],
        "policy.networking.k8s.io/v1alpha2": ["clusternetworkpolicies", "somethingelse"],
    }
    kept = ["ippools.crd.projectcalico.org", "clusternetworkpolicies.policy.networking.k8s.io"]
    assert adoption.former_crds(served, kept) == [
        ("adminnetworkpolicies.policy.networking.k8s.io", "policy.networking.k8s.io/v1alpha1"),
        ("tiers.crd.projectcalico.org", "crd.projectcalico.org/v1"),
    ]


def test_definitions_may_be_in_the_manifest_or_in_the_cluster() -> None:
    needed = [
        "ippools.crd.projectcalico.org",
        "tiers.crd.projectcalico.org",
        "felixconfigurations.crd.projectcalico.org",
    ]
    served = {"crd.projectcalico.org/v1": ["tiers"], "apps/v1": ["ippools"]}
    missing = adoption.missing_crds(served, ["ippools.crd.projectcalico.org"], needed)
    assert missing == ["felixconfigurations.crd.projectcalico.org"]
    with pytest.raises(
        InputError, match=r"is not whole: its pods need felixconfigurations\.crd.*apply these definitions"
    ):
        adoption.refuse_missing_crds(missing)
    adoption.refuse_missing_crds([])


def test_nodes_that_are_ready_have_a_network_known_or_not() -> None:
    generic = record("generic") | {"nodes": {"ready": 2, "total": 3}, "evidence": []}
    with pytest.raises(ConflictError, match=r"2 of 3 Nodes are Ready.*canal_allow_unknown_network"):
        decide(CanalFound(records=[generic]))
    assert decide(CanalFound(records=[generic]), allow_unknown_network=True).action == "install"


NODES = [node("n1", "10.244.0.0/24"), node("n2", "10.244.1.0/24")]
CANAL = CanalFound([record("canal")], [daemonset()], config_map(cni_network_config=conflist()), nodes=NODES)


@pytest.mark.parametrize("purpose", ["to_flannel", "remove"])
@pytest.mark.parametrize(("names", "missing"), [([], "n1, n2"), (["n1"], "n2"), (["N1", "n2"], "n1")])
def test_canal_does_not_end_while_nodes_keep_its_configuration(purpose: str, names: list[str], missing: str) -> None:
    with pytest.raises(ConflictError, match=f"The files of {missing} of the cluster's 2 nodes.*canal_node_name"):
        decide(CANAL, purpose=purpose, node_names=names)
    told = decide(CANAL, purpose=purpose, node_names=names, allow_missing_nodes=True).warnings
    assert f"{missing} of the cluster's 2 nodes keep Canal's configuration" in told[0]
    assert decide(CANAL, purpose=purpose).warnings == (), "nothing is said about nodes"
    assert decide(CANAL, purpose=purpose, node_names=["n1", "n2"]).warnings == ()


def test_nodes_that_keep_flannels_file_are_told() -> None:
    told = decide(CANAL, purpose="from_flannel", node_names=["n1", "balancer"]).warnings
    assert told[0].startswith("n2 of the cluster's 2 nodes keep flannel's file")
    assert told[1] == "No Node has the name of balancer, although canal_node_hosts has such a host."
