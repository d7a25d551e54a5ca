# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of an upgrade."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._upgrade import network, text, versions, waves
from ansible_collections.podnet.cni.plugins.module_utils._upgrade.waves import Choice
from ansible_collections.podnet.cni.tests.unit._upgrade_plans import CONTROL, daemonset, made, template

NODES = st.dictionaries(
    st.from_regex(r"n[0-9]{1,3}", fullmatch=True), st.sampled_from([{}, CONTROL, {"pool": "x"}]), max_size=40
)
BATCHES = st.lists(st.one_of(st.integers(1, 9).map(str), st.integers(1, 100).map(lambda n: f"{n}%")), min_size=1)


@given(NODES, BATCHES)
def test_every_node_is_in_exactly_one_wave(nodes: dict[str, dict[str, str]], batch: list[str]) -> None:
    found = waves.divide(nodes, Choice(batch=batch))
    assert sorted(name for _kind, names in found for name in names) == sorted(nodes)
    assert all(names for _kind, names in found)
    kinds = [kind for kind, _names in found]
    assert kinds == sorted(kinds, key=("canary", "control-plane", "batch").index)
    if any(not waves.is_control_plane(labels) for labels in nodes.values()):
        assert not waves.is_control_plane(nodes[found[0][1][0]]), "the canary is a worker where there is one"


def test_canary_then_control_plane_then_batches() -> None:
    nodes = [f"n{number}" for number in range(1, 19)] + ["c1", "c2"]
    found = made(daemonset(nodes))
    assert [(wave["kind"], len(wave["nodes"])) for wave in found["waves"]] == [
        ("canary", 1),
        ("control-plane", 1),
        ("batch", 1),
        ("batch", 5),
        ("batch", 12),
    ]
    assert (found["waves"][0]["nodes"], found["waves"][1]["nodes"]) == (["n1"], ["c1"])
    assert (found["nodes"], found["least_seconds"]) == (20, 150)


def test_linux_and_windows_have_waves_of_their_own() -> None:
    windows = daemonset(["w1", "w2"], place="kube-flannel/windows", os="windows")
    found = made(daemonset(["n1", "n2"]), windows, choice=Choice(canary_nodes=["w2"], batch=["100%"]))
    assert [(wave["number"], wave["os"], wave["daemonset_wave"], wave["nodes"]) for wave in found["waves"]] == [
        (1, "linux", 1, ["n1"]),
        (2, "linux", 2, ["n2"]),
        (3, "windows", 1, ["w2"]),
        (4, "windows", 2, ["w1"]),
    ]


def test_nothing_to_do() -> None:
    found = made(daemonset(["n1"], after=template()))
    assert (found["action"], found["waves"], found["backup"], found["not_reversible"]) == ("none", [], [], [])


def test_pods_of_an_older_template_are_something_to_do() -> None:
    assert made(daemonset(["n1", "n2"], after=template(), outdated=["n2"]))["action"] == "upgrade"


def test_what_changes_comes_from_the_matrix() -> None:
    found = made(daemonset(["n1"], before=template("v0.25.7")))
    assert (found["current"]["flannel"], found["target"]["flannel"]) == ("0.25.7", "0.28.9")
    assert any("br_netfilter" in each["text"] + each["action"] for each in found["changes"])
    assert all(each["product"] == "flannel" for each in found["changes"])


def test_unknown_version_is_told() -> None:
    found = made(daemonset(["n1"], before=template("v0.99.0")))
    assert any("flannel 0.99.0 is not in the matrix" in each for each in found["warnings"])


@pytest.mark.parametrize(
    ("after", "says"),
    [
        ({"Type": "host-gw"}, "the backend (vxlan -> host-gw)"),
        ({"Type": "vxlan", "VNI": 4096}, "what identifies the packets"),
    ],
)
def test_what_a_rollback_does_not_bring_back(after: dict[str, Any], says: str) -> None:
    config = {"net-conf.json": json.dumps({"Network": "10.244.0.0/16", "Backend": after})}
    found = made(daemonset(["n1"], config_after=config))
    assert any(each.startswith(says) for each in found["not_reversible"])
    same = {"net-conf.json": '{"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan", "VNI": 1}}'}
    assert not any(
        "do not reach each other" in each for each in made(daemonset(["n1"], config_after=same))["not_reversible"]
    )


def test_nodes_that_are_not_ready_are_left_out() -> None:
    found = made(daemonset(["n1", "n2"]), ill=("n1",))
    assert (found["left_out"], found["waves"][0]["nodes"]) == (["n1"], ["n2"])


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        (Choice(canary_nodes=["n9"]), "canary_nodes: n9 runs no pod of the network or is not ready"),
        (Choice(canary_nodes=["n2"]), "canary_nodes: n2"),
        (Choice(canary_selector="pool=canary"), "canary_selector selects no node"),
        (Choice(batch=[]), "batch is empty"),
        (Choice(batch=["0"]), "neither a number"),
    ],
)
def test_waves_that_cannot_be(choice: Choice, says: str) -> None:
    with pytest.raises(InputError, match=says):
        made(daemonset(["n1", "n2"]), ill=("n2",), choice=choice)


@pytest.mark.parametrize(
    ("image", "product"),
    [
        ("ghcr.io/flannel-io/flannel:v0.28.9", ("flannel", "0.28.9")),
        ("docker.io/flannel/flannel:0.28.7", ("flannel", "0.28.7")),
        ("docker.io/rancher/mirrored-flannelcni-flannel:v0.20.2", ("flannel", "0.20.2")),
        ("registry:5000/x/flannel:v0.28.9@sha256:0", ("flannel", "0.28.9")),
        ("rancher/hardened-flannel:v0.26.5-build20250306", ("flannel", "0.26.5")),
        ("ghcr.io/flannel-io/flannel-cni-plugin:v1.9.1-flannel3", ("flannel_cni_plugin", "1.9.1-flannel3")),
        ("quay.io/calico/node:v3.31.7", ("calico", "3.31.7")),
        ("rancher/mirrored-calico-node:v3.30.0", ("calico", "3.30.0")),
        ("registry.k8s.io/networking/kube-network-policies:v1.1.1", ("kube_network_policies", "1.1.1")),
        ("registry:5000/flannel", None),
        ("flannel:latest", None),
        ("docker.io/library/node:20.1.0", None),
        ("", None),
    ],
)
def test_versions_in_images(image: str, product: tuple[str, str] | None) -> None:
    assert versions.product_of(image) == product


def test_differences_of_network_configs_keep_secrets() -> None:
    before = '{"Network": "10.244.0.0/16", "Backend": {"Type": "wireguard", "PSK": "old-secret"}}'
    after = '{"Network": "10.244.0.0/15", "Backend": {"Type": "wireguard", "PSK": "new-secret", "MTU": 1400}}'
    found = network.differences(before, after)
    assert found == [
        "Backend.MTU: (none) -> 1400",
        "Backend.PSK: (another secret)",
        'Network: "10.244.0.0/16" -> "10.244.0.0/15"',
    ]
    assert network.differences("no JSON", after) == ["(text)"]
    assert network.differences(before, before) == []
    assert network.differences(before, before.replace("Network", "network").replace("PSK", "psk")) == []
    assert network.backend('{"backend": {"type": "VXLAN"}}') == "vxlan"
    assert network.identity('{"backend": {"type": "VXLAN", "vni": 7}}') == {"VNI": 7, "Port": 8472}


def needs(found: dict[str, Any]) -> set[str]:
    return {each["id"] for each in found["needs"]}


def test_network_config_and_nodes_are_what_the_matrix_judges_by() -> None:
    """A flannel without nftables mode, whose network config asks for it; and what the user says counts more."""
    config = {"net-conf.json": '{"Network": "10.244.0.0/16", "EnableNFTables": true, "Backend": {"Type": "vxlan"}}'}
    item = daemonset(["n1"], before=template("v0.22.3"), after=template("v0.24.4"), config=config)
    found = made(item)
    assert [each["id"] for each in found["problems"]] == ["nftables-unknown"]
    assert made(item, features={"enable_nftables": False})["problems"] == []
    assert made(daemonset(["n1"], after=template("v0.24.4"), config_after=config))["problems"], "of the wanted config"
    assert [each["id"] for each in made(item, features={"nodes": 6000})["problems"]][-1] == "more-nodes-than-events"


def test_windows_nodes_of_a_linux_backend() -> None:
    config = {"net-conf.json": '{"Network": "10.244.0.0/16", "Backend": {"Type": "wireguard"}}'}
    item = daemonset(["n1"], config_after=config)
    assert made(item)["problems"] == []
    windows = {"n1": {"labels": {"kubernetes.io/os": "windows"}, "ready": True}}
    found = made(item, nodes=windows)
    assert [each["id"] for each in found["problems"]] == ["windows-wireguard"]


def test_what_the_running_release_needs_is_met() -> None:
    found = made(daemonset(["n1"], before=template("v0.28.8")))
    assert needs(found) == {"port-8081"}
    assert needs(made(daemonset(["n1"], before=template("v0.25.7")))) == {"port-8081", "br-netfilter"}
    dual = '{"Network": "10.244.0.0/16", "IPv6Network": "fd00::/48", "EnableIPv6": true, "Backend": {"Type": "vxlan"}}'
    assert "dual-stack-ranges" in needs(made(daemonset(["n1"], config_after={"net-conf.json": dual})))


def probed(tag: str, port: int) -> dict[str, Any]:
    made_of = template(tag)
    made_of["spec"]["containers"][0]["readinessProbe"] = {"httpGet": {"path": "/readyz", "port": port}}
    return made_of


def test_a_port_that_the_running_pods_hold_need_not_be_freed() -> None:
    asked = made(daemonset(["n1"], before=probed("v0.28.8", 9090), after=probed("v0.28.9", 8081)))
    assert any("port 8081" in f"{each['text']}{each['action']}" and each["action"] for each in asked["changes"])
    held = made(daemonset(["n1"], before=probed("v0.28.8", 8081), after=probed("v0.28.9", 8081)))
    assert not any("port 8081" in each["action"] for each in held["changes"])
    assert not any("port 8081" in each["text"] for each in held["needs"])


def test_a_change_without_a_pod_is_not_done() -> None:
    planned = made(daemonset([]))
    assert planned["action"] == "none"
    assert "No node has a pod of kube-flannel/kube-flannel-ds" in planned["problems"][0]["text"]
    shown = "\n".join(text.lines(planned))
    assert "Nothing to do" not in shown
    assert "No node has a pod" in shown
