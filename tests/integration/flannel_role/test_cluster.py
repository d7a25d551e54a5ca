# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role flannel on a real API server: what it applies, what it leaves alone, what it takes over."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from ansible_collections.podnet.cni.tests.integration import _kube, _kube_binaries
from ansible_collections.podnet.cni.tests.integration.etcd._lab import run_module
from ansible_collections.podnet.cni.tests.integration.flannel_role.conftest import Cluster

pytestmark = pytest.mark.kube

NET_CONF = {"Network": "10.244.0.0/16", "EnableNFTables": False, "Backend": {"Type": "vxlan"}}
Obj = dict[str, Any]


def installed(
    namespace: str = "kube-flannel",
    *,
    selector: dict[str, str] | None = None,
    expressions: list[Obj] | None = None,
    labels: dict[str, str] | None = None,
    name: str = "kube-flannel-ds",
    image: str = "docker.io/flannel/flannel:v0.22.0",
    annotations: dict[str, str] | None = None,
    daemon: Obj | None = None,
) -> list[Obj]:
    """An older flannel as another installer left it; C(daemon) is added to its container."""
    selector = {"app": "flannel"} if selector is None else selector
    pod = {"tier": "node", **selector, **(labels or {})}
    container = {
        "name": "kube-flannel",
        "image": image,
        "command": ["/opt/bin/flanneld"],
        "args": ["--ip-masq", "--kube-subnet-mgr"],
        "resources": {"limits": {"cpu": "100m"}},
        "volumeMounts": [{"name": "flannel-cfg", "mountPath": "/etc/kube-flannel/"}],
        **(daemon or {}),
    }
    spec = {
        "selector": {"matchLabels": selector, **({"matchExpressions": expressions} if expressions else {})},
        "template": {
            "metadata": {"labels": pod},
            "spec": {
                "hostNetwork": True,
                "containers": [container, {"name": "old-helper", "image": "example.com/helper:1"}],
                "volumes": [{"name": "flannel-cfg", "configMap": {"name": "kube-flannel-cfg"}}],
            },
        },
    }
    metadata: Obj = {"name": name, "namespace": namespace, "labels": {"tier": "node", "app": "flannel"}}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "kube-flannel-cfg", "namespace": namespace},
            "data": {"net-conf.json": json.dumps(NET_CONF), "cni-conf.json": "{}", "stale": "yes"},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": {**metadata, "annotations": annotations or {}},
            "spec": spec,
        },
    ]


def containers(daemonset: Obj | None) -> dict[str, Obj]:
    assert daemonset is not None
    return {item["name"]: item for item in daemonset["spec"]["template"]["spec"]["containers"]}


def upgraded(
    cluster: Cluster,
    before: Obj | None,
    namespace: str = "kube-flannel",
    name: str = "kube-flannel-ds",
    *,
    kept: bool = False,
) -> Obj:
    """The DaemonSet, which has to be the one of before, with what the other installer set or without it."""
    after = cluster.daemonset(namespace, name)
    assert before is not None
    assert after is not None
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["spec"]["selector"] == before["spec"]["selector"]
    assert containers(after)["kube-flannel"]["image"] == "ghcr.io/flannel-io/flannel:v0.28.9"
    assert ("limits" in containers(after)["kube-flannel"]["resources"]) is kept
    assert list(containers(after)) == ["kube-flannel", *(["old-helper"] if kept else [])]
    return after


def ran_flannel(cluster: Cluster, name: str) -> None:
    """A Node as flanneld leaves it, with an annotation of an administrator."""
    notes = {f"flannel.alpha.coreos.com/{key}": "x" for key in ("backend-type", "kube-subnet-manager", "public-ip")}
    notes["flannel.alpha.coreos.com/public-ip-overwrite"] = "198.18.0.9"
    cluster.server.apply(_kube.node(name, annotations=notes))
    conditions = [
        {"type": "Ready", "status": "True"},
        {"type": "NetworkUnavailable", "status": "False", "reason": "FlannelIsUp"},
    ]
    body = {"status": {"conditions": conditions}}
    cluster.server.api("PATCH", f"/api/v1/nodes/{name}/status", body, "application/merge-patch+json")


def marks(cluster: Cluster, name: str) -> tuple[list[str], str]:
    """The annotations of flannel on a Node, and its condition."""
    node = cluster.get(f"/api/v1/nodes/{name}")
    assert node is not None
    held = [key.partition("/")[2] for key in node["metadata"]["annotations"] if key.startswith("flannel.")]
    found = [each for each in node["status"]["conditions"] if each["type"] == "NetworkUnavailable"]
    return sorted(held), " ".join(f"{each['status']} {each['reason']}" for each in found)


def test_policies_that_are_not_shown_to_hold(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a node could enforce them: no pod of the proof ever runs here, so nothing is shown, and nothing is left."""
    monkeypatch.setenv("K8S_AUTH_KUBECONFIG", str(cluster.server.admin))
    done = cluster.run("netpol_probes", wait_timeout=3, _flannel_netpol_proven={"n1": "localhost"})
    assert done.failed_with("it was not shown that network policies hold. Make pods and a policy: "), done.output
    assert cluster.get("/api/v1/namespaces/podnet-policy-proof") is None


def test_from_an_empty_cluster_and_back(cluster: Cluster) -> None:
    mark = cluster.server.audit_mark()
    assert cluster.run(check=True).changed == 1
    assert cluster.writes(mark) == []

    assert cluster.run().changed == 1
    daemonset = cluster.daemonset()
    assert daemonset is not None

    mark = cluster.server.audit_mark()
    assert cluster.run().changed == 0
    assert cluster.writes(mark) == [], "a run that changes nothing writes nothing"

    mark = cluster.server.audit_mark()
    refused = cluster.run(netpol_enabled=True)
    assert refused.failed_with("The policy sidecar is not switched on. The cluster has no Node")
    assert cluster.run(
        netpol_enabled=True, netpol_unenforced="accept", netpol_image_tag="v1.1.1-iptracker"
    ).failed_with("the flavour iptracker asks a server")
    assert cluster.writes(mark) == [], "what nobody knows to be enforced is refused before anything is changed"
    assert cluster.run(netpol_enabled=True, netpol_unenforced="accept").changed == 1
    assert list(containers(cluster.daemonset())) == ["kube-flannel", "kube-network-policies"]
    assert cluster.run().changed == 0, "defaults do not end enforcement"
    ended = cluster.run(netpol_enabled=False)
    assert ended.changed == 1 and "stop acting" in ended.output
    assert list(containers(cluster.daemonset())) == ["kube-flannel"]

    refused = cluster.run(backend="host-gw")
    assert refused.failed_with("backend vxlan -> host-gw")
    refused = cluster.run(pod_cidr="10.9.0.0/16")
    assert refused.failed_with("flanneld exits on every node whose podCIDR")
    before = containers(cluster.daemonset())
    assert cluster.run(backend="host-gw", allow_network_change=True).changed == 1
    after = cluster.daemonset()
    assert containers(after) == before
    assert after is not None
    checksum = after["spec"]["template"]["metadata"]["annotations"]["podnet.cni/config-sha256"]
    assert checksum != daemonset["spec"]["template"]["metadata"]["annotations"]["podnet.cni/config-sha256"]

    for name in ("n1", "n2"):
        ran_flannel(cluster, name)
    assert cluster.run("uninstall").changed == 2
    assert cluster.daemonset() is None
    assert cluster.get("/apis/rbac.authorization.k8s.io/v1/clusterroles/flannel") is None
    assert [marks(cluster, name) for name in ("n1", "n2")] == [(["public-ip-overwrite"], "True FlannelIsRemoved")] * 2
    options = {"kubeconfig": str(cluster.server.admin), "cleaned": ["n1"]}
    assert run_module("flannel_node_marks", options, check=True)["changed"]
    done = run_module("flannel_node_marks", options)
    assert (done["actions"], done["uncleaned"]) == (["remove condition NetworkUnavailable of Node n1"], ["n2"])
    assert (marks(cluster, "n1")[1], marks(cluster, "n2")[1]) == ("", "True FlannelIsRemoved")
    assert not run_module("flannel_node_marks", options)["changed"]


@pytest.mark.parametrize(
    ("selector", "labels"),
    [
        pytest.param({"app": "flannel"}, {}, id="docs-manifest"),
        pytest.param({"app": "flannel", "k8s-app": "flannel"}, {}, id="release-asset"),
        pytest.param({"name": "our-flannel"}, {"app": "flannel"}, id="foreign-selector"),
    ],
)
def test_older_flannel_is_upgraded_in_place(cluster: Cluster, selector: dict[str, str], labels: dict[str, str]) -> None:
    cluster.server.apply(*installed("kube-system", selector=selector, labels=labels, name="our-flannel"))
    before = cluster.daemonset("kube-system", "our-flannel")
    mark = cluster.server.audit_mark()
    assert cluster.run(check=True, adopt_values="drop").changed == 2
    assert cluster.run(adopt="never").failed_with("DaemonSet kube-system/our-flannel, which this role did not make")
    assert cluster.writes(mark) == []

    assert cluster.run(adopt_values="drop").changed == 2
    upgraded(cluster, before, "kube-system", "our-flannel")
    assert cluster.daemonset() is None
    configmap = cluster.get("/api/v1/namespaces/kube-system/configmaps/kube-flannel-cfg")
    assert configmap is not None
    assert set(configmap["data"]) == {"net-conf.json", "cni-conf.json"}
    mark = cluster.server.audit_mark()
    assert cluster.run().changed == 0
    assert cluster.writes(mark) == []


def renamed_rights(namespace: str) -> list[dict[str, Any]]:
    """A ClusterRole and its binding to flannel's account under names that a Kustomize prefix gives."""
    version = "rbac.authorization.k8s.io/v1"
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "prod-flannel"}
    subject = {"kind": "ServiceAccount", "name": "flannel", "namespace": namespace}
    rules = [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}]
    return [
        {"apiVersion": version, "kind": "ClusterRole", "metadata": {"name": "prod-flannel"}, "rules": rules},
        {
            "apiVersion": version,
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "prod-flannel"},
            "roleRef": reference,
            "subjects": [subject],
        },
    ]


def test_what_was_adopted_is_removed_where_it_is(cluster: Cluster) -> None:
    cluster.server.apply(*installed("net-x", name="our-flannel"), *renamed_rights("net-x"))
    mark = cluster.server.audit_mark()
    assert cluster.run("uninstall").failed_with("DaemonSet net-x/our-flannel was not made by this role")
    assert cluster.writes(mark) == []
    assert cluster.run().code == 0
    assert cluster.run("uninstall").changed == 1
    assert cluster.daemonset("net-x", "our-flannel") is None
    assert cluster.get("/api/v1/namespaces/net-x/configmaps/kube-flannel-cfg") is None
    assert cluster.get("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/flannel") is None
    for kind in ("clusterroles", "clusterrolebindings"):
        assert cluster.get(f"/apis/rbac.authorization.k8s.io/v1/{kind}/prod-flannel") is None
    kept = cluster.get("/api/v1/namespaces/net-x")
    assert kept is not None and "deletionTimestamp" not in kept["metadata"]
    cluster.server.apply(*installed("net-y"))
    assert cluster.run("uninstall", uninstall_foreign=True).changed == 1
    assert cluster.daemonset("net-y") is None


def test_the_sidecar_of_the_module_is_not_dropped(cluster: Cluster) -> None:
    def module(**options: Any) -> None:
        options = {"kubeconfig": str(cluster.server.admin), "unenforced": "accept", **options}
        done = run_module("flannel_network_policy", options)
        assert not done.get("failed"), done

    assert cluster.run().changed == 1
    module()
    mark = cluster.server.audit_mark()
    assert cluster.run(netpol_enabled=False).failed_with("Remove it with flannel_network_policy and state absent")
    assert cluster.writes(mark) == []
    assert cluster.run("wanted", netpol_enabled=False).failed_with("state absent"), "what the role upgrade asks"
    assert list(containers(cluster.daemonset())) == ["kube-flannel", "kube-network-policies"]
    module(state="absent")
    assert cluster.run().code == 0
    module()
    assert cluster.run().code == 0
    taken = containers(cluster.daemonset())["kube-network-policies"]
    assert taken["command"][0] == "/bin/netpol" and "args" not in taken


def test_preshared_keys_are_not_shown(cluster: Cluster) -> None:
    old, new = "A" * 43 + "=", "B" * 42 + "A="
    wireguard = {"backend": "wireguard", "diff": True}
    installing = cluster.run(psk=old, **wireguard)
    assert installing.changed == 1
    changing = [
        cluster.run(psk=new, allow_network_change=True, rollout=waves, check=True, **wireguard)
        for waves in (False, True)
    ]
    for outcome in (installing, *changing):
        assert "kube-flannel-cfg" in outcome.output
        assert old not in outcome.output
        assert new not in outcome.output
    assert all("sha256:" in outcome.output for outcome in changing), "that the key changes is to be seen"


def test_waves_take_a_container_away_and_its_rights_afterwards(cluster: Cluster) -> None:
    try:
        cluster.server.start_controller_manager("10.244.0.0/16", "daemonset-controller")
    except _kube_binaries.Missing as reason:
        pytest.skip(str(reason))
    assert cluster.run(netpol_enabled=True, netpol_unenforced="accept").changed == 1
    mark = cluster.server.audit_mark()
    done = cluster.run(
        netpol_enabled=False, rollout=True, rollout_soak=0, rollout_max_failed="10%", rollout_command=["true"]
    )
    assert done.code == 0, done.output
    assert list(containers(cluster.daemonset())) == ["kube-flannel"]
    written = [line for line in cluster.writes(mark) if "/clusterroles/" in line or "/daemonsets/" in line]
    kinds = ["rights" if "/clusterroles/" in line else "pods" for line in written]
    assert (kinds[0], kinds.count("rights")) == ("rights", 2), "those of both, then those of the new pods"
    assert "pods" in kinds[: kinds.index("rights", 1)], written
    rules = cluster.get("/apis/rbac.authorization.k8s.io/v1/clusterroles/flannel")
    assert rules is not None
    assert not [rule for rule in rules["rules"] if "networkpolicies" in rule["resources"]]
    refused = cluster.run(rollout=True, rollout_canary_selector="pool=x", args=["--ip-masq"], check=True)
    assert refused.failed_with("canary_selector selects no node")
    refused = cluster.run(rollout=True, rollout_log_others=[{"container": "x", "unknown": 1}])
    assert refused.failed_with("unknown")
    mark = cluster.server.audit_mark()
    assert cluster.run(rollout=True, rollout_soak=0).changed == 0
    assert cluster.writes(mark) == []


def test_helm_release_without_the_label_is_taken_over(cluster: Cluster) -> None:
    annotations = {"meta.helm.sh/release-name": "net", "meta.helm.sh/release-namespace": "net-x"}
    address = {"name": "KUBERNETES_SERVICE_HOST", "value": "198.18.0.10"}
    own = {"args": ["--ip-masq", "--kube-subnet-mgr", "--iface=eth1"], "env": [address]}
    cluster.server.apply(*installed("net-x", annotations=annotations, daemon=own))
    before = cluster.daemonset("net-x")
    mark = cluster.server.audit_mark()
    assert cluster.run(adopt_values="drop", check=True).failed_with("--iface = eth1 (flannel_args)")
    shown = cluster.run(check=True, diff=True)
    assert shown.changed == 2
    for line in ("--iface = eth1 (flannel_args): kept", '"container.old-helper": "example.com/helper:1"'):
        assert line in shown.output
    assert cluster.writes(mark) == []

    done = cluster.run()
    assert done.changed == 2
    assert "The Helm release net is taken over" in " ".join(done.output.split())
    after = upgraded(cluster, before, "net-x", kept=True)
    assert "meta.helm.sh/release-name" not in (after["metadata"].get("annotations") or {})
    daemon = containers(after)["kube-flannel"]
    assert daemon["args"] == ["--ip-masq", "--kube-subnet-mgr", "--iface=eth1", "--healthz-port=8081"]
    assert address in daemon["env"]
    assert cluster.run().changed == 0, "what was kept once is kept"
    dropped = cluster.run(adopt_values="drop", adopt_drop=["--iface", "env.KUBERNETES_SERVICE_HOST"])
    assert dropped.changed == 1
    after = upgraded(cluster, before, "net-x")
    assert "--iface=eth1" not in containers(after)["kube-flannel"]["args"]
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "kube-flannel", "env": [address]}]}}}}
    assert cluster.run(daemonset_patch=patch).changed == 1
    assert address in containers(cluster.daemonset("net-x"))["kube-flannel"]["env"]


def test_selector_that_cannot_be_kept_makes_a_new_daemonset(cluster: Cluster) -> None:
    expressions = [{"key": "generation", "operator": "In", "values": ["old"]}]
    # Its pods do not match the new selector, so they cannot stay.
    items = installed(selector={"name": "old"}, labels={"generation": "old"}, expressions=expressions)
    cluster.server.apply(*items)
    before = cluster.daemonset()
    assert before is not None
    assert cluster.run(check=True).code == 0
    assert cluster.run().code == 0
    after = cluster.daemonset()
    assert after is not None
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert after["spec"]["selector"] == {"matchLabels": {"app": "flannel"}}
    assert cluster.run().changed == 0


def test_move_to_the_roles_own_namespace(cluster: Cluster) -> None:
    cluster.server.apply(*installed("kube-system"))
    assert cluster.run(adopt="replace").code == 0
    assert cluster.daemonset("kube-system") is None
    assert cluster.get("/api/v1/namespaces/kube-system/configmaps/kube-flannel-cfg") is None
    assert cluster.daemonset() is not None
    assert cluster.run(adopt="replace").changed == 0


def test_two_installations_and_other_networks_are_left_alone(cluster: Cluster) -> None:
    cluster.server.apply(*installed("one"), *installed("two"))
    mark = cluster.server.audit_mark()
    assert cluster.run().failed_with("more than once, in the namespaces one, two")
    cluster.server.api("DELETE", "/apis/apps/v1/namespaces/one/daemonsets/kube-flannel-ds")
    cluster.server.api("DELETE", "/apis/apps/v1/namespaces/two/daemonsets/kube-flannel-ds")
    other = copy.deepcopy(installed("kube-system", name="cilium", selector={"k8s-app": "cilium"})[2])
    template = other["spec"]["template"]["spec"]
    template["containers"] = [{"name": "cilium-agent", "image": "quay.io/cilium/cilium:v1.17.3"}]
    template["volumes"] = []
    other["metadata"]["labels"] = {"k8s-app": "cilium"}
    cluster.server.apply(other)
    assert cluster.run().failed_with("cilium in namespace kube-system carries the pods of this cluster")
    windows = _kube.node("win", ["10.244.1.0/24"])
    windows["metadata"]["labels"] = {"kubernetes.io/os": "windows"}
    cluster.server.apply(windows)
    assert cluster.run().failed_with("Node win runs Windows")
    assert [line for line in cluster.writes(mark) if "podnet.cni" in line] == []
