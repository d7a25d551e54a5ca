# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pure parts: ranges, flags, images, records, roles, health, Nodes, summaries."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.module_utils._discovery import (
    cidr_sources,
    cidrs,
    health,
    net_conf,
    objects,
    recognisers,
    record,
    roles,
    summary,
)
from ansible_collections.podnet.cni.plugins.module_utils._discovery.record import Cidr, Evidence, Record, Workload
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery import fakes
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery.fakes import Cluster, discovered

NETWORKS = st.one_of(
    st.builds(lambda a, p: f"{a}/{p}", st.ip_addresses(v=4), st.integers(0, 32)),
    st.builds(lambda a, p: f"{a}/{p}", st.ip_addresses(v=6), st.integers(0, 128)),
)
WORDS = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="=\"'-"), min_size=1, max_size=8)


# -- ranges -----------------------------------------------------------------------------------------------------------


@given(st.lists(NETWORKS), st.sampled_from([",", " ", ", ", "\n"]))
def test_ranges_are_masked_unique_and_in_order(texts: list[str], separator: str) -> None:
    good, bad = cidrs.parse_cidrs(separator.join(texts), "s")
    assert bad == []
    assert [item.cidr for item in good] == list(
        dict.fromkeys(str(ipaddress.ip_network(text, strict=False)) for text in texts)
    )
    assert all(item.family == ipaddress.ip_network(item.cidr).version for item in good)


@given(st.text())
def test_no_text_ever_becomes_an_empty_range(text: str) -> None:
    good, _bad = cidrs.parse_cidrs(text, "s")
    assert all(str(ipaddress.ip_network(item.cidr)) == item.cidr for item in good)


@pytest.mark.parametrize("value", [None, "", [], "10.0.0.1", ["x"], 7, [None], {"a": 1}])
def test_what_is_no_range(value: Any) -> None:
    good, bad = cidrs.parse_cidrs(value, "s")
    assert good == []
    assert bool(bad) == (value not in (None, "", []))


@given(NETWORKS, NETWORKS)
def test_containment_agrees_with_the_standard_library(outer: str, inner: str) -> None:
    one, other = ipaddress.ip_network(outer, strict=False), ipaddress.ip_network(inner, strict=False)
    expected = one.version == other.version and one.prefixlen <= other.prefixlen and one.overlaps(other)
    assert cidrs.contains([Cidr(str(one), one.version, "s")], inner) is expected


@given(NETWORKS, st.integers(0, 128))
def test_host_prefix_is_stripped(network: str, length: int) -> None:
    assert cidrs.strip_host_prefix(f"{network}/{length},{network}") == f"{network},{network}"


# -- objects ----------------------------------------------------------------------------------------------------------


@given(WORDS, WORDS, st.booleans(), st.lists(WORDS))
def test_flags_in_both_forms(name: str, value: str, joined: bool, others: list[str]) -> None:
    given_words = [f"--{name}={value}"] if joined else [f"--{name}", value]
    around = [f"--{name}x{other}=no" for other in others]
    assert objects.flag([*around, *given_words, *around], name) == value


@given(st.lists(st.text(max_size=12)))
def test_flags_never_crash(words: list[str]) -> None:
    container = {"command": words, "args": words}
    objects.flag(objects.arguments(container), "cluster-cidr")
    objects.switch(objects.arguments(container), "ip-masq")


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("flannel", ("flannel", "flannel", "")),
        ("localhost:5000/flannel", ("localhost:5000/flannel", "flannel", "")),
        ("localhost:5000/a/flannel:v1@sha256:0", ("localhost:5000/a/flannel", "flannel", "v1")),
        ("", ("", "", "")),
    ],
)
def test_images(image: str, expected: tuple[str, str, str]) -> None:
    assert objects.split_image(image) == expected


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("v0.28.9", ("v0.28.9", None)),
        ("0.28.9", ("0.28.9", None)),
        ("v0.26.7-build20250404", ("v0.26.7", "build20250404")),
        ("v3.30.1+x", ("v3.30.1", "x")),
        ("latest", (None, None)),
        ("v20250214-acbabc1a", (None, None)),
        ("", (None, None)),
    ],
)
def test_versions(tag: str, expected: tuple[str | None, str | None]) -> None:
    assert objects.version_of({"image": f"example.com/x:{tag}"}) == expected


@pytest.mark.parametrize("broken", [{}, {"spec": None}, {"spec": {"template": []}}, {"metadata": None}])
def test_half_an_object_reads_as_empty(broken: dict[str, Any]) -> None:
    assert objects.containers(broken) == []
    assert objects.config_map_volumes(broken) == []
    assert objects.workload(broken).desired == 0


def test_every_recogniser_survives_half_an_object() -> None:
    for broken in ({}, {"metadata": {"name": "x"}}, {"spec": {"template": {"spec": {"containers": [None, {}]}}}}):
        for recogniser in recognisers.load_all():
            assert recogniser.match(broken) == 0


def test_projected_volumes_count() -> None:
    sources = [{"configMap": {"name": "b"}}, {"secret": {"name": "no"}}]
    volumes = [{"configMap": {"name": "a"}}, {"projected": {"sources": sources}}, {"configMap": {"name": "a"}}]
    assert objects.config_map_volumes({"spec": {"template": {"spec": {"volumes": volumes}}}}) == ["a", "b"]


# -- net-conf.json ----------------------------------------------------------------------------------------------------


def read(text: Any) -> Record:
    found = Record("flannel")
    net_conf.apply(found, text, "here")
    return found


def test_missing_backend_is_udp_with_a_warning() -> None:
    found = read('{"Network": "10.0.0.0/8"}')
    assert found.networking.backend == {"type": "udp"}
    assert found.warnings[0].startswith("backend_defaulted_udp")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"Network": "10.0.0.0/8", "Backend": {"Type": "vxlan"}}', None),
        ('{"Network": "10.0.0.0/8", "Backend": {"Type": "ali-vpc"}}', None),
        ('{"Network": "10.0.0.0/8", "Backend": {}}', "no Type"),
        ('{"Network": "10.0.0.0/8", "Backend": {"VNI": 1}}', "no Type"),
        ('{"Network": "10.0.0.0/8", "Backend": {"Type": "vxlann"}}', "'vxlann' is unknown"),
        ('{"Network": "10.0.0.0/8", "Backend": {"Type": "vxlan", "Port": "4789"}}', "Port must be a whole number"),
        ('{"Network": "10.0.0.0/8", "SubnetLen": "12", "Backend": {"Type": "vxlan"}}', "SubnetLen must be a whole"),
        ('{"Network": "10.0.0.0/8", "EnableIPv4": "false", "Backend": {"Type": "vxlan"}}', "EnableIPv4 must be true"),
        ('{"Network": "10.0.0.0/255.0.0.0", "Backend": {"Type": "vxlan"}}', "is not a network in CIDR notation"),
        ('{"Network": "10.0.0.0/8", "Backend": "vxlan"}', "must be an object"),
        ('{"EnableIPv4": false, "Backend": {"Type": "vxlan"}}', "both false"),
        ('{"Network": "fd00::/48", "Backend": {"Type": "vxlan"}}', "it must be IPv4"),
        ('{"Network": "10.0.0.0/8", "EnableIPv6": true, "Backend": {"Type": "vxlan"}}', "IPv6Network is missing"),
        (None, "not JSON"),
        ('\ufeff{"Network": "10.0.0.0/8"}', "byte order mark"),
    ],
)
def test_configuration_errors(text: Any, words: str | None) -> None:
    found = read(text)
    assert (found.config_error is None) if words is None else words in (found.config_error or "")


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"Backend": {"Type": "vxlann"}}, "Backend.Type 'vxlann' is unknown; write one of"),
        ({"Backend": {"Type": "vxlan", "Port": "4789"}}, "Port must be a whole number without quotes, not a string"),
        ({"EnableIPv4": "false"}, "EnableIPv4 must be true or false, not a string 'false'"),
    ],
)
def test_what_flanneld_refuses_is_not_read_as_fine(members: dict[str, Any], words: str) -> None:
    found = read(json.dumps({"Network": "10.60.0.0/16", "Backend": {"Type": "vxlan"}, **members}))
    assert words in (found.config_error or "")
    assert (found.config_error or "").endswith("Correct the ConfigMap, then restart the pods.")


def test_a_subnet_length_that_flanneld_does_not_read_with_kubernetes_is_warned_of() -> None:
    """tests/integration/flanneld/test_codec.py shows that flanneld starts with it."""
    found = read('{"Network": "10.60.0.0/16", "SubnetLen": 12, "Backend": {"Type": "vxlan"}}')
    assert found.config_error is None
    (warning,) = found.warnings
    assert warning.startswith(
        "subnet_options_unread: here: network config: SubnetLen 12 gives Network 10.60.0.0/16 fewer"
    )
    assert "it reads no SubnetLen: the controller manager decides" in warning
    assert read('{"Network": "10.60.0.0/16", "SubnetLen": 26, "Backend": {"Type": "vxlan"}}').warnings == []
    assert read('{"Network": "10.60.0.0/30", "Backend": {"Type": "vxlan"}}').warnings == []


def test_options_and_case() -> None:
    backend = {"type": "VXLAN", "vni": 42, "DirectRouting": True, "MTU": 1400}
    text = json.dumps({"NETWORK": "10.1.2.3/8", "enablenftables": True, "Backend": backend})
    networking = read(text).networking
    assert networking.backend == {"type": "vxlan", "vni": 42, "direct_routing": True, "mtu": 1400}
    assert [item.cidr for item in networking.pod_cidrs] == ["10.0.0.0/8"]
    assert (networking.mtu, networking.mtu_auto, networking.nftables) == (1400, False, True)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_any_json_is_read_without_a_crash(value: Any) -> None:
    for wrapped in (value, {"Network": value}, {"Network": "10.0.0.0/8", "Backend": value}):
        json.dumps(record.to_dict(read(json.dumps(wrapped))))


def test_secrets_stay_out_of_errors() -> None:
    found = read('{"Network": "10.0.0.0/8", "Backend": {"Type": "ipsec", "PSK": "hidden-hidden"}')
    assert found.config_error
    assert "hidden" not in json.dumps(record.to_dict(found))


# -- records, roles, health -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "expected"),
    [([95], "certain"), ([90], "certain"), ([60], "likely"), ([85, 5], "certain"), ([30], "possible"), ([25], "weak")],
)
def test_confidence(weights: list[int], expected: str) -> None:
    evidence = [Evidence(f"source{index}", "r", "f", weight) for index, weight in enumerate(weights)]
    assert record.confidence(evidence) == expected
    assert record.confidence([]) == "weak"


def test_facts_of_one_source_are_not_independent() -> None:
    assert record.confidence([Evidence("a", "1", "f", 55)] * 5) == "possible"


def running(plugin: str, conf: str, namespace: str = "n", ready: int = 1, desired: int = 1) -> Record:
    found = Record(plugin, namespace=namespace)
    found.cni.conf_name = conf
    found.workloads = [Workload("DaemonSet", namespace, plugin, desired=desired, ready=ready)]
    return found


def test_first_configuration_file_by_name_carries_the_pods() -> None:
    records = [running("flannel", "10-flannel.conflist"), running("cilium", "05-cilium.conflist")]
    roles.assign(records)
    assert [item.role for item in records] == ["secondary", "primary"]
    assert all(roles.SEVERAL in item.health.reasons for item in records)


def test_disabled_beside_active_is_a_leftover() -> None:
    records = [running("flannel", "10-flannel.conflist", desired=0), running("cilium", "05-cilium.conflist")]
    roles.assign(records)
    assert [item.role for item in records] == ["leftover", "primary"]


def test_alone_and_disabled_stays_what_it_is() -> None:
    records = [running("flannel", "10-flannel.conflist", desired=0, ready=0)]
    roles.assign(records)
    health.judge(records[0])
    assert (records[0].role, records[0].health.state) == ("primary", "disabled")


def test_the_duplicate_is_the_one_with_fewer_ready_pods() -> None:
    records = [running("flannel", "c", "a", ready=1, desired=3), running("flannel", "c", "b", ready=3, desired=3)]
    roles.assign(records)
    assert [item.role for item in records] == ["duplicate", "primary"]


def test_what_no_controller_has_counted_is_neither_disabled_nor_left_over() -> None:
    records = [running("flannel", "c", "a", desired=0, ready=0), running("flannel", "c", "b", desired=0, ready=0)]
    for item in records:
        item.workloads[0].generation = 1
    roles.assign(records)
    for item in records:
        health.judge(item)
    assert sorted(item.role for item in records) == ["duplicate", "primary"]
    assert {item.health.state for item in records} == {"unknown"}
    assert not any(health.NOT_SCHEDULED in item.health.reasons for item in records)


@pytest.mark.parametrize(
    ("changes", "state", "reason"),
    [
        ({}, "healthy", None),
        ({"ready": 0, "available": 0}, "broken", health.NONE_READY),
        ({"updated": 1}, "degraded", health.NOT_ROLLED_OUT),
        ({"updated": 1, "update_strategy": "OnDelete"}, "healthy", None),
        ({"available": 1}, "degraded", health.NOT_ROLLED_OUT),
        ({"generation": 5}, "unknown", health.NOT_COUNTED),
        ({"observed_generation": 0, "desired": 0, "ready": 0}, "unknown", health.NOT_COUNTED),
        ({"desired": 0, "ready": 0}, "disabled", health.NOT_SCHEDULED),
    ],
)
def test_health_of_workloads(changes: dict[str, Any], state: str, reason: str | None) -> None:
    values: dict[str, Any] = {"desired": 2, "updated": 2, "ready": 2, "available": 2, "generation": 4}
    values |= {"observed_generation": 4, "update_strategy": "RollingUpdate", **changes}
    found = Record("flannel", workloads=[Workload("DaemonSet", "n", "x", **values)])
    health.judge(found)
    assert found.health.state == state
    assert reason is None or reason in found.health.reasons


def test_two_daemonsets_on_the_same_nodes_overlap() -> None:
    cluster = Cluster().nodes(fakes.node("a"), fakes.node("b"))
    labels = {"k8s-app": "calico-node"}
    for name in ("calico-node", "calico-node-old"):
        cluster.daemonsets(fakes.daemonset(name, "kube-system", "quay.io/calico/node:v3.30.1", labels=labels))
    (found,) = discovered(cluster)
    assert health.OVERLAPPING in found["health"]["reasons"]


def test_recognisers_and_their_tests_match() -> None:
    folder = Path(__file__).parent / "recognisers"
    modules = {item.stem for item in Path(recognisers.__file__).parent.glob("[a-z]*.py")}
    assert {item.stem.removeprefix("test_") for item in folder.glob("test_*.py")} == modules
    names = [item.plugin for item in recognisers.load_all()]
    assert len(names) == len(set(names)) == len(modules)
    assert set(names) < set(record.PLUGINS)


# -- Nodes ------------------------------------------------------------------------------------------------------------


def inconsistencies(*nodes: dict[str, Any], net: str = fakes.NET_CONF) -> tuple[str, dict[str, Any]]:
    cluster = (
        Cluster().daemonsets(fakes.flannel_daemonset()).configmaps(fakes.flannel_configmap(net_conf=net)).nodes(*nodes)
    )
    (found,) = discovered(cluster)
    return "\n".join(found["nodes"]["inconsistencies"]), found


FLANNEL = fakes.FLANNEL


@pytest.mark.parametrize(
    ("node", "words"),
    [
        (fakes.node("b"), "node b has no flannel annotations"),
        (fakes.node("b", annotations={"x.org/kube-subnet-manager": "true"}), "under another prefix (x.org/"),
        (fakes.flannel_node("b", 2, annotations={f"{FLANNEL}backend-type": "host-gw"}), "backend-type differs"),
        (fakes.flannel_node("b", 2, annotations={f"{FLANNEL}backend-data": '{"VNI": 7}'}), "VNI differs"),
        (fakes.flannel_node("b", 2, annotations={f"{FLANNEL}public-ip": "nowhere"}), "'nowhere' is not an address"),
        (fakes.flannel_node("b", 2, annotations={f"{FLANNEL}backend-data": "{"}), "backend-data is not JSON"),
        (fakes.flannel_node("b", 2, pod_cidrs=["10.99.0.0/24"]), "podCIDR 10.99.0.0/24 lies outside 10.244.0.0/16"),
        (fakes.flannel_node("b", 2, pod_cidrs=["10.244.2.0/24"] * 3), "has 3 podCIDRs"),
        (fakes.flannel_node("b", 2, pod_cidrs=["none"]), "'none' is not a CIDR"),
    ],
)
def test_a_node_that_does_not_fit(node: dict[str, Any], words: str) -> None:
    found, data = inconsistencies(fakes.flannel_node("a", 1), node)
    assert words in found
    assert (data["health"]["state"], data["health"]["reasons"]) == ("degraded", ["node_inconsistent"])


def test_a_node_the_daemonset_is_not_meant_for_is_no_fault() -> None:
    nodes = [fakes.flannel_node("a", 1), fakes.flannel_node("b", 2), fakes.node("win", system="windows")]
    found, data = inconsistencies(*nodes)
    assert (found, data["health"]["state"]) == ("", "healthy")


@pytest.mark.parametrize("missing", ["public-ip", "backend-data"])
def test_half_written_annotations(missing: str) -> None:
    node = fakes.flannel_node("b", 2)
    del node["metadata"]["annotations"][f"{FLANNEL}{missing}"]
    assert f"incomplete: {missing} is missing" in inconsistencies(fakes.flannel_node("a", 1), node)[0]


@pytest.mark.parametrize(
    ("net", "words"),
    [
        ('{"Network": "10.244.0.0/16", "Backend": {"Type": "host-gw"}}', "still run vxlan: restart pending"),
        ('{"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan", "VNI": 2}}', "still use 1: restart pending"),
    ],
)
def test_changed_configuration_waits_for_a_restart(net: str, words: str) -> None:
    assert words in inconsistencies(fakes.flannel_node("a", 1), net=net)[0]


def test_many_are_shortened() -> None:
    found, _data = inconsistencies(*(fakes.node(f"n{index}") for index in range(30)))
    assert found.endswith("and 10 more")


def test_unavailable_network() -> None:
    cluster = fakes.flannel_cluster().nodes(fakes.flannel_node("c", 3, unavailable="True"))
    (found,) = discovered(cluster)
    assert found["nodes"]["network_unavailable"] == 1
    assert "node_network_unavailable" in found["health"]["reasons"]


def test_no_nodes_are_read_when_none_are_wanted() -> None:
    cluster = fakes.flannel_cluster()
    (found,) = discovered(cluster, nodes=0)
    assert found["nodes"]["total"] == 0
    assert not any("nodes" in path for path in cluster.paths())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"version": "v1.33.1+k3s1"}, "k3s"),
        ({"version": "v1.33.1-eks-1"}, "eks"),
        ({"labels": {"minikube.k8s.io/name": "m"}}, "minikube"),
        ({"labels": {"kops.k8s.io/instancegroup": "x"}}, "kops"),
        ({"annotations": {"rke.cattle.io/external-ip": "1"}}, "rke1"),
        ({}, None),
    ],
)
def test_distribution(options: dict[str, Any], expected: str | None) -> None:
    assert discovered(Cluster().nodes(fakes.node("a", **options)))[0]["distribution"] == expected


@pytest.mark.parametrize(("text", "minor"), [("v1.33.1+k3s1", 33), ("1.9", 9), ("v2.0", 0), (None, 0), ("", 0)])
def test_minor_version(text: str | None, minor: int) -> None:
    assert cidr_sources.minor_version(text) == minor


# -- summary --------------------------------------------------------------------------------------------------------


def test_summary() -> None:
    cluster = fakes.flannel_cluster()
    labels = {"app": "multus"}
    cluster.daemonsets(
        fakes.daemonset("m", "kube-system", "example.com/multus-cni:v4", labels=labels, desired=2, ready=0)
    )
    data = summary.summarise(discovered(cluster))
    assert (data["primary"], data["health"], data["scope"]) == ("flannel", "broken", "cluster")
    assert [item["plugin"] for item in data["components"]] == ["flannel", "multus"]
    assert [item["cidr"] for item in data["pod_cidrs"]] == ["10.244.0.0/16"]
    assert (data["overlaps"], data["overlap_unknown"]) == ([], [])


@pytest.mark.parametrize(
    ("change", "scope", "words"),
    [
        ({"plugin": "unknown"}, "partial", ["not wholly", "what carries the pods"]),
        ({"role": "leftover"}, "cluster", ["what carries the pods"]),
        ({}, "namespace", ["only some namespaces"]),
        ({"pod_cidrs": []}, "cluster", ["pod range"]),
        ({"service_cidrs": []}, "cluster", ["service range"]),
    ],
)
def test_what_was_not_read_cannot_be_judged(change: dict[str, Any], scope: str, words: list[str]) -> None:
    (found,) = discovered(fakes.flannel_cluster())
    ranges = {key: change.pop(key) for key in list(change) if key.endswith("_cidrs")}
    found = {**found, **change, "scope": scope, "networking": {**found["networking"], **ranges}}
    reasons = summary.summarise([found])["overlap_unknown"]
    assert len(reasons) == len(words)
    assert all(word in reason for word, reason in zip(words, reasons, strict=True))


@given(
    st.lists(NETWORKS, min_size=2, max_size=2), st.lists(st.sampled_from(["pod", "service"]), min_size=2, max_size=2)
)
def test_overlaps_are_mutual(texts: list[str], kinds: list[str]) -> None:
    networks = [ipaddress.ip_network(text, strict=False) for text in texts]
    summaries: list[dict[str, Any]] = []
    for name, network, kind in zip("ab", networks, kinds, strict=True):
        ranges: dict[str, Any] = {"pod_cidrs": [], "service_cidrs": []}
        ranges[f"{kind}_cidrs"] = [{"cidr": str(network)}]
        summaries.append({"cluster": name, "overlaps": [], **ranges})
    summary.note_overlaps(summaries)
    expected = networks[0].version == networks[1].version and networks[0].overlaps(networks[1])
    assert [len(item["overlaps"]) for item in summaries] == [int(expected)] * 2
    for one, other in (summaries, summaries[::-1]):
        for overlap in one["overlaps"]:
            assert overlap["other_cluster"] == other["cluster"]
            assert f"{overlap['other_kind']}_cidrs" in other
