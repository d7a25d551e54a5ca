# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What becomes of the manifest's objects, and what cannot be asked of them."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.module_utils._adoption.canal import (
    images,
    manifest,
    pod_config,
    settings,
    transform,
)
from ansible_collections.podnet.cni.plugins.module_utils._adoption.place import Place
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.tests.unit._canal_manifest import Obj, conflist, documents, find
from ansible_collections.podnet.cni.tests.unit._canal_manifest import manifest as release

NETWORK = {"Network": "10.9.0.0/16", "Backend": {"Type": "vxlan", "VNI": 7}}
DUAL = {**NETWORK, "EnableIPv6": True, "IPv6Network": "fd00:9::/48"}
ELSEWHERE = Place("nets", "rke-canal", "rke-config", "rke", {"matchLabels": {"name": "net"}}, {"name": "net"})


def made(
    calico: str = "3.32.1",
    flannel: str = "0.24.4",
    place: settings.Place | None = None,
    **wanted: Any,
) -> transform.Result:
    found = manifest.read(documents(release(calico, flannel)))
    where = place or transform.place_of(found)
    return transform.transform(found, settings.parse({"network_config": NETWORK, **wanted}), where)


def pod(result: transform.Result) -> Obj:
    return dict(find(list(result.objects), "DaemonSet")["spec"]["template"]["spec"])


def container(result: transform.Result, name: str) -> Obj:
    found = pod(result)
    return next(each for each in [*found["initContainers"], *found["containers"]] if each["name"] == name)


def environment(each: Obj) -> dict[str, Any]:
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in each["env"]}


def data(result: transform.Result) -> dict[str, str]:
    return dict(find(list(result.objects), "ConfigMap")["data"])


def test_settings_reach_the_config_map() -> None:
    result = made(interface="eth1", masquerade=False, mtu=1400)
    assert json.loads(data(result)["net-conf.json"]) == NETWORK
    assert data(result)["canal_iface"] == "eth1"
    assert data(result)["masquerade"] == "false"
    assert data(result)["veth_mtu"] == "1400"
    assert data(result)["typha_service_name"] == "none"
    assert data(result)["cni_network_config"] == conflist()


def test_with_plain_settings_only_the_range_the_subnet_file_and_the_right_to_get_nodes_change() -> None:
    before = release()
    after = [copy.deepcopy(item) for item in made(network_config={"Network": "10.244.0.0/16"}).objects]
    find(after, "ConfigMap")["data"]["net-conf.json"] = find(before, "ConfigMap")["data"]["net-conf.json"]
    template = find(after, "DaemonSet")["spec"]["template"]
    assert len(template["metadata"].pop("annotations")["podnet.cni/config-sha256"]) == 64
    assert template["spec"]["containers"][1]["volumeMounts"].pop() == {
        "name": "run-flannel",
        "mountPath": "/run/flannel",
    }
    assert template["spec"]["volumes"].pop()["hostPath"]["path"] == "/run/flannel"
    rule = find(after, "ClusterRole", "flannel")["rules"][1]
    assert rule["verbs"] == ["get", "list", "watch"]
    rule["verbs"].remove("get")
    del find(before, "Deployment")["spec"]["template"]["metadata"]["namespace"]
    assert after == before


def test_input_is_left_alone() -> None:
    items = release()
    found = manifest.read(documents(items))
    wanted = settings.parse({"network_config": DUAL, "health_port": 8081, "flannel_version": "v0.28.9"})
    transform.transform(found, wanted, ELSEWHERE)
    assert items == release()


def test_masquerade_off_takes_the_flag_away_which_would_win() -> None:
    assert container(made(masquerade=False), "kube-flannel")["command"] == ["/opt/bin/flanneld", "--kube-subnet-mgr"]
    assert "--ip-masq" in container(made(), "kube-flannel")["command"]


def test_newer_flannel_gets_its_registry_and_probes() -> None:
    each = container(made(flannel_version="v0.28.9", health_port=8085), "kube-flannel")
    assert each["image"] == "ghcr.io/flannel-io/flannel:v0.28.9"
    assert each["command"][-1] == "--healthz-port=8085"
    assert each["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": 8085}
    assert each["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": 8085}


@pytest.mark.parametrize(("version", "port"), [("", 8081), ("0.28.8", 8081), ("0.28.9", 0)])
def test_no_probes_where_the_image_or_the_port_lacks(version: str, port: int) -> None:
    each = container(made(flannel_version=version, health_port=port), "kube-flannel")
    assert "readinessProbe" not in each
    assert not any("healthz" in word for word in each["command"])


def test_interface_by_pattern_is_read_from_the_config_map() -> None:
    result = made(interface_regex="^ens")
    assert data(result)["canal_iface_regex"] == "^ens"
    reference = environment(container(result, "kube-flannel"))["FLANNELD_IFACE_REGEX"]["configMapKeyRef"]
    assert reference == {"name": "canal-config", "key": "canal_iface_regex"}
    assert "canal_iface_regex" not in data(made())


def test_both_families() -> None:
    result = made(network_config=DUAL)
    plugin = pod_config.load(data(result)["cni_network_config"])["plugins"][0]
    assert plugin["ipam"] == {
        "type": "host-local",
        "ranges": [[{"subnet": "usePodCidr"}], [{"subnet": "usePodCidrIPv6"}]],
    }
    assert environment(container(result, "calico-node"))["FELIX_IPV6SUPPORT"] == "true"
    assert environment(container(made(), "calico-node"))["FELIX_IPV6SUPPORT"] == "false"
    assert "IPv6" in result.warnings[0]
    assert "new VTEP MAC address" in result.warnings[0]


def test_network_name_keeps_the_mtu_a_placeholder() -> None:
    text = data(made(network_name="cbr0"))["cni_network_config"]
    assert '"mtu": __CNI_MTU__' in text
    assert json.loads(text.replace("__CNI_MTU__", "1450"))["name"] == "cbr0"
    assert data(made(network_name="k8s-pod-network")) == data(made()), "the name that it has changes nothing"


def test_images() -> None:
    result = made(
        image_registry="registry.example.com/mirror/",
        images={"calico-kube-controllers": "other.example.com/kc:1"},
        image_pull_secrets=[{"name": "pull"}],
    )
    assert container(result, "install-cni")["image"] == "registry.example.com/mirror/calico/cni:v3.32.1"
    assert container(result, "kube-flannel")["image"] == "registry.example.com/mirror/flannel/flannel:v0.24.4"
    controllers = find(list(result.objects), "Deployment")["spec"]["template"]["spec"]
    assert controllers["containers"][0]["image"] == "other.example.com/kc:1"
    assert controllers["imagePullSecrets"] == pod(result)["imagePullSecrets"] == [{"name": "pull"}]


@pytest.mark.parametrize(
    ("image", "moved"),
    [
        ("docker.io/flannel/flannel:v1", "r/flannel/flannel:v1"),
        ("registry:5000/x/y:v1", "r/x/y:v1"),
        ("localhost/y:v1", "r/y:v1"),
        ("calico/node:v1", "r/calico/node:v1"),
        ("busybox", "r/busybox"),
    ],
)
def test_mirrored(image: str, moved: str) -> None:
    assert images.mirrored(image, "r") == moved


def test_old_file_of_another_network() -> None:
    each = container(made(old_conf_name="10-flannel.conflist"), "install-cni")
    assert environment(each)["CNI_OLD_CONF_NAME"] == "10-flannel.conflist"
    assert "CNI_OLD_CONF_NAME" not in environment(container(made(), "install-cni"))


def test_nftables() -> None:
    wanted = {"network_config": {**NETWORK, "EnableNFTables": True}, "flannel_version": "0.28.9"}
    result = made(**wanted)
    assert environment(container(result, "calico-node"))["FELIX_NFTABLESMODE"] == "Enabled"
    assert result.warnings == ()
    assert "br_netfilter" in made(flannel_version="0.28.9").warnings[0]
    with pytest.raises(InputError, match=r"flannel 0\.24\.4 has no nftables mode"):
        made(network_config=wanted["network_config"])
    with pytest.raises(InputError, match=r"Felix of Calico 3\.28\.5 has no nftables mode"):
        made("3.28.5", **wanted)


def test_place_of_an_installation_that_is_there() -> None:
    result = made(place=ELSEWHERE, interface_regex="e")
    items = list(result.objects)
    assert items[0]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "privileged"
    assert {item["metadata"].get("namespace", "nets") for item in items} == {"nets"}
    daemonset = find(items, "DaemonSet", "rke-canal")
    assert daemonset["spec"]["selector"] == {"matchLabels": {"name": "net"}}
    labels = daemonset["spec"]["template"]["metadata"]["labels"]
    assert labels == {"k8s-app": "canal", "name": "net"}
    assert find(items, "ClusterRoleBinding", "canal-flannel")["subjects"] == [
        {"kind": "ServiceAccount", "name": "rke", "namespace": "nets"}
    ]
    assert find(items, "ClusterRole", "calico-node")["rules"][0]["resourceNames"] == ["rke", "calico-cni-plugin"]
    assert find(items, "ServiceAccount", "rke")
    assert "canal-config" not in json.dumps(pod(result))
    assert '"kube-system"' not in json.dumps(items)


def test_the_namespace_of_the_system_is_nobodys() -> None:
    assert not any(item["kind"] == "Namespace" for item in made().objects)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"network_config": {**DUAL, "EnableIPv4": False}}, "no IPv6-only mode"),
        ({"network_config": {}}, "Network is missing"),
        ({"mtu": 40}, "canal_mtu is 40: give 68 to 65535"),
        ({"mtu": 1200, "network_config": DUAL}, "canal_mtu is 1200: give 1280 to 65535"),
        ({"mtu": "big"}, "canal_mtu is 'big': give a number"),
        ({"health_port": 9099}, "which calico-node listens on"),
        ({"health_port": 70000}, "canal_health_port is 70000"),
        ({"interface_regex": "("}, "is not a regular expression"),
        ({"network_name": "a b"}, "canal_network_name is 'a b'"),
        ({"old_conf_name": "../x"}, "canal_old_conf_name '../x' is not a file name"),
        ({"old_conf_name": "10-canal.conflist"}, "the file that Canal itself writes"),
        ({"image_pull_secrets": ["x"]}, "give dictionaries with name"),
        ({"images": {"flannel": "x:1"}}, "canal_images names container flannel, but the manifest has install-cni"),
        ({"images": {"kube-flannel": "x:latest"}}, "tell its version with canal_flannel_version"),
        ({"flannel_version": "0.99.0"}, "flannel 0.99.0 is not in the matrix"),
        ({"colour": "blue"}, "knows no setting colour"),
    ],
)
def test_what_is_refused(wanted: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        made(**wanted)


def test_release_that_is_not_in_the_matrix() -> None:
    with pytest.raises(InputError, match=r"calico 3\.99\.0 is not in the matrix; the nearest row is"):
        made("3.99.0")


def test_flannel_without_a_version_is_left_alone() -> None:
    items = release()
    find(items, "DaemonSet")["spec"]["template"]["spec"]["containers"][1]["image"] = "flannel@sha256:00"
    found = manifest.read(documents(items))
    wanted = settings.parse({"network_config": NETWORK, "health_port": 8081})
    result = transform.transform(found, wanted, transform.place_of(found))
    assert result.warnings == ("The version of flannel is not known, so nothing that depends on it was changed.",)


def test_own_image_needs_no_release_when_its_version_is_told() -> None:
    each = container(
        made(images={"kube-flannel": "r/f:ours"}, flannel_version="0.28.9", health_port=8081), "kube-flannel"
    )
    assert each["image"] == "r/f:ours"
    assert "readinessProbe" in each


@pytest.mark.parametrize("text", ["{", "[]", '{"plugins": []}', '{"plugins": ["x"]}'])
def test_damaged_cni_configuration(text: str) -> None:
    with pytest.raises(InputError, match="cni_network_config in the manifest"):
        pod_config.load(text)


def test_two_families_need_host_local() -> None:
    with pytest.raises(InputError, match="has no host-local ranges"):
        pod_config.change('{"plugins": [{"type": "calico", "ipam": {"type": "calico-ipam"}}]}', "", True)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "interface": st.sampled_from(["", "eth0"]),
            "masquerade": st.booleans(),
            "mtu": st.sampled_from([0, 1280, 9000]),
            "flannel_version": st.sampled_from(["", "0.26.0", "0.28.9"]),
            "health_port": st.sampled_from([0, 8081]),
            "network_config": st.sampled_from([NETWORK, DUAL]),
            "network_name": st.sampled_from(["", "cbr0"]),
            "image_registry": st.sampled_from(["", "r.example.com"]),
        },
    ),
    st.sampled_from(["3.26.5", "3.30.7", "3.32.1"]),
    st.sampled_from([None, ELSEWHERE]),
)
def test_pods_restart_exactly_when_configuration_or_template_changes(
    wanted: dict[str, Any], calico: str, place: settings.Place | None
) -> None:
    once, twice = made(calico, place=place, **wanted), made(calico, place=place, **wanted)
    assert once == twice
    other = made(calico, place=place, **{**wanted, "mtu": 1500})
    checksums = [
        find(list(each.objects), "DaemonSet")["spec"]["template"]["metadata"]["annotations"] for each in (once, other)
    ]
    assert checksums[0] != checksums[1]
    kinds = [item["kind"] for item in once.objects if item["kind"] != "Namespace"]
    assert kinds == [item["kind"] for item in release(calico)], "every object stays, in its place"
