# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The manifest that the role writes: valid for every Kubernetes, and what the variables say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from ansible_collections.podnet.cni.tests.integration.flannel_role.conftest import play

Objects = list[dict[str, Any]]

VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "everything": {
        "pod_cidr_v6": "fd00:18::/48",
        "namespace": "net-x",
        "enable_nftables": True,
        "windows_nodes": True,
        "vni": 4096,
        "backend_port": 4789,
        "image_registry": "mirror.example.com:5000/hub/",
        "image_pull_secrets": [{"name": "mirror"}],
        "node_selector": {"flannel": "yes"},
        "cni_bin_dir": "/usr/libexec/cni",
        "cni_conf_dir": "/etc/kubernetes/cni",
        "netpol_enabled": True,
        "update_strategy": {"type": "OnDelete"},
    },
    "wireguard": {
        "backend": "wireguard",
        "psk": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "tunnel_mode": "auto",
        "keepalive_interval": 25,
        "health_port": 0,
        "skip_cni_config_installation": True,
        "tolerations": [],
        "resources": {},
    },
    "older": {"image_tag": "v0.27.4"},
    "newer": {"image_tag": "v0.28.6-amd64"},
    "own": {"image_tag": "team-build"},
    "patched": {"daemonset_patch": {"spec": {"minReadySeconds": 7}}},
    "ipv6": {"pod_cidr": "", "pod_cidr_v6": "fd00:18::/48", "backend": "host-gw"},
}
RELEASES = [f"1.{minor}" for minor in range(25, int(kubernetes_validate.latest_version().split(".")[1]) + 1)]


def render(directory: Path, variants: dict[str, dict[str, Any]]) -> dict[str, Objects]:
    """Write the manifest of each variant, in one run."""
    runs = []
    for name, variables in variants.items():
        settings = {"render_only": True, "render_path": str(directory / f"{name}.yaml"), **variables}
        runs.append({f"flannel_{key}": value for key, value in settings.items()})
    done = play(directory, *runs)
    assert done.code == 0, done.output
    return {name: list(yaml.safe_load_all((directory / f"{name}.yaml").read_text())) for name in variants}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Objects]:
    return render(tmp_path_factory.mktemp("rendered"), VARIANTS)


def one(objects: Objects, kind: str) -> dict[str, Any]:
    return next(item for item in objects if item["kind"] == kind)


def net_conf(objects: Objects) -> dict[str, Any]:
    return dict(json.loads(one(objects, "ConfigMap")["data"]["net-conf.json"]))


def pod(objects: Objects) -> dict[str, Any]:
    return dict(one(objects, "DaemonSet")["spec"]["template"]["spec"])


@pytest.mark.parametrize("release", RELEASES)
def test_every_kubernetes_takes_every_object(rendered: dict[str, Objects], release: str) -> None:
    for objects in rendered.values():
        for item in objects:
            kubernetes_validate.validate(item, release, strict=True)


def test_validation_notices_a_wrong_field(rendered: dict[str, Objects]) -> None:
    item = json.loads(json.dumps(one(rendered["plain"], "DaemonSet")))
    item["spec"]["template"]["spec"]["hostnetwork"] = True
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(item, RELEASES[-1], strict=True)


def test_objects_come_in_the_order_they_need_each_other(rendered: dict[str, Objects]) -> None:
    for objects in rendered.values():
        kinds = [item["kind"] for item in objects]
        assert kinds == ["Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "ConfigMap", "DaemonSet"]
        assert objects[0]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "privileged"


def test_plain_manifest_is_upstreams(rendered: dict[str, Objects]) -> None:
    objects = rendered["plain"]
    assert net_conf(objects) == {
        "Network": "10.244.0.0/16",
        "EnableNFTables": False,
        "Backend": {"Type": "vxlan"},
    }
    daemon = pod(objects)["containers"][0]
    assert daemon["image"] == "ghcr.io/flannel-io/flannel:v0.28.9"
    assert daemon["args"] == ["--ip-masq", "--kube-subnet-mgr", "--healthz-port=8081"]
    assert (daemon["livenessProbe"]["periodSeconds"], daemon["readinessProbe"]["periodSeconds"]) == (30, 10)
    assert [item["name"] for item in pod(objects)["initContainers"]] == ["install-cni-plugin", "install-cni"]
    selector = one(objects, "DaemonSet")["spec"]["selector"]
    assert selector == {"matchLabels": {"app": "flannel"}}


def test_every_variable_has_its_effect(rendered: dict[str, Objects]) -> None:
    objects = rendered["everything"]
    assert net_conf(objects) == {
        "Network": "10.244.0.0/16",
        "IPv6Network": "fd00:18::/48",
        "EnableIPv6": True,
        "EnableNFTables": True,
        "Backend": {"Type": "vxlan", "VNI": 4096, "Port": 4789},
    }
    images = [item["image"] for item in pod(objects)["initContainers"] + pod(objects)["containers"]]
    assert images == [
        "mirror.example.com:5000/hub/flannel-io/flannel-cni-plugin:v1.9.1-flannel3",
        "mirror.example.com:5000/hub/flannel-io/flannel:v0.28.9",
        "mirror.example.com:5000/hub/flannel-io/flannel:v0.28.9",
        "mirror.example.com:5000/hub/networking/kube-network-policies:v1.1.1",
    ]
    assert pod(objects)["imagePullSecrets"] == [{"name": "mirror"}]
    assert pod(objects)["nodeSelector"] == {"flannel": "yes"}
    paths = {item["name"]: item["hostPath"]["path"] for item in pod(objects)["volumes"] if "hostPath" in item}
    assert (paths["cni-plugin"], paths["cni"]) == ("/usr/libexec/cni", "/etc/kubernetes/cni")
    assert {item["metadata"].get("namespace") for item in objects} == {"net-x", None}
    assert one(objects, "DaemonSet")["spec"]["updateStrategy"] == {"type": "OnDelete"}


def test_sidecar_may_read_what_it_waits_for(rendered: dict[str, Objects]) -> None:
    rules = {
        name: {
            (rule["apiGroups"][0], resource): rule["verbs"]
            for rule in one(rendered[name], "ClusterRole")["rules"]
            for resource in rule["resources"]
        }
        for name in ("plain", "everything")
    }
    for key in (("", "pods"), ("", "namespaces"), ("networking.k8s.io", "networkpolicies")):
        assert {"list", "watch"} <= set(rules["everything"][key])
    assert rules["plain"]["", "pods"] == ["get"]
    assert ("networking.k8s.io", "networkpolicies") not in rules["plain"]
    sidecar = pod(rendered["everything"])["containers"][1]
    assert sidecar["env"][0]["valueFrom"]["fieldRef"]["fieldPath"] == "spec.nodeName"
    assert len(pod(rendered["plain"])["containers"]) == 1


def test_what_is_switched_off_leaves_nothing_behind(rendered: dict[str, Objects]) -> None:
    objects = rendered["wireguard"]
    assert net_conf(objects)["Backend"] == {
        "Type": "wireguard",
        "PSK": VARIANTS["wireguard"]["psk"],
        "Mode": "auto",
        "PersistentKeepaliveInterval": 25,
    }
    assert [item["name"] for item in pod(objects)["initContainers"]] == ["install-cni-plugin"]
    daemon = pod(objects)["containers"][0]
    assert not {"ports", "livenessProbe", "readinessProbe", "resources"} & set(daemon)
    assert daemon["args"] == ["--ip-masq", "--kube-subnet-mgr"]
    assert "tolerations" not in pod(objects)
    assert net_conf(rendered["ipv6"])["EnableIPv4"] is False


def test_pods_restart_when_the_configuration_changes(rendered: dict[str, Objects]) -> None:
    checksums = [
        one(objects, "DaemonSet")["spec"]["template"]["metadata"]["annotations"]["podnet.cni/config-sha256"]
        for name, objects in rendered.items()
        if not {"image_tag", "daemonset_patch"} & set(VARIANTS[name])
    ]
    assert len(checksums) > 3
    assert len(set(checksums)) == len(checksums)


@pytest.mark.parametrize(
    ("name", "command", "path"),
    [
        ("older", "cp", "/healthz"),
        ("newer", "/opt/bin/install-conf", "/healthz"),
        ("own", "/opt/bin/install-conf", "/readyz"),
        ("plain", "/opt/bin/install-conf", "/readyz"),
    ],
)
def test_an_image_is_asked_for_what_it_has(rendered: dict[str, Objects], name: str, command: str, path: str) -> None:
    """install-conf came with 0.28.6, /readyz with 0.28.9."""
    spec = pod(rendered[name])
    assert spec["initContainers"][1]["command"] == [command]
    assert spec["containers"][0]["readinessProbe"]["httpGet"]["path"] == path


def test_a_patch_is_in_the_daemonset(rendered: dict[str, Objects]) -> None:
    patched, plain = one(rendered["patched"], "DaemonSet"), one(rendered["plain"], "DaemonSet")
    assert patched["spec"].pop("minReadySeconds") == 7
    assert patched == plain


def test_bad_input_is_refused(tmp_path: Path) -> None:
    settings = {"flannel_render_only": True, "flannel_render_path": str(tmp_path / "out.yaml"), "flannel_vni": 4096}
    assert play(tmp_path, {**settings, "flannel_windows_nodes": True}).failed_with("Port is 0; write 4789")
    assert play(tmp_path, {**settings, "flannel_backend": "host-gw"}).failed_with("has no setting vni")
    assert not (tmp_path / "out.yaml").exists()
