# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The owners' objects on a real API server: what is read of them, with which rights, and what is found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.podnet.cni.plugins.filter.distribution_findings import distribution_findings
from ansible_collections.podnet.cni.plugins.filter.distribution_settings import distribution_settings
from ansible_collections.podnet.cni.tests.integration import _kube
from ansible_collections.podnet.cni.tests.integration._warm import run_module
from ansible_collections.podnet.cni.tests.integration.distribution.conftest import add_node, chart_config, item

pytestmark = pytest.mark.kube

RIGHTS = Path(__file__).parents[3] / "docs" / "manifests" / "distribution-rbac.yaml"
FILE = "/var/lib/rancher/rke2/server/manifests/canal-values.yaml"
RKE2 = "v1.36.2+rke2r1"


def facts(kubeconfig: Path) -> dict[str, Any]:
    found = run_module("distribution_cluster_info", {"kubeconfig": str(kubeconfig)})
    assert not found.get("failed"), found
    assert found["changed"] is False
    return dict(found["facts"])


def faults(found: dict[str, Any]) -> dict[str, str]:
    return {
        each["id"].partition(".")[2]: f"{each['seen']} {each['remedy']}"
        for each in distribution_findings({}, found)
        if each["status"] in ("failed", "unknown")
    }


def seed(server: _kube.KubeServer) -> None:
    """An RKE2 cluster with Canal, whose servers and values have faults."""
    add_node(server, "s1", RKE2, json.dumps(["server", "--cni", "canal", "--token", "********"]))
    add_node(server, "s2", RKE2, json.dumps(["server", "--cni", "calico", "--cluster-dns", "10.43.0.11"]), "wireguard")
    chart = item(
        "HelmChart",
        "rke2-canal",
        "helm.cattle.io/v1",
        annotations={"helm.cattle.io/chart-url": "https://example.org/rke2-canal-v3.32.0-build2026060401.tgz"},
        spec={
            "chartContent": "H4sI",
            "set": {"global.clusterCIDR": "10.42.0.0/16", "global.rke2DataDir": "/var/lib/rancher/rke2"},
        },
    )
    server.apply(
        chart,
        item("Addon", "canal-values", "k3s.cattle.io/v1", spec={"source": FILE, "checksum": "x"}),
        chart_config("podCidr: 10.9.0.0/16\nflannel:\n  mtu: 8950\n  psk: do-not-tell\n", "canal-values"),
        item("ConfigMap", "rke2-canal-config", data={"net-conf.json": '{"Network": "10.42.0.0/16"}'}),
    )
    status = {"conditions": [{"type": "Failed", "status": "True", "reason": "Error", "message": "job failed"}]}
    path = "/apis/helm.cattle.io/v1/namespaces/kube-system/helmcharts/rke2-canal/status"
    server.api("PATCH", path, {"status": status}, "application/merge-patch+json")


def test_objects_are_read_with_the_rights_of_the_manifest_and_no_others(owners: _kube.KubeServer) -> None:
    seed(owners)
    found = facts(owners.admin)
    for each in yaml.safe_load(RIGHTS.read_text(encoding="utf-8"))["items"]:
        owners.apply(each)
    mark = owners.audit_mark()
    account = "podnet-distribution"
    limited = facts(owners.token_kubeconfig(account))
    assert limited == found and found["reasons"] == {}
    asked = owners.audit(mark, f"system:serviceaccount:default:{account}")
    assert 10 <= len(asked) <= 14
    assert {event["verb"] for event in asked} <= {"get", "list"}
    assert "do-not-tell" not in json.dumps(found) and "H4sI" not in json.dumps(found)
    none = facts(owners.limited_kubeconfig("nobody", []))
    assert set(none["reasons"]) == set(found) - {"subject", "reasons"}
    assert set(faults(none)) == {"cluster_read"}


def test_faults_are_found_and_name_owner_and_source(owners: _kube.KubeServer) -> None:
    seed(owners)
    found = facts(owners.admin)
    said = faults(found)
    assert set(said) == {
        "shared_keys",
        "cni",
        "backend_types",
        "values_no_effect",
        "mtu_pair",
        "failure_policy",
        "chart_failed",
    }
    assert "calico on Node/s2; canal on Node/s1" in said["cni"]
    assert FILE in said["mtu_pair"] and "8900" in said["mtu_pair"]
    assert "helm-install-rke2-canal" in said["chart_failed"]
    settings = {each["name"]: each for each in distribution_settings({}, found)["settings"]}
    assert settings["rke2-canal: flannel.mtu"]["place"] == f"HelmChartConfig kube-system/rke2-canal, from {FILE}"
    assert settings["rke2-canal: flannel.psk"]["value"] == "********"


def test_values_of_rancher_and_its_management_cluster(owners: _kube.KubeServer) -> None:
    managed = "/var/lib/rancher/rke2/server/manifests/rancher/managed-chart-config.yaml"
    values = json.dumps({"flannel": {"iface": "eth1"}, "global": {"cattle": {"clusterId": "c-m-1"}}})
    config = {"machineGlobalConfig": {"cni": "canal"}, "chartValues": {"rke2-canal": {"flannel": {"iface": "eth1"}}}}
    spec = {"kubernetesVersion": RKE2, "rkeConfig": config}
    owners.apply(
        item("Addon", "managed-chart-config", "k3s.cattle.io/v1", spec={"source": managed}),
        chart_config(values, "managed-chart-config"),
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "fleet-default"}},
        item("Cluster", "prod", "provisioning.cattle.io/v1", "fleet-default", spec=spec),
    )
    found = facts(owners.admin)
    assert faults(found) == {}
    made = distribution_settings({}, found)
    assert made["owners"] == ["rancher"]
    by_subject = {(each["subject"], each["name"]): each for each in made["settings"]}
    assert by_subject["cluster", "rke2-canal: flannel.iface"]["owner"] == "Rancher"
    assert by_subject["Cluster fleet-default/prod", "rke2-canal: flannel.iface"]["value"] == "eth1"
    assert by_subject["Cluster fleet-default/prod", "cni"]["value"] == "canal"


def test_a_server_that_does_not_answer_fails_the_task(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "nobody.kubeconfig"
    cluster = {"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}
    context = {"name": "x", "context": {"cluster": "c", "user": "u"}}
    users = [{"name": "u", "user": {}}]
    config = {"apiVersion": "v1", "kind": "Config", "clusters": [cluster], "contexts": [context], "users": users}
    kubeconfig.write_text(json.dumps({**config, "current-context": "x"}))
    found = run_module("distribution_cluster_info", {"kubeconfig": str(kubeconfig)})
    assert found["failed"] and "127.0.0.1:1" in found["msg"]
